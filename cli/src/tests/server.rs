//! An API in this process that answers by a script, and whoever sits in front of the program.

use crate::failure::Failure;
use crate::person::Person;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Method and target.
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

/// Answers by method and path; each in turn, the last for ever.
type Answers = BTreeMap<String, Vec<(u16, String)>>;

pub(super) struct Fake {
    pub(super) url: String,
    answers: Arc<Mutex<Answers>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (answers, seen) = (Arc::new(Mutex::new(Answers::new())), Arc::new(Mutex::new(Vec::new())));
        let task = tokio::spawn({
            let (answers, seen) = (answers.clone(), seen.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(talk(stream, answers.clone(), seen.clone()));
                }
            }
        });
        Self { url, answers, seen, task }
    }

    /// Says what a route answers: `GET /v1/me`.
    pub(super) fn answers(&self, route: &str, status: u16, body: impl ToString) {
        self.answers.lock().unwrap().entry(route.to_owned()).or_default().push((status, body.to_string()));
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn talk(mut stream: TcpStream, answers: Arc<Mutex<Answers>>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut text = String::new();
    let mut chunk = [0; 4_096];
    let (head, body) = loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |it| it.parse::<usize>().unwrap());
            if body.len() >= length {
                break (head.to_owned(), body.to_owned());
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&chunk[..read])),
        }
    };
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let route = line.split('?').next().unwrap().to_owned();
    seen.lock().unwrap().push(Seen { line, authorization: header(&head, "authorization"), body });
    let nothing = (404, r#"{"code":"not_found","message":"there is no such route","errors":[]}"#.to_owned());
    let (status, body) = match answers.lock().unwrap().get_mut(&route) {
        None => nothing,
        Some(script) if script.len() > 1 => script.remove(0),
        Some(script) => script[0].clone(),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Answers by a script, and remembers what it was told.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) answers: Mutex<Vec<String>>,
    pub(super) told: Mutex<Vec<String>>,
    pub(super) opened: Mutex<Vec<String>>,
    /// What the browser does with an address; without it there is none.
    pub(super) browser: Option<fn(&str)>,
}

impl Scripted {
    pub(super) fn answering(answers: &[&str]) -> Self {
        Self { answers: Mutex::new(answers.iter().map(|it| (*it).to_owned()).collect()), ..Self::default() }
    }

    pub(super) fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }
}

impl Person for Scripted {
    fn tell(&self, text: &str) {
        self.told.lock().unwrap().push(text.to_owned());
    }

    fn ask(&self, question: &str) -> Result<String, Failure> {
        self.tell(question);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.is_empty() { String::new() } else { answers.remove(0) })
    }

    fn open(&self, address: &str) -> bool {
        self.opened.lock().unwrap().push(address.to_owned());
        self.browser.is_some_and(|browser| {
            browser(address);
            true
        })
    }
}
