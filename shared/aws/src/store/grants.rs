//! What connecting a book asks, and keeping it connected.

use super::DynamoStore;
use super::table::{Find, One, Table, Transacted, key};
use crate::item::{Item, Row, from_item, from_maybe, number, text, to_item};
use crate::write::Write;
use async_trait::async_trait;
use ledger_engine::ports::{Confirmation, ConnectStore, GrantLeased, GrantStore, PortResult};
use ledger_wire::rows::{
    AppRow, AuthorityUserRow, BookBindingRow, ConnectLinkRow, OAuthStateRow, PendingConnectionRow, ROW_VERSION,
    TokenRow, keys,
};

fn grant_key(binding: &str) -> Item {
    key(&keys::of_binding(binding), Some(keys::TOKEN))
}

impl DynamoStore {
    fn binding_marked(&self, tenant: &str, binding: &str) -> Write {
        let key = key(&keys::tenant(tenant), Some(&keys::binding(binding)));
        Write::update(&self.tables.tenants, key, "SET #status = :needs_reconnect")
            .only_if("#status = :active")
            .with("needs_reconnect", text("needs_reconnect"))
            .with("active", text("active"))
    }

    fn grant_is(&self, binding: &str, version: u32) -> Write {
        Write::check(&self.tables.tenants, grant_key(binding))
            .only_if("#version = :version")
            .with("version", number(version))
    }

    /// Marks a row of a single use as used, if it is not; true as well where `by` used it.
    async fn taken(&self, pk: &str, sk: &str, by: &str) -> PortResult<bool> {
        let take = Write::update(&self.tables.tenants, key(pk, Some(sk)), "SET #taken_by = :by")
            .only_if("attribute_exists(#pk) AND (attribute_not_exists(#taken_by) OR #taken_by = :by)")
            .with("by", text(by));
        Ok(self.one(take).await? == One::Done)
    }

    /// The number prefix of a book becomes a tenant's, if it is nobody else's. What is saved at the same instant meets here.
    pub(super) fn prefix_claimed(&self, book: &str, prefix: &str, tenant: &str) -> Write {
        let key = key(&keys::book(book), Some(&keys::prefix(prefix)));
        Write::update(&self.tables.tenants, key, "SET #v = :v, #tenant = :tenant")
            .only_if("attribute_not_exists(#pk) OR #tenant = :tenant")
            .with("v", number(ROW_VERSION))
            .with("tenant", text(tenant))
    }

    /// The number prefix of a book is a tenant's no longer.
    pub(super) fn prefix_freed(&self, book: &str, prefix: &str, tenant: &str) -> Write {
        Write::delete(&self.tables.tenants, key(&keys::book(book), Some(&keys::prefix(prefix))))
            .only_if("attribute_not_exists(#pk) OR #tenant = :tenant")
            .with("tenant", text(tenant))
    }

    async fn of_partition<R: Row>(&self, pk: String) -> PortResult<Vec<R>> {
        let page = self
            .find(Find {
                table: Table::Tenants,
                index: None,
                condition: "#pk = :pk AND begins_with(#sk, :bindings)",
                values: vec![("pk", text(pk)), ("bindings", text(keys::binding("")))],
                newest_first: false,
                limit: None,
                after: None,
            })
            .await?;
        page.items.into_iter().map(from_item).collect()
    }

    /// The binding with its book, if it is as it was read.
    fn binding_connected(&self, confirmation: &Confirmation) -> PortResult<Write> {
        let (seen, next) = (&confirmation.seen, &confirmation.next);
        let mut change = "SET #status = :status, #book = :book, #dialect = :dialect, #base_url = :base_url, \
             #connected_at = :connected_at"
            .to_owned();
        let told = [
            ("web_name", &next.web_name),
            ("organisation_name", &next.organisation_name),
            ("environment", &next.environment),
        ];
        for (name, _) in told.iter().filter(|(_, value)| value.is_some()) {
            change.push_str(&format!(", #{name} = :{name}"));
        }
        let key = key(&keys::tenant(&seen.tenant), Some(&keys::binding(&seen.binding)));
        let write = Write::update(&self.tables.tenants, key, change)
            .only_if("#status = :seen_status AND #book = :seen_book AND #settings_version = :seen_settings_version")
            .with("seen_status", text(&seen.status))
            .with("seen_book", text(&seen.book))
            .with("seen_settings_version", number(seen.settings_version))
            .with("status", text(&next.status))
            .with("book", text(&next.book))
            .with("dialect", text(&next.dialect))
            .with("base_url", text(&next.base_url))
            .with("connected_at", number(next.connected_at));
        Ok(told
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .fold(write, |write, (name, value)| write.with(name, text(value))))
    }

