//! The ways out of a function: to books, to shops, to providers' OAuth addresses. Nobody listens on a port: requests travel
//! in simulated time, arrive whether or not their sender still lives, and are answered by the stand-ins in this process.

use crate::faults::{BookTrouble, Fault, ShopTrouble, Writes};
use crate::room::{Door, Room, Side};
use crate::time::Moment;
use crate::world::{Latency, Stage, Volume};
use async_trait::async_trait;
use base64::Engine as _;
use ledger_conformance::drive::Stranger as _;
use ledger_engine::dialects::{REPLY_HEADERS, Reply};
use ledger_engine::jwt::{self, PURPOSE_TO_SHOP};
use ledger_engine::ports::{
    Access, Ask, Authorities, AuthorityCall, Book, BookCall, PairCall, Shop, ShopCall, TransportFault,
};
use ledger_world::book::{BookFault, FaultSpec};
use ledger_world::server::{Answer, Request, percent_encoded};
use secrecy::ExposeSecret as _;
use std::sync::{Arc, Mutex, PoisonError};

/// A page for people.
const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Something went wrong.</h1></body></html>";

/// Where the answer of a request lies once there is one.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Answer>>>);

impl Slot {
    fn set(&self, answer: Answer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    fn take(&self) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An answer as the transport gives it to the engine.
fn reply_of(answer: &Answer) -> Reply {
    let header = |name: &str| {
        answer.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    Reply {
        status: answer.status,
        retry_after_seconds: header("retry-after").and_then(|text| text.parse().ok()),
        request_id: header("x-request-id"),
        headers: REPLY_HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?))).collect(),
        body: answer.body.to_vec(),
    }
}

fn page(status: u16) -> Answer {
    Answer::new(status, "text/html; charset=utf-8", PAGE)
}

fn too_many(named: Option<u64>) -> Answer {
    let answer = Answer::new(429, "text/plain", "Too many requests");
    match named {
        Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
        None => answer,
    }
}

/// Scheme, host and port of an URL, and the rest.
fn split(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at.saturating_add(3));
    let slash = url.get(after_scheme..).and_then(|rest| rest.find('/')).map(|at| at.saturating_add(after_scheme));
    slash.and_then(|at| url.split_at_checked(at)).unwrap_or((url, ""))
}

impl Room {
    /// Sends a request that arrives after `there` milliseconds and is answered after as many again; the answer, or
    /// `None` where none came within the timeout.
    async fn exchanges(
        &self,
        there: i64,
        back: i64,
        timeout_ms: u64,
        arrives: impl FnOnce() -> Answer + Send + 'static,
    ) -> Option<Answer> {
        let slot = Slot::default();
        let sent = self.time().now();
        let filled = slot.clone();
        let arrives: Box<dyn FnOnce() + Send> = Box::new(move || filled.set(arrives()));
        self.time().at(sent.saturating_add(there), Moment::Arrives(arrives));
        let timeout = i64::try_from(timeout_ms).unwrap_or(i64::MAX);
        let answered = there.saturating_add(back);
        if answered > timeout {
            self.waits_until(sent.saturating_add(timeout)).await;
            return None;
        }
        // One more, so that what arrives at this very moment has arrived.
        self.waits_until(sent.saturating_add(answered).saturating_add(1)).await;
        slot.take()
    }

    /// The answer of a request, or none by chance of the way.
    async fn came(&self, name: &'static str, answer: Option<Answer>) -> Result<Reply, TransportFault> {
        self.boundary(name, Side::After).await;
        match answer {
            Some(answer) => Ok(reply_of(&answer)),
            None => Err(TransportFault::NoAnswer("no answer".to_owned())),
        }
    }
}

