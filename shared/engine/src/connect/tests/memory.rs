//! Ports in memory.

use crate::connect::grant::{GrantOf, Grants};
use crate::connect::oauth::Connect;
use crate::ports::*;
use crate::tenants::{access_token_context, refresh_token_context};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_dialects::Reply;
use ledger_domain::identity::Provider;
use ledger_wire::rows::*;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub(super) const NOW: i64 = 1_780_000_000_000;
pub(super) const MINUTE: i64 = 60_000;
pub(super) const PUBLIC_URL: &str = "https://ledger.example";

/// A store in memory: what the adapter promises, without its retries.
#[derive(Default)]
pub(super) struct Store {
    pub(super) tenancies: Mutex<BTreeMap<String, Tenancy>>,
    pub(super) grants: Mutex<BTreeMap<String, TokenRow>>,
    apps: Mutex<BTreeMap<String, AppRow>>,
    states: Mutex<BTreeMap<String, OAuthStateRow>>,
    links: Mutex<BTreeMap<String, ConnectLinkRow>>,
    pub(super) pendings: Mutex<BTreeMap<String, PendingConnectionRow>>,
    books: Mutex<BTreeMap<(String, String), BookBindingRow>>,
    users: Mutex<BTreeMap<(String, String), AuthorityUserRow>>,
    pub(super) agenda: Mutex<BTreeMap<String, AgendaRow>>,
    /// Saves fail from here on.
    pub(super) loses_saves: Mutex<bool>,
}

impl Store {
    pub(super) fn binding(&self, tenant: &str, id: &str) -> BindingRow {
        let tenancies = self.tenancies.lock().unwrap();
        tenancies[tenant].bindings.iter().find(|row| row.binding == id).cloned().unwrap()
    }

    pub(super) fn change(&self, tenant: &str, id: &str, change: impl FnOnce(&mut BindingRow)) {
        let mut tenancies = self.tenancies.lock().unwrap();
        let found = tenancies.get_mut(tenant).and_then(|it| it.bindings.iter_mut().find(|row| row.binding == id));
        change(found.unwrap());
    }

    pub(super) fn everything(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            self.states.lock().unwrap(),
            self.links.lock().unwrap(),
            self.pendings.lock().unwrap(),
            self.grants.lock().unwrap(),
            self.apps.lock().unwrap(),
        )
    }
}

#[async_trait]
impl Tenants for Store {
    async fn tenancy(&self, tenant: &str) -> PortResult<Option<Tenancy>> {
        Ok(self.tenancies.lock().unwrap().get(tenant).cloned())
    }
}

#[async_trait]
impl GrantStore for Store {
    async fn grant(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        Ok(self.grants.lock().unwrap().get(binding).cloned())
    }

    async fn app(&self, pk: &str) -> PortResult<Option<AppRow>> {
        Ok(self.apps.lock().unwrap().get(pk).cloned())
    }

    async fn lease_grant(
        &self,
        binding: &str,
        version: u32,
        owner: &str,
        now: i64,
        until: i64,
    ) -> PortResult<GrantLeased> {
        let mut grants = self.grants.lock().unwrap();
        let Some(row) = grants.get_mut(binding).filter(|row| row.version == version) else {
            return Ok(GrantLeased::Moved(grants.get(binding).cloned()));
        };
        match row.lease_until.filter(|until| *until > now && row.lease_owner.as_deref() != Some(owner)) {
            Some(until) => Ok(GrantLeased::Busy(until)),
            None => {
                row.lease_owner = Some(owner.to_owned());
                row.lease_until = Some(until);
                Ok(GrantLeased::Ours)
            }
        }
    }

    async fn save_grant(&self, seen_version: u32, next: &TokenRow) -> PortResult<bool> {
        if *self.loses_saves.lock().unwrap() {
            return Err(PortFault::Unavailable("the store is down".to_owned()));
        }
        let binding = next.pk.trim_start_matches("binding#").to_owned();
        let mut grants = self.grants.lock().unwrap();
        if grants.get(&binding).is_none_or(|row| row.version != seen_version) {
            return Ok(false);
        }
        grants.insert(binding, next.clone());
        Ok(true)
    }

    async fn release_grant(&self, binding: &str, owner: &str) -> PortResult<()> {
        let mut grants = self.grants.lock().unwrap();
        if let Some(row) = grants.get_mut(binding).filter(|row| row.lease_owner.as_deref() == Some(owner)) {
            row.lease_owner = None;
            row.lease_until = None;
        }
        Ok(())
    }

