//! A run's life in order: delivery, attempts with each step, outcome, chip.

use crate::tables::{document, reason, took};
use crate::text::{milliseconds, offset, pairs};
use ledger_wire::api::{Attempt, Chip, Run, RunDetail, Step};
use std::fmt::Write;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Steps of something are written a level deeper.
    pub depth: usize,
    /// What.
    pub what: String,
    /// How long it took, in milliseconds.
    pub took_ms: Option<i64>,
    /// What else there is to say.
    pub note: String,
}

impl Moment {
    /// Something that happened at once.
    #[must_use]
    pub fn new(at: i64, what: impl Into<String>, note: impl Into<String>) -> Self {
        Self { at, depth: 0, what: what.into(), took_ms: None, note: note.into() }
    }

    /// The same with its duration, in milliseconds.
    #[must_use]
    pub fn taking(mut self, took_ms: i64) -> Self {
        self.took_ms = Some(took_ms);
        self
    }

    fn deeper(mut self) -> Self {
        self.depth = self.depth.saturating_add(1);
        self
    }
}

/// Everything that is known of a run, in order.
#[must_use]
pub fn moments(detail: &RunDetail) -> Vec<Moment> {
    let run = &detail.run;
    let key = format!("Idempotency-Key {}", run.idempotency_key);
    let mut moments = vec![Moment::new(milliseconds(&run.received_at), "delivery received", key)];
    for attempt in &detail.attempts {
        of_attempt(attempt, &mut moments);
    }
    moments.extend(detail.chip.as_ref().and_then(told));
    // Stable: what is of the same millisecond stays in the order above.
    moments.sort_by_key(|moment| moment.at);
    moments.extend(to_come(run));
    moments.extend(detail.chip.as_ref().and_then(to_tell));
    moments
}

fn of_attempt(attempt: &Attempt, moments: &mut Vec<Moment>) {
    let again = match attempt.generation {
        0 | 1 => String::new(),
        generation => format!(", generation {generation}"),
    };
    let settings = match attempt.settings_version {
        0 => String::new(),
        version => format!("settings {version}"),
    };
    let started = milliseconds(&attempt.started_at);
    moments.push(Moment::new(started, format!("attempt {} began{again}", attempt.attempt), settings));
    for step in &attempt.steps {
        let at = started.saturating_add(step.at_ms);
        moments.push(Moment::new(at, step.label.clone(), of_step(step)).taking(step.took_ms).deeper());
    }
    let ended = started.saturating_add(attempt.duration_ms);
    let why =
        [attempt.code.as_deref(), attempt.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let outcome = format!("attempt {}: {}", attempt.attempt, attempt.outcome);
    moments.push(Moment::new(ended, outcome, why).taking(attempt.duration_ms));
    let said = of_answer(attempt);
    if !said.is_empty() {
        moments.push(Moment::new(ended, "the answer", said).deeper());
    }
}

fn of_step(step: &Step) -> String {
    if let Some(code) = &step.skipped {
        return format!("skipped: {code}");
    }
    let parts = [
        Some(step.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())),
        step.provider_id.clone(),
        step.total.clone(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn of_answer(attempt: &Attempt) -> String {
    let parts = [
        attempt.status.map(|status| status.to_string()),
        attempt.provider_code.as_ref().map(|code| format!("code {code}")),
        attempt.field.as_ref().map(|field| format!("field {field}")),
        attempt.request_id.as_ref().map(|id| format!("request {id}")),
        attempt.provider_text.as_ref().map(|text| format!("says {text}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn told(chip: &Chip) -> Option<Moment> {
    let told = chip.chip.as_ref()?;
    Some(Moment::new(milliseconds(chip.pushed_at.as_ref()?), "shop told", format!("chip {told}")))
}

/// What the run is waiting for.
fn to_come(run: &Run) -> Option<Moment> {
    let code = run.code.clone().unwrap_or_default();
    let at = |moment: Option<&String>| milliseconds(moment.unwrap_or(&run.updated_at));
    match run.state.as_str() {
        "queued" => Some(Moment::new(at(None), "queued", "a message is under way")),
        "running" => Some(Moment::new(at(run.due_at.as_ref()), "claim ends", "a worker has the run")),
        "waiting" => Some(Moment::new(at(run.due_at.as_ref()), "to be tried again", code)),
        "held" => Some(Moment::new(at(run.held_since.as_ref()), "held", code)),
        _ => None,
    }
}

/// What the shop doesn't know yet.
fn to_tell(chip: &Chip) -> Option<Moment> {
    let due_at = chip.due_at.as_ref().filter(|_| !chip.up_to_date)?;
    let note = match &chip.code {
        Some(code) => format!("{code}, failed {} times", chip.failures),
        None => String::new(),
    };
    Some(Moment::new(milliseconds(due_at), "shop to be told", note))
}

/// Moments as lines, counted from `origin`.
#[must_use]
pub fn lines(moments: &[Moment], origin: i64) -> String {
    let columns: Vec<[String; 3]> = moments
        .iter()
        .map(|moment| {
            let what = format!("{}{}", "  ".repeat(moment.depth), moment.what);
            [offset(moment.at.saturating_sub(origin)), what, took(moment.took_ms)]
        })
        .collect();
    let [offsets, whats, tooks] = columns.iter().fold([0, 0, 0], |widest: [usize; 3], line| {
        let [offset, what, took] = line.each_ref().map(|text| text.chars().count());
        let [offsets, whats, tooks] = widest;
        [offsets.max(offset), whats.max(what), tooks.max(took)]
    });
    moments.iter().zip(&columns).fold(String::new(), |mut text, (moment, [offset, what, took])| {
        let line = format!("  {offset:>offsets$}  {what:whats$}  {took:>tooks$}  {}", moment.note);
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

/// A run for a person: what it is, how it ended, what to do, and its life.
#[must_use]
pub fn page(detail: &RunDetail) -> String {
    let run = &detail.run;
    let finished = matches!(run.state.as_str(), "succeeded" | "skipped");
    let unverified = run.total_unverified.then(|| "the book's total could not be read".to_owned());
    let remedy = run.remedy.as_ref().map(|remedy| match &run.owner {
        Some(owner) => format!("{owner}: {remedy}"),
        None => remedy.clone(),
    });
    let head = pairs(&[
        ("Run", Some(run.run.clone())),
        ("State", Some(run.state.clone())),
        ("Event", Some(run.event.clone())),
        ("Document", Some(format!("{}, website {}, store {}", document(run), run.website_id, run.store_id))),
        ("Tenant", Some(run.tenant.clone())),
        ("Binding", Some(run.binding.clone())),
        ("Book", run.book.clone()),
        ("In the book", run.provider_id.clone()),
        ("Number", run.provider_reference.clone()),
        ("Link", detail.link.clone()),
        ("Total", unverified),
        ("Code", run.code.clone()),
        ("Reason", reason(run).map(str::to_owned)),
        ("What to do", remedy),
        ("Then", (run.state == "dead_lettered").then(|| format!("ledger runs retry {}", run.run))),
        (
            "Attempts",
            (finished && detail.attempts.is_empty()).then(|| "forgotten: they are kept for 90 days".to_owned()),
        ),
    ]);
    let origin = milliseconds(&run.received_at);
    format!("{head}\nTimeline from {}\n{}", run.received_at, lines(&moments(detail), origin))
}
