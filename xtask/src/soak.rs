//! `cargo xtask soak`: decides whether the release build bears big files, and reads beside writes.
//!
//! Every part starts a server of its own, asks it over loopback and says for each bound whether it
//! held. Name parts to run only those: `cargo xtask soak large`. Hostile clients are `attack`'s.

mod large;
mod uploads;

use std::time::Duration;

use anyhow::Result;

use crate::trial::{self, Part};

const PARTS: [Part; 2] = [
    Part { name: "large", run: large::run, longest: Duration::from_secs(100) },
    Part { name: "uploads", run: uploads::run, longest: Duration::from_secs(130) },
];

/// Runs the named parts, or all.
///
/// # Errors
/// When a bound was missed, or a part could not come to its end.
pub(crate) fn run(names: &[String]) -> Result<()> {
    trial::run("soak", &PARTS, names, false, 0.0)
}
