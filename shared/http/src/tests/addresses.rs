use super::{Script, ask_shop, local, public, read, server};
use crate::address::{CheckedResolver, Reach, Refused};
use crate::{Http, HttpConfig};
use ledger_engine::ports::TransportFault;
use server::{Act, Server, answer};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

fn refused() -> TransportFault {
    TransportFault::AddressRefused("not a public address".to_owned())
}

/// First and last address of each block, and its neighbours where they are public.
const NEVER: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "192.0.0.1",
    "192.0.0.255",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

const PRIVATE: &[&str] = &[
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.255.255",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fdff:ffff::1",
];

const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700::1111",
    "2a00:1450::1",
    "3ffe::1",
];

#[test]
fn every_special_block_is_known() {
    for (list, by_default, locally) in [(NEVER, false, false), (PRIVATE, false, true), (PUBLIC, true, true)] {
        for address in list {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(Reach::Public.allows(parsed), by_default, "{address}");
            assert_eq!(Reach::Private.allows(parsed), locally, "{address}");
        }
    }
}

#[tokio::test]
async fn the_resolver_hands_over_checked_addresses_only() {
    let script = Arc::new(Script::of(&[
        &["8.8.8.8", "127.0.0.1", "169.254.169.254", "2606:4700::1111", "::1", "::ffff:8.8.8.8"],
        &["10.0.0.1", "fe80::1"],
        &[],
    ]));
    let resolver = CheckedResolver::new(script.clone(), Reach::Public);

    let addresses = resolver.checked("shop.example").await.unwrap();
    let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(addresses, ["8.8.8.8", "2606:4700::1111"]);

    // The same name, a moment later.
    let error = resolver.checked("shop.example").await.unwrap_err();
    assert!(error.is::<Refused>());

    let error = resolver.checked("shop.example").await.unwrap_err();
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn a_name_for_a_private_address_is_refused() {
    for addresses in [&["127.0.0.1"][..], &["169.254.169.254"], &["10.1.2.3", "::1", "fd00::1"]] {
        let http = Http::with_lookup(&HttpConfig::default(), Arc::new(Script::of(&[addresses]))).unwrap();
        assert_eq!(read(&http, "https://book.example").await, Err(refused()), "{addresses:?}");
        let shop = ask_shop(&http, "https://shop.example/", "/rest/V1/byte8/ping", None).await;
        assert_eq!(shop, Err(refused()), "{addresses:?}");
    }
}

#[tokio::test]
async fn the_systems_localhost_is_refused() {
    for url in ["https://localhost", "https://LOCALHOST/", "https://localhost./"] {
        let fault = read(&public(), url).await.unwrap_err();
        // Not every system knows the name with a dot.
        let unknown = matches!(fault, TransportFault::NotSent(_)) && url.ends_with("./");
        assert!(fault == refused() || unknown, "{url}: {fault:?}");
    }
}

#[tokio::test]
async fn a_literal_address_is_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "2852039166",
        "192.168.1.1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[2001:db8::1]",
    ] {
        let fault = read(&public(), &format!("https://{host}/")).await;
        assert_eq!(fault, Err(refused()), "{host}");
    }
}

#[tokio::test]
async fn locally_the_clouds_own_addresses_stay_refused() {
    for host in ["169.254.169.254", "2852039166", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0.0.0.0"] {
        assert_eq!(read(&local(), &format!("http://{host}/")).await, Err(refused()), "{host}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let server = Server::start(Act::Say(answer("200 OK", "", "{}"))).await;
    let script = Arc::new(Script::of(&[&["169.254.169.254", "127.0.0.1"], &["169.254.169.254"]]));
    let config = HttpConfig { allow_private_addresses: true, extra_ca_pem: None };
    let http = Http::with_lookup(&config, script.clone()).unwrap();
    let url = format!("http://book.example:{}", server.port);

    // The name is asked for once a request; the connection goes to the one address that passed.
    assert_eq!(read(&http, &url).await.unwrap().status, 200);
    assert_eq!(script.asked(), ["book.example"]);
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].header("host"), Some(format!("book.example:{}", server.port)));

    assert_eq!(read(&http, &url).await, Err(refused()));
    assert_eq!(script.asked().len(), 2);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_without_address_is_not_sent() {
    for script in [Script::new(vec![Err(io::ErrorKind::NotFound.into())]), Script::of(&[&[]])] {
        let http = Http::with_lookup(&HttpConfig::default(), Arc::new(script)).unwrap();
        let fault = read(&http, "https://book.example").await.unwrap_err();
        assert!(matches!(fault, TransportFault::NotSent(_)), "{fault:?}");
    }
}
