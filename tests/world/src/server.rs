//! A small HTTP server: whole requests in, whole answers out, or no answer at all.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A request, read to its end.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as it came, still percent-encoded.
    pub path: String,
    /// The query as it came, without the question mark; empty if there was none.
    pub query: String,
    /// Header names in lower case with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The first header of that name, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The parts of the path between the slashes, decoded.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect()
    }

    /// The last value of that name in the query, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .filter_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (percent_decoded(&key.replace('+', " ")) == name).then(|| percent_decoded(&value.replace('+', " ")))
            })
            .next_back()
    }

    /// The body as a form.
    ///
    /// # Errors
    /// When it isn't called `application/x-www-form-urlencoded`.
    pub fn form(&self) -> anyhow::Result<Form> {
        let content_type = self.header("content-type").unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        anyhow::ensure!(media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded"), "the body is not a form");
        let body = String::from_utf8_lossy(&self.body);
        let pairs = body.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(&name.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
        });
        Ok(Form(pairs.collect()))
    }

    /// The body as JSON; an empty body is `null`.
    ///
    /// # Errors
    /// When the body is neither empty nor JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).context("the body is not JSON")
    }

    /// The body as what this route takes; an empty body is an empty object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let mut value = self.json()?;
        if value.is_null() {
            value = Value::Object(serde_json::Map::new());
        }
        serde_json::from_value(value).context("the body isn't what this route takes")
    }

    /// The body as one thing or a list of them.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read_list<T: DeserializeOwned>(&self) -> anyhow::Result<Vec<T>> {
        if self.json()?.is_array() { self.read() } else { Ok(vec![self.read()?]) }
    }
}

/// The fields of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The first value of that name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of that name, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with a body of that type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        Self::new(status, "application/json", serde_json::to_vec(value).unwrap_or_default())
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is answered.
    Answer(Answer),
    /// The connection is closed without a word.
    HangUp,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A running server; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to serve on an address; port 0 picks a free one.
    ///
    /// A request is handled to its end even if the client goes away meanwhile, as with any real server.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start<Handler, Handling>(listen: SocketAddr, handler: Handler) -> anyhow::Result<Self>
    where
        Handler: Fn(Request) -> Handling + Clone + Send + Sync + 'static,
        Handling: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, handler));
        Ok(Self { address, url: format!("http://{address}"), task: Some(task) })
    }

    /// An address behind which nobody listens: who stands behind it is spoken to in this process.
    #[must_use]
    pub(crate) fn without_a_door(url: &str) -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), url: url.to_owned(), task: None }
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, or what it is called where it has no door.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept<Handler, Handling>(listener: TcpListener, handler: Handler)
where
    Handler: Fn(Request) -> Handling + Clone + Send + Sync + 'static,
    Handling: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let handler = handler.clone();
                connections.spawn(async move {
                    let service = service_fn(move |incoming| answer(incoming, handler.clone()));
                    // A broken connection is the client's affair.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer<Handler, Handling>(
    incoming: hyper::Request<Incoming>,
    handler: Handler,
) -> Result<hyper::Response<Full<Bytes>>, HungUp>
where
    Handler: Fn(Request) -> Handling + Send + 'static,
    Handling: Future<Output = Reply> + Send + 'static,
{
    let request = read(incoming).await?;
    match tokio::spawn(handler(request)).await {
        Ok(Reply::Answer(answer)) => response(answer),
        Ok(Reply::HangUp) | Err(_) => Err(HungUp),
    }
}

async fn read(incoming: hyper::Request<Incoming>) -> Result<Request, HungUp> {
    let (parts, body) = incoming.into_parts();
    let body = body.collect().await.map_err(|_| HungUp)?.to_bytes();
    Ok(Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body,
    })
}

fn response(answer: Answer) -> Result<hyper::Response<Full<Bytes>>, HungUp> {
    let mut builder = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(answer.body)).map_err(|_| HungUp)
}

#[derive(Debug)]
struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("hung up")
    }
}

impl std::error::Error for HungUp {}

impl From<Infallible> for HungUp {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Decodes `%XX`; anything that is not such a pair stays as it is.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = (first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| hex::decode(digits).ok());
        if let Some(bytes) = pair {
            decoded.extend_from_slice(&bytes);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Encodes everything but letters, digits and `-._~`.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
