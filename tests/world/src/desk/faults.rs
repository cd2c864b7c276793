//! Handling a request with all that can go wrong with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Core, Keeper};
use crate::amount::Amount;
use crate::server::{Answer, Reply, Request};

/// What happens to a request instead of, or besides, being obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum BookFault {
    /// 429 in plain text.
    RateLimited {
        /// `Retry-After` in seconds, if any.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Any answer; a page for people unless a body is given.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: Option<String>,
        /// The body's type; `text/html` by default.
        #[serde(default)]
        content_type: Option<String>,
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
    /// The connection is closed without a word.
    HangUp {
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
    /// The usual answer, late.
    Slow {
        /// How late.
        milliseconds: u64,
        /// Whether the effect comes before the wait.
        #[serde(default)]
        apply_first: bool,
    },
    /// The reply is lost now, and the effect comes later.
    Late {
        /// After that many further requests; none means when it is released.
        #[serde(default)]
        after_requests: Option<u32>,
        /// A status to answer with; none means the connection is closed.
        #[serde(default)]
        status: Option<u16>,
    },
    /// Obeyed, but the total is off by that much.
    WrongTotal {
        /// How much.
        by: Amount,
    },
    /// 401.
    Unauthorized,
    /// 422 with one error, whatever the request says.
    Refused {
        /// The field.
        field: String,
        /// What is wrong with it, without the field's name.
        message: String,
    },
    /// 200 with errors inside; not obeyed.
    ErrorInside,
    /// A success with a body that breaks off.
    Garbage {
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
    /// A success with a body of that size.
    Huge {
        /// How many bytes.
        bytes: usize,
        /// Whether the request is obeyed all the same.
        #[serde(default)]
        apply: bool,
    },
}

impl BookFault {
    /// A page for people with that status, the request obeyed or not.
    #[must_use]
    pub fn page(status: u16, apply: bool) -> Self {
        Self::Answer { status, body: None, content_type: None, apply }
    }

    /// What a token endpoint says to a grant that is none.
    #[must_use]
    pub fn invalid_grant() -> Self {
        Self::Answer {
            status: 400,
            body: Some("{\"error\":\"invalid_grant\"}".to_owned()),
            content_type: Some("application/json".to_owned()),
            apply: false,
        }
    }

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Answer { .. } => "answer",
            Self::HangUp { .. } => "hang_up",
            Self::Slow { .. } => "slow",
            Self::Late { .. } => "late",
            Self::WrongTotal { .. } => "wrong_total",
            Self::Unauthorized => "unauthorized",
            Self::Refused { .. } => "refused",
            Self::ErrorInside => "error_inside",
            Self::Garbage { .. } => "garbage",
            Self::Huge { .. } => "huge",
        }
    }
}

/// A fault for the next requests that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSpec {
    /// `GET`, `POST`, `PUT`; none means any.
    #[serde(default)]
    pub method: Option<String>,
    /// What the path begins with, e.g. `/v2/invoices`.
    #[serde(default)]
    pub path: String,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// For how many requests; 1 by default.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    #[serde(flatten)]
    pub fault: BookFault,
}

fn once() -> u32 {
    1
}

impl FaultSpec {
    /// For the next `times` requests of that method to paths that begin so.
    #[must_use]
    pub fn on(method: &str, path: &str, times: u32, fault: BookFault) -> Self {
        Self { method: Some(method.to_owned()), path: path.to_owned(), skip: 0, times, fault }
    }

