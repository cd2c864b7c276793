//! Documents are known by URL. One from a reply counts only where it is the binding's own, so that a reply can't send
//! our token elsewhere or make us link to a stranger's document.

/// Longest URL that counts; the real ones are a fifth of it.
const LENGTH_MAX: usize = 300;

/// The call path of a document's URL below `base_url`: `/v2/invoices/7`. `None` where scheme, host, port or path are not
/// the binding's, where it is not a document of `collection`, or has anything besides an id behind it.
pub(super) fn path_of(base_url: &str, root: &str, collection: &str, url: &str) -> Option<String> {
    if url.len() > LENGTH_MAX {
        return None;
    }
    let (base_origin, base_path) = split(base_url)?;
    let (origin, path) = split(url)?;
    if origin != base_origin {
        return None;
    }
    let path = path.strip_prefix(base_path.trim_end_matches('/'))?;
    let id = path.strip_prefix(root)?.strip_prefix('/')?.strip_prefix(collection)?.strip_prefix('/')?;
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_.~".contains(letter);
    (!id.is_empty() && id.chars().all(legal) && id.chars().any(|letter| letter != '.')).then(|| path.to_owned())
}

/// The URL and the call path of a document of the binding. Some replies name it from the root of the host on, without
/// scheme and host (FreeAgent API, bank transaction explanations).
pub(super) fn own(base_url: &str, root: &str, collection: &str, url: &str) -> Option<(String, String)> {
    let whole = match url.strip_prefix('/') {
        None => url.to_owned(),
        Some(_) if url.starts_with(root) => format!("{}{url}", base_url.trim_end_matches('/')),
        Some(_) => return None,
    };
    path_of(base_url, root, collection, &whole).map(|path| (whole, path))
}

/// True where two URLs name the same document.
pub(super) fn same(base_url: &str, root: &str, collection: &str, one: &str, other: &str) -> bool {
    let path = |url: &str| own(base_url, root, collection, url).map(|(_, path)| path);
    one == other || path(one).is_some_and(|one| path(other) == Some(one))
}

/// Origin, in lower case and with its port, and path.
fn split(url: &str) -> Option<((String, String, String), &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, default_port),
    };
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "-.:[]".contains(letter);
    let port_is_one = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    (!host.is_empty() && host.chars().all(legal) && port_is_one)
        .then(|| ((scheme, host.to_ascii_lowercase(), port.to_owned()), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_of_the_binding_count() {
        let check = |base: &str, url: &str, expected: Option<&str>| {
            assert_eq!(path_of(base, "/v2", "invoices", url).as_deref(), expected, "{base} {url}");
        };
        let xero = "https://api.xero.com";
        check(xero, "https://api.xero.com/v2/invoices/7", Some("/v2/invoices/7"));
        check(xero, "HTTPS://API.xero.com:443/v2/invoices/7", Some("/v2/invoices/7"));
        check(xero, "https://api.xero.com/v2/invoices/0b1f-6c1e_a.b~c", Some("/v2/invoices/0b1f-6c1e_a.b~c"));
        check("http://127.0.0.1:4000/book", "http://127.0.0.1:4000/book/v2/invoices/7", Some("/v2/invoices/7"));
        check("http://[::1]:4000", "http://[::1]:4000/v2/invoices/7", Some("/v2/invoices/7"));
        check("http://[::1]", "http://[::1]/v2/invoices/7", Some("/v2/invoices/7"));
        for foreign in [
            "",
            "/v2/invoices/7",
            "7",
            "http://api.xero.com/v2/invoices/7",
            "https://api.xero.com:8443/v2/invoices/7",
            "https://api.xero.com.example/v2/invoices/7",
            "https://api.xero.com@example.com/v2/invoices/7",
            "https://user@api.xero.com/v2/invoices/7",
            "https://example.com/v2/invoices/7",
            "https://api.xero.com/v2/invoices/",
            "https://api.xero.com/v2/invoices/..",
            "https://api.xero.com/v2/invoices/../contacts/7",
            "https://api.xero.com/v2/invoices/7/transitions",
            "https://api.xero.com/v2/invoices/7?x=1",
            "https://api.xero.com/v2/invoices/7#x",
            "https://api.xero.com/v2/invoices/%2e",
            "https://api.xero.com/v2/invoices/7 ",
            "https://api.xero.com/v2/contacts/7",
            "https://api.xero.com/v3/invoices/7",
            "https://api.xero.com/x/v2/invoices/7",
            "https://api.xero.com:/v2/invoices/7",
            "ftp://api.xero.com/v2/invoices/7",
        ] {
            check(xero, foreign, None);
        }
        check(xero, &format!("https://api.xero.com/v2/invoices/{}", "7".repeat(LENGTH_MAX)), None);
    }

    #[test]
    fn a_url_without_a_host_is_the_bindings() {
        let check = |base: &str, url: &str, expected: Option<&str>| {
            let found = own(base, "/v2", "bank_transaction_explanations", url).map(|(url, _)| url);
            assert_eq!(found.as_deref(), expected, "{base} {url}");
        };
        let whole = "https://api.freeagent.com/v2/bank_transaction_explanations/177";
        check("https://api.freeagent.com", "/v2/bank_transaction_explanations/177", Some(whole));
        check("https://api.freeagent.com/", "/v2/bank_transaction_explanations/177", Some(whole));
        check("https://api.freeagent.com", whole, Some(whole));
        for foreign in
            ["/bank_transaction_explanations/177", "//evil.example/v2/bank_transaction_explanations/177", "/v2"]
        {
            check("https://api.freeagent.com", foreign, None);
        }
        check("https://api.freeagent.com", "/v2/invoices/177", None);
        check("nowhere", "/v2/bank_transaction_explanations/177", None);
    }

    #[test]
    fn one_document_can_be_written_in_two_ways() {
        let same = |one: &str, other: &str| same("https://api.xero.com", "/v2", "contacts", one, other);
        assert!(same("https://api.xero.com/v2/contacts/7", "https://API.xero.com:443/v2/contacts/7"));
        assert!(!same("https://api.xero.com/v2/contacts/7", "https://api.xero.com/v2/contacts/8"));
        assert!(same("https://api.xero.com/v2/contacts/7", "/v2/contacts/7"));
        assert!(!same("elsewhere", "nowhere"));
    }
}
