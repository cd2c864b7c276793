//! Where a request goes: the one place that makes a URL.

use crate::address::{Reach, Refused};
use ledger_engine::ports::TransportFault;
use reqwest::Url;
use std::net::IpAddr;

/// Longest base URL, in bytes.
const BASE_LENGTH_MAX: usize = 2_048;

/// The URL of a path below a base URL, if it is one that we speak to. The base comes from configuration and the path
/// may come from an answer, so neither is trusted: the path can't leave host, port or base path.
///
/// # Errors
/// [`TransportFault::AddressRefused`], with a reason that quotes nothing.
pub(crate) fn target(base: &str, path: &str, query: &[(String, String)], reach: Reach) -> Result<Url, TransportFault> {
    build(base, path, query, reach).map_err(|reason| TransportFault::AddressRefused(reason.to_owned()))
}

fn build(base: &str, path: &str, query: &[(String, String)], reach: Reach) -> Result<Url, &'static str> {
    // The parser drops tabs and line ends and reads a backslash as a slash; here they are nobody's address.
    if base.len() > BASE_LENGTH_MAX || base.chars().any(is_odd) {
        return Err("the base address is not a URL");
    }
    let mut url = Url::parse(base).map_err(|_| "the base address is not a URL")?;
    match (url.scheme(), reach) {
        ("https", _) | ("http", Reach::Private) => {}
        _ => return Err("not https"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password in the address");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or fragment in the base address");
    }
    if reach == Reach::Public && url.port_or_known_default() != Some(443) {
        return Err("not port 443");
    }
    // The connector takes a literal address as it is, without asking the resolver. The parser has already turned
    // decimal, octal, hexadecimal and short forms into the usual one.
    let host = url.host_str().ok_or("no host")?;
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>()
        && !reach.allows(address)
    {
        return Err(Refused::TEXT);
    }

    if !path.starts_with('/') || path.chars().any(|letter| is_odd(letter) || matches!(letter, '?' | '#')) {
        return Err("the path is not one");
    }
    if path.split('/').any(is_dots) {
        return Err("the path leads elsewhere");
    }
    let joined = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
        // Form encoding writes a space as a plus; as %20 everybody reads it the same. A plus itself is %2B by now.
        let encoded = url.query().unwrap_or_default().replace('+', "%20");
        url.set_query(Some(&encoded));
    }
    Ok(url)
}

fn is_odd(letter: char) -> bool {
    letter.is_control() || letter.is_whitespace() || letter == '\\'
}

/// A segment that means "here" or "one up", plain or encoded.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}
