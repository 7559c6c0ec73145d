//! Attaches `strace` to a running server, to see its calls or to let one of them fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::trial::server::Server;

/// How long strace may take to attach, or to let go.
const ATTACH_MAX: Duration = Duration::from_secs(10);
/// What the thread is called that writes the access log.
const LOG_THREAD: &str = "access-log";

/// A call that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) call: &'static str,
    pub(super) error: &'static str,
    /// Which of each thread's calls of this name, from 1.
    pub(super) when: usize,
    pub(super) threads: Threads,
}

/// The threads whose calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    All,
    /// All but the main thread.
    NotMain,
    /// That which writes the access log, or all others.
    Log,
    NotLog,
}

impl Fault {
    /// As strace's `-e inject=` takes it.
    pub(super) fn inject(&self) -> String {
        let Fault { call, error, when, .. } = self;
        format!("{call}:error={error}:when={when}")
    }
}

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
    /// Attaches to the server's threads, and returns once it has.
    pub(super) fn attach(server: &Server, fault: Option<&Fault>) -> Result<Tracer> {
        let output = output(server);
        let mut command = Command::new("strace");
        command.args(["-qq", "-yy", "-s", "0", "-o"]).arg(&output);
        if let Some(fault) = fault {
            let (call, inject) = (fault.call, fault.inject());
            command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
        }
        let which = fault.map_or(Threads::All, |fault| fault.threads);
        wait_for_log_thread(server.pid())?;
        let threads = threads(server.pid(), which)?;
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

/// Waits until the thread that writes the log has its name, which it gives itself.
fn wait_for_log_thread(pid: u32) -> Result<()> {
    let deadline = Instant::now() + ATTACH_MAX;
    while threads(pid, Threads::Log)?.is_empty() {
        ensure!(Instant::now() < deadline, "the server has no thread {LOG_THREAD}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Threads of a process.
fn threads(pid: u32, which: Threads) -> Result<Vec<u32>> {
    let mut threads = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?;
        let is_log = std::fs::read_to_string(thread.path().join("comm"))
            .is_ok_and(|name| name.trim_end() == LOG_THREAD);
        let number = thread.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let is_wanted = match which {
            Threads::All => true,
            Threads::NotMain => number != Some(pid),
            Threads::Log => is_log,
            Threads::NotLog => !is_log,
        };
        threads.extend(number.filter(|_| is_wanted));
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

    pub(super) fn read(path: &Path) -> Log {
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
        self.whole_calls().filter(|call| call.is_injected() && call.cannot_fail()).count()
    }

    /// How many calls were made to fail.
    pub(super) fn injected(&self) -> usize {
        self.whole_calls().filter(Call::is_injected).count()
    }

    /// Which of a thread's writes can fail, in every thread that makes so many; those of the log's
    /// thread apart.
    pub(super) fn possible_writes(&self) -> Vec<usize> {
        let mut by_thread: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for call in self.whole_calls().filter(|call| call.name() == "write") {
            if !call.start.contains("/access.log>") {
                by_thread.entry(call.thread).or_default().push(!call.cannot_fail());
            }
        }
        let most = by_thread.values().map(Vec::len).max().unwrap_or(0);
        let all_can = |at: &usize| by_thread.values().all(|can| can.get(*at).is_none_or(|it| *it));
        (0..most).filter(all_can).map(|at| at + 1).collect()
    }

    /// Each call with both halves of its line, in the order in which they ended.
    fn whole_calls(&self) -> impl Iterator<Item = Call<'_>> {
        let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
        self.0.lines().filter_map(move |line| {
            let (thread, rest) = line.split_once(' ')?;
            let rest = rest.trim_start();
            if rest.ends_with("<unfinished ...>") {
                begun.insert(thread, rest);
                return None;
            }
            let start = match rest.starts_with("<... ") {
                true => begun.remove(thread)?,
                false => rest,
            };
            Some(Call { thread, start, end: rest })
        })
    }
}

/// A call in what strace has written: the half of the line with its arguments, and that with its
/// result, which may be the same.
struct Call<'a> {
    thread: &'a str,
    start: &'a str,
    end: &'a str,
}

impl Call<'_> {
    fn name(&self) -> &str {
        self.start.split('(').next().unwrap_or_default()
    }

    fn is_injected(&self) -> bool {
        self.end.ends_with("(INJECTED)")
    }

    fn cannot_fail(&self) -> bool {
        self.start.contains("<anon_inode:[eventfd]>") || self.start.contains("<UNIX")
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

    #[test]
    fn writes_that_can_fail_are_told_from_those_that_cannot() {
        let log = Log("\
7  write(5</x/access.log>, \"\"..., 9) = 9
8  write(6<anon_inode:[eventfd]>,  <unfinished ...>
9  write(4</x/root/#12 (deleted)>, \"\"..., 9) = 9
8  <... write resumed>\"\"..., 8) = -1 EIO (Input/output error) (INJECTED)
8  write(4</x/root/#12 (deleted)>, \"\"..., 9) = 9
8  write(6<anon_inode:[eventfd]>, \"\"..., 8) = 8
9  write(4</x/root/#12 (deleted)>, \"\"..., 9) = 9
8  write(4</x/root/#12 (deleted)>, \"\"..., 9) = 9
"
        .to_owned());
        // The first and the third of thread 8 wake somebody.
        assert_eq!(log.possible_writes(), [2, 4]);
        assert_eq!((log.injected(), log.impossible()), (1, 1));
    }
}
