//! Connecting: what a provider's OAuth is, the way from a click to a confirmed connection, and keeping it alive.

pub mod authority;
pub mod grant;
pub mod keep_alive;
pub mod oauth;

#[cfg(test)]
mod tests;
