//! One worker's share of the log: the lines that wait for the writer thread.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_proto::server::Exchange;

use super::date::DateMemo;
use super::{BUFFER_BYTES, LogFormat, SHARD_BYTES_MAX, WAKE_BYTES};

/// A buffer of whole lines. In a cache line of its own: two workers that write to neighbours would
/// otherwise take the line from each other all the time.
#[repr(align(64))]
pub(super) struct Shard(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dates: DateMemo,
    dropped: u64,
    closed: bool,
}

/// An empty buffer, longer than any that wakes the writer in time. It has its length from the
/// beginning: one that grew while there is a crowd could come to lie above what the crowd takes,
/// and the allocator would give none of that back as long as this is in use.
pub(super) fn empty_buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER_BYTES)
}

impl Shard {
    /// Without a line.
    pub(super) fn new() -> Shard {
        Shard(Mutex::new(Waiting { lines: empty_buffer(), ..Waiting::default() }))
    }

    /// Adds the line of `exchange`, or drops and counts it when there is no room.
    ///
    /// Says whether the writer should be woken: once per filling, when [`WAKE_BYTES`] is passed.
    pub(super) fn append(
        &self,
        format: LogFormat,
        exchange: &Exchange<'_>,
        user: Option<&str>,
    ) -> bool {
        let mut guard = lock(&self.0);
        let waiting = &mut *guard;
        let before = waiting.lines.len();
        if waiting.closed || before >= SHARD_BYTES_MAX {
            waiting.dropped += 1;
            return false;
        }
        format.append(exchange, user, &mut waiting.dates, &mut waiting.lines);
        before < WAKE_BYTES && waiting.lines.len() >= WAKE_BYTES
    }

    /// Takes the lines away and leaves `empty` in their place.
    pub(super) fn take(&self, empty: Vec<u8>) -> Vec<u8> {
        debug_assert!(empty.is_empty(), "lines must not come back");
        mem::replace(&mut lock(&self.0).lines, empty)
    }

    /// Drops every line that comes from now on: nobody would write it.
    pub(super) fn close(&self) {
        lock(&self.0).closed = true;
    }

    /// Counts `lines` more as dropped.
    pub(super) fn count_dropped(&self, lines: u64) {
        lock(&self.0).dropped += lines;
    }

    /// How many lines have been dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        lock(&self.0).dropped
    }
}

/// Locks in spite of a panic elsewhere: nothing kept under these locks can be half done for good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
