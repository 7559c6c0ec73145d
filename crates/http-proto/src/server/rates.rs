//! Decides whether an address asks too often.
//!
//! Here and not in a handler, since here every request passes exactly once, whatever becomes of it.
//! All workers count together: each for itself would let a client ask as many times as often as
//! there are workers that its connections happen to be on.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many seconds' worth of requests an address may send at once: a page and all that it shows.
const BURST: Duration = Duration::from_secs(5);

/// Parts of the table, each with a lock of its own, so that workers rarely wait for each other.
const SHARDS: usize = 16;

/// Addresses in each part. When there are more, the one is forgotten that has the least to wait
/// for; some 1 MiB in all.
const ADDRESSES_MAX: usize = 1024;

/// How often each address has asked of late.
#[derive(Debug)]
pub(crate) struct Rates {
    /// What one request costs.
    interval: Duration,
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, Instant>>; SHARDS],
}

impl Rates {
    /// For so many requests a second, on average.
    pub(crate) fn new(per_second: NonZeroU32) -> Rates {
        let interval = Duration::from_secs(1) / per_second.get();
        Rates { interval, hasher: RandomState::new(), shards: Default::default() }
    }

    /// Takes note of a request at `now`; `false` if it is one too many.
    ///
    /// A token bucket. What is kept of an address is the time at which its bucket will be full.
    pub(crate) fn admit(&self, address: IpAddr, now: Instant) -> bool {
        let shard = self.hasher.hash_one(address) as usize % SHARDS;
        // Each change is whole before anything could panic.
        let mut table = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= ADDRESSES_MAX && !table.contains_key(&address) {
            forget(&mut table, now);
        }
        let full_at = table.entry(address).or_insert(now);
        let after = (*full_at).max(now) + self.interval;
        let is_admitted = after <= now + BURST;
        if is_admitted {
            *full_at = after;
        }
        is_admitted
    }
}

/// Makes room for an address: those whose bucket is full are as good as new, and if there is none,
/// the one whose bucket will be full first.
fn forget(table: &mut HashMap<IpAddr, Instant>, now: Instant) {
    table.retain(|_, full_at| *full_at > now);
    if table.len() >= ADDRESSES_MAX
        && let Some(first) = table.iter().min_by_key(|(_, full_at)| **full_at).map(|(a, _)| *a)
    {
        table.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn rates(per_second: u32) -> Rates {
        Rates::new(NonZeroU32::new(per_second).expect("not zero"))
    }

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        for per_second in [1, 7, 1000] {
            let (rates, start) = (rates(per_second), Instant::now());
            let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            let burst = per_second as usize * 5;
            let passed = |address, at, tries: usize| {
                (0..tries).filter(|_| rates.admit(address, start + at)).count()
            };
            // An interval is rounded down to whole nanoseconds.
            let nearly = |count: usize, expected: usize| count.abs_diff(expected) <= 1;
            assert!(nearly(passed(one, Duration::ZERO, 2 * burst), burst));
            assert_eq!(passed(one, Duration::ZERO, 100), 0);
            assert_eq!(passed(other, Duration::ZERO, 1), 1, "another one");
            let second = Duration::from_secs(1);
            assert!(nearly(passed(one, second, 2 * burst), per_second as usize));
            // Who is refused does not have to wait longer for having tried.
            assert!(nearly(passed(one, 2 * second, 2 * burst), per_second as usize));
            assert!(nearly(passed(one, 60 * second, 2 * burst), burst), "it is full again");
        }
    }

    #[test]
    fn the_table_has_a_bound_and_those_who_ask_most_stay_in_it() {
        let (rates, now) = (rates(1), Instant::now());
        let most = IpAddr::from([10, 0, 0, 1]);
        while rates.admit(most, now) {}
        let others = (0..3 * (SHARDS * ADDRESSES_MAX) as u32).map(|n| Ipv4Addr::from(n).into());
        for other in others.filter(|other| *other != most) {
            assert!(rates.admit(other, now));
        }
        assert!(!rates.admit(most, now));
        for shard in &rates.shards {
            assert!(shard.lock().expect("nobody panics").len() <= ADDRESSES_MAX);
        }
    }
}
