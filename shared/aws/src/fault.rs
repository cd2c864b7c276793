//! What an SDK error means to the engine.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ledger_engine::ports::PortFault;

/// Codes whose message says what to change and can't hold any data: it names principals, actions and resources.
const TELLING: [&str; 6] = [
    "AccessDeniedException",
    "AccessDenied",
    "ResourceNotFoundException",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "NotFoundException",
];

/// The service's code, where it answered.
pub(crate) fn code<E, R>(error: &SdkError<E, R>) -> Option<&str>
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// No answer now. Says what was tried, the code and the request id; the service's message only where it can't repeat
/// what was sent.
pub(crate) fn unavailable<E, R>(operation: &'static str, error: &SdkError<E, R>) -> PortFault
where
    E: ProvideErrorMetadata,
{
    let what = match error {
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "connect timeout".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ResponseError(_) => "broken answer".to_owned(),
        SdkError::ConstructionFailure(_) => "request not built".to_owned(),
        SdkError::ServiceError(failure) => {
            let failure = failure.err();
            let code = failure.code().unwrap_or("no code");
            let request = failure.meta().extra("aws_request_id").unwrap_or("none");
            match failure.message() {
                Some(message) if TELLING.contains(&code) => {
                    format!("{code} (request {request}): {message}")
                }
                _ => format!("{code} (request {request})"),
            }
        }
        _ => "unknown failure".to_owned(),
    };
    PortFault::Unavailable(format!("{operation}: {what}"))
}
