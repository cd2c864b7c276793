//! The settings as a form: which field belongs to which group, what it holds, what it defaults to, and what it names.

use serde::Serialize;

/// A group of the form, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Which documents go to the book.
    SyncBehaviour,
    /// What the book is like, and where lines and taxes go in it.
    ProviderDefaults,
    /// Where a payment method's money goes.
    PaymentMethodMap,
    /// What products are to the book.
    ItemTypeMap,
    /// Terms, numbers, names and limits.
    CommercialKnobs,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 5] =
        [Self::SyncBehaviour, Self::ProviderDefaults, Self::PaymentMethodMap, Self::ItemTypeMap, Self::CommercialKnobs];

    /// What it is called in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SyncBehaviour => "sync_behaviour",
            Self::ProviderDefaults => "provider_defaults",
            Self::PaymentMethodMap => "payment_method_map",
            Self::ItemTypeMap => "item_type_map",
            Self::CommercialKnobs => "commercial_knobs",
        }
    }

    /// What it is called for a person.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::SyncBehaviour => "Sync behaviour",
            Self::ProviderDefaults => "Provider defaults",
            Self::PaymentMethodMap => "Payment-method map",
            Self::ItemTypeMap => "Item-type map",
            Self::CommercialKnobs => "Commercial knobs",
        }
    }
}

/// What a text of the settings names in the book or the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// A category or an account of document lines.
    LineAccount,
    /// An account for purchases.
    PurchaseAccount,
    /// An account that receives and pays money.
    BankAccount,
    /// A tax code.
    TaxCode,
    /// A tax code of untaxed lines.
    UntaxedCode,
    /// A tax rate in percent.
    TaxRate,
    /// The organisation's own currency.
    BookCurrency,
    /// A currency that the organisation uses.
    Currency,
}

/// What a key of a map names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keyed {
    /// A payment method of the shop.
    PaymentMethod,
    /// An account that receives and pays money.
    BankAccount,
    /// A website of the shop.
    Website,
    /// Anything else.
    Other,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in the settings.
    pub field: &'static str,
    /// Its group.
    pub group: Group,
    /// `text`, `boolean`, `integer`, `decimal` (as text), `list of …`, `map of …`, `object`, or the words to choose from
    /// with bars between.
    pub kind: &'static str,
    /// True where settings need it.
    pub required: bool,
    /// What holds where it is missing, as JSON; `null` where that is nothing or the book's own.
    pub default: &'static str,
    /// What its text, or the texts in it, name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Named>,
    /// What the keys of a map name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyed_by: Option<Keyed>,
}

const fn field(group: Group, field: &'static str, kind: &'static str, default: &'static str) -> Field {
    Field { field, group, kind, required: false, default, names: None, keyed_by: None }
}

impl Field {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn names(mut self, names: Named) -> Self {
        self.names = Some(names);
        self
    }

    const fn keyed_by(mut self, keyed_by: Keyed) -> Self {
        self.keyed_by = Some(keyed_by);
        self
    }
}

use Group::{CommercialKnobs, ItemTypeMap, PaymentMethodMap, ProviderDefaults, SyncBehaviour};