    async fn needs_reconnect(&self, tenant: &str, binding: &str, version: Option<u32>) -> PortResult<bool> {
        let there = self.grants.lock().unwrap().get(binding).map(|row| row.version);
        if version.is_some() && there != version {
            return Ok(false);
        }
        self.change(tenant, binding, |row| {
            if row.status == "active" {
                "needs_reconnect".clone_into(&mut row.status);
            }
        });
        Ok(true)
    }
}

#[async_trait]
impl ConnectStore for Store {
    async fn put_app(&self, seen_version: Option<u32>, app: &AppRow) -> PortResult<bool> {
        let mut apps = self.apps.lock().unwrap();
        if apps.get(&app.pk).map(|row| row.version) != seen_version {
            return Ok(false);
        }
        apps.insert(app.pk.clone(), app.clone());
        Ok(true)
    }

    async fn put_oauth_state(&self, state: &OAuthStateRow) -> PortResult<()> {
        self.states.lock().unwrap().insert(state.pk.clone(), state.clone());
        Ok(())
    }

    async fn oauth_state(&self, pk: &str) -> PortResult<Option<OAuthStateRow>> {
        Ok(self.states.lock().unwrap().get(pk).cloned())
    }

    async fn take_oauth_state(&self, pk: &str, by: &str) -> PortResult<bool> {
        let mut states = self.states.lock().unwrap();
        Ok(states.get_mut(pk).is_some_and(|row| row.taken_by.get_or_insert(by.to_owned()) == by))
    }

    async fn put_link(&self, link: &ConnectLinkRow) -> PortResult<()> {
        self.links.lock().unwrap().insert(link.pk.clone(), link.clone());
        Ok(())
    }

    async fn link(&self, pk: &str) -> PortResult<Option<ConnectLinkRow>> {
        Ok(self.links.lock().unwrap().get(pk).cloned())
    }

    async fn take_link(&self, pk: &str, by: &str) -> PortResult<bool> {
        let mut links = self.links.lock().unwrap();
        Ok(links.get_mut(pk).is_some_and(|row| row.taken_by.get_or_insert(by.to_owned()) == by))
    }

    async fn put_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool> {
        let mut pendings = self.pendings.lock().unwrap();
        if pendings.get(&pending.binding).is_some_and(|there| there.made_at > pending.made_at) {
            return Ok(false);
        }
        pendings.insert(pending.binding.clone(), pending.clone());
        Ok(true)
    }

    async fn complete_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool> {
        let mut pendings = self.pendings.lock().unwrap();
        if pendings.get(&pending.binding).is_none_or(|there| there.id != pending.id) {
            return Ok(false);
        }
        pendings.insert(pending.binding.clone(), pending.clone());
        Ok(true)
    }

    async fn pending(&self, binding: &str) -> PortResult<Option<PendingConnectionRow>> {
        Ok(self.pendings.lock().unwrap().get(binding).cloned())
    }

    async fn remove_pending(&self, binding: &str, id: &str) -> PortResult<()> {
        self.pendings.lock().unwrap().retain(|key, row| key != binding || row.id != id);
        Ok(())
    }

    async fn book_bindings(&self, book: &str) -> PortResult<Vec<BookBindingRow>> {
        let pk = keys::book(book);
        Ok(self.books.lock().unwrap().values().filter(|row| row.pk == pk).cloned().collect())
    }

    async fn put_book_binding(&self, row: &BookBindingRow) -> PortResult<()> {
        self.books.lock().unwrap().insert((row.pk.clone(), row.sk.clone()), row.clone());
        Ok(())
    }

    async fn user_bindings(&self, provider: &str, user: &str) -> PortResult<Vec<AuthorityUserRow>> {
        let pk = keys::authority_user(provider, user);
        Ok(self.users.lock().unwrap().values().filter(|row| row.pk == pk).cloned().collect())
    }

    async fn confirm(&self, it: &Confirmation) -> PortResult<bool> {
        let there = self.grants.lock().unwrap().get(&it.seen.binding).map(|row| row.version);
        let pending = self.pendings.lock().unwrap().get(&it.seen.binding).map(|row| row.id.clone());
        if there != it.seen_grant
            || pending.as_ref() != Some(&it.pending.id)
            || self.binding(&it.seen.tenant, &it.seen.binding) != it.seen
        {
            return Ok(false);
        }
        self.pendings.lock().unwrap().remove(&it.seen.binding);
        self.change(&it.seen.tenant, &it.seen.binding, |row| *row = it.next.clone());
        self.grants.lock().unwrap().insert(it.seen.binding.clone(), it.grant.clone());
        let place = (it.book_binding.pk.clone(), it.book_binding.sk.clone());
        self.books.lock().unwrap().insert(place, it.book_binding.clone());
        if let Some(user) = &it.user {
            self.users.lock().unwrap().insert((user.pk.clone(), user.sk.clone()), user.clone());
        }
        if let Some(former) = &it.former_user {
            self.users.lock().unwrap().remove(&(former.pk.clone(), former.sk.clone()));
        }
        if let Some(entry) = &it.keep_alive {
            self.agenda.lock().unwrap().insert(entry.sk.clone(), entry.clone());
        }
        Ok(true)
    }

