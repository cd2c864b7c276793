//! Taking a delivery: verify, write, send, answer.
//!
//! The shop dead-letters an event on the first 4xx, so a 4xx here means *never*: what may pass later is a 503, and no
//! refusal comes from memory.

use crate::config::Timers;
use crate::edges;
use crate::jwt::Presented;
use crate::ports::{Accepted, Chance, Clock, Deliveries, PortFault, Queue, QueueName, Revisit, Revisited, Vault};
use crate::presented::{Denied, Doorkeeper, SignedUnder};
use crate::silence;
use crate::tenants::{Known, Mode, TenantMemory, mode_of, promotion, status_of};
use base64::Engine as _;
use ledger_domain::code::Code;
use ledger_domain::identity::{BindingId, Event, Provider, RunId, fingerprint};
use ledger_domain::run::RunState;
use ledger_wire::gateway::{ProxyRequest, ProxyResponse};
use ledger_wire::magento::{self, EventPayload};
use ledger_wire::rows::{BindingRow, JtiRow, ROW_VERSION, RunRow, TenantRow, keys};
use std::collections::BTreeMap;

/// Largest body, in bytes.
pub const BODY_MAX_BYTES: usize = 65_536;
/// Longest idempotency key, in characters (the shop's column).
pub const IDEMPOTENCY_KEY_MAX: usize = 128;
/// What a 503 asks the shop to wait, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 60;
/// A delivery that finds its run queued for this long sends it again: the first one may have died before its send.
const SEND_AGAIN_AFTER_MS: i64 = 30_000;
/// Times that a repeated delivery is decided anew because a run changed under it.
const DECISIONS_MAX: u32 = 4;

/// One HTTP request from the shop.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The tenant of the path, as the gateway gave it.
    pub tenant: &'a str,
    /// The event of the path.
    pub event: &'a str,
    /// `?provider=`
    pub provider: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What the shop is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 202: ours from here on.
    Accepted {
        /// The run.
        sync_run_id: String,
    },
    /// 401: this token can never work. One wording for every reason.
    Unauthorised,
    /// 400: this delivery can never work.
    Bad {
        /// Stable code.
        code: &'static str,
        /// The field, where one is to blame.
        field: Option<&'static str>,
        /// One sentence.
        message: String,
    },
    /// 503: try again.
    Later {
        /// Stable code.
        code: &'static str,
    },
}

impl Answer {
    fn bad(code: &'static str, field: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::Bad { code, field, message: message.into() }
    }

    /// The answer as the gateway wants it. Bodies: `{"sync_run_id":…}` or `{"code":…,"message":…,"field":…}`.
    #[must_use]
    pub fn response(&self) -> ProxyResponse {
        let mut headers = BTreeMap::from([("Content-Type", "application/json".to_owned())]);
        let body = match self {
            Self::Accepted { sync_run_id } => serde_json::json!({"sync_run_id": sync_run_id}),
            Self::Unauthorised => {
                serde_json::json!({"code": "unauthorised", "message": "the token does not authorise this delivery"})
            }
            Self::Bad { code, field, message } => {
                serde_json::json!({"code": code, "message": message, "field": field})
            }
            Self::Later { code } => {
                headers.insert("Retry-After", RETRY_AFTER_SECONDS.to_string());
                serde_json::json!({"code": code, "message": "not now; deliver again later"})
            }
        };
        ProxyResponse { status_code: self.status(), headers, body: body.to_string(), is_base64_encoded: false }
    }

    /// The stable code for the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Unauthorised => "unauthorised",
            Self::Bad { code, .. } | Self::Later { code } => code,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Accepted { .. } => 202,
            Self::Unauthorised => 401,
            Self::Bad { .. } => 400,
            Self::Later { .. } => 503,
        }
    }
}

/// What taking a delivery needs.
pub struct Ingest<'a> {
    /// The store.
    pub store: &'a dyn Deliveries,
    /// The queues.
    pub queue: &'a dyn Queue,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// What this process remembers.
    pub memory: &'a TenantMemory,
    /// The stack's timers.
    pub timers: &'a Timers,
}

/// Either an early answer or a value.
type Or<T> = Result<T, Answer>;

fn later(code: &'static str) -> Answer {
    Answer::Later { code }
}

impl From<PortFault> for Answer {
    fn from(_: PortFault) -> Self {
        later(Code::StoreUnavailable.as_str())
    }
}

