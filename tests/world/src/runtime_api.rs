//! The Lambda Runtime API around one process of a built function.
//!
//! The process gets the environment a function gets on AWS and nothing else, fetches its events here and answers here. It
//! can be killed in the middle of anything. A second process of the same function is a second [`LambdaFunction`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot, watch};

use crate::ambient;
use crate::server::{Answer, Reply, Request, Server};

/// The largest answer Lambda takes.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// How a function is started.
#[derive(Clone, Debug)]
pub struct LambdaOptions {
    /// The binary, usually `…/bootstrap`.
    pub binary: PathBuf,
    /// The function's name.
    pub function_name: String,
    /// Its memory in MB, as the environment says it.
    pub memory_megabytes: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Variables of its environment, besides Lambda's own.
    pub environment: BTreeMap<String, String>,
    /// The region it believes to be in.
    pub region: String,
}

impl LambdaOptions {
    /// A function with 256 MB and 60 seconds.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            function_name: "function".to_owned(),
            memory_megabytes: 256,
            timeout: Duration::from_secs(60),
            environment: BTreeMap::new(),
            region: "eu-west-2".to_owned(),
        }
    }

    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// With a name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.function_name = name.to_owned();
        self
    }

    /// With that long an invocation.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Why an invocation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// The function says so itself.
    Reported {
        /// The type it gives.
        error_type: String,
        /// The message it gives.
        message: String,
    },
    /// It couldn't start.
    Initialization(String),
    /// Its process ended: by itself, or killed.
    Exited(String),
    /// It took longer than it may; it was killed, as Lambda does.
    TimedOut,
    /// Its answer isn't JSON.
    NotJson(String),
}

impl fmt::Display for FunctionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported { error_type, message } => write!(formatter, "the function failed: {error_type}: {message}"),
            Self::Initialization(message) => write!(formatter, "the function didn't start: {message}"),
            Self::Exited(status) => write!(formatter, "the function's process ended: {status}"),
            Self::TimedOut => formatter.write_str("the function ran out of time"),
            Self::NotJson(text) => write!(formatter, "the function's answer isn't JSON: {text}"),
        }
    }
}

impl std::error::Error for FunctionError {}

/// How often each route was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Events handed out.
    pub invocations: u64,
    /// Answers.
    pub responses: u64,
    /// Reported errors.
    pub errors: u64,
    /// Reported failures to start.
    pub initialization_errors: u64,
}

/// What the process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// The most memory it ever had resident.
    pub peak_resident_kibibytes: u64,
    /// Processor time of the threads that live.
    pub processor_time: Duration,
}

type Outcome = Result<Value, FunctionError>;

#[derive(Debug)]
struct Event {
    id: String,
    body: Vec<u8>,
    deadline: u64,
}

#[derive(Debug, Default)]
struct Inside {
    queue: VecDeque<Event>,
    waiting: HashMap<String, oneshot::Sender<Outcome>>,
    counters: Counters,
    first_next: Option<Instant>,
    log: Vec<String>,
    initialization_error: Option<String>,
}