    async fn disconnect(&self, tenant: &str, binding: &str) -> PortResult<bool> {
        self.change(tenant, binding, |row| "disconnected".clone_into(&mut row.status));
        Ok(true)
    }

    async fn forget_grant(&self, tenant: &str, provider: &str, grant: &TokenRow) -> PortResult<bool> {
        let binding = grant.pk.trim_start_matches("binding#").to_owned();
        self.grants.lock().unwrap().remove(&binding);
        if let Some(user) = &grant.authority_user {
            let place = (keys::authority_user(provider, user), keys::binding_of(tenant, &binding));
            self.users.lock().unwrap().remove(&place);
        }
        Ok(true)
    }
}

#[async_trait]
impl Agenda for Store {
    async fn agenda_due(&self, now: i64, after: Option<&AgendaRow>, limit: usize) -> PortResult<Vec<AgendaRow>> {
        let after = after.map(|row| row.sk.as_str()).unwrap_or_default();
        let due = |row: &&AgendaRow| row.at <= now && row.sk.as_str() > after;
        Ok(self.agenda.lock().unwrap().values().filter(due).take(limit).cloned().collect())
    }

    async fn agenda_put(&self, row: &AgendaRow) -> PortResult<()> {
        self.agenda.lock().unwrap().insert(row.sk.clone(), row.clone());
        Ok(())
    }

    async fn agenda_remove(&self, row: &AgendaRow) -> PortResult<()> {
        self.agenda.lock().unwrap().remove(&row.sk);
        Ok(())
    }
}

/// Seals by writing down where; opens nowhere else.
pub(super) struct PlainVault;

fn place(context: &SealContext, version: u32) -> String {
    format!("{}|{}|{}|{version}", context.label, context.owner, context.attribute)
}

#[async_trait]
impl Vault for PlainVault {
    async fn open(&self, sealed: &SealedRow, context: &SealContext) -> PortResult<SecretString> {
        let bytes = URL_SAFE_NO_PAD.decode(&sealed.ciphertext).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        match text.split_once('\n') {
            Some((at, secret)) if at == place(context, sealed.version) => Ok(secret.into()),
            _ => Err(PortFault::Inconsistent("sealed for another place".to_owned())),
        }
    }

    async fn seal(&self, secret: &SecretString, version: u32, context: &SealContext) -> PortResult<SealedRow> {
        let text = format!("{}\n{}", place(context, version), secret.expose_secret());
        Ok(SealedRow { ciphertext: URL_SAFE_NO_PAD.encode(text), version })
    }
}

/// A clock that tests move; waiting moves it and lets others run.
pub(super) struct TestClock(pub(super) AtomicI64);

impl TestClock {
    pub(super) fn advance(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        // Of two hundred who wait at once each would move it: a little is enough.
        self.advance(i64::try_from(milliseconds).unwrap() / 100);
        tokio::task::yield_now().await;
    }
}

/// Chance that counts.
pub(super) struct TestChance(AtomicU64);

impl Chance for TestChance {
    fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.number())
    }

    fn number(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
    }
}

/// What the provider does with the next request instead of the usual.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// Does it, but the reply is lost.
    LosesReply,
    /// Can't be reached.
    Unreachable,
    /// Answers so.
    Says(u16, &'static str),
}

/// A provider: tokens that rotate as its documents say, and the pages that tell what a grant covers.
pub(super) struct FakeProvider {
    provider: Provider,
    state: Mutex<Desk>,
}

#[derive(Default)]
pub(super) struct Desk {
    issued: u32,
    /// Refresh tokens that are good now.
    pub(super) good: BTreeSet<String>,
    /// Refresh tokens that were rotated away, with when: Xero takes them for half an hour.
    pub(super) spent: BTreeMap<String, i64>,
    pub(super) troubles: VecDeque<Trouble>,
    /// Pages by method and path: status and body.
    pub(super) pages: BTreeMap<String, (u16, Value)>,
    /// Requests as they came: method and path, then the form's fields.
    pub(super) asked: Vec<String>,
    pub(super) now: i64,
}

