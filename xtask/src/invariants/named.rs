//! Finds files and directories that the documents name in `code` and that are not there: a map that
//! leads nowhere, or a test that is said to show what nobody tests any more.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Violation;

/// The documents that lead through the code.
const DOCUMENTS: [&str; 3] = ["README.md", "crates/README.md", "tests/README.md"];

/// What a path in one of them is relative to, besides the sources of each crate.
const BASES: [&str; 3] = ["", "crates", "tests"];

/// The directories whose names begin a path that is meant as one.
const PARTS: [&str; 7] =
    ["crates", "tests", "xtask", "tcp-core", "http-proto", "fileserve", "httpd-cli"];

/// What is named and is not there.
///
/// # Errors
/// When a document or the directory of the crates cannot be read.
pub(super) fn missing(dir: &Path) -> Result<Vec<Violation>> {
    let mut bases: Vec<_> = BASES.iter().map(|base| dir.join(base)).collect();
    for entry in fs::read_dir(dir.join("crates"))? {
        bases.push(entry?.path().join("src"));
    }
    let mut found = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(dir.join(document)).context(document)?;
        found.extend(missing_of(document, &text, &bases));
    }
    Ok(found)
}

fn missing_of(document: &str, text: &str, bases: &[PathBuf]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        // Every second part of a line is between two backticks.
        for name in line.split('`').skip(1).step_by(2).filter(|name| is_of_the_project(name)) {
            if !bases.iter().any(|base| base.join(name).exists()) {
                let message = format!("`{name}` is not there");
                found.push(Violation {
                    path: document.to_owned(),
                    line: number,
                    number: 0,
                    message,
                });
            }
        }
    }
    found
}

/// Whether a piece of code is the path of a source, a document, or what is kept beside them. Other
/// paths are examples.
fn is_of_the_project(code: &str) -> bool {
    let is_path = code.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./".contains(&c));
    let is_kind = [".rs", ".md"].iter().any(|kind| code.ends_with(kind));
    let is_beneath =
        |part: &&str| code.strip_prefix(*part).is_some_and(|rest| rest.starts_with('/'));
    is_path && (is_kind || PARTS.iter().any(is_beneath))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_nowhere_is_caught_and_an_example_is_not() {
        let bases = [crate::workspace().to_owned(), crate::workspace().join("xtask/src")];
        let text = "`invariants.rs`, `xtask/src`, `a.html`, `/x/y`, `*.rs`\n`gone.rs` `tests/gone`";
        let found = missing_of("a.md", text, &bases);
        let said: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["a.md:2: `gone.rs` is not there", "a.md:2: `tests/gone` is not there"]);
    }
}
