use crate::address::Reach;
use crate::target::target;
use ledger_engine::ports::TransportFault;
use proptest::prelude::*;

fn query(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn public(base: &str, path: &str) -> Result<String, TransportFault> {
    target(base, path, &[], Reach::Public).map(String::from)
}

#[test]
fn paths_go_below_the_base() {
    for (base, path, expected) in [
        ("https://shop.example", "/rest/V1/byte8/ping", "https://shop.example/rest/V1/byte8/ping"),
        ("https://shop.example/", "/rest/V1/byte8/ping", "https://shop.example/rest/V1/byte8/ping"),
        ("https://shop.example:443/", "/rest/V1/a", "https://shop.example/rest/V1/a"),
        ("https://shop.example/store/", "/rest/V1/a", "https://shop.example/store/rest/V1/a"),
        ("https://shop.example/index.php", "/rest/V1/a", "https://shop.example/index.php/rest/V1/a"),
        ("HTTPS://SHOP.example", "/rest/V1/A", "https://shop.example/rest/V1/A"),
        ("https://bücher.example", "/rest/V1/a", "https://xn--bcher-kva.example/rest/V1/a"),
        ("https://shop.example", "//evil.example/a", "https://shop.example//evil.example/a"),
        ("https://shop.example", "/@evil.example", "https://shop.example/@evil.example"),
        ("https://shop.example", "/:8443/a", "https://shop.example/:8443/a"),
        ("https://shop.example", "/v2/contacts/a%2Fb", "https://shop.example/v2/contacts/a%2Fb"),
        ("https://shop.example", "/v2/größe", "https://shop.example/v2/gr%C3%B6%C3%9Fe"),
        ("https://shop.example", "/v2/...", "https://shop.example/v2/..."),
        ("https://8.8.8.8", "/a", "https://8.8.8.8/a"),
        ("https://[2606:4700::1111]", "/a", "https://[2606:4700::1111]/a"),
    ] {
        assert_eq!(public(base, path).as_deref(), Ok(expected), "{base} {path}");
    }
}

#[test]
fn what_is_no_address_of_ours_is_refused() {
    for base in [
        "",
        "shop.example",
        "//shop.example",
        "http://shop.example",
        "http://shop.example:443",
        "ftp://shop.example",
        "file:///etc/passwd",
        "data:text/plain,x",
        "javascript:alert(1)",
        "unix:/run/x",
        "https://",
        "https:///",
        "https://user@shop.example",
        "https://user:pw@shop.example",
        "https://:pw@shop.example",
        "https://shop.example@evil.example",
        "https://shop.example:80",
        "https://shop.example:8443",
        "https://shop.example:22",
        "https://shop.example:0",
        "https://shop.example:99999",
        "https://shop.example/?a=b",
        "https://shop.example/?",
        "https://shop.example/#a",
        "https://shop.example/#",
        "https://shop.example\\@evil.example",
        "https:\\\\shop.example",
        "https://shop.example/\n",
        "https://sh\top.example",
        " https://shop.example",
        "https://shop .example",
        "https://sh\u{0}op.example",
        "https://sh%00op.example",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        "https://999.1.1.1",
        "https://1.2.3.4.5",
    ] {
        let fault = public(base, "/rest/V1/a").unwrap_err();
        assert!(matches!(fault, TransportFault::AddressRefused(_)), "{base}: {fault:?}");
    }
    let long = format!("https://shop.example/{}", "a".repeat(2_100));
    assert!(public(&long, "/rest/V1/a").is_err());
}

#[test]
fn a_path_leads_nowhere_else() {
    for path in [
        "",
        "rest/V1/a",
        "https://evil.example/",
        "@evil.example/",
        ".evil.example/",
        ":8443/",
        "/a/../b",
        "/a/..",
        "/..",
        "/.",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/%2E%2e/b",
        "/a/.%2e/b",
        "/a/%2e/b",
        "/a\\..\\b",
        "\\\\evil.example",
        "/a?b=c",
        "/a#b",
        "/a b",
        "/a\r\nHost: evil.example",
        "/a\tb",
        "/a\u{0}",
        "/a\u{a0}b",
    ] {
        assert!(public("https://shop.example", path).is_err(), "{path:?}");
    }
}

#[test]
fn locally_any_port_and_plain_http_will_do() {
    for base in ["http://127.0.0.1:8080", "http://localhost:4566", "https://10.0.0.1:8443", "http://[::1]:1"] {
        assert!(target(base, "/a", &[], Reach::Private).is_ok(), "{base}");
        assert!(target(base, "/a", &[], Reach::Public).is_err(), "{base}");
    }
    for base in ["ftp://127.0.0.1", "http://user@127.0.0.1", "http://127.0.0.1/?a", "http://169.254.169.254"] {
        assert!(target(base, "/a", &[], Reach::Private).is_err(), "{base}");
    }
}

#[test]
fn queries_are_encoded_unambiguously() {
    let asked = query(&[
        ("email", "a+b c@x.example"),
        ("where", "Name==\"Ä & Co\"&x=#1?"),
        ("page", "1"),
        ("page", "2"),
        ("empty", ""),
        ("%", "%20"),
    ]);
    let url = target("https://book.example", "/v2/contacts", &asked, Reach::Public).unwrap();
    assert_eq!(
        url.query().unwrap(),
        "email=a%2Bb%20c%40x.example&where=Name%3D%3D%22%C3%84%20%26%20Co%22%26x%3D%231%3F&page=1&page=2&empty=&%25=%2520"
    );
    assert_eq!(url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>(), asked);
}

#[test]
fn refusals_quote_nothing() {
    for (base, path) in [
        ("https://secret:secret@shop.example", "/a"),
        ("https://shop.example/?secret", "/a"),
        ("https://secret.example:8443", "/a"),
        ("http://secret.example", "/a"),
        ("secret", "/a"),
        ("https://shop.example", "/secret?"),
        ("https://shop.example", "/secret/.."),
    ] {
        let fault = public(base, path).unwrap_err().to_string();
        assert!(!fault.contains("secret"), "{fault}");
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_stays_with_the_base(
        base in prop_oneof![
            any::<String>(),
            r"https?://[a-z0-9.:@%\[\]\\/_-]{0,40}",
            r"https://shop\.example(:443)?(/[a-z.%2eE\\/]{0,12})?",
        ],
        path in prop_oneof![any::<String>(), r"/[a-z0-9.%2eE\\/?#@: -]{0,30}"],
        name in any::<String>(),
        value in any::<String>(),
    ) {
        if let Ok(url) = target(&base, &path, &[(name.clone(), value.clone())], Reach::Public) {
            let base = reqwest::Url::parse(&base).unwrap();
            prop_assert_eq!(url.scheme(), "https");
            prop_assert_eq!(url.host_str(), base.host_str());
            prop_assert_eq!(url.port_or_known_default(), Some(443));
            prop_assert_eq!(url.username(), "");
            prop_assert_eq!(url.password(), None);
            prop_assert_eq!(url.fragment(), None);
            prop_assert!(url.path().starts_with(base.path().trim_end_matches('/')));
            prop_assert_eq!(
                url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect::<Vec<_>>(),
                [(name, value)]
            );
        }
    }
}
