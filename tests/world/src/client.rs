//! The HTTP client inside the shop: it follows nothing, reads one status line, and gives up after 15 seconds.
//!
//! The published module goes by the *first* status line it sees, so an interim answer (`100`, `103`) counts as the
//! answer; a client library would hide that.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(15);
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    /// The first header of that name, which is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a body and reads the answer; an error is what the shop writes down as a network error.
pub(crate) async fn post(url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Answered, String> {
    send("POST", url, headers, body).await
}

/// Asks and reads the answer; an error as of [`post`].
pub(crate) async fn get(url: &str, headers: &[(String, String)]) -> Result<Answered, String> {
    send("GET", url, headers, &[]).await
}

async fn send(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Answered, String> {
    tokio::time::timeout(TOTAL, exchange(method, url, headers, body))
        .await
        .unwrap_or_else(|_| Err(format!("Operation timed out after {} milliseconds", TOTAL.as_millis())))
}

async fn exchange(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Answered, String> {
    let target = Target::of(url)?;
    let request = target.request(method, headers, body);
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect((target.host.as_str(), target.port)))
        .await
        .map_err(|_| format!("Connection timed out after {} milliseconds", CONNECT.as_millis()))?
        .map_err(|error| format!("Failed to connect to {} port {}: {error}", target.host, target.port))?;
    let _ = stream.set_nodelay(true);
    if target.secure {
        let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
        let stream = connector()?.connect(name, stream).await.map_err(|error| format!("SSL error: {error}"))?;
        converse(stream, &request).await
    } else {
        converse(stream, &request).await
    }
}

fn connector() -> Result<TlsConnector, String> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Result<Answered, String> {
    stream.write_all(request).await.map_err(|error| format!("Send failure: {error}"))?;
    stream.flush().await.map_err(|error| format!("Send failure: {error}"))?;
    let mut received = Vec::new();
    // The connection is asked to close, so an answer ends with it; an unclean end after a whole answer is no error.
    let ended = (&mut stream).take(LONGEST_ANSWER).read_to_end(&mut received).await;
    match read_answer(&received) {
        Some(answered) => Ok(answered),
        None => Err(match ended {
            Err(error) => format!("Recv failure: {error}"),
            Ok(_) if received.is_empty() => "Empty reply from server".to_owned(),
            Ok(_) => "Received HTTP/0.9 when not allowed or a broken answer".to_owned(),
        }),
    }
}

fn read_answer(received: &[u8]) -> Option<Answered> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(received.get(..end)?).ok()?;
    let rest = received.get(end.checked_add(4)?..)?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.").and_then(|line| line.split(' ').nth(1))?.parse().ok()?;
    let header = |wanted: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let body = if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        unchunked(rest)?
    } else if let Some(length) = header("content-length").and_then(|value| value.parse::<usize>().ok()) {
        rest.get(..length)?.to_vec()
    } else {
        rest.to_vec()
    };
    let headers = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    Some(Answered { status, headers, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..line)?).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = rest.get(line.checked_add(2)?..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

struct Target {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    fn of(url: &str) -> Result<Self, String> {
        let (secure, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(format!("Unsupported protocol in {url}"));
        };
        let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, "/"));
        let default_port = if secure { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("Port number was not a decimal number: {port}"))?)
            }
            None => (authority, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { secure, host, port, authority: authority.to_owned(), path: path.to_owned() })
    }

    fn request(&self, method: &str, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.path, self.authority);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            head.push_str("Accept: */*\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_status_line_counts() {
        let answered =
            read_answer(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n{}").unwrap();
        assert_eq!(answered.status, 103);
    }

    #[test]
    fn chunks_are_joined() {
        let answered =
            read_answer(b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
                .unwrap();
        assert_eq!((answered.status, answered.body), (400, b"abcde".to_vec()));
    }

    #[test]
    fn a_cut_answer_is_none() {
        assert!(read_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").is_none());
    }
}
