//! What connecting a book asks, and keeping it connected.

use super::attempts::written;
use super::rows::{Place, PrefixRow, Row, Table, read};
use super::store::{MemoryStore, Open, Part, Transacted};
use async_trait::async_trait;
use ledger_engine::ports::{Confirmation, ConnectStore, GrantLeased, GrantStore, PortResult};
use ledger_wire::rows::{
    AppRow, AuthorityUserRow, BindingRow, BookBindingRow, ConnectLinkRow, OAuthStateRow, PendingConnectionRow,
    ROW_VERSION, TokenRow, keys,
};

/// A row of a single use.
trait Taken: Row {
    fn taken_by(&self) -> Option<&str>;
    fn taken(self, by: &str) -> Self;
}

impl Taken for OAuthStateRow {
    fn taken_by(&self) -> Option<&str> {
        self.taken_by.as_deref()
    }

    fn taken(self, by: &str) -> Self {
        Self { taken_by: Some(by.to_owned()), ..self }
    }
}

impl Taken for ConnectLinkRow {
    fn taken_by(&self) -> Option<&str> {
        self.taken_by.as_deref()
    }

    fn taken(self, by: &str) -> Self {
        Self { taken_by: Some(by.to_owned()), ..self }
    }
}

fn pending_place(binding: &str) -> Place {
    Place::new(Table::Tenants, keys::of_binding(binding), keys::PENDING)
}

