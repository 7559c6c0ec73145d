//! `cargo xtask test`: all that must hold before a change goes in, the quick checks first.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{invariants, model, requirements, workspace};

/// Orders of the steps of tcp-core's threads that are tried: a second or two.
const SCHEDULES: usize = 500;

/// Runs every check and stops at the first that fails.
///
/// # Errors
/// One sentence on the check that failed; what was wrong has been printed by then.
pub(crate) fn run() -> Result<()> {
    optional("formatting", "fmt", &["--all", "--check"])?;
    optional(
        "lints",
        "clippy",
        &["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    )?;
    say("invariants");
    invariants::run(workspace())?;
    say("requirements");
    requirements::run(workspace())?;

    step("build", &mut cargo(&["build", "--locked", "-p", "httpd-cli"]))?;
    step(
        "http-proto without its server",
        &mut cargo(&["test", "--locked", "-p", "http-proto", "--no-default-features"]),
    )?;
    say("model");
    model::run(&["--schedules".to_owned(), SCHEDULES.to_string()])?;
    // Last, so that its summary is the last thing on the screen.
    step("tests", cargo(&["test", "--workspace", "--locked"]).env("HTTPD", binary()?))
}

/// A step that needs a component of the toolchain which not everybody has installed.
fn optional(name: &str, subcommand: &str, args: &[&str]) -> Result<()> {
    let there = cargo(&[subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cargo cannot be started")?;
    if !there.success() {
        say(&format!("{name}: skipped, `cargo {subcommand}` is not installed"));
        return Ok(());
    }
    step(name, cargo(&[subcommand]).args(args))
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    say(name);
    let status = command.status().with_context(|| format!("{name}: cargo cannot be started"))?;
    if !status.success() {
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        bail!("{name} failed: cargo {}", args.join(" "));
    }
    Ok(())
}

fn say(name: &str) {
    eprintln!("\n== {name}");
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace());
    command
}

/// The `httpd` just built: it lies beside this program, which cargo built with the same profile
/// into the same directory.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("httpd");
    if !path.is_file() {
        bail!("{} was not built - run this as `cargo xtask test`", path.display());
    }
    Ok(path)
}
