//! Invoices and credit notes: one set of rules, with figures of the other sign.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{CURRENCIES, ITEM_TYPES, Mistakes, Refusal, date, figure, lengths, refuse_unknown, text};
use crate::amount::{fraction, round};
use crate::book::spec::{
    CountryNames, House, MissingRate, Seat, Switches, TakenWording, TaxRounding, UnknownRateWording, Verdict,
};
use crate::book::store::{Contact, Document, Item, Kind, Stage, Store, decimal, pennies};

/// The book's own rates, native for one foreign unit; everything else is at par.
const OWN_RATES: [(&str, i64); 3] = [("EUR", 8_540), ("USD", 7_870), ("JPY", 52)];
const TAX_STATUSES: [&str; 3] = ["TAXABLE", "EXEMPT", "OUT_OF_SCOPE"];
const EC_STATUSES: [&str; 5] = ["UK/Non-EC", "EC Goods", "EC Services", "Reverse Charge", "EC VAT MOSS"];
/// The first day on which Great Britain was no part of the European Union's sales tax area (`FreeAgent` API docs, invoices).
const LEFT_THE_UNION: &str = "2021-01-01";
/// What a sent document lets change.
const FREE_WHEN_SENT: [&str; 9] = [
    "comments",
    "po_reference",
    "client_contact_name",
    "payment_terms",
    "omit_header",
    "send_new_invoice_emails",
    "send_reminder_emails",
    "send_thank_you_emails",
    "always_show_bic_and_iban",
];
/// Countries of the European Union with their standard and one reduced rate.
const UNION_RATES: [(&str, &str, &str); 27] = [
    ("Austria", "20.0", "10.0"),
    ("Belgium", "21.0", "6.0"),
    ("Bulgaria", "20.0", "9.0"),
    ("Croatia", "25.0", "13.0"),
    ("Cyprus", "19.0", "9.0"),
    ("Czech Republic", "21.0", "12.0"),
    ("Denmark", "25.0", "0.0"),
    ("Estonia", "24.0", "9.0"),
    ("Finland", "25.5", "10.0"),
    ("France", "20.0", "5.5"),
    ("Germany", "19.0", "7.0"),
    ("Greece", "24.0", "13.0"),
    ("Hungary", "27.0", "18.0"),
    ("Ireland", "23.0", "13.5"),
    ("Italy", "22.0", "10.0"),
    ("Latvia", "21.0", "12.0"),
    ("Lithuania", "21.0", "9.0"),
    ("Luxembourg", "17.0", "8.0"),
    ("Malta", "18.0", "5.0"),
    ("Netherlands", "21.0", "9.0"),
    ("Poland", "23.0", "8.0"),
    ("Portugal", "23.0", "6.0"),
    ("Romania", "21.0", "11.0"),
    ("Slovakia", "23.0", "19.0"),
    ("Slovenia", "22.0", "9.5"),
    ("Spain", "21.0", "10.0"),
    ("Sweden", "25.0", "12.0"),
];

/// Those of them whose names are spelled in two ways.
const OTHER_NAMES: [(&str, &str); 3] =
    [("Czech Republic", "Czechia"), ("Netherlands", "The Netherlands"), ("Slovakia", "Slovak Republic")];

/// The sales tax rates of a country of the European Union, the standard rate first.
pub(crate) fn union_rates(store: &Store, country: &str) -> Option<[&'static str; 2]> {
    let called = |usual: &'static str| match store.switches.country_names {
        CountryNames::Usual => usual,
        CountryNames::Other => OTHER_NAMES.iter().find(|(name, _)| *name == usual).map_or(usual, |(_, other)| other),
    };
    UNION_RATES.iter().find(|(name, _, _)| called(name) == country).map(|(_, standard, reduced)| [*standard, *reduced])
}

/// A new document with its figures counted.
pub(crate) fn document(store: &mut Store, kind: Kind, fields: &Map<String, Value>) -> Result<Document, Refusal> {
    let stage = match (store.house(), kind) {
        (House::Freeagent, _) => Stage::Draft,
        (House::V2, Kind::CreditNote) if store.switches.credit_notes_begin_as_drafts => Stage::Draft,
        (House::V2, _) => Stage::Sent,
    };
    let mut document = counted(store, kind, fields, None)?;
    document.stage = stage;
    for item in &mut document.items {
        item.id = store.next_id();
    }
    Ok(document)
}