#[derive(Debug)]
struct Shared {
    inside: Mutex<Inside>,
    arrived: Notify,
    function_name: String,
    region: String,
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running process of a function. Dropping it kills the process.
#[derive(Debug)]
pub struct LambdaFunction {
    shared: Arc<Shared>,
    timeout: Duration,
    spawned: Instant,
    pid: u32,
    kill: Arc<Notify>,
    ended: watch::Receiver<Option<String>>,
    _server: Server,
}

impl LambdaFunction {
    /// Starts the process.
    ///
    /// # Errors
    /// When there is no such binary or no free port.
    pub async fn spawn(options: LambdaOptions) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            inside: Mutex::default(),
            arrived: Notify::new(),
            function_name: options.function_name.clone(),
            region: options.region.clone(),
        });
        let routes = Arc::clone(&shared);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let shared = Arc::clone(&routes);
            async move { answer(&shared, request).await }
        })
        .await?;
        let spawned = ambient::instant();
        let mut child = command(&options, server.address())
            .spawn()
            .with_context(|| format!("cannot start {}", options.binary.display()))?;
        let pid = child.id().context("the process ended at once")?;
        gather(child.stdout.take(), &shared);
        gather(child.stderr.take(), &shared);
        let kill = Arc::new(Notify::new());
        let (tell, ended) = watch::channel(None);
        tokio::spawn(watch_over(child, Arc::clone(&kill), tell));
        Ok(Self { shared, timeout: options.timeout, spawned, pid, kill, ended, _server: server })
    }

    /// Hands the function an event and waits for its answer.
    ///
    /// # Errors
    /// When the function fails, dies or takes too long.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        self.invoke_within(event, self.timeout).await
    }

    /// The same with another time limit; the deadline the function is told follows from it.
    ///
    /// # Errors
    /// When the function fails, dies or takes too long.
    pub async fn invoke_within(&self, event: &Value, timeout: Duration) -> Outcome {
        let (tell, told) = oneshot::channel();
        let id = ambient::fresh_uuid();
        let deadline =
            ambient::system_milliseconds().saturating_add(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let body = serde_json::to_vec(event).map_err(|error| FunctionError::NotJson(error.to_string()))?;
        {
            let mut inside = self.shared.inside();
            inside.waiting.insert(id.clone(), tell);
            inside.queue.push_back(Event { id, body, deadline });
        }
        self.shared.arrived.notify_one();
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            outcome = told => outcome.unwrap_or_else(|_| Err(FunctionError::Exited("the driver was closed".to_owned()))),
            _ = ended.wait_for(Option::is_some) => Err(self.how_it_ended()),
            () = tokio::time::sleep(timeout) => {
                self.kill();
                Err(FunctionError::TimedOut)
            }
        }
    }

    fn how_it_ended(&self) -> FunctionError {
        if let Some(message) = self.shared.inside().initialization_error.clone() {
            return FunctionError::Initialization(message);
        }
        FunctionError::Exited(self.ended.borrow().clone().unwrap_or_default())
    }

    /// Waits until the function asks for its first event.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn is_ready(&self) -> Result<Duration, FunctionError> {
        loop {
            if let Some(duration) = self.initialization() {
                return Ok(duration);
            }
            if self.ended.borrow().is_some() {
                return Err(self.how_it_ended());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// From the process's start until it asked for its first event.
    #[must_use]
    pub fn initialization(&self) -> Option<Duration> {
        self.shared.inside().first_next.map(|at| at.saturating_duration_since(self.spawned))
    }

    /// Kills the process: no signal it could handle, no time to say goodbye.
    pub fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits until the process has ended; says how.
    pub async fn has_ended(&self) -> String {
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(Option::is_some).await;
        self.ended.borrow().clone().unwrap_or_default()
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How often each route was used.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.inside().counters
    }

    /// Every line the process wrote, to standard output or standard error.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.shared.inside().log.clone()
    }

    /// What the process has used so far; none once it has ended.
    #[must_use]
    pub fn resources(&self) -> Option<Resources> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_resident_kibibytes = peak.trim().split(' ').next()?.parse().ok()?;
        let mut nanoseconds = 0_u64;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid)).ok()? {
            let schedule = std::fs::read_to_string(task.ok()?.path().join("schedstat")).unwrap_or_default();
            let on_processor: u64 = schedule.split(' ').next().and_then(|figure| figure.parse().ok()).unwrap_or(0);
            nanoseconds = nanoseconds.saturating_add(on_processor);
        }
        Some(Resources { peak_resident_kibibytes, processor_time: Duration::from_nanos(nanoseconds) })
    }
}

impl Drop for LambdaFunction {
    fn drop(&mut self) {
        self.kill.notify_one();
    }
}

fn command(options: &LambdaOptions, api: SocketAddr) -> Command {
    let mut command = Command::new(&options.binary);
    command
        .env_clear()
        .envs(ambient::inherited_environment())
        .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", &options.function_name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", options.memory_megabytes.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", options.function_name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/20/[$LATEST]00000000000000000000000000000000")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_REGION", &options.region)
        .env("AWS_DEFAULT_REGION", &options.region)
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
        .env("_HANDLER", "bootstrap")
        .env("TZ", ":UTC")
        .envs(&options.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn gather(stream: Option<impl AsyncRead + Unpin + Send + 'static>, shared: &Arc<Shared>) {
    let Some(stream) = stream else { return };
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            shared.inside().log.push(line);
        }
    });
}

async fn watch_over(mut child: Child, kill: Arc<Notify>, tell: watch::Sender<Option<String>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => {
            let _ = child.start_kill();
            child.wait().await
        }
    };
    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    let _ = tell.send(Some(how));
}

async fn answer(shared: &Shared, request: Request) -> Reply {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["2018-06-01", "runtime", "invocation", "next"]) => next(shared).await.into(),
        ("POST", ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            if request.body.len() > LARGEST_ANSWER {
                return problem(413, "RequestEntityTooLarge", "the answer is too large").into();
            }
            let outcome =
                request.json().map_err(|_| FunctionError::NotJson(String::from_utf8_lossy(&request.body).into_owned()));
            let known = settle(shared, id, outcome);
            shared.inside().counters.responses += u64::from(known);
            accepted(known).into()
        }
        ("POST", ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            let known = settle(shared, id, Err(reported(&request)));
            shared.inside().counters.errors += u64::from(known);
            accepted(known).into()
        }
        ("POST", ["2018-06-01", "runtime", "init", "error"]) => {
            let message = reported(&request).to_string();
            let mut inside = shared.inside();
            inside.counters.initialization_errors += 1;
            for (_, waiting) in inside.waiting.drain() {
                let _ = waiting.send(Err(FunctionError::Initialization(message.clone())));
            }
            inside.initialization_error = Some(message);
            accepted(true).into()
        }
        _ => problem(404, "NotFound", "no such route").into(),
    }
}

