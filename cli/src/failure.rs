//! Why a command was not done: a stable code, one sentence, what to do.

use ledger_aws::engine::domain::code::Code;
use ledger_aws::engine::operate::OperateError;
use ledger_aws::engine::ports::PortFault;
use std::fmt;

/// Exit code for faults.
const FAULT: u8 = 1;
/// Exit code for wrong usage, the one that the argument parser has too.
const USAGE: u8 = 2;
/// Exit code for things that are not there.
const NOT_FOUND: u8 = 3;

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: &'static str,
    message: String,
    remedy: String,
    exit: u8,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: "invalid", message: message.into(), remedy: remedy.into(), exit: USAGE }
    }

    pub(crate) fn not_configured(message: impl Into<String>) -> Self {
        let remedy = "Name the stack's environment file with --stack-env, or set the variables of `ledger --help`.";
        Self { code: "not_configured", message: message.into(), remedy: remedy.to_owned(), exit: USAGE }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self {
            code: "not_found",
            message: format!("There is no such {what}."),
            remedy: "Check the id, and that this is the stack you mean.".to_owned(),
            exit: NOT_FOUND,
        }
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
            let Self { code, message, remedy, exit } = self;
            return serde_json::json!({
                "error": {"code": code, "message": message, "remedy": remedy, "exit_code": exit},
            })
            .to_string();
        }
        format!("error: {self}")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n  {}", self.code, self.message, self.remedy)
    }
}

impl std::error::Error for Failure {}

impl From<OperateError> for Failure {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Invalid { field, reason } => {
                Self::usage(format!("{field}: {reason}."), "Correct it and try again; `--help` says what is expected.")
            }
            OperateError::NotFound(what) => Self::not_found(what),
            OperateError::Exists(what) => Self {
                code: "exists",
                message: format!("There is such a {what} already."),
                remedy: "Use the one that is there, or choose another.".to_owned(),
                exit: FAULT,
            },
            OperateError::NotNow(reason) => Self {
                code: "not_now",
                message: format!("This can't be done now: {reason}."),
                remedy: "Look at it again with `show`, then decide.".to_owned(),
                exit: FAULT,
            },
            OperateError::Refused { code, reason } => Self {
                code,
                message: format!("This can't be done: {reason}."),
                remedy: "Look at it again with `show`, then decide.".to_owned(),
                exit: FAULT,
            },
            OperateError::Port(fault) => fault.into(),
        }
    }
}

impl From<PortFault> for Failure {
    fn from(fault: PortFault) -> Self {
        match fault {
            PortFault::Unavailable(reason) => Self {
                code: Code::StoreUnavailable.as_str(),
                message: format!("The stack did not answer: {reason}."),
                remedy: "See that its address, region and your credentials are right, and that AWS is healthy there."
                    .to_owned(),
                exit: FAULT,
            },
            PortFault::Inconsistent(reason) => Self {
                code: "inconsistent",
                message: format!("The stack holds something that this version can't read: {reason}."),
                remedy: "Use the version of `ledger` that the stack was deployed with.".to_owned(),
                exit: FAULT,
            },
        }
    }
}
