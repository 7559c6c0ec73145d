//! Every bound of this crate, in one place, each with its unit and its reason.

use std::time::{Duration, Instant};

/// The bounds within which a server runs. `Limits::default()` fits most; every field is public.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Worker threads, each with its own readiness loop; at least 1. Default: one per core.
    pub workers: usize,
    /// Threads for work that may block; at least 1. A quarter of them never does what
    /// [may take long](crate::Wait::LongPool). Default: four per worker, since they mostly wait for
    /// disks.
    pub pool: usize,
    /// Connections open at once. Full: a further one gets the place of the one that has been
    /// [idle](crate::Wait::Idle) longest. Where none is idle it is told [`Service::refusal`] and
    /// closed.
    ///
    /// Every connection takes one file descriptor and what its session opens takes more, so
    /// see [`Limits::connections_within`]. Default: what the customary limit of 1,024
    /// descriptors carries.
    ///
    /// [`Service::refusal`]: crate::Service::refusal
    pub connections: usize,
    /// Connections open at once from one IPv4 address, or from the IPv6 addresses that have the
    /// first 64 bits in common. Beyond: a further one is told [`Service::refusal`] and closed.
    /// Default: `None`, any number. A proxy in front has one address for all.
    ///
    /// [`Service::refusal`]: crate::Service::refusal
    pub per_address: Option<usize>,
    /// Bytes that one connection may keep unconsumed, and that one read takes in at most; at
    /// least 1. Full: a session that neither consumes nor closes is reset. Default: 64 KiB.
    pub input_bytes: usize,
    /// Octets that one connection may read and send before the others have their turn; at least
    /// 1 KiB. The few that are [given room](Self::unsent_bytes) have four times as many. Default:
    /// 256 KiB, about 50 us of sending a file; what a session does with what it reads comes on top.
    pub turn_bytes: usize,
    /// How fast a peer must take what it is sent.
    pub pace: Pace,
    /// How long the peer's further bytes are read and discarded after [`Wait::Linger`]. One that
    /// has more than 16 KiB to take then, of what the kernel holds for it, may go on as long as it
    /// keeps pace; after [`Wait::Close`] as well.
    /// Default: 5 s.
    ///
    /// [`Wait::Linger`]: crate::Wait::Linger
    /// [`Wait::Close`]: crate::Wait::Close
    pub linger: Duration,
    /// How long a stop waits for sessions to end before it resets those that are left.
    /// Default: 10 s.
    pub drain: Duration,
    /// Octets that the kernel holds unsent for one peer (`TCP_NOTSENT_LOWAT`), on top of those on
    /// their way. Default: 64 KiB, which keeps a slow reader of a big file at some 100 KiB of
    /// kernel memory instead of several MiB. A few at a time that take a big file at 20 MiB/s and
    /// more are given what the system allows.
    pub unsent_bytes: u32,
}

/// How fast bytes must move: nothing at all for `stall` is too slow, and so is less than `rate`
/// on average once `grace` is over.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest time without a single octet. What a peer has taken of its answer is asked of the
    /// kernel when this has passed, and passes for taken then: one that stops is cut after one to
    /// two of these. Default: 30 s.
    pub stall: Duration,
    /// Least octets per second on average, 0 for no such bound. Default: 500.
    pub rate: u64,
    /// How long the average does not count yet. Default: 15 s.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { stall: Duration::from_secs(30), rate: 500, grace: Duration::from_secs(15) }
    }
}

impl Pace {
    /// When a transfer that began at `start`, moved `octets` so far and the last of them at
    /// `last`, has been too slow, unless more moves before.
    pub fn deadline(&self, start: Instant, last: Instant, octets: u64) -> Instant {
        let stalled = later(last, self.stall);
        match octets.checked_div(self.rate) {
            Some(earned) => {
                stalled.min(later(later(start, self.grace), Duration::from_secs(earned)))
            }
            None => stalled,
        }
    }
}

