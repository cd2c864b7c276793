//! Sign-in as an app and a person meet it: over HTTP, with time that stands still until it is moved.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use serde_json::{Value, json};

use super::{AppSpec, Authority, Expiry, Organisation, UserSpec, Whose};
use crate::accounting::{AccountingBook, AccountingOptions};
use crate::book::{Book, BookFault, BookOptions, FaultSpec};
use crate::browser::{Ended, Location, Person, follows, visits};
use crate::clock::Clock;
use crate::sage::{SageBook, SageOptions};
use crate::server::{percent_decoded, percent_encoded};
use crate::testing::{Got, call};

const NOW: i64 = 1_795_167_000;
const CALLBACK: &str = "http://localhost:8400/oauth/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The challenge of the verifier (RFC 7636, appendix B).
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const XERO_SCOPES: &str =
    "offline_access accounting.invoices accounting.payments accounting.contacts accounting.settings.read";
const AUTHORITIES: [Authority; 4] = [Authority::Accounting, Authority::V2, Authority::Sage, Authority::Freeagent];

/// Any of the books.
enum Any {
    V2(Book),
    Accounting(AccountingBook),
    Sage(SageBook),
}

macro_rules! each {
    ($any:expr, $book:ident => $does:expr) => {
        match $any {
            Any::V2($book) => $does,
            Any::Accounting($book) => $does,
            Any::Sage($book) => $does,
        }
    };
}

struct World {
    authority: Authority,
    book: Any,
    app: AppSpec,
    url: String,
}

impl World {
    async fn of(authority: Authority) -> Self {
        let clock = Clock::standing_at(NOW);
        let book = match authority {
            Authority::Accounting => Any::Accounting(
                AccountingBook::start(AccountingOptions { clock, ..AccountingOptions::default() }).await.unwrap(),
            ),
            Authority::Sage => {
                Any::Sage(SageBook::start(SageOptions { clock, ..SageOptions::default() }).await.unwrap())
            }
            Authority::V2 => Any::V2(Book::start(BookOptions { clock, ..BookOptions::default() }).await.unwrap()),
            Authority::Freeagent => {
                Any::V2(Book::start(BookOptions { clock, ..BookOptions::freeagent() }).await.unwrap())
            }
        };
        let app = AppSpec::confidential("the-app", "its-secret", CALLBACK);
        each!(&book, book => book.registers_app(app.clone()).unwrap());
        let url = each!(&book, book => book.url());
        Self { authority, book, app, url }
    }

    fn advance(&self, seconds: i64) {
        each!(&self.book, book => book.clock().advance(seconds));
    }

    fn expires(&self, expiry: &Expiry) {
        each!(&self.book, book => book.expires(expiry));
    }

    fn faults(&self, fault: FaultSpec) {
        each!(&self.book, book => book.faults(fault));
    }

