//! `cargo xtask attack`: decides whether hostile clients or a broken machine take the release
//! build down.
//!
//! Every part starts a server of its own on loopback, over a directory of its own, and says for
//! each bound whether it held. Name parts to run only those: `cargo xtask attack idle drip`.

mod crowds;
mod drip;
mod exchange;
mod faults;
mod idle;
mod mixed;
mod ranges;
mod readers;
mod slowhttptest;
mod starved;
mod stop;
mod storm;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::trial::{self, Part};

/// How long `mixed` runs unless it is said.
const MINUTES: f64 = 30.0;
/// The most minutes that can be asked for: a week.
const MINUTES_MAX: f64 = 7.0 * 24.0 * 60.0;

const PARTS: [Part; 11] = [
    Part { name: "idle", run: idle::run, longest: Duration::from_secs(180) },
    Part { name: "storm", run: storm::run, longest: Duration::from_secs(180) },
    Part { name: "drip", run: drip::run, longest: Duration::from_secs(240) },
    Part { name: "readers", run: readers::run, longest: Duration::from_secs(300) },
    Part { name: "ranges", run: ranges::run, longest: Duration::from_secs(120) },
    Part { name: "starved", run: starved::run, longest: Duration::from_secs(120) },
    Part { name: "stop", run: stop::run, longest: Duration::from_secs(900) },
    Part { name: "faults", run: faults::run, longest: Duration::from_secs(3600) },
    Part { name: "start", run: faults::start::run, longest: Duration::from_secs(900) },
    Part { name: "slowhttptest", run: slowhttptest::run, longest: Duration::from_secs(300) },
    Part { name: "mixed", run: mixed::run, longest: Duration::from_secs(120) },
];

/// Runs the named parts, or all: `[PART ...] [--quick] [--minutes N]`.
///
/// # Errors
/// When a bound was missed, a part could not come to its end, or the arguments are not understood.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut names, mut quick, mut minutes) = (Vec::new(), false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => quick = true,
            "--minutes" => {
                let value = args.next().context("--minutes needs a number")?;
                let value: f64 = value.parse().with_context(|| format!("--minutes {value}"))?;
                ensure!(value > 0.0 && value <= MINUTES_MAX, "--minutes {value} is out of range");
                minutes = Some(value);
            }
            option if option.starts_with('-') => bail!("no such option: {option}"),
            name => names.push(name.to_owned()),
        }
    }
    let minutes = minutes.unwrap_or(if quick { 1.0 } else { MINUTES });
    trial::run("attack", &PARTS, &names, quick, minutes)
}