/// `start` and `by` after it. A century stands for "never", so that no bound is too great to
/// be added: `Instant` has no greatest value to saturate at.
pub(crate) fn later(start: Instant, by: Duration) -> Instant {
    start + by.min(Duration::from_secs(100 * 365 * 24 * 3600))
}

/// New connections that wait for a worker to take them in, for each worker. Full: the next ones
/// are dealt to others, of whom the first empties its own channel in each round.
pub(crate) const ARRIVALS_MAX: usize = if cfg!(feature = "model") { 2 } else { 1024 };
/// Connections of one worker that are in a channel of the pool or on its threads, for work that is
/// short, and again for work that may take long. Full: a
/// further one waits in its slot, first come first served. Enough to keep any pool busy, and
/// bounds what the channels allocate.
pub(crate) const AWAY_MAX: usize = if cfg!(feature = "model") { 1 } else { 512 };
/// Octets of its turn that each step of a connection costs on top of those it moves, so that even
/// a turn that moves none ends.
pub(crate) const STEP_COST: usize = 512;
/// Connections accepted in a row, from each listener, before those that are there have their turns:
/// about 0.2 ms.
pub(crate) const ACCEPT_BATCH: usize = 64;
/// Readiness events taken from the kernel at once.
pub(crate) const EVENTS_MAX: usize = 1024;
/// Connections that are looked at, whether they are idle as they seem, to make room for one. Those
/// that are not need not be looked at again, so the next try gets further.
pub(crate) const LOOKS_MAX: usize = 64;
/// How long nothing is accepted when nobody can be, mostly for want of file descriptors:
/// long enough not to spin, short enough that nobody notices once some are free.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The kernel's queue of connections not yet accepted; it takes the smaller of this
/// and `net.core.somaxconn` (4,096 by default since Linux 5.4).
pub(crate) const BACKLOG: i32 = 4096;
/// Connections on their way to the place of an idle one at once, each a descriptor more than there
/// are connections, or a sixteenth of these where that is less. Full: further ones wait in the
/// kernel's queue until one has got there.
pub(crate) const DISPLACING_MAX: usize = 64;
/// Refused connections kept half open so that they can read why, or an eighth of the connections
/// where that is less; the oldest goes first.
pub(crate) const REFUSED_MAX: usize = 128;
/// The part of a file that is looked up in the page cache, and sent, in one step; less where less
/// is left of a turn.
pub(crate) const FILE_STEP: u64 = 1024 * 1024;
/// A peer that takes so many octets of a file...
pub(crate) const FAST_BYTES: u64 = 4 * 1024 * 1024;
/// ...in this time is fast, 20 MiB/s, and one that is given room is looked at as often.
pub(crate) const FAST_WITHIN: Duration = Duration::from_millis(200);
/// Fast peers of one worker that are given room at a time; the others are served as slow ones are.
/// Each may leave what `net.ipv4.tcp_wmem` allows, 4 MiB as a rule, in the kernel.
pub(crate) const WIDE_MAX: usize = 32;
/// How many turns' octets such a peer may be sent in one, some 120 us of work: it saves 15 to 20 %
/// of a large download.
pub(crate) const WIDE_TURNS: usize = 4;
/// How far apart the octets are that are looked up in it.
///
/// A bargain. A download of 100 MiB from the page cache took, against looking only at the first
/// and the last octet of a step, this much more processor time: every page 87 %, the step
/// read whole into a scratch 51 %, every 16 KiB 19 to 27 %, every 32 KiB 15 %, every 64 KiB
/// -5 to 5 %, which is noise. (Server's /proc/PID/task/*/schedstat, 30 and 50 rounds of 4
/// downloads, variants interleaved, medians of the rounds' ratios, 2 busy cores, Linux 6.18.)
/// What is left is a hole of less than 64 KiB behind a page looked up: the worker waits for it.
pub(crate) const PROBE_STEP: u64 = 64 * 1024;
/// A file of which octets from here on were asked for is closed on a thread of its own. To free
/// 1 MiB took ext4 0.4 ms, and a smaller file is not worth waking a thread for.
pub(crate) const CLOSING_BYTES_MIN: u64 = 1024 * 1024;
/// Files on their way to that thread, each a descriptor. Full: closed by the worker. Those that may
/// not be are not bounded but by how many descriptors the process may have.
pub(crate) const CLOSING_MAX: usize = 64;
/// Octets that the kernel may have for a peer that a connection is over for. It keeps them until
/// they are taken, or nothing has been taken for four stall times; no limit of ours counts that.
/// The shortest answers are left to it, as waiting for their peers would cost each of them more.
pub(crate) const LEFT_MAX: u64 = 16 * 1024;
/// When a peer that has more than that to take is looked at first: most have taken it by then.
pub(crate) const FIRST_LOOK: Duration = Duration::from_millis(10);
/// How long after the drain the threads are waited for: then they reset who is left, and tell the
/// sessions.
pub(crate) const JOIN_GRACE: Duration = Duration::from_secs(1);
/// The part of a file that a pool thread reads in when it is not in the page cache.
pub(crate) const WARM_BYTES: u64 = 1024 * 1024;
/// The part that it reads in for a peer so slow that the kernel has had time to drop what was
/// there, and may again: so many times [`Limits::unsent_bytes`], which is what such a peer is
/// handed at once.
pub(crate) const WARM_UNSENT_SLOW: u64 = 2;
/// The part of a file that a pool thread reads into memory where no worker may wait for it: what a
/// connection holds of it at most. The way to the pool and back costs less than to read it.
pub(crate) const FETCH_BYTES: u64 = 64 * 1024;
/// The same for a peer that is given room, of whom there are [`WIDE_MAX`].
pub(crate) const FETCH_BYTES_WIDE: u64 = 256 * 1024;
/// How long a peer may take nothing and what was found in memory for it still passes for that: the
/// kernel may drop pages meanwhile. One that takes 300 KiB/s and more is not looked at more often.
pub(crate) const WARM_FOR: Duration = Duration::from_millis(100);