    /// The parameters a good app sends.
    fn good(&self) -> Vec<(&'static str, String)> {
        let mut good = vec![
            ("client_id", self.app.client_id.clone()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("response_type", "code".to_owned()),
            ("state", "a b&c=ü".to_owned()),
        ];
        match self.authority {
            Authority::Accounting | Authority::V2 => good.push(("scope", XERO_SCOPES.to_owned())),
            Authority::Sage => {
                good.extend([("scope", "full_access".to_owned()), ("filter", "apiv3.1".to_owned())]);
            }
            Authority::Freeagent => {}
        }
        if self.authority != Authority::Freeagent {
            good.extend([("code_challenge", CHALLENGE.to_owned()), ("code_challenge_method", "S256".to_owned())]);
        }
        good
    }

    fn authorize_url(&self, change: &[(&str, &str)]) -> String {
        let mut all = self.good();
        for (name, value) in change {
            all.retain(|(known, _)| known != name);
            if !value.is_empty() {
                let known = [
                    "client_id",
                    "redirect_uri",
                    "response_type",
                    "state",
                    "scope",
                    "filter",
                    "country",
                    "code_challenge",
                    "code_challenge_method",
                ];
                all.push((known.into_iter().find(|known| known == name).unwrap(), (*value).to_owned()));
            }
        }
        let query: Vec<String> = all.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        format!("{}{}?{}", self.url, self.authority.authorize_path(), query.join("&"))
    }

    async fn walks(&self, change: &[(&str, &str)], person: &Person) -> Location {
        visits(&self.authorize_url(change), person).await.unwrap().location().unwrap()
    }

    async fn code(&self) -> String {
        self.walks(&[], &Person::bookkeeper()).await.parameter("code").unwrap()
    }

    /// Posts a form in the way of this provider's apps; `secret` none means as a public app.
    async fn posts_as(
        &self,
        path: &str,
        client_id: &str,
        secret: Option<&str>,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Got> {
        let mut fields: Vec<(&str, &str)> = fields.to_vec();
        let mut headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        match (self.authority, secret) {
            (Authority::Sage, Some(secret)) => {
                fields.extend([("client_id", client_id), ("client_secret", secret)]);
            }
            (_, Some(secret)) => {
                let pair = STANDARD.encode(format!("{client_id}:{secret}"));
                headers.push(("authorization".to_owned(), format!("Basic {pair}")));
            }
            (_, None) => fields.push(("client_id", client_id)),
        }
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        call("POST", &format!("{}{path}", self.url), &headers, &body.join("&")).await
    }

    async fn asks_for_token(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let got = self.posts_as(self.authority.token_path(), "the-app", Some("its-secret"), fields).await.unwrap();
        (got.status, serde_json::from_str(&got.body).unwrap_or(Value::String(got.body)))
    }

    async fn exchanges(&self, code: &str) -> (u16, Value) {
        self.asks_for_token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    async fn refreshes(&self, token: &str) -> (u16, Value) {
        self.asks_for_token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Signs in and returns access and refresh token.
    async fn signs_in(&self) -> (String, String) {
        let (status, body) = self.exchanges(&self.code().await).await;
        assert_eq!(status, 200, "{body}");
        pair(&body)
    }

    /// Asks the API for something everybody may see, of the book's own organisation.
    async fn sees(&self, access: &str) -> Got {
        self.gets(access, None).await
    }

    async fn gets(&self, access: &str, organisation: Option<&str>) -> Got {
        let path = match self.authority {
            Authority::Accounting => "/api.xro/2.0/Organisation",
            Authority::Sage => "/v3.1/contacts",
            Authority::V2 | Authority::Freeagent => "/v2/company",
        };
        let own = match self.authority {
            Authority::Accounting => AccountingOptions::TENANT,
            Authority::V2 | Authority::Sage | Authority::Freeagent => SageOptions::BUSINESS,
        };
        let organisation = organisation.unwrap_or(own);
        let headers = [
            ("authorization", format!("Bearer {access}").as_str()),
            ("accept", "application/json"),
            ("user-agent", "test"),
            ("xero-tenant-id", organisation),
            ("x-business", organisation),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        call("GET", &format!("{}{path}", self.url), &headers, "").await.unwrap()
    }
}

fn pair(body: &Value) -> (String, String) {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[test]
fn the_challenge_is_that_of_the_verifier() {
    assert_eq!(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes())), CHALLENGE);
}

#[tokio::test]
async fn a_person_lets_an_app_in() {
    for authority in AUTHORITIES {
        let world = World::of(authority).await;
        let sent = world.walks(&[], &Person::bookkeeper()).await;
        assert!(sent.url().starts_with(&format!("{CALLBACK}?code=")), "{authority:?} {}", sent.url());
        assert_eq!(sent.parameter("state").as_deref(), Some("a b&c=ü"), "{authority:?}");
        let country = (authority == Authority::Sage).then_some("GB");
        assert_eq!(sent.parameter("country").as_deref(), country);
        let code = sent.parameter("code").unwrap();
        assert_eq!(code.starts_with("GB/"), authority == Authority::Sage);
        let (status, body) = world.exchanges(&code).await;
        assert_eq!(status, 200, "{authority:?} {body}");
        let (lives, refresh_lives) = match authority {
            Authority::Accounting | Authority::V2 => (1_800, None),
            Authority::Sage => (300, Some(2_678_400)),
            Authority::Freeagent => (3_600, Some(631_151_957)),
        };
        assert_eq!(body["expires_in"], lives, "{authority:?}");
        assert_eq!(body.get("refresh_token_expires_in").and_then(Value::as_i64), refresh_lives, "{authority:?}");
        let (access, _) = pair(&body);
        if authority.is_xero() {
            let claims = claims(&access);
            assert!(claims["xero_userid"].is_string() && claims["authentication_event_id"].is_string(), "{claims}");
            assert_eq!(claims["exp"], NOW + 1_800);
            assert!(claims["scope"].as_array().unwrap().contains(&json!("accounting.invoices")));
        }
        if authority == Authority::Sage {
            assert!(body["requested_by_id"].is_string() && access.len() <= 2_048);
        }
        assert_eq!(world.sees(&access).await.status, 200, "{authority:?}");
        world.advance(lives - 1);
        assert_eq!(world.sees(&access).await.status, 200, "{authority:?}: to its last second");
        world.advance(1);
        let late = world.sees(&access).await;
        assert_eq!(late.status, 401, "{authority:?}");
        assert_eq!(late.body.contains("TokenExpired"), authority == Authority::Accounting, "{}", late.body);
        assert_eq!(world.sees("book-token").await.status, 200, "{authority:?}: what the control API gave stays good");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_app_is_told_where_it_belongs() {
    let (page, redirect) = (true, false);
    let challenge = "x".repeat(42);
    for (authority, name, value, told, error) in [
        (Authority::Accounting, "client_id", "another", page, "unauthorized_client"),
        (Authority::Accounting, "redirect_uri", "http://localhost:8400/oauth/callback/", page, "invalid_request"),
        (Authority::Accounting, "redirect_uri", "", page, "invalid_request"),
        (Authority::Accounting, "response_type", "token", redirect, "unsupported_response_type"),
        (Authority::Accounting, "scope", "accounting.invoices accounting.everything", redirect, "invalid_scope"),
        (Authority::Accounting, "scope", "offline_access accounting.transactions", redirect, "invalid_scope"),
        (Authority::Accounting, "scope", "", redirect, "invalid_scope"),
        (Authority::Accounting, "code_challenge_method", "plain", redirect, "invalid_request"),
        (Authority::Accounting, "code_challenge", challenge.as_str(), redirect, "invalid_request"),
        (Authority::V2, "scope", "accounting.everything", redirect, "invalid_scope"),
        (Authority::Sage, "scope", "full_access readonly", redirect, "invalid_scope"),
        (Authority::Sage, "scope", "", redirect, "invalid_scope"),
        (Authority::Sage, "filter", "", redirect, "invalid_request"),
        (Authority::Sage, "redirect_uri", "https://elsewhere.example/", page, "invalid_request"),
        (Authority::Freeagent, "client_id", "", page, "unauthorized_client"),
        (Authority::Freeagent, "redirect_uri", "https://elsewhere.example/", page, "invalid_request"),
        (Authority::Freeagent, "response_type", "", redirect, "unsupported_response_type"),
    ] {
        let world = World::of(authority).await;
        match visits(&world.authorize_url(&[(name, value)]), &Person::bookkeeper()).await.unwrap() {
            Ended::Stuck { status, page } => {
                assert!(told && status == 400 && page.contains(error), "{authority:?} {name}={value}: {page}");
            }
            Ended::SentTo(location) => {
                assert!(!told, "{authority:?} {name}={value}: {}", location.url());
                assert_eq!(location.parameter("error").as_deref(), Some(error), "{authority:?} {name}={value}");
                assert_eq!(location.parameter("state").as_deref(), Some("a b&c=ü"));
                assert_eq!(location.parameter("code"), None);
            }
        }
    }
    let world = World::of(Authority::Accounting).await;
    let Any::Accounting(book) = &world.book else { panic!("an accounting book") };
    book.sets_identity(|switches| switches.scope_errors_on_page = true);
    let ended = visits(&world.authorize_url(&[("scope", "all")]), &Person::bookkeeper()).await.unwrap();
    assert!(matches!(ended, Ended::Stuck { status: 400, page } if page.contains("invalid_scope")));
}

#[tokio::test]
async fn a_person_may_fail_or_say_no() {
    for authority in AUTHORITIES {
        let world = World::of(authority).await;
        let denied = world.walks(&[], &Person::bookkeeper().denying()).await;
        assert_eq!(denied.parameter("error").as_deref(), Some("access_denied"), "{authority:?}");
        assert_eq!((denied.parameter("code"), denied.parameter("state").as_deref()), (None, Some("a b&c=ü")));
        for stranger in [Person::new("bookkeeper@example.com", "wrong"), Person::new("nobody@example.com", "let-me-in")]
        {
            let ended = visits(&world.authorize_url(&[]), &stranger).await.unwrap();
            assert!(matches!(ended, Ended::Stuck { status: 401, .. }), "{authority:?}");
        }
        let elsewhere = Person::bookkeeper().choosing("Nobody's Ltd");
        let ended = visits(&world.authorize_url(&[]), &elsewhere).await.unwrap();
        assert_eq!(matches!(ended, Ended::Stuck { .. }), authority != Authority::Sage, "{authority:?}: {ended:?}");
    }
    let world = World::of(Authority::Sage).await;
    let ended = visits(&world.authorize_url(&[("country", "ie")]), &Person::bookkeeper()).await.unwrap();
    assert!(matches!(ended, Ended::Stuck { status: 401, .. }), "{ended:?}");
    assert!(world.walks(&[("country", "gb")], &Person::bookkeeper()).await.parameter("code").is_some());
}

#[tokio::test]
async fn forms_are_looked_at_closely() {
    let world = World::of(Authority::Accounting).await;
    let page = call("GET", &world.authorize_url(&[]), &[], "").await.unwrap();
    assert!(page.status == 200 && page.head.contains("x-frame-options: deny"), "{}", page.head);
    assert!(page.body.contains("<form method=\"post\" action=\"/identity/connect/authorize\">"), "{}", page.body);
    let transaction = page.body.split("name=\"transaction\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let url = format!("{}/identity/connect/authorize", world.url);
    let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let login = "email=bookkeeper%40example.com&password=let-me-in";
    let tenant = AccountingOptions::TENANT;
    for (body, status) in [
        (format!("transaction=other&step=login&{login}"), 400),
        (format!("transaction={transaction}&step=consent&decision=allow&organisation={tenant}"), 401),
        (format!("transaction={transaction}&step=login&{login}"), 200),
        (format!("transaction={transaction}&step=consent&decision=allow"), 400),
        (format!("transaction={transaction}&step=consent&decision=allow&organisation=other"), 400),
        (format!("transaction={transaction}&step=consent&organisation={tenant}"), 400),
        (format!("transaction={transaction}&step=consent&decision=allow&organisation={tenant}"), 302),
        (format!("transaction={transaction}&step=consent&decision=allow&organisation={tenant}"), 400),
    ] {
        assert_eq!(call("POST", &url, &form, &body).await.unwrap().status, status, "{body}");
    }
}

#[tokio::test]
async fn codes_are_good_once_and_not_for_long() {
    for authority in AUTHORITIES {
        let lives = authority.code_seconds();
        let world = World::of(authority).await;
        let code = world.code().await;
        world.advance(lives - 1);
        assert_eq!(world.exchanges(&code).await.0, 200, "{authority:?}");
        let again = world.exchanges(&code).await;
        assert_eq!(again, (400, json!({"error": "invalid_grant"})), "{authority:?}");
        let code = world.code().await;
        world.advance(lives);
        assert_eq!(world.exchanges(&code).await, (400, json!({"error": "invalid_grant"})), "{authority:?}");
        let code = world.code().await;
        world.expires(&Expiry { codes: true, ..Expiry::default() });
        assert_eq!(world.exchanges(&code).await.0, 400, "{authority:?}");
        for (name, value, error) in [
            ("redirect_uri", "http://localhost:8400/", "invalid_grant"),
            ("code", "other", "invalid_grant"),
            ("code", "", "invalid_request"),
            ("grant_type", "password", "unsupported_grant_type"),
            ("grant_type", "", "invalid_request"),
            ("code_verifier", "x", "invalid_grant"),
            ("code_verifier", "", "invalid_grant"),
        ] {
            if name == "code_verifier" && authority == Authority::Freeagent {
                continue;
            }
            let code = world.code().await;
            let mut fields = vec![
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", CALLBACK),
                ("code_verifier", VERIFIER),
            ];
            fields.retain(|(known, _)| *known != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
            let got = world.asks_for_token(&fields).await;
            assert_eq!(got, (400, json!({"error": error})), "{authority:?} {name}={value}");
        }
    }
}

#[tokio::test]
async fn apps_show_who_they_are_in_the_providers_way() {
    let basic = |pair: &str| vec![("authorization".to_owned(), format!("Basic {}", STANDARD.encode(pair)))];
    let (right, wrong) = ("the-app:its-secret", "the-app:another");
    let in_body = "&client_id=the-app&client_secret=its-secret";
    for (authority, headers, more, status) in [
        (Authority::Accounting, basic(right), "", 200),
        (Authority::Accounting, basic(wrong), "", 400),
        (Authority::Accounting, vec![], in_body, 400),
        (Authority::Accounting, vec![], "&client_id=the-app", 400),
        (Authority::V2, basic(right), "", 200),
        (Authority::V2, vec![], in_body, 400),
        (Authority::Sage, vec![], in_body, 200),
        (Authority::Sage, basic(right), "", 401),
        (Authority::Sage, vec![], "&client_id=the-app&client_secret=another", 401),
        (Authority::Freeagent, basic(right), "", 200),
        (Authority::Freeagent, basic(wrong), "", 401),
        (Authority::Freeagent, vec![], in_body, 401),
    ] {
        let world = World::of(authority).await;
        let (_, refresh) = world.signs_in().await;
        let mut headers = headers.clone();
        headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        let body = format!("grant_type=refresh_token&refresh_token={refresh}{more}");
        let url = format!("{}{}", world.url, authority.token_path());
        let got = call("POST", &url, &headers, &body).await.unwrap();
        assert_eq!(got.status, status, "{authority:?} {headers:?} {more}: {}", got.body);
        assert!(status == 200 || got.body.contains("invalid_client"), "{}", got.body);
        let as_json = [("content-type".to_owned(), "application/json".to_owned())];
        assert_eq!(call("POST", &url, &as_json, "{}").await.unwrap().status, 400);
    }
}

#[tokio::test]
async fn an_app_without_a_secret_has_to_prove_itself() {
    for authority in [Authority::Accounting, Authority::V2] {
        let world = World::of(authority).await;
        each!(&world.book, book => book.registers_app(AppSpec::public("the-app", CALLBACK)).unwrap());
        let location =
            world.walks(&[("code_challenge", ""), ("code_challenge_method", "")], &Person::bookkeeper()).await;
        assert_eq!(location.parameter("error").as_deref(), Some("invalid_request"));
        let code = world.code().await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let secret = world.posts_as(authority.token_path(), "the-app", Some("its-secret"), &fields).await.unwrap();
        assert_eq!(secret.status, 400, "{}", secret.body);
        let got = world.posts_as(authority.token_path(), "the-app", None, &fields).await.unwrap();
        assert_eq!(got.status, 200, "{}", got.body);
        let (_, refresh) = pair(&serde_json::from_str(&got.body).unwrap());
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        assert_eq!(world.posts_as(authority.token_path(), "the-app", None, &fields).await.unwrap().status, 200);
    }
    for authority in [Authority::Sage, Authority::Freeagent] {
        let world = World::of(authority).await;
        each!(&world.book, book => assert!(book.registers_app(AppSpec::public("x", CALLBACK)).is_err()));
    }
}

#[tokio::test]
async fn refresh_tokens_live_as_their_provider_says() {
    // How long after its use the old token is still good, and how long a token lives at all.
    for (authority, rotates, grace, lives) in [
        (Authority::Accounting, true, 1_800, 60 * 86_400),
        (Authority::V2, true, 1_800, 60 * 86_400),
        (Authority::Sage, true, 0, 2_678_400),
        (Authority::Freeagent, false, i64::MAX, 631_151_957),
    ] {
        let world = World::of(authority).await;
        let (_, first) = world.signs_in().await;
        let (status, body) = world.refreshes(&first).await;
        let (access, second) = pair(&body);
        assert_eq!((status, second != first), (200, rotates), "{authority:?}");
        assert_eq!(world.sees(&access).await.status, 200);
        if grace > 0 {
            world.advance(grace.min(1_799));
            assert_eq!(world.refreshes(&first).await.0, 200, "{authority:?}: the reply was lost");
        }
        if rotates {
            world.advance(i64::from(grace > 0));
            assert_eq!(world.refreshes(&first).await, (400, json!({"error": "invalid_grant"})), "{authority:?}");
        }
        let (_, current) = pair(&world.refreshes(&second).await.1);
        world.advance(lives - 2_000);
        let (status, body) = world.refreshes(&current).await;
        assert_eq!(status, 200, "{authority:?}: {body}");
        let (_, last) = pair(&body);
        world.advance(lives);
        assert_eq!(world.refreshes(&last).await.0, 400, "{authority:?}");
        let (_, early) = world.signs_in().await;
        world.expires(&Expiry { refresh: true, ..Expiry::default() });
        assert_eq!(world.refreshes(&early).await.0, 400, "{authority:?}");
        let counted = each!(&world.book, book => book.refreshes());
        assert_eq!(counted.asked, counted.granted + counted.refused, "{counted:?}");
    }
}

#[tokio::test]
async fn xero_gives_a_refresh_token_only_to_who_asks() {
    let world = World::of(Authority::Accounting).await;
    let location = world.walks(&[("scope", "openid accounting.invoices")], &Person::bookkeeper()).await;
    let (_, body) = world.exchanges(&location.parameter("code").unwrap()).await;
    assert!(body.get("refresh_token").is_none(), "{body}");
    assert_eq!(claims(body["id_token"].as_str().unwrap())["exp"], NOW + 300);
    let access = pair(&body).0;
    assert_eq!(world.sees(&access).await.status, 401, "the settings aren't among the scopes");
    assert!(world.sees(&access).await.head.contains("insufficient_scope"));
    let Any::Accounting(book) = &world.book else { panic!("an accounting book") };
    book.registers_app(AppSpec { broad_scopes: true, ..world.app.clone() }).unwrap();
    let location = world.walks(&[("scope", "accounting.transactions")], &Person::bookkeeper()).await;
    assert!(location.parameter("code").is_some());
}

#[tokio::test]
async fn freeagent_limits_refreshes_and_may_rotate() {
    let world = World::of(Authority::Freeagent).await;
    let (_, refresh) = world.signs_in().await;
    for _ in 0..15 {
        assert_eq!(world.refreshes(&refresh).await.0, 200);
    }
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let got = world.posts_as("/v2/token_endpoint", "the-app", Some("its-secret"), &fields).await.unwrap();
    assert_eq!((got.status, got.body.as_str()), (429, "You must not exceed 15 requests per 60 seconds"));
    assert!(got.head.contains("retry-after: 60"), "{}", got.head);
    world.advance(60);
    let Any::V2(book) = &world.book else { panic!("a book") };
    book.sets_identity(|switches| switches.freeagent_rotates = true);
    let (_, next) = pair(&world.refreshes(&refresh).await.1);
    assert_ne!(next, refresh);
    assert_eq!(world.refreshes(&refresh).await.0, 400);
    assert_eq!(world.refreshes(&next).await.0, 200);
}

#[tokio::test]
async fn what_was_granted_can_be_taken_back() {
    // What an access token is worth afterwards.
    for (authority, by_app, by_person) in [
        (Authority::Accounting, Some(403), 403),
        (Authority::V2, Some(401), 401),
        (Authority::Sage, Some(200), 200),
        (Authority::Freeagent, None, 401),
    ] {
        let world = World::of(authority).await;
        if let Some(status) = by_app {
            let (access, refresh) = world.signs_in().await;
            let (other, _) = world.signs_in().await;
            let path = authority.revocation_path().unwrap();
            let stranger = world.posts_as(path, "the-app", Some("another"), &[("token", &refresh)]).await.unwrap();
            assert!(stranger.body.contains("invalid_client"), "{authority:?} {}", stranger.body);
            let got = world.posts_as(path, "the-app", Some("its-secret"), &[("token", &refresh)]).await.unwrap();
            let said = if authority == Authority::Sage { r#"{"success":"ok"}"# } else { "" };
            assert_eq!((got.status, got.body.as_str()), (200, said), "{authority:?}");
            assert_eq!(world.refreshes(&refresh).await.0, 400, "{authority:?}");
            assert_eq!(world.sees(&access).await.status, status, "{authority:?}");
            assert_eq!(world.sees(&other).await.status, status, "{authority:?}: all of the person's");
            let unknown = world.posts_as(path, "the-app", Some("its-secret"), &[("token", "x")]).await.unwrap();
            assert_eq!(unknown.status, 200, "{authority:?}");
        } else {
            let got = world.posts_as("/revoke", "the-app", Some("its-secret"), &[("token", "x")]).await.unwrap();
            assert_eq!(got.status, 404, "{authority:?}");
        }
        let (access, refresh) = world.signs_in().await;
        assert_eq!(world.sees(&access).await.status, 200, "{authority:?}: connected again");
        let stranger = Whose { email: Some("nobody@example.com".to_owned()), ..Whose::default() };
        each!(&world.book, book => assert_eq!(book.revokes_grants(&stranger), 0));
        each!(&world.book, book => assert!(book.revokes_grants(&Whose::default()) >= 1));
        assert_eq!(world.sees(&access).await.status, by_person, "{authority:?}");
        assert_eq!(world.refreshes(&refresh).await.0, 400, "{authority:?}");
    }
}

#[tokio::test]
async fn xero_connects_what_was_chosen() {
    let world = World::of(Authority::Accounting).await;
    let other = AccountingOptions::OTHER_ORGANISATION;
    let sign_in = async |person: Person| {
        let code = world.walks(&[], &person).await.parameter("code").unwrap();
        pair(&world.exchanges(&code).await.1).0
    };
    let connections = async |access: &str, query: &str| {
        let headers = [("authorization".to_owned(), format!("Bearer {access}"))];
        let got = call("GET", &format!("{}/connections{query}", world.url), &headers, "").await.unwrap();
        serde_json::from_str::<Value>(&got.body).unwrap()
    };
    let first = sign_in(Person::bookkeeper().choosing(AccountingOptions::TENANT)).await;
    let list = connections(&first, "").await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["tenantId"], &list[0]["tenantName"]),
        (&json!(AccountingOptions::TENANT), &json!("Example Trading Ltd"))
    );
    assert_eq!(list[0]["authEventId"], claims(&first)["authentication_event_id"]);
    assert_ne!(list[0]["id"], list[0]["tenantId"]);
    assert_eq!(world.gets(&first, Some(AccountingOptions::OTHER_TENANT)).await.status, 403);
    let second = sign_in(Person::bookkeeper().choosing(other)).await;
    assert_eq!(connections(&second, "").await.as_array().unwrap().len(), 2, "one more for the same person");
    let event = claims(&second)["authentication_event_id"].as_str().unwrap().to_owned();
    let of_event = connections(&second, &format!("?authEventId={event}")).await;
    assert_eq!((of_event.as_array().unwrap().len(), &of_event[0]["tenantName"]), (1, &json!(other)));
    let there = world.gets(&first, Some(AccountingOptions::OTHER_TENANT)).await;
    assert!(there.status == 200 && there.body.contains(other) && !there.body.contains("Example"), "{}", there.body);
    let headers = [("authorization".to_owned(), format!("Bearer {first}"))];
    let id = of_event[0]["id"].as_str().unwrap();
    let url = format!("{}/connections/{id}", world.url);
    assert_eq!(call("DELETE", &url, &headers, "").await.unwrap().status, 204);
    assert_eq!(call("DELETE", &url, &headers, "").await.unwrap().status, 404);
    assert_eq!(world.gets(&first, Some(AccountingOptions::OTHER_TENANT)).await.status, 403);
    assert_eq!(world.sees(&first).await.status, 200);
    let both = sign_in(Person::bookkeeper().choosing(other).choosing(AccountingOptions::TENANT)).await;
    assert_eq!(connections(&both, "").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn sage_grants_all_businesses_and_no_others() {
    let world = World::of(Authority::Sage).await;
    let (access, _) = world.signs_in().await;
    let headers = [("authorization".to_owned(), format!("Bearer {access}"))];
    let got = call("GET", &format!("{}/v3.1/businesses", world.url), &headers, "").await.unwrap();
    assert!(got.body.contains(SageOptions::BUSINESS) && got.body.contains(SageOptions::OTHER_NAME), "{}", got.body);
    let silent = call("GET", &format!("{}/v3.1/contacts", world.url), &headers, "").await.unwrap();
    assert!(silent.head.contains(&format!("x-business: {}", SageOptions::BUSINESS)), "{}", silent.head);
    assert_eq!(world.gets(&access, Some(SageOptions::OTHER_BUSINESS)).await.status, 200);
    assert_eq!(world.gets(&access, Some("5a6eb0515e5500000000000000000003")).await.status, 403);
    let Any::Sage(book) = &world.book else { panic!("a Sage book") };
    let elsewhere = Organisation::new("5a6eb0515e5500000000000000000009", "Elsewhere Ltd");
    book.registers_user(UserSpec::new("other@example.com").reaching(&[elsewhere]));
    let location = world.walks(&[("scope", "readonly")], &Person::new("other@example.com", "let-me-in")).await;
    let (_, body) = world.exchanges(&location.parameter("code").unwrap()).await;
    let (access, _) = pair(&body);
    assert_eq!(world.sees(&access).await.status, 403, "another person's business");
    let headers = [("authorization".to_owned(), format!("Bearer {access}"))];
    let got = call("POST", &format!("{}/v3.1/contacts", world.url), &headers, "{}").await.unwrap();
    assert_eq!(got.status, 403, "who may only read");
}

#[tokio::test]
async fn one_grant_is_one_company() {
    for authority in [Authority::V2, Authority::Freeagent] {
        let world = World::of(authority).await;
        let Any::V2(book) = &world.book else { panic!("a book") };
        let companies = [Organisation::new("1", "Example Trading Ltd"), Organisation::new("2", "Another Trading Ltd")];
        book.registers_user(UserSpec::new("two@example.com").reaching(&companies).of_level(4));
        let person = Person::new("two@example.com", "let-me-in");
        for (choice, id, name) in [("1", 1, "Example Trading Ltd"), ("Another Trading Ltd", 2, "Another Trading Ltd")] {
            let location = world.walks(&[], &person.clone().choosing(choice)).await;
            let (_, body) = world.exchanges(&location.parameter("code").unwrap()).await;
            let (access, _) = pair(&body);
            let company: Value = serde_json::from_str(&world.sees(&access).await.body).unwrap();
            assert_eq!((&company["company"]["id"], &company["company"]["name"]), (&json!(id), &json!(name)));
            let headers = [("authorization", format!("Bearer {access}").as_str()), ("user-agent", "test")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            let get = async |path: &str| call("GET", &format!("{}{path}", world.url), &headers, "").await.unwrap();
            let me: Value = serde_json::from_str(&get("/v2/users/me").await.body).unwrap();
            assert_eq!((&me["user"]["permission_level"], &me["user"]["email"]), (&json!(4), &json!("two@example.com")));
            assert_eq!(get("/v2/invoices").await.status, 200);
            assert_eq!(get("/v2/bank_accounts").await.status, 403, "banking needs 6");
        }
        let both = person.choosing("1").choosing("2");
        let ended = visits(&world.authorize_url(&[]), &both).await.unwrap();
        assert!(matches!(ended, Ended::Stuck { status: 400, .. }), "{ended:?}");
        let connections = call("GET", &format!("{}/connections", world.url), &[], "").await.unwrap();
        assert_eq!(connections.status, 404);
    }
}

#[tokio::test]
async fn the_way_to_the_token_endpoint_may_break() {
    for authority in AUTHORITIES {
        let world = World::of(authority).await;
        let path = authority.token_path();
        let (_, token) = world.signs_in().await;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let ask = async || world.posts_as(path, "the-app", Some("its-secret"), &fields).await;
        let asked = || each!(&world.book, book => book.refreshes().asked);
        world.faults(FaultSpec::on("POST", path, 1, BookFault::HangUp { apply: false }));
        assert!(ask().await.is_err() && asked() == 0, "{authority:?}: dropped on the way there");
        world.faults(FaultSpec::on("POST", path, 1, BookFault::page(503, false)));
        assert_eq!(ask().await.unwrap().status, 503);
        world.faults(FaultSpec::on("POST", path, 1, BookFault::invalid_grant()));
        let got = ask().await.unwrap();
        assert_eq!((got.status, got.body.as_str()), (400, r#"{"error":"invalid_grant"}"#));
        assert_eq!(asked(), 0, "{authority:?}: none of these arrived");
        world.faults(FaultSpec::on("POST", path, 1, BookFault::HangUp { apply: true }));
        assert!(ask().await.is_err() && asked() == 1, "{authority:?}: the reply is lost");
        let survives = authority != Authority::Sage;
        assert_eq!(ask().await.unwrap().status == 200, survives, "{authority:?}");
        let writes = each!(&world.book, book => book.log().iter().filter(|entry| entry.is_write).count());
        assert_eq!(writes, 0, "{authority:?}: nothing of it is a write to the book");
    }
}

#[tokio::test]
async fn the_control_api_sets_all_of_it_up() {
    let world = World::of(Authority::Accounting).await;
    let control = async |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let got = call(method, &format!("{}/_control/{path}", world.url), &[], &body).await.unwrap();
        (got.status, serde_json::from_str::<Value>(&got.body).unwrap())
    };
    let ok = (200, json!({"ok": true}));
    let app = json!({"client_id": "cli", "secret": "s1", "second_secret": "s2", "redirect_uris": [CALLBACK]});
    assert_eq!(control("POST", "identity/apps", app).await, ok);
    let bad = json!({"client_id": "cli", "secret": "s", "redirect_uris": ["ftp://x"]});
    assert_eq!(control("POST", "identity/apps", bad).await.0, 422);
    let switch = json!({"loopback_address_refused": true});
    assert_eq!(control("POST", "identity/switches", switch).await.0, 200);
    let loopback = json!({"client_id": "cli2", "redirect_uris": ["http://127.0.0.1:1/"]});
    assert_eq!(control("POST", "identity/apps", loopback).await.0, 422);
    let user = json!([{"email": "u@example.com", "organisations": [{"id": AccountingOptions::TENANT, "name": "E"}]}]);
    assert_eq!(control("POST", "identity/users", user).await, ok);
    let person = Person::new("u@example.com", "let-me-in");
    let location = world.walks(&[("client_id", "cli")], &person).await;
    let code = location.parameter("code").unwrap();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let got = world.posts_as("/connect/token", "cli", Some("s2"), &fields).await.unwrap();
    let (access, refresh) = pair(&serde_json::from_str(&got.body).unwrap());
    let (_, shown) = control("GET", "identity", Value::Null).await;
    assert_eq!((&shown["authority"], &shown["token_path"]), (&json!("accounting"), &json!("/connect/token")));
    assert_eq!(
        (&shown["grants"][0]["email"], &shown["connections"][0]["tenant_name"]),
        (&json!("u@example.com"), &json!("E"))
    );
    for secret in ["s1", "s2", &access, &refresh, "let-me-in", &code] {
        assert!(!shown.to_string().contains(&format!("\"{secret}\"")), "{secret} is shown");
    }
    assert_eq!(control("POST", "identity/expire", json!({"access": true, "email": "u@example.com"})).await, ok);
    assert_eq!(world.sees(&access).await.status, 401);
    assert_eq!(control("GET", "identity/refreshes", Value::Null).await.1["asked"], 0);
    assert_eq!(control("POST", "identity/revoke", json!({"client_id": "cli"})).await, (200, json!({"revoked": 1})));
    assert_eq!(control("POST", "reset", Value::Null).await.0, 200);
    assert_eq!(control("GET", "identity", Value::Null).await.1["apps"], json!([]));
}

#[test]
fn a_redirect_keeps_the_apps_own_query() {
    let location = Location::test("https://a.example/cb?x=1&code=GB%2Fabc&state=a+b");
    assert_eq!(location.parameter("code").as_deref(), Some("GB/abc"));
    assert_eq!(location.parameter("state").as_deref(), Some("a b"));
    assert_eq!((location.parameter("cod"), percent_decoded("%2F")), (None, "/".to_owned()));
}

#[tokio::test]
async fn the_browser_shows_the_page_of_a_redirect() {
    let world = World::of(Authority::Sage).await;
    let page = follows(&Location::test(&world.authorize_url(&[]))).await.unwrap();
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<form "), "{}", page.text);
    assert!(!page.heading().is_empty() && page.text.contains(&format!("<h1>{}</h1>", page.heading())));
}

#[tokio::test]
async fn a_company_goes_by_its_own_number() {
    let book = Book::start(BookOptions { company_id: 71, ..BookOptions::default() }).await.unwrap();
    let headers = [("Authorization", "Bearer book-token"), ("User-Agent", "tests")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let got = call("GET", &format!("{}/v2/company", book.url()), &headers, "").await;
    let company: Value = serde_json::from_str(&got.unwrap().body).unwrap();
    assert_eq!(company["company"]["id"], 71);
}
