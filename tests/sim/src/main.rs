//! `simulate [--seeds N] [--from S] [--seed S]`: plays seeds and stops at the first that fails; one
//! alone is played with its trace.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use simulation::{Planted, play};

/// How often it is said how far it has come.
const REPORT_EVERY: u64 = 50_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("simulate: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut seeds, mut from, mut only) = (10_000, 0, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = args.next().with_context(|| format!("{arg} wants a number"))?;
        let number: u64 = number.parse().with_context(|| format!("{arg} {number}"))?;
        match arg.as_str() {
            "--seeds" => seeds = number,
            "--from" => from = number,
            "--seed" => only = Some(number),
            _ => bail!("{arg}?"),
        }
    }
    if let Some(seed) = only {
        let report = play(seed, Planted::Nothing, true);
        report.trace.iter().for_each(|line| println!("{line}"));
        match report.fault {
            Some(fault) => bail!("seed {seed}: {fault}"),
            None => println!("seed {seed} is good"),
        }
        return Ok(());
    }
    let start = Instant::now();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (count, seed) in (from..from.saturating_add(seeds)).enumerate() {
        let report = play(seed, Planted::Nothing, false);
        for what in report.seen {
            *seen.entry(what).or_default() += 1;
        }
        if let Some(fault) = report.fault {
            bail!("seed {seed}: {fault}\nthe trace: cargo xtask sim --seed {seed}");
        }
        if (count as u64 + 1).is_multiple_of(REPORT_EVERY) {
            println!("{} seeds from {from}, {:.0?}", count + 1, start.elapsed());
        }
    }
    let seen: Vec<_> = seen.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    println!("{seeds} seeds from {from} are good, {:.1?} - {}", start.elapsed(), seen.join(", "));
    Ok(())
}
