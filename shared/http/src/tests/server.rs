//! A server that misbehaves on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What to do about a request.
#[derive(Clone)]
pub(super) enum Act {
    /// Say this, and listen on.
    Say(String),
    /// Say this, and hang up.
    SayAndClose(String),
    /// The same with bytes that need not be text.
    SayBytesAndClose(Vec<u8>),
    /// Say this to the first request of a connection, and hang up at the second: what a thawed sandbox finds.
    SayOnce(String),
    /// Say nothing more.
    Hang,
    /// Say this, then this again and again, with a pause in between.
    Repeat(String, String, Duration),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Counted from 0.
    pub(super) connection: usize,
    /// Head and body.
    pub(super) text: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.text.split("\r\n\r\n").next()?.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    pub(super) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1
    }
}

pub(super) struct Server {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Does this with every request.
    pub(super) async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let task = tokio::spawn({
            let (seen, connections) = (seen.clone(), connections.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let connection = {
                        let mut count = connections.lock().unwrap();
                        *count += 1;
                        *count - 1
                    };
                    tokio::spawn(talk(stream, connection, act.clone(), seen.clone()));
                }
            }
        });
        Self { port, seen, connections, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// Serves one connection until either side has enough.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    act: Act,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let mut served = false;
    while let Some(text) = request(&mut stream).await {
        seen.lock().unwrap().push(Seen { connection, text });
        match &act {
            Act::Say(reply) => {
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::SayAndClose(reply) => {
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::SayBytesAndClose(reply) => {
                let _ = stream.write_all(reply).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::SayOnce(reply) => {
                if served || stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
                served = true;
            }
            Act::Hang => std::future::pending().await,
            Act::Repeat(reply, again, pause) => {
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
                while stream.write_all(again.as_bytes()).await.is_ok() {
                    tokio::time::sleep(*pause).await;
                }
                return;
            }
        }
    }
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0_usize);
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// A whole answer that leaves the connection open.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
