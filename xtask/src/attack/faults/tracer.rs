//! Attaches `strace` to a running server, to see its calls or to let one of them fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::trial::server::Server;

/// How long strace may take to attach, or to let go.
const ATTACH_MAX: Duration = Duration::from_secs(10);

/// A running strace. It is killed when this is dropped.
pub(super) struct Tracer {
    child: Child,
    output: PathBuf,
}

/// What strace has written.
pub(super) struct Log(String);

/// Why nothing can be traced here, if so.
pub(super) fn missing() -> Option<String> {
    let output = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    match output {
        Err(_) => Some("strace is not installed".to_owned()),
        Ok(output) if !output.status.success() => {
            let why = String::from_utf8_lossy(&output.stderr);
            Some(format!("strace cannot trace here: {}", why.trim()))
        }
        Ok(_) => None,
    }
}

impl Tracer {
    /// Attaches to all threads of the server, and returns once it has.
    pub(super) fn attach(server: &Server, inject: Option<&str>) -> Result<Tracer> {
        let output = output(server);
        let mut command = Command::new("strace");
        command.args(["-qq", "-yy", "-s", "0", "-o"]).arg(&output);
        let mut threads = threads(server.pid())?;
        if let Some(inject) = inject {
            let call = inject.split(':').next().unwrap_or(inject);
            command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
            if call == "recvfrom" {
                // The main thread waits for signals, from a pair of sockets of which a read cannot
                // fail as that of a connection can.
                threads.retain(|thread| *thread != server.pid());
            }
        }
        // `-f` with the process would be all threads, always.
        for thread in &threads {
            command.args(["-p", &thread.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("strace cannot be started")?;
        let mut tracer = Tracer { child, output };
        let deadline = Instant::now() + ATTACH_MAX;
        while !is_traced(server.pid(), &threads) {
            if let Some(status) = tracer.child.try_wait()? {
                bail!("strace ended instead of attaching: {status}");
            }
            if Instant::now() > deadline {
                bail!("strace did not attach to all threads in time");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(tracer)
    }

    /// Lets go of the server.
    pub(super) fn detach(mut self) -> Result<Log> {
        // It may have ended with the server.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let deadline = Instant::now() + ATTACH_MAX;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                // The kernel then lets go for it.
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Log::read(&self.output))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The threads of a process.
fn threads(pid: u32) -> Result<Vec<u32>> {
    let mut threads = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        threads.extend(thread?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(threads)
}

/// Whether each of the threads has a tracer, or has ended.
fn is_traced(pid: u32, threads: &[u32]) -> bool {
    threads.iter().all(|thread| {
        let path = format!("/proc/{pid}/task/{thread}/status");
        let status = std::fs::read_to_string(path).unwrap_or_default();
        !status.lines().any(|line| line.starts_with("TracerPid:\t0"))
    })
}

/// Where strace writes what a server does.
fn output(server: &Server) -> PathBuf {
    server.dir().join("strace")
}

impl Log {
    /// What has been written of the server so far.
    pub(super) fn of(server: &Server) -> Log {
        Log::read(&output(server))
    }

    fn read(path: &Path) -> Log {
        Log(std::fs::read_to_string(path).unwrap_or_default())
    }

    /// How often the busiest thread makes each call.
    pub(super) fn calls(&self) -> Result<BTreeMap<String, usize>> {
        let mut by_thread: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for line in self.0.lines() {
            let (thread, rest) = line.split_once(' ').context("a line without a thread")?;
            // `1234  read(3, ...`; the second half of an interrupted line begins with `<...`.
            let call = rest.trim_start().split('(').next().unwrap_or_default();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !call.is_empty() && call.chars().all(is_name) {
                *by_thread.entry((thread, call)).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((_, call), count) in by_thread {
            let known: &mut usize = most.entry(call.to_owned()).or_default();
            *known = count.max(*known);
        }
        Ok(most)
    }

    /// How many calls were made to fail as they cannot: an eventfd takes every write, and the pipe
    /// that signals come through has nothing that could break.
    pub(super) fn impossible(&self) -> usize {
        let is = |line: &&str| line.contains("<anon_inode:[eventfd]>") || line.contains("<UNIX");
        self.0.lines().filter(|line| line.ends_with("(INJECTED)")).filter(is).count()
    }

    /// How many calls were made to fail.
    pub(super) fn injected(&self) -> usize {
        self.0.lines().filter(|line| line.ends_with("(INJECTED)")).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_those_of_the_busiest_thread() {
        let log = Log("\
7  read(3, \"\"..., 9) = 9
7  read(3, \"\"..., 9) = -1 EIO (Input/output error) (INJECTED)
8  read(3,  <unfinished ...>
7  --- SIGHUP {si_signo=SIGHUP} ---
8  <... read resumed>\"\"..., 9) = 9
8  close(3) = 0
8  +++ exited with 0 +++
"
        .to_owned());
        let calls = log.calls().unwrap();
        assert_eq!(calls.get("read"), Some(&2));
        assert_eq!(calls.get("close"), Some(&1));
        assert_eq!(calls.len(), 2);
        assert_eq!((log.injected(), log.impossible()), (1, 0));
        let log =
            Log("7  write(6<anon_inode:[eventfd]>, \"\"..., 8) = -1 EIO (I) (INJECTED)".to_owned());
        assert_eq!((log.injected(), log.impossible()), (1, 1));
    }
}