impl Open<'_> {
    /// Marks an active binding as needing a new connection.
    fn binding_marked(&self, tenant: &str, binding: &str) -> Part {
        let place = Place::binding(tenant, binding);
        let active = self.seen::<BindingRow>(&place).filter(|row| row.status == "active");
        let marked = active.map(|row| BindingRow { status: "needs_reconnect".to_owned(), ..row.clone() });
        Part::change(place, marked)
    }

    fn grant_is(&self, place: &Place, version: u32) -> bool {
        self.seen::<TokenRow>(place).is_some_and(|row| row.version == version)
    }

    fn take<R: Taken>(&mut self, place: &Place, by: &str) -> PortResult<bool> {
        let there = self.seen::<R>(place).filter(|row| row.taken_by().is_none_or(|taken| taken == by));
        let taken = there.cloned().map(|row| row.taken(by));
        self.one(Part::change(place.clone(), taken))
    }

    fn of_partition<R: Row>(&self, pk: &str) -> PortResult<Vec<R>> {
        self.partition(Table::Tenants, pk, keys::BINDINGS_OF).map(|(place, stored)| read::<R>(place, stored)).collect()
    }

    fn lease_grant(
        &mut self,
        binding: &str,
        version: u32,
        owner: &str,
        now: i64,
        until: i64,
    ) -> PortResult<GrantLeased> {
        let place = Place::grant(binding);
        let free = self.seen::<TokenRow>(&place).filter(|row| {
            row.version == version
                && (row.lease_until.is_none_or(|at| at <= now) || row.lease_owner.as_deref() == Some(owner))
        });
        let leased =
            free.map(|row| TokenRow { lease_owner: Some(owner.to_owned()), lease_until: Some(until), ..row.clone() });
        if self.one(Part::change(place.clone(), leased))? {
            return Ok(GrantLeased::Ours);
        }
        Ok(match self.get::<TokenRow>(&place)? {
            Some(row) if row.version == version => GrantLeased::Busy(row.lease_until.unwrap_or(now)),
            moved => GrantLeased::Moved(moved),
        })
    }

    fn save_grant(&mut self, seen_version: u32, next: &TokenRow) -> PortResult<bool> {
        let place = next.place();
        let as_seen = self.grant_is(&place, seen_version);
        // The very row: an earlier try was applied and its reply lost.
        Ok(self.one(Part::put(next.clone(), as_seen))? || self.seen::<TokenRow>(&place) == Some(next))
    }

    fn release_grant(&mut self, binding: &str, owner: &str) -> PortResult<()> {
        let place = Place::grant(binding);
        let ours = self.seen::<TokenRow>(&place).filter(|row| row.lease_owner.as_deref() == Some(owner));
        let released = ours.map(|row| TokenRow { lease_owner: None, lease_until: None, ..row.clone() });
        self.one(Part::change(place, released)).map(|_| ())
    }

    /// The number prefix of a book becomes a tenant's, if it is nobody else's.
    pub(super) fn prefix_claimed(&self, book: &str, prefix: &str, tenant: &str) -> Part {
        let place = Place::new(Table::Tenants, keys::book(book), keys::prefix(prefix));
        let free = self.prefix_is(&place, tenant);
        let tenant = tenant.to_owned();
        Part::put(PrefixRow { pk: place.pk, sk: place.sk.into_owned(), v: ROW_VERSION, tenant }, free)
    }

    /// The number prefix of a book is a tenant's no longer.
    pub(super) fn prefix_freed(&self, book: &str, prefix: &str, tenant: &str) -> Part {
        let place = Place::new(Table::Tenants, keys::book(book), keys::prefix(prefix));
        let holds = self.prefix_is(&place, tenant);
        Part::delete(place, holds)
    }

    fn prefix_is(&self, place: &Place, tenant: &str) -> bool {
        self.seen::<PrefixRow>(place).map_or(!self.there(place), |row| row.tenant == tenant)
    }

    fn pending_removed(&self, binding: &str, id: &str) -> Part {
        let place = pending_place(binding);
        let this = self.seen::<PendingConnectionRow>(&place).is_some_and(|row| row.id == id);
        Part::delete(place, this)
    }

    /// The binding with its book, if it is as it was read.
    fn binding_connected(&self, confirmation: &Confirmation) -> Part {
        let (seen, next) = (&confirmation.seen, &confirmation.next);
        let place = Place::binding(&seen.tenant, &seen.binding);
        let there = self.seen::<BindingRow>(&place).filter(|row| {
            row.status == seen.status && row.book == seen.book && row.settings_version == seen.settings_version
        });
        let told = |told: &Option<String>, there: &Option<String>| told.as_ref().or(there.as_ref()).cloned();
        let connected = there.map(|row| BindingRow {
            status: next.status.clone(),
            book: next.book.clone(),
            dialect: next.dialect.clone(),
            base_url: next.base_url.clone(),
            connected_at: next.connected_at,
            web_name: told(&next.web_name, &row.web_name),
            organisation_name: told(&next.organisation_name, &row.organisation_name),
            environment: told(&next.environment, &row.environment),
            ..row.clone()
        });
        Part::change(place, connected)
    }

    fn confirm(&mut self, confirmation: &Confirmation) -> PortResult<bool> {
        let place = confirmation.grant.place();
        let as_seen = match confirmation.seen_grant {
            None => !self.there(&place),
            Some(version) => self.grant_is(&place, version),
        };
        let mut parts = vec![
            Part::put(confirmation.grant.clone(), as_seen),
            self.binding_connected(confirmation),
            self.pending_removed(&confirmation.pending.binding, &confirmation.pending.id),
            Part::put(confirmation.book_binding.clone(), true),
            self.prefix_claimed(
                &confirmation.next.book,
                &confirmation.book_binding.prefix,
                &confirmation.book_binding.tenant,
            ),
        ];
        parts.extend(confirmation.user.clone().map(|row| Part::put(row, true)));
        parts.extend(confirmation.former_user.as_ref().map(|row| Part::delete(row.place(), true)));
        parts.extend(confirmation.keep_alive.clone().map(|row| Part::put(row, true)));
        Ok(match self.transact(parts)? {
            Transacted::Done => true,
            // The very grant: an earlier try was applied, all of it, and its reply lost.
            Transacted::Refused(refusals) => {
                refusals.first() == Some(&true) && self.seen::<TokenRow>(&place) == Some(&written(&confirmation.grant))
            }
        })
    }

    fn forget_grant(&mut self, tenant: &str, provider: &str, grant: &TokenRow) -> PortResult<bool> {
        let binding = grant.pk.strip_prefix(&keys::of_binding("")).unwrap_or_default();
        let place = grant.place();
        let holds = !self.there(&place) || self.grant_is(&place, grant.version);
        let mut parts = vec![Part::delete(place, holds)];
        if let Some(user) = &grant.authority_user {
            let pk = keys::authority_user(provider, user);
            parts.push(Part::delete(Place::new(Table::Tenants, pk, keys::binding_of(tenant, binding)), true));
        }
        Ok(self.transact(parts)?.done())
    }
}

impl MemoryStore {
    /// Writes a row, whatever is there.
    pub(super) async fn put_any<R: Row>(&self, name: &'static str, row: &R) -> PortResult<()> {
        self.single(name, |open| open.one(Part::put(row.clone(), true)).map(|_| ())).await
    }
}

#[async_trait]
impl GrantStore for MemoryStore {
    async fn grant(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        self.row("store.grant", Place::grant(binding)).await
    }

    async fn app(&self, pk: &str) -> PortResult<Option<AppRow>> {
        self.row("store.app", Place::new(Table::Tenants, pk, keys::APP)).await
    }

    async fn lease_grant(
        &self,
        binding: &str,
        version: u32,
        owner: &str,
        now: i64,
        until: i64,
    ) -> PortResult<GrantLeased> {
        self.single("store.lease_grant", |open| open.lease_grant(binding, version, owner, now, until)).await
    }

    async fn save_grant(&self, seen_version: u32, next: &TokenRow) -> PortResult<bool> {
        self.single("store.save_grant", |open| open.save_grant(seen_version, next)).await
    }