impl FakeProvider {
    pub(super) fn desk<T>(&self, look: impl FnOnce(&mut Desk) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub(super) fn fails(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.desk(|desk| desk.troubles.extend(troubles));
    }

    pub(super) fn page(&self, path: &str, status: u16, body: Value) {
        self.desk(|desk| desk.pages.insert(format!("GET {path}"), (status, body)));
    }

    pub(super) fn asked(&self, path: &str) -> usize {
        self.desk(|desk| desk.asked.iter().filter(|line| line.contains(path)).count())
    }

    fn tokens(&self, desk: &mut Desk) -> Value {
        desk.issued += 1;
        let number = desk.issued;
        let refresh = match self.provider {
            Provider::Freeagent => "refresh-same".to_owned(),
            Provider::Xero | Provider::SageAccounting => format!("refresh-{number}"),
        };
        desk.good.insert(refresh.clone());
        let access = match self.provider {
            Provider::Xero => {
                let claims = URL_SAFE_NO_PAD.encode(
                    json!({"xero_userid": "user-1", "authentication_event_id": "event-1", "n": number}).to_string(),
                );
                format!("e30.{claims}.sig")
            }
            Provider::SageAccounting | Provider::Freeagent => format!("access-{number}"),
        };
        let (seconds, scope) = match self.provider {
            Provider::Xero => (
                1_800,
                "offline_access accounting.invoices accounting.payments accounting.contacts accounting.settings.read",
            ),
            Provider::SageAccounting => (300, "full_access"),
            Provider::Freeagent => (3_600, ""),
        };
        json!({"access_token": access, "expires_in": seconds, "refresh_token": refresh, "scope": scope, "token_type": "Bearer"})
    }

    fn answer(&self, desk: &mut Desk, path: &str, fields: &BTreeMap<String, String>) -> (u16, Value) {
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        if path.ends_with("/token") {
            match field("grant_type") {
                "authorization_code" if field("code") == "good" => (200, self.tokens(desk)),
                "refresh_token" => {
                    let used = field("refresh_token").to_owned();
                    let graced = self.provider == Provider::Xero
                        && desk.spent.get(&used).is_some_and(|at| desk.now - at < 30 * MINUTE);
                    if !desk.good.contains(&used) && !graced {
                        return (400, json!({"error": "invalid_grant"}));
                    }
                    if self.provider != Provider::Freeagent {
                        desk.good.remove(&used);
                        desk.spent.entry(used).or_insert(desk.now);
                    }
                    (200, self.tokens(desk))
                }
                _ => (400, json!({"error": "invalid_grant"})),
            }
        } else if path.ends_with("/revoke") {
            desk.good.remove(field("token"));
            (200, json!({}))
        } else {
            (204, json!({}))
        }
    }
}

#[async_trait]
impl Authorities for FakeProvider {
    async fn call(&self, call: &AuthorityCall<'_>) -> Result<Reply, TransportFault> {
        tokio::task::yield_now().await;
        let path = call.url.trim_start_matches("http://127.0.0.1:9");
        let mut state = self.state.lock().unwrap();
        let (method, fields): (_, BTreeMap<String, String>) = match &call.ask {
            Ask::Get => ("GET", BTreeMap::new()),
            Ask::Delete => ("DELETE", BTreeMap::new()),
            Ask::Post(form) => {
                let field =
                    |(name, value): &(&str, SecretString)| ((*name).to_owned(), value.expose_secret().to_owned());
                ("POST", form.iter().map(field).collect())
            }
        };
        let proof = match &call.access {
            Access::Open => "open".to_owned(),
            Access::Basic { client_id, secret } => format!("basic {client_id}:{}", secret.expose_secret()),
            Access::Bearer(_) => "bearer".to_owned(),
        };
        state.asked.push(format!("{method} {path} {proof} {fields:?}"));
        let trouble = if method == "POST" { state.troubles.pop_front() } else { None };
        let (status, body) = match trouble {
            Some(Trouble::Unreachable) => return Err(TransportFault::NotSent("no route".to_owned())),
            Some(Trouble::Says(status, body)) => {
                return Ok(Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() });
            }
            Some(Trouble::LosesReply) => {
                self.answer(&mut state, path, &fields);
                return Err(TransportFault::NoAnswer("cut".to_owned()));
            }
            None => match state.pages.get(&format!("{method} {path}")).cloned() {
                Some(page) => page,
                None if method == "GET" => (404, json!({})),
                None => self.answer(&mut state, path, &fields),
            },
        };
        Ok(Reply { status, body: body.to_string().into_bytes(), ..Reply::default() })
    }
}

