//! The states of a run and what the shop is told.

use std::fmt;

/// Where a run stands. `ARCHITECTURE.md` has the table of edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunState {
    /// A message is, or will be, under way.
    Queued,
    /// A worker has it until its claim ends.
    Running,
    /// Put off until a time: the sweeper brings it back.
    Waiting,
    /// Put off until something is mended: a connection, a pairing, a release.
    Held,
    /// In the book.
    Succeeded,
    /// Left out by policy.
    Skipped,
    /// A person has to look at it.
    DeadLettered,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Waiting, Self::Held, Self::Succeeded, Self::Skipped, Self::DeadLettered];

    /// The state's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Succeeded => "succeeded",
            Self::Skipped => "skipped",
            Self::DeadLettered => "dead_lettered",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// True where the run asks for no more work by itself. A dead letter is open: a person has to act.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What the shop shows of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChipStatus {
    /// It is in the book.
    Synced,
    /// It was left out.
    Skipped,
    /// Somebody has to act.
    Failed,
}

impl ChipStatus {
    /// The status on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// What a chip is computed from: one run that speaks for the entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunView {
    /// Where the run stands.
    pub state: RunState,
    /// True where it is held for longer than the shop should be left waiting.
    pub held_too_long: bool,
}

/// The chip of an entity: `failed` if one of its runs is dead-lettered or held too long, else `synced` if its document
/// is linked, else `skipped` if a run was left out; `None` while the shop's own *pending* is the truth.
#[must_use]
pub fn chip(runs: &[RunView], linked: bool) -> Option<ChipStatus> {
    if runs.iter().any(|run| run.state == RunState::DeadLettered || run.held_too_long) {
        return Some(ChipStatus::Failed);
    }
    if linked {
        return Some(ChipStatus::Synced);
    }
    runs.iter().any(|run| run.state == RunState::Skipped).then_some(ChipStatus::Skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_tells_the_worst_truth_first() {
        let run = |state| RunView { state, held_too_long: false };
        let held = RunView { state: RunState::Held, held_too_long: true };
        assert_eq!(chip(&[run(RunState::Succeeded), run(RunState::DeadLettered)], true), Some(ChipStatus::Failed));
        assert_eq!(chip(&[held], false), Some(ChipStatus::Failed));
        assert_eq!(chip(&[run(RunState::Held)], false), None);
        assert_eq!(chip(&[run(RunState::Skipped)], true), Some(ChipStatus::Synced));
        assert_eq!(chip(&[run(RunState::Skipped)], false), Some(ChipStatus::Skipped));
        assert_eq!(chip(&[run(RunState::Queued)], false), None);
    }

    #[test]
    fn states_are_named_one_to_one() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.as_str()), Some(state));
        }
    }
}
