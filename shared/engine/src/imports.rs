//! The module's own mirror of what is synced, taken over: a shop that moves here from another service keeps what that one
//! has posted, without doubles. Rows are linked only where nothing is known yet.

use crate::operate::{Operate, OperateError, invalid};
use crate::ports::{Expect, XrefWrite};
use crate::preview::{empty_row, reverse_of};
use crate::tenants::context_of;
use ledger_domain::document::Kind;
use ledger_wire::rows::{XrefRow, keys};
use std::collections::BTreeMap;

/// Most lines of one piece, the header apart.
pub const LINES_MAX: usize = 500;
/// Clashes that are told.
const CLASHES_MAX: usize = 100;

/// A line that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportClash {
    /// The line, the header being the first.
    pub line: u64,
    /// `unreadable_line`, `unreadable_id`, `contact_currency_unknown`, `linked_to_another` or `document_of_another`.
    pub code: &'static str,
}

/// What became of a mirror's lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Linked, or to be linked where nothing was to be written.
    pub taken: u64,
    /// Linked like this before.
    pub there: u64,
    /// Of another provider, not synced, or without an id.
    pub passed: u64,
    /// Not taken.
    pub clashes: Vec<ImportClash>,
}

impl ImportReport {
    fn clashes_at(&mut self, line: u64, code: &'static str) {
        if self.clashes.len() < CLASHES_MAX {
            self.clashes.push(ImportClash { line, code });
        }
    }
}

/// What a line links.
struct Link {
    line: u64,
    kind: Kind,
    key: String,
    provider_id: String,
    reference: Option<String>,
}

impl Operate<'_> {
    /// Takes over the module's table `byte8_entity_sync_state` as CSV with a header: `entity_type`, `magento_id`,
    /// `provider`, `provider_entity_id`, and `sync_status`, `provider_reference` where they are there. Only lines that are
    /// synced with the binding's provider count. `dry` writes nothing.
    ///
    /// # Errors
    /// What is wrong with the header or the number of lines; that there is no such binding, or that it has no book.
    pub async fn import_xrefs(
        &self,
        tenant: &str,
        binding: &str,
        csv: &str,
        dry: bool,
    ) -> Result<ImportReport, OperateError> {
        let binding = self.binding(tenant, binding).await?;
        let dialect = ledger_dialects::dialect(&binding.dialect).filter(|_| !binding.book.is_empty());
        let dialect = dialect.ok_or(OperateError::Refused {
            code: "binding_pending",
            reason: "the binding has no book yet".to_owned(),
        })?;
        let context = context_of(&binding);
        let mut records = records(csv).into_iter();
        let header = records.next().ok_or_else(|| invalid("csv", "there is no header"))?;
        let column = |name: &str| header.iter().position(|it| it.trim() == name);
        let needed = |name: &str| column(name).ok_or_else(|| invalid("csv", format!("the header lacks {name}")));
        let (entity, id, provider, provider_id) =
            (needed("entity_type")?, needed("magento_id")?, needed("provider")?, needed("provider_entity_id")?);
        let (status, reference) = (column("sync_status"), column("provider_reference"));
        let records: Vec<Vec<String>> = records.collect();
        if records.len() > LINES_MAX {
            return Err(invalid("csv", format!("more than {LINES_MAX} lines: send it in pieces")));
        }
        let mut report = ImportReport::default();
        let mut links = Vec::new();
        for (line, record) in (2_u64..).zip(&records) {
            let cell = |at: usize| record.get(at).map(|cell| cell.trim()).filter(|cell| *cell != "NULL");
            let told = cell(provider_id).unwrap_or_default();
            let synced = status.is_none_or(|at| cell(at) == Some("synced"));
            if cell(provider) != Some(binding.provider.as_str()) || !synced || told.is_empty() {
                report.passed = report.passed.saturating_add(1);
                continue;
            }
            let kind = match cell(entity) {
                Some("invoice") => Kind::Invoice,
                Some("creditmemo") => Kind::CreditNote,
                Some("customer") => Kind::Contact,
                Some("product") => Kind::Product,
                _ => {
                    report.clashes_at(line, "unreadable_line");
                    continue;
                }
            };
            let Some(magento_id) = cell(id).and_then(|id| id.parse::<u64>().ok()).filter(|id| *id > 0) else {
                report.clashes_at(line, "unreadable_line");
                continue;
            };
            if kind == Kind::Contact && dialect.profile().rules.contact_per_currency {
                report.clashes_at(line, "contact_currency_unknown");
                continue;
            }
            let Some(provider_id) = dialect.provider_id(kind, told, &context) else {
                report.clashes_at(line, "unreadable_id");
                continue;
            };
            let key = match kind {
                Kind::Contact => keys::contact_by_customer(&binding.book, tenant, magento_id, None),
                Kind::Product
                | Kind::Invoice
                | Kind::Payment
                | Kind::CreditNote
                | Kind::Allocation
                | Kind::Refund
                | Kind::StockMovement => keys::document(&binding.book, kind.as_str(), tenant, magento_id),
            };
            let reference = reference.and_then(cell).filter(|text| !text.is_empty()).map(str::to_owned);
            links.push(Link { line, kind, key, provider_id, reference });
        }
        let keys: Vec<String> = links.iter().map(|link| link.key.clone()).collect();
        let there = self.store.xrefs(&keys).await?;
        for link in links {
            self.take_over(&binding, &there, link, dry, &mut report).await?;
        }
        Ok(report)
    }

    async fn take_over(
        &self,
        binding: &ledger_wire::rows::BindingRow,
        there: &BTreeMap<String, XrefRow>,
        link: Link,
        dry: bool,
        report: &mut ImportReport,
    ) -> Result<(), OperateError> {
        if let Some(row) = there.get(&link.key) {
            if row.provider_id.as_ref() == Some(&link.provider_id) {
                report.there = report.there.saturating_add(1);
            } else {
                report.clashes_at(link.line, "linked_to_another");
            }
            return Ok(());
        }
        let now = self.clock.now_ms();
        let row = XrefRow {
            state: "linked".to_owned(),
            provider_id: Some(link.provider_id.clone()),
            reference: link.reference,
            adopted: !link.kind.is_money(),
            told: true,
            revision: 1,
            updated_at: now,
            ..empty_row(binding, &link.key, link.kind)
        };
        let mut writes = vec![XrefWrite { row, expect: Expect::Absent }];
        if link.kind.is_money() {
            writes.push(reverse_of(binding, link.kind, &link.provider_id, &link.key, now));
        }
        if dry {
            report.taken = report.taken.saturating_add(1);
            return Ok(());
        }
        match self.store.write_xrefs(&writes).await? {
            None => report.taken = report.taken.saturating_add(1),
            Some(key) if key == link.key => report.clashes_at(link.line, "linked_to_another"),
            Some(_) => report.clashes_at(link.line, "document_of_another"),
        }
        Ok(())
    }
}

/// Records of a CSV text (RFC 4180): quoted cells may hold commas, quotes and line ends. Empty lines are none.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = csv.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            '\r' if !quoted => {}
            letter => cell.push(letter),
        }
    }
    record.push(cell);
    records.push(record);
    records.retain(|record| record.iter().any(|cell| !cell.trim().is_empty()));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_read_as_spreadsheets_write_it() {
        let read = records("\u{feff}a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n\r\n2,\n");
        assert_eq!(read, [vec!["a", "b"], vec!["1", "x, \"y\"\nz"], vec!["2", ""]]);
    }
}
