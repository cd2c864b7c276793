//! The `v2` dialect held to its promises: the exact requests, the meaning of every reply, and the law of the executor.

#[cfg(test)]
mod family_replies;
#[cfg(test)]
mod family_requests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod law;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod requests;

/// The house under test.
#[cfg(test)]
static DIALECT: &ledger_dialects::v2::Family = &ledger_dialects::v2::V2;
/// Its address.
#[cfg(test)]
const BASE: &str = "https://api.xero.com";
/// A contact of it.
#[cfg(test)]
const CONTACT: &str = "https://api.xero.com/v2/contacts/2";
/// Where its snapshots are, seen from the files that the houses share.
#[cfg(test)]
const SNAPSHOTS: &str = "snapshots";