/// Everything together.
pub(super) struct Scene {
    pub(super) provider: Provider,
    pub(super) store: Store,
    pub(super) clock: TestClock,
    pub(super) authority: FakeProvider,
    chance: TestChance,
}

impl Scene {
    /// Two tenants with a pending binding each: `t` with `b`, `u` with `c`.
    pub(super) fn new(provider: Provider) -> Self {
        let store = Store::default();
        for (tenant, binding) in [("t", "b"), ("u", "c")] {
            let row = TenantRow {
                tenant: tenant.to_owned(),
                shop_url: format!("https://{tenant}.example"),
                status: "connected".to_owned(),
                ..TenantRow::default()
            };
            let bound = BindingRow {
                binding: binding.to_owned(),
                tenant: tenant.to_owned(),
                provider: provider.as_str().to_owned(),
                status: "pending".to_owned(),
                settings_version: 1,
                ..BindingRow::default()
            };
            let tenancy = Tenancy { tenant: row, bindings: vec![bound] };
            store.tenancies.lock().unwrap().insert(tenant.to_owned(), tenancy);
        }
        Self {
            provider,
            store,
            clock: TestClock(AtomicI64::new(NOW)),
            authority: FakeProvider { provider, state: Mutex::new(Desk { now: NOW, ..Desk::default() }) },
            chance: TestChance(AtomicU64::new(1)),
        }
    }

    pub(super) fn connect(&self) -> Connect<'_> {
        Connect {
            store: &self.store,
            vault: &PlainVault,
            authorities: &self.authority,
            clock: &self.clock,
            chance: &self.chance,
            own_hosts: true,
        }
    }

    pub(super) fn grants(&self) -> Grants<'_> {
        Grants {
            store: &self.store,
            vault: &PlainVault,
            authorities: &self.authority,
            clock: &self.clock,
            chance: &self.chance,
            own_hosts: true,
        }
    }

    pub(super) fn of(&self) -> GrantOf<'_> {
        GrantOf { tenant: "t", binding: "b", provider: self.provider }
    }

    pub(super) fn row(&self) -> TokenRow {
        self.store.grants.lock().unwrap()["b"].clone()
    }

    pub(super) fn advance(&self, milliseconds: i64) {
        self.clock.advance(milliseconds);
        self.authority.desk(|desk| desk.now = self.clock.now_ms());
    }

    pub(super) fn deadline(&self) -> i64 {
        self.clock.now_ms() + MINUTE
    }

    /// The stack's app, with addresses of a stand-in.
    pub(super) async fn set_app(&self) {
        let new = crate::connect::oauth::NewApp {
            provider: self.provider.as_str().to_owned(),
            binding: None,
            client_id: "client".to_owned(),
            client_secret: Some("hush-secret".into()),
            environment: None,
            scopes: Vec::new(),
            dialect: None,
            country: None,
            hosts: Some(hosts()),
        };
        self.connect().set_app(&new, PUBLIC_URL).await.unwrap();
    }

    /// A connected binding `b` whose token has just been fetched.
    pub(super) async fn connected(provider: Provider) -> Self {
        let scene = Self::new(provider);
        scene.set_app().await;
        let seconds = match provider {
            Provider::Xero => 1_800,
            Provider::SageAccounting => 300,
            Provider::Freeagent => 3_600,
        };
        let refresh = if provider == Provider::Freeagent { "refresh-same" } else { "refresh-0" };
        scene.authority.desk(|desk| desk.good.insert(refresh.to_owned()));
        let row = TokenRow {
            pk: keys::of_binding("b"),
            sk: keys::TOKEN.to_owned(),
            v: ROW_VERSION,
            access: PlainVault.seal(&"access-0".into(), 1, &access_token_context("b")).await.unwrap(),
            refresh: Some(PlainVault.seal(&refresh.into(), 1, &refresh_token_context("b")).await.unwrap()),
            version: 1,
            access_until: Some(NOW + seconds * 1_000),
            refreshed_at: Some(NOW),
            ..TokenRow::default()
        };
        scene.store.grants.lock().unwrap().insert("b".to_owned(), row);
        scene.store.change("t", "b", |row| "active".clone_into(&mut row.status));
        scene
    }
}

pub(super) fn hosts() -> AppHostsRow {
    AppHostsRow {
        authorize: "http://127.0.0.1:9/authorize".to_owned(),
        token: "http://127.0.0.1:9/token".to_owned(),
        revoke: Some("http://127.0.0.1:9/revoke".to_owned()),
        api: "http://127.0.0.1:9".to_owned(),
    }
}
