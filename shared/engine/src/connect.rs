//! Connecting: shops by a pairing code.

pub mod pairing;
