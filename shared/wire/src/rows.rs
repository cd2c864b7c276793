//! Rows of the three tables. Moments are milliseconds since 1970 unless the name says otherwise; `expires_at` is in
//! seconds because DynamoDB's TTL reads it.

mod agenda;
mod grants;
mod notices;
mod pairing;
mod place;
mod reference;

pub use agenda::AgendaRow;
pub use grants::{
    AppHostsRow, AppRow, AuthorityUserRow, BookBindingRow, ConnectLinkRow, OAuthStateRow, OrganisationRow,
    PendingConnectionRow,
};
pub use notices::{NoticesRow, OutboxRow, RecipientRow, ToldRow};
pub use pairing::{DayGap, OrderDocumentRow, ShopAddressRow};
pub use place::{BindingPlaceRow, SweepRow, TenantPlaceRow};
pub use reference::{ReferenceEntryV1, ReferencePageRow, ReferenceReadingRow, ReferenceRow};

use serde::{Deserialize, Serialize};

mod preview;

/// Version of the rows that this build writes.
pub const ROW_VERSION: u8 = 1;
/// Shards of the index of what is due.
pub const DUE_SHARDS: u8 = 16;

/// A run: what one delivery asks of one binding. Table `sync_runs`, `pk = run#<id>`, `sk = run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The run's id.
    pub run_id: String,
    /// Its tenant.
    pub tenant: String,
    /// Its binding.
    pub binding: String,
    /// Provider key.
    pub provider: String,
    /// The book; empty while the binding has none.
    #[serde(default)]
    pub book: String,
    /// Event name.
    pub event: String,
    /// Id of the document in the shop.
    pub magento_id: u64,
    /// Website as the event told it.
    pub website_id: u32,
    /// Store as the event told it.
    pub store_id: u32,
    /// When the shop says that it happened, as it wrote it.
    pub occurred_at: String,
    /// The document's number in the shop, as far as the event told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub increment_id: Option<String>,
    /// The delivery's idempotency key.
    pub idempotency_key: String,
    /// State name.
    pub state: String,
    /// Counts re-openings.
    pub generation: u32,
    /// Counts sends; part of the deduplication id.
    pub dispatch: u32,
    /// Counts claims.
    pub attempt: u32,
    /// Claims since the last outcome.
    pub unfinished: u32,
    /// Attempts that failed since the run was opened.
    pub failures: u32,
    /// Times that a stalled run was sent again.
    pub resends: u32,
    /// Who has the run; present while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_until: Option<i64>,
    /// Shard of the index of what is due; present with `due_at` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When the sweeper looks at the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
    /// `held`, `held#<event>` (no worker yet) or `dead_lettered`, and only then present: hash key of the index by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_key: Option<String>,
    /// Binding, moment and run: sort key of the index by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_order: Option<String>,
    /// Code of the latest outcome or fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Who can do something about the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// One sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The document's id in the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The document's human reference in the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_reference: Option<String>,
    /// Address of the document's page for people, where the provider's answer named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_address: Option<String>,
    /// Payments: the invoice's id in the book, whose page shows them where they have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles: Option<String>,
    /// Key of the row in `entity_xref` of what the run is about, once an attempt has worked it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xref: Option<String>,
    /// True where the book's total could not be read.
    #[serde(default)]
    pub total_unverified: bool,
    /// The settings version that an open reservation pins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_settings: Option<u32>,
    /// When the delivery arrived.
    pub received_at: i64,
    /// Last change.
    pub updated_at: i64,
    /// Since when it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<i64>,
    /// Since when it fails; the retry horizon counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<i64>,
    /// What its latest preview came to; there while the run is held for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewRow>,
    /// When DynamoDB may remove it, in seconds; never while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// One attempt of a run. Table `sync_runs`, `pk = run#<id>`, `sk = attempt#<number, six digits>`; 90 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// Number of the attempt.
    pub attempt: u32,
    /// Generation it belongs to.
    pub generation: u32,
    /// When it began.
    pub started_at: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// `succeeded`, `skipped`, `later`, `doubtful`, `held`, `previewed`, `refused` or `broken`.
    pub outcome: String,
    /// Code of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the other side said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRow>,
    /// Settings version used.
    pub settings_version: u32,
    /// What was done, in order.
    pub steps: Vec<StepRow>,
    /// When DynamoDB may remove it, in seconds.
    pub expires_at: i64,
}

