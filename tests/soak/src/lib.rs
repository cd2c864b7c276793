//! What a local AWS engine never does by itself: the fault proxy stands between functions and engine and does it.

pub mod proxy;