    fn pending_removed(&self, binding: &str, id: &str) -> Write {
        Write::delete(&self.tables.tenants, key(&keys::of_binding(binding), Some(keys::PENDING)))
            .only_if("#id = :id")
            .with("id", text(id))
    }
}

#[async_trait]
impl GrantStore for DynamoStore {
    /// One GetItem.
    async fn grant(&self, binding: &str) -> PortResult<Option<TokenRow>> {
        self.row(Table::Tenants, &keys::of_binding(binding), keys::TOKEN).await
    }

    /// One GetItem.
    async fn app(&self, pk: &str) -> PortResult<Option<AppRow>> {
        self.row(Table::Tenants, pk, keys::APP).await
    }

    /// One UpdateItem.
    async fn lease_grant(
        &self,
        binding: &str,
        version: u32,
        owner: &str,
        now: i64,
        until: i64,
    ) -> PortResult<GrantLeased> {
        let change = "SET #lease_owner = :owner, #lease_until = :until";
        let lease = Write::update(&self.tables.tenants, grant_key(binding), change)
            .only_if(
                "#version = :version AND (attribute_not_exists(#lease_until) OR #lease_until <= :now \
                 OR #lease_owner = :owner)",
            )
            .with("version", number(version))
            .with("owner", text(owner))
            .with("now", number(now))
            .with("until", number(until));
        let there: Option<TokenRow> = match self.one(lease).await? {
            One::Done => return Ok(GrantLeased::Ours),
            One::Refused(there) => from_maybe(there)?,
        };
        Ok(match there {
            Some(row) if row.version == version => GrantLeased::Busy(row.lease_until.unwrap_or(now)),
            moved => GrantLeased::Moved(moved),
        })
    }

    /// One PutItem.
    async fn save_grant(&self, seen_version: u32, next: &TokenRow) -> PortResult<bool> {
        let item = to_item(next)?;
        let put = Write::put(&self.tables.tenants, item.clone())
            .only_if("#version = :version")
            .with("version", number(seen_version));
        Ok(match self.one(put).await? {
            One::Done => true,
            // The very row: an earlier try was applied and its reply lost.
            One::Refused(there) => there == Some(item),
        })
    }

    /// One UpdateItem.
    async fn release_grant(&self, binding: &str, owner: &str) -> PortResult<()> {
        let release = Write::update(&self.tables.tenants, grant_key(binding), "REMOVE #lease_owner, #lease_until")
            .only_if("#lease_owner = :owner")
            .with("owner", text(owner));
        match self.one(release).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    /// One UpdateItem; with a version one TransactWriteItems of two.
    async fn needs_reconnect(&self, tenant: &str, binding: &str, version: Option<u32>) -> PortResult<bool> {
        let mark = self.binding_marked(tenant, binding);
        let Some(version) = version else {
            return match self.one(mark).await? {
                One::Done | One::Refused(_) => Ok(true),
            };
        };
        match self.transact(vec![self.grant_is(binding, version), mark], None, true).await? {
            Transacted::Done => Ok(true),
            Transacted::Refused(refusals) => Ok(refusals.first().is_none_or(Option::is_none)),
        }
    }
}

#[async_trait]
impl ConnectStore for DynamoStore {
    /// One PutItem.
    async fn put_app(&self, seen_version: Option<u32>, app: &AppRow) -> PortResult<bool> {
        let item = to_item(app)?;
        let put = Write::put(&self.tables.tenants, item.clone());
        let put = match seen_version {
            None => put.only_if("attribute_not_exists(#pk)"),
            Some(version) => put.only_if("#version = :version").with("version", number(version)),
        };
        Ok(match self.one(put).await? {
            One::Done => true,
            One::Refused(there) => there == Some(item),
        })
    }

    /// One PutItem.
    async fn put_oauth_state(&self, state: &OAuthStateRow) -> PortResult<()> {
        self.one(Write::put(&self.tables.tenants, to_item(state)?)).await.map(|_| ())
    }

    /// One GetItem.
    async fn oauth_state(&self, pk: &str) -> PortResult<Option<OAuthStateRow>> {
        self.row(Table::Tenants, pk, keys::STATE).await
    }

    /// One UpdateItem.
    async fn take_oauth_state(&self, pk: &str, by: &str) -> PortResult<bool> {
        self.taken(pk, keys::STATE, by).await
    }

    /// One PutItem.
    async fn put_link(&self, link: &ConnectLinkRow) -> PortResult<()> {
        self.one(Write::put(&self.tables.tenants, to_item(link)?)).await.map(|_| ())
    }

    /// One GetItem.
    async fn link(&self, pk: &str) -> PortResult<Option<ConnectLinkRow>> {
        self.row(Table::Tenants, pk, keys::LINK).await
    }

