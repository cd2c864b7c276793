//! The fault proxy: whole requests of functions to a local AWS engine, passed on as they came, signature and host included.
//! A seed decides which of them meet what AWS does now and then and the engine never does: throttling, transactions in
//! conflict, connections that break before or after the call was carried out, indexes that lag behind their tables.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /_control/health` | | `{"ok":true,"kind":"fault-proxy"}` |
//! | `GET /_control/weather`, `POST /_control/weather` | [`Weather`] | the weather from then on |
//! | `GET /_control/struck` | | `{"conflict":3,…}`: how often each [`Trouble`] struck since the proxy was started |

mod answers;
mod index;
mod weather;

pub use weather::{Trouble, Weather};

use answers::{Service, Target};
use index::Indexes;
use ledger_aws::engine::ports::Clock;
use ledger_world::server::{Answer, Reply, Request, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weather::Lots;

/// Longer than any call that the engine answers late.
const PATIENCE: Duration = Duration::from_secs(120);
/// Headers that belong to a connection, not to what is said on it.
const OF_THE_CONNECTION: [&str; 6] =
    ["connection", "content-length", "keep-alive", "transfer-encoding", "date", "proxy-connection"];

/// A running proxy; it closes when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    engine: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    lots: Lots,
    struck: BTreeMap<Trouble, u64>,
    indexes: Indexes,
}

impl State {
    fn new(weather: Weather) -> Self {
        let lots = Lots::of(weather.seed);
        Self { weather, lots, struck: BTreeMap::new(), indexes: Indexes::default() }
    }

    /// Whether this trouble strikes the call at hand.
    fn strikes(&mut self, trouble: Trouble) -> bool {
        let strikes = self.lots.draws(trouble, self.weather.per_thousand(trouble));
        if strikes {
            self.counts(trouble, 1);
        }
        strikes
    }

    fn counts(&mut self, trouble: Trouble, times: u64) {
        let count = self.struck.entry(trouble).or_default();
        *count = count.saturating_add(times);
    }

    /// What the call meets instead of the engine.
    fn refuses(&mut self, target: &Target, body: &Value) -> Option<Reply> {
        if self.strikes(Trouble::RequestLost) {
            return Some(Reply::HangUp);
        }
        let throttled = match target.service {
            Service::Dynamodb => Trouble::ThrottledDynamodb,
            Service::Sqs => Trouble::ThrottledSqs,
            Service::Kms => Trouble::ThrottledKms,
        };
        if self.strikes(throttled) {
            return Some(answers::throttled(target.service, self.lots.number()).into());
        }
        if target.can_conflict() && self.strikes(Trouble::Conflict) {
            return Some(answers::conflict(target, body, self.lots.number()).into());
        }
        None
    }

    /// The engine's answer as the caller gets it.
    fn answers(&mut self, target: &Target, body: &Value, mut answer: Answer, now: i64) -> Reply {
        if (200..300).contains(&answer.status) {
            if target.service == Service::Dynamodb {
                self.indexes.notes_writes(target.operation.as_str(), body, now);
            }
            if target.reads_an_index(body)
                && let Ok(seen) = serde_json::from_slice::<Value>(&answer.body)
            {
                let lag = if self.lots.draws(Trouble::IndexLate, self.weather.index_lag) {
                    self.weather.index_lag_milliseconds
                } else {
                    0
                };
                let told = self.indexes.answers(body, seen, now, lag);
                self.counts(Trouble::IndexLate, told.late);
                self.counts(Trouble::IndexStale, told.stale);
                if told.late > 0 || told.stale > 0 {
                    answer = answers::dynamodb(200, &told.answer);
                }
            }
        }
        if target.writes() && self.strikes(Trouble::ReplyLost) {
            return Reply::HangUp;
        }
        answer.into()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handles(&self, request: Request) -> Reply {
        if let Some(route) = request.path.strip_prefix("/_control/") {
            return self.control(&request, route).into();
        }
        let Some(target) = Target::of(&request) else { return self.passes(&request).await };
        let body = request.json().unwrap_or_default();
        if let Some(reply) = self.state().refuses(&target, &body) {
            return reply;
        }
        match self.passes(&request).await {
            Reply::Answer(answer) => self.state().answers(&target, &body, answer, self.clock.now_ms()),
            Reply::HangUp => Reply::HangUp,
        }
    }

    /// Passes a request on. Where the engine does not answer, neither does the proxy.
    async fn passes(&self, request: &Request) -> Reply {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let Ok(method) = reqwest::Method::from_bytes(request.method.as_bytes()) else { return Reply::HangUp };
        let mut passed = self.client.request(method, format!("{}{}{query}", self.engine, request.path));
        for (name, value) in &request.headers {
            // The host too: it is signed as the caller knows it.
            if !OF_THE_CONNECTION.contains(&name.as_str()) {
                passed = passed.header(name, value);
            }
        }
        let Ok(answered) = passed.body(request.body.clone()).send().await else { return Reply::HangUp };
        let status = answered.status().as_u16();
        let headers = answered
            .headers()
            .iter()
            .filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        match answered.bytes().await {
            Ok(body) => Answer { status, headers, body }.into(),
            Err(_) => Reply::HangUp,
        }
    }

    fn control(&self, request: &Request, route: &str) -> Answer {
        let mut state = self.state();
        match (request.method.as_str(), route) {
            ("GET", "health") => Answer::json(200, &json!({"ok": true, "kind": "fault-proxy"})),
            ("GET", "weather") => Answer::json(200, &state.weather),
            ("POST", "weather") => match request.read::<Weather>() {
                Ok(weather) => {
                    if weather.seed != state.weather.seed {
                        state.lots = Lots::of(weather.seed);
                    }
                    state.weather = weather;
                    Answer::json(200, &state.weather)
                }
                Err(error) => Answer::json(422, &json!({"error": format!("{error:#}")})),
            },
            ("GET", "struck") => Answer::json(200, &counted(&state.struck)),
            _ => Answer::json(404, &json!({"error": "there is no such thing"})),
        }
    }
}

fn counted(struck: &BTreeMap<Trouble, u64>) -> BTreeMap<&'static str, u64> {
    Trouble::ALL
        .into_iter()
        .map(|trouble| (trouble.name(), struck.get(&trouble).copied().unwrap_or_default()))
        .collect()
}

impl Proxy {
    /// Starts to stand before an engine.
    ///
    /// # Errors
    /// Where the address can't be listened at.
    pub async fn start(
        listen: SocketAddr,
        engine: SocketAddr,
        clock: Arc<dyn Clock>,
        weather: Weather,
    ) -> anyhow::Result<Self> {
        // It speaks plain HTTP, but the client wants a TLS provider all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()?;
        let state = Mutex::new(State::new(weather));
        let shared = Arc::new(Shared { engine: format!("http://{engine}"), client, clock, state });
        let door = Arc::clone(&shared);
        let server = Server::start(listen, move |request| {
            let door = Arc::clone(&door);
            async move { door.handles(request).await }
        })
        .await?;
        Ok(Self { shared, server })
    }

    /// Where it listens, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The weather from now on.
    pub fn turns(&self, weather: Weather) {
        let mut state = self.shared.state();
        state.lots = Lots::of(weather.seed);
        state.weather = weather;
    }

    /// How often each trouble struck, by its name.
    #[must_use]
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        counted(&self.shared.state().struck)
    }
}
