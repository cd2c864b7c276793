//! The law for a dialect, whoever wrote it: whatever a book answers, the dialect says the same to the same, creates once,
//! creates nothing from what is there, only reads when it looks, and takes no unknown answer for a success.

use crate::seed::Seed;
use ledger_dialects::{Context, Dialect, Labelled, Reply, Start, Step};
use ledger_domain::document::{Document, Kind, Posted};
use ledger_domain::fault::{Action, Fault};

/// Most steps that are followed.
const STEPS_MAX: usize = 40;
/// Most creating calls: a refused one may be followed by a corrected one.
const CREATES_MAX: usize = 3;
/// Longest body of bytes that mean nothing.
const NOISE_MAX: u64 = 200;
/// How deep the deepest body is.
const DEPTH: usize = 2_000;

/// Statuses that books and what stands before them answer with.
const STATUSES: [u16; 16] = [200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504];

/// Holds a dialect to the law with so many random conversations about its documents.
///
/// # Errors
/// How it broke it, and after which answers.
pub fn holds(
    dialect: &dyn Dialect,
    context: &Context,
    documents: &[Document],
    bodies: &[Vec<u8>],
    conversations: u64,
) -> Result<(), String> {
    for number in 0..conversations {
        let mut seed = Seed::of(number);
        let Some(document) = seed.one_of(documents) else { return Err("no documents".to_owned()) };
        let told = |what: String| format!("{}, conversation {number}: {what}", dialect.profile().name);
        let there = Posted { provider_id: random_id(&mut seed), reference: None, total: None };
        let start = match seed.between(0, 3) {
            0 => Start::Linked(there),
            1 if matches!(document.kind(), Kind::Contact | Kind::Product) => Start::Outdated(there),
            _ => Start::Fresh,
        };
        let posted = random_id(&mut seed);
        converses(dialect, context, document, &start, &posted, &mut || reply(&mut seed, bodies)).map_err(told)?;
    }
    Ok(())
}

/// Holds a dialect to the law in one conversation: posting a document, looking for it, asking what is left of `posted`.
///
/// # Errors
/// How it broke it, and after which answers.
pub fn converses(
    dialect: &dyn Dialect,
    context: &Context,
    document: &Document,
    start: &Start,
    posted: &str,
    replies: &mut dyn FnMut() -> Reply,
) -> Result<(), String> {
    posts(dialect, context, document, start, replies)?;
    looks(|seen| dialect.find(document, context, seen), replies)?;
    for kind in [Kind::Invoice, Kind::CreditNote] {
        looks(|seen| dialect.balance(kind, posted, context, seen), replies)?;
    }
    classifies(dialect, &replies())
}

fn random_id(seed: &mut Seed) -> String {
    seed.one_of(&["1", "", "../1", "7f3c9a52-1d04-4b7e-9c11-0c5f6e2d8a10", "https://example.com/v2/invoices/1"])
        .map_or_else(String::new, |id| (*id).to_owned())
}

/// Any answer: of those that the book really gives, bodies that mean nothing, and bodies that break parsers.
fn reply(seed: &mut Seed, bodies: &[Vec<u8>]) -> Reply {
    let status = seed.one_of(&STATUSES).copied().unwrap_or(500);
    let body = match seed.between(0, 7) {
        0 => Vec::new(),
        1 => b"{}".to_vec(),
        2 => b"<html>504</html>".to_vec(),
        3 => "[".repeat(DEPTH).into_bytes(),
        4 => {
            let length = seed.between(0, NOISE_MAX);
            (0..length).map(|_| u8::try_from(seed.between(0, 255)).unwrap_or_default()).collect()
        }
        5 => {
            // One that breaks off.
            let body = seed.one_of(bodies).cloned().unwrap_or_default();
            let cut =
                usize::try_from(seed.between(0, u64::try_from(body.len()).unwrap_or_default())).unwrap_or_default();
            body.get(..cut).map(<[u8]>::to_vec).unwrap_or_default()
        }
        _ => seed.one_of(bodies).cloned().unwrap_or_default(),
    };
    Reply { status, body, ..Reply::default() }
}

fn posts(
    dialect: &dyn Dialect,
    context: &Context,
    document: &Document,
    start: &Start,
    replies: &mut dyn FnMut() -> Reply,
) -> Result<(), String> {
    let mut seen: Vec<Labelled> = Vec::new();
    let mut creates: Vec<usize> = Vec::new();
    for _ in 0..STEPS_MAX {
        let step = dialect.post(document, context, start, &seen);
        if step != dialect.post(document, context, start, &seen) {
            return Err(format!("another step from the same arguments, after {seen:?}"));
        }
        let label = match step {
            Err(_) => return Ok(()),
            Ok(Step::Done(posted)) => {
                let is_named = !posted.provider_id.trim().is_empty() || *start != Start::Fresh;
                return is_named.then_some(()).ok_or_else(|| format!("done without an id, after {seen:?}"));
            }
            Ok(Step::Read(label, _) | Step::Change(label, _)) => label,
            Ok(Step::Create(label, call)) => {
                let refused = creates.last().is_none_or(|at| {
                    seen.get(*at).is_some_and(|it| dialect.classify(&it.reply, true).action == Action::Refused)
                });
                if *start != Start::Fresh || creates.len() >= CREATES_MAX || !refused {
                    return Err(format!("a create too many, after {seen:?}"));
                }
                if call.body.is_none() {
                    return Err("a create without a body".to_owned());
                }
                creates.push(seen.len());
                label
            }
        };
        seen.push(Labelled { label, reply: replies() });
    }
    Err(format!("no end after {STEPS_MAX} steps"))
}

fn looks<T: PartialEq>(
    next: impl Fn(&[Labelled]) -> Result<Step<T>, Fault>,
    replies: &mut dyn FnMut() -> Reply,
) -> Result<(), String> {
    let mut seen: Vec<Labelled> = Vec::new();
    for _ in 0..STEPS_MAX {
        let step = next(&seen);
        if step != next(&seen) {
            return Err(format!("another question from the same arguments, after {seen:?}"));
        }
        match step {
            Err(_) | Ok(Step::Done(_)) => return Ok(()),
            Ok(Step::Read(label, _)) => seen.push(Labelled { label, reply: replies() }),
            Ok(Step::Create(label, _) | Step::Change(label, _)) => {
                return Err(format!("looking wanted to write: {label}"));
            }
        }
    }
    Err(format!("no end of questions after {STEPS_MAX}"))
}

/// Unknown is never success: doubtful to a write, later to a read.
fn classifies(dialect: &dyn Dialect, reply: &Reply) -> Result<(), String> {
    if (500..600).contains(&reply.status) {
        let (to_write, to_read) = (dialect.classify(reply, true).action, dialect.classify(reply, false).action);
        if to_write != Action::Doubtful {
            return Err(format!("{} to a write is {to_write:?}", reply.status));
        }
        if !matches!(to_read, Action::Later { .. }) {
            return Err(format!("{} to a read is {to_read:?}", reply.status));
        }
    }
    if dialect.classify(&Reply { status: 401, ..Reply::default() }, false).action != Action::Reconnect {
        return Err("a 401 does not ask for another grant".to_owned());
    }
    Ok(())
}
