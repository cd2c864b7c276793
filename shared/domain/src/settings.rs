//! What a merchant decides for a binding.

use crate::amount::Currency;
use crate::canonical::Customer;
use crate::document::{DocumentStatus, Supply};
use crate::identity::normalised_email;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// How far a rounding line may reach per document, in hundredths of the currency's unit, where the binding names none.
pub const ROUNDING_LIMIT_HUNDREDTHS: i64 = 5;
/// Put behind the number prefix of credit notes, where the binding names no prefix for them: a book that numbers
/// invoices and credit notes in one sequence must not see one number twice.
pub const CREDIT_NOTE_MARK: &str = "CN-";
/// Longest reference of the contact that stands for many buyers, in characters (Sage Accounting API, contacts).
pub const CONSOLIDATION_REFERENCE_MAX: usize = 10;

/// Settings of one binding, one version of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The version, counted from 1.
    pub version: u32,
    /// Which documents go to the book at all.
    pub policy: Policy,
    /// IANA name of the book's time zone: dates in the book are calendar dates there.
    pub time_zone: String,
    /// Base currency of each website of the shop; a website that is not named has the book's.
    pub base_currencies: BTreeMap<u32, Currency>,
    /// The book's own currency.
    pub book_currency: Currency,
    /// ISO 3166-1 alpha-2 code of the organisation's country.
    pub book_country: Option<String>,
    /// True where the organisation is registered for sales tax. One that is not takes untaxed documents only.
    pub sales_tax_registered: bool,
    /// The book's sales tax rates, in percent, for books whose lines name the rate itself.
    pub sales_tax_rates: Vec<Decimal>,
    /// The book's tax codes by rate and destination country.
    pub tax_map: Vec<TaxRule>,
    /// The book's tax code of untaxed lines that no rule names.
    pub default_tax_code: Option<String>,
    /// Income category of item lines.
    pub income_category: String,
    /// Income category of item lines by website, where it differs.
    pub income_categories: BTreeMap<u32, String>,
    /// Income category by the book's item type, for a SKU whose type a product sync has left behind.
    pub item_type_categories: BTreeMap<String, String>,
    /// Income category of the shipping line.
    pub shipping_category: String,
    /// Category of what is refunded beyond the rows; the income category where none is named.
    pub adjustment_refund_category: Option<String>,
    /// Category of what is kept of a refund; the income category where none is named.
    pub adjustment_fee_category: Option<String>,
    /// Category of what a total has too little: gift cards, store credit. Without it such documents are refused.
    pub gift_card_category: Option<String>,
    /// Category of what a total has too much: fees, fixed product taxes. Without it such documents are refused.
    pub other_charges_category: Option<String>,
    /// Category of the rounding line; the income category where none is named.
    pub rounding_category: Option<String>,
    /// Account for purchases of products.
    pub purchase_category: Option<String>,
    /// Days until an invoice is due; the book's usual where none is named.
    pub payment_terms_in_days: Option<u32>,
    /// The same for single customers, by customer id or e-mail address (normalised).
    pub payment_terms_by_customer: BTreeMap<String, u32>,
    /// The same by customer group.
    pub payment_terms_by_group: BTreeMap<u32, u32>,
    /// Where invoices and credit notes shall stand once they are posted.
    pub document_status: DocumentStatus,
    /// Bank account by payment method; an entry without one leaves the payment to a person.
    pub payment_methods: BTreeMap<String, Option<String>>,
    /// Bank account of methods that are not named.
    pub default_bank_account: Option<String>,
    /// Currency of bank accounts; one that is not named has the book's.
    pub bank_account_currencies: BTreeMap<String, Currency>,
    /// The book's item type by Magento's product type; an entry without one leaves such products out.
    pub item_types: BTreeMap<String, Option<String>>,
    /// Put in front of the shop's increment id.
    pub number_prefix: String,
    /// Put in front of a credit memo's increment id; the number prefix and [`CREDIT_NOTE_MARK`] where none is named.
    pub credit_note_prefix: Option<String>,
    /// The prefix of a previous service, under which older documents are looked for.
    pub previous_prefix: Option<String>,
    /// What a contact is called by.
    pub customer_name_priority: NamePriority,
    /// One contact for many buyers.
    pub consolidation: Option<Consolidation>,
    /// What is sold, where nothing more is known of it.
    pub default_supply: Supply,
    /// What is sold, by Magento's product type.
    pub supply_by_product_type: BTreeMap<String, Supply>,
    /// True where the shop's catalogue prices contain tax.
    pub catalogue_prices_include_tax: bool,
    /// The most that a rounding line may carry, in the document's currency.
    pub rounding_limit: Decimal,
    /// What differs by website or store.
    pub overrides: Vec<Override>,
}

