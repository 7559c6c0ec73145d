//! Reads what the kernel says of a process, and what a list of latencies says of a server.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Resident memory of a process, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All that is resident, shared pages of the binary and its libraries included.
    pub(crate) resident: u64,
    /// What is resident and belongs to no file: heap and stacks.
    pub(crate) anonymous: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

impl Memory {
    /// Of the process `pid`, now.
    pub(crate) fn of(pid: u32) -> Result<Memory> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        // smaps_rollup is exact; the counters in status may lag by some pages per thread.
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = |name| kib(&status, name).with_context(|| format!("{path} has no {name}"));
        Ok(Memory {
            resident: kib(&rollup, "Rss:").map_or_else(|| line("VmRSS:"), Ok)?,
            anonymous: kib(&rollup, "Anonymous:").map_or_else(|| line("RssAnon:"), Ok)?,
            peak: line("VmHWM:")?,
        })
    }
}

/// The number in a line such as `VmRSS:      4196 kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many file descriptors the process `pid` has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).context(path)?.count())
}

/// How many sockets the process `pid` has open.
pub(crate) fn sockets(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    let is_socket = |entry: &fs::DirEntry| {
        // One that is closed meanwhile is none.
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    };
    Ok(fs::read_dir(&path).context(path)?.flatten().filter(is_socket).count())
}

/// What the kernel holds for all TCP connections of this machine, in KiB. Others' are in it.
pub(crate) fn tcp_memory() -> Result<u64> {
    let path = "/proc/net/sockstat";
    let text = fs::read_to_string(path).context(path)?;
    let pages = of_tcp(&text, "mem").with_context(|| format!("{path} has no TCP memory"))?;
    Ok(pages * rustix::param::page_size() as u64 / 1024)
}

/// How many connections of this machine are over for their programs, and not for the kernel.
pub(crate) fn orphans() -> Result<u64> {
    let path = "/proc/net/sockstat";
    let text = fs::read_to_string(path).context(path)?;
    of_tcp(&text, "orphan").with_context(|| format!("{path} has no orphans"))
}

/// The number behind a word of a line such as `TCP: inuse 3 orphan 0 tw 0 alloc 3 mem 17`.
fn of_tcp(sockstat: &str, name: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    line.split_whitespace().skip_while(|word| *word != name).nth(1)?.parse().ok()
}

/// Processor time that the process `pid` has taken, in all its threads and for it in the kernel.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ends meanwhile takes its time along.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
        all += Duration::from_nanos(nanoseconds.context("schedstat without a number")?);
    }
    Ok(all)
}

/// Raises this process's limit of descriptors as far as it may, for its children too, and returns
/// it.
pub(crate) fn raise_descriptor_limit() -> Result<u64> {
    let found = getrlimit(Resource::Nofile);
    let most = found.maximum.unwrap_or(u64::MAX);
    if found.current != found.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: found.maximum })
            .context("the limit of descriptors cannot be raised to its own maximum")?;
    }
    Ok(most)
}

/// How long answers took.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// In milliseconds, the latency that `part` of all (0 to 1) do not exceed; 0 of none.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * part).ceil() as usize;
        sorted.get(rank.max(1) - 1).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    /// In milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// What one in a hundred exceeds, in milliseconds.
    pub(crate) fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// Takes in those of another list.
    pub(crate) fn append(&mut self, mut others: Latencies) {
        self.0.append(&mut others.0);
    }

    /// Prints the distribution in one line.
    pub(crate) fn print(&self, what: &str) {
        let (median, p99, most) = (self.median(), self.p99(), self.quantile(1.0));
        let count = self.0.len();
        println!("  {count} {what}: median {median:.3} ms, p99 {p99:.3} ms, longest {most:.3} ms");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.median(), 0.0);
        for milliseconds in (1..=100).rev() {
            latencies.push(Duration::from_millis(milliseconds));
        }
        assert_eq!(latencies.median(), 50.0);
        assert_eq!(latencies.p99(), 99.0);
        assert_eq!(latencies.quantile(1.0), 100.0);
    }

    #[test]
    fn a_line_of_the_kernel_is_read() {
        assert_eq!(kib("VmHWM:\t  12 kB\nVmRSS:\t   8 kB\n", "VmRSS:"), Some(8));
        assert_eq!(kib("VmHWM:\t  12 kB\n", "VmRSS:"), None);
    }

    #[test]
    fn numbers_of_tcp_are_read() {
        let text =
            "sockets: used 9\nTCP: inuse 3 orphan 0 tw 2 alloc 3 mem 17\nUDP: inuse 0 mem 1\n";
        assert_eq!(of_tcp(text, "mem"), Some(17));
        assert_eq!(of_tcp(text, "orphan"), Some(0));
        assert_eq!(of_tcp("UDP: inuse 0 mem 1\n", "mem"), None);
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let pid = std::process::id();
        let memory = Memory::of(pid).unwrap();
        assert!(memory.anonymous > 0 && memory.resident >= memory.anonymous);
        assert!(descriptors(pid).unwrap() >= 3);
        let _socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(sockets(pid).unwrap() >= 1 && sockets(pid).unwrap() < descriptors(pid).unwrap());
    }
}