/// A document that changes: all of a draft, next to nothing of one that was sent.
pub(crate) fn changed(store: &mut Store, known: &Document, fields: &Map<String, Value>) -> Result<Document, Refusal> {
    if known.stage != Stage::Draft {
        let mut mistakes = Mistakes::default();
        for (field, value) in fields {
            let unchanged = known.fields.get(field) == Some(value);
            if !unchanged && !FREE_WHEN_SENT.contains(&field.as_str()) {
                let name = if field == "contact" { "contact_id" } else { field };
                mistakes.add(name, "is locked and cannot be changed");
            }
        }
        let mut document = mistakes.or(known.clone())?;
        document.fields.extend(fields.clone());
        document.updated_at = store.now();
        return Ok(document);
    }
    let mut merged = known.fields.clone();
    merged.extend(fields.iter().filter(|(field, _)| *field != known.kind.items()).map(|(k, v)| (k.clone(), v.clone())));
    let mut items: Vec<(u64, Map<String, Value>)> =
        known.items.iter().map(|item| (item.id, item.fields.clone())).collect();
    for change in fields.get(known.kind.items()).and_then(Value::as_array).into_iter().flatten() {
        let Some(change) = change.as_object() else { continue };
        let number = change.get("id").and_then(decimal).and_then(|id| u64::try_from(id).ok());
        let destroyed = change.get("_destroy").is_some_and(|flag| decimal(flag) == Some(Decimal::ONE));
        match number {
            Some(number) if destroyed => items.retain(|(id, _)| *id != number),
            Some(number) => {
                if let Some((_, item)) = items.iter_mut().find(|(id, _)| *id == number) {
                    item.extend(change.clone());
                }
            }
            None => items.push((store.next_id(), change.clone())),
        }
    }
    let lines = items.iter().map(|(_, item)| Value::Object(item.clone())).collect();
    merged.insert(known.kind.items().to_owned(), Value::Array(lines));
    let mut document = counted(store, known.kind, &merged, Some(known))?;
    for (item, (id, _)) in document.items.iter_mut().zip(items) {
        item.id = id;
    }
    document.stage = known.stage;
    Ok(document)
}

fn counted(
    store: &Store,
    kind: Kind,
    fields: &Map<String, Value>,
    known: Option<&Document>,
) -> Result<Document, Refusal> {
    let mut mistakes = Mistakes::default();
    refuse_unknown(store, kind.entity(), fields, &mut mistakes);
    lengths(store, fields, &mut mistakes);
    let contact = match fields.get("contact").and_then(Value::as_str) {
        None | Some("") => {
            mistakes.add("contact", "can't be blank");
            None
        }
        Some(url) => {
            let contact = store.contact_of(url);
            if contact.is_none() {
                mistakes.add("contact", "is not a contact of this company");
            }
            contact
        }
    };
    let dated_on = date(fields, &mut mistakes);
    let payment_terms_in_days = payment_terms(fields, &mut mistakes);
    let currency = match text(fields, "currency") {
        "" => store.options.currency.clone(),
        code => code.to_owned(),
    };
    if !CURRENCIES.contains(&currency.as_str()) {
        mistakes.add("currency", "is not included in the list");
    }
    let exchange_rate = exchange_rate(store, fields, &currency, &mut mistakes);
    ec_status(store, kind, fields, &dated_on, &mut mistakes);
    if let Some(url) = fields.get("bank_account").and_then(Value::as_str)
        && store.account_of(url).is_none()
    {
        mistakes.add("bank_account", "is not a bank account of this company");
    }
    let mut items = Vec::new();
    let lines = Lines { store, kind, contact, rates: rates(store, fields) };
    match fields.get(kind.items()) {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for value in list {
                match value.as_object() {
                    Some(fields) => items.push(lines.item(fields, &mut mistakes)),
                    None => mistakes.add(kind.items(), "is invalid"),
                }
            }
        }
        Some(_) => mistakes.add(kind.items(), "is invalid"),
    }
    let reference = reference(store, fields, known, &mut mistakes);
    let discount = fields.get("discount_percent").and_then(decimal).map_or(Decimal::ZERO, fraction);
    let (net, tax) = totals(store.switches, &mut items, discount);
    if kind == Kind::CreditNote && net + tax > Decimal::ZERO {
        mistakes.add("total_value", "must be less than or equal to 0");
    }
    if store.is_locked(&dated_on) {
        return Err(locked(kind));
    }
    let mut kept = fields.clone();
    kept.remove(kind.items());
    let now = store.now();
    let document = mistakes.or(Document {
        id: known.map_or(0, |document| document.id),
        kind,
        stage: Stage::Draft,
        contact: contact.map_or(0, |contact| contact.id),
        reference,
        dated_on,
        payment_terms_in_days,
        currency,
        exchange_rate,
        items,
        net,
        tax,
        total: net + tax + store.desk.total_shift,
        paid: known.map_or(Decimal::ZERO, |document| document.paid),
        reconciled: known.map_or(Decimal::ZERO, |document| document.reconciled),
        fields: kept,
        created_at: known.map_or(now, |document| document.created_at),
        updated_at: now,
    })?;
    Ok(document)
}

