//! Commands against an API in this process: what is asked, what is shown, how it ends.

use super::server::{Fake, Scripted};
use crate::args::Cli;
use crate::commands::done;
use crate::failure::Failure;
use crate::session::Session;
use crate::shown::Shown;
use clap::Parser;
use ledger_aws::SystemClock;
use serde_json::{Value, json};

const TOKEN: &str = "the-operators-token";
const CODE: &str = "ABCD-1234";
const SECRET: &str = "the-client-secret";
const MOMENT: &str = "2026-11-20T09:31:00.000Z";

fn binding(status: &str) -> Value {
    json!({"binding": "b-1", "tenant": "t-1", "provider": "xero", "dialect": "v2", "status": status, "mode": "live", "organisation_name": "Demo Company",
        "environment": "live", "book": "xero:demo",
        "base_url": "https://book.example", "connected_at": MOMENT, "settings_version": 3})
}

fn tenant(status: &str) -> Value {
    json!({"tenant": "t-1", "shop_url": "https://shop.example", "status": status, "created_at": MOMENT, "has_key": true,
        "refused_since": null, "bindings": [binding("active")]})
}

fn run(id: &str, state: &str) -> Value {
    json!({"run": id, "state": state, "tenant": "t-1", "binding": "b-1", "provider": "xero", "book": "xero:demo",
        "event": "invoice.created", "magento_id": 42, "increment_id": "000000042", "website_id": 1, "store_id": 1,
        "idempotency_key": "invoice.created:42", "generation": 1, "attempt": 1, "failures": 0, "code": null, "owner": null,
        "message": null, "remedy": null, "provider_id": null, "provider_reference": null, "total_unverified": false,
        "occurred_at": MOMENT, "received_at": MOMENT, "updated_at": MOMENT, "due_at": null, "held_since": null})
}

fn job(state: &str, done: u64) -> Value {
    json!({"job": "j-1", "kind": "resync", "binding": "b-1", "operator": "o", "state": state, "done": done, "passed": 1,
        "created_at": MOMENT, "updated_at": MOMENT})
}

fn app(callback: &str) -> Value {
    json!({"provider": "xero", "binding": null, "client_id": "c-1", "has_secret": true, "environment": "live",
        "scopes": ["offline_access"], "dialect": null, "callback_url": callback, "updated_at": MOMENT})
}

fn pending(expires_at: &str) -> Value {
    json!({"binding": "b-1", "provider": "xero", "by_link": false, "dialect": "accounting", "organisations": [
        {"id": "o-1", "name": "Demo Company", "present": false}, {"id": "o-2", "name": "Other", "present": false}],
        "scopes": [], "missing_scopes": [], "access_level": null, "expires_at": expires_at})
}

fn disconnection(status: &str) -> Value {
    json!({"binding": binding(status), "at_provider": "revoked", "others_of_user": 0, "removed": ["The grant."],
        "kept": ["Everything that is in the book."], "held_runs": 2, "dead_letters": 3,
        "previews": 4})
}

fn settings_view() -> Value {
    json!({"binding": "b-1", "version": 3, "settings": null, "fields": [], "reference": []})
}

fn xrefs() -> Value {
    json!({"rows": [{"kind": "invoice", "state": "linked", "doubtful": false, "adopted": true, "number": "MAG-1",
        "provider_id": "77", "reference": "INV-7", "total": "12.00", "run": "r-1", "updated_at": MOMENT}]})
}

fn causes(runs: &[Value]) -> Value {
    let causes: Vec<Value> = if runs.is_empty() {
        Vec::new()
    } else {
        vec![
            json!({"code": "crashed", "owner": "ledger", "runs": runs.len(), "oldest": MOMENT, "remedy": "Report it."}),
        ]
    };
    json!({"causes": causes, "runs": runs})
}

fn integration(verdict: &str) -> Value {
    json!({"connected": true, "token_expires_at": null, "last_sync": null, "sync_status": verdict, "pending_syncs": 0,
        "failed_syncs": 1, "errors": [{"type": "invoice_sync", "message": "crashed: it died", "timestamp": MOMENT}]})
}

async fn ran(fake: &Fake, person: &Scripted, words: &str) -> Result<Shown, Failure> {
    let cli = Cli::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{words}: {error}"));
    let url = fake.url.clone();
    let variables = |name: &str| match name {
        "LEDGER_URL" => Some(url.clone()),
        "ALLOW_PRIVATE_ADDRESSES" => Some("true".to_owned()),
        "OPERATOR_TOKEN" => Some(TOKEN.to_owned()),
        _ => None,
    };
    let session = Session { look_ms: 1, ..Session::new(person, &SystemClock, &variables, None, None) };
    let outcome = done(&session, &cli.command).await;
    // No command says a secret that it shows to the stack.
    let said = match &outcome {
        Ok(shown) => format!("{}{}", shown.text, shown.json),
        Err(failure) => format!("{}{}", failure.shown(false), failure.shown(true)),
    };
    for secret in [TOKEN, CODE, SECRET] {
        assert!(!said.contains(secret) && !person.told().contains(secret), "{words}");
    }
    outcome
}

