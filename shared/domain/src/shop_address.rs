//! The address of a shop, in the one form by which its tenant is found.

use std::fmt;

/// Longest address, in bytes.
pub const ADDRESS_LENGTH_MAX: usize = 512;

/// The base URL of a shop: scheme and host in lower case, the port where it is not the scheme's own, the path without a
/// trailing slash. Two spellings of one address are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShopAddress {
    origin: String,
    path: String,
}

impl ShopAddress {
    /// Reads an address as a person types it.
    ///
    /// # Errors
    /// What is wrong with it, for that person.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() || text.len() > ADDRESS_LENGTH_MAX {
            return Err("empty, or longer than 512 bytes");
        }
        if !text.is_ascii() {
            return Err("has letters that an address can't have; write the host in its xn-- form");
        }
        if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ' || byte == b'\\') {
            return Err("has a space, a backslash or a control character");
        }
        if text.contains(['?', '#']) {
            return Err("has a query or a fragment");
        }
        let (scheme, rest) = text.split_once("://").ok_or("not an absolute http(s) URL")?;
        let scheme = scheme.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err("not an absolute http(s) URL"),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err("has a user name or password");
        }
        let (host, port) = host_and_port(authority)?;
        let port = port.filter(|port| *port != own_port).map(|port| format!(":{port}")).unwrap_or_default();
        let path = path.trim_end_matches('/');
        let leads_elsewhere =
            |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if path.split('/').skip(1).any(|segment| segment.is_empty() || leads_elsewhere(segment)) {
            return Err("its path has an empty or a dotted part");
        }
        Ok(Self { origin: format!("{scheme}://{host}{port}"), path: path.to_owned() })
    }

    /// Scheme, host and port: what a browser calls the origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Display for ShopAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin, self.path)
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    const BAD_HOST: &str = "has no host, or a strange one";
    let port_of = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err("its port is not one"),
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(BAD_HOST)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| BAD_HOST)?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port_of(port)?),
            None if port.is_empty() => None,
            None => return Err(BAD_HOST),
        };
        return Ok((format!("[{address}]"), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port_of(port)?)),
        None => (authority, None),
    };
    // A name with a final dot is the same name.
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if host.is_empty() || !host.bytes().all(legal) || host.split('.').any(str::is_empty) {
        return Err(BAD_HOST);
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one_address() {
        let check = |text: &str, address: &str, origin: &str| {
            let read = ShopAddress::parse(text);
            assert_eq!(read.as_ref().map(ToString::to_string).as_deref(), Ok(address), "{text}");
            assert_eq!(read.as_ref().map(ShopAddress::origin), Ok(origin), "{text}");
        };
        let shop = "https://shop.example";
        check("https://shop.example", shop, shop);
        check(" HTTPS://Shop.Example/ ", shop, shop);
        check("https://shop.example.:443//", shop, shop);
        check("https://shop.example/index.php/", "https://shop.example/index.php", shop);
        check("https://shop.example/DE", "https://shop.example/DE", shop);
        check("https://shop.example:8443", "https://shop.example:8443", "https://shop.example:8443");
        check("http://shop.example:80", "http://shop.example", "http://shop.example");
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080", "http://127.0.0.1:8080");
        check("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a", "https://[2001:db8::1]");
    }

    #[test]
    fn what_is_no_shop_is_refused() {
        for text in [
            "",
            "shop.example",
            "ftp://shop.example",
            "//shop.example",
            "https://",
            "https:///path",
            "https://user@shop.example",
            "https://user:secret@shop.example",
            "https://shop.example?x=1",
            "https://shop.example#x",
            "https://shop.example/a b",
            "https://shop.example\\@evil.example",
            "https://shop.example/a/../b",
            "https://shop.example/%2e%2E/b",
            "https://shop.example/a//b",
            "https://shop.example:0",
            "https://shop.example:65536",
            "https://shop.example:+1",
            "https://shop..example",
            "https://shöp.example",
            "https://[::1",
            "https://[shop]",
        ] {
            assert!(ShopAddress::parse(text).is_err(), "{text}");
        }
        assert!(ShopAddress::parse(&format!("https://{}.example", "a".repeat(600))).is_err());
    }
}