/// What the other side said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRow {
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The provider's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_code: Option<String>,
    /// The field it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Its request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Its text; may hold personal data, so it goes nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_text: Option<String>,
}

/// One line of an attempt's journal: labels, statuses, ids, totals, hashes, times; never bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRow {
    /// What was done: `fetch invoice`, `create_contact`, …; of what was left out, the kind of document.
    pub label: String,
    /// Milliseconds after the attempt's start.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Id in the book that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Total in the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// SHA-256 of the bytes sent, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_hash: Option<String>,
    /// Why it was left out; nothing was asked or sent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// A token's id, spent. Table `sync_runs`, `pk = jti#<tenant>#<jti>`, `sk = jti`. Judged by `expires_at`, not by TTL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JtiRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The runs it was spent on, first the one that was answered.
    pub runs: Vec<String>,
    /// SHA-256 of path, idempotency key and body, hexadecimal.
    pub delivery_hash: String,
    /// When it may be forgotten, in seconds.
    pub expires_at: i64,
}

/// The chip of an entity. Table `sync_runs`, `pk = push#<tenant>#<provider>#<entity>#<id>`, `sk = push`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// Provider key.
    pub provider: String,
    /// Entity type.
    pub entity_type: String,
    /// Id of the entity in the shop.
    pub magento_id: u64,
    /// The latest run that carried the document itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_run: Option<String>,
    /// The latest run that carried its payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_run: Option<String>,
    /// Key of the document's row in `entity_xref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xref: Option<String>,
    /// Counts changes of what the chip is computed from.
    pub wanted: u32,
    /// The `wanted` that the shop has.
    #[serde(default)]
    pub pushed: u32,
    /// Counts sends.
    #[serde(default)]
    pub dispatch: u32,
    /// Pushes that failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// Shard of the index of what is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_shard: Option<String>,
    /// When the sweeper looks at the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
    /// The chip that the shop has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<String>,
    /// When it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<i64>,
    /// Code of the latest failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When DynamoDB may remove it, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// A cross-reference or a reservation of one. Table `entity_xref`, never expires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XrefRow {
    /// Partition key, see [`keys`].
    pub pk: String,
    /// Version of the row's shape.
    pub v: u8,
    /// `reserved`, `created`, `linked` or `find_first`.
    pub state: String,
    /// Kind of document.
    pub kind: String,
    /// The book.
    pub book: String,
    /// The tenant whose document it is.
    pub tenant: String,
    /// Counts writes of the row; every write is conditional on it.
    pub revision: u32,
    /// Counts the keys under which a create was sent.
    pub epoch: u32,
    /// True while a create may have been applied without our knowing.
    pub doubtful: bool,
    /// The run that reserved or linked it.
    pub run_id: String,
    /// Its attempt.
    pub attempt: u32,
    /// First send of the current epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sent_at: Option<i64>,
    /// Last send: the settle time counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent_at: Option<i64>,
    /// Settings version of the reservation.
    pub settings_version: u32,
    /// SHA-256 of the bytes of the create, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_hash: Option<String>,
    /// Our number for the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The contact that the create named, as the book knows it: a document in doubt is looked for under the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Rows that guard a number or a provider id: the key of the document that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The document's id in the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Its human reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Its total in the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// Payments, allocations and refunds: the amount that the create named, kept for its repetitions. Stock movements:
    /// the quantity. Products: the shop's stock that was last brought to the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Products: the run whose stock movement was last sent, until that is known to be in the book: nobody else counts the
    /// stock while it may still arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_run: Option<String>,
    /// When that was sent, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_since: Option<i64>,
    /// Address of the document's page for people, where the provider's answer named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_address: Option<String>,
    /// Payments, allocations and refunds: the date that the create named (`2026-03-31`), kept for its repetitions: another
    /// run may bring it to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dated_on: Option<String>,
    /// Contacts and products: true where it was in the book before us. It is never overwritten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Contacts and products: true where it is `adopted` because a create of ours was in doubt when it was found. Most likely
    /// that create made it, so its stock is ours to count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found_in_doubt: bool,
    /// Contacts: true where a company was known when it was posted: the shop tells one with invoices only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub company: bool,
    /// Contacts and products: fingerprint of what was last posted, hexadecimal; none while only another document's needs
    /// have made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hash: Option<String>,
    /// When the shop changed what was last posted, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_updated_at: Option<i64>,
    /// The index of contacts: what it knows of an address, or how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<ContactIndexRow>,
    /// True where an operator named the document and the book was not asked about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// Last change.
    pub updated_at: i64,
}