/// Which documents the merchant wants in the book.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Invoices whose state is open go too.
    pub sync_unpaid_invoices: bool,
    /// Invoices and credit memos of nothing go too.
    pub sync_zero_value_invoices: bool,
    /// Nothing raised before this moment.
    pub sync_since: Option<Timestamp>,
    /// Only these websites; all where empty.
    pub website_filter: Vec<u32>,
    /// Only these stores; all where empty.
    pub store_filter: Vec<u32>,
    /// Products go too.
    pub sync_products: bool,
    /// Their stock goes too, where the book keeps stock.
    pub sync_stock: bool,
    /// The stock of products that were in the book before us goes too.
    pub sync_adopted_stock: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            sync_unpaid_invoices: true,
            sync_zero_value_invoices: true,
            sync_since: None,
            website_filter: Vec::new(),
            store_filter: Vec::new(),
            sync_products: false,
            sync_stock: false,
            sync_adopted_stock: false,
        }
    }
}

/// The book's tax code for a rate, everywhere or for goods that go to one country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxRule {
    /// Percent.
    pub rate: Decimal,
    /// ISO 3166-1 alpha-2 code of the destination; every country where there is none.
    pub country: Option<String>,
    /// The tax code, as the book names it.
    pub code: String,
}

/// What a contact is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NamePriority {
    /// The company where there is one, else the person.
    #[default]
    Company,
    /// The person where there is one, else the company.
    Person,
}

/// One contact for many buyers: the book has one document per order all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Consolidation {
    /// The contact's name.
    pub name: String,
    /// Its e-mail address, normalised: by that the book knows it.
    pub email: String,
    /// Its reference.
    pub reference: String,
    /// Buyers of an invoice of this much or more have a contact of their own; nobody has by that where it is zero.
    pub min_total_for_individual: Decimal,
    /// Buyers with a company or a purchase order number have a contact of their own.
    pub always_individual_for_b2b: bool,
}

/// What differs for a website or a store. What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// For this website.
    pub website: Option<u32>,
    /// For this store; of the website, where one is named too.
    pub store: Option<u32>,
    /// As [`Settings::income_category`].
    pub income_category: Option<String>,
    /// Asked before [`Settings::item_type_categories`].
    pub item_type_categories: BTreeMap<String, String>,
    /// As [`Settings::shipping_category`].
    pub shipping_category: Option<String>,
    /// As [`Settings::adjustment_refund_category`].
    pub adjustment_refund_category: Option<String>,
    /// As [`Settings::adjustment_fee_category`].
    pub adjustment_fee_category: Option<String>,
    /// As [`Settings::gift_card_category`].
    pub gift_card_category: Option<String>,
    /// As [`Settings::other_charges_category`].
    pub other_charges_category: Option<String>,
    /// As [`Settings::rounding_category`].
    pub rounding_category: Option<String>,
    /// As [`Settings::rounding_limit`].
    pub rounding_limit: Option<Decimal>,
    /// As [`Settings::purchase_category`].
    pub purchase_category: Option<String>,
    /// Asked before [`Settings::tax_map`].
    pub tax_map: Vec<TaxRule>,
    /// As [`Settings::default_tax_code`].
    pub default_tax_code: Option<String>,
    /// Asked before [`Settings::payment_methods`].
    pub payment_methods: BTreeMap<String, Option<String>>,
    /// As [`Settings::default_bank_account`].
    pub default_bank_account: Option<String>,
}

