//! The stable codes of everything that can go wrong or be left out: one table of cause, family, owner and remedy. Answers,
//! commands, bells, notices and `docs/operating.md` take theirs from here.
//!
//! A code is part of the contract: it is in rows, chips, logs, alarms and `docs/operating.md`, and never changes its
//! meaning.

use std::fmt;

/// Who can do something about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The shop's people: something in Magento or in the binding's settings.
    Merchant,
    /// Whoever keeps the book.
    Accountant,
    /// Whoever runs this stack.
    Operator,
    /// The makers of Ledger: a fault of ours.
    Ledger,
}

impl Owner {
    /// Every owner.
    pub const ALL: [Self; 4] = [Self::Merchant, Self::Accountant, Self::Operator, Self::Ledger];

    /// The owner's name in rows and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "merchant",
            Self::Accountant => "accountant",
            Self::Operator => "operator",
            Self::Ledger => "ledger",
        }
    }
}

/// Codes that are mended in the same way, by the same kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Policy left it out.
    Policy,
    /// It waits until a connection, a pairing or a mode is mended.
    Connection,
    /// It passes by itself.
    Passing,
    /// The shop's document can't be posted as it is.
    ShopDocument,
    /// The settings, or what they name, do not fit.
    Settings,
    /// Something in the book is in the way.
    BookDocument,
    /// The book refused, and no rule says why.
    Unrecognised,
    /// It was tried for three days.
    Exhausted,
    /// A fault of ours.
    Ledger,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 9] = [
        Self::Policy,
        Self::Connection,
        Self::Passing,
        Self::ShopDocument,
        Self::Settings,
        Self::BookDocument,
        Self::Unrecognised,
        Self::Exhausted,
        Self::Ledger,
    ];

    /// The family's name in answers, arguments and bells.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Connection => "connection",
            Self::Passing => "passing",
            Self::ShopDocument => "shop_document",
            Self::Settings => "settings",
            Self::BookDocument => "book_document",
            Self::Unrecognised => "unrecognised",
            Self::Exhausted => "exhausted",
            Self::Ledger => "ledger",
        }
    }

    /// What its codes have in common, for a person.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Policy => "Policy left it out.",
            Self::Connection => "It waits until a connection, a pairing or a mode is mended.",
            Self::Passing => "It passes by itself.",
            Self::ShopDocument => "The shop's document can't be posted as it is.",
            Self::Settings => "The settings, or what they name, do not fit.",
            Self::BookDocument => "Something in the book is in the way.",
            Self::Unrecognised => "The book refused, and no rule says why.",
            Self::Exhausted => "It was tried for three days.",
            Self::Ledger => "A fault of ours.",
        }
    }

    /// The family of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.as_str() == text)
    }
}