async fn next(shared: &Shared) -> Answer {
    shared.inside().first_next.get_or_insert_with(ambient::instant);
    loop {
        let arrived = shared.arrived.notified();
        let event = shared.inside().queue.pop_front();
        if let Some(event) = event {
            shared.inside().counters.invocations += 1;
            return Answer::new(200, "application/json", event.body)
                .with_header("lambda-runtime-aws-request-id", event.id)
                .with_header("lambda-runtime-deadline-ms", event.deadline.to_string())
                .with_header(
                    "lambda-runtime-invoked-function-arn",
                    format!("arn:aws:lambda:{}:000000000000:function:{}", shared.region, shared.function_name),
                )
                .with_header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0");
        }
        arrived.await;
    }
}

/// Tells whoever waits for that invocation; false if nobody does.
fn settle(shared: &Shared, id: &str, outcome: Outcome) -> bool {
    let waiting = shared.inside().waiting.remove(id);
    waiting.is_some_and(|waiting| {
        let _ = waiting.send(outcome);
        true
    })
}

fn reported(request: &Request) -> FunctionError {
    let body = request.json().unwrap_or(Value::Null);
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of_header = request.header("lambda-runtime-function-error-type").unwrap_or_default().to_owned();
    let error_type = Some(text("errorType")).filter(|text| !text.is_empty()).unwrap_or(of_header);
    FunctionError::Reported { error_type, message: text("errorMessage") }
}

fn accepted(known: bool) -> Answer {
    if known {
        Answer::json(202, &json!({"status": "OK"}))
    } else {
        problem(400, "InvalidRequestID", "no such invocation")
    }
}

fn problem(status: u16, error_type: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"errorType": error_type, "errorMessage": message}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/function.sh");

    async fn function() -> LambdaFunction {
        LambdaFunction::spawn(LambdaOptions::new(FUNCTION)).await.unwrap()
    }

    #[tokio::test]
    async fn events_go_in_and_answers_come_out() {
        let function = function().await;
        assert_eq!(function.invoke(&json!({"n": 1})).await.unwrap(), json!({"echo": {"n": 1}}));
        let error = function.invoke(&json!("fail")).await.unwrap_err();
        assert_eq!(error, FunctionError::Reported { error_type: "Trouble".to_owned(), message: "as asked".to_owned() });
        assert_eq!(function.counters(), Counters { invocations: 2, responses: 1, errors: 1, initialization_errors: 0 });
        assert!(function.initialization().is_some());
        assert!(function.resources().unwrap().peak_resident_kibibytes > 0);
        assert!(function.log_lines().contains(&"got {\"n\":1}".to_owned()));
    }

    #[tokio::test]
    async fn a_process_that_ends_is_an_error() {
        let function = function().await;
        let error = function.invoke(&json!("die")).await.unwrap_err();
        assert!(matches!(&error, FunctionError::Exited(status) if status.contains('3')), "{error}");
        assert!(matches!(function.invoke(&json!(1)).await, Err(FunctionError::Exited(_))));
    }

    #[tokio::test]
    async fn a_process_can_be_killed_in_the_middle() {
        let function = function().await;
        let hanging = json!("hang");
        let (outcome, ()) = tokio::join!(function.invoke(&hanging), async {
            while function.counters().invocations == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            function.kill();
        });
        assert!(matches!(&outcome, Err(FunctionError::Exited(status)) if status.contains('9')), "{outcome:?}");
    }

    #[tokio::test]
    async fn time_runs_out() {
        let function = function().await;
        let outcome = function.invoke_within(&json!("hang"), Duration::from_millis(50)).await;
        assert_eq!(outcome, Err(FunctionError::TimedOut));
        assert!(function.has_ended().await.contains('9'));
    }

    #[tokio::test]
    async fn a_start_that_fails_is_told() {
        let function = LambdaFunction::spawn(LambdaOptions::new(FUNCTION).env("FAIL_TO_START", "1")).await.unwrap();
        let error = function.invoke(&json!(1)).await.unwrap_err();
        assert!(matches!(&error, FunctionError::Initialization(message) if message.contains("no table")), "{error}");
        assert_eq!(function.counters().initialization_errors, 1);
    }
}