#[async_trait]
impl Book for Door {
    async fn send(&self, call: &BookCall<'_>) -> Result<Reply, TransportFault> {
        const NAME: &str = "book.send";
        self.boundary(NAME, Side::Before).await;
        let Some(volume) = self.stage.volume_at(call.base_url) else {
            return Err(TransportFault::NotSent(format!("nobody is at {}", call.base_url)));
        };
        let request = request_of(call);
        let life = self.life();
        let writes = match (call.writes, volume.creates(&request)) {
            (false, _) => Writes::Nothing,
            (true, false) => Writes::Changes,
            (true, true) if volume.makes_a_total(&request) => Writes::CreatesTotal,
            (true, true) => Writes::Creates,
        };
        let what = format!("{} {}", request.method, request.path);
        let trouble = self.faults().book(&life, volume.spoken, &what, writes);
        let there = self.stage.latency(Latency::Book);
        let back = self.stage.latency(Latency::Book);
        let writing = call.writes.then(|| volume.writer_begins(self.time().now(), &life.name));
        let timeout = call.timeout_ms;
        let slow = i64::try_from(timeout).unwrap_or(i64::MAX);
        let obeys = |room: &Room| {
            let (volume, request, stage) = (Arc::clone(&volume), request.clone(), Arc::clone(&room.stage));
            let who = Arc::clone(&life);
            move |fault: Option<BookFault>| {
                let answer = volume.obeys(&request, fault, stage.time.now());
                stage.was_answered(&who.name, &request, &answer);
                answer
            }
        };
        let answer = match trouble {
            None => {
                let obeys = obeys(self);
                self.exchanges(there, back, timeout, move || obeys(None)).await
            }
            Some(BookTrouble::Dropped { at_once: true }) => {
                self.waits(there).await;
                if let Some(number) = writing {
                    volume.writer_ends(number, self.time().now());
                }
                self.boundary(NAME, Side::After).await;
                return Err(TransportFault::NotSent("no connection".to_owned()));
            }
            Some(BookTrouble::Dropped { at_once: false }) => {
                self.waits(there).await;
                None
            }
            Some(BookTrouble::ReplyLost) => {
                let obeys = obeys(self);
                self.exchanges(there, back, timeout, move || obeys(None)).await;
                None
            }
            Some(BookTrouble::Slow) => {
                let obeys = obeys(self);
                self.exchanges(there, slow, timeout, move || obeys(None)).await
            }
            Some(BookTrouble::Late { milliseconds, status: None }) => {
                let obeys = obeys(self);
                self.exchanges(milliseconds, slow, timeout, move || obeys(None)).await
            }
            Some(BookTrouble::Late { milliseconds, status: Some(status) }) => {
                let obeys = obeys(self);
                let at = self.time().now().saturating_add(milliseconds);
                self.time().at(at, Moment::Arrives(Box::new(move || drop(obeys(None)))));
                self.exchanges(there, back, timeout, move || page(status)).await
            }
            Some(BookTrouble::Limited { named, lasts }) => {
                if let (Some(seconds), true) = (named, lasts) {
                    let until = i64::try_from(seconds).unwrap_or_default().saturating_mul(1_000);
                    volume.closes_until(self.time().now().saturating_add(until));
                }
                self.exchanges(there, back, timeout, move || too_many(named)).await
            }
            Some(BookTrouble::Page { status, applied }) => {
                let obeys = obeys(self);
                let arrives = move || {
                    if applied {
                        obeys(None);
                    }
                    page(status)
                };
                self.exchanges(there, back, timeout, arrives).await
            }
            Some(BookTrouble::ErrorInside) => {
                let obeys = obeys(self);
                self.exchanges(there, back, timeout, move || obeys(Some(BookFault::ErrorInside))).await
            }
            Some(BookTrouble::WrongTotal) => {
                let obeys = obeys(self);
                let by = BookFault::WrongTotal { by: "0.01".into() };
                self.exchanges(there, back, timeout, move || obeys(Some(by))).await
            }
            Some(BookTrouble::Unauthorised) => {
                volume.access_ends();
                let obeys = obeys(self);
                self.exchanges(there, back, timeout, move || obeys(None)).await
            }
            Some(BookTrouble::Revoked) => {
                volume.is_revoked();
                let obeys = obeys(self);
                self.exchanges(there, back, timeout, move || obeys(None)).await
            }
        };
        if let Some(number) = writing {
            volume.writer_ends(number, self.time().now());
        }
        self.came(NAME, answer).await
    }
}

impl Volume {
    /// Obeys a request, with a fault of its own where one is named.
    fn obeys(&self, request: &Request, fault: Option<BookFault>, now: i64) -> Answer {
        if let Some(until) = self.closed_until().filter(|until| now < *until) {
            let seconds = u64::try_from(until.saturating_sub(now)).unwrap_or_default().div_ceil(1_000);
            return too_many(Some(seconds));
        }
        if let Some(fault) = fault {
            self.faults(FaultSpec { method: None, path: String::new(), skip: 0, times: 1, fault });
        }
        let answer = self.book.answers(request);
        self.was_asked(now, answer.status);
        answer
    }
}

fn request_of(call: &BookCall<'_>) -> Request {
    let base_path = split(call.base_url).1.trim_end_matches('/');
    let query: Vec<String> = call
        .call
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)))
        .collect();
    let mut headers = vec![
        ("authorization".to_owned(), format!("Bearer {}", call.token.expose_secret())),
        ("accept".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), "ledger".to_owned()),
    ];
    if call.call.body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    headers.extend(call.call.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Request {
        method: call.call.method.as_str().to_owned(),
        path: format!("{base_path}{}", call.call.path),
        query: query.join("&"),
        headers,
        body: call.call.body.clone().unwrap_or_default().into(),
    }
}

/// A request to a shop under a fresh token.
fn request_to_shop(call: &ShopCall<'_>) -> Result<Request, TransportFault> {
    let subkey = jwt::subkey(call.api_key.expose_secret().as_bytes(), PURPOSE_TO_SHOP);
    let token = jwt::mint(&subkey, call.tenant, call.now_seconds, &call.jti)
        .map_err(|error| TransportFault::NotSent(error.to_string()))?;
    let mut headers = vec![
        ("authorization".to_owned(), format!("Bearer {token}")),
        ("accept".to_owned(), "application/json".to_owned()),
    ];
    if call.body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Ok(Request {
        method: if call.body.is_some() { "POST" } else { "GET" }.to_owned(),
        path: call.path.clone(),
        query: String::new(),
        headers,
        body: call.body.clone().unwrap_or_default().into(),
    })
}