macro_rules! codes {
    ($($(#[doc = $cause:literal])+ $name:ident = $text:literal, $family:ident, $owner:ident, $remedy:literal;)+) => {
        /// A stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $cause])+ $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it is written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it means, for a person.
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$name => concat!($($cause),+).trim_ascii(),)+ }
            }

            /// The family whose remedy is alike.
            #[must_use]
            pub const fn family(self) -> Family {
                match self { $(Self::$name => Family::$family,)+ }
            }

            /// Who can do something about it.
            #[must_use]
            pub const fn owner(self) -> Owner {
                match self { $(Self::$name => Owner::$owner,)+ }
            }

            /// What to do about it, for a person.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }

            /// The code of a text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    // Skips: an outcome that policy asked for.
    /// The website is not in the binding's filter.
    WebsiteFiltered = "website_filtered", Policy, Merchant, "Nothing to do. To include the website, change website_filter and resync.";
    /// The store is not in the binding's filter.
    StoreFiltered = "store_filtered", Policy, Merchant, "Nothing to do. To include the store, change store_filter and resync.";
    /// Raised before the date from which documents are wanted.
    OutsideSyncSince = "outside_sync_since", Policy, Merchant, "Nothing to do. To include it, move sync_since and resync.";
    /// An invoice of nothing, and policy leaves those out.
    ZeroValueInvoice = "zero_value_invoice", Policy, Merchant, "Nothing to do. To include such invoices, set sync_zero_value_invoices and resync.";
    /// An open invoice, and policy leaves those out.
    UnpaidInvoice = "unpaid_invoice", Policy, Merchant, "Nothing to do. To include open invoices, set sync_unpaid_invoices and resync.";
    /// Cancelled in the shop before it reached the book.
    InvoiceCancelled = "invoice_cancelled", Policy, Merchant, "Nothing to do: the invoice was cancelled before it reached the book.";
    /// No bank account is named for the payment method.
    PaymentMethodNotMapped = "payment_method_not_mapped", Policy, Merchant, "Enter the payment by hand, or name the method in payment_methods and resync. The default account does not count for methods that the shop calls paid before any money came.";
    /// The settings leave payments by this method to a person.
    PaymentNotWanted = "payment_not_wanted", Policy, Merchant, "Nothing to do: payment_methods leaves this method to a person. To post it, name an account there and resync.";
    /// There is no money to move.
    NothingToPay = "nothing_to_pay", Policy, Merchant, "Nothing to do: nothing was paid, so there is nothing to post.";
    /// The invoice is paid in the book.
    AlreadyPaid = "already_paid", Policy, Accountant, "Nothing to do: the invoice was settled in the book before the payment came.";
    /// Nothing is left of the credit note in the book.
    AlreadySettled = "already_settled", Policy, Accountant, "Nothing to do: the credit note was allocated or refunded in the book by hand.";
    /// The document is in the book as a draft or waits for approval.
    InvoiceNotApproved = "invoice_not_approved", Policy, Accountant, "Approve the document in the book, then resync.";
    /// The document that it settles is not in the book and policy keeps it out.
    InvoiceNotInBook = "invoice_not_in_book", Policy, Merchant, "Nothing to do: the invoice is left out of the book, and so is what settles it.";
    /// The document that it settles was withdrawn in the book.
    InvoiceWithdrawn = "invoice_withdrawn", Policy, Accountant, "The invoice or credit note was voided, written off or deleted in the book. Restore it and resync, or enter the money by hand.";
    /// The shop names no invoice for a credit memo.
    InvoiceNotNamed = "invoice_not_named", Policy, Accountant, "The memo was made from the order, so the shop names no invoice. Set the credit note off, or enter its refund, in the book by hand.";
    /// The book knows no item of this product type.
    ProductTypeNotSupported = "PRODUCT_TYPE_NOT_SUPPORTED", Policy, Merchant, "Nothing to do: composite products are sold as their parts. Another type can be named in item_types.";
    /// Policy leaves products out.
    ProductsNotSynced = "products_not_synced", Policy, Merchant, "Nothing to do. To include products, set sync_products and resync.";
    /// The product was in the book before us, and so was its stock.
    StockLeftAlone = "stock_left_alone", Policy, Merchant, "The product was in the book before Ledger, so its stock was left alone. To bring it to the shop's, set sync_adopted_stock and resync.";
    /// The buyer is one of many under the consolidated contact.
    ContactConsolidated = "contact_consolidated", Policy, Merchant, "Nothing to do: consolidation puts this buyer's documents under one contact for all.";
    /// A later version of the same thing is in the book.
    Superseded = "superseded", Policy, Operator, "Nothing to do: the book has this version or a later one.";
    /// An operator disconnected the binding before the run was done.
    BindingDisconnected = "binding_disconnected", Policy, Operator, "Nothing to do. To post it all the same, connect the book again and retry.";
    /// An operator gave the run up.
    Discarded = "discarded", Policy, Operator, "Nothing to do: an operator discarded the run. A delivery does not open it again; an operator may, by a retry.";
    /// An operator said that the document is in the book.
    SettledByHand = "settled_by_hand", Policy, Operator, "Nothing to do: an operator named the document in the book that this run is about. A delivery does not open it again; an operator may, by a retry.";
    /// The book has no such documents.
    NotSupportedByBook = "not_supported_by_book", Policy, Operator, "Nothing to do: the provider's page says what it does not take and why.";

    // Holds: the work waits for a person or a connection.
    /// This stack has no worker for the event yet.
    EventNotSupported = "event_not_supported", Connection, Operator, "Deploy a version with a worker for this event; held runs go on by themselves.";
    /// The binding has no book yet.
    BindingPending = "binding_pending", Connection, Operator, "Finish connecting the book; held runs go on by themselves.";
    /// The binding was paused.
    BindingPaused = "binding_paused", Connection, Operator, "Resume the binding; held runs go on by themselves.";
    /// The binding has no settings yet.
    SettingsMissing = "settings_missing", Connection, Operator, "Put the binding's settings; held runs go on by themselves.";
    /// The book refuses our grant.
    NeedsReconnect = "needs_reconnect", Connection, Accountant, "Connect the book again; held runs go on by themselves.";
    /// The binding is in preview: what would be sent can be looked at, nothing is sent.
    Preview = "preview", Connection, Operator, "Look at the requests of the run. To send them, set the binding live and release the run; else discard it.";
    /// The shop refuses our key.
    ShopUnauthorised = "shop_unauthorised", Connection, Merchant, "Pair the shop again, or restore its key; held runs go on by themselves.";

    /// The shop's module disconnected.
    ShopDisconnected = "shop_disconnected", Connection, Merchant, "Pair the shop again, any of its modules; held runs go on by themselves.";

    /// Nothing came from the shop for long.
    ShopSilent = "shop_silent", Connection, Merchant, "See that the shop's cron runs: its module sends from there. Nothing is lost meanwhile.";

    // Later: tried again by itself.
    /// The shop could not be reached or answered with an error of its own.
    ShopUnavailable = "shop_unavailable", Passing, Merchant, "See that the shop answers over https; the run is tried again by itself.";
    /// The shop has no route of the module.
    ShopModuleMissing = "shop_module_missing", Passing, Merchant, "Install or enable the Byte8 module in the shop; the run is tried again by itself.";
    /// The book could not be reached, or answered with an error of its own to a read.
    BookUnavailable = "book_unavailable", Passing, Accountant, "Wait for the provider; the run is tried again by itself.";
    /// The book asks us to slow down.
    BookRateLimited = "book_rate_limited", Passing, Operator, "Wait: the run is tried again by itself. If it persists, another application uses up the book's limit.";
    /// The book's calls of the day are used up.
    BookDayLimit = "book_day_limit", Passing, Operator, "Wait: the book's calls of the day are used up, and its runs go on by themselves at the time shown. If it persists, another application uses them.";
    /// The book is paused: it asked us to wait, or is down.
    BookPaused = "book_paused", Passing, Operator, "Nothing to do: the book asked for a pause, or is down. Its runs go on by themselves at the time shown.";
    /// Another worker writes to the book.
    BookBusy = "book_busy", Passing, Operator, "Nothing to do: one writer per book; the run is next.";
    /// Somebody is fetching a new token.
    GrantBusy = "grant_busy", Passing, Operator, "Nothing to do: another worker is fetching a new token for the book; the run is tried again by itself.";
    /// There is no app to fetch a new token with.
    AppMissing = "app_missing", Passing, Operator, "Set the client id and secret of the provider's app, for the stack or for the binding; the run is tried again by itself.";
    /// The provider does not accept our app.
    AppRefused = "app_refused", Passing, Operator, "Compare client id and secret with the provider's page of the app, and set them anew; the run is tried again by itself.";
    /// A write may or may not have been applied.
    WriteInDoubt = "write_in_doubt", Passing, Operator, "Nothing to do: the document is looked for in the book before anything is sent again.";
    /// Our own store or key service did not answer.
    StoreUnavailable = "store_unavailable", Passing, Operator, "See the health of DynamoDB, SQS and KMS in the stack's region.";
    /// Too little time was left to write safely.
    OutOfTime = "out_of_time", Passing, Operator, "Nothing to do: the run goes on in the next invocation.";

    // Refusals: a person changes something, then retries.
    /// The shop does not know the document.
    EntityNotFound = "entity_not_found", ShopDocument, Merchant, "The document was deleted in the shop or its save was rolled back. Discard the run.";
    /// What the shop sent could not be read.
    ShopAnswerUnreadable = "shop_answer_unreadable", Ledger, Ledger, "Report it with the run id: the shop's answer has a shape we don't know.";
    /// The amounts of the document do not add up.
    UnexplainedDifference = "unexplained_difference", ShopDocument, Merchant, "Look at the difference shown: gift cards and store credit need gift_card_category, fees and fixed product taxes other_charges_category.";
    /// A tax amount fits none of the binding's rates.
    TaxRateUnmapped = "tax_rate_unmapped", Settings, Merchant, "Add the rate to the binding's sales_tax_rates or tax_map, if the book has it, and retry.";
    /// A credit memo of less than nothing.
    NegativeTotal = "negative_total", ShopDocument, Merchant, "The shop refunds less than nothing (a known fault of old Magento versions with free goods). Correct it in the book by hand and discard the run.";
    /// More lines than the book takes.
    TooManyLines = "too_many_lines", ShopDocument, Merchant, "The document has more lines than the book takes in one. Enter it by hand and discard the run.";
    /// No exchange rate can be given honestly.
    ExchangeRateUnknown = "exchange_rate_unknown", Settings, Merchant, "Set the website's base currency; the book takes rates from its own currency only.";
    /// The number is used in the book by another document.
    ReferenceTaken = "reference_taken", BookDocument, Accountant, "A document with this number but another total, currency or contact is in the book. Rename or settle it there, then retry.";
    /// The document is already linked to something else.
    ReverseCollision = "entity_xref_reverse_collision", BookDocument, Operator, "Two documents of the shop claim one document of the book. Compare the two runs.";
    /// The buyer has no usable e-mail address or name.
    ContactIncomplete = "contact_incomplete", ShopDocument, Merchant, "Complete the buyer's name and e-mail address in the shop, then retry.";
    /// The contact in the book is archived or hidden.
    ContactArchived = "contact_archived", BookDocument, Accountant, "Restore the contact in the book, then retry.";
    /// The book does not know a category that the settings name.
    CategoryUnknown = "category_unknown", Settings, Merchant, "Choose a category that the book has, then retry.";
    /// The document's contact is not in the book any more.
    ContactUnknown = "contact_unknown", BookDocument, Accountant, "The contact was deleted in the book. Retry: it is looked for by its e-mail address, and made again where there is none.";
    /// The book refused and no rule says why.
    BookRefused = "book_refused", Unrecognised, Accountant, "Read the field and code shown, correct the document or the settings, then retry.";
    /// The book's total differs from the shop's.
    TotalMismatch = "total_mismatch", BookDocument, Accountant, "The document is in the book with another total. Correct it there, then retry.";
    /// The settings cannot be used.
    SettingsInvalid = "settings_invalid", Settings, Merchant, "Correct the setting shown, then retry.";
    /// Tried for the whole horizon without success.
    RetriesExhausted = "retries_exhausted", Exhausted, Operator, "See the last cause, remove it, then retry.";

    /// The business's subscription with the book's provider is over.
    SubscriptionLapsed = "subscription_lapsed", BookDocument, Accountant, "Renew the subscription with the book's provider, then retry.";
    /// The book's period is closed.
    PeriodLocked = "period_locked", BookDocument, Accountant, "The date lies in a period that the book has locked. Unlock it, or date the document anew by hand, then retry.";
    /// Too many documents to be sure that ours is not among them.
    SearchTooLong = "search_too_long", BookDocument, Accountant, "The contact has more documents than are looked through. Look for the number in the book: if it is there, discard the run, else merge or rename the contact and retry.";

    // Ours.
    /// The function died three times on this run.
    Crashed = "crashed", Ledger, Ledger, "Report it with the run id, then retry.";
    /// A reply had a shape that we do not know.
    AnswerUnknown = "answer_unknown", Ledger, Ledger, "Report it with the run id and the attempt's evidence.";
    /// We asked for something that can't be.
    Unexpected = "unexpected", Ledger, Ledger, "Report it with the run id.";
    /// A message that no version of us wrote.
    MessageUnreadable = "message_unreadable", Ledger, Ledger, "Look at the message in the dead-letter queue, then delete it.";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_to_one_and_fit_the_shop() {
        /// The shop's column for a code (`byte8_entity_sync_state.error_code`).
        const SHOP_COLUMN: usize = 64;
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert!(code.as_str().len() <= SHOP_COLUMN);
            assert!(!code.remedy().is_empty());
            assert!(code.cause().ends_with('.') && !code.cause().starts_with(' '), "{}", code.cause());
        }
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn every_family_has_a_name_of_its_own_and_codes() {
        for family in Family::ALL {
            assert_eq!(Family::parse(family.as_str()), Some(family));
            assert!(Code::ALL.iter().any(|code| code.family() == family), "nobody belongs to {}", family.as_str());
            assert!(!family.title().is_empty());
        }
        assert_eq!(Family::parse("nobody's"), None);
    }

    #[test]
    fn a_fault_of_ours_is_ours_to_mend() {
        for code in Code::ALL {
            assert_eq!(code.family() == Family::Ledger, code.owner() == Owner::Ledger, "{code}");
        }
    }
}
