//! A book's own log: every request with its start and its end, in one order.

use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::ambient;
use crate::identity;
use crate::server::{Reply, Request};

/// A request to the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEntry {
    /// In order of arrival, from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// The body, if it was JSON.
    pub body: Value,
    /// The body as it came; what is no text is replaced.
    pub text: String,
    /// Names in lower case with values, in order, as they came; without the token.
    pub headers: Vec<(String, String)>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Whether it asks for a change.
    pub is_write: bool,
    /// Its place among all starts and ends.
    pub started: u64,
    /// The same of its end; none while it is handled.
    pub finished: Option<u64>,
    /// Microseconds since the book was opened.
    pub started_at: u64,
    /// The same of its end.
    pub finished_at: Option<u64>,
    /// The answer's status; none if the book hung up or hasn't answered.
    pub status: Option<u16>,
    /// The fault it met.
    pub fault: Option<String>,
    /// Fields of the body the book doesn't know.
    pub unknown_fields: Vec<String>,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    opened: Instant,
    ticks: u64,
    entries: Vec<LogEntry>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { opened: ambient::instant(), ticks: 0, entries: Vec::new() }
    }

    fn tick(&mut self) -> u64 {
        self.ticks = self.ticks.saturating_add(1);
        self.ticks
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn starts(&mut self, request: &Request) -> u64 {
        let number = u64::try_from(self.entries.len()).unwrap_or(u64::MAX).saturating_add(1);
        let started = self.tick();
        let started_at = self.elapsed();
        self.entries.push(LogEntry {
            number,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            body: request.json().unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&request.body).into_owned(),
            headers: request.headers.iter().filter(|(name, _)| name != "authorization").cloned().collect(),
            idempotency_key: request.header("idempotency-key").map(str::to_owned),
            is_write: request.method != "GET" && request.method != "HEAD" && !identity::is_path(&request.path),
            started,
            finished: None,
            started_at,
            finished_at: None,
            status: None,
            fault: None,
            unknown_fields: Vec::new(),
        });
        number
    }

    pub(crate) fn entry(&mut self, number: u64) -> Option<&mut LogEntry> {
        self.entries.iter_mut().rev().find(|entry| entry.number == number)
    }

    pub(crate) fn finishes(&mut self, number: u64, reply: &Reply) {
        let finished = self.tick();
        let finished_at = self.elapsed();
        if let Some(entry) = self.entry(number) {
            entry.finished = Some(finished);
            entry.finished_at = Some(finished_at);
            entry.status = match reply {
                Reply::Answer(answer) => Some(answer.status),
                Reply::HangUp => None,
            };
        }
    }

    pub(crate) fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// Pairs of requests that change something and were under way at once.
    pub(crate) fn overlaps(&self) -> Vec<(u64, u64)> {
        let writes: Vec<&LogEntry> = self.entries.iter().filter(|entry| entry.is_write).collect();
        let mut pairs = Vec::new();
        for (index, earlier) in writes.iter().enumerate() {
            for later in writes.iter().skip(index.saturating_add(1)) {
                if earlier.finished.is_none_or(|finished| later.started < finished) {
                    pairs.push((earlier.number, later.number));
                }
            }
        }
        pairs
    }
}
