//! Why a command was not done: a stable code, one sentence, the fields to blame, what to do.

use ledger_aws::engine::dialects::Reply;
use ledger_aws::engine::domain::code::Code;
use ledger_aws::engine::operate::OperateError;
use ledger_aws::engine::ports::{PortFault, TransportFault};
use ledger_wire::api::{self, FieldFailure};
use std::fmt;

/// Exit code for faults.
pub(crate) const FAULT: u8 = 1;
/// Exit code for wrong usage, the one that the argument parser has too.
const USAGE: u8 = 2;
/// Exit code for things that are not there.
const NOT_FOUND: u8 = 3;

/// What to do about a refusal that says nothing of it.
const CORRECT: &str = "Correct it and try again; `--help` says what is expected.";

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: String,
    message: String,
    fields: Vec<FieldFailure>,
    remedy: String,
    exit: u8,
}

impl Failure {
    fn new(code: &str, message: impl Into<String>, remedy: impl Into<String>, exit: u8) -> Self {
        Self { code: code.to_owned(), message: message.into(), fields: Vec::new(), remedy: remedy.into(), exit }
    }

    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new("invalid", message, remedy, USAGE)
    }

    pub(crate) fn fault(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(code, message, remedy, FAULT)
    }

    pub(crate) fn not_configured(message: impl Into<String>) -> Self {
        let remedy = "Name the stack's environment file with --stack-env, or set the variables of `ledger --help`.";
        Self::new("not_configured", message, remedy, USAGE)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        let remedy = "Check the id, and that this is the stack you mean.";
        Self::new("not_found", format!("There is no such {what}."), remedy, NOT_FOUND)
    }

    pub(crate) fn signed_out() -> Self {
        Self::new("signed_out", "Nobody is signed in to this stack.", "Sign in with `ledger login`.", FAULT)
    }

    /// What an answer of the API says that is none of those that do.
    pub(crate) fn of_answer(reply: &Reply) -> Self {
        let told = serde_json::from_slice::<api::Failure>(&reply.body).ok().filter(|it| !it.code.is_empty());
        let (remedy, exit) = match reply.status {
            400 | 413 => (CORRECT, USAGE),
            401 => ("Sign in with `ledger login`.", FAULT),
            403 => ("`ledger whoami` shows what you may; an administrator can put you into another group.", FAULT),
            404 => ("Check the id, and that this is the stack you mean.", NOT_FOUND),
            409 => ("Look at it again, then decide.", FAULT),
            429 | 502..=504 => ("Try again in a moment; if it stays so, see the log of the function `api`.", FAULT),
            _ => ("Use the version of `ledger` that the stack was deployed with.", FAULT),
        };
        match told {
            Some(told) => Self {
                code: told.code,
                message: sentence(&told.message),
                fields: told.errors,
                remedy: remedy.to_owned(),
                exit,
            },
            None => Self::new("answer_unknown", format!("The stack answered HTTP {}.", reply.status), remedy, exit),
        }
    }

    /// True where the API says that there is no such thing.
    pub(crate) const fn is_not_found(&self) -> bool {
        self.exit == NOT_FOUND
    }

    /// The same, with what was done before it.
    pub(crate) fn after(mut self, what: &str) -> Self {
        self.message = format!("{} {what}", self.message);
        self
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn remedy(&self) -> &str {
        &self.remedy
    }

    /// What the process ends with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.exit
    }

    /// The failure for standard error, as text or as JSON.
    #[must_use]
    pub fn shown(&self, json: bool) -> String {
        if json {
            let Self { code, message, fields, remedy, exit } = self;
            return serde_json::json!({
                "error": {"code": code, "message": message, "fields": fields, "remedy": remedy, "exit_code": exit},
            })
            .to_string();
        }
        format!("error: {self}")
    }
}

/// A sentence begins with a capital letter and ends with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let first: String = letters.next().map(|it| it.to_uppercase().collect()).unwrap_or_default();
    let end = if text.trim_end().ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}: {}", self.code, self.message)?;
        for field in &self.fields {
            writeln!(formatter, "  {} ({}): {}", field.field, field.code, field.message)?;
        }
        write!(formatter, "  {}", self.remedy)
    }
}

impl std::error::Error for Failure {}

impl From<OperateError> for Failure {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::NotFound(what) => Self::not_found(what),
            OperateError::Port(fault) => fault.into(),
            OperateError::Invalid { field, reason } => Self::usage(format!("{field}: {reason}."), CORRECT),
            OperateError::Exists(what) => Self::fault(
                "exists",
                format!("There is such a {what} already."),
                "Use the one that is there, or choose another.",
            ),
            OperateError::NotNow(reason) => Self::fault("not_now", sentence(&reason), "Look at it again, then decide."),
            OperateError::Refused { code, reason } => {
                Self::fault(code, sentence(&reason), "Look at it again, then decide.")
            }
        }
    }
}

impl From<PortFault> for Failure {
    fn from(fault: PortFault) -> Self {
        match fault {
            PortFault::Unavailable(reason) => Self::fault(
                Code::StoreUnavailable.as_str(),
                format!("The stack did not answer: {reason}."),
                "See that its address, region and your credentials are right, and that AWS is healthy there.",
            ),
            PortFault::Inconsistent(reason) => Self::fault(
                "inconsistent",
                format!("The stack holds something that this version can't read: {reason}."),
                "Use the version of `ledger` that the stack was deployed with.",
            ),
        }
    }
}

impl From<TransportFault> for Failure {
    fn from(fault: TransportFault) -> Self {
        match fault {
            TransportFault::AddressRefused(reason) => Self::new(
                "address_refused",
                format!("The address is not spoken to: {reason}."),
                "Use the stack's https address (output ApiUrl). A stack on this machine is reached with its environment file.",
                USAGE,
            ),
            TransportFault::NotSent(reason) => Self::fault(
                "no_connection",
                format!("There was no connection: {reason}."),
                "See that the address is right and that this machine may reach it.",
            ),
            TransportFault::NoAnswer(reason) => Self::fault(
                "no_answer",
                format!("No answer came: {reason}."),
                "What was asked for may have been done: look, then try again.",
            ),
        }
    }
}
