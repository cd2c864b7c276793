//! A binding's cross-references, page by page: to look at, or as the module's own mirror, which another service takes over.
//!
//! They are read by the book, kind by kind. What is keyed by an address or a code is left out: addresses are personal data
//! and would stand in the page's mark, and a customer is there by the shop's id as well. A guest's contact is found by its
//! address wherever one moves.

use crate::operate::{Operate, OperateError, invalid};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_domain::document::Kind;
use ledger_wire::rows::{BindingRow, XrefRow, keys};

/// Rows of a page.
pub const EXPORT_PAGE: usize = 100;
/// The columns of the mirror, as the module's table `byte8_entity_sync_state` calls them.
pub const MIRROR_HEADER: &str = "entity_type,magento_id,provider,sync_status,provider_entity_id,provider_reference";
/// Kinds that the shop has an id for, in the order of pages. Stock movements are no documents to look at.
const KINDS: [Kind; 7] =
    [Kind::Contact, Kind::Product, Kind::Invoice, Kind::Payment, Kind::CreditNote, Kind::Allocation, Kind::Refund];

/// A cross-reference with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Id of the thing in the shop; payments are known by their invoice's, allocations and refunds by their memo's.
    pub magento_id: u64,
    /// The contact's currency, where the book has one contact for each.
    pub currency: Option<String>,
    /// The row.
    pub row: XrefRow,
}

/// A page of cross-references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPage {
    /// The rows; none is possible where others follow.
    pub rows: Vec<Exported>,
    /// Where the next page begins; none where this was the last.
    pub next: Option<String>,
}

fn prefix_of(binding: &BindingRow, kind: Kind) -> String {
    match kind {
        Kind::Contact => keys::contacts_by_customer(&binding.book, &binding.tenant),
        Kind::Product
        | Kind::Invoice
        | Kind::Payment
        | Kind::CreditNote
        | Kind::Allocation
        | Kind::Refund
        | Kind::StockMovement => keys::documents(&binding.book, kind.as_str(), &binding.tenant),
    }
}

/// What the rest of a key says: the shop's id, and a currency behind it.
fn read(binding: &BindingRow, prefix: &str, row: XrefRow) -> Option<Exported> {
    let rest = row.pk.strip_prefix(prefix)?;
    let (id, currency) = rest.split_once('#').map_or((rest, None), |(id, currency)| (id, Some(currency)));
    let (magento_id, currency) = (id.parse().ok()?, currency.map(str::to_owned));
    (row.tenant == binding.tenant).then_some(Exported { magento_id, currency, row })
}

impl Operate<'_> {
    /// Cross-references of a binding's documents: contacts by customer id, products, invoices, payments, credit notes,
    /// allocations, refunds. Which there are is eventually consistent, what they say is not. What is written meanwhile may or
    /// may not be met; what was there is.
    ///
    /// # Errors
    /// That there is no such binding, that it has no book, or that `after` is no mark of a page.
    pub async fn export_xrefs(
        &self,
        tenant: &str,
        binding: &str,
        after: Option<&str>,
    ) -> Result<ExportPage, OperateError> {
        let binding = self.binding(tenant, binding).await?;
        if binding.book.is_empty() {
            return Err(OperateError::Refused {
                code: "binding_pending",
                reason: "the binding has no book yet".to_owned(),
            });
        }
        let prefixes = KINDS.map(|kind| prefix_of(&binding, kind));
        let after =
            after.map(|mark| unmarked(mark).ok_or_else(|| invalid("after", "not the mark of a page"))).transpose()?;
        let at = match &after {
            None => 0,
            Some(key) => prefixes
                .iter()
                .position(|prefix| key.starts_with(prefix))
                .ok_or_else(|| invalid("after", "not the mark of a page of this binding"))?,
        };
        let mut page = ExportPage::default();
        let mut after = after;
        for (nth, prefix) in prefixes.iter().enumerate().skip(at) {
            let open = EXPORT_PAGE.saturating_sub(page.rows.len());
            // A mark that names the beginning of a kind is before its first row.
            let key = after.take().filter(|key| key != prefix);
            let found = self.store.xrefs_below(&binding.book, prefix, key.as_deref(), open).await?;
            page.rows.extend(found.rows.into_iter().filter_map(|row| read(&binding, prefix, row)));
            if let Some(next) = found.next {
                page.next = Some(marked(&next));
                break;
            }
            if page.rows.len() >= EXPORT_PAGE {
                page.next = prefixes.get(nth.saturating_add(1)).map(|prefix| marked(prefix));
                break;
            }
        }
        Ok(page)
    }
}