/// The index of a book's contacts, for books that can't be asked for one by its address: `contacts` in the row of an
/// address, the rest in the row of the index itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactIndexRow {
    /// The contacts that have the address, or had it, by their ids in the book.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// The page that the reading under way goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// When the reading under way began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<i64>,
    /// When the last reading that came to its end began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_at: Option<i64>,
}

/// A tenant. Table `tenants`, `pk = tenant#<id>`, `sk = tenant`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant.
    pub tenant: String,
    /// Base URL of the shop, without a trailing slash.
    pub shop_url: String,
    /// `pending`, `connected`, `token_revoked`, `disconnected`, `unreachable` or `silent`.
    pub status: String,
    /// Counts changes of the keys; part of the sealing context.
    pub keys_version: u32,
    /// The key in use, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_key: Option<SealedRow>,
    /// The key of a pairing under way, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_key: Option<SealedRow>,
    /// The key before, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<SealedRow>,
    /// Until when the key before still verifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<i64>,
    /// Since when the shop refuses our tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<i64>,
    /// Since when the shop can't be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreached_since: Option<i64>,
    /// The provider whose module was last sent the candidate: the first token under it says that this one is paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_provider: Option<String>,
    /// Providers whose module took a key of this tenant, ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paired_providers: Vec<String>,
    /// When a module last took a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_at: Option<i64>,
    /// The operator who paired it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_by: Option<String>,
    /// When the shop's module said that it disconnects; gone when it is paired again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnected_at: Option<i64>,
    /// When something last came from the shop, to some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<i64>,
    /// The longest silences of the last days on which something came, oldest first: the shop's rhythm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<DayGap>,
    /// When it was made.
    pub created_at: i64,
}

/// A secret, sealed by KMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRow {
    /// Base64 of the ciphertext.
    pub ciphertext: String,
    /// Version that is part of the encryption context.
    pub version: u32,
}

/// A binding. Table `tenants`, `pk = tenant#<id>`, `sk = binding#<id>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The binding.
    pub binding: String,
    /// The tenant.
    pub tenant: String,
    /// Provider key.
    pub provider: String,
    /// Dialect name.
    pub dialect: String,
    /// `pending`, `active`, `needs_reconnect`, `disconnected`. Rows of earlier versions may have `paused` or `preview`:
    /// active, in that mode.
    pub status: String,
    /// `preview` or `paused`; empty: live.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// The book; empty while there is none.
    pub book: String,
    /// Scheme, host and port of the provider, without a trailing slash.
    pub base_url: String,
    /// What the provider's web pages know the organisation by, where that is not its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_name: Option<String>,
    /// The settings in force.
    pub settings: crate::settings::SettingsV1,
    /// Their version; 0 while there are none, and then what stands in `settings` means nothing.
    pub settings_version: u32,
    /// When the book was connected: older documents are looked for first.
    pub connected_at: i64,
    /// When an operator disconnected it; gone when it is paired again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnected_at: Option<i64>,
    /// The organisation's name, as it was when it was connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation_name: Option<String>,
    /// `live` or `sandbox`; live where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// A binding's grant: its tokens and who is about to renew them. One without a refresh token was set by hand and is never
/// renewed. Table `tenants`, `pk = binding#<id>`, `sk = token`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The access token, sealed.
    pub access: SealedRow,
    /// Counts tokens.
    pub version: u32,
    /// Until when the access token is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_until: Option<i64>,
    /// The refresh token, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<SealedRow>,
    /// Until when it is good, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_until: Option<i64>,
    /// The scopes granted, as far as the provider tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Who authorised, as the provider knows them (Xero's `xero_userid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_user: Option<String>,
    /// Xero: the id of the connection to the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// When the tokens were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<i64>,
    /// Who is fetching new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_owner: Option<String>,
    /// Until when nobody else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<i64>,
}

