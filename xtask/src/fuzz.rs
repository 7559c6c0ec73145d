//! `cargo xtask fuzz [TARGET ...] [--seconds N]`: looks for inputs of which a claim does not hold.
//!
//! The targets are those of `crates/http-proto/fuzz`. What they check is run on the inputs known so
//! far by `cargo xtask test` as well; a fuzzer is needed only to find more.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// For how long each target runs unless it is said.
const SECONDS: u64 = 60;

/// Seconds after which a single input counts as one that never ends.
const INPUT_SECONDS_MAX: u64 = 10;

/// Runs the named targets, or all, one after the other.
///
/// # Errors
/// When an input was found that breaks a claim, or cargo-fuzz is not there.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let dir = workspace().join("crates/http-proto/fuzz");
    let known = known(&dir)?;
    let (names, seconds) = read(args, &known)?;
    if !is_installed()? {
        bail!("cargo-fuzz is not installed - try: cargo install cargo-fuzz");
    }
    // A sanitizer would need a nightly compiler, and has little to find where no code is unsafe.
    let options = ["--sanitizer", "none", "--target-dir"];
    let built = target_dir().join("fuzz");
    let mut build = cargo(&dir, &["fuzz", "build"]);
    if !build.args(options).arg(&built).status()?.success() {
        bail!("the targets were not built");
    }
    let mut broken = Vec::new();
    for name in names {
        println!("\n== {name}, {seconds} s");
        // What is found goes beside the build, so that no run changes what is checked in.
        let found = built.join("corpus").join(&name);
        std::fs::create_dir_all(&found).with_context(|| found.display().to_string())?;
        let mut fuzz = cargo(&dir, &["fuzz", "run", &name]);
        fuzz.arg(found).arg(dir.join("corpus").join(&name)).args(options).arg(&built);
        fuzz.args(["--", "-dict=http.dict", "-print_final_stats=1"]);
        fuzz.arg(format!("-max_total_time={seconds}"));
        fuzz.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
        if !fuzz.status()?.success() {
            broken.push(name);
        }
    }
    if !broken.is_empty() {
        let artifacts = dir.join("artifacts");
        bail!("broken: {} - the inputs are in {}", broken.join(", "), artifacts.display());
    }
    Ok(())
}

/// The names of all targets.
fn known(dir: &Path) -> Result<Vec<String>> {
    let dir = dir.join("fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Which targets to run, and for how many seconds each.
fn read(args: &[String], known: &[String]) -> Result<(Vec<String>, u64)> {
    let mut names = Vec::new();
    let mut seconds = SECONDS;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let number = args.next().and_then(|value| value.parse().ok());
            // To the fuzzer none would mean without end.
            let positive = number.filter(|number| *number > 0);
            seconds = positive.context("--seconds takes a number of seconds")?;
        } else if known.contains(arg) {
            names.push(arg.clone());
        } else {
            bail!("no such target: {arg} - the targets are {}", known.join(", "));
        }
    }
    Ok((if names.is_empty() { known.to_vec() } else { names }, seconds))
}

fn is_installed() -> Result<bool> {
    let mut version = cargo(workspace(), &["fuzz", "--version"]);
    let status = version.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.context("cargo cannot be started")?.success())
}

fn cargo(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(dir);
    command
}

/// Where cargo puts what it builds of this workspace.
fn target_dir() -> PathBuf {
    let place = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace().join(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(args: &[&str]) -> Result<(Vec<String>, u64), String> {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        read(&owned(args), &owned(&["date", "head"])).map_err(|why| why.to_string())
    }

    #[test]
    fn arguments_name_targets_and_a_time() {
        let both = vec!["date".to_string(), "head".to_string()];
        assert_eq!(says(&[]), Ok((both.clone(), SECONDS)));
        assert_eq!(says(&["--seconds", "5"]), Ok((both, 5)));
        assert_eq!(says(&["head", "--seconds", "5"]), Ok((vec!["head".to_string()], 5)));
        assert!(says(&["tail"]).unwrap_err().contains("the targets are date, head"));
        for seconds in [&["--seconds"][..], &["--seconds", "x"], &["--seconds", "0"]] {
            assert!(says(seconds).unwrap_err().contains("takes a number"), "{seconds:?}");
        }
    }

    #[test]
    fn every_target_has_a_corpus() {
        let dir = workspace().join("crates/http-proto/fuzz");
        let known = known(&dir).unwrap();
        assert!(known.iter().all(|name| dir.join("corpus").join(name).is_dir()), "{known:?}");
    }
}
