//! What the kernel says of a server and all the processes that it started: CPU time and memory.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::trial::gauge::Memory;

/// The kernel's clock ticks in `/proc/PID/stat`, the same for every Linux that people run.
const TICKS_PER_SECOND: u64 = 100;

/// A child that is killed when this is dropped.
pub(super) struct Guarded(Child);

impl Guarded {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn spawn(command: &mut Command) -> Result<Guarded> {
        let program = command.get_program().to_string_lossy().into_owned();
        Ok(Guarded(command.spawn().with_context(|| program)?))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn has_exited(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it has not after `patience`.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        while !self.has_exited()? {
            if Instant::now() >= end {
                bail!("not at its end after {} s", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes that `pid` started, and theirs, and itself.
fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut at = 0;
    while let Some(pid) = pids.get(at).copied() {
        for thread in threads(pid) {
            let path = format!("/proc/{pid}/task/{thread}/children");
            let children = fs::read_to_string(path).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
        at += 1;
    }
    pids
}

fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The CPU time of each thread of a tree of processes at one moment, in nanoseconds.
pub(super) struct Cpu(HashMap<u32, u64>);

impl Cpu {
    /// Of `pid` and all that it started, now.
    pub(super) fn of(pid: u32) -> Cpu {
        let mut times = HashMap::new();
        for pid in tree(pid) {
            for thread in threads(pid) {
                let path = format!("/proc/{pid}/task/{thread}/schedstat");
                let text = fs::read_to_string(path).unwrap_or_default();
                if let Some(time) = text.split(' ').next().and_then(|word| word.parse().ok()) {
                    times.insert(thread, time);
                }
            }
        }
        Cpu(times)
    }

    /// What was used since `before`, in microseconds. A thread that has ended since counts for
    /// nothing: those that end are those that had nothing to do for long.
    pub(super) fn since(&self, before: &Cpu) -> f64 {
        let used = |(thread, time): (&u32, &u64)| {
            time.saturating_sub(before.0.get(thread).copied().unwrap_or(0))
        };
        self.0.iter().map(used).sum::<u64>() as f64 / 1e3
    }
}

/// Resident memory of a tree of processes now and at most, in KiB.
pub(super) fn memory(pid: u32) -> (u64, u64) {
    let all = tree(pid).into_iter().filter_map(|pid| Memory::of(pid).ok());
    all.fold((0, 0), |(now, most), memory| (now + memory.resident, most + memory.peak))
}

/// The CPU time of all children that this process has waited for, in microseconds, to a tick.
pub(super) fn cpu_of_ended_children() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ended_children(&text).unwrap_or(0) as f64 * 1e6 / TICKS_PER_SECOND as f64
}

/// `cutime` and `cstime` of a `stat`: the 14th and 15th word after the name, which may hold
/// blanks.
fn ended_children(stat: &str) -> Option<u64> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut next = || words.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_have_their_place_in_stat() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 9 8 7 6 11 12 30 4 20 0 1 0";
        assert_eq!(ended_children(stat), Some(34));
        assert_eq!(ended_children("7 (a) S 1"), None);
    }

    #[test]
    fn a_child_belongs_to_the_tree_and_is_killed_in_the_end() {
        let child = Guarded::spawn(Command::new("sleep").arg("60")).unwrap();
        let pid = child.pid();
        assert!(tree(std::process::id()).contains(&pid));
        assert!(memory(pid).0 > 0);
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn only_what_was_used_since_counts() {
        let before = Cpu([(1, 1_000), (2, 5_000)].into());
        let after = Cpu([(1, 4_000), (3, 2_000)].into());
        assert_eq!(after.since(&before), 5.0);
    }
}
