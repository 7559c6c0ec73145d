//! Runs every checked-in input of the fuzz targets through what they check.
//!
//! A fuzzer is needed to find such inputs, not to try them again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|why| panic!("{}: {why}", dir.display()));
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("a directory can be read").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_holds() {
    let mut failed = Vec::new();
    for (target, check) in fuzz::TARGETS {
        let inputs = entries(&corpus().join(target));
        assert!(!inputs.is_empty(), "{target} has no input to try");
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "what is claimed does not hold of {failed:#?}");
}

#[test]
fn every_directory_of_the_corpus_has_a_target() {
    let mut targets = fuzz::TARGETS.map(|(target, _)| corpus().join(target));
    targets.sort();
    assert_eq!(entries(&corpus()), targets);
}
