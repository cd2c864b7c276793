//! One fuzz target under libFuzzer: `FUZZ_TARGET=shop_token ledger-fuzz [CORPUS] [LIBFUZZER'S OPTIONS]`. `make fuzz` builds it
//! with coverage and runs all of them.
#![no_main]

use ledger_fuzz::Target;
use std::sync::OnceLock;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn chosen() -> &'static Target {
    TARGET.get_or_init(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "libFuzzer owns the arguments; the entry point reads the environment"
        )]
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let known: Vec<&str> = ledger_fuzz::TARGETS.iter().map(|target| target.name).collect();
        let Some(target) = ledger_fuzz::TARGETS.iter().find(|target| target.name == name) else {
            let told = format!("FUZZ_TARGET is one of {}\n", known.join(", "));
            std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).ok();
            std::process::exit(2);
        };
        target
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (chosen().takes)(data));
