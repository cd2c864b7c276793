//! Fuzz targets: everything that a stranger sends and that we take apart, and what has to hold whatever the bytes are.
//!
//! A target panics where it does not hold. `tests/corpus.rs` runs them over the committed corpus in every test run;
//! `make fuzz` lets libFuzzer look for more.

mod books;
mod shop;
mod tokens;

/// Something that strangers' bytes reach.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Takes an input; panics where something does not hold.
    pub takes: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "shop_token", takes: tokens::of_a_shop },
    Target { name: "operator_token", takes: tokens::of_an_operator },
    Target { name: "delivery", takes: shop::delivery },
    Target { name: "shop_answer", takes: shop::answer },
    Target { name: "settings_draft", takes: shop::settings_draft },
    Target { name: "book_answers", takes: books::answers },
];

/// Fails loudly: libFuzzer and the test harness both count a panic as a find.
#[track_caller]
fn holds(so: bool, what: &str) {
    assert!(so, "{what}");
}