impl From<Denied> for Answer {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorised => Self::Unauthorised,
            Denied::Later(code) => later(code),
        }
    }
}

/// What a delivery says, checked.
struct Said {
    event: Event,
    provider: Option<Provider>,
    key: String,
    magento_id: u64,
    website_id: u32,
    store_id: u32,
    occurred_at: String,
    increment_id: Option<String>,
}

impl Ingest<'_> {
    /// Takes a delivery as the gateway proxies it, and logs it once.
    pub async fn proxied(&self, request: &ProxyRequest) -> ProxyResponse {
        let began = self.clock.now_ms();
        let decoded;
        let body: &[u8] = match &request.body {
            None => &[],
            Some(text) if request.is_base64_encoded => {
                decoded = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
                &decoded
            }
            Some(text) => text.as_bytes(),
        };
        let delivery = Delivery {
            tenant: request.path_parameter("tenant").unwrap_or_default(),
            event: request.path_parameter("event").unwrap_or_default(),
            provider: request.query_parameter("provider"),
            authorization: request.header("Authorization"),
            idempotency_key: request.header("Idempotency-Key"),
            body,
        };
        let mut proven = false;
        let mut answer = match self.decide(&delivery, &mut proven).await {
            Ok(answer) | Err(answer) => answer,
        };
        if planted!(StoreTroubleIsRefusal)
            && let Answer::Later { code } = answer
        {
            answer = Answer::bad(code, None, "not now");
        }
        let run_id = match &answer {
            Answer::Accepted { sync_run_id } => sync_run_id.as_str(),
            Answer::Unauthorised | Answer::Bad { .. } | Answer::Later { .. } => "",
        };
        // Only what a signature proved is logged: a forged path could carry anything.
        tracing::info!(
            run_id,
            tenant = if proven { delivery.tenant } else { "" },
            provider = delivery.provider.and_then(Provider::parse).map_or("", Provider::as_str),
            kind = Event::parse(delivery.event).map_or("", Event::as_str),
            status = answer.status(),
            outcome = answer.code(),
            duration_ms = self.clock.now_ms().saturating_sub(began),
            "delivery"
        );
        answer.response()
    }

    async fn decide(&self, delivery: &Delivery<'_>, proven: &mut bool) -> Or<Answer> {
        let now = self.clock.now_ms();
        if delivery.body.len() > BODY_MAX_BYTES {
            return Err(Answer::bad("body_too_large", None, "the body is larger than 64 KiB"));
        }
        let doorkeeper = Doorkeeper { store: self.store, vault: self.vault, memory: self.memory, timers: self.timers };
        let shown = doorkeeper.proven(delivery.authorization, Some(delivery.tenant), now).await?;
        *proven = true;
        let tenant = shown.presented.claims().sub.as_str();
        let mut known = shown.known;
        if shown.under == SignedUnder::Candidate {
            known = self.promoted(known, now).await;
        }
        let said = read(delivery)?;
        let known = self.with_bindings(known, &said, tenant, now).await?;
        let asked = said.asks(delivery.body);
        let opens = |binding| run_of(&asked, &known.tenancy.tenant, binding, self.queue, self.timers, now);
        let runs: Vec<RunRow> = chosen(&known, &said)?.iter().filter_map(opens).collect();
        let answer = self.write(&shown.presented, delivery, &runs, now).await?;
        self.heard(&known.tenancy.tenant, now).await;
        Ok(answer)
    }

    /// The shop signs with the key of a pairing under way: it has taken it. Where that can't be written now, the next
    /// delivery says so again.
    async fn promoted(&self, known: Known, now: i64) -> Known {
        let tenant = &known.tenancy.tenant;
        if let Err(fault) = self.store.promote(&promotion(tenant, now)).await {
            tracing::warn!(tenant = %tenant.tenant, code = Code::StoreUnavailable.as_str(), reason = %fault, "key not promoted");
            return known;
        }
        match self.memory.read_again(self.store, &tenant.tenant, now).await {
            Ok(Some(fresh)) => fresh,
            Ok(None) | Err(_) => known,
        }
    }

    /// Notes now and then that something came. A note that is lost is made with a later delivery.
    async fn heard(&self, tenant: &TenantRow, now: i64) {
        let Some(heard) = silence::heard(tenant, now) else { return };
        // What is remembered of the tenant is older than the note.
        if !self.memory.notes_heard(&tenant.tenant, now, silence::HEARD_EVERY_MS) && !heard.wakes {
            return;
        }
        let noted = self.store.heard(&heard).await;
        if noted.is_ok() && heard.wakes {
            // Else each delivery of the next minute would wake it again.
            let _ = self.memory.read_again(self.store, &tenant.tenant, now).await;
        }
        if let Err(fault) = noted {
            tracing::warn!(tenant = %tenant.tenant, code = Code::StoreUnavailable.as_str(), reason = %fault, "not noted that the shop was heard");
        }
    }

    /// The tenant, read again where memory would refuse or hold the delivery.
    async fn with_bindings(&self, known: Known, said: &Said, tenant: &str, now: i64) -> Or<Known> {
        let good = shop_why_held(&known.tenancy.tenant).is_none()
            && chosen(&known, said).is_ok_and(|bindings| bindings.iter().all(|it| why_held(it).is_none()));
        if good || known.read_at == now {
            return Ok(known);
        }
        self.memory.read_again(self.store, tenant, now).await?.ok_or(Answer::Unauthorised)
    }

    async fn write(&self, presented: &Presented, delivery: &Delivery<'_>, runs: &[RunRow], now: i64) -> Or<Answer> {
        let first = runs.first().ok_or_else(|| later(Code::Unexpected.as_str()))?;
        let claims = presented.claims();
        let delivery_hash = hex::encode(fingerprint(&[
            delivery.event.as_bytes(),
            delivery.provider.unwrap_or_default().as_bytes(),
            first.idempotency_key.as_bytes(),
            delivery.body,
        ]));
        // A token verifies until its `exp` plus the skew; its id is remembered for as long.
        let expires_at = claims.exp.saturating_add(self.timers.clock_skew_seconds).saturating_add(1);
        let jti = JtiRow {
            pk: keys::jti(&first.tenant, &claims.jti),
            sk: keys::JTI.to_owned(),
            v: ROW_VERSION,
            runs: runs.iter().map(|run| run.run_id.clone()).collect(),
            delivery_hash,
            expires_at,
        };
        let accepted = Answer::Accepted { sync_run_id: first.run_id.clone() };
        let now_seconds = now.div_euclid(1_000);
        let request_token = self.chance.uuid();
        let mut met = match self.store.accept(runs, &jti, now_seconds, &request_token).await? {
            Accepted::Fresh => {
                for run in runs {
                    self.send(run).await;
                }
                return Ok(accepted);
            }
            Accepted::Met { jti: Some(spent), .. } => return Ok(again(&spent, &jti)),
            Accepted::Met { jti: None, runs } => runs,
        };
        for _ in 0..DECISIONS_MAX {
            let (parts, sends) = self.parts(runs, &met, now);
            match self.store.revisit(&jti, now_seconds, &parts).await? {
                Revisited::Done => {
                    for message in sends {
                        self.send_again(message).await;
                    }
                    return Ok(accepted);
                }
                Revisited::Spent(spent) => return Ok(again(&spent, &jti)),
                Revisited::Changed => match self.store.accept(runs, &jti, now_seconds, &self.chance.uuid()).await? {
                    Accepted::Fresh => {
                        for run in runs {
                            self.send(run).await;
                        }
                        return Ok(accepted);
                    }
                    Accepted::Met { jti: Some(spent), .. } => return Ok(again(&spent, &jti)),
                    Accepted::Met { jti: None, runs } => met = runs,
                },
            }
        }
        Err(later("contended"))
    }

    /// What a repeated delivery does to each run.
    fn parts(&self, asked: &[RunRow], met: &[Option<RunRow>], now: i64) -> (Vec<Revisit>, Vec<crate::ports::Outgoing>) {
        let mut parts = Vec::new();
        let mut sends = Vec::new();
        for (fresh, there) in asked.iter().zip(met.iter().chain(std::iter::repeat(&None))) {
            let Some(seen) = there else {
                parts.push(Revisit::Put(fresh.clone()));
                sends.extend(message_of(fresh));
                continue;
            };
            match edges::state(seen) {
                _ if edges::is_opened_by_a_delivery(seen) => {
                    let next = opened_again(seen, fresh, self.timers, now);
                    sends.extend(message_of(&next));
                    parts.push(Revisit::Replace { seen: seen.clone(), next });
                }
                // What an operator gave up or settled stays so.
                RunState::Succeeded | RunState::Skipped => {
                    let want = edges::push_want(seen, now);
                    sends.push(edges::push_message_for(&want, seen));
                    parts.push(Revisit::Push(want));
                }
                RunState::Queued if now.saturating_sub(seen.updated_at) >= SEND_AGAIN_AFTER_MS => {
                    let next = edges::sent_again(seen, now, self.timers);
                    sends.extend(message_of(&next));
                    parts.push(Revisit::Replace { seen: seen.clone(), next });
                }
                RunState::Queued | RunState::Running | RunState::Waiting | RunState::Held | RunState::DeadLettered => {}
            }
        }
        (parts, sends)
    }

    /// Sends a new run. A failed send is no failure of the delivery: the row is written and the sweeper sends it.
    async fn send(&self, run: &RunRow) {
        let Some(message) = message_of(run) else { return };
        if let Err(fault) = self.queue.send(&message).await {
            tracing::warn!(run_id = %run.run_id, code = Code::StoreUnavailable.as_str(), reason = %fault, "send left to the sweeper");
            let _ = self.store.mark_unsent(run, self.clock.now_ms()).await;
        }
    }

    async fn send_again(&self, message: crate::ports::Outgoing) {
        if let Err(fault) = self.queue.send(&message).await {
            tracing::warn!(deduplication = %message.deduplication, reason = %fault, "send left to the sweeper");
        }
    }
}