    /// Only after that many matching requests have passed.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>We're sorry, but something went wrong.</h1></body></html>";

/// A request whose reply is lost already and whose effect is still to come.
#[derive(Clone, Debug)]
pub(crate) struct LateWrite {
    request: Request,
    /// After how many further requests; none means when it is released.
    after: Option<u32>,
}

pub(crate) async fn answer<K: Keeper>(core: Core<K>, request: Request) -> Reply {
    let (number, latency, fault) = {
        let number = core.log().starts(&request);
        let mut store = core.store();
        let desk = store.desk();
        desk.under_way = desk.under_way.saturating_add(1);
        (number, desk.latency_milliseconds, take(&mut desk.faults, &request))
    };
    note(&core, number, &request, fault.as_ref());
    let half = Duration::from_millis(latency / 2);
    wait(half).await;
    let reply = meet(&core, &request, fault).await;
    wait(half).await;
    core.log().finishes(number, &reply);
    let mut store = core.store();
    let desk = store.desk();
    desk.under_way = desk.under_way.saturating_sub(1);
    count_down(&mut *store);
    drop(store);
    reply
}

/// Answers in process, as often as somebody likes: without a log and without latency. Of faults, only those happen that
/// are an answer: nobody hangs up, and nothing is late.
pub(crate) fn answer_at_once<K: Keeper>(core: &Core<K>, request: &Request) -> Answer {
    let mut store = core.store();
    let fault = take(&mut store.desk().faults, request);
    match fault {
        None
        | Some(BookFault::HangUp { .. } | BookFault::Slow { .. } | BookFault::Late { .. } | BookFault::Huge { .. }) => {
            store.serves(request)
        }
        Some(fault) => answer_of(&mut *store, request, fault),
    }
}

/// The answer of a fault that is one.
fn answer_of<K: Keeper>(store: &mut K, request: &Request, fault: BookFault) -> Answer {
    match fault {
        BookFault::RateLimited { retry_after } => store.too_many(retry_after),
        BookFault::Answer { status, body, content_type, apply } => {
            if apply {
                store.serves(request);
            }
            let body = body.unwrap_or_else(|| PAGE.to_owned());
            let answer = Answer::new(status, content_type.as_deref().unwrap_or("text/html; charset=utf-8"), body);
            store.answers_instead(request, &answer);
            answer
        }
        BookFault::WrongTotal { by } => {
            store.desk().total_shift = by.decimal().unwrap_or_default();
            let answer = store.obey(request);
            store.desk().total_shift = rust_decimal::Decimal::ZERO;
            answer
        }
        BookFault::Unauthorized => store.unauthorized(),
        BookFault::Refused { field, message } => store.refused(&field, &message),
        BookFault::ErrorInside => Answer::json(200, &store.error_inside()),
        BookFault::Garbage { apply } => {
            if apply {
                store.serves(request);
            }
            Answer::new(201, "application/json", store.garbage())
        }
        BookFault::Huge { bytes, apply } => {
            if apply {
                store.serves(request);
            }
            Answer::json(200, &json!({"padding": "x".repeat(bytes)}))
        }
        BookFault::HangUp { .. } | BookFault::Slow { .. } | BookFault::Late { .. } => store.serves(request),
    }
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn note<K: Keeper>(core: &Core<K>, number: u64, request: &Request, fault: Option<&BookFault>) {
    let unknown = request.json().map(|body| core.store().unknown_fields(&body)).unwrap_or_default();
    if let Some(entry) = core.log().entry(number) {
        entry.fault = fault.map(|fault| fault.name().to_owned());
        entry.unknown_fields = unknown;
    }
}

fn take(faults: &mut Vec<FaultSpec>, request: &Request) -> Option<BookFault> {
    let fault = faults.iter_mut().find(|fault| {
        fault.times > 0
            && fault.method.as_ref().is_none_or(|method| *method == request.method)
            && request.path.starts_with(&fault.path)
    })?;
    if fault.skip > 0 {
        fault.skip = fault.skip.saturating_sub(1);
        return None;
    }
    fault.times = fault.times.saturating_sub(1);
    let taken = fault.fault.clone();
    faults.retain(|fault| fault.times > 0);
    Some(taken)
}

async fn meet<K: Keeper>(core: &Core<K>, request: &Request, fault: Option<BookFault>) -> Reply {
    let obey = |apply: bool| apply.then(|| core.store().serves(request));
    match fault {
        None => core.store().serves(request).into(),
        Some(BookFault::HangUp { apply }) => {
            obey(apply);
            Reply::HangUp
        }
        Some(BookFault::Slow { milliseconds, apply_first }) => {
            let early = obey(apply_first);
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            early.unwrap_or_else(|| core.store().serves(request)).into()
        }
        Some(BookFault::Late { after_requests, status }) => {
            // The request that is being handled counts down too, once it is over.
            let after = after_requests.map(|requests| requests.saturating_add(1));
            core.store().desk().late.push(LateWrite { request: request.clone(), after });
            status.map_or(Reply::HangUp, |status| Answer::new(status, "text/html; charset=utf-8", PAGE).into())
        }
        Some(fault) => answer_of(&mut *core.store(), request, fault).into(),
    }
}

fn count_down<K: Keeper>(store: &mut K) {
    let mut due = Vec::new();
    store.desk().late.retain_mut(|write| {
        let Some(left) = write.after else { return true };
        let left = left.saturating_sub(1);
        write.after = Some(left);
        if left == 0 {
            due.push(write.request.clone());
        }
        left > 0
    });
    for request in due {
        store.serves(&request);
    }
}

/// Lets everything land that is still to come; returns the statuses nobody will see.
pub(crate) fn release<K: Keeper>(store: &mut K) -> Vec<u16> {
    let late = std::mem::take(&mut store.desk().late);
    late.into_iter().map(|write| store.serves(&write.request).status).collect()
}
