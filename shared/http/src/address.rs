//! Which addresses are spoken to.
//!
//! Source: the IANA registries of special-purpose addresses for IPv4 and IPv6. IPv6 is judged the other way round: only
//! 2000::/3 is public, less what is special in it; that leaves out loopback, link-local, unique local, multicast,
//! mapped and compatible IPv4, and NAT64 (64:ff9b::/96), behind which any IPv4 address may hide.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// IPv4 blocks that are not public.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),       // this network, unspecified
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carrier-grade NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// IPv4 blocks that a stack on one machine or in a private network lives in.
const PRIVATE_V4: [([u8; 4], u32); 5] =
    [([10, 0, 0, 0], 8), ([100, 64, 0, 0], 10), ([127, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];

/// The only IPv6 block that is public.
const GLOBAL_V6: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// IPv6 blocks in it that are not.
const SPECIAL_V6: [([u16; 8], u32); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarks, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// IPv6 blocks that a stack on one machine or in a private network lives in.
const PRIVATE_V6: [([u16; 8], u32); 2] = [([0, 0, 0, 0, 0, 0, 0, 1], 128), ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7)];

/// A cloud's own services, the instance's credentials among them, within the unique local addresses.
const CLOUD_V6: ([u16; 8], u32) = ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32);

/// How far requests may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses.
    Public,
    /// Loopback and private networks too.
    Private,
}

impl Reach {
    /// True where this address may be spoken to.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => {
                !SPECIAL_V4.iter().any(|block| in_v4(v4, *block))
                    || self == Self::Private && PRIVATE_V4.iter().any(|block| in_v4(v4, *block))
            }
            IpAddr::V6(v6) => {
                in_v6(v6, GLOBAL_V6) && !SPECIAL_V6.iter().any(|block| in_v6(v6, *block))
                    || self == Self::Private && PRIVATE_V6.iter().any(|block| in_v6(v6, *block)) && !in_v6(v6, CLOUD_V6)
            }
        }
    }
}

fn in_v4(address: Ipv4Addr, (block, length): ([u8; 4], u32)) -> bool {
    (u32::from(address) ^ u32::from(Ipv4Addr::from(block))).leading_zeros() >= length
}

fn in_v6(address: Ipv6Addr, (block, length): ([u16; 8], u32)) -> bool {
    (u128::from(address) ^ u128::from(Ipv6Addr::from(block))).leading_zeros() >= length
}

/// A name has addresses, and none that we speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Self::TEXT)]
pub(crate) struct Refused;

impl Refused {
    /// What is said of it.
    pub(crate) const TEXT: &str = "not a public address";
}

/// The addresses of a name.
pub(crate) type LookedUp = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Asks for a name's addresses.
pub(crate) trait Lookup: Send + Sync {
    /// All of them, checked by nobody.
    fn lookup(&self, name: &str) -> LookedUp;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> LookedUp {
        let name = name.to_owned();
        // Port 0: the connector puts the address's own there.
        Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
    }
}

/// Hands over checked addresses only. The connector connects to what it is handed and doesn't ask again, so a name
/// that changes its mind between check and connection gains nothing.
pub(crate) struct CheckedResolver {
    lookup: Arc<dyn Lookup>,
    reach: Reach,
}

impl CheckedResolver {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, reach: Reach) -> Self {
        Self { lookup, reach }
    }

    /// The addresses of a name that may be spoken to, at least one.
    pub(crate) fn checked(&self, name: &str) -> impl Future<Output = Result<Vec<SocketAddr>, CheckError>> + use<> {
        let found = self.lookup.lookup(name);
        let reach = self.reach;
        async move {
            let mut addresses = found.await?;
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            addresses.retain(|address| reach.allows(address.ip()));
            if addresses.is_empty() {
                return Err(Refused.into());
            }
            Ok(addresses)
        }
    }
}

type CheckError = Box<dyn Error + Send + Sync>;

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let checked = self.checked(name.as_str());
        Box::pin(async move {
            let addresses: Addrs = Box::new(checked.await?.into_iter());
            Ok(addresses)
        })
    }
}
