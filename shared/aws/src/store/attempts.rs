//! What the workers ask.

use super::DynamoStore;
use super::table::{Contended, One, Place, Table, Transacted, key};
use crate::item::{Item, from_item, from_maybe, number, number_of, text, text_of, to_item, to_value};
use crate::write::Write;
use async_trait::async_trait;
use ledger_domain::run::RunState;
use ledger_engine::ports::{
    Attempts, ClaimRequest, Claimed, Commit, Expect, GatherRequest, Gathered, PauseChange, PortFault, PortResult,
    Progress, PushWant, Release, Written, XrefWrite,
};
use ledger_wire::rows::{ROW_VERSION, RefusalRow, RunRow, SettingsRow, keys};

/// Nobody has the book, and it may be asked.
const LEASE_FREE: &str = "(attribute_not_exists(#pk) OR #claim = :empty OR #until < :now OR #claim = :claim) \
     AND (attribute_not_exists(#paused_until) OR #paused_until <= :now OR #claim = :claim)";
/// And no money waits for it.
const LEASE_FREE_AND_UNWANTED: &str = "(attribute_not_exists(#pk) OR #claim = :empty OR #until < :now OR #claim = :claim) \
     AND (attribute_not_exists(#paused_until) OR #paused_until <= :now OR #claim = :claim) \
     AND (attribute_not_exists(#wanted_until) OR #wanted_until <= :now OR #claim = :claim)";

impl DynamoStore {
    fn run_claimed(&self, request: &ClaimRequest) -> Write {
        Write::update(
            &self.tables.sync_runs,
            key(&keys::run(&request.run_id), Some(keys::RUN)),
            // The due mark stays where it is: moving it would cost two writes of the index for each attempt.
            "SET #state = :running, #claim = :claim, #claim_until = :until, #attempt = #attempt + :one, \
             #unfinished = #unfinished + :one, #updated_at = :now REMOVE #state_key, #state_order",
        )
        .only_if(
            "#v <= :v AND #generation = :generation AND #unfinished < :unfinished_max AND (#state = :queued \
             OR (#state = :waiting AND #due_at <= :now) OR (#state = :running AND #claim_until < :now))",
        )
        .with("v", number(ROW_VERSION))
        .with("running", text(RunState::Running.as_str()))
        .with("queued", text(RunState::Queued.as_str()))
        .with("waiting", text(RunState::Waiting.as_str()))
        .with("claim", text(&request.claim))
        .with("until", number(request.until))
        .with("now", number(request.now))
        .with("one", number(1))
        .with("generation", number(request.generation))
        .with("unfinished_max", number(request.unfinished_max))
    }

    fn lease_taken(&self, request: &ClaimRequest) -> Write {
        Write::update(
            &self.tables.tenants,
            key(&keys::book(&request.book), Some(keys::LEASE)),
            "SET #v = :v, #claim = :claim, #until = :until, #taken_at = :now",
        )
        .only_if(if request.gives_way { LEASE_FREE_AND_UNWANTED } else { LEASE_FREE })
        .with("v", number(ROW_VERSION))
        .with("claim", text(&request.claim))
        .with("until", number(request.until))
        .with("now", number(request.now))
        .with("empty", text(""))
    }

