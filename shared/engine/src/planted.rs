//! Mistakes that can be planted, one at a time, to see which tests notice them. They exist with the feature `planted` alone,
//! which no function and no other shipped program has. Which one is planted, the variable `LEDGER_PLANTED` names, or [`plants`].

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The variable that names the mistake of a process.
pub const VARIABLE: &str = "LEDGER_PLANTED";

/// The number of the process's mistake in [`Planted::ALL`]; one beyond them: none.
#[allow(clippy::disallowed_methods, reason = "tests of every crate are told from outside which mistake to make")]
static PLANTED: LazyLock<AtomicUsize> = LazyLock::new(|| {
    let named = std::env::var(VARIABLE).ok().and_then(|name| Planted::parse(&name));
    AtomicUsize::new(number_of(named))
});

fn number_of(mistake: Option<Planted>) -> usize {
    let none = Planted::ALL.len();
    mistake.and_then(|mistake| Planted::ALL.iter().position(|it| *it == mistake)).unwrap_or(none)
}

/// The mistake that this process makes.
#[must_use]
pub fn planted() -> Option<Planted> {
    Planted::ALL.get(PLANTED.load(Ordering::Relaxed)).copied()
}

/// Has this process make a mistake from here on, or none.
pub fn plants(mistake: Option<Planted>) {
    PLANTED.store(number_of(mistake), Ordering::Relaxed);
}

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Planted {
    /// A search that got no answer ends the doubt.
    DoubtForgottenOnLater,
    /// What is not found was not applied, however soon one asks.
    AbsenceBelievedAtOnce,
    /// A reservation counts for the run that wrote it only.
    ReservationOnRun,
    /// Every message of a run has the same deduplication id.
    SameDeduplicationId,
    /// The lease is a run's own, not the book's.
    NoLease,
    /// Every attempt of a run has the same claim.
    NoFencing,
    /// A new token is used although it could not be written down.
    TokenUsedBeforeSaved,
    /// The chip is asked for before the outcome is written, and not with it.
    PushBeforeCommit,
    /// An edit is known by its key alone.
    IdentityByKeyAlone,
    /// A registered buyer's contact is reserved under the customer's id alone.
    ContactReservedByIdOnly,
    /// The sweeper clears the due mark, then sends.
    DueMarkClearedBeforeSend,
    /// An answer that nobody understands counts as a no.
    UnknownIsRefusal,
    /// What was created is forgotten where a later step fails.
    CreatedForgotten,
    /// The book's total is not compared.
    TotalNotProven,
    /// After a restore nothing is looked for.
    RestoreForgotten,
    /// A dead letter rings no bell.
    DeadLetterWithoutBell,
    /// The store's trouble is the shop's mistake.
    StoreTroubleIsRefusal,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::DoubtForgottenOnLater,
        Self::AbsenceBelievedAtOnce,
        Self::ReservationOnRun,
        Self::SameDeduplicationId,
        Self::NoLease,
        Self::NoFencing,
        Self::TokenUsedBeforeSaved,
        Self::PushBeforeCommit,
        Self::IdentityByKeyAlone,
        Self::ContactReservedByIdOnly,
        Self::DueMarkClearedBeforeSend,
        Self::UnknownIsRefusal,
        Self::CreatedForgotten,
        Self::TotalNotProven,
        Self::RestoreForgotten,
        Self::DeadLetterWithoutBell,
        Self::StoreTroubleIsRefusal,
    ];

    /// Its name: `doubt_forgotten_on_later`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoubtForgottenOnLater => "doubt_forgotten_on_later",
            Self::AbsenceBelievedAtOnce => "absence_believed_at_once",
            Self::ReservationOnRun => "reservation_on_run",
            Self::SameDeduplicationId => "same_deduplication_id",
            Self::NoLease => "no_lease",
            Self::NoFencing => "no_fencing",
            Self::TokenUsedBeforeSaved => "token_used_before_saved",
            Self::PushBeforeCommit => "push_before_commit",
            Self::IdentityByKeyAlone => "identity_by_key_alone",
            Self::ContactReservedByIdOnly => "contact_reserved_by_id_only",
            Self::DueMarkClearedBeforeSend => "due_mark_cleared_before_send",
            Self::UnknownIsRefusal => "unknown_is_refusal",
            Self::CreatedForgotten => "created_forgotten",
            Self::TotalNotProven => "total_not_proven",
            Self::RestoreForgotten => "restore_forgotten",
            Self::DeadLetterWithoutBell => "dead_letter_without_bell",
            Self::StoreTroubleIsRefusal => "store_trouble_is_refusal",
        }
    }

    /// The mistake of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mistake| mistake.name() == name)
    }
}
