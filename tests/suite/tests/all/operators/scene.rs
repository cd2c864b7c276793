//! An operator with a token, a shop, a book, and the way from one to the other as it is in life.

use crate::deployed::client;
use anyhow::{Context, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use ledger_engine::wire::settings::SettingsV1;
use ledger_suite::deployed::{Deployed, until};
use ledger_suite::stack::workspace;
use ledger_suite::world::{Bound, Other, Spoken, bound};
use ledger_world::browser::{Location, Person, visits};
use ledger_world::identity::{AppSpec, Authority};
use ledger_world::shop::Chip;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// What an attempt, a push or a sweep brings about is there within this.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// The app's client id at every stand-in.
const CLIENT: &str = "ledger-of-the-tests";

/// What the API answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The body of a good answer.
    pub(super) fn good(self) -> anyhow::Result<Value> {
        ensure!(self.status == 200, "{self:?}");
        Ok(self.body)
    }

    /// Status and code of an answer that refuses.
    pub(super) fn refusal(&self) -> (u16, &str) {
        // Where a field is to blame, its own code says more.
        let of_field = self.body["errors"][0]["code"].as_str();
        (self.status, of_field.or(self.body["code"].as_str()).unwrap_or_default())
    }
}

/// Somebody who speaks to the API, with a token or without.
#[derive(Clone)]
pub(super) struct Operator {
    url: String,
    token: Option<String>,
    client: reqwest::Client,
}

impl Operator {
    pub(super) fn with(url: &str, token: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self { url: url.to_owned(), token: token.map(str::to_owned), client: client()? })
    }

    pub(super) async fn asks(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.asks(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.asks(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.asks(Method::PUT, path, Some(body)).await
    }
}

/// A page that the stack showed to a browser.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) text: String,
    /// Where it sends the browser.
    pub(super) location: Option<String>,
    /// The cookie that it sets, as a browser sends it back.
    pub(super) cookie: Option<String>,
}

/// What `ledger` said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) exit: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    /// The output of a command that was done.
    pub(super) fn good(self) -> anyhow::Result<String> {
        ensure!(self.exit == 0, "{self:?}");
        Ok(self.out)
    }
}

/// A shop and a book that know nothing of each other, and an administrator who is about to change that.
pub(super) struct Scene {
    pub(super) deployed: Deployed,
    pub(super) spoken: Spoken,
    pub(super) admin: Operator,
    /// What nobody may find anywhere, by what it is.
    secrets: Mutex<BTreeMap<String, String>>,
    /// How long what it waits for may take.
    limit: Duration,
}

impl Scene {
    /// Shop and book, strangers to each other and to the stack; `None` where no stack runs.
    pub(super) async fn open(name: &str, spoken: Spoken) -> anyhow::Result<Option<Self>> {
        let Some(mut deployed) = Deployed::open(name, spoken).await? else { return Ok(None) };
        deployed.tenant.clear();
        let token = deployed.setting("OPERATOR_TOKEN")?;
        let admin = Operator::with(&deployed.setting("LEDGER_URL")?, Some(&token))?;
        let scene = Self { deployed, spoken, admin, secrets: Mutex::default(), limit: LIMIT };
        scene.keeps("the operator's token", &token);
        Ok(Some(scene))
    }

    /// The same, paired, connected and configured.
    pub(super) async fn ready(name: &str, spoken: Spoken) -> anyhow::Result<Option<Self>> {
        let Some(mut scene) = Self::open(name, spoken).await? else { return Ok(None) };
        scene.pairs().await?;
        scene.connects().await?;
        scene.configures(|_| ()).await?;
        Ok(Some(scene))
    }

    /// What it does takes so long, or [`LIMIT`] where that is longer.
    pub(super) fn takes_as_long_as(&mut self, limit: Duration) {
        self.limit = limit.max(LIMIT);
    }

    pub(super) fn keeps(&self, what: &str, secret: &str) {
        self.secrets.lock().unwrap().insert(secret.to_owned(), what.to_owned());
    }

    /// Everything that must not lie open anywhere, with what it is.
    pub(super) fn secrets(&self) -> Vec<(String, String)> {
        let mut secrets = self.secrets.lock().unwrap().clone();
        let given = match &self.deployed.other {
            None => self.deployed.book.secrets_given(),
            Some(Other::Accounting(book)) => book.secrets_given(),
            Some(Other::Sage(book)) => book.secrets_given(),
        };
        secrets.extend(given.into_iter().map(|secret| (secret, "what the provider gave out".to_owned())));
        secrets.extend(self.deployed.shop.key().map(|key| (key, "the shop's key".to_owned())));
        secrets.into_iter().map(|(secret, what)| (what, secret)).collect()
    }