    fn lease_released(&self, release: &Release, claim: &str) -> PortResult<Write> {
        let lease = key(&keys::book(&release.book), Some(keys::LEASE));
        let paces = release.pace.is_some();
        let change = match (&release.pause, paces) {
            (PauseChange::Leaves, false) => "SET #claim = :empty",
            (PauseChange::Leaves, true) => "SET #claim = :empty, #pace = :pace",
            (PauseChange::Ends, false) => {
                "SET #claim = :empty REMOVE #paused_until, #paused_since, #pause_code, #pauses"
            }
            (PauseChange::Ends, true) => {
                "SET #claim = :empty, #pace = :pace REMOVE #paused_until, #paused_since, #pause_code, #pauses"
            }
            (PauseChange::Begins(_), false) => {
                "SET #claim = :empty, #paused_until = :paused_until, #paused_since = :paused_since, \
                 #pause_code = :pause_code, #pauses = :pauses"
            }
            (PauseChange::Begins(_), true) => {
                "SET #claim = :empty, #pace = :pace, #paused_until = :paused_until, #paused_since = :paused_since, \
                 #pause_code = :pause_code, #pauses = :pauses"
            }
        };
        let mut released = Write::update(&self.tables.tenants, lease, change);
        if let Some(pace) = &release.pace {
            released = released.with("pace", to_value(pace)?);
        }
        if let PauseChange::Begins(pause) = &release.pause {
            released = released
                .with("paused_until", number(pause.until))
                .with("paused_since", number(pause.since))
                .with("pause_code", text(pause.code))
                .with("pauses", number(pause.pauses));
        }
        Ok(released.only_if("#claim = :claim").with("claim", text(claim)).with("empty", text("")))
    }

    pub(super) fn xref_written(&self, write: &XrefWrite) -> PortResult<Write> {
        let put = Write::put(&self.tables.entity_xref, to_item(&write.row)?);
        Ok(match &write.expect {
            Expect::Absent => put.only_if("attribute_not_exists(#pk)"),
            Expect::Revision(revision) => put.only_if("#revision = :revision").with("revision", number(*revision)),
            Expect::AbsentOrOf(document) => {
                put.only_if("attribute_not_exists(#pk) OR #document = :document").with("document", text(document))
            }
        })
    }

    pub(super) async fn shop_refused(&self, tenant: &str, now: i64) -> PortResult<()> {
        let noted = Write::update(
            &self.tables.tenants,
            key(&keys::tenant(tenant), Some(keys::TENANT)),
            "SET #refused_since = if_not_exists(#refused_since, :now)",
        )
        .only_if("attribute_exists(#pk) AND #status <> :disconnected")
        .with("now", number(now))
        .with("disconnected", text("disconnected"));
        match self.transact(vec![noted, self.asked_after(tenant, now)], None, true).await? {
            // A tenant that is not there, or has disconnected, needs no asking after.
            Transacted::Done | Transacted::Refused(_) => Ok(()),
        }
    }
}

/// Which cross-reference was not as expected, of the refusals that belong to `writes`. `None`: each row that was in
/// the way is the one that we wanted, so an earlier try was applied as a whole and only its reply was lost.
pub(super) fn changed(writes: &[XrefWrite], refusals: &[Option<Option<Item>>]) -> PortResult<Option<String>> {
    for (write, refusal) in writes.iter().zip(refusals) {
        if let Some(there) = refusal
            && there.as_ref() != Some(&to_item(&write.row)?)
        {
            return Ok(Some(write.row.pk.clone()));
        }
    }
    Ok(None)
}

fn any(refusals: &[Option<Option<Item>>]) -> bool {
    refusals.iter().any(Option::is_some)
}

/// Judges the refusal of a claim: the run first, then the book.
fn not_claimed(request: &ClaimRequest, refusals: Vec<Option<Option<Item>>>) -> PortResult<Claimed> {
    let mut refusals = refusals.into_iter();
    if let Some(there) = refusals.next().flatten() {
        let run: Option<RunRow> = from_maybe(there)?;
        let ours = run.as_ref().is_some_and(|run| {
            run.state == RunState::Running.as_str()
                && run.generation == request.generation
                && run.claim.as_deref() == Some(request.claim.as_str())
        });
        // Ours already: this call was applied before and its reply lost. Both parts were, or none.
        return Ok(if ours { Claimed::Ours } else { Claimed::Not(run) });
    }
    match refusals.next().flatten().flatten() {
        Some(lease) if number_of(&lease, "paused_until").is_some_and(|until| until > request.now) => {
            Ok(Claimed::BookPaused(Box::new(from_item(lease)?)))
        }
        Some(lease) => number_of(&lease, "until")
            .map(Claimed::BookBusy)
            .ok_or_else(|| PortFault::Inconsistent(format!("lease {}: no time", text_of(&lease, "pk")))),
        None => Err(PortFault::Unavailable("the lease in the way was not told".to_owned())),
    }
}