/// The usual item types of Magento's product types. The v2 family names items so (FreeAgent API docs, invoice items); a
/// composite product is sold as its parts.
#[must_use]
pub fn usual_item_types() -> BTreeMap<String, Option<String>> {
    [
        ("simple", Some("Products")),
        ("virtual", Some("Services")),
        ("downloadable", Some("Services")),
        ("configurable", None),
        ("bundle", None),
        ("grouped", None),
    ]
    .into_iter()
    .map(|(product_type, item_type)| (product_type.to_owned(), item_type.map(str::to_owned)))
    .collect()
}

impl Settings {
    /// Settings with every default: what a book needs named and nothing else.
    #[must_use]
    pub fn least(time_zone: &str, book_currency: Currency, income_category: &str, shipping_category: &str) -> Self {
        Self {
            version: 1,
            policy: Policy::default(),
            time_zone: time_zone.to_owned(),
            base_currencies: BTreeMap::new(),
            book_currency,
            book_country: None,
            sales_tax_registered: true,
            sales_tax_rates: Vec::new(),
            tax_map: Vec::new(),
            default_tax_code: None,
            income_category: income_category.to_owned(),
            income_categories: BTreeMap::new(),
            item_type_categories: BTreeMap::new(),
            shipping_category: shipping_category.to_owned(),
            adjustment_refund_category: None,
            adjustment_fee_category: None,
            gift_card_category: None,
            other_charges_category: None,
            rounding_category: None,
            purchase_category: None,
            payment_terms_in_days: None,
            payment_terms_by_customer: BTreeMap::new(),
            payment_terms_by_group: BTreeMap::new(),
            document_status: DocumentStatus::Approved,
            payment_methods: BTreeMap::new(),
            default_bank_account: None,
            bank_account_currencies: BTreeMap::new(),
            item_types: usual_item_types(),
            number_prefix: String::new(),
            credit_note_prefix: None,
            previous_prefix: None,
            customer_name_priority: NamePriority::Company,
            consolidation: None,
            default_supply: Supply::Goods,
            supply_by_product_type: BTreeMap::new(),
            catalogue_prices_include_tax: false,
            rounding_limit: Decimal::new(ROUNDING_LIMIT_HUNDREDTHS, 2),
            overrides: Vec::new(),
        }
    }

