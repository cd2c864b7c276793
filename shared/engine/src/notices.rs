//! Telling people what is wrong: what the sweeper sees of a tenant becomes notices to those who can do something about it.
//!
//! What was told, and what is on its way, is in one row of the tenant's. A notice is in it before it is sent and leaves it when
//! it was taken, so that it is sent at least once, under the same id each time.

use crate::config::Timers;
use crate::operate::{OperateError, invalid};
use crate::ports::{
    Chance, Clock, HookCall, Hooks, NoticeStore, Notices, PortFault, PortResult, Published, SealContext, StateEntry,
    Tenancy, Vault,
};
use crate::tenants::SEAL_LABEL;
use ledger_domain::code::Code;
use ledger_domain::identity::{Event, TenantId};
use ledger_domain::notice::{
    DAY_MINUTES, HELD_LONG_MS, Memory, Notice, Role, Told, Trouble, TroubleKind, next_digest, step,
};
use ledger_domain::retry;
use ledger_domain::run::RunState;
use ledger_wire::api::moment;
use ledger_wire::notice::{NOTICE_VERSION, NoticeTroubleV1, NoticeV1};
use ledger_wire::rows::{BindingRow, NoticesRow, OutboxRow, RecipientRow, RunRow, ToldRow};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

/// Minute of the day, in UTC, at which a digest is due where nobody chose one (07:00).
pub const DIGEST_MINUTE: u16 = 420;
/// Most recipients of a tenant.
pub const RECIPIENTS_MAX: usize = 20;
/// Shortest secret of a webhook, in bytes: as long as what it keys.
pub const SECRET_MIN_BYTES: usize = 32;
/// Longest, in bytes.
pub const SECRET_MAX_BYTES: usize = 1_024;
/// Longest address of a webhook, in bytes.
pub const URL_MAX_BYTES: usize = 500;
/// The header with the moment of a request, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "ledger-timestamp";
/// The header with its signature: `v1=` and HMAC-SHA256 over the moment, a full stop and the body, hexadecimal.
pub const SIGNATURE_HEADER: &str = "ledger-signature";
/// The header with the notice's id.
pub const NOTICE_HEADER: &str = "ledger-notice";

/// Tenants of a page.
const PAGE: usize = 50;
/// Most pages looked at in one sweep.
const PAGES_MAX: usize = 20;
/// Tenants that are looked at at once.
const AT_ONCE: usize = 8;
/// Most notices of a tenant on their way at once; the oldest give way.
const OUTBOX_MAX: usize = 20;
/// Most notices sent to a tenant's recipients in one sweep.
const SENDS_MAX: usize = 10;
/// A notice that nobody took for this long is given up, in milliseconds (3 days).
const GIVE_UP_MS: i64 = 259_200_000;
/// How long a webhook may take to answer, in milliseconds.
const HOOK_TIMEOUT_MS: u64 = 5_000;
/// Entries of the index by state per page, and most pages of a binding: a longer list is counted as so long.
const STATE_PAGE: usize = 500;
const STATE_PAGES_MAX: usize = 4;
/// Most documents that a trouble names.
const DOCUMENTS_MAX: usize = 5;
/// Most troubles in a notice.
const TROUBLES_MAX: usize = 15;
/// Telling ends this long before the function is stopped, in milliseconds.
const MARGIN_MS: i64 = 8_000;

/// What telling needs.
pub struct Telling<'a> {
    /// The store.
    pub store: &'a dyn NoticeStore,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// The topic.
    pub topic: &'a dyn Notices,
    /// Recipients' webhooks.
    pub hooks: &'a dyn Hooks,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// The stack's timers.
    pub timers: &'a Timers,
    /// The stack's own address, without a slash at its end, where it is known.
    pub public_url: Option<&'a str>,
}

/// What telling came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TellReport {
    /// Notices that were taken.
    pub sent: u32,
    /// Notices that were not, and are tried again.
    pub failed: u32,
    /// Notices that were given up.
    pub dropped: u32,
    /// Tenants that could not be looked at.
    pub failures: u32,
}

