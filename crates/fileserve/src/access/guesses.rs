//! Decides when an address may try another password.
//!
//! What is tried is one password at a time: others from the same address wait for its end, so that
//! none gets past before a failure is counted. That also serves the honest: a browser that sends
//! ten requests at once has its password hashed once. Who is known already never comes here, and
//! is not held up by whoever guesses behind the same address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::source::source_of;

/// The pause after the first failure, less than it takes to type another password. Each further
/// one doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// The longest pause: some 1,500 guesses a day.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long after the last failure they are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// Addresses at once; when there are more, the one that failed the longest ago is forgotten. Some
/// 300 KiB.
const ADDRESSES_MAX: usize = 4096;

/// How long a request waits for the end of an attempt from the same address: longer than nearly
/// any hash takes. No test is about it, and none is to meet it on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 2 });

/// What has been tried, from where.
pub(super) struct Guesses {
    table: Mutex<Table>,
    /// An attempt has ended.
    ended: Condvar,
    /// How many may wait at once: each holds a thread of the pool, and those are for others, too.
    waiting_max: usize,
}

#[derive(Default)]
struct Table {
    /// By what [stands for](source_of) their addresses.
    sources: HashMap<IpAddr, Tried>,
    waiting: usize,
}

#[derive(Clone, Copy)]
struct Tried {
    failures: u32,
    /// When the last attempt that failed was begun, or, without any, the one that is under way.
    at: SystemTime,
    /// An attempt is under way.
    is_trying: bool,
}

/// Whether a password may be tried.
pub(super) enum Turn<'a> {
    /// Now. The next one has to wait until this is dropped.
    Now(Attempt<'a>),
    /// It need not be: it has become known meanwhile that it is good.
    Settled,
    /// Not before so many seconds have passed, at least 1.
    Later(u32),
    /// Not now: too many wait.
    Busy,
}

/// A password that is being tried.
pub(super) struct Attempt<'a> {
    guesses: &'a Guesses,
    source: IpAddr,
    at: SystemTime,
}

impl Guesses {
    /// `waiting_max` is how many threads may wait at once.
    pub(super) fn new(waiting_max: usize) -> Guesses {
        Guesses { table: Mutex::default(), ended: Condvar::new(), waiting_max }
    }

    /// How many seconds from `now` an address may not try anything; `None` if it may. Does not
    /// wait.
    pub(super) fn pause(&self, address: IpAddr, now: SystemTime) -> Option<u32> {
        let table = self.lock();
        table.sources.get(&source_of(address))?.pause(now)
    }

    /// Asks for a turn, and waits for it where another attempt is under way, or until `is_settled`.
    pub(super) fn turn(
        &self,
        address: IpAddr,
        now: SystemTime,
        is_settled: impl Fn() -> bool,
    ) -> Turn<'_> {
        let source = source_of(address);
        let mut table = self.lock();
        if table.is_trying(source) && !is_settled() {
            if table.waiting >= self.waiting_max {
                return Turn::Busy;
            }
            table.waiting += 1;
            let stays = |table: &mut Table| table.is_trying(source) && !is_settled();
            let waited = self.ended.wait_timeout_while(table, WAIT_MAX, stays);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
            table.waiting -= 1;
        }
        if is_settled() {
            return Turn::Settled;
        }
        if table.is_trying(source) {
            return Turn::Busy;
        }
        match table.begin(source, now) {
            Some(seconds) => Turn::Later(seconds),
            None => Turn::Now(Attempt { guesses: self, source, at: now }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each change is whole before anything could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It was wrong.
    pub(super) fn failed(self) {
        if let Some(tried) = self.guesses.lock().sources.get_mut(&self.source) {
            tried.failures = tried.failures.saturating_add(1);
            tried.at = self.at;
        }
    }
}

impl Drop for Attempt<'_> {
    /// Whatever has come of it, a panic included. Failures stay: they are not forgiven for a
    /// password that is good, or an account of one's own would buy guesses at others.
    fn drop(&mut self) {
        let mut table = self.guesses.lock();
        if let Some(tried) = table.sources.get_mut(&self.source) {
            tried.is_trying = false;
            if tried.failures == 0 {
                table.sources.remove(&self.source);
            }
        }
        drop(table);
        self.guesses.ended.notify_all();
    }
}

impl Table {
    fn is_trying(&self, source: IpAddr) -> bool {
        self.sources.get(&source).is_some_and(|tried| tried.is_trying)
    }

    /// Notes that an attempt begins, or says in how many seconds it may.
    fn begin(&mut self, source: IpAddr, now: SystemTime) -> Option<u32> {
        if !self.sources.contains_key(&source) && self.sources.len() >= ADDRESSES_MAX {
            self.forget_oldest();
        }
        let new = Tried { failures: 0, at: now, is_trying: false };
        let tried = self.sources.entry(source).or_insert(new);
        if tried.is_forgotten(now) {
            *tried = new;
        }
        let pause = tried.pause(now);
        tried.is_trying = pause.is_none();
        pause
    }

    fn forget_oldest(&mut self) {
        // What is being tried holds a thread, and there are not so many of those.
        let idle = self.sources.iter().filter(|(_, tried)| !tried.is_trying);
        let oldest = idle.min_by_key(|(_, tried)| tried.at).map(|(&source, _)| source);
        if let Some(oldest) = oldest {
            self.sources.remove(&oldest);
        }
    }
}

impl Tried {
    /// Seconds from `now` until the next attempt, rounded up; `None` when it may be made.
    fn pause(&self, now: SystemTime) -> Option<u32> {
        if self.failures == 0 || self.is_forgotten(now) {
            return None;
        }
        // 2^8 times the least one is more than the longest.
        let doubled = PAUSE_MIN * (1 << (self.failures - 1).min(8));
        // An earlier `now` is that of another thread.
        let passed = now.duration_since(self.at).unwrap_or_default();
        let left = doubled.min(PAUSE_MAX).checked_sub(passed).filter(|left| !left.is_zero())?;
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    fn is_forgotten(&self, now: SystemTime) -> bool {
        match now.duration_since(self.at) {
            Ok(passed) => passed > FORGOTTEN_AFTER,
            // The clock has been set back by so much that nobody should have to wait for it.
            Err(ahead) => ahead.duration() > PAUSE_MAX,
        }
    }
}

#[cfg(test)]
mod tests;