/// What is said of a document in a period that is closed.
pub(crate) fn locked(kind: Kind) -> Refusal {
    Refusal::Locked(
        match kind {
            Kind::Invoice => "Invoice is locked.",
            Kind::CreditNote => "Credit note is locked.",
        }
        .to_owned(),
    )
}

fn payment_terms(fields: &Map<String, Value>, mistakes: &mut Mistakes) -> i64 {
    let days = fields
        .get("payment_terms_in_days")
        .and_then(decimal)
        .filter(Decimal::is_integer)
        .and_then(|days| i64::try_from(days).ok());
    match days {
        None => mistakes.add("payment_terms_in_days", "is not a number"),
        Some(days) if days < 0 => mistakes.add("payment_terms_in_days", "must be greater than or equal to 0"),
        Some(_) => {}
    }
    days.unwrap_or(0)
}

fn reference(store: &Store, fields: &Map<String, Value>, known: Option<&Document>, mistakes: &mut Mistakes) -> String {
    let given = match fields.get("reference") {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    if given.is_empty() {
        if let Some(known) = known {
            return known.reference.clone();
        }
        let last = store.sales().filter_map(|document| document.reference.parse::<u64>().ok()).max().unwrap_or(0);
        return format!("{:03}", last.saturating_add(1));
    }
    let own = u32::from(known.is_some_and(|known| known.reference == given));
    if store.switches.unique_references && store.named(&given) > own {
        mistakes.add(
            "reference",
            match store.switches.taken_wording {
                TakenWording::Taken => "has already been taken",
                TakenWording::Unique => "must be unique",
            },
        );
    }
    given
}

fn exchange_rate(store: &Store, fields: &Map<String, Value>, currency: &str, mistakes: &mut Mistakes) -> Decimal {
    let given = fields.get("exchange_rate").filter(|value| !value.is_null());
    if currency == store.options.currency {
        return Decimal::ONE;
    }
    match (given, store.switches.missing_rate) {
        (Some(value), _) => match decimal(value) {
            Some(rate) if rate > Decimal::ZERO => rate,
            _ => {
                mistakes.add("exchange_rate", "is not a number");
                Decimal::ONE
            }
        },
        (None, MissingRate::OwnRate) => OWN_RATES
            .iter()
            .find(|(code, _)| *code == currency)
            .map_or(Decimal::ONE, |(_, rate)| Decimal::new(*rate, 4)),
        (None, MissingRate::Refused) => {
            mistakes.add("exchange_rate", "can't be blank");
            Decimal::ONE
        }
    }
}

fn ec_status(store: &Store, kind: Kind, fields: &Map<String, Value>, dated_on: &str, mistakes: &mut Mistakes) {
    let status = text(fields, "ec_status");
    if status.is_empty() {
        return;
    }
    if !EC_STATUSES.contains(&status) {
        mistakes.add("ec_status", "is not included in the list");
        return;
    }
    let seat = store.options.seat;
    if !store.options.sales_tax_registered || seat == Seat::Elsewhere {
        if store.switches.ec_status_without_registration == Verdict::Refused {
            mistakes.add("ec_status", "must be blank, as the company does not report sales tax in the EU");
        }
        return;
    }
    let left = dated_on >= LEFT_THE_UNION;
    match status {
        "EC Goods" | "EC Services" if left && seat == Seat::GreatBritain => {
            mistakes.add("ec_status", "is not valid for this company on this date");
        }
        "Reverse Charge" if !left => mistakes.add("ec_status", "is not valid for this company on this date"),
        "Reverse Charge" => {
            let items = fields.get(kind.items()).and_then(Value::as_array).into_iter().flatten();
            let taxed =
                items.filter_map(|item| item.get("sales_tax_rate").and_then(decimal)).any(|rate| !rate.is_zero());
            if taxed {
                mistakes.add("ec_status", "must not be Reverse Charge if an item has a sales tax rate");
            }
        }
        "EC VAT MOSS" if union_rates(store, text(fields, "place_of_supply")).is_none() => {
            mistakes.add("place_of_supply", "is not included in the list");
        }
        _ => {}
    }
}

/// The rates that lines may have: the company's, or those of the place of supply.
fn rates(store: &Store, fields: &Map<String, Value>) -> Vec<Decimal> {
    let read = |rates: &[&str]| rates.iter().filter_map(|rate| rate.parse().ok()).collect();
    if text(fields, "ec_status") == "EC VAT MOSS" {
        return union_rates(store, text(fields, "place_of_supply")).map(|rates| read(&rates)).unwrap_or_default();
    }
    read(&store.options.sales_tax_rates.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What lines are measured by.
struct Lines<'a> {
    store: &'a Store,
    kind: Kind,
    contact: Option<&'a Contact>,
    rates: Vec<Decimal>,
}

impl Lines<'_> {
    fn item(&self, fields: &Map<String, Value>, mistakes: &mut Mistakes) -> Item {
        lengths(self.store, fields, mistakes);
        let name = |field: &str| format!("{}.{field}", self.kind.items());
        let description = text(fields, "description").to_owned();
        if description.is_empty() {
            mistakes.add(&name("description"), "can't be blank");
        }
        let item_type = text(fields, "item_type").to_owned();
        if !ITEM_TYPES.contains(&item_type.as_str()) {
            mistakes.add(&name("item_type"), "is not included in the list");
        }
        // Without a quantity there is nothing on the line.
        let quantity = figure(fields, "quantity", &name("quantity"), mistakes).unwrap_or(Decimal::ZERO);
        let price = figure(fields, "price", &name("price"), mistakes).unwrap_or(Decimal::ZERO);
        let tax_status = fields.get("sales_tax_status").and_then(Value::as_str).map(str::to_owned);
        if let Some(status) = &tax_status {
            // What is out of scope is listed for credit notes alone.
            let in_scope = self.kind == Kind::CreditNote || self.store.house() == House::V2 || status != "OUT_OF_SCOPE";
            if !TAX_STATUSES.contains(&status.as_str()) || !in_scope {
                mistakes.add(&name("sales_tax_status"), "is not included in the list");
            }
        }
        let given_rate = figure(fields, "sales_tax_rate", &name("sales_tax_rate"), mistakes);
        let rate = self.rate(given_rate, tax_status.as_deref(), &name("sales_tax_rate"), mistakes);
        let category = match fields.get("category").filter(|value| !value.is_null()) {
            None => "001".to_owned(),
            Some(value) => value.as_str().and_then(|url| self.store.income_category(url)).unwrap_or_else(|| {
                mistakes.add(&name("category"), "is not an income category of this company");
                String::new()
            }),
        };
        Item {
            id: 0,
            fields: fields.clone(),
            description,
            item_type,
            quantity,
            price: round(price, self.store.switches.unit_price_decimals),
            rate,
            tax_status,
            category,
            net: Decimal::ZERO,
            tax: Decimal::ZERO,
        }
    }

    fn rate(&self, given: Option<Decimal>, status: Option<&str>, name: &str, mistakes: &mut Mistakes) -> Decimal {
        if status.is_some_and(|status| status != "TAXABLE") {
            return Decimal::ZERO;
        }
        let registered = self.store.options.sales_tax_registered;
        match given {
            Some(rate) if !registered && !rate.is_zero() => {
                if self.store.switches.sales_tax_without_registration == Verdict::Refused {
                    mistakes.add(name, "must be 0, as the company is not registered for sales tax");
                }
                Decimal::ZERO
            }
            Some(rate) if self.rates.contains(&rate) => rate,
            Some(rate) => {
                mistakes.add(
                    name,
                    match self.store.switches.unknown_rate_wording {
                        UnknownRateWording::NotOfCompany => "is not a sales tax rate of this company",
                        UnknownRateWording::Invalid => "is invalid",
                    },
                );
                rate
            }
            None if !registered => Decimal::ZERO,
            // Without a rate the contact decides, and else the standard rate is charged.
            None if self.contact.is_some_and(|contact| contact.text("charge_sales_tax") == "Never") => Decimal::ZERO,
            None => self.rates.first().copied().unwrap_or(Decimal::ZERO),
        }
    }
}

/// The book counts for itself: lines to the penny, tax per line or per rate.
fn totals(switches: Switches, items: &mut [Item], discount: Decimal) -> (Decimal, Decimal) {
    let mut net = Decimal::ZERO;
    let mut by_rate: Vec<(Decimal, Decimal)> = Vec::new();
    for item in items.iter_mut() {
        item.net = pennies(item.quantity * item.price * (Decimal::ONE - discount));
        item.tax = pennies(item.net * fraction(item.rate));
        net += item.net;
        match by_rate.iter_mut().find(|(rate, _)| *rate == item.rate) {
            Some((_, sum)) => *sum += item.net,
            None => by_rate.push((item.rate, item.net)),
        }
    }
    let tax = match switches.tax_rounding {
        TaxRounding::Line => items.iter().map(|item| item.tax).sum(),
        TaxRounding::Document => by_rate.into_iter().map(|(rate, sum)| pennies(sum * fraction(rate))).sum(),
    };
    (net, tax)
}