    /// One UpdateItem.
    async fn take_link(&self, pk: &str, by: &str) -> PortResult<bool> {
        self.taken(pk, keys::LINK, by).await
    }

    /// One PutItem.
    async fn put_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool> {
        let put = Write::put(&self.tables.tenants, to_item(pending)?)
            .only_if("attribute_not_exists(#pk) OR #made_at <= :made_at")
            .with("made_at", number(pending.made_at));
        Ok(self.one(put).await? == One::Done)
    }

    /// One PutItem.
    async fn complete_pending(&self, pending: &PendingConnectionRow) -> PortResult<bool> {
        let put =
            Write::put(&self.tables.tenants, to_item(pending)?).only_if("#id = :id").with("id", text(&pending.id));
        Ok(self.one(put).await? == One::Done)
    }

    /// One GetItem.
    async fn pending(&self, binding: &str) -> PortResult<Option<PendingConnectionRow>> {
        self.row(Table::Tenants, &keys::of_binding(binding), keys::PENDING).await
    }

    /// One DeleteItem.
    async fn remove_pending(&self, binding: &str, id: &str) -> PortResult<()> {
        self.one(self.pending_removed(binding, id)).await.map(|_| ())
    }

    /// One Query.
    async fn book_bindings(&self, book: &str) -> PortResult<Vec<BookBindingRow>> {
        self.of_partition(keys::book(book)).await
    }

    /// One PutItem.
    async fn put_book_binding(&self, row: &BookBindingRow) -> PortResult<()> {
        self.one(Write::put(&self.tables.tenants, to_item(row)?)).await.map(|_| ())
    }

    /// One Query.
    async fn user_bindings(&self, provider: &str, user: &str) -> PortResult<Vec<AuthorityUserRow>> {
        self.of_partition(keys::authority_user(provider, user)).await
    }

    /// One TransactWriteItems.
    async fn confirm(&self, confirmation: &Confirmation) -> PortResult<bool> {
        let grant = to_item(&confirmation.grant)?;
        let put = Write::put(&self.tables.tenants, grant.clone());
        let mut writes = vec![
            match confirmation.seen_grant {
                None => put.only_if("attribute_not_exists(#pk)"),
                Some(version) => put.only_if("#version = :version").with("version", number(version)),
            },
            self.binding_connected(confirmation)?,
            self.pending_removed(&confirmation.pending.binding, &confirmation.pending.id),
            Write::put(&self.tables.tenants, to_item(&confirmation.book_binding)?),
            self.prefix_claimed(
                &confirmation.next.book,
                &confirmation.book_binding.prefix,
                &confirmation.book_binding.tenant,
            ),
        ];
        if let Some(user) = &confirmation.user {
            writes.push(Write::put(&self.tables.tenants, to_item(user)?));
        }
        if let Some(former) = &confirmation.former_user {
            writes.push(Write::delete(&self.tables.tenants, key(&former.pk, Some(&former.sk))));
        }
        if let Some(entry) = &confirmation.keep_alive {
            writes.push(Write::put(&self.tables.tenants, to_item(entry)?));
        }
        match self.transact(writes, None, true).await? {
            Transacted::Done => Ok(true),
            // The very grant: an earlier try was applied, all of it, and its reply lost.
            Transacted::Refused(refusals) => Ok(refusals.into_iter().next().flatten().flatten() == Some(grant)),
        }
    }

    /// One UpdateItem.
    async fn disconnect(&self, tenant: &str, binding: &str) -> PortResult<bool> {
        let key = key(&keys::tenant(tenant), Some(&keys::binding(binding)));
        let mark = Write::update(&self.tables.tenants, key, "SET #status = :disconnected")
            .only_if("attribute_exists(#pk)")
            .with("disconnected", text("disconnected"));
        Ok(self.one(mark).await? == One::Done)
    }

    /// One TransactWriteItems.
    async fn forget_grant(&self, tenant: &str, provider: &str, grant: &TokenRow) -> PortResult<bool> {
        let binding = grant.pk.strip_prefix(&keys::of_binding("")).unwrap_or_default();
        let mut writes = vec![
            Write::delete(&self.tables.tenants, key(&grant.pk, Some(keys::TOKEN)))
                .only_if("attribute_not_exists(#pk) OR #version = :version")
                .with("version", number(grant.version)),
        ];
        if let Some(user) = &grant.authority_user {
            let pk = keys::authority_user(provider, user);
            writes.push(Write::delete(&self.tables.tenants, key(&pk, Some(&keys::binding_of(tenant, binding)))));
        }
        Ok(self.transact(writes, None, true).await? == Transacted::Done)
    }
}