fn marked(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn unmarked(mark: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(mark).ok()?).ok()
}

/// A page as lines of the module's mirror (RFC 4180), without the header: what the book has. The mirror has no line for
/// payments and the like, and one for a customer: contacts of a book that has one for each currency are left out.
#[must_use]
pub fn mirror(provider: &str, page: &ExportPage) -> String {
    let mut lines = String::new();
    for Exported { magento_id, currency, row } in &page.rows {
        let entity = match row.kind.as_str() {
            "invoice" => "invoice",
            "credit_note" => "creditmemo",
            "contact" if currency.is_none() => "customer",
            "product" => "product",
            _ => continue,
        };
        let Some(provider_id) = row.provider_id.as_ref().filter(|_| matches!(row.state.as_str(), "created" | "linked"))
        else {
            continue;
        };
        let cells = [
            entity,
            &magento_id.to_string(),
            provider,
            "synced",
            provider_id,
            row.reference.as_deref().unwrap_or_default(),
        ];
        lines.push_str(&cells.map(cell).join(","));
        lines.push_str("\r\n");
    }
    lines
}

fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(kind: &str, state: &str, provider_id: Option<&str>, reference: Option<&str>) -> Exported {
        let row = XrefRow {
            kind: kind.to_owned(),
            state: state.to_owned(),
            provider_id: provider_id.map(str::to_owned),
            reference: reference.map(str::to_owned),
            ..XrefRow::default()
        };
        Exported { magento_id: 7, currency: None, row }
    }

    #[test]
    fn the_mirror_has_what_the_book_has() {
        let check = |row: Exported, line: &str| {
            let page = ExportPage { rows: vec![row], next: None };
            assert_eq!(mirror("xero", &page).trim_end_matches("\r\n"), line, "{page:?}");
        };
        check(exported("invoice", "linked", Some("i-1"), Some("INV-1")), "invoice,7,xero,synced,i-1,INV-1");
        check(exported("credit_note", "created", Some("c-1"), None), "creditmemo,7,xero,synced,c-1,");
        check(exported("contact", "linked", Some("k-1"), None), "customer,7,xero,synced,k-1,");
        check(
            exported("product", "linked", Some("a,b"), Some("5\" nail")),
            "product,7,xero,synced,\"a,b\",\"5\"\" nail\"",
        );
        check(exported("invoice", "reserved", None, None), "");
        check(exported("invoice", "find_first", Some("i-1"), None), "");
        check(exported("payment", "linked", Some("p-1"), None), "");
        let gbp = Exported { currency: Some("GBP".to_owned()), ..exported("contact", "linked", Some("k-1"), None) };
        check(gbp, "");
    }

    #[test]
    fn a_key_says_what_it_is_about() {
        let binding = BindingRow { book: "xero:1".to_owned(), tenant: "t".to_owned(), ..BindingRow::default() };
        let check = |kind: Kind, pk: &str, tenant: &str, means: Option<(u64, Option<&str>)>| {
            let row = XrefRow { pk: pk.to_owned(), tenant: tenant.to_owned(), ..XrefRow::default() };
            let read = read(&binding, &prefix_of(&binding, kind), row);
            let meant = read.as_ref().map(|it| (it.magento_id, it.currency.as_deref()));
            assert_eq!(meant, means, "{pk}");
        };
        check(Kind::Invoice, "xero:1#invoice#t#42", "t", Some((42, None)));
        check(Kind::Contact, "xero:1#contact#customer#t#5#EUR", "t", Some((5, Some("EUR"))));
        check(Kind::Product, "xero:1#product#t#9", "t", Some((9, None)));
        check(Kind::Product, "xero:1#product#code#9", "t", None);
        check(Kind::Invoice, "xero:1#invoice#u#42", "u", None);
        check(Kind::Invoice, "xero:1#invoice#t#42", "u", None);
    }
}
