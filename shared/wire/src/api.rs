//! What operators and the command line say to the API and are told, as JSON. Every key of an answer is always there; what
//! is unknown is null. Moments are ISO 8601 in UTC. Requests are our own: an unknown field is refused.

mod connect;
mod diagnostics;
mod failure;
mod runs;
mod settings;
mod tenants;
mod work;

pub use connect::{
    App, AppHosts, AppRequest, ConfirmRequest, ConnectLink, Disconnection, GrantStatus, Organisation, PairRequest,
    Paired, PendingConnection, Started,
};
pub use diagnostics::{
    IntegrationError, IntegrationStatus, RecordOutcome, ResyncRequest, ResyncResponse, RetryRequest, RetryResponse,
    SyncStatus, SyncType,
};
pub use failure::{Failure, FieldFailure};
pub use runs::{Attempt, Cause, Causes, Chip, Run, RunDetail, Runs, Step};
pub use settings::{
    ReferenceAge, ReferenceData, ReferenceEntry, RefreshRequest, Refreshed, RefreshedList, SettingsProposal,
    SettingsRequest, SettingsVersion, SettingsVersions, SettingsView, ValidateRequest, Validation,
};
pub use tenants::{Binding, Bindings, Me, NewBindingRequest, Stack, Tenant, Tenants};
pub use work::{
    CrossReference, CrossReferencePage, CrossReferences, ImportClash, ImportRequest, Imported, Job, JobRequest, Jobs,
    ModeRequest, NamedValue, ProvenTotal, ReasonRequest, RunRequest, RunRequests, SettleRequest, Settled,
};

/// A moment of a row, in milliseconds since 1970, as text without fractions: `2025-01-20T15:00:00Z`.
#[must_use]
pub fn second(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |it| it.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A moment of a row, in milliseconds since 1970, as text.
#[must_use]
pub fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| milliseconds.to_string(), |it| format!("{it:.3}"))
}