#[async_trait]
impl Attempts for DynamoStore {
    /// One TransactWriteItems.
    async fn claim(&self, request: &ClaimRequest) -> PortResult<Claimed> {
        let writes = vec![self.run_claimed(request), self.lease_taken(request)];
        match self.transact(writes, Some(&request.claim), true).await? {
            Transacted::Done => Ok(Claimed::Ours),
            Transacted::Refused(refusals) => not_claimed(request, refusals),
        }
    }

    /// One BatchGetItem over the three tables.
    async fn gather(&self, request: &GatherRequest) -> PortResult<Gathered> {
        let run = Place::new(Table::SyncRuns, keys::run(&request.run_id), keys::RUN);
        let tenant = Place::new(Table::Tenants, keys::tenant(&request.tenant), keys::TENANT);
        let binding = Place::new(Table::Tenants, keys::tenant(&request.tenant), keys::binding(&request.binding));
        let token = Place::new(Table::Tenants, keys::of_binding(&request.binding), keys::TOKEN);
        let lease = Place::new(Table::Tenants, keys::book(&request.book), keys::LEASE);
        let with_lease = (!request.book.is_empty()).then_some(&lease);
        let fixed = [&run, &tenant, &binding, &token].into_iter().chain(with_lease).cloned();
        let xrefs = request.xrefs.iter().map(|pk| Place::xref(pk));
        let mut found = self.batch(fixed.chain(xrefs)).await?;
        Ok(Gathered {
            run: from_maybe(found.remove(&run))?,
            tenant: from_maybe(found.remove(&tenant))?,
            binding: from_maybe(found.remove(&binding))?,
            token: from_maybe(found.remove(&token))?,
            lease: from_maybe(found.remove(&lease))?,
            xrefs: found
                .into_iter()
                .map(|(place, item)| Ok((place.pk, from_item(item)?)))
                .collect::<PortResult<_>>()?,
        })
    }

    /// One GetItem.
    async fn settings(&self, binding: &str, version: u32) -> PortResult<Option<SettingsRow>> {
        self.row(Table::Tenants, &keys::of_binding(binding), &keys::settings(version)).await
    }

    /// One TransactWriteItems.
    async fn progress(&self, progress: &Progress) -> PortResult<Written> {
        let mut writes = vec![
            Write::check(&self.tables.sync_runs, key(&keys::run(&progress.run_id), Some(keys::RUN)))
                .only_if("#claim = :claim")
                .with("claim", text(&progress.claim)),
        ];
        for xref in &progress.xrefs {
            writes.push(self.xref_written(xref)?);
        }
        match self.transact(writes, None, true).await? {
            Transacted::Done => Ok(Written::Done),
            Transacted::Refused(refusals) => match refusals.split_first() {
                Some((None, xrefs)) => Ok(changed(&progress.xrefs, xrefs)?.map_or(Written::Done, Written::Changed)),
                _ => Ok(Written::Lost),
            },
        }
    }