/// A shop as an operator's function finds it: at once, and without anything that goes wrong.
#[derive(Clone, Debug)]
pub struct AtOnce(pub Arc<Stage>);

impl AtOnce {
    fn answers(&self, url: &str, request: &Request) -> Result<Reply, TransportFault> {
        let shop = self.0.shop_at(url);
        let shop = shop.ok_or_else(|| TransportFault::NotSent(format!("nobody is at {url}")))?;
        let answer = shop.obeys(request);
        self.0.was_answered("an operator", request, &answer);
        Ok(reply_of(&answer))
    }
}

#[async_trait]
impl Shop for AtOnce {
    async fn call(&self, call: &ShopCall<'_>) -> Result<Reply, TransportFault> {
        self.answers(call.shop_url, &request_to_shop(call)?)
    }

    async fn pair(&self, call: &PairCall<'_>) -> Result<Reply, TransportFault> {
        let request = Request {
            method: "POST".to_owned(),
            path: call.path.to_owned(),
            query: String::new(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: call.body.expose_secret().to_owned().into(),
        };
        self.answers(call.shop_url, &request)
    }
}

#[async_trait]
impl Shop for Door {
    async fn call(&self, call: &ShopCall<'_>) -> Result<Reply, TransportFault> {
        const NAME: &str = "shop.call";
        self.boundary(NAME, Side::Before).await;
        let Some(shop) = self.stage.shop_at(call.shop_url) else {
            return Err(TransportFault::NotSent(format!("nobody is at {}", call.shop_url)));
        };
        let request = request_to_shop(call)?;
        let there = self.stage.latency(Latency::Shop);
        let back = self.stage.latency(Latency::Shop);
        let (stage, life) = (Arc::clone(&self.stage), self.life());
        let obeys = move || {
            let answer = shop.obeys(&request);
            stage.was_answered(&life.name, &request, &answer);
            answer
        };
        let answer = match self.faults().shop(&self.life(), &call.path) {
            None => self.exchanges(there, back, call.timeout_ms, obeys).await,
            Some(ShopTrouble::Unreachable) => {
                self.waits(there).await;
                self.boundary(NAME, Side::After).await;
                return Err(TransportFault::NotSent("no connection".to_owned()));
            }
            Some(ShopTrouble::Page(status)) => self.exchanges(there, back, call.timeout_ms, move || page(status)).await,
            Some(ShopTrouble::ReplyLost) => {
                self.exchanges(there, back, call.timeout_ms, obeys).await;
                None
            }
            Some(ShopTrouble::Refused) => {
                let refusal =
                    || Answer::new(401, "application/json", r#"{"message":"The consumer isn't authorized."}"#);
                self.exchanges(there, back, call.timeout_ms, refusal).await
            }
        };
        self.came(NAME, answer).await
    }

    async fn pair(&self, _: &PairCall<'_>) -> Result<Reply, TransportFault> {
        Err(TransportFault::NotSent("these shops are paired already".to_owned()))
    }
}

#[async_trait]
impl Authorities for Door {
    async fn call(&self, call: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        const NAME: &str = "authorities.call";
        self.boundary(NAME, Side::Before).await;
        let (base, path) = split(call.url);
        let Some(volume) = self.stage.volume_at(base) else {
            return Err(TransportFault::NotSent(format!("nobody is at {base}")));
        };
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        match &call.access {
            Access::Open => {}
            Access::Basic { client_id, secret } => {
                let pair = format!("{client_id}:{}", secret.expose_secret());
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
            }
            Access::Bearer(token) => {
                headers.push(("authorization".to_owned(), format!("Bearer {}", token.expose_secret())));
            }
        }
        let (method, body) = match &call.ask {
            Ask::Get => ("GET", String::new()),
            Ask::Delete => ("DELETE", String::new()),
            Ask::Post(fields) => {
                headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
                let pairs = fields.iter().map(|(name, value)| {
                    format!("{}={}", percent_encoded(name), percent_encoded(value.expose_secret()))
                });
                ("POST", pairs.collect::<Vec<_>>().join("&"))
            }
        };
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers,
            body: body.into(),
        };
        let there = self.stage.latency(Latency::Book);
        let back = self.stage.latency(Latency::Book);
        let lost = self.faults().strikes(Fault::TokenReplyLost, Some(volume.spoken), &self.life().name);
        if lost {
            volume.lost_a_token();
        }
        let answers = move || volume.book.answers(&request);
        let answer = self.exchanges(there, back, call.timeout_ms, answers).await.filter(|_| !lost);
        self.came(NAME, answer).await
    }
}
