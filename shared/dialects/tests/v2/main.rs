//! The `v2` dialect held to its promises: the exact requests, the meaning of every reply, and the law of the executor.

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod law;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod requests;