impl Default for Limits {
    fn default() -> Limits {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Limits {
            workers: cores,
            pool: 4 * cores,
            connections: Limits::connections_within(1024),
            per_address: None,
            input_bytes: 64 * 1024,
            turn_bytes: 256 * 1024,
            pace: Pace::default(),
            linger: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            unsent_bytes: 64 * 1024,
        }
    }
}

impl Limits {
    /// How many connections a process with `descriptors` file descriptors can hold: each may need a
    /// second one for the file that it is sent, and an eighth of all, but at least 32, is kept for
    /// everything else: listeners, readiness queues, logs, directories, those who are refused.
    /// Between 1 and 60,000.
    pub fn connections_within(descriptors: u64) -> usize {
        let reserve = (descriptors / 8).max(32);
        let connections = (descriptors.saturating_sub(reserve) / 2).clamp(1, 60_000);
        usize::try_from(connections).unwrap_or(60_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_the_earlier_of_stall_and_average() {
        let pace =
            Pace { stall: Duration::from_secs(30), rate: 500, grace: Duration::from_secs(15) };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pace.deadline(start, start, 0), at(15));
        assert_eq!(pace.deadline(start, at(10), 5_000), at(25));
        assert_eq!(pace.deadline(start, at(10), 1_000_000), at(40));
        assert_eq!(pace.deadline(start, at(10), u64::MAX), at(40));
        let no_rate = Pace { rate: 0, ..pace };
        assert_eq!(no_rate.deadline(start, at(10), 0), at(40));
        let endless = Pace { stall: Duration::MAX, rate: 1, grace: Duration::MAX };
        assert!(endless.deadline(start, start, u64::MAX) > at(1_000_000_000));
    }

    #[test]
    fn connections_leave_descriptors_for_files() {
        for (descriptors, connections) in
            [(64, 16), (256, 112), (1024, 448), (20_000, 8_750), (1_000_000, 60_000), (0, 1)]
        {
            assert_eq!(Limits::connections_within(descriptors), connections);
        }
    }
}
