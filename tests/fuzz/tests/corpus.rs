//! Every find of the past, and what the search begins with: no target fails on them again.

use anyhow::Context as _;
use ledger_fuzz::TARGETS;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_target_holds_over_its_corpus() -> anyhow::Result<()> {
    for target in TARGETS {
        let folder = corpus().join(target.name);
        let mut inputs = 0_u32;
        for entry in std::fs::read_dir(&folder).with_context(|| format!("{} has no corpus", target.name))? {
            let path = entry?.path();
            let bytes = std::fs::read(&path)?;
            let took = std::panic::catch_unwind(|| (target.takes)(&bytes));
            anyhow::ensure!(took.is_ok(), "{} fails on {}", target.name, path.display());
            inputs += 1;
        }
        anyhow::ensure!(inputs > 0, "{} has an empty corpus", target.name);
    }
    Ok(())
}

#[test]
fn every_corpus_has_a_target() -> anyhow::Result<()> {
    for entry in std::fs::read_dir(corpus())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        anyhow::ensure!(TARGETS.iter().any(|target| target.name == name), "nobody reads {name}");
    }
    Ok(())
}
