//! The index of a book's contacts by e-mail address, for dialects that can't ask a book for one by its address.
//!
//! The book's list is read once, page by page, with the cursor stored after each; what has changed since is read before
//! each look. So one person stays one contact in a book of any size, and an attempt that runs out of time goes on from
//! the page where the one before it stopped. An entry is a hint: the dialect asks the book for the contact itself.

use crate::executor::{Ended, Executor, Wanted};
use crate::ports::{Expect, GatherRequest, Progress, Written, XrefWrite};
use ledger_domain::code::Code;
use ledger_domain::document::Document;
use ledger_domain::fault::Fault;
use ledger_domain::reference::{Entry, Reference};
use ledger_wire::rows::{ContactIndexRow, ROW_VERSION, XrefRow, keys};
use std::collections::BTreeMap;

/// Rows that are read, and written, at once.
const ROWS_AT_ONCE: usize = 80;
/// Most contacts that an address leads to.
const CONTACTS_MAX: usize = 10;
/// What has changed is asked for from so long before the last reading began, in milliseconds: clocks differ, and a book may
/// show a change late.
const OVERLAP_MS: i64 = 600_000;
/// Label of a page.
const PAGE: &str = "contact_index";

impl Executor<'_> {
    /// Tells the dialect what the index knows of a contact that shall be in the book, once the index is up to date.
    /// Nothing where the dialect asks the book itself.
    ///
    /// # Errors
    /// What ends the attempt: too little time for all pages among others. The next one goes on where this one stopped.
    pub(crate) async fn look_up(&mut self, wanted: &Wanted) -> Result<(), Ended> {
        let Document::Contact(contact) = &wanted.document else { return Ok(()) };
        if !self.dialect.profile().references.contains(&Reference::Contacts) {
            return Ok(());
        }
        if !self.indexed {
            self.read_changes().await?;
            self.indexed = true;
        }
        let key = keys::contact_index(&self.book, &contact.email);
        let row = self.index_rows(vec![key.clone()]).await?.remove(&key);
        self.context.contacts = Some(row.and_then(|row| row.index).unwrap_or_default().contacts);
        Ok(())
    }

    /// Reads what has changed since the last whole reading; all of it where there was none.
    async fn read_changes(&mut self) -> Result<(), Ended> {
        let state_key = keys::contact_index_state(&self.book);
        let mut row = self.index_rows(vec![state_key.clone()]).await?.remove(&state_key);
        loop {
            let mut state = row.as_ref().and_then(|row| row.index.clone()).unwrap_or_default();
            if state.began_at.is_none() {
                state.began_at = Some(self.post.clock.now_ms());
                let since = state.whole_at.map(|at| at.saturating_sub(OVERLAP_MS));
                let since = since.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
                state.cursor = since.and_then(|at| self.dialect.since(Reference::Contacts, at));
            }
            let cursor = state.cursor.clone();
            let Some(call) = self.dialect.page(Reference::Contacts, &self.context, cursor.as_deref()) else {
                return Ok(());
            };
            let reply = self.read(PAGE, &call).await?;
            let page = self.dialect.read_page(Reference::Contacts, &self.context, &reply)?;
            if page.next.is_some() && page.next == cursor {
                return Err(Fault::broken(Code::AnswerUnknown, "a page of the list calls itself the next").into());
            }
            let is_last = page.next.is_none();
            state.cursor = page.next;
            if is_last {
                state.whole_at = state.began_at.take();
            }
            let there = row.take();
            row = Some(self.store_page(&page.entries, there, &state_key, state).await?);
            if is_last {
                return Ok(());
            }
        }
    }

    /// Writes a page's entries, and behind them how far the reading has come.
    async fn store_page(
        &self,
        entries: &[Entry],
        there: Option<XrefRow>,
        state_key: &str,
        state: ContactIndexRow,
    ) -> Result<XrefRow, Ended> {
        let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in entries {
            let Some(email) = &entry.email else { continue };
            by_key.entry(keys::contact_index(&self.book, email)).or_default().push(entry.id.clone());
        }
        let by_key: Vec<(String, Vec<String>)> = by_key.into_iter().collect();
        for chunk in by_key.chunks(ROWS_AT_ONCE) {
            let mut known = self.index_rows(chunk.iter().map(|(key, _)| key.clone()).collect()).await?;
            let writes = chunk.iter().filter_map(|(key, contacts)| {
                let there = known.remove(key);
                let before = there.as_ref().and_then(|row| row.index.clone()).unwrap_or_default().contacts;
                let mut after = before.clone();
                after.extend(contacts.iter().filter(|contact| !before.contains(contact)).cloned());
                after.truncate(CONTACTS_MAX);
                let index = ContactIndexRow { contacts: after, ..ContactIndexRow::default() };
                (index.contacts != before).then(|| self.index_write(key, there, index))
            });
            self.write_index(writes.collect()).await?;
        }
        let write = self.index_write(state_key, there, state);
        let row = write.row.clone();
        self.write_index(vec![write]).await?;
        Ok(row)
    }

    async fn index_rows(&self, keys: Vec<String>) -> Result<BTreeMap<String, XrefRow>, Ended> {
        let request = GatherRequest {
            run_id: self.run_id.clone(),
            tenant: self.tenant.clone(),
            binding: self.binding.clone(),
            xrefs: keys,
            ..GatherRequest::default()
        };
        Ok(self.post.store.gather(&request).await?.xrefs)
    }

    fn index_write(&self, key: &str, there: Option<XrefRow>, index: ContactIndexRow) -> XrefWrite {
        let revision = there.map(|row| row.revision);
        let row = XrefRow {
            pk: key.to_owned(),
            v: ROW_VERSION,
            state: "linked".to_owned(),
            kind: PAGE.to_owned(),
            book: self.book.clone(),
            tenant: self.tenant.clone(),
            revision: revision.unwrap_or_default().saturating_add(1),
            run_id: self.run_id.clone(),
            attempt: self.attempt,
            index: Some(index),
            updated_at: self.post.clock.now_ms(),
            ..XrefRow::default()
        };
        XrefWrite { row, expect: revision.map_or(Expect::Absent, Expect::Revision) }
    }

    async fn write_index(&self, xrefs: Vec<XrefWrite>) -> Result<(), Ended> {
        if xrefs.is_empty() {
            return Ok(());
        }
        let progress = Progress { run_id: self.run_id.clone(), claim: self.claim.clone(), xrefs };
        match self.post.store.progress(&progress).await? {
            Written::Done => Ok(()),
            Written::Lost => Err(Ended::Lost),
            Written::Changed(_) => {
                Err(Fault::later(Code::BookBusy, None, "another attempt wrote the index of contacts").into())
            }
        }
    }
}
