//! The `freeagent` dialect held to its promises, by the tests of its family and by some of its own.

#[cfg(test)]
#[path = "../v2/family_replies.rs"]
mod family_replies;
#[cfg(test)]
#[path = "../v2/family_requests.rs"]
mod family_requests;
#[cfg(test)]
#[path = "../v2/fixtures.rs"]
mod fixtures;
#[cfg(test)]
#[path = "../v2/law.rs"]
mod law;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod rounding;

/// The house under test.
#[cfg(test)]
static DIALECT: &ledger_dialects::v2::Family = &ledger_dialects::v2::FREEAGENT;
/// Its address.
#[cfg(test)]
const BASE: &str = "https://api.freeagent.com";
/// A contact of it.
#[cfg(test)]
const CONTACT: &str = "https://api.freeagent.com/v2/contacts/2";
/// Where its snapshots are, seen from the files that the houses share.
#[cfg(test)]
const SNAPSHOTS: &str = "../freeagent/snapshots";
