//! `cargo xtask soak`: decides whether the release build bears many, big, slow and writing clients.
//!
//! Every part starts a server of its own, asks it over loopback and says for each bound whether it
//! held. Name parts to run only those: `cargo xtask soak idle large`.

mod client;
mod drip;
pub(crate) mod gauge;
mod idle;
mod large;
pub(crate) mod server;
mod uploads;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The whole of it, the build apart, may take this long.
const SOAK_MAX: Duration = Duration::from_secs(230);

type Part = fn(&mut Verdicts, Instant) -> Result<()>;

const PARTS: [(&str, Part); 4] =
    [("idle", idle::run), ("large", large::run), ("drip", drip::run), ("uploads", uploads::run)];

/// Runs the named parts, or all.
///
/// # Errors
/// When a bound was missed, or a part could not come to its end.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| PARTS.iter().all(|(known, _)| known != name)) {
        bail!("no such part: {name} - the parts are idle, large, drip and uploads");
    }
    server::build()?;
    let deadline = Instant::now() + SOAK_MAX;
    let mut verdicts = Verdicts::default();
    for (name, part) in PARTS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("\n{name}");
            part(&mut verdicts, deadline).with_context(|| format!("soak {name}"))?;
        }
    }
    println!("\nbounds held: {}, missed: {}", verdicts.held, verdicts.missed);
    match verdicts.missed {
        0 => Ok(()),
        missed => bail!("soak: bounds missed: {missed}"),
    }
}

/// Counts the bounds that held and those that did not.
#[derive(Default)]
struct Verdicts {
    held: u32,
    missed: u32,
}

impl Verdicts {
    /// Prints and counts one bound: `measured` has to be under `bound`, both in `unit`.
    fn under(&mut self, what: &str, measured: f64, bound: f64, unit: &str) {
        let found = format!("{measured:.2} {unit}, bound {bound} {unit}");
        self.claim(what, measured < bound, &found);
    }

    /// Prints and counts one claim, with what was found.
    fn claim(&mut self, what: &str, holds: bool, found: &str) {
        println!("  {} {what}: {found}", if holds { "ok    " } else { "MISSED" });
        if holds { self.held += 1 } else { self.missed += 1 }
    }
}