/// What is asked of a binding: by a delivery, or by a job that does what a delivery would have done.
pub(crate) struct Asked<'a> {
    pub(crate) event: Event,
    /// The idempotency key.
    pub(crate) key: &'a str,
    /// The body: part of the run's identity where one key stands for many edits.
    pub(crate) body: &'a [u8],
    pub(crate) magento_id: u64,
    pub(crate) website_id: u32,
    pub(crate) store_id: u32,
    /// ISO 8601; empty where nobody knows.
    pub(crate) occurred_at: &'a str,
    pub(crate) increment_id: Option<&'a str>,
}

impl Said {
    fn asks<'a>(&'a self, body: &'a [u8]) -> Asked<'a> {
        Asked {
            event: self.event,
            key: &self.key,
            body,
            magento_id: self.magento_id,
            website_id: self.website_id,
            store_id: self.store_id,
            occurred_at: &self.occurred_at,
            increment_id: self.increment_id.as_deref(),
        }
    }
}

/// The run of what is asked: queued, or held where nothing can be done for it yet. `None` where the binding's id is none.
pub(crate) fn run_of(
    asked: &Asked<'_>,
    tenant: &TenantRow,
    binding: &BindingRow,
    queue: &dyn Queue,
    timers: &Timers,
    now: i64,
) -> Option<RunRow> {
    let id = BindingId::parse(&binding.binding)?;
    let run_id =
        RunId::derive(&id, asked.event, asked.key, if planted!(IdentityByKeyAlone) { &[] } else { asked.body });
    let row = RunRow {
        pk: keys::run(run_id.as_str()),
        sk: keys::RUN.to_owned(),
        v: ROW_VERSION,
        run_id: run_id.to_string(),
        tenant: tenant.tenant.clone(),
        binding: binding.binding.clone(),
        provider: binding.provider.clone(),
        book: binding.book.clone(),
        event: asked.event.as_str().to_owned(),
        magento_id: asked.magento_id,
        website_id: asked.website_id,
        store_id: asked.store_id,
        occurred_at: asked.occurred_at.to_owned(),
        increment_id: asked.increment_id.map(str::to_owned),
        idempotency_key: asked.key.to_owned(),
        generation: 1,
        dispatch: 1,
        received_at: now,
        ..RunRow::default()
    };
    let hold = |code: Code| edges::held(&row, now, code, code.remedy(), timers);
    Some(if let Some(code) = why_held(binding).or_else(|| shop_why_held(tenant)) {
        hold(code)
    } else if !queue.has(QueueName::Work(asked.event)) {
        hold(Code::EventNotSupported)
    } else {
        edges::queued(&row, now, timers)
    })
}