    async fn release_grant(&self, binding: &str, owner: &str) -> PortResult<()> {
        self.single("store.release_grant", |open| open.release_grant(binding, owner)).await
    }

    async fn needs_reconnect(&self, tenant: &str, binding: &str, version: Option<u32>) -> PortResult<bool> {
        const NAME: &str = "store.needs_reconnect";
        let Some(version) = version else {
            let marked = |open: &mut Open<'_>| open.one(open.binding_marked(tenant, binding)).map(|_| true);
            return self.single(NAME, marked).await;
        };
        self.call(NAME, |open| {
            let place = Place::grant(binding);
            let same = open.grant_is(&place, version);
            let parts = vec![Part::check(place, same), open.binding_marked(tenant, binding)];
            open.transact(parts).map(|_| same)
        })
        .await
    }
}

#[async_trait]
impl ConnectStore for MemoryStore {
    async fn put_app(&self, seen_version: Option<u32>, app: &AppRow) -> PortResult<bool> {
        self.single("store.put_app", |open| {
            let place = app.place();
            let as_seen = match seen_version {
                None => !open.there(&place),
                Some(version) => open.seen::<AppRow>(&place).is_some_and(|row| row.version == version),
            };
            Ok(open.one(Part::put(app.clone(), as_seen))? || open.seen::<AppRow>(&place) == Some(app))
        })
        .await
    }

    async fn put_oauth_state(&self, state: &OAuthStateRow) -> PortResult<()> {
        self.put_any("store.put_oauth_state", state).await
    }

    async fn oauth_state(&self, pk: &str) -> PortResult<Option<OAuthStateRow>> {
        self.row("store.oauth_state", Place::new(Table::Tenants, pk, keys::STATE)).await
    }

    async fn take_oauth_state(&self, pk: &str, by: &str) -> PortResult<bool> {
        let place = Place::new(Table::Tenants, pk, keys::STATE);
        self.single("store.take_oauth_state", |open| open.take::<OAuthStateRow>(&place, by)).await
    }

    async fn put_link(&self, link: &ConnectLinkRow) -> PortResult<()> {
        self.put_any("store.put_link", link).await
    }

    async fn link(&self, pk: &str) -> PortResult<Option<ConnectLinkRow>> {
        self.row("store.link", Place::new(Table::Tenants, pk, keys::LINK)).await
    }

    async fn take_link(&self, pk: &str, by: &str) -> PortResult<bool> {
        let place = Place::new(Table::Tenants, pk, keys::LINK);
        self.single("store.take_link", |open| open.take::<ConnectLinkRow>(&place, by)).await
    }

    async fn put_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool> {
        self.single("store.put_pending", |open| {
            let there = open.seen::<PendingConnectionRow>(&pending.place());
            let holds = there.is_none_or(|there| there.made_at <= pending.made_at);
            open.one(Part::put(pending.clone(), holds))
        })
        .await
    }

    async fn complete_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool> {
        self.single("store.complete_pending", |open| {
            let there = open.seen::<PendingConnectionRow>(&pending.place());
            let same = there.is_some_and(|there| there.id == pending.id);
            open.one(Part::put(pending.clone(), same))
        })
        .await
    }

    async fn pending(&self, binding: &str) -> PortResult<Option<PendingConnectionRow>> {
        self.row("store.pending", pending_place(binding)).await
    }

    async fn remove_pending(&self, binding: &str, id: &str) -> PortResult<()> {
        self.single("store.remove_pending", |open| open.one(open.pending_removed(binding, id)).map(|_| ())).await
    }

    async fn book_bindings(&self, book: &str) -> PortResult<Vec<BookBindingRow>> {
        self.call("store.book_bindings", |open| open.of_partition(&keys::book(book))).await
    }

    async fn put_book_binding(&self, row: &BookBindingRow) -> PortResult<()> {
        self.put_any("store.put_book_binding", row).await
    }

    async fn user_bindings(&self, provider: &str, user: &str) -> PortResult<Vec<AuthorityUserRow>> {
        self.call("store.user_bindings", |open| open.of_partition(&keys::authority_user(provider, user))).await
    }

    async fn confirm(&self, confirmation: &Confirmation) -> PortResult<bool> {
        self.call("store.confirm", |open| open.confirm(confirmation)).await
    }

    async fn disconnect(&self, tenant: &str, binding: &str) -> PortResult<bool> {
        self.single("store.disconnect", |open| {
            let place = Place::binding(tenant, binding);
            let there = open.seen::<BindingRow>(&place);
            let over = there.map(|row| BindingRow { status: "disconnected".to_owned(), ..row.clone() });
            open.one(Part::change(place, over))
        })
        .await
    }

    async fn forget_grant(&self, tenant: &str, provider: &str, grant: &TokenRow) -> PortResult<bool> {
        self.call("store.forget_grant", |open| open.forget_grant(tenant, provider, grant)).await
    }
}