/// Every field of [`super::SettingsV1`], group by group. Fields of an override are as those of the settings.
pub const FIELDS: &[Field] = &[
    field(SyncBehaviour, "sync_unpaid_invoices", "boolean", "true"),
    field(SyncBehaviour, "sync_zero_value_invoices", "boolean", "true"),
    field(SyncBehaviour, "sync_since", "text", "null"),
    field(SyncBehaviour, "website_filter", "list of integer", "[]"),
    field(SyncBehaviour, "store_filter", "list of integer", "[]"),
    field(SyncBehaviour, "sync_products", "boolean", "false"),
    field(SyncBehaviour, "sync_stock", "boolean", "false"),
    field(SyncBehaviour, "sync_adopted_stock", "boolean", "false"),
    field(ProviderDefaults, "time_zone", "text", "null").required(),
    field(ProviderDefaults, "book_currency", "text", "null").required().names(Named::BookCurrency),
    field(ProviderDefaults, "book_country", "text", "null"),
    field(ProviderDefaults, "base_currencies", "map of text", "{}").keyed_by(Keyed::Website),
    field(ProviderDefaults, "income_category", "text", "null").required().names(Named::LineAccount),
    field(ProviderDefaults, "shipping_category", "text", "null").required().names(Named::LineAccount),
    field(ProviderDefaults, "income_categories", "map of text", "{}")
        .names(Named::LineAccount)
        .keyed_by(Keyed::Website),
    field(ProviderDefaults, "adjustment_refund_category", "text", "null").names(Named::LineAccount),
    field(ProviderDefaults, "adjustment_fee_category", "text", "null").names(Named::LineAccount),
    field(ProviderDefaults, "gift_card_category", "text", "null").names(Named::LineAccount),
    field(ProviderDefaults, "other_charges_category", "text", "null").names(Named::LineAccount),
    field(ProviderDefaults, "rounding_category", "text", "null").names(Named::LineAccount),
    field(ProviderDefaults, "purchase_category", "text", "null").names(Named::PurchaseAccount),
    field(ProviderDefaults, "sales_tax_registered", "boolean", "true"),
    field(ProviderDefaults, "sales_tax_rates", "list of decimal", "[]").names(Named::TaxRate),
    field(ProviderDefaults, "tax_map", "list of {rate: decimal, country: text, code: text}", "[]")
        .names(Named::TaxCode),
    field(ProviderDefaults, "default_tax_code", "text", "null").names(Named::UntaxedCode),
    field(ProviderDefaults, "default_supply", "goods | services", "\"goods\""),
    field(ProviderDefaults, "document_status", "draft | submitted | authorised", "\"authorised\""),
    field(ProviderDefaults, "overrides", "list of {website: integer, store: integer, …}", "[]"),
    field(PaymentMethodMap, "payment_methods", "map of text or null", "{}")
        .names(Named::BankAccount)
        .keyed_by(Keyed::PaymentMethod),
    field(PaymentMethodMap, "default_bank_account", "text", "null").names(Named::BankAccount),
    field(PaymentMethodMap, "bank_account_currencies", "map of text", "{}")
        .names(Named::Currency)
        .keyed_by(Keyed::BankAccount),
    field(
        ItemTypeMap,
        "item_types",
        "map of text or null",
        r#"{"simple":"Products","virtual":"Services","downloadable":"Services","configurable":null,"bundle":null,"grouped":null}"#,
    )
    .keyed_by(Keyed::Other),
    field(ItemTypeMap, "item_type_categories", "map of text", "{}").names(Named::LineAccount).keyed_by(Keyed::Other),
    field(ItemTypeMap, "supply_by_product_type", "map of goods | services", "{}").keyed_by(Keyed::Other),
    field(CommercialKnobs, "payment_terms_in_days", "integer", "null"),
    field(CommercialKnobs, "payment_terms_by_customer", "map of integer", "{}").keyed_by(Keyed::Other),
    field(CommercialKnobs, "payment_terms_by_group", "map of integer", "{}").keyed_by(Keyed::Other),
    field(CommercialKnobs, "invoice_number_prefix", "text", "\"\""),
    field(CommercialKnobs, "credit_note_prefix", "text", "null"),
    field(CommercialKnobs, "previous_prefix", "text", "null"),
    field(CommercialKnobs, "customer_name_priority", "company | person", "\"company\""),
    field(CommercialKnobs, "consolidation", "object", "null"),
    field(CommercialKnobs, "catalogue_prices_include_tax", "boolean", "false"),
    field(CommercialKnobs, "rounding_limit", "decimal", "\"0.05\""),
];

/// The field of a name.
#[must_use]
pub fn field_of(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|it| it.field == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{OverrideV1, SettingsV1};
    use serde::de::{Deserialize, Deserializer, Error, Visitor};

    /// Asks a type for the names of its fields.
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Error::custom("only fields are asked for"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields);
            Err(Error::custom("only fields are asked for"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn names<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
        let mut names = Vec::new();
        let _ = T::deserialize(Names(&mut names));
        names
    }

    #[test]
    fn every_setting_is_in_exactly_one_group() {
        let mut settings = names::<SettingsV1>();
        let mut form: Vec<&str> = FIELDS.iter().map(|field| field.field).collect();
        settings.sort_unstable();
        form.sort_unstable();
        assert_eq!(form, settings);
        assert!(FIELDS.is_sorted_by_key(|field| field.group), "group by group");
        assert!(Group::ALL.iter().all(|group| FIELDS.iter().any(|field| field.group == *group)));
    }

    #[test]
    fn every_field_of_an_override_is_one_of_the_settings() {
        let own = ["website", "store"];
        let fields = names::<OverrideV1>();
        assert!(fields.len() > own.len());
        assert!(fields.iter().all(|name| own.contains(name) || field_of(name).is_some()));
    }

    /// A default is what reading comes to where the field is missing.
    #[test]
    fn defaults_are_those_of_the_code() {
        let least = serde_json::json!({"time_zone": "Europe/London", "book_currency": "GBP", "sales_tax_rates": ["20"],
            "income_category": "1", "shipping_category": "2"});
        let read = |settings: serde_json::Value| {
            serde_json::from_value::<SettingsV1>(settings).expect("the shape").read(1).expect("settings")
        };
        let usual = read(least.clone());
        for field in FIELDS.iter().filter(|field| !field.required && field.field != "sales_tax_rates") {
            let mut named = least.clone();
            named[field.field] = serde_json::from_str(field.default).expect(field.field);
            // What may be missing may be null, but a list or a map can't.
            assert_eq!(read(named), usual, "{}", field.field);
        }
        assert!(least.as_object().expect("an object").keys().all(|name| field_of(name).is_some()));
    }

    #[test]
    fn names_of_groups_are_those_of_the_json() {
        for group in Group::ALL {
            assert_eq!(serde_json::to_value(group).expect("JSON"), group.as_str());
            assert!(!group.title().is_empty());
        }
    }
}