/// A run opened again because the same is asked once more. `fresh` is what it would be if it were not there.
pub(crate) fn opened_again(seen: &RunRow, fresh: &RunRow, timers: &Timers, now: i64) -> RunRow {
    let mut next = edges::reopened(seen, now, timers);
    next.book.clone_from(&fresh.book);
    match fresh.code.as_deref().and_then(Code::parse) {
        Some(code) if edges::state(fresh) == RunState::Held => edges::held(&next, now, code, code.remedy(), timers),
        _ => next,
    }
}

/// The run's message, if it is queued.
pub(crate) fn message_of(run: &RunRow) -> Option<crate::ports::Outgoing> {
    (edges::state(run) == RunState::Queued).then(|| edges::run_message(run)).flatten()
}

/// A token's id that was spent: on the same delivery it is the same answer, on another it is a theft.
fn again(spent: &JtiRow, ours: &JtiRow) -> Answer {
    match spent.runs.first() {
        Some(run) if spent.delivery_hash == ours.delivery_hash && spent.runs == ours.runs => {
            Answer::Accepted { sync_run_id: run.clone() }
        }
        _ => Answer::Unauthorised,
    }
}

/// Why work for a binding waits; `None` where it need not.
#[must_use]
pub fn why_held(binding: &BindingRow) -> Option<Code> {
    match status_of(binding) {
        "active" if mode_of(binding) == Mode::Paused => Some(Code::BindingPaused),
        "active" if !binding.book.is_empty() && binding.settings_version == 0 => Some(Code::SettingsMissing),
        "active" if !binding.book.is_empty() => None,
        "needs_reconnect" => Some(Code::NeedsReconnect),
        _ => Some(Code::BindingPending),
    }
}

