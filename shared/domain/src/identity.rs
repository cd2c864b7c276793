//! Names of things: tenants, bindings, books, runs, and the keys under which documents are remembered.

use ring::digest;
use std::fmt;

/// Characters a tenant, binding or organisation id may have besides letters and digits. `#` separates key parts.
const ID_PUNCTUATION: &str = "-_.:/";
/// Longest tenant, binding or book id, in characters: together with an entity they fit a queue's group id (128).
pub const ID_LENGTH_MAX: usize = 64;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads an id; `None` where it is empty, too long or has a character that keys can't carry.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let legal = |character: char| character.is_ascii_alphanumeric() || ID_PUNCTUATION.contains(character);
                (!text.is_empty() && text.len() <= ID_LENGTH_MAX && text.chars().all(legal))
                    .then(|| Self(text.to_owned()))
            }

            /// The id's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// One shop's account with us.
    TenantId
);
text_id!(
    /// A tenant's link to a book, with its settings.
    BindingId
);
text_id!(
    /// One organisation in a provider: provider key, colon, organisation id.
    BookId
);

impl BindingId {
    /// The id of a tenant's nth binding to a provider: two who make it at once make the same one.
    #[must_use]
    pub fn derive(tenant: &TenantId, provider: Provider, nth: usize) -> Self {
        let nth = u64::try_from(nth).unwrap_or(u64::MAX).to_be_bytes();
        let hash = fingerprint(&[b"binding", tenant.as_str().as_bytes(), provider.as_str().as_bytes(), &nth]);
        Self(uuid_of(hash))
    }
}

impl BookId {
    /// The book of an organisation; `None` where the organisation id can't be part of a key.
    #[must_use]
    pub fn of(provider: Provider, organisation: &str) -> Option<Self> {
        Self::parse(&format!("{}:{organisation}", provider.as_str()))
    }
}

/// An accounting package, by the key that the shop's modules use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Xero.
    Xero,
    /// Sage Accounting.
    SageAccounting,
    /// FreeAgent.
    Freeagent,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Xero, Self::SageAccounting, Self::Freeagent];

    /// The key on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xero => "xero",
            Self::SageAccounting => "sage_accounting",
            Self::Freeagent => "freeagent",
        }
    }

    /// The provider of a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == text)
    }
}

/// What happened in the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// An invoice was raised.
    InvoiceCreated,
    /// An invoice became paid.
    InvoicePaid,
    /// A credit memo was saved.
    CreditmemoCreated,
    /// A customer was saved.
    CustomerUpserted,
    /// A product or its stock was saved.
    ProductUpserted,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 5] = [
        Self::InvoiceCreated,
        Self::InvoicePaid,
        Self::CreditmemoCreated,
        Self::CustomerUpserted,
        Self::ProductUpserted,
    ];

    /// The event's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvoiceCreated => "invoice.created",
            Self::InvoicePaid => "invoice.paid",
            Self::CreditmemoCreated => "creditmemo.created",
            Self::CustomerUpserted => "customer.upserted",
            Self::ProductUpserted => "product.upserted",
        }
    }

    /// The event of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }

    /// True where one idempotency key stands for many edits, so that the body is part of the run's identity.
    #[must_use]
    pub const fn repeats_under_one_key(self) -> bool {
        matches!(self, Self::CustomerUpserted | Self::ProductUpserted)
    }

    /// What the shop shows a chip for.
    #[must_use]
    pub const fn entity(self) -> Entity {
        match self {
            Self::InvoiceCreated | Self::InvoicePaid => Entity::Invoice,
            Self::CreditmemoCreated => Entity::Creditmemo,
            Self::CustomerUpserted => Entity::Customer,
            Self::ProductUpserted => Entity::Product,
        }
    }
}

/// A Magento entity that carries a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// An invoice, with its payment.
    Invoice,
    /// A credit memo.
    Creditmemo,
    /// A customer.
    Customer,
    /// A product.
    Product,
}

impl Entity {
    /// Every entity.
    pub const ALL: [Self; 4] = [Self::Invoice, Self::Creditmemo, Self::Customer, Self::Product];

    /// The entity type on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Creditmemo => "creditmemo",
            Self::Customer => "customer",
            Self::Product => "product",
        }
    }

    /// The entity of a type name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entity| entity.as_str() == text)
    }
}

/// SHA-256 of parts, each preceded by its length, so that no two lists of parts give the same bytes.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0_u8; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A hash in the form of a UUID, version 8.
fn uuid_of(hash: [u8; 32]) -> String {
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// The identity of the work that a delivery asks for: the same delivery always gets the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// Derives the id from what a delivery says. `body` counts only where one key stands for many edits.
    #[must_use]
    pub fn derive(binding: &BindingId, event: Event, idempotency_key: &str, body: &[u8]) -> Self {
        let body = if event.repeats_under_one_key() { body } else { &[] };
        let hash =
            fingerprint(&[binding.as_str().as_bytes(), event.as_str().as_bytes(), idempotency_key.as_bytes(), body]);
        Self(uuid_of(hash))
    }

    /// Reads an id; `None` where it is not a UUID in its usual form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?;
        let usual = id.to_string();
        (usual == text).then_some(Self(usual))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An e-mail address as an identity: trimmed and in lower case.
#[must_use]
pub fn normalised_email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (name, host) = text.rsplit_once('@')?;
    (!name.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace) && !text.contains('#'))
        .then(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> BindingId {
        BindingId::parse("b-1").unwrap()
    }

    #[test]
    fn the_same_delivery_has_the_same_run() {
        let id = |event, key: &str, body: &[u8]| RunId::derive(&binding(), event, key, body);
        assert_eq!(
            id(Event::InvoiceCreated, "invoice.created:42", b"{}"),
            id(Event::InvoiceCreated, "invoice.created:42", b"{ }")
        );
        assert_ne!(
            id(Event::CustomerUpserted, "customer.upserted:17", b"{}"),
            id(Event::CustomerUpserted, "customer.upserted:17", b"{ }")
        );
        assert_ne!(
            id(Event::InvoiceCreated, "invoice.created:42", b""),
            id(Event::InvoicePaid, "invoice.created:42", b"")
        );
        let run = id(Event::InvoiceCreated, "invoice.created:42", b"");
        assert_eq!(RunId::parse(run.as_str()), Some(run));
    }

    #[test]
    fn each_provider_has_a_binding_of_its_own() {
        let id = |tenant: &str, provider, nth| BindingId::derive(&TenantId::parse(tenant).unwrap(), provider, nth);
        let first = id("t-1", Provider::Xero, 0);
        assert_eq!(first, id("t-1", Provider::Xero, 0));
        assert_eq!(BindingId::parse(first.as_str()), Some(first.clone()));
        for other in [id("t-2", Provider::Xero, 0), id("t-1", Provider::Freeagent, 0), id("t-1", Provider::Xero, 1)] {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn ids_cannot_carry_a_key_separator() {
        assert_eq!(TenantId::parse("a#b"), None);
        assert_eq!(TenantId::parse(""), None);
        assert_eq!(
            TenantId::parse("tenant/with.slash_2").map(|id| id.to_string()).as_deref(),
            Some("tenant/with.slash_2")
        );
        assert_eq!(normalised_email(" Jane@Example.COM "), Some("jane@example.com".to_owned()));
        assert_eq!(normalised_email("nobody"), None);
    }
}