/// A version of a binding's settings, never changed. Table `tenants`, `pk = binding#<id>`, `sk = settings#<version>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The settings.
    pub settings: crate::settings::SettingsV1,
    /// Their version.
    pub version: u32,
    /// Who wrote them: the subject of the operator's sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_at: Option<i64>,
}

/// The lease on a book. Table `tenants`, `pk = book#<id>`, `sk = lease`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The claim that holds it; empty when released.
    pub claim: String,
    /// Until when.
    pub until: i64,
    /// When it was last taken.
    pub taken_at: i64,
    /// How fast the book was asked lately.
    #[serde(default, skip_serializing_if = "PaceRow::is_empty")]
    pub pace: PaceRow,
    /// Nobody takes the lease before this moment: the book asked for a pause, or is down. A pause that is over stays until
    /// the book has answered as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<i64>,
    /// Since when one pause follows another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<i64>,
    /// Why: `book_rate_limited`, `book_day_limit` or `book_unavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_code: Option<String>,
    /// Pauses in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pauses: u32,
    /// Money waits for the book: until then no run of another lane takes the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_until: Option<i64>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A refusal of a book that no rule of its dialect recognised, counted. Table `sync_runs`, `pk = refusals`,
/// `sk = <provider>#<status>#<code>#<field>`. Nothing of the provider's text is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// Provider key.
    pub provider: String,
    /// HTTP status.
    pub status: u16,
    /// The provider's error code; empty where it names none.
    #[serde(default)]
    pub provider_code: String,
    /// The field that it names; empty where it names none.
    #[serde(default)]
    pub field: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first_at: i64,
    /// The latest time.
    pub last_at: i64,
    /// The tenant of the latest.
    pub tenant: String,
    /// The run of the latest.
    pub run_id: String,
    /// When DynamoDB may remove it, in seconds.
    pub expires_at: i64,
}

/// How fast a book was asked lately: part of its lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceRow {
    /// The calls of the last minute, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallsRow>,
    /// The book asked for a pause until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_until: Option<i64>,
}

impl PaceRow {
    /// True where nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.closed_until.is_none()
    }
}

/// Calls of a book within a slot of five seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsRow {
    /// The slot: its first moment, divided by five seconds.
    pub slot: i64,
    /// The calls.
    pub count: u32,
}

/// A shop that the sweeper asks after every minute, because it refuses us or can't be reached: its tenant's row says
/// since when. Table `tenants`, `pk = attention`, `sk = shop#<tenant>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionRow {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// Version of the row.
    pub v: u8,
    /// The tenant whose shop it is.
    pub tenant: String,
    /// Since when.
    pub since: i64,
}

pub use preview::{JobRow, PreviewRow};

/// Keys of rows.
pub mod keys {
    /// Partition key of a run and its attempts.
    #[must_use]
    pub fn run(run_id: &str) -> String {
        format!("run#{run_id}")
    }

    /// The run whose partition key this is; `None` where it is none of a run.
    #[must_use]
    pub fn run_of(pk: &str) -> Option<&str> {
        pk.strip_prefix("run#").filter(|run_id| ledger_domain::identity::RunId::parse(run_id).is_some())
    }

    /// Sort key of a run.
    pub const RUN: &str = "run";
    /// Sort key of a token's id.
    pub const JTI: &str = "jti";
    /// Sort key of a chip.
    pub const PUSH: &str = "push";
    /// Sort key of a tenant.
    pub const TENANT: &str = "tenant";
    /// Sort key of a binding's place.
    pub const PLACE: &str = "place";
    /// Sort key of a token.
    pub const TOKEN: &str = "token";
    /// Sort key of a lease.
    pub const LEASE: &str = "lease";
    /// Partition key of what the sweeper asks after.
    pub const ATTENTION: &str = "attention";
    /// Partition key of what the sweeper does at a later time.
    pub const AGENDA: &str = "agenda";
    /// Partition key of the list of all tenants.
    pub const TENANTS: &str = "tenants";
    /// Partition key of what is known of the stack as a whole.
    pub const STACK: &str = "stack";
    /// Sort key of what the last sweep found.
    pub const SWEEP: &str = "sweep";

