//! Connecting: shops by a pairing code; books by what a provider's OAuth is, from a click to a confirmed connection that is
//! kept alive.

pub mod authority;
pub mod grant;
pub mod keep_alive;
pub mod oauth;
pub mod pairing;

#[cfg(test)]
mod tests;
