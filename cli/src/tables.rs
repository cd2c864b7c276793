//! Tables for people.

use crate::text::{duration, short_moment};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use ledger_wire::api::{
    Binding, BookRefusal, BookRefusals, Cause, Causes, CodeEntry, Codes, NoticeSettings, Recipient, Run, ToldTrouble,
};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns of text that a table takes at most; longer cells are broken into lines.
const WIDTH: u16 = 130;

/// A table with a header and no lines. Columns in `right` hold figures; those in `broken` hold sentences that may be
/// broken into lines, the others never are.
#[must_use]
pub fn table(header: &[&str], rows: Vec<Vec<String>>, right: &[usize], broken: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.to_vec()).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if !broken.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.trim_fmt()
}

/// What a run is about: `invoice 42`, with the shop's number where the event told it.
#[must_use]
pub fn document(run: &Run) -> String {
    let entity = run.event.split('.').next().unwrap_or_default();
    match &run.increment_id {
        Some(number) => format!("{entity} {} ({number})", run.magento_id),
        None => format!("{entity} {}", run.magento_id),
    }
}

/// Why a run stands as it does, where that says more than what to do about its code.
pub(crate) fn reason(run: &Run) -> Option<&str> {
    run.message.as_deref().filter(|message| Some(*message) != run.remedy.as_deref())
}

/// Runs, one a line.
#[must_use]
pub fn runs(runs: &[Run]) -> String {
    let row = |run: &Run| {
        vec![
            run.run.clone(),
            run.state.clone(),
            run.event.clone(),
            document(run),
            short_moment(&run.received_at),
            run.attempt.to_string(),
            run.code.clone().or_else(|| run.provider_reference.clone()).unwrap_or_default(),
        ]
    };
    let header = ["RUN", "STATE", "EVENT", "DOCUMENT", "RECEIVED", "ATTEMPTS", "CODE OR NUMBER"];
    table(&header, runs.iter().map(row).collect(), &[5], &[])
}

/// Runs that stand still: first why, whose it is and what to do, then which.
#[must_use]
pub fn standing_still(what: &str, found: &Causes) -> String {
    if found.runs.is_empty() {
        return format!("No {what}.");
    }
    let cause = |cause: &Cause| {
        vec![
            cause.code.clone(),
            cause.family.clone().unwrap_or_default(),
            cause.owner.clone().unwrap_or_default(),
            cause.runs.to_string(),
            short_moment(&cause.oldest),
            cause.remedy.clone().unwrap_or_else(|| "Not known to this version of `ledger`.".to_owned()),
        ]
    };
    let row = |run: &Run| {
        vec![
            run.run.clone(),
            document(run),
            short_moment(run.held_since.as_ref().unwrap_or(&run.updated_at)),
            run.code.clone().unwrap_or_default(),
            reason(run).unwrap_or_default().to_owned(),
        ]
    };
    let causes = table(
        &["CAUSE", "FAMILY", "OWNER", "RUNS", "OLDEST", "WHAT TO DO"],
        found.causes.iter().map(cause).collect(),
        &[3],
        &[5],
    );
    let mut by_tenant: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
    for run in &found.runs {
        by_tenant.entry(&run.tenant).or_default().push(row(run));
    }
    let tenants = by_tenant.into_iter().fold(String::new(), |mut text, (tenant, rows)| {
        let rows = table(&["RUN", "DOCUMENT", "SINCE", "CAUSE", "WHY"], rows, &[], &[4]);
        let _ = write!(text, "\n\nTenant {tenant}\n{rows}");
        text
    });
    format!("{causes}{tenants}\n\n`ledger runs show RUN` has the whole story, `ledger runs retry RUN` tries again.")
}

/// Refusals that no rule recognised, the most frequent first.
pub(crate) fn refusals(found: &BookRefusals) -> String {
    if found.refusals.is_empty() {
        return "No refusals that no rule recognised.".to_owned();
    }
    let row = |it: &BookRefusal| {
        vec![
            it.provider.clone(),
            it.status.to_string(),
            it.provider_code.clone().unwrap_or_default(),
            it.field.clone().unwrap_or_default(),
            it.count.to_string(),
            short_moment(&it.first_at),
            short_moment(&it.last_at),
            it.run.clone().unwrap_or_default(),
        ]
    };
    let header = ["PROVIDER", "STATUS", "CODE", "FIELD", "COUNT", "FIRST", "LATEST", "RUN OF THE LATEST"];
    table(&header, found.refusals.iter().map(row).collect(), &[1, 4], &[])
}

/// Who is told, and of what.
pub(crate) fn notices(settings: &NoticeSettings) -> String {
    let recipient = |it: &Recipient| {
        vec![it.id.clone(), it.role.clone(), it.way.clone(), it.url.clone().unwrap_or_else(|| "the topic".to_owned())]
    };
    let told = |it: &ToldTrouble| vec![it.kind.clone(), it.code.clone(), short_moment(&it.since)];
    let mut text = if settings.recipients.is_empty() {
        "Nobody is told.".to_owned()
    } else {
        let header = ["RECIPIENT", "ROLE", "WAY", "ADDRESS"];
        table(&header, settings.recipients.iter().map(recipient).collect(), &[], &[])
    };
    let _ = write!(text, "\n\nDigest at {} UTC; on their way: {}.", settings.digest_at, settings.on_their_way);
    if !settings.told.is_empty() {
        let rows = table(&["TOLD", "CODE", "SINCE"], settings.told.iter().map(told).collect(), &[], &[]);
        let _ = write!(text, "\n\n{rows}");
    }
    text
}

/// Every code.
pub(crate) fn codes(found: &Codes) -> String {
    let row = |it: &CodeEntry| {
        vec![it.code.clone(), it.family.clone(), it.owner.clone(), it.meaning.clone(), it.remedy.clone()]
    };
    let header = ["CODE", "FAMILY", "OWNER", "MEANING", "WHAT TO DO"];
    table(&header, found.codes.iter().map(row).collect(), &[], &[3, 4])
}

/// A binding's status, with its mode where it is not simply at work.
pub(crate) fn standing(row: &Binding) -> String {
    match row.mode.as_str() {
        "" | "live" => match &row.paused_until {
            Some(until) => format!("{}, its book paused until {}", row.status, short_moment(until)),
            None => row.status.clone(),
        },
        mode => format!("{}, {mode}", row.status),
    }
}

/// Bindings, one a line.
pub(crate) fn bindings(bindings: &[Binding]) -> String {
    let row = |row: &Binding| {
        vec![
            row.binding.clone(),
            row.provider.clone(),
            row.dialect.clone().unwrap_or_default(),
            standing(row),
            row.book.clone().unwrap_or_default(),
            row.base_url.clone().unwrap_or_default(),
            row.connected_at.as_deref().map(short_moment).unwrap_or_default(),
        ]
    };
    let header = ["BINDING", "PROVIDER", "DIALECT", "STATUS", "BOOK", "ADDRESS", "CONNECTED"];
    table(&header, bindings.iter().map(row).collect(), &[], &[])
}

/// How long something took, where that is known.
pub(crate) fn took(milliseconds: Option<i64>) -> String {
    milliseconds.map(duration).unwrap_or_default()
}