    /// One TransactWriteItems; a second one where the lease was lost or is contended, without it: that loses no outcome.
    async fn commit(&self, commit: &Commit) -> PortResult<Written> {
        let run = to_item(&commit.run)?;
        let mut writes = vec![
            Write::put(&self.tables.sync_runs, run.clone())
                .only_if("#claim = :claim AND #generation = :generation")
                .with("claim", text(&commit.claim))
                .with("generation", number(commit.run.generation)),
        ];
        for xref in &commit.xrefs {
            writes.push(self.xref_written(xref)?);
        }
        writes.extend(commit.push.as_ref().map(|want| self.push_wanted(want)));
        writes.push(Write::put(&self.tables.sync_runs, to_item(&commit.attempt)?));
        if let Some(order) = &commit.order {
            writes.push(Write::put(&self.tables.sync_runs, to_item(order)?));
        }
        let mut release =
            commit.release.as_ref().map(|release| self.lease_released(release, &commit.claim)).transpose()?;
        loop {
            let all: Vec<Write> = writes.iter().cloned().chain(release.clone()).collect();
            let refusals = match self.contend(all, None, true).await? {
                Contended::Judged(Transacted::Done) => return Ok(Written::Done),
                Contended::Judged(Transacted::Refused(refusals)) => refusals,
                // Others are after the book: without it there is nothing to contend for. It is given up afterwards, if
                // that works; else it ends by itself.
                Contended::Conflict => {
                    let Some(lease) = release.take() else {
                        return Err(PortFault::Unavailable("commit: conflict".to_owned()));
                    };
                    let written = self.commit(&Commit { release: None, ..commit.clone() }).await?;
                    if written == Written::Done {
                        self.one(lease).await.ok();
                    }
                    return Ok(written);
                }
            };
            let Some((first, others)) = refusals.split_first() else { return Ok(Written::Lost) };
            if let Some(there) = first {
                // The row there may be the very one: then an earlier try was applied and its reply lost.
                return Ok(if there.as_ref() == Some(&run) { Written::Done } else { Written::Lost });
            }
            let (xrefs, others) = others.split_at_checked(commit.xrefs.len()).unwrap_or((others, &[]));
            if any(xrefs) {
                return Ok(changed(&commit.xrefs, xrefs)?.map_or(Written::Done, Written::Changed));
            }
            if !any(others) || release.take().is_none() {
                return Err(PortFault::Unavailable("commit: cancelled for no condition of ours".to_owned()));
            }
        }
    }

    /// One PutItem; with a push one TransactWriteItems.
    async fn replace_run(&self, seen: &RunRow, next: &RunRow, push: Option<&PushWant>) -> PortResult<bool> {
        self.replace_run_as_seen(seen, next, push).await
    }

    /// One TransactWriteItems.
    async fn shop_refuses(&self, tenant: &str, now: i64) -> PortResult<()> {
        self.shop_refused(tenant, now).await
    }

    /// One UpdateItem. A book that nobody ever had has no lease, and needs no asking.
    async fn want_book(&self, book: &str, until: i64) -> PortResult<()> {
        let lease = key(&keys::book(book), Some(keys::LEASE));
        let wanted = Write::update(&self.tables.tenants, lease, "SET #wanted_until = :until")
            .only_if("attribute_exists(#pk)")
            .with("until", number(until));
        match self.one(wanted).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }

    /// One UpdateItem.
    async fn count_refusal(&self, refusal: &RefusalRow) -> PortResult<()> {
        let counted = Write::update(
            &self.tables.sync_runs,
            key(&refusal.pk, Some(&refusal.sk)),
            "SET #v = :v, #provider = :provider, #status = :status, #provider_code = :provider_code, #field = :field, \
             #first_at = if_not_exists(#first_at, :first_at), #last_at = :last_at, #tenant = :tenant, \
             #run_id = :run_id, #expires_at = :expires_at ADD #count :count",
        )
        .with("v", number(refusal.v))
        .with("provider", text(&refusal.provider))
        .with("status", number(refusal.status))
        .with("provider_code", text(&refusal.provider_code))
        .with("field", text(&refusal.field))
        .with("first_at", number(refusal.first_at))
        .with("last_at", number(refusal.last_at))
        .with("tenant", text(&refusal.tenant))
        .with("run_id", text(&refusal.run_id))
        .with("expires_at", number(refusal.expires_at))
        .with("count", number(refusal.count));
        match self.one(counted).await? {
            One::Done | One::Refused(_) => Ok(()),
        }
    }
}