/// A command, what the API answers, what the person answers; what is asked of the API, how it ends, what is said.
struct Case<'a> {
    words: &'a str,
    api: &'a [(&'a str, u16, Value)],
    answers: &'a [&'a str],
    asked: &'a [(&'a str, &'a str)],
    exit: u8,
    says: &'a [&'a str],
}

async fn check(case: &Case<'_>) {
    let fake = Fake::start().await;
    for (route, status, body) in case.api {
        fake.answers(route, *status, body);
    }
    let person = Scripted::answering(case.answers);
    let outcome = ran(&fake, &person, case.words).await;
    let (exit, text) = match outcome {
        Ok(shown) => {
            serde_json::from_str::<Value>(&shown.json).unwrap();
            (shown.exit, shown.text)
        }
        Err(failure) => (failure.exit_code(), failure.shown(false)),
    };
    let words = case.words;
    assert_eq!(exit, case.exit, "{words}: {text}");
    for part in case.says {
        assert!(
            text.contains(part) || person.told().contains(part),
            "{words}: no {part:?} in {text}\n{}",
            person.told()
        );
    }
    let seen = fake.seen();
    let asked: Vec<(&str, &str)> = seen.iter().map(|it| (it.line.as_str(), it.body.as_str())).collect();
    assert_eq!(asked, case.asked, "{words}");
    assert!(seen.iter().all(|it| it.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"))), "{words}");
}

fn refusal(code: &str, message: &str) -> Value {
    json!({"code": code, "message": message, "errors": [{"field": "f", "code": "invalid_format", "message": "no"}]})
}

#[tokio::test]
async fn shops_are_paired_shown_and_disconnected() {
    let paired = json!({"tenant": tenant("connected"), "binding": binding("pending"), "made_tenant": true, "made_key": true,
        "answers": true});
    for case in [
        Case {
            words: "ledger whoami",
            api: &[("GET /v1/me", 200, json!({"subject": "s", "role": "operator", "tenants": ["t-1"]}))],
            answers: &[],
            asked: &[("GET /v1/me", "")],
            exit: 0,
            says: &["operator", "t-1"],
        },
        Case {
            words: "ledger shop connect https://shop.example --provider xero",
            api: &[("POST /v1/magento/connect", 200, paired)],
            answers: &[CODE],
            asked: &[(
                "POST /v1/magento/connect?provider=xero",
                r#"{"magento_base_url":"https://shop.example","pairing_code":"ABCD-1234"}"#,
            )],
            exit: 0,
            says: &["Paired.", "ledger book connect b-1"],
        },
        Case {
            words: "ledger shop connect https://shop.example --provider xero",
            api: &[],
            answers: &[],
            asked: &[],
            exit: 2,
            says: &["no pairing code"],
        },
        Case {
            words: "ledger shop status ../../x",
            api: &[],
            answers: &[],
            asked: &[("GET /v1/tenants/..%2F..%2Fx", "")],
            exit: 3,
            says: &["not_found"],
        },
        Case {
            words: "ledger shop disconnect t-1",
            api: &[
                ("GET /v1/tenants/t-1", 200, tenant("connected")),
                ("GET /v1/bindings/b-1/disconnection", 200, disconnection("active")),
            ],
            answers: &["no"],
            asked: &[("GET /v1/tenants/t-1", ""), ("GET /v1/bindings/b-1/disconnection", "")],
            exit: 2,
            says: &[
                "Everything that is in the book.",
                "Held runs that end as skipped: 2",
                "Dead letters that stay: 3",
                "Previews that stay: 4",
                "Nothing was done.",
            ],
        },
        Case {
            words: "ledger book new t-1 --provider xero",
            api: &[("POST /v1/tenants/t-1/bindings", 200, binding("pending"))],
            answers: &[],
            asked: &[("POST /v1/tenants/t-1/bindings", r#"{"provider":"xero"}"#)],
            exit: 0,
            says: &["pending", "ledger book connect b-1"],
        },
        Case {
            words: "ledger book disconnect b-1 --yes",
            api: &[
                ("GET /v1/bindings/b-1/disconnection", 200, disconnection("active")),
                ("POST /v1/bindings/b-1/disconnection", 200, disconnection("disconnected")),
            ],
            answers: &[],
            asked: &[("GET /v1/bindings/b-1/disconnection", ""), ("POST /v1/bindings/b-1/disconnection", "")],
            exit: 0,
            says: &["Binding b-1 is disconnected."],
        },
    ] {
        check(&case).await;
    }
}

#[tokio::test]
async fn books_are_connected_by_the_name_of_the_organisation() {
    let started =
        json!({"authorize_url": "https://book.example/authorize?state=s", "expires_at": "2999-01-01T00:00:00.000Z"});
    let not_yet = refusal("not_found", "there is no such pending connection");
    let connection = "GET /v1/bindings/b-1/connection";
    let confirm = ("POST /v1/bindings/b-1/connection/confirm", r#"{"organisation":"o-1"}"#);
    let begin = ("POST /v1/bindings/b-1/connection", "");
    let organisation = json!({"lists": [{"list": "organisation", "read_at": MOMENT, "age_seconds": 7_200, "count": 1,
        "cut_off": false, "reading": false, "fault": null}], "entries": [{"list": "organisation", "id": "o-1",
        "name": "Demo Company", "active": true, "rate": null, "currency": "GBP", "group": null, "country": "GB",
        "locked_until": "2026-03-31"}]});
    for case in [
        // An earlier connection is not the one that is waited for; a wrong name is asked for again.
        Case {
            words: "ledger book connect b-1 --no-browser",
            api: &[
                (connection, 200, pending("2026-01-01T00:00:00.000Z")),
                (connection, 404, not_yet.clone()),
                (connection, 200, pending("2026-01-01T00:00:00.000Z")),
                (connection, 200, pending("2027-01-01T00:00:00.000Z")),
                ("POST /v1/bindings/b-1/connection", 200, started.clone()),
                ("POST /v1/bindings/b-1/connection/confirm", 200, binding("active")),
            ],
            answers: &["Demo", "demo company"],
            asked: &[(connection, ""), begin, (connection, ""), (connection, ""), (connection, ""), confirm],
            exit: 0,
            says: &["https://book.example/authorize?state=s", "Demo Company", "active"],
        },
        Case {
            words: "ledger book connect b-1",
            api: &[
                (connection, 404, not_yet.clone()),
                (
                    "POST /v1/bindings/b-1/connection",
                    200,
                    json!({"authorize_url": "file:///etc/passwd", "expires_at": MOMENT}),
                ),
            ],
            answers: &[],
            asked: &[(connection, ""), begin],
            exit: 1,
            says: &["no address of the web"],
        },
        Case {
            words: "ledger book connect b-1",
            api: &[
                (connection, 404, not_yet),
                (
                    "POST /v1/bindings/b-1/connection",
                    200,
                    json!({"authorize_url": "https://book.example/", "expires_at": MOMENT}),
                ),
            ],
            answers: &[],
            asked: &[(connection, ""), begin, (connection, "")],
            exit: 1,
            says: &["timed_out"],
        },
        Case {
            words: "ledger book confirm b-1 o-1",
            api: &[
                (connection, 200, pending(MOMENT)),
                ("POST /v1/bindings/b-1/connection/confirm", 200, binding("active")),
            ],
            answers: &[],
            asked: &[(connection, ""), confirm],
            exit: 0,
            says: &["active"],
        },
        Case {
            words: "ledger book confirm b-1 Nobody",
            api: &[(connection, 200, pending(MOMENT))],
            answers: &[],
            asked: &[(connection, "")],
            exit: 2,
            says: &["No organisation was confirmed."],
        },
        Case {
            words: "ledger book pause b-1",
            api: &[("PUT /v1/bindings/b-1/mode", 200, binding("active"))],
            answers: &[],
            asked: &[("PUT /v1/bindings/b-1/mode", r#"{"mode":"paused"}"#)],
            exit: 0,
            says: &["b-1"],
        },
        Case {
            words: "ledger reference show b-1 --list organisation",
            api: &[("GET /v1/bindings/b-1/reference", 200, organisation)],
            answers: &[],
            asked: &[("GET /v1/bindings/b-1/reference?list=organisation", "")],
            exit: 0,
            says: &["Demo Company", "GBP", "GB", "locked until 2026-03-31", "2 h 00 min"],
        },
        Case {
            words: "ledger book resume b-1",
            api: &[("PUT /v1/bindings/b-1/mode", 409, refusal("mode_is_another", "the binding is preview"))],
            answers: &[],
            asked: &[("PUT /v1/bindings/b-1/mode", r#"{"mode":"live","from":"paused"}"#)],
            exit: 1,
            says: &["mode_is_another: The binding is preview.", "f (invalid_format): no"],
        },
        Case {
            words: "ledger book live b-1",
            api: &[("PUT /v1/bindings/b-1/mode", 200, binding("active"))],
            answers: &[],
            asked: &[("PUT /v1/bindings/b-1/mode", r#"{"mode":"live"}"#)],
            exit: 0,
            says: &["b-1"],
        },
        Case {
            words: "ledger oauth status b-1",
            api: &[(
                "GET /v1/bindings/b-1/grant",
                200,
                json!({"binding": "b-1", "status": "active", "access_until": MOMENT, "refresh_until": null,
                    "refreshed_at": MOMENT, "scopes": ["accounting.invoices"], "can_renew": true,
                    "missing_scopes": ["accounting.payments"], "version": 2}),
            )],
            answers: &[],
            asked: &[("GET /v1/bindings/b-1/grant", "")],
            exit: 0,
            says: &["accounting.invoices", "accounting.payments"],
        },
        Case {
            words: "ledger oauth status b-1 --reveal-token",
            api: &[],
            answers: &[],
            asked: &[],
            exit: 2,
            says: &["local stacks only"],
        },
    ] {
        check(&case).await;
    }
}

#[tokio::test]
async fn secrets_and_settings_come_from_files() {
    let folder = std::env::temp_dir().join(format!("ledger-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let secret = file("secret", &format!("{SECRET}\n"));
    let settings = file("settings.json", r#"{"book_currency":"GBP"}"#);
    let csv = file("states.csv", &format!("entity_type,magento_id\n{}", "invoice,1\n".repeat(501)));
    let (imported, clash) = (
        json!({"taken": 500, "there": 0, "passed": 0, "clashes": []}),
        json!({"taken": 0, "there": 0, "passed": 0, "clashes": [{"line": 2, "code": "entity_xref_reverse_collision"}]}),
    );
    let piece = |lines: usize| {
        let csv = format!("entity_type,magento_id\n{}", "invoice,1\n".repeat(lines));
        json!({"csv": csv, "dry_run": false}).to_string()
    };
    let exported = "GET /v1/bindings/b-1/xrefs";
    let reference = |id: u64| {
        json!({"kind": "invoice", "magento_id": id, "state": "linked", "doubtful": false, "adopted": false,
            "number": null, "provider_id": "i", "reference": null, "total": null, "run": "r-1",
            "updated_at": "2026-11-01T00:00:00Z"})
    };
    for case in [
        Case {
            words: &format!("ledger app set xero --client-id c-1 --secret-file {secret}"),
            api: &[("PUT /v1/apps/xero", 200, app("https://ledger.example/oauth/callback"))],
            answers: &[],
            asked: &[("PUT /v1/apps/xero", r#"{"client_id":"c-1","client_secret":"the-client-secret"}"#)],
            exit: 0,
            says: &["https://ledger.example/oauth/callback"],
        },
        Case {
            words: "ledger app show --binding b-1",
            api: &[("GET /v1/bindings/b-1/app", 200, app("https://ledger.example/oauth/callback"))],
            answers: &[],
            asked: &[("GET /v1/bindings/b-1/app", "")],
            exit: 0,
            says: &["https://ledger.example/oauth/callback"],
        },
        Case {
            words: "ledger app show xero",
            api: &[("GET /v1/apps/xero", 200, app("https://ledger.example/oauth/callback"))],
            answers: &[],
            asked: &[("GET /v1/apps/xero", "")],
            exit: 0,
            says: &["https://ledger.example/oauth/callback"],
        },
        Case {
            words: &format!("ledger settings set b-1 --file {settings}"),
            api: &[
                ("GET /v1/bindings/b-1/settings", 200, settings_view()),
                ("PUT /v1/bindings/b-1/settings", 400, refusal("invalid", "the settings can't be saved")),
            ],
            answers: &[],
            asked: &[
                ("GET /v1/bindings/b-1/settings", ""),
                ("PUT /v1/bindings/b-1/settings", r#"{"version":3,"settings":{"book_currency":"GBP"}}"#),
            ],
            exit: 2,
            says: &["f (invalid_format): no"],
        },
        Case {
            words: &format!("ledger settings validate b-1 --file {settings}"),
            api: &[(
                "POST /v1/bindings/b-1/settings/validate",
                200,
                json!({"valid": false, "errors": [{"field": "time_zone", "code": "required", "message": "is missing"}],
                    "unchecked": ["accounts"], "reference": []}),
            )],
            answers: &[],
            asked: &[("POST /v1/bindings/b-1/settings/validate", r#"{"settings":{"book_currency":"GBP"}}"#)],
            exit: 1,
            says: &["time_zone (required): is missing", "can't be saved", "accounts"],
        },
        Case {
            words: "ledger xref export b-1 --format json",
            api: &[
                (exported, 200, json!({"rows": [reference(1)], "next": "n1"})),
                (exported, 200, json!({"rows": [reference(2)], "next": null})),
            ],
            answers: &[],
            asked: &[
                ("GET /v1/bindings/b-1/xrefs?format=json", ""),
                ("GET /v1/bindings/b-1/xrefs?format=json&after=n1", ""),
            ],
            exit: 0,
            says: &[r#""magento_id":1"#, r#""magento_id":2"#],
        },
        Case {
            words: &format!("ledger xref import b-1 {csv}"),
            api: &[
                ("POST /v1/bindings/b-1/xrefs/import", 200, imported),
                ("POST /v1/bindings/b-1/xrefs/import", 200, clash),
            ],
            answers: &[],
            asked: &[
                ("POST /v1/bindings/b-1/xrefs/import", &piece(500)),
                ("POST /v1/bindings/b-1/xrefs/import", &piece(1)),
            ],
            exit: 1,
            says: &["line 502: entity_xref_reverse_collision"],
        },
    ] {
        check(&case).await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn runs_are_listed_retried_and_given_up() {
    let page = |runs: &[Value], next: Option<&str>| json!({"runs": runs, "next": next});
    let list = "GET /v1/tenants/t-1/runs";
    let settled = json!({"run": run("r-1", "succeeded"), "confirmed": true});
    for case in [
        // A page may be short though there are more.
        Case {
            words: "ledger runs list --tenant t-1 --state held --limit 3",
            api: &[
                (list, 200, page(&[run("r-1", "held")], Some("c1"))),
                (list, 200, page(&[], Some("c2"))),
                (list, 200, page(&[run("r-2", "held"), run("r-3", "held")], Some("c3"))),
            ],
            answers: &[],
            asked: &[
                ("GET /v1/tenants/t-1/runs?state=held&limit=3", ""),
                ("GET /v1/tenants/t-1/runs?state=held&after=c1&limit=2", ""),
                ("GET /v1/tenants/t-1/runs?state=held&after=c2&limit=2", ""),
            ],
            exit: 0,
            says: &["r-1", "r-3", "--after c3"],
        },
        Case { words: "ledger runs list", api: &[], answers: &[], asked: &[], exit: 2, says: &["--tenant"] },
        Case {
            words: "ledger runs retry --tenant t-1",
            api: &[],
            answers: &[],
            asked: &[],
            exit: 2,
            says: &["whole history"],
        },
        Case {
            words: "ledger runs retry --tenant t-1 --code crashed",
            api: &[
                (list, 200, page(&[run("r-1", "dead_lettered"), run("r-2", "dead_lettered")], None)),
                ("POST /v1/runs/r-1/retry", 409, refusal("not_now", "the run is under way")),
                ("POST /v1/runs/r-2/retry", 200, run("r-2", "queued")),
            ],
            answers: &["yes"],
            asked: &[
                ("GET /v1/tenants/t-1/runs?code=crashed&limit=1000", ""),
                ("POST /v1/runs/r-1/retry", ""),
                ("POST /v1/runs/r-2/retry", ""),
            ],
            exit: 1,
            says: &["Try 2 runs again?", "One run is sent again.", "r-1 (not_now)"],
        },
        Case {
            words: "ledger dead-letters requeue --code crashed --tenant t-1 --yes",
            api: &[
                ("GET /v1/dead-letters", 200, causes(&[run("r-1", "dead_lettered")])),
                ("POST /v1/dead-letters/requeue", 200, requeued(&[run("r-1", "queued")], &[], false)),
            ],
            answers: &[],
            asked: &[
                ("GET /v1/dead-letters?tenant=t-1&code=crashed", ""),
                ("POST /v1/dead-letters/requeue", r#"{"code":"crashed","tenant":"t-1"}"#),
            ],
            exit: 0,
            says: &["One run is sent again."],
        },
        Case {
            words: "ledger notices add t-1 --role accountant",
            api: &[
                ("GET /v1/tenants/t-1/notices", 200, told(4, &[("p-1", "operator")])),
                ("PUT /v1/tenants/t-1/notices", 200, told(5, &[("p-1", "operator"), ("p-2", "accountant")])),
            ],
            answers: &[],
            asked: &[
                ("GET /v1/tenants/t-1/notices", ""),
                (
                    "PUT /v1/tenants/t-1/notices",
                    r#"{"revision":4,"digest_at":"07:00","recipients":[{"id":"p-1","role":"operator","way":"sns"},{"role":"accountant","way":"sns"}]}"#,
                ),
            ],
            exit: 0,
            says: &["p-2", "accountant", "the topic"],
        },
        Case {
            words: "ledger notices remove t-1 p-9",
            api: &[("GET /v1/tenants/t-1/notices", 200, told(4, &[("p-1", "operator")]))],
            answers: &[],
            asked: &[("GET /v1/tenants/t-1/notices", "")],
            exit: 3,
            says: &["recipient"],
        },
        Case {
            words: "ledger dead-letters requeue --family settings",
            api: &[
                ("GET /v1/dead-letters", 200, causes(&[run("r-1", "dead_lettered"), run("r-2", "dead_lettered")])),
                ("POST /v1/dead-letters/requeue", 200, requeued(&[run("r-1", "queued")], &[], true)),
                (
                    "POST /v1/dead-letters/requeue",
                    200,
                    requeued(&[run("r-2", "queued")], &[("r-3", "under way")], false),
                ),
            ],
            answers: &["yes"],
            asked: &[
                ("GET /v1/dead-letters?family=settings", ""),
                ("POST /v1/dead-letters/requeue", r#"{"family":"settings"}"#),
                ("POST /v1/dead-letters/requeue", r#"{"family":"settings"}"#),
            ],
            exit: 1,
            says: &["Try 2 runs again?", "2 runs are sent again.", "r-3: under way"],
        },
        Case {
            words: "ledger runs discard r-1 --reason gone",
            api: &[("POST /v1/runs/r-1/discard", 200, run("r-1", "skipped"))],
            answers: &[],
            asked: &[("POST /v1/runs/r-1/discard", r#"{"reason":"gone"}"#)],
            exit: 0,
            says: &["Run r-1 is skipped."],
        },
        Case {
            words: "ledger dead-letters settle r-1 --reference INV-7",
            api: &[("POST /v1/runs/r-1/settle", 200, settled)],
            answers: &[],
            asked: &[("POST /v1/runs/r-1/settle", r#"{"reference":"INV-7"}"#)],
            exit: 0,
            says: &["the book has the document"],
        },
        Case {
            words: "ledger held list --binding b-1",
            api: &[("GET /v1/held", 200, causes(&[]))],
            answers: &[],
            asked: &[("GET /v1/held?binding=b-1", "")],
            exit: 0,
            says: &["No held runs."],
        },
        Case {
            words: "ledger runs show r/1",
            api: &[],
            answers: &[],
            asked: &[("GET /v1/runs/r%2F1", "")],
            exit: 3,
            says: &["not_found"],
        },
    ] {
        check(&case).await;
    }
}

#[tokio::test]
async fn jobs_are_started_followed_and_stopped() {
    let jobs = |state: &str, done| json!({"jobs": [job(state, done)]});
    let begin = "POST /v1/bindings/b-1/jobs";
    for case in [
        Case {
            words: "ledger resync b-1 --since 2026-11-01T00:00:00Z --event invoice.paid --follow",
            api: &[
                (begin, 200, job("open", 0)),
                ("GET /v1/bindings/b-1/jobs", 200, jobs("open", 5)),
                ("GET /v1/bindings/b-1/jobs", 200, jobs("finished", 9)),
            ],
            answers: &[],
            asked: &[
                (begin, r#"{"kind":"resync","events":["invoice.paid"],"since":"2026-11-01T00:00:00Z"}"#),
                ("GET /v1/bindings/b-1/jobs", ""),
                ("GET /v1/bindings/b-1/jobs", ""),
            ],
            exit: 0,
            says: &["finished", "9"],
        },
        Case {
            words: "ledger backfill b-1 --kind creditmemo --from 5 --to 9",
            api: &[(begin, 200, job("open", 0))],
            answers: &[],
            asked: &[(begin, r#"{"kind":"backfill","entity_type":"creditmemo","from_id":5,"to_id":9}"#)],
            exit: 0,
            says: &["ledger jobs follow b-1 j-1"],
        },
        Case {
            words: "ledger backfill b-1 --kind creditmemo --from 9 --to 5",
            api: &[],
            answers: &[],
            asked: &[],
            exit: 2,
            says: &["--from is behind --to"],
        },
        Case {
            words: "ledger sync-state backfill --tenant t-1 --provider xero",
            api: &[("GET /v1/tenants/t-1", 200, tenant("connected")), (begin, 200, job("open", 0))],
            answers: &[],
            asked: &[("GET /v1/tenants/t-1", ""), (begin, r#"{"kind":"chips","since":"2000-01-01T00:00:00Z"}"#)],
            exit: 0,
            says: &["open"],
        },
        Case {
            words: "ledger previews discard --all-of b-1 --reason trial",
            api: &[(begin, 200, job("open", 0))],
            answers: &[],
            asked: &[(begin, r#"{"kind":"discard_previews","reason":"trial"}"#)],
            exit: 0,
            says: &["open"],
        },
        Case {
            words: "ledger previews release r-1",
            api: &[("POST /v1/runs/r-1/release", 200, run("r-1", "queued"))],
            answers: &[],
            asked: &[("POST /v1/runs/r-1/release", "")],
            exit: 0,
            says: &["Run r-1 is queued."],
        },
        Case {
            words: "ledger jobs stop b-1 j-1",
            api: &[("POST /v1/bindings/b-1/jobs/j-1/stop", 200, job("stopped", 3))],
            answers: &[],
            asked: &[("POST /v1/bindings/b-1/jobs/j-1/stop", "")],
            exit: 0,
            says: &["stopped"],
        },
        Case {
            words: "ledger jobs follow b-1 j-2",
            api: &[("GET /v1/bindings/b-1/jobs", 200, jobs("open", 5))],
            answers: &[],
            asked: &[("GET /v1/bindings/b-1/jobs", "")],
            exit: 3,
            says: &["no such job"],
        },
        Case {
            words: "ledger xref reset b-1 invoice 42",
            api: &[
                ("GET /v1/bindings/b-1/xrefs/invoice/42", 200, xrefs()),
                ("POST /v1/bindings/b-1/xrefs/invoice/42/reset", 200, json!({"rows": []})),
            ],
            answers: &["yes"],
            asked: &[
                ("GET /v1/bindings/b-1/xrefs/invoice/42", ""),
                ("POST /v1/bindings/b-1/xrefs/invoice/42/reset", ""),
            ],
            exit: 0,
            says: &["linked, adopted", "Nothing is remembered."],
        },
        Case {
            words: "ledger diagnose b-1",
            api: &[
                ("GET /v1/bindings/b-1", 200, binding("active")),
                ("GET /api/admin/integrations/xero/b-1/status", 200, integration("degraded")),
            ],
            answers: &[],
            asked: &[("GET /v1/bindings/b-1", ""), ("GET /api/admin/integrations/xero/b-1/status", "")],
            exit: 0,
            says: &["degraded", "crashed: it died"],
        },
    ] {
        check(&case).await;
    }
}

fn own_app(callback: &str) -> Value {
    let mut own = app(callback);
    own["binding"] = json!("b-1");
    own
}

fn swept(age: i64, oldest_due: i64) -> Value {
    json!({"last_sweep": MOMENT, "last_sweep_age_seconds": age, "oldest_due_age_seconds": oldest_due, "failures": 0})
}

fn told(revision: u32, recipients: &[(&str, &str)]) -> Value {
    let recipients: Vec<Value> = recipients
        .iter()
        .map(|(id, role)| json!({"id": id, "role": role, "way": "sns", "url": null, "has_secret": false}))
        .collect();
    json!({"tenant": "t-1", "revision": revision, "digest_at": "07:00", "recipients": recipients, "told": [],
        "on_their_way": 0})
}

fn requeued(runs: &[Value], refused: &[(&str, &str)], more: bool) -> Value {
    let refused: Vec<Value> = refused.iter().map(|(run, reason)| json!({"run": run, "reason": reason})).collect();
    json!({"runs": runs, "refused": refused, "more": more})
}

/// A stack as the doctor finds it; `spoil` changes what it answers.
async fn examined(spoil: &[(&str, u16, Value)]) -> (u8, String) {
    let fake = Fake::start().await;
    let callback = format!("{}/oauth/callback", fake.url);
    let reference = json!({"lists": [{"list": "accounts", "read_at": MOMENT, "age_seconds": 60, "count": 3, "cut_off": false,
        "reading": false, "fault": null}], "entries": []});
    let good = [
        ("GET /openapi.json", 200, json!({"paths": {"/v1/me": {}, "/v1/bindings/{binding}/connection": {}}})),
        ("GET /v1/me", 200, json!({"subject": "s", "role": "operator", "tenants": ["t-1"]})),
        ("GET /v1/apps/xero", 200, app(&callback)),
        ("GET /v1/bindings/b-1/app", 200, own_app(&callback)),
        ("POST /webhooks/magento/doctor/invoice.created", 401, refusal("unauthorised", "no token")),
        ("GET /v1/stack", 200, swept(30, 5)),
        ("GET /v1/tenants", 200, json!({"tenants": [tenant("connected")], "next": null})),
        ("GET /v1/tenants/t-1", 200, tenant("connected")),
        ("GET /api/admin/integrations/xero/b-1/status", 200, integration("healthy")),
        ("GET /v1/bindings/b-1/reference", 200, reference),
        ("GET /v1/held", 200, causes(&[])),
        ("GET /v1/dead-letters", 200, causes(&[])),
    ];
    for (route, status, body) in spoil.iter().chain(good.iter().filter(|it| !spoil.iter().any(|that| that.0 == it.0))) {
        fake.answers(route, *status, body);
    }
    let shown = ran(&fake, &Scripted::default(), "ledger doctor").await.unwrap();
    (shown.exit, shown.text)
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    // An administrator, who is confined to no tenant, sees every one.
    for tenants in [json!(["t-1"]), Value::Null] {
        let me = json!({"subject": "s", "role": "admin", "tenants": tenants});
        let (exit, text) = examined(&[("GET /v1/me", 200, me)]).await;
        assert_eq!((exit, text.contains("Nothing is wrong.")), (0, true), "{text}");
        for looked_at in ["tenant t-1", "binding b-1", "webhook", "sweeper", "queues"] {
            assert!(text.contains(looked_at), "{looked_at} was not looked at: {text}");
        }
    }
    // An address that somebody mistyped once makes no stack ill for ever.
    let (exit, text) = examined(&[("GET /v1/tenants/t-1", 200, tenant("pending"))]).await;
    assert_eq!((exit, text.contains("never paired"), text.contains("binding b-1")), (0, true, false), "{text}");
    let of_tenant = |status: &str, binding: Value| {
        let mut tenant = tenant(status);
        tenant["bindings"] = json!([binding]);
        tenant
    };
    for (spoil, says) in [
        (("GET /openapi.json", 503, refusal("later", "not now")), "later: Not now."),
        (("GET /openapi.json", 200, json!({"paths": {}})), "lacks routes"),
        (("GET /v1/me", 401, refusal("unauthorised", "sign in")), "Sign in with `ledger login`."),
        (("POST /webhooks/magento/doctor/invoice.created", 503, refusal("later", "not now")), "Shops can't deliver"),
        (("POST /webhooks/magento/doctor/invoice.created", 200, json!({})), "takes what comes without a token"),
        (
            (
                "GET /v1/stack",
                200,
                json!({"last_sweep": null, "last_sweep_age_seconds": null,
            "oldest_due_age_seconds": null, "failures": null}),
            ),
            "has never run",
        ),
        (("GET /v1/stack", 200, swept(301, 5)), "SweeperScheduleState"),
        (("GET /v1/stack", 200, swept(30, 901)), "the workers run"),
        (("GET /v1/tenants", 403, refusal("no_role", "no group")), "no_role"),
        (("GET /v1/apps/xero", 200, app("http://127.0.0.1:1/oauth/callback")), "PublicUrl"),
        (("GET /v1/bindings/b-1/app", 200, own_app("http://127.0.0.1:1/oauth/callback")), "PublicUrl"),
        (("GET /v1/bindings/b-1/app", 404, refusal("not_found", "no app")), "`ledger app set xero`"),
        (("GET /v1/tenants/t-1", 200, of_tenant("token_revoked", binding("active"))), "pair it again"),
        (("GET /v1/tenants/t-1", 200, of_tenant("connected", binding("pending"))), "`ledger book connect b-1`"),
        (("GET /api/admin/integrations/xero/b-1/status", 200, integration("degraded")), "`ledger diagnose b-1`"),
        (("GET /v1/dead-letters", 200, causes(&[run("r-1", "dead_lettered")])), "1 of crashed"),
        (("GET /v1/held", 403, refusal("forbidden", "your groups do not allow this")), "forbidden"),
    ] {
        let route = spoil.0;
        let (exit, text) = examined(&[spoil]).await;
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(exit, 1, "{route}: {text}");
        assert!(says.split(' ').all(|word| flat.contains(word)), "{route}: no {says:?} in {text}");
    }
}

#[test]
fn the_next_page_is_named_by_its_link() {
    let check = |link: &str, after: Option<&str>| assert_eq!(crate::api::next_of(link).as_deref(), after, "{link}");
    check(r#"<?format=csv&after=eGVy-_1>; rel="next""#, Some("eGVy-_1"));
    check(r#"<?after=a&format=csv>; rel="next""#, Some("a"));
    check(r#"<?format=csv&after=a>; rel="prev""#, None);
    check(r#"<?format=csv>; rel="next""#, None);
    check("after=a", None);
}
