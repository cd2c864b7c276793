//! A fault names the next action.

use crate::code::Code;
use std::fmt;

/// What to do after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing was applied: try again, not before so many seconds where the other side named them.
    Later {
        /// Seconds that the other side asked for.
        after_seconds: Option<u64>,
    },
    /// A write may have been applied: look for it before anything is sent again.
    Doubtful,
    /// The grant is dead: hold the book's work until somebody connects it again.
    Reconnect,
    /// The other side said no and a person can change that.
    Refused,
    /// We are wrong.
    Broken,
}

/// What the other side said, without its text: that may quote names and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// HTTP status.
    pub status: Option<u16>,
    /// The provider's own code or the first word of its message class.
    pub provider_code: Option<String>,
    /// The field that the provider names.
    pub field: Option<String>,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// The provider's text: kept in the attempt's row only, never logged.
    pub provider_text: Option<String>,
}

/// Something that ended an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What to do next.
    pub action: Action,
    /// The stable code.
    pub code: Code,
    /// One sentence for a person: no names of people, no addresses, no tokens.
    pub message: String,
    /// What the other side said.
    pub evidence: Evidence,
    /// True for a refusal that no rule of the dialect recognised: it is counted by status and provider's code, so that a rule
    /// can be made of it.
    pub unrecognised: bool,
}

impl Fault {
    /// A fault without evidence.
    #[must_use]
    pub fn new(action: Action, code: Code, message: impl Into<String>) -> Self {
        Self { action, code, message: message.into(), evidence: Evidence::default(), unrecognised: false }
    }

    /// Try again; nothing was applied.
    #[must_use]
    pub fn later(code: Code, after_seconds: Option<u64>, message: impl Into<String>) -> Self {
        Self::new(Action::Later { after_seconds }, code, message)
    }

    /// A write may have been applied.
    #[must_use]
    pub fn doubtful(message: impl Into<String>) -> Self {
        Self::new(Action::Doubtful, Code::WriteInDoubt, message)
    }

    /// A refusal.
    #[must_use]
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::new(Action::Refused, code, message)
    }

    /// A refusal that no rule recognised.
    #[must_use]
    pub fn unrecognised(message: impl Into<String>) -> Self {
        Self { unrecognised: true, ..Self::refused(Code::BookRefused, message) }
    }

    /// A fault of ours.
    #[must_use]
    pub fn broken(code: Code, message: impl Into<String>) -> Self {
        Self::new(Action::Broken, code, message)
    }

    /// The same fault with what the other side said.
    #[must_use]
    pub fn with(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}
