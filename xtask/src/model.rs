//! `cargo xtask model` and `cargo xtask tsan`: whether the threads of tcp-core get on together.
//!
//! The model tries orders in which they may make their steps, and finds waits without end, lost
//! connections and wrong counts. ThreadSanitizer watches the real threads of the crate's tests.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What ThreadSanitizer is built for: it needs to be told.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs the model, with `--schedules N` for more or fewer of them.
///
/// # Errors
/// When a schedule was found in which something goes wrong; it has been printed, and can be played
/// again with `shuttle::replay`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut test = cargo(&["test", "--locked", "-p", "tcp-core", "--features", "model"]);
    match args {
        [] => {}
        [flag, number] if flag == "--schedules" && number.parse::<usize>().is_ok() => {
            test.env("TCP_CORE_SCHEDULES", number);
        }
        _ => bail!("model takes nothing but --schedules N"),
    }
    // The crate's other tests need real threads and sockets.
    finish(test.args(["--lib", "sync::tests::"]))
}

/// Runs the tests of tcp-core under ThreadSanitizer, where there is a nightly compiler with the
/// source of the standard library, which has to be built for it, too.
///
/// # Errors
/// When a race was found.
pub(crate) fn sanitize() -> Result<()> {
    if !has_nightly()? {
        println!("skipped: it takes rustup's nightly toolchain with its component rust-src");
        return Ok(());
    }
    let mut test = Command::new("rustup");
    test.args(["run", "nightly", "cargo", "test", "--locked", "-p", "tcp-core"]);
    test.args(["-Zbuild-std", "--target", TARGET, "--lib", "--tests"]);
    // Beside what the other compiler has built, which it would throw away.
    test.args(["--target-dir", "target/tsan"]).current_dir(workspace());
    finish(test.env("RUSTFLAGS", "-Zsanitizer=thread").env_remove("RUSTUP_TOOLCHAIN"))
}

fn has_nightly() -> Result<bool> {
    let mut list = Command::new("rustup");
    list.args(["component", "list", "--toolchain", "nightly", "--installed"]);
    match list.stderr(Stdio::null()).output() {
        Ok(list) => {
            Ok(String::from_utf8_lossy(&list.stdout).lines().any(|line| line == "rust-src"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("rustup cannot be started"),
    }
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace());
    command
}

fn finish(command: &mut Command) -> Result<()> {
    match command.status().context("cargo cannot be started")?.success() {
        true => Ok(()),
        false => bail!("something goes wrong between threads"),
    }
}