    /// Runs the built `ledger` as the administrator of the stack, with this on its standard input.
    pub(super) async fn ledger(&self, words: &[&str], input: &str) -> anyhow::Result<Said> {
        let log = PathBuf::from(self.deployed.setting("ENGINE_LOG")?);
        let folder = log.ancestors().nth(2).context("the stack has no folder")?;
        let program = workspace().join("target/debug/ledger");
        let mut child = tokio::process::Command::new(&program)
            .arg("--stack-env")
            .arg(folder.join("stack.env"))
            .args(words)
            .current_dir(workspace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start: `make build-local` builds it", program.display()))?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        // Who wants no input may be gone before all of it is written.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let exit = output.status.code().unwrap_or(-1);
        Ok(Said { exit, out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Another operator, in these groups.
    pub(super) async fn operator(&self, user: &str, groups: &[&str]) -> anyhow::Result<Operator> {
        let token = self.token(user, groups, "access").await?;
        Operator::with(&self.deployed.setting("LEDGER_URL")?, Some(&token))
    }

    pub(super) async fn token(&self, user: &str, groups: &[&str], kind: &str) -> anyhow::Result<String> {
        let user = format!("{user}-{}", std::process::id());
        let mut words = vec!["token", "--kind", kind, &user];
        words.extend(groups);
        let token = self.deployed.script(&words).await?;
        self.keeps("a token", &token);
        Ok(token)
    }

    /// The shop shows a code and the operator presents it.
    pub(super) async fn presents(&self, operator: &Operator, code: &str) -> anyhow::Result<Answer> {
        self.presents_at(operator, &self.deployed.shop.url(), code).await
    }

    pub(super) async fn presents_at(&self, operator: &Operator, url: &str, code: &str) -> anyhow::Result<Answer> {
        self.keeps("a pairing code", code);
        let path = format!("/v1/magento/connect?provider={}", self.spoken.provider());
        operator.post(&path, &json!({"magento_base_url": url, "pairing_code": code})).await
    }

    /// Pairs the shop by its code; whoever paired it before finds tenant and binding again.
    pub(super) async fn pairs(&mut self) -> anyhow::Result<Value> {
        if let Some(key) = self.deployed.shop.key() {
            self.keeps("an earlier key", &key);
        }
        let code = self.deployed.shop.shows_pairing_code(self.spoken.provider());
        let paired = self.presents(&self.admin, &code).await?.good()?;
        ensure!(paired["answers"] == true, "{paired}");
        self.deployed.tenant = paired["tenant"]["tenant"].as_str().context("no tenant")?.to_owned();
        self.deployed.binding = paired["binding"]["binding"].as_str().context("no binding")?.to_owned();
        Ok(paired)
    }

    /// A path below the binding's.
    pub(super) fn of_binding(&self, rest: &str) -> String {
        format!("/v1/bindings/{}{rest}", self.deployed.binding)
    }

    /// A path below the tenant's.
    pub(super) fn of_tenant(&self, rest: &str) -> String {
        format!("/v1/tenants/{}{rest}", self.deployed.tenant)
    }

    /// A developer registers our app at the provider, and the operator tells the stack of it.
    pub(super) async fn registers_app(&self) -> anyhow::Result<()> {
        let secret = format!("app-secret-{}", crate::deployed::unique());
        self.keeps("the app's secret", &secret);
        let callback = format!("{}/oauth/callback", self.deployed.setting("LEDGER_URL")?);
        let app = AppSpec::confidential(CLIENT, &secret, &callback);
        match &self.deployed.other {
            None => self.deployed.book.registers_app(app)?,
            Some(Other::Accounting(book)) => book.registers_app(app)?,
            Some(Other::Sage(book)) => book.registers_app(app)?,
        }
        let app = self.app(&secret, &[]);
        let shown = self.admin.put(&self.of_binding("/app"), &app).await?.good()?;
        ensure!(shown["callback_url"] == callback.as_str() && shown["has_secret"] == true, "{shown}");
        let known = self.admin.get(&self.of_binding("/app")).await?.good()?;
        ensure!(known == shown && known["binding"] == self.deployed.binding.as_str(), "{known}");
        Ok(())
    }

    /// Our app as the stack is told of it, with scopes other than the usual ones.
    pub(super) fn app(&self, secret: &str, scopes: &[Value]) -> Value {
        let (authority, url) = match &self.deployed.other {
            None if self.spoken == Spoken::Freeagent => (Authority::Freeagent, self.deployed.book.url()),
            None => (Authority::V2, self.deployed.book.url()),
            Some(Other::Accounting(book)) => (Authority::Accounting, book.url()),
            Some(Other::Sage(book)) => (Authority::Sage, book.url()),
        };
        let hosts = json!({
            "authorize": format!("{url}{}", authority.authorize_path()),
            "token": format!("{url}{}", authority.token_path()),
            "revoke": authority.revocation_path().map(|path| format!("{url}{path}")),
            "api": url,
        });
        json!({"client_id": CLIENT, "client_secret": secret, "hosts": hosts, "scopes": scopes})
    }

    /// An operator begins a connection; the provider's page.
    pub(super) async fn starts(&self, operator: &Operator) -> anyhow::Result<String> {
        let started = operator.post(&self.of_binding("/connection"), &json!({})).await?.good()?;
        let url = started["authorize_url"].as_str().context("no page")?;
        if let Some((_, state)) = url.split_once("state=") {
            self.keeps("a state", state.split('&').next().unwrap_or_default());
        }
        Ok(url.to_owned())
    }

    /// The bookkeeper agrees on the provider's pages; where the browser is sent back to.
    pub(super) async fn agrees(&self, page: &str) -> anyhow::Result<Location> {
        visits(page, &Person::bookkeeper()).await?.location()
    }

    /// A browser asks for one of the stack's pages.
    pub(super) async fn browses(&self, method: Method, url: &str, cookie: Option<&str>) -> anyhow::Result<Page> {
        let mut request = client()?.request(method, url);
        if let Some(cookie) = cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.send().await?;
        let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let cookie = header("set-cookie").and_then(|it| it.split(';').next().map(str::to_owned));
        Ok(Page { status: answer.status().as_u16(), location: header("location"), cookie, text: answer.text().await? })
    }

    pub(super) async fn confirms(&self, operator: &Operator) -> anyhow::Result<Answer> {
        let waiting = operator.get(&self.of_binding("/connection")).await?;
        if waiting.status != 200 {
            return Ok(waiting);
        }
        let organisations = waiting.body["organisations"].as_array().cloned().unwrap_or_default();
        let chosen = organisations.first().context("nothing to choose")?;
        ensure!(waiting.body["missing_scopes"] == json!([]), "{waiting:?}");
        operator.post(&self.of_binding("/connection/confirm"), &json!({"organisation": chosen["id"]})).await
    }

    /// Connects the book over the provider's pages.
    pub(super) async fn connects(&self) -> anyhow::Result<Value> {
        self.registers_app().await?;
        let back = self.agrees(&self.starts(&self.admin).await?).await?;
        let page = self.browses(Method::GET, back.url(), None).await?;
        ensure!(page.status == 200, "{page:?}");
        let binding = self.confirms(&self.admin).await?.good()?;
        ensure!(binding["status"] == "active" && binding["dialect"] == self.spoken.dialect(), "{binding}");
        Ok(binding)
    }

    /// Settings that fit the book, changed; saved over those in force.
    pub(super) async fn configures(&self, change: impl FnOnce(&mut SettingsV1)) -> anyhow::Result<()> {
        let name = &self.deployed.tenant;
        let Bound { mut settings, .. } = bound(&self.deployed.book, self.deployed.other.as_ref(), name, false);
        change(&mut settings);
        let path = self.of_binding("/settings");
        let version = self.admin.get(&path).await?.good()?["version"].clone();
        let saved = self.admin.put(&path, &json!({"version": version, "settings": settings})).await?.good()?;
        ensure!(saved["version"].as_u64() > version.as_u64(), "{saved}");
        Ok(())
    }

    pub(super) async fn is_in_mode(&self, mode: &str) -> anyhow::Result<()> {
        let binding = self.admin.put(&self.of_binding("/mode"), &json!({"mode": mode})).await?.good()?;
        ensure!(binding["mode"] == mode, "{binding}");
        Ok(())
    }

    /// All runs of the tenant.
    pub(super) async fn runs(&self) -> anyhow::Result<Vec<Value>> {
        let (mut runs, mut after) = (Vec::new(), String::new());
        loop {
            let mut page = self.admin.get(&self.of_tenant(&format!("/runs?limit=200{after}"))).await?.good()?;
            if let Some(found) = page["runs"].as_array_mut() {
                runs.append(found);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(runs),
            }
        }
    }

    /// State and code of the run of an event.
    pub(super) async fn run_of(&self, event: &str, id: i64) -> anyhow::Result<Option<Value>> {
        Ok(self.runs().await?.into_iter().find(|run| run["event"] == event && run["magento_id"] == id))
    }

    pub(super) async fn tenant_is(&self, status: &str) -> anyhow::Result<bool> {
        Ok(self.admin.get(&self.of_tenant("")).await?.good()?["status"] == status)
    }

    pub(super) fn chip(&self, entity: &str, id: i64) -> Option<Chip> {
        self.deployed.shop.chip(entity, id)
    }

    /// Lets shop and stack work, the sweeper too, until a condition holds.
    pub(super) async fn works_until<F>(&self, what: &str, mut condition: impl FnMut() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<bool>>,
    {
        self.deployed.shop.ticks().await;
        let mut looked = 0_u32;
        let mut looks = || {
            looked = looked.wrapping_add(1);
            // The first looks are for what needs no sweep.
            let sweeps = looked > 5 && looked.is_multiple_of(3);
            let holds = condition();
            async move {
                if holds.await? {
                    return Ok(true);
                }
                // The shop's cron sends fifty events at most.
                self.deployed.shop.ticks().await;
                if sweeps {
                    self.deployed.sweeps().await?;
                }
                Ok(false)
            }
        };
        match until(what, self.limit, &mut looks).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let runs = self.runs().await.unwrap_or_default();
                let stand =
                    |run: &Value| format!("{} {} {} {}", run["event"], run["magento_id"], run["state"], run["code"]);
                bail!("{error}; runs: {:?}", runs.iter().map(stand).collect::<Vec<_>>())
            }
        }
    }

    /// Every run has come to its end, and each of these invoices shows so in the shop.
    pub(super) async fn settles(&self, invoices: &[i64]) -> anyhow::Result<()> {
        self.works_until("everything is done", || async {
            let synced = |id: &i64| self.chip("invoice", *id).is_some_and(|chip| chip.sync_status == "synced");
            if !invoices.iter().all(synced) {
                return Ok(false);
            }
            let over = |run: &Value| ["succeeded", "skipped"].iter().any(|state| run["state"] == *state);
            Ok(self.runs().await?.iter().all(over))
        })
        .await
    }

    /// The shop sends everything again that it ever sent, so many at once; statuses of the answers. Where something is refused,
    /// the stack puts others of the same moment off: it reads a tenant again for one of them only.
    pub(super) async fn redelivers(&self, at_once: usize) -> anyhow::Result<Vec<Option<u16>>> {
        let shop = &self.deployed.shop;
        let sent = shop.outbox().into_iter().map(|row| async move { shop.delivers(row.entity_id).await });
        let sent: Vec<_> = futures::stream::iter(sent).buffered(at_once).try_collect().await?;
        Ok(sent.into_iter().map(|sent| sent.status).collect())
    }

    /// How many documents the book holds of each kind: contacts, invoices, credit notes, payments, allocations, refunds.
    pub(super) fn counted(&self) -> [usize; 6] {
        let book = self.deployed.holds();
        [
            book.contacts.len(),
            book.invoices.len(),
            book.credit_notes.len(),
            book.payments.len(),
            book.allocations.len(),
            book.refunds.len(),
        ]
    }

    /// Each of the shop's invoices is in the book exactly once, by the shop's own total.
    pub(super) fn has_each_once(&self, invoices: &[i64], prefix: &str) -> anyhow::Result<()> {
        let book = self.deployed.holds();
        for id in invoices {
            let number = self.deployed.shop.number_of("invoice", *id).context("no such invoice")?;
            let found: Vec<_> = book.invoices.iter().filter(|it| it.number == format!("{prefix}{number}")).collect();
            ensure!(found.len() == 1, "invoice {number}: {found:?} of {:?}", book.invoices);
        }
        ensure!(book.invoices.len() == invoices.len(), "{} invoices in the book", book.invoices.len());
        Ok(())
    }
}