impl TellReport {
    fn add(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.failed = self.failed.saturating_add(other.failed);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.failures = self.failures.saturating_add(other.failures);
    }
}

/// What is wrong with a tenant now.
#[derive(Default)]
struct Seen {
    troubles: Vec<Trouble>,
    /// Partition keys of some runs of a trouble, oldest first.
    samples: BTreeMap<String, Vec<String>>,
    /// The provider of a trouble's binding.
    providers: BTreeMap<String, String>,
}

impl Telling<'_> {
    /// Looks at every tenant that has recipients, and sends what is due, until the function's time is nearly over. Where
    /// there are too many, each sweep begins with another.
    pub async fn tell(&self, deadline: i64) -> TellReport {
        let until = deadline.saturating_sub(MARGIN_MS);
        let mut report = TellReport::default();
        let mut rows: Vec<NoticesRow> = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            match self.store.notices_page(after.as_deref(), PAGE).await {
                Ok(page) => {
                    let full = page.len() == PAGE;
                    after = page.last().map(|row| row.tenant.clone());
                    rows.extend(page);
                    if !full {
                        break;
                    }
                }
                Err(fault) => {
                    report.add(self.failed(None, &fault));
                    break;
                }
            }
        }
        rows.retain(|row| !row.recipients.is_empty());
        let minute = usize::try_from(self.clock.now_ms().div_euclid(60_000)).unwrap_or_default();
        let first = minute.saturating_mul(AT_ONCE).checked_rem(rows.len()).unwrap_or_default();
        rows.rotate_left(first);
        for some in rows.chunks(AT_ONCE) {
            if self.clock.now_ms() >= until {
                break;
            }
            let looked_at = some.iter().map(|row| async move {
                match self.tell_of(row, until).await {
                    Ok(report) => report,
                    Err(fault) => self.failed(Some(&row.tenant), &fault),
                }
            });
            for part in futures::future::join_all(looked_at).await {
                report.add(part);
            }
        }
        report
    }

    fn failed(&self, tenant: Option<&str>, fault: &PortFault) -> TellReport {
        let tenant = tenant.unwrap_or_default();
        tracing::warn!(%tenant, code = Code::StoreUnavailable.as_str(), reason = %fault, "notices left to the next sweep");
        TellReport { failures: 1, ..TellReport::default() }
    }

    async fn tell_of(&self, seen: &NoticesRow, until: i64) -> PortResult<TellReport> {
        let Some(tenancy) = self.store.tenancy(&seen.tenant).await? else { return Ok(TellReport::default()) };
        let now = self.clock.now_ms();
        let wrong = self.look(&tenancy, now).await?;
        let (memory, notices) = step(&memory_of(seen), &wrong.troubles, now, seen.digest_minute);
        let mut row = NoticesRow { told: told_of(&memory), digest_at: memory.digest_at, ..seen.clone() };
        for notice in &notices {
            let out = self.written(seen, &tenancy, notice, &wrong, now).await?;
            row.outbox.extend(out);
        }
        let mut report = TellReport::default();
        let surplus = row.outbox.len().saturating_sub(OUTBOX_MAX);
        if surplus > 0 {
            row.outbox.drain(..surplus);
            report.dropped = u32::try_from(surplus).unwrap_or(u32::MAX);
            tracing::warn!(tenant = %row.tenant, dropped = surplus, "notices given up: too many are on their way");
        }
        // What is to be sent is written down before it is sent.
        if row != *seen {
            row.revision = seen.revision.saturating_add(1);
            if !self.store.put_notices(Some(seen.revision), &row).await? {
                return Ok(report);
            }
        }
        report.add(self.send_due(&row, until).await?);
        Ok(report)
    }

    /// Sends what is due and writes down what became of it. Where that is lost, the same is sent again, under the same ids.
    async fn send_due(&self, row: &NoticesRow, until: i64) -> PortResult<TellReport> {
        let now = self.clock.now_ms();
        let mut report = TellReport::default();
        let due: Vec<&OutboxRow> = row.outbox.iter().filter(|it| it.due_at <= now).take(SENDS_MAX).collect();
        if due.is_empty() || now >= until {
            return Ok(report);
        }
        let sent = futures::future::join_all(due.iter().map(|it| self.send(row, it))).await;
        let mut next = row.clone();
        for (entry, taken) in due.iter().zip(sent) {
            let same = |it: &OutboxRow| it.id == entry.id && it.recipient == entry.recipient;
            let gives_up = now.saturating_sub(entry.at) >= GIVE_UP_MS;
            if taken || gives_up {
                next.outbox.retain(|it| !same(it));
                let count = if taken { &mut report.sent } else { &mut report.dropped };
                *count = count.saturating_add(1);
                continue;
            }
            report.failed = report.failed.saturating_add(1);
            for it in next.outbox.iter_mut().filter(|it| same(it)) {
                it.failures = it.failures.saturating_add(1);
                let delay = retry::push_delay_ms(it.failures, self.timers.retry_scale_percent, self.chance.number());
                it.due_at = now.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
            }
        }
        next.revision = row.revision.saturating_add(1);
        self.store.put_notices(Some(row.revision), &next).await?;
        Ok(report)
    }

    /// True where the recipient took it, or is none any more.
    async fn send(&self, row: &NoticesRow, entry: &OutboxRow) -> bool {
        let Some(recipient) = row.recipients.iter().find(|it| it.id == entry.recipient) else { return true };
        let Ok(notice) = serde_json::from_str::<NoticeV1>(&entry.body) else { return true };
        let result = match (&recipient.url, &recipient.secret) {
            (Some(url), Some(secret)) => match self.vault.open(secret, &hook_secret_context(&recipient.id)).await {
                Ok(secret) => self.post(url, &secret, &notice.id, &entry.body).await,
                Err(fault) => Err(fault.to_string()),
            },
            _ => self.topic.publish(&published(&notice)).await.map_err(|fault| fault.to_string()),
        };
        match result {
            Ok(()) => {
                tracing::info!(tenant = %row.tenant, kind = %notice.kind, notice = %notice.id, "notice sent");
                true
            }
            Err(reason) => {
                tracing::warn!(tenant = %row.tenant, kind = %notice.kind, notice = %notice.id, %reason, "notice not taken");
                false
            }
        }
    }

    async fn post(&self, url: &str, secret: &SecretString, id: &str, body: &str) -> Result<(), String> {
        let seconds = self.clock.now_ms().div_euclid(1_000);
        let headers = [
            (TIMESTAMP_HEADER, seconds.to_string()),
            (SIGNATURE_HEADER, signature(secret, seconds, body)),
            (NOTICE_HEADER, id.to_owned()),
        ];
        let call = HookCall { url, body, headers: &headers, timeout_ms: HOOK_TIMEOUT_MS };
        match self.hooks.post(&call).await {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
            Ok(reply) => Err(format!("HTTP {}", reply.status)),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// What is wrong with a tenant now.
    async fn look(&self, tenancy: &Tenancy, now: i64) -> PortResult<Seen> {
        let mut seen = Seen::default();
        let tenant = &tenancy.tenant;
        let shop = |kind, code, since: Option<i64>| Trouble {
            since: since.unwrap_or(now),
            ..trouble(format!("shop:{}", tenant.status), kind, code, now)
        };
        seen.troubles.extend(match tenant.status.as_str() {
            "token_revoked" => Some(shop(TroubleKind::ConnectionLost, Code::ShopUnauthorised, tenant.refused_since)),
            "unreachable" => Some(shop(TroubleKind::ConnectionLost, Code::ShopUnavailable, tenant.unreached_since)),
            "disconnected" => Some(shop(TroubleKind::ConnectionLost, Code::ShopDisconnected, None)),
            "silent" => Some(shop(TroubleKind::ShopSilent, Code::ShopSilent, tenant.heard_at)),
            _ => None,
        });
        for binding in tenancy.bindings.iter().filter(|it| it.status != "disconnected") {
            self.look_at(binding, now, &mut seen).await?;
        }
        Ok(seen)
    }

    async fn look_at(&self, binding: &BindingRow, now: i64, seen: &mut Seen) -> PortResult<()> {
        let mut add = |trouble: Trouble, samples: Vec<String>| {
            seen.providers.insert(trouble.key.clone(), binding.provider.clone());
            seen.samples.insert(trouble.key.clone(), samples);
            seen.troubles.push(trouble);
        };
        if binding.status == "needs_reconnect" {
            let key = format!("binding:{}", binding.binding);
            add(trouble(key, TroubleKind::ConnectionLost, Code::NeedsReconnect, now), Vec::new());
        }
        let dead = self.by_code(RunState::DeadLettered, binding, i64::MAX).await?;
        let held = self.by_code(RunState::Held, binding, now.saturating_sub(HELD_LONG_MS)).await?;
        for (kind, what, found) in [(TroubleKind::DeadLetters, "dead", dead), (TroubleKind::HeldLong, "held", held)] {
            let mut found: Vec<(Code, Group)> = found.into_iter().collect();
            // The first of a family is the one that is told.
            found.sort_by_key(|(_, group)| group.since);
            for (code, group) in found {
                let one = trouble(format!("{what}:{}:{code}", binding.binding), kind, code, group.since);
                let news = match kind {
                    TroubleKind::DeadLetters => family_news(&binding.binding, code),
                    TroubleKind::HeldLong | TroubleKind::ConnectionLost | TroubleKind::ShopSilent => one.news.clone(),
                };
                add(Trouble { news, count: group.count, ..one }, group.samples);
            }
        }
        let lease = if binding.book.is_empty() { None } else { self.store.lease(&binding.book).await? };
        let paused = lease.and_then(|lease| lease.paused_since.filter(|_| lease.paused_until.is_some()));
        if let Some(since) = paused.filter(|since| now.saturating_sub(*since) >= HELD_LONG_MS) {
            let key = format!("held:{}:{}", binding.binding, Code::BookPaused);
            add(trouble(key, TroubleKind::HeldLong, Code::BookPaused, since), Vec::new());
        }
        Ok(())
    }

    /// Runs of a binding that stand still since `latest` or before, by code.
    async fn by_code(&self, state: RunState, binding: &BindingRow, latest: i64) -> PortResult<BTreeMap<Code, Group>> {
        let prefix = format!("{}#", binding.binding);
        let mut found: BTreeMap<Code, Group> = BTreeMap::new();
        let mut after: Option<StateEntry> = None;
        for _ in 0..STATE_PAGES_MAX {
            let page = self.store.by_state(state.as_str(), &prefix, after.as_ref(), STATE_PAGE).await?;
            let full = page.len() == STATE_PAGE;
            for entry in &page {
                let since = entry.order.split('#').nth(1).and_then(|text| text.parse().ok()).unwrap_or_default();
                if since > latest {
                    continue;
                }
                let group = found.entry(Code::parse(&entry.code).unwrap_or(Code::Unexpected)).or_default();
                group.since = if group.count == 0 { since } else { group.since.min(since) };
                group.count = group.count.saturating_add(1);
                if group.samples.len() < DOCUMENTS_MAX {
                    group.samples.push(entry.pk.clone());
                }
            }
            after = page.last().cloned();
            if !full {
                break;
            }
        }
        Ok(found)
    }

    /// A notice as it goes to each recipient whom it concerns.
    async fn written(
        &self,
        row: &NoticesRow,
        tenancy: &Tenancy,
        notice: &Notice,
        wrong: &Seen,
        now: i64,
    ) -> PortResult<Vec<OutboxRow>> {
        let mut troubles = Vec::new();
        match notice {
            Notice::AtOnce(trouble) => troubles.push((trouble.code, self.shown(tenancy, trouble, wrong).await?)),
            Notice::Digest(still) => {
                for trouble in still.iter().take(TROUBLES_MAX) {
                    troubles.push((trouble.code, self.shown(tenancy, trouble, wrong).await?));
                }
            }
            Notice::Healthy(over) => {
                for (_, told) in over.iter().take(TROUBLES_MAX) {
                    troubles.push((told.code, trouble_of(told.kind, told.code, told.since)));
                }
            }
        }
        Ok(self.addressed(row, notice.kind(), &troubles, now))
    }

    fn addressed(
        &self,
        row: &NoticesRow,
        kind: &str,
        troubles: &[(Code, NoticeTroubleV1)],
        now: i64,
    ) -> Vec<OutboxRow> {
        outbox_of(row, kind, troubles, now, self.chance)
    }

    /// A trouble as people see it, with the numbers of some of its documents.
    async fn shown(&self, tenancy: &Tenancy, trouble: &Trouble, wrong: &Seen) -> PortResult<NoticeTroubleV1> {
        let mut documents = Vec::new();
        for pk in wrong.samples.get(&trouble.key).into_iter().flatten() {
            documents.extend(self.store.run(pk).await?.as_ref().and_then(numbered));
        }
        Ok(NoticeTroubleV1 {
            provider: wrong.providers.get(&trouble.key).cloned(),
            count: trouble.count,
            documents,
            link: self.public_url.map(|url| link(url, &tenancy.tenant.tenant, trouble)),
            ..trouble_of(trouble.kind, trouble.code, trouble.since)
        })
    }
}

/// Runs that stand still for the same reason.
#[derive(Default)]
struct Group {
    since: i64,
    count: u32,
    samples: Vec<String>,
}

/// A trouble that is news of itself, and of no document that is counted.
fn trouble(key: String, kind: TroubleKind, code: Code, since: i64) -> Trouble {
    Trouble { news: key.clone(), key, kind, code, since, count: 0 }
}

/// What a dead letter of a binding is news of.
fn family_news(binding: &str, code: Code) -> String {
    format!("dead:{binding}:{}:{}", code.family().as_str(), code.owner().as_str())
}

fn trouble_of(kind: TroubleKind, code: Code, since: i64) -> NoticeTroubleV1 {
    NoticeTroubleV1 {
        kind: kind.as_str().to_owned(),
        provider: None,
        code: code.as_str().to_owned(),
        family: code.family().as_str().to_owned(),
        owner: code.owner().as_str().to_owned(),
        cause: code.cause().to_owned(),
        remedy: code.remedy().to_owned(),
        since: moment(since),
        count: 0,
        documents: Vec::new(),
        link: None,
    }
}

/// A document by its number in the shop; one without by its id there.
fn numbered(run: &RunRow) -> Option<String> {
    let entity = Event::parse(&run.event)?.entity().as_str();
    Some(match &run.increment_id {
        Some(number) => format!("{entity} {number}"),
        None => format!("{entity} with id {}", run.magento_id),
    })
}

/// Where whoever may sign in sees more.
fn link(url: &str, tenant: &str, trouble: &Trouble) -> String {
    let tenant: String = tenant
        .bytes()
        .map(|byte| match byte {
            _ if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    match trouble.kind {
        TroubleKind::DeadLetters => format!("{url}/v1/dead-letters?tenant={tenant}&code={}", trouble.code),
        TroubleKind::HeldLong if trouble.code != Code::BookPaused => {
            format!("{url}/v1/held?tenant={tenant}&code={}", trouble.code)
        }
        TroubleKind::HeldLong | TroubleKind::ConnectionLost | TroubleKind::ShopSilent => {
            format!("{url}/v1/tenants/{tenant}")
        }
    }
}

/// Entries of the outbox for each recipient whom one of the troubles concerns; recipients of a role share the id. A test,
/// which has none, is for everybody.
fn outbox_of(
    row: &NoticesRow,
    kind: &str,
    troubles: &[(Code, NoticeTroubleV1)],
    now: i64,
    chance: &dyn Chance,
) -> Vec<OutboxRow> {
    let role_of = |it: &RecipientRow| Role::parse(&it.role);
    let there: Vec<Role> = row.recipients.iter().filter_map(role_of).collect();
    let mut out = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| there.contains(role)) {
        let own = troubles.iter().filter(|(code, _)| role.hears_of(*code, &there)).map(|(_, it)| it.clone());
        let own: Vec<NoticeTroubleV1> = own.collect();
        if own.is_empty() && !troubles.is_empty() {
            continue;
        }
        let notice = NoticeV1 {
            v: NOTICE_VERSION,
            id: chance.uuid(),
            kind: kind.to_owned(),
            tenant: row.tenant.clone(),
            role: role.as_str().to_owned(),
            at: moment(now),
            troubles: own,
        };
        // It has string keys and no maps of our own: serialising it cannot fail.
        let body = serde_json::to_string(&notice).unwrap_or_default();
        out.extend(row.recipients.iter().filter(|it| role_of(it) == Some(role)).map(|it| OutboxRow {
            id: notice.id.clone(),
            recipient: it.id.clone(),
            body: body.clone(),
            at: now,
            failures: 0,
            due_at: now,
        }));
    }
    out
}

/// Where a webhook's secret is sealed.
fn hook_secret_context(recipient: &str) -> SealContext {
    SealContext { label: SEAL_LABEL, owner: recipient.to_owned(), attribute: "webhook_secret" }
}

/// The signature of a request: `v1=` and HMAC-SHA256 over the moment in seconds, a full stop and the body, hexadecimal.
#[must_use]
pub fn signature(secret: &SecretString, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("v1={}", hex::encode(tag.as_ref()))
}

/// What a kind is called in a subject.
fn heading(kind: &str) -> &'static str {
    match kind {
        "connection_lost" => "a connection is lost",
        "shop_silent" => "nothing comes from the shop",
        "dead_letters" => "documents that somebody has to look at",
        "held_long" => "work has been held for more than an hour",
        "healthy" => "it is well again",
        "digest" => "what is still wrong",
        "test" => "a test",
        _ => "a notice",
    }
}

/// A notice as a mail.
#[must_use]
pub fn published(notice: &NoticeV1) -> Published {
    /// Longest subject (Amazon SNS API reference, Publish: fewer than 100 ASCII characters).
    const SUBJECT_MAX: usize = 99;
    let subject: String = format!("Ledger, {}: {}", notice.tenant, heading(&notice.kind))
        .chars()
        .filter(|letter| letter.is_ascii() && !letter.is_ascii_control())
        .take(SUBJECT_MAX)
        .collect();
    let mut text = format!("Shop {}: {}.\n", notice.tenant, heading(&notice.kind));
    for it in &notice.troubles {
        let book = it.provider.as_ref().map(|provider| format!(" ({provider})")).unwrap_or_default();
        text.push_str(&format!("\n{}{book}, since {}\n{}\n", it.code, it.since, it.cause));
        if notice.kind != "healthy" {
            text.push_str(&format!("What to do ({}): {}\n", it.owner, it.remedy));
        }
        if it.count > 0 {
            let named = it.documents.join(", ");
            let others = usize::try_from(it.count).unwrap_or(usize::MAX).saturating_sub(it.documents.len());
            let more = if others > 0 { format!(" and {others} more") } else { String::new() };
            text.push_str(&format!("Documents: {named}{more}\n"));
        }
        if let Some(link) = &it.link {
            text.push_str(&format!("{link}\n"));
        }
    }
    text.push_str(&format!("\nNotice {} of {}\n", notice.id, notice.at));
    let attributes = vec![
        ("tenant", notice.tenant.clone()),
        ("role", notice.role.clone()),
        ("kind", notice.kind.clone()),
        ("id", notice.id.clone()),
    ];
    Published { subject, text, attributes }
}

fn memory_of(row: &NoticesRow) -> Memory {
    let told = row.told.iter().filter_map(|it| {
        let told = Told {
            kind: TroubleKind::parse(&it.kind)?,
            code: Code::parse(&it.code)?,
            since: it.since,
            gone_since: it.gone_since,
        };
        // Earlier builds remembered a dead letter's cause, `dead:<binding>:<code>`.
        let binding = it.key.split(':').nth(1).filter(|_| told.kind == TroubleKind::DeadLetters);
        Some((binding.map_or_else(|| it.key.clone(), |binding| family_news(binding, told.code)), told))
    });
    Memory { told: told.collect(), digest_at: row.digest_at }
}

fn told_of(memory: &Memory) -> Vec<ToldRow> {
    let row = |(key, told): (&String, &Told)| ToldRow {
        key: key.clone(),
        kind: told.kind.as_str().to_owned(),
        code: told.code.as_str().to_owned(),
        since: told.since,
        gone_since: told.gone_since,
    };
    memory.told.iter().map(row).collect()
}

/// Somebody who shall be told.
#[derive(Clone, Debug)]
pub struct NewRecipient {
    /// The id of one who is told already: its secret is kept where no other is named.
    pub id: Option<String>,
    /// `merchant`, `accountant` or `operator`.
    pub role: String,
    /// `sns` or `webhook`.
    pub way: String,
    /// Where the webhook is.
    pub url: Option<String>,
    /// What its requests are signed with.
    pub secret: Option<SecretString>,
}

/// Choosing who is told.
pub struct Recipients<'a> {
    /// The store.
    pub store: &'a dyn NoticeStore,
    /// The vault.
    pub vault: &'a dyn Vault,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Chance.
    pub chance: &'a dyn Chance,
    /// True where webhooks may be plain http and on any port.
    pub allow_private_addresses: bool,
}

