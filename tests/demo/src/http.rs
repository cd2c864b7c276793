//! One request, one connection: all that the stand-ins' control APIs and the stack's own API need.

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A tick of cron sends whatever is due before it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A status and a JSON body; `Value::Null` where there is none.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// Where it is none: `what` was asked, what came back.
    pub fn good(self, what: &str) -> anyhow::Result<Value> {
        ensure!((200..300).contains(&self.status), "{what}: {} {}", self.status, self.body);
        Ok(self.body)
    }
}

/// Sends a request to whoever is at `http://host:port`, or at a path below it.
///
/// # Errors
/// Where nobody answers within a minute, or not as this can be read.
pub async fn send(
    base_url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let exchange = exchange(base_url, method, path, headers, body);
    let answer = tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| bail!("no answer"));
    answer.with_context(|| format!("{method} {base_url}{path}"))
}

async fn exchange(
    base_url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    let address = base_url.strip_prefix("http://").context("an address on this machine begins with http://")?;
    let (host, base) = address.split_at(address.find('/').unwrap_or(address.len()));
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut request = format!(
        "{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: ledger-demo\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).await?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await?;
    read(&received).context("not an answer that can be read")
}

fn read(received: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(received).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = |line: &str| line.eq_ignore_ascii_case("transfer-encoding: chunked");
    let body = if head.lines().any(is_chunked) { unchunked(body)? } else { body.to_owned() };
    // Where there are no chunks there is a length, and the connection ends, so the body is what is left.
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).ok()? };
    Some(Answer { status, body })
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_json() {
        let answer = read(b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 13\r\n\r\n{\"error\":\"x\"}").unwrap();
        assert_eq!((answer.status, answer.body["error"].as_str()), (422, Some("x")));
        assert!(answer.good("asking").is_err());
        assert_eq!(read(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().body, Value::Null);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n";
        assert_eq!(read(chunked).unwrap().body, serde_json::json!([1, 2]));
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n{").is_none());
        assert!(read(b"").is_none());
    }
}
