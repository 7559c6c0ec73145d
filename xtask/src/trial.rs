//! Decides what a trial of the release build is: parts, each with a server of its own and bounds
//! that are held or missed.
//!
//! `soak` and `attack` are made of this.

pub(crate) mod beside;
pub(crate) mod client;
pub(crate) mod crowd;
pub(crate) mod gauge;
pub(crate) mod server;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A part's name, what it tries, and how long it may take.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Verdicts, &Terms) -> Result<()>,
    /// Beyond the minutes that [`Terms::minutes`] asks for.
    pub(crate) longest: Duration,
}

/// On what terms a part is run.
#[derive(Clone)]
pub(crate) struct Terms {
    /// Fewer rounds and shorter waits, to see whether it works at all.
    pub(crate) quick: bool,
    /// How long what can be tried for any time is tried.
    pub(crate) minutes: f64,
    /// When the part gives up.
    pub(crate) deadline: Instant,
}

impl Terms {
    /// One of two, by whether this is a quick run.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// # Errors
    /// When the part has taken longer than it may.
    pub(crate) fn check_time(&self) -> Result<()> {
        if Instant::now() >= self.deadline {
            bail!("out of time");
        }
        Ok(())
    }
}

/// Builds the server and runs the named parts, or all; `command` is what they belong to.
///
/// # Errors
/// When a bound was missed, a part could not come to its end, or a name is that of none.
pub(crate) fn run(
    command: &str,
    parts: &[Part],
    names: &[String],
    quick: bool,
    minutes: f64,
) -> Result<()> {
    if let Some(name) = names.iter().find(|name| parts.iter().all(|part| part.name != *name)) {
        let known: Vec<&str> = parts.iter().map(|part| part.name).collect();
        bail!("no such part: {name} - the parts are {}", known.join(", "));
    }
    server::build()?;
    let mut verdicts = Verdicts::default();
    let mut broken = Vec::new();
    for part in parts {
        if names.is_empty() || names.iter().any(|wanted| wanted == part.name) {
            println!("\n{}", part.name);
            let allowed = part.longest + Duration::from_secs_f64(minutes * 60.0);
            let start = Instant::now();
            let terms = Terms { quick, minutes, deadline: start + allowed };
            let done = (part.run)(&mut verdicts, &terms);
            if let Err(why) = done.with_context(|| format!("{command} {}", part.name)) {
                println!("  MISSED came to no end: {why:#}");
                broken.push(part.name);
            }
            println!("  (took {:.0} s)", start.elapsed().as_secs_f64());
        }
    }
    println!("\nbounds held: {}, missed: {}", verdicts.held, verdicts.missed);
    if !broken.is_empty() {
        bail!("{command}: came to no end: {}", broken.join(", "));
    }
    match verdicts.missed {
        0 => Ok(()),
        missed => bail!("{command}: bounds missed: {missed}"),
    }
}

/// Counts the bounds that held and those that did not.
#[derive(Default)]
pub(crate) struct Verdicts {
    held: u32,
    missed: u32,
}

impl Verdicts {
    /// Prints and counts one bound: `measured` has to be under `bound`, both in `unit`.
    pub(crate) fn under(&mut self, what: &str, measured: f64, bound: f64, unit: &str) {
        let found = format!("{measured:.2} {unit}, bound {bound} {unit}");
        self.claim(what, measured < bound, &found);
    }

    /// Prints and counts one claim: there was none of what must not be.
    pub(crate) fn none(&mut self, what: &str, count: usize, of: usize) {
        self.claim(what, count == 0, &format!("{count} of {of}"));
    }

    /// Prints and counts one claim, with what was found.
    pub(crate) fn claim(&mut self, what: &str, holds: bool, found: &str) {
        println!("  {} {what}: {found}", if holds { "ok    " } else { "MISSED" });
        if holds { self.held += 1 } else { self.missed += 1 }
    }
}