impl Recipients<'_> {
    /// A tenant's notices; of one who has none a row without recipients, revision 0.
    ///
    /// # Errors
    /// As the store.
    pub async fn of(&self, tenant: &str) -> Result<NoticesRow, OperateError> {
        Ok(self.store.notices(tenant).await?.unwrap_or_else(|| NoticesRow::new(tenant, DIGEST_MINUTE)))
    }

    /// Puts all of a tenant's recipients and the time of the digest, made from the revision `seen`.
    ///
    /// # Errors
    /// What is invalid; `notices_changed` where somebody else was faster.
    pub async fn put(
        &self,
        tenant: &str,
        seen: u32,
        operator: &str,
        digest_minute: u16,
        wanted: &[NewRecipient],
    ) -> Result<NoticesRow, OperateError> {
        TenantId::parse(tenant).ok_or_else(|| invalid("tenant", "not an id"))?;
        if digest_minute >= DAY_MINUTES {
            return Err(invalid("digest_at", "not a time of the day"));
        }
        if wanted.len() > RECIPIENTS_MAX {
            return Err(invalid("recipients", format!("more than {RECIPIENTS_MAX}")));
        }
        let there = self.of(tenant).await?;
        if there.revision != seen {
            return Err(changed());
        }
        let mut recipients = Vec::with_capacity(wanted.len());
        for it in wanted {
            recipients.push(self.recipient(it, &there).await?);
        }
        let now = self.clock.now_ms();
        let next = NoticesRow {
            revision: there.revision.saturating_add(1),
            outbox: there
                .outbox
                .iter()
                .filter(|entry| recipients.iter().any(|it: &RecipientRow| it.id == entry.recipient))
                .cloned()
                .collect(),
            recipients,
            digest_minute,
            digest_at: if there.digest_at == 0 { 0 } else { next_digest(now, digest_minute) },
            saved_by: Some(operator.to_owned()),
            saved_at: Some(now),
            ..there.clone()
        };
        self.written(&there, next).await
    }

    /// Sends a test to each recipient with the next sweep.
    ///
    /// # Errors
    /// That there is nobody to be told, or `notices_changed`.
    pub async fn test(&self, tenant: &str) -> Result<NoticesRow, OperateError> {
        let there = self.of(tenant).await?;
        if there.recipients.is_empty() {
            return Err(OperateError::NotNow("nobody is told of this tenant".to_owned()));
        }
        let mut next = NoticesRow { revision: there.revision.saturating_add(1), ..there.clone() };
        next.outbox.extend(outbox_of(&there, "test", &[], self.clock.now_ms(), self.chance));
        let surplus = next.outbox.len().saturating_sub(OUTBOX_MAX);
        next.outbox.drain(..surplus);
        self.written(&there, next).await
    }

    async fn written(&self, there: &NoticesRow, next: NoticesRow) -> Result<NoticesRow, OperateError> {
        let seen = (there.revision > 0).then_some(there.revision);
        if self.store.put_notices(seen, &next).await? { Ok(next) } else { Err(changed()) }
    }

    async fn recipient(&self, wanted: &NewRecipient, there: &NoticesRow) -> Result<RecipientRow, OperateError> {
        if Role::parse(&wanted.role).is_none() {
            return Err(invalid("role", "one of merchant, accountant, operator"));
        }
        let known = match &wanted.id {
            None => None,
            Some(id) => Some(
                there
                    .recipients
                    .iter()
                    .find(|it| it.id == *id)
                    .ok_or_else(|| invalid("id", "none of the recipients"))?,
            ),
        };
        let id = known.map_or_else(|| self.chance.uuid(), |it| it.id.clone());
        let (role, way) = (wanted.role.clone(), wanted.way.clone());
        match wanted.way.as_str() {
            "sns" if wanted.url.is_none() && wanted.secret.is_none() => {
                Ok(RecipientRow { id, role, way, url: None, secret: None })
            }
            "sns" => Err(invalid("url", "the topic's recipients have neither address nor secret here")),
            "webhook" => {
                let url = wanted.url.as_deref().ok_or_else(|| invalid("url", "a webhook needs an address"))?;
                may_be_a_hook(url, self.allow_private_addresses).map_err(|reason| invalid("url", reason))?;
                let version = known.and_then(|it| it.secret.as_ref()).map_or(0, |it| it.version).saturating_add(1);
                let secret = match (&wanted.secret, known) {
                    (Some(secret), _) => {
                        let length = secret.expose_secret().len();
                        if !(SECRET_MIN_BYTES..=SECRET_MAX_BYTES).contains(&length) {
                            let reason = format!("{SECRET_MIN_BYTES} to {SECRET_MAX_BYTES} bytes");
                            return Err(invalid("secret", reason));
                        }
                        self.vault.seal(secret, version, &hook_secret_context(&id)).await?
                    }
                    // A secret stays with its address: else another address would learn what it signs.
                    (None, Some(known)) if known.url.as_deref() == Some(url) => {
                        known.secret.clone().ok_or_else(|| invalid("secret", "a webhook needs a secret"))?
                    }
                    (None, _) => return Err(invalid("secret", "a new address needs a secret")),
                };
                Ok(RecipientRow { id, role, way, url: Some(url.to_owned()), secret: Some(secret) })
            }
            _ => Err(invalid("way", "one of sns, webhook")),
        }
    }
}

fn changed() -> OperateError {
    OperateError::Refused {
        code: "notices_changed",
        reason: "the recipients changed meanwhile; look at them and put them again".to_owned(),
    }
}

/// What can be said of a webhook's address before it is spoken to: whether it is public is asked at each request.
fn may_be_a_hook(url: &str, allow_private: bool) -> Result<(), &'static str> {
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) if allow_private => rest,
        _ => return Err("not https"),
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if url.len() > URL_MAX_BYTES {
        return Err("too long");
    }
    if host.is_empty() || url.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '\\') {
        return Err("not an address");
    }
    if host.contains('@') || url.contains('#') {
        return Err("a user name or a fragment in the address");
    }
    match host.rsplit_once(':') {
        Some((_, port)) if !allow_private && port != "443" && !host.ends_with(']') => Err("not port 443"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