    /// The settings as they hold in a store of a website; in the website as a whole where no store is known.
    #[must_use]
    pub fn at(&self, website_id: u32, store_id: Option<u32>) -> Place<'_> {
        let of_store = store_id.and_then(|store_id| {
            self.overrides
                .iter()
                .find(|it| it.store == Some(store_id) && it.website.is_none_or(|website| website == website_id))
        });
        let of_website = self.overrides.iter().find(|it| it.store.is_none() && it.website == Some(website_id));
        Place { settings: self, website_id, overrides: [of_store, of_website] }
    }

    /// True where lines are posted by the item type of their SKU: then it is worth looking up.
    #[must_use]
    pub fn needs_item_types(&self) -> bool {
        !self.item_type_categories.is_empty()
            || !self.supply_by_product_type.is_empty()
            || self.overrides.iter().any(|it| !it.item_type_categories.is_empty())
    }

    /// Base currency of a website.
    #[must_use]
    pub fn base_currency(&self, website_id: u32) -> &Currency {
        self.base_currencies.get(&website_id).unwrap_or(&self.book_currency)
    }

    /// The calendar date of a moment in the book's time zone; `None` where the zone is unknown.
    #[must_use]
    pub fn date_of(&self, moment: Timestamp) -> Option<Date> {
        let zone = jiff::tz::TimeZone::get(&self.time_zone).ok()?;
        Some(zone.to_datetime(moment).date())
    }

    /// The days that a customer has, where the settings say: the customer's own, by id before address, then the
    /// group's, then everybody's.
    #[must_use]
    pub fn terms_of(&self, customer: &Customer) -> Option<u32> {
        let by_id = (customer.magento_id > 0).then(|| customer.magento_id.to_string());
        let by_email = normalised_email(&customer.email);
        [by_id, by_email]
            .into_iter()
            .flatten()
            .find_map(|key| self.payment_terms_by_customer.get(&key))
            .or_else(|| customer.group_id.and_then(|group| self.payment_terms_by_group.get(&group)))
            .copied()
            .or(self.payment_terms_in_days)
    }

    /// The book's item type of a product type; `None` where such products are left out.
    #[must_use]
    pub fn item_type(&self, product_type: &str) -> Option<&str> {
        self.item_types.get(product_type)?.as_deref()
    }

    /// Goods or a service, by Magento's product type.
    #[must_use]
    pub fn supply_of_product_type(&self, product_type: &str) -> Supply {
        self.supply_by_product_type.get(product_type).copied().unwrap_or(self.default_supply)
    }

    /// Goods or a service, by the book's item type: what all product types of that item type are, else the default.
    #[must_use]
    pub fn supply_of_item_type(&self, item_type: Option<&str>) -> Supply {
        let Some(item_type) = item_type else { return self.default_supply };
        let mut supplies = self
            .item_types
            .iter()
            .filter(|(_, named)| named.as_deref() == Some(item_type))
            .map(|(product_type, _)| self.supply_of_product_type(product_type));
        match supplies.next() {
            Some(supply) if supplies.all(|other| other == supply) => supply,
            Some(_) | None => self.default_supply,
        }
    }
}

/// The settings as they hold in one place: the store's before the website's before everybody's.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    settings: &'a Settings,
    website_id: u32,
    overrides: [Option<&'a Override>; 2],
}