    /// Partition key of tenants' notices.
    pub const NOTICES: &str = "notices";

    /// Sort key of a tenant's notices.
    #[must_use]
    pub fn notices_of(tenant: &str) -> String {
        format!("tenant#{tenant}")
    }

    /// Partition key of refusals that no rule recognised.
    pub const REFUSALS: &str = "refusals";

    /// Sort key of a refusal that no rule recognised.
    #[must_use]
    pub fn refusal(provider: &str, status: u16, provider_code: &str, field: &str) -> String {
        format!("{provider}#{status}#{provider_code}#{field}")
    }

    /// Sort key of an entry of the agenda: its time first, in milliseconds.
    #[must_use]
    pub fn agenda(at: i64, kind: &str, owner: &str) -> String {
        format!("{at:013}#{kind}#{owner}")
    }

    /// Sort key of an app.
    pub const APP: &str = "app";
    /// Sort key of an authorisation under way.
    pub const STATE: &str = "state";
    /// Sort key of a grant that waits for its confirmation.
    pub const PENDING: &str = "pending";
    /// Sort key of a connect link.
    pub const LINK: &str = "link";

    /// Partition key of the stack's app with a provider.
    #[must_use]
    pub fn app(provider: &str) -> String {
        format!("app#{provider}")
    }

    /// Partition key of an authorisation under way, by the fingerprint of its state.
    #[must_use]
    pub fn oauth_state(fingerprint: &str) -> String {
        format!("oauth#{fingerprint}")
    }

    /// Partition key of a connect link, by the fingerprint of its token.
    #[must_use]
    pub fn connect_link(fingerprint: &str) -> String {
        format!("link#{fingerprint}")
    }

    /// Partition key of the bindings of a provider's user.
    #[must_use]
    pub fn authority_user(provider: &str, user: &str) -> String {
        format!("authority#{provider}#{user}")
    }

    /// Sort key of a binding among those of a book or of a user.
    #[must_use]
    pub fn binding_of(tenant: &str, binding: &str) -> String {
        format!("binding#{tenant}#{binding}")
    }

    /// Sort key of an attempt.
    #[must_use]
    pub fn attempt(number: u32) -> String {
        format!("attempt#{number:06}")
    }

    /// Partition key of a spent token id.
    #[must_use]
    pub fn jti(tenant: &str, jti: &str) -> String {
        format!("jti#{tenant}#{jti}")
    }

    /// Partition key of a chip.
    #[must_use]
    pub fn push(tenant: &str, provider: &str, entity_type: &str, magento_id: u64) -> String {
        format!("push#{tenant}#{provider}#{entity_type}#{magento_id}")
    }

    /// Partition key of a tenant and its bindings.
    #[must_use]
    pub fn tenant(tenant: &str) -> String {
        format!("tenant#{tenant}")
    }

    /// Sort key of a binding.
    #[must_use]
    pub fn binding(binding: &str) -> String {
        format!("binding#{binding}")
    }

    /// Partition key of a binding's token and settings.
    #[must_use]
    pub fn of_binding(binding: &str) -> String {
        format!("binding#{binding}")
    }

    /// Sort key of a settings version.
    #[must_use]
    pub fn settings(version: u32) -> String {
        format!("settings#{version:06}")
    }

    /// Beginning of the sort keys of a binding's settings versions.
    pub const SETTINGS: &str = "settings#";

    /// Sort key of a list of reference data.
    #[must_use]
    pub fn reference(list: &str) -> String {
        format!("reference#{list}")
    }

    /// Sort key of a page of a list: a generation and the one after it have different places.
    #[must_use]
    pub fn reference_page(list: &str, generation: u32, page: u32) -> String {
        format!("reference#{list}#{}#{page:04}", generation % 2)
    }

    /// Beginning of the sort keys of the bindings of a book, below the book's partition key.
    pub const BINDINGS_OF: &str = "binding#";
    /// Partition key of a book's lease.
    #[must_use]
    pub fn book(book: &str) -> String {
        format!("book#{book}")
    }

    /// Sort key of a number prefix of a book, below the book's partition key.
    #[must_use]
    pub fn prefix(prefix: &str) -> String {
        format!("prefix#{prefix}")
    }

