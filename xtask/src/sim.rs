//! `cargo xtask sim [--seeds N] [--from S] [--seed S]`: plays simulated clients, machines and other
//! programs against the server's own code, a run for each seed, on all cores.
//!
//! What is checked is in `tests/sim`. In processes of their own, so that one that dies takes no
//! other with it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The profile of the workspace that it is built with.
const PROFILE: &str = "simulation";

/// Processes for each core: half of the time a run waits for the kernel to close what told it of
/// changes.
const PROCESSES: usize = 2;

/// Seeds that are played unless it is said: a minute or two.
const SEEDS: u64 = 100_000;

/// Runs the seeds.
///
/// # Errors
/// When one of them has failed; it has been printed by then.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut seeds, mut from, mut only) = (SEEDS, 0, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let number = args.next().with_context(|| format!("{arg} wants a number"))?;
        let number: u64 = number.parse().with_context(|| format!("{arg} {number}"))?;
        match arg.as_str() {
            "--seeds" => seeds = number,
            "--from" => from = number,
            "--seed" => only = Some(number),
            _ => bail!("{arg}? - try --seeds N, --from S or --seed S"),
        }
    }
    let simulate = build()?;
    if let Some(seed) = only {
        let status = Command::new(&simulate).args(["--seed", &seed.to_string()]).status()?;
        return if status.success() { Ok(()) } else { bail!("seed {seed} has failed") };
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processes = (PROCESSES * cores) as u64;
    let share = seeds.div_ceil(processes);
    let mut running = Vec::new();
    for process in 0..processes {
        let first = from.saturating_add(process * share);
        let count = share.min(from.saturating_add(seeds).saturating_sub(first));
        let mut command = Command::new(&simulate);
        command.args(["--from", &first.to_string(), "--seeds", &count.to_string()]);
        running.push(command.spawn().context("the simulator cannot be started")?);
    }
    let mut failed = 0;
    for mut process in running {
        failed += u32::from(!process.wait()?.success());
    }
    if failed > 0 {
        bail!("a seed has failed");
    }
    Ok(())
}

/// Builds the simulator, and says where it is.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "-p", "simulation", "--bin", "simulate"]);
    command.args(["--profile", PROFILE]).current_dir(workspace());
    if !command.status().context("cargo cannot be started")?.success() {
        bail!("the simulator was not built");
    }
    // This program lies in the same target directory, in the one of its own profile.
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("this program lies in no target directory")?;
    Ok(target.join(PROFILE).join("simulate"))
}
