use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

const NOW: i64 = 2_000_016_000_000;

#[derive(Default)]
struct Counting(AtomicU64);

impl Chance for Counting {
    fn uuid(&self) -> String {
        format!("n-{}", self.0.fetch_add(1, Ordering::SeqCst))
    }

    fn number(&self) -> u64 {
        0
    }
}

fn recipients(roles: &[(&str, &str)]) -> NoticesRow {
    let recipients = roles.iter().map(|(id, role)| RecipientRow {
        id: (*id).to_owned(),
        role: (*role).to_owned(),
        way: "sns".to_owned(),
        url: None,
        secret: None,
    });
    NoticesRow { recipients: recipients.collect(), ..NoticesRow::new("t-1", DIGEST_MINUTE) }
}

fn wrong(code: Code) -> (Code, NoticeTroubleV1) {
    (code, trouble_of(TroubleKind::DeadLetters, code, NOW))
}

#[test]
fn a_request_is_signed_over_its_moment_and_body() {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let signed = signature(&secret, 2_000_016_000, r#"{"v":1}"#);
    assert_eq!(signed, "v1=2a6c0558a202046e00007419bddafe2b8dfe08c47f2bd26457fafe2c16aab950");
    for (other, seconds, body) in [
        (&secret, 2_000_016_001, r#"{"v":1}"#),
        (&secret, 2_000_016_000, r#"{"v":2}"#),
        (&SecretString::from("another-secret-of-thirty-two-bytes"), 2_000_016_000, r#"{"v":1}"#),
    ] {
        assert_ne!(signature(other, seconds, body), signed);
    }
}

#[test]
fn each_role_gets_its_own_and_operators_what_nobody_would_hear() {
    let check = |roles: &[(&str, &str)], codes: &[Code], expected: &[(&str, &str)]| {
        let row = recipients(roles);
        let troubles: Vec<_> = codes.iter().map(|code| wrong(*code)).collect();
        let out = outbox_of(&row, "digest", &troubles, NOW, &Counting::default());
        let told: Vec<(String, String)> = out
            .iter()
            .map(|it| {
                let notice: NoticeV1 = serde_json::from_str(&it.body).unwrap();
                assert_eq!((notice.id.as_str(), notice.tenant.as_str(), it.due_at), (it.id.as_str(), "t-1", NOW));
                let codes: Vec<String> = notice.troubles.into_iter().map(|it| it.code).collect();
                (it.recipient.clone(), codes.join(" "))
            })
            .collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(id, codes)| (id.as_str(), codes.as_str())).collect();
        assert_eq!(told, expected);
    };
    let all = [("m", "merchant"), ("a", "accountant"), ("o", "operator")];
    let codes = [Code::CategoryUnknown, Code::ReferenceTaken, Code::Crashed];
    check(&all, &codes, &[("m", "category_unknown"), ("a", "reference_taken"), ("o", "crashed")]);
    check(&[("o", "operator")], &codes, &[("o", "category_unknown reference_taken crashed")]);
    check(&[("a", "accountant")], &codes, &[("a", "reference_taken")]);
    check(&[("m", "merchant")], &[Code::Crashed], &[]);
    check(
        &[("a1", "accountant"), ("a2", "accountant")],
        &[Code::ReferenceTaken],
        &[("a1", "reference_taken"), ("a2", "reference_taken")],
    );
    // A test has no troubles and is for everybody.
    check(&all, &[], &[("m", ""), ("a", ""), ("o", "")]);
    check(&[], &codes, &[]);
}

#[test]
fn a_mail_names_documents_cause_remedy_and_link() {
    let tenancy = "t-1";
    let (key, kind) = ("dead:b:category_unknown".to_owned(), TroubleKind::DeadLetters);
    let trouble = Trouble { count: 7, ..trouble(key, kind, Code::CategoryUnknown, NOW) };
    let notice = NoticeV1 {
        v: 1,
        id: "n-1".to_owned(),
        kind: "dead_letters".to_owned(),
        tenant: tenancy.to_owned(),
        role: "merchant".to_owned(),
        at: moment(NOW),
        troubles: vec![NoticeTroubleV1 {
            provider: Some("xero".to_owned()),
            count: 7,
            documents: vec!["invoice 000000042".to_owned(), "customer with id 17".to_owned()],
            link: Some(link("https://ledger.example/live", tenancy, &trouble)),
            ..trouble_of(trouble.kind, trouble.code, trouble.since)
        }],
    };
    let mail = published(&notice);
    assert_eq!(mail.subject, "Ledger, t-1: documents that somebody has to look at");
    for part in [
        "category_unknown (xero), since 2033-05-18T08:00:00.000Z",
        Code::CategoryUnknown.cause(),
        Code::CategoryUnknown.remedy(),
        "Documents: invoice 000000042, customer with id 17 and 5 more",
        "https://ledger.example/live/v1/dead-letters?tenant=t-1&code=category_unknown",
        "Notice n-1",
    ] {
        assert!(mail.text.contains(part), "no {part:?} in {}", mail.text);
    }
    let names: Vec<&str> = mail.attributes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["tenant", "role", "kind", "id"]);
    // A subject is one line of plain ASCII, whatever a tenant is called.
    let odd = published(&NoticeV1 { tenant: "ü\n".repeat(200), ..notice });
    assert!(odd.subject.is_ascii() && odd.subject.len() < 100 && !odd.subject.contains('\n'));
}

#[test]
fn a_link_leads_to_what_is_wrong() {
    let check = |kind: TroubleKind, code: Code, path: &str| {
        let wrong = trouble(String::new(), kind, code, NOW);
        assert_eq!(link("https://l.example", "a/b:c", &wrong), format!("https://l.example{path}"));
    };
    check(TroubleKind::DeadLetters, Code::ReferenceTaken, "/v1/dead-letters?tenant=a%2Fb%3Ac&code=reference_taken");
    check(TroubleKind::HeldLong, Code::NeedsReconnect, "/v1/held?tenant=a%2Fb%3Ac&code=needs_reconnect");
    check(TroubleKind::HeldLong, Code::BookPaused, "/v1/tenants/a%2Fb%3Ac");
    check(TroubleKind::ShopSilent, Code::ShopSilent, "/v1/tenants/a%2Fb%3Ac");
}

#[test]
fn an_address_of_a_webhook_is_public_https() {
    let check = |url: &str, allow_private: bool, good: bool| {
        assert_eq!(may_be_a_hook(url, allow_private).is_ok(), good, "{url} {allow_private}");
    };
    check("https://hooks.example/ledger?key=1", false, true);
    check("https://hooks.example:443/", false, true);
    check("https://hooks.example", false, true);
    check("https://[2001:db8::1]/", false, true);
    for bad in [
        "http://hooks.example/",
        "https://hooks.example:8443/",
        "https://user@hooks.example/",
        "https://hooks.example/#part",
        "https:///path",
        "https://hooks.example/a b",
        "https://hooks.example\\@other.example/",
        "ftp://hooks.example/",
        "hooks.example",
        "",
    ] {
        check(bad, false, false);
    }
    check("http://127.0.0.1:9999/hook", true, true);
    check("http://user@127.0.0.1/", true, false);
    check(&format!("https://hooks.example/{}", "x".repeat(URL_MAX_BYTES)), false, false);
}

#[test]
fn what_was_told_survives_its_row() {
    let told = |code| Told { kind: TroubleKind::DeadLetters, code, since: NOW, gone_since: Some(NOW + 1) };
    let memory = Memory { told: [("dead:b:ledger:ledger".to_owned(), told(Code::Crashed))].into(), digest_at: NOW + 5 };
    let mut row = NoticesRow { told: told_of(&memory), digest_at: memory.digest_at, ..recipients(&[]) };
    assert_eq!(memory_of(&row), memory);
    // What an earlier build told by its cause is told: neither over nor news.
    row.told.iter_mut().for_each(|it| it.key = "dead:b:crashed".to_owned());
    assert_eq!(memory_of(&row), memory);
    // What a later build told is not known here, and is no reason to forget the rest.
    row.told.push(ToldRow { key: "k".to_owned(), kind: "of_tomorrow".to_owned(), ..ToldRow::default() });
    assert_eq!(memory_of(&row), memory);
}
