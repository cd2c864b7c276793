//! The `sage` dialect held to its promises: the exact requests, the meaning of every reply, the law of the executor, and
//! the published description of the API.

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
mod replies;
#[cfg(test)]
mod requests;