/// Why work for a shop waits whichever binding it is for; `None` where it need not.
#[must_use]
pub fn shop_why_held(tenant: &TenantRow) -> Option<Code> {
    (tenant.status == "disconnected").then_some(Code::ShopDisconnected)
}

/// The bindings that a delivery is for. The older client names none: then all that are not disconnected, Sage's first,
/// because its answer is the one that client means.
fn chosen(known: &Known, said: &Said) -> Or<Vec<BindingRow>> {
    let mut bindings: Vec<BindingRow> = known
        .tenancy
        .bindings
        .iter()
        .filter(|binding| binding.status != "disconnected")
        .filter(|binding| said.provider.is_none_or(|provider| binding.provider == provider.as_str()))
        .cloned()
        .collect();
    bindings.sort_by_key(|binding| binding.provider != Provider::SageAccounting.as_str());
    if said.provider.is_some() {
        bindings.truncate(1);
    }
    if bindings.is_empty() {
        let provider = said.provider.unwrap_or(Provider::SageAccounting).as_str();
        return Err(Answer::bad("no_active_binding", None, format!("tenant has no active {provider} binding")));
    }
    Ok(bindings)
}

/// Checks what the delivery says.
fn read(delivery: &Delivery<'_>) -> Or<Said> {
    let event = Event::parse(delivery.event)
        .ok_or_else(|| Answer::bad("unknown_event", Some("event"), "the event is none that Ledger knows"))?;
    let provider = match delivery.provider {
        None => None,
        Some(text) => Some(Provider::parse(text).ok_or_else(|| {
            Answer::bad("unknown_provider", Some("provider"), "the provider is none that Ledger knows")
        })?),
    };
    let body = magento::event(delivery.body)
        .ok_or_else(|| Answer::bad("invalid_body", None, "the body is not the JSON object of an event"))?;
    let bad_id = || {
        Answer::bad(
            "invalid_magento_entity_id",
            Some("magento_entity_id"),
            "magento_entity_id is not a positive whole number",
        )
    };
    let magento_id = body
        .magento_entity_id
        .as_ref()
        .and_then(|raw| raw.get().trim_matches('"').parse::<u64>().ok())
        // Magento's entity ids are unsigned 32-bit columns.
        .filter(|id| *id > 0 && u32::try_from(*id).is_ok())
        .ok_or_else(bad_id)?;
    let key = match delivery.idempotency_key.map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => key.to_owned(),
        None => format!("{}:{magento_id}", event.as_str()),
    };
    if key.chars().count() > IDEMPOTENCY_KEY_MAX || key.chars().any(char::is_control) {
        return Err(Answer::bad(
            "invalid_idempotency_key",
            Some("Idempotency-Key"),
            "the idempotency key is longer than 128 characters or has control characters",
        ));
    }
    let small = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    let payload: EventPayload = body.payload.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    Ok(Said {
        event,
        provider,
        key,
        magento_id,
        website_id: small(body.website_id),
        store_id: small(body.store_id),
        occurred_at: body.occurred_at.filter(|text| text.len() <= 40).unwrap_or_default(),
        increment_id: payload.increment_id.filter(|text| text.len() <= 64),
    })
}
