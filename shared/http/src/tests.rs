mod addresses;
mod answers;
mod api;
mod authorities;
mod connections;
mod hooks;
mod hostile;
mod pairing;
mod server;
mod targets;
mod tls;
mod tokens;

use crate::address::{LookedUp, Lookup};
use crate::{Http, HttpConfig};
use ledger_engine::dialects::{Call, Method, Reply};
use ledger_engine::ports::{Book as _, BookCall, Shop as _, ShopCall, TransportFault};
use secrecy::SecretString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

const API_KEY: &str = "byte8_lk_secret-of-the-shop";
const TENANT: &str = "0b1f6c1e-6d0a-4f6e-9d4e-2c8a7f3b9e11";
const JTI: &str = "c2a4b7de-91f3-4a3e-a7d5-6b1d2e3f4a5b";
const TOKEN: &str = "access-token-of-the-book";
const NOW: i64 = 1_795_167_000;
/// Long enough for everything that is not meant to end by it.
const TIMEOUT_MS: u64 = 20_000;

fn local() -> Http {
    Http::new(&HttpConfig { allow_private_addresses: true, extra_ca_pem: None }).unwrap()
}

fn public() -> Http {
    Http::new(&HttpConfig::default()).unwrap()
}

async fn ask_shop(http: &Http, shop_url: &str, path: &str, body: Option<&str>) -> Result<Reply, TransportFault> {
    let call = ShopCall {
        shop_url,
        tenant: TENANT,
        api_key: &SecretString::from(API_KEY),
        path: path.to_owned(),
        body: body.map(str::to_owned),
        now_seconds: NOW,
        jti: JTI.to_owned(),
        timeout_ms: TIMEOUT_MS,
    };
    http.shop().call(&call).await
}

fn call(method: Method, path: &str, query: &[(&str, &str)], body: Option<&str>) -> Call {
    Call {
        method,
        path: path.to_owned(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        headers: Vec::new(),
        body: body.map(str::to_owned),
    }
}

async fn ask_book(http: &Http, base_url: &str, call: &Call, timeout_ms: u64) -> Result<Reply, TransportFault> {
    let writes = call.method != Method::Get;
    let token = SecretString::from(TOKEN);
    http.book().send(&BookCall { base_url, token: &token, call, writes, timeout_ms }).await
}

/// A small read.
async fn read(http: &Http, base_url: &str) -> Result<Reply, TransportFault> {
    ask_book(http, base_url, &call(Method::Get, "/v2/company", &[], None), TIMEOUT_MS).await
}

/// A small write.
async fn write(http: &Http, base_url: &str) -> Result<Reply, TransportFault> {
    ask_book(http, base_url, &call(Method::Post, "/v2/invoices", &[], Some("{}")), TIMEOUT_MS).await
}

/// A resolver that follows a script: one list of addresses a question, the last one for ever.
struct Script(Mutex<Vec<io::Result<Vec<IpAddr>>>>, Mutex<Vec<String>>);

impl Script {
    fn new(answers: Vec<io::Result<Vec<IpAddr>>>) -> Self {
        Self(Mutex::new(answers), Mutex::new(Vec::new()))
    }

    fn of(answers: &[&[&str]]) -> Self {
        let parsed = |list: &&[&str]| Ok(list.iter().map(|address| address.parse().unwrap()).collect());
        Self::new(answers.iter().map(parsed).collect())
    }

    fn asked(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }
}

impl Lookup for Script {
    fn lookup(&self, name: &str) -> LookedUp {
        self.1.lock().unwrap().push(name.to_owned());
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].as_ref().map(Clone::clone).map_err(|error| error.kind().into())
        };
        let answer = answer.map(|list| list.into_iter().map(|address| SocketAddr::new(address, 0)).collect());
        Box::pin(async move { answer })
    }
}