    /// Sort key of a shop that the sweeper asks after.
    #[must_use]
    pub fn shop(tenant: &str) -> String {
        format!("shop#{tenant}")
    }

    /// Partition key of an order's documents.
    #[must_use]
    pub fn order(tenant: &str, order_id: u64) -> String {
        format!("order#{tenant}#{order_id}")
    }

    /// Partition key of a shop's address, as it is normalised; the sort key is [`TENANT`].
    #[must_use]
    pub fn shop_address(address: &str) -> String {
        format!("shop#{address}")
    }

    /// Partition key of a binding's jobs.
    #[must_use]
    pub fn jobs(binding: &str) -> String {
        format!("jobs#{binding}")
    }

    /// What the sort key of a job begins with.
    pub const JOB: &str = "job#";

    /// Sort key of a job: the order is that of their beginnings, in milliseconds.
    #[must_use]
    pub fn job(created_at: i64, id: &str) -> String {
        format!("{JOB}{created_at:013}#{id}")
    }

    /// Shard of the index of what is due.
    #[must_use]
    pub fn due_shard(pk: &str) -> String {
        let sum = pk.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        format!("due#{}", sum.checked_rem(u32::from(super::DUE_SHARDS)).unwrap_or_default())
    }

    /// Partition key of a document of a shop: one for each kind and id there.
    #[must_use]
    pub fn document(book: &str, kind: &str, tenant: &str, magento_id: u64) -> String {
        format!("{book}#{kind}#{tenant}#{magento_id}")
    }

    /// What the partition keys of a shop's documents of a kind begin with.
    #[must_use]
    pub fn documents(book: &str, kind: &str, tenant: &str) -> String {
        format!("{book}#{kind}#{tenant}#")
    }

    /// What the partition keys of a shop's contacts by customer id begin with.
    #[must_use]
    pub fn contacts_by_customer(book: &str, tenant: &str) -> String {
        format!("{book}#contact#customer#{tenant}#")
    }

    /// Partition key of a contact by its e-mail address: one person is one contact of a book, or one of each currency
    /// where the book wants that.
    #[must_use]
    pub fn contact_by_email(book: &str, email: &str, currency: Option<&str>) -> String {
        format!("{book}#contact#email#{email}{}", of_currency(currency))
    }

    /// Partition key of what the index of a book's contacts knows of an address.
    #[must_use]
    pub fn contact_index(book: &str, email: &str) -> String {
        format!("{book}#contact_index#{email}")
    }

    /// Partition key of how far that index is.
    #[must_use]
    pub fn contact_index_state(book: &str) -> String {
        format!("{book}#contact_index")
    }

    /// Partition key of a contact by the shop's customer id.
    #[must_use]
    pub fn contact_by_customer(book: &str, tenant: &str, magento_id: u64, currency: Option<&str>) -> String {
        format!("{book}#contact#customer#{tenant}#{magento_id}{}", of_currency(currency))
    }

    fn of_currency(currency: Option<&str>) -> String {
        currency.map(|currency| format!("#{currency}")).unwrap_or_default()
    }

    /// Partition key of a product by its code, shared by all shops of the book.
    #[must_use]
    pub fn product_by_code(book: &str, code: &str) -> String {
        format!("{book}#product#code#{code}")
    }

    /// Partition key of a stock movement: each run that changes the stock has its own.
    #[must_use]
    pub fn stock_movement(book: &str, tenant: &str, magento_id: u64, run_id: &str) -> String {
        format!("{book}#stock_movement#{tenant}#{magento_id}#{run_id}")
    }

    /// Partition key of a number that one of our documents has.
    #[must_use]
    pub fn number(book: &str, kind: &str, number: &str) -> String {
        format!("{book}#number#{kind}#{number}")
    }

    /// Partition key that lets one document of the book belong to one document of ours only.
    #[must_use]
    pub fn reverse(book: &str, kind: &str, provider_id: &str) -> String {
        format!("{book}#reverse#{kind}#{provider_id}")
    }

    /// Partition key of the item type that a product sync left behind for a SKU.
    #[must_use]
    pub fn sku(book: &str, tenant: &str, sku: &str) -> String {
        format!("{book}#sku#{tenant}#{sku}")
    }
}
