//! Runs wrk, the load generator, and reads what it counted.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{self, Guarded};
use super::workloads::Workload;
use crate::compare::peer::find_program;

/// wrk takes an answer later than this for an error.
const ANSWER_MAX: &str = "30s";
/// How much longer than it was told wrk may take to start and to end.
const EXTRA_MAX: Duration = Duration::from_secs(40);

/// Prints what was counted in one line that is easy to read; asked for by name in [`parse`].
const DONE: &str = "\
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    \"counted: requests=%d duration=%d bytes=%d \" ..
    \"connect=%d read=%d write=%d timeout=%d status=%d\\n\",
    summary.requests, summary.duration, summary.bytes,
    e.connect, e.read, e.write, e.timeout, e.status))
end
";

/// What wrk counted in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) requests: u64,
    /// In microseconds.
    pub(super) duration: u64,
    /// Octets of the answers, heads included.
    pub(super) bytes: u64,
    /// Connections, reads and writes that failed, and answers that were too late.
    pub(super) socket_errors: u64,
    /// Answers with a status over 399.
    pub(super) over_399: u64,
}

/// The program, and where it keeps its scripts.
pub(super) struct Wrk {
    path: PathBuf,
    dir: PathBuf,
    pub(super) version: String,
}

/// How one run differs from others.
pub(super) struct Load<'a> {
    pub(super) workload: &'a Workload,
    pub(super) connections: usize,
    /// Field lines that are the server's own, such as its tag.
    pub(super) fields: &'a [String],
    pub(super) threads: u32,
    pub(super) seconds: u32,
    /// The cores that wrk may use.
    pub(super) cores: Option<&'static str>,
}

impl Wrk {
    /// Finds it; scripts are written to `dir`.
    ///
    /// # Errors
    /// When it is not installed.
    pub(super) fn find(dir: &Path) -> Result<Wrk> {
        let path = find_program("wrk").context(
            "the load generator wrk is not installed: no program wrk in PATH - try: apt install \
             wrk",
        )?;
        let said = Command::new(&path).arg("-v").output().map(|said| said.stdout);
        let said = said.unwrap_or_default();
        let version = String::from_utf8_lossy(&said).split(" [").next().unwrap_or("").to_owned();
        Ok(Wrk { path, dir: dir.to_owned(), version })
    }

    /// Asks the server at `addr` for as long as `load` says.
    ///
    /// # Errors
    /// When wrk fails, or says nothing that makes sense.
    pub(super) fn run(&self, addr: SocketAddr, load: &Load<'_>) -> Result<Counted> {
        let (script, output) = (self.dir.join("wrk.lua"), self.dir.join("wrk.out"));
        fs::write(&script, load.workload.script() + DONE)?;
        let mut command = pinned(&self.path, load.cores);
        command.arg(format!("-t{}", load.threads)).arg(format!("-c{}", load.connections));
        command.arg(format!("-d{}s", load.seconds)).args(["--timeout", ANSWER_MAX]);
        let own = load.fields.iter().map(String::as_str);
        for field in load.workload.fields.iter().copied().chain(own) {
            command.args(["-H", field]);
        }
        command.arg("-s").arg(&script).arg(format!("http://{addr}{}", load.workload.path));
        let said = fs::File::create(&output)?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let patience = Duration::from_secs(u64::from(load.seconds)) + EXTRA_MAX;
        Guarded::spawn(&mut command)?.wait(patience).context("wrk")?;
        let text = fs::read_to_string(&output)?;
        parse(&text).with_context(|| format!("wrk said:\n{text}"))
    }

    /// The same, and the CPU time that wrk itself needed, in microseconds.
    pub(super) fn run_timed(&self, addr: SocketAddr, load: &Load<'_>) -> Result<(Counted, f64)> {
        let before = process::cpu_of_ended_children();
        let counted = self.run(addr, load)?;
        Ok((counted, process::cpu_of_ended_children() - before))
    }
}

/// A command that may use only those cores. `taskset` becomes the program, so the process id is
/// that of the program.
pub(super) fn pinned(program: &Path, cores: Option<&str>) -> Command {
    match cores {
        None => Command::new(program),
        Some(cores) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(program);
            command
        }
    }
}

/// The numbers in the line that [`DONE`] prints.
fn parse(text: &str) -> Option<Counted> {
    let line = text.lines().find_map(|line| line.strip_prefix("counted: "))?;
    let number = |name: &str| -> Option<u64> {
        let mut pairs = line.split(' ').filter_map(|word| word.split_once('='));
        pairs.find(|(found, _)| *found == name)?.1.parse().ok()
    };
    let errors = ["connect", "read", "write", "timeout"].into_iter().map(number);
    Some(Counted {
        requests: number("requests")?,
        duration: number("duration").filter(|duration| *duration > 0)?,
        bytes: number("bytes")?,
        socket_errors: errors.sum::<Option<u64>>()?,
        over_399: number("status")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 1s test @ http://127.0.0.1:8080/1k.bin\n\
        \x20 1 threads and 64 connections\n\
        \x20 70002 requests in 1.10s, 88.45MB read\n\
        Requests/sec:  63640.12\n\
        counted: requests=70002 duration=1100001 bytes=92746240 connect=1 read=2 write=3 \
        timeout=4 status=5\n";

    #[test]
    fn the_numbers_are_found_among_what_wrk_says() {
        let expected = Counted {
            requests: 70_002,
            duration: 1_100_001,
            bytes: 92_746_240,
            socket_errors: 10,
            over_399: 5,
        };
        assert_eq!(parse(SAID), Some(expected));
    }

    #[test]
    fn half_a_line_is_no_answer() {
        for text in [
            "",
            "unable to connect to 127.0.0.1:1 Connection refused\n",
            &SAID.replace(" status=5", ""),
            &SAID.replace("duration=1100001", "duration=0"),
            &SAID.replace("read=2", "read=x"),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