impl<'a> Place<'a> {
    fn overrides(self) -> impl Iterator<Item = &'a Override> {
        self.overrides.into_iter().flatten()
    }

    /// What the overrides name first, else the settings. Every account goes through here.
    fn named<T: ?Sized>(
        self,
        of_override: impl Fn(&'a Override) -> Option<&'a T>,
        of_settings: impl FnOnce(&'a Settings) -> Option<&'a T>,
    ) -> Option<&'a T> {
        self.overrides().find_map(of_override).or_else(|| of_settings(self.settings))
    }

    /// Category of an item line: by the item type that its SKU is known to have, in every place, before the place's own.
    #[must_use]
    pub fn income_category(self, item_type: Option<&str>) -> &'a str {
        let of_item_type = item_type.and_then(|item_type| {
            self.named(|it| it.item_type_categories.get(item_type), |it| it.item_type_categories.get(item_type))
        });
        of_item_type
            .or_else(|| self.named(|it| it.income_category.as_ref(), |it| it.income_categories.get(&self.website_id)))
            .unwrap_or(&self.settings.income_category)
    }

    /// Category of the shipping line.
    #[must_use]
    pub fn shipping_category(self) -> &'a str {
        self.named(|it| it.shipping_category.as_deref(), |it| Some(&it.shipping_category)).unwrap_or_default()
    }

    /// Category of what is refunded beyond the rows, where one is named.
    #[must_use]
    pub fn adjustment_refund_category(self) -> Option<&'a str> {
        self.named(|it| it.adjustment_refund_category.as_deref(), |it| it.adjustment_refund_category.as_deref())
    }

    /// Category of what is kept of a refund, where one is named.
    #[must_use]
    pub fn adjustment_fee_category(self) -> Option<&'a str> {
        self.named(|it| it.adjustment_fee_category.as_deref(), |it| it.adjustment_fee_category.as_deref())
    }

    /// Category of gift cards and store credit, where one is named.
    #[must_use]
    pub fn gift_card_category(self) -> Option<&'a str> {
        self.named(|it| it.gift_card_category.as_deref(), |it| it.gift_card_category.as_deref())
    }

    /// Category of other charges, where one is named.
    #[must_use]
    pub fn other_charges_category(self) -> Option<&'a str> {
        self.named(|it| it.other_charges_category.as_deref(), |it| it.other_charges_category.as_deref())
    }

    /// Category of the rounding line, where one is named.
    #[must_use]
    pub fn rounding_category(self) -> Option<&'a str> {
        self.named(|it| it.rounding_category.as_deref(), |it| it.rounding_category.as_deref())
    }

    /// The most that a rounding line may carry, in the document's currency.
    #[must_use]
    pub fn rounding_limit(self) -> Decimal {
        self.overrides().find_map(|it| it.rounding_limit).unwrap_or(self.settings.rounding_limit)
    }

    /// Account for purchases of products, where one is named.
    #[must_use]
    pub fn purchase_category(self) -> Option<&'a str> {
        self.named(|it| it.purchase_category.as_deref(), |it| it.purchase_category.as_deref())
    }

    /// The tax maps in the order in which they are asked.
    fn tax_maps(self) -> impl Iterator<Item = &'a [TaxRule]> {
        self.overrides().map(|it| it.tax_map.as_slice()).chain([self.settings.tax_map.as_slice()])
    }

    /// The tax code of untaxed lines that no rule names.
    #[must_use]
    pub fn default_tax_code(self) -> Option<&'a str> {
        self.named(|it| it.default_tax_code.as_deref(), |it| it.default_tax_code.as_deref())
    }

    /// The book's tax code of a rate: the destination's own rule before the one for every country. The default serves
    /// untaxed lines only.
    #[must_use]
    pub fn tax_code(self, rate: Decimal, destination: Option<&str>) -> Option<&'a str> {
        let rule = self.tax_maps().find_map(|rules| {
            let of = |country: Option<&str>| {
                rules.iter().find(|rule| rule.rate == rate && rule.country.as_deref() == country)
            };
            destination.and_then(|country| of(Some(country))).or_else(|| of(None))
        });
        match rule {
            Some(rule) => Some(&rule.code),
            None if rate.is_zero() => self.default_tax_code(),
            None => None,
        }
    }

    /// The rates that a line can have, each once, the destination's own first: those of the tax map, and those of the
    /// settings' list where lines need no code.
    #[must_use]
    pub fn tax_rates(self, destination: Option<&str>, codes_needed: bool) -> Vec<Decimal> {
        if !self.settings.sales_tax_registered {
            return vec![Decimal::ZERO];
        }
        let mut rates: Vec<Decimal> = Vec::new();
        let mut add = |rate: Decimal| {
            if !rates.contains(&rate) {
                rates.push(rate);
            }
        };
        let own = |rule: &&TaxRule| rule.country.is_some() && rule.country.as_deref() == destination;
        self.tax_maps().flatten().filter(own).for_each(|rule| add(rule.rate));
        self.tax_maps().flatten().filter(|rule| rule.country.is_none()).for_each(|rule| add(rule.rate));
        if !codes_needed {
            self.settings.sales_tax_rates.iter().copied().for_each(&mut add);
        }
        if self.default_tax_code().is_some() {
            add(Decimal::ZERO);
        }
        rates
    }

    /// The entry for a payment method, an explicit *leave it to a person* included.
    #[must_use]
    pub fn payment_method(self, method: &str) -> Option<Option<&'a str>> {
        self.named(|it| it.payment_methods.get(method), |it| it.payment_methods.get(method)).map(Option::as_deref)
    }

    /// The bank account of methods that are not named.
    #[must_use]
    pub fn default_bank_account(self) -> Option<&'a str> {
        self.named(|it| it.default_bank_account.as_deref(), |it| it.default_bank_account.as_deref())
    }
}
