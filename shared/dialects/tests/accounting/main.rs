//! The `accounting` dialect held to its promises: the exact requests, the meaning of every reply, the law of the
//! executor, the published description of the API, and Xero's own examples of rounding.

#[cfg(test)]
mod contract;
#[cfg(test)]
#[path = "../described/mod.rs"]
mod described;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod law;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod rounding;
