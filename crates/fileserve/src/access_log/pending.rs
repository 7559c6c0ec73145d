//! The lines that are being written, and how far the write has come.

use std::io::{self, ErrorKind, Write};

use super::BUFFER_BYTES;
use super::shard::empty_buffer;

/// Whole lines of which a prefix may have been written. What a full disk does not take stays here,
/// so that the next try goes on in the middle of the line where this one stopped.
pub(super) struct Pending {
    lines: Vec<u8>,
    written: usize,
}

impl Pending {
    /// Without a line.
    pub(super) fn new() -> Pending {
        Pending { lines: empty_buffer(), written: 0 }
    }

    /// Takes `lines` in exchange for the empty buffer that was written before.
    ///
    /// Only after a [`write_to`](Self::write_to) that succeeded: nothing may be left.
    pub(super) fn refill(&mut self, take: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        debug_assert!(self.lines.is_empty(), "what is left is written first");
        self.lines = take(std::mem::take(&mut self.lines));
        self.written = 0;
    }

    /// Writes what is left. After an error the rest is kept.
    pub(super) fn write_to(&mut self, out: &mut impl Write) -> io::Result<()> {
        while let Some(rest) = self.lines.get(self.written..)
            && !rest.is_empty()
        {
            match out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.lines.clear();
        self.written = 0;
        // A stall may have made it grow to SHARD_BYTES_MAX; that is not needed every day.
        self.lines.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    /// Goes back to the start of the line that is half written: another file gets all of it.
    pub(super) fn rewind_to_line(&mut self) {
        let done = self.lines.get(..self.written).unwrap_or_default();
        self.written = done.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    }

    /// Gives up what is left; returns how many lines that were, a half-written one included.
    pub(super) fn give_up(&mut self) -> u64 {
        let rest = self.lines.get(self.written..).unwrap_or_default();
        let count = rest.iter().filter(|&&b| b == b'\n').count();
        *self = Pending::new();
        count as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `step` octets a call, and fails at call number `fails_at`.
    struct Faulty {
        taken: Vec<u8>,
        step: usize,
        calls: usize,
        fails_at: usize,
        error: ErrorKind,
    }

    impl Write for Faulty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls == self.fails_at {
                return Err(self.error.into());
            }
            let count = bytes.len().min(self.step);
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pending(lines: &str) -> Pending {
        let mut pending = Pending::new();
        pending.refill(|_| lines.as_bytes().to_vec());
        pending
    }

    fn faulty(step: usize, fails_at: usize, error: ErrorKind) -> Faulty {
        Faulty { taken: Vec::new(), step, calls: 0, fails_at, error }
    }

    const LINES: &str = "one\ntwo\nthree\n";

    #[test]
    fn a_fault_at_any_call_loses_and_doubles_nothing() {
        for step in 1..=LINES.len() {
            for fails_at in 1..=LINES.len() {
                let mut out = faulty(step, fails_at, ErrorKind::StorageFull);
                let mut pending = pending(LINES);
                if pending.write_to(&mut out).is_err() {
                    assert_eq!(out.taken, &LINES.as_bytes()[..step * (fails_at - 1)]);
                    pending.write_to(&mut out).expect("only one call fails");
                }
                assert_eq!(out.taken, LINES.as_bytes(), "step {step}, fault at {fails_at}");
            }
        }
    }

    #[test]
    fn an_interruption_is_no_error() {
        let mut out = faulty(5, 2, ErrorKind::Interrupted);
        pending(LINES).write_to(&mut out).expect("the call is repeated");
        assert_eq!(out.taken, LINES.as_bytes());
    }

    #[test]
    fn a_sink_that_takes_nothing_is_an_error() {
        let error = pending(LINES).write_to(&mut faulty(0, 0, ErrorKind::Other));
        assert_eq!(error.map_err(|e| e.kind()), Err(ErrorKind::WriteZero));
    }

    #[test]
    fn a_new_file_gets_the_whole_of_a_torn_line() {
        for (written, expected) in [(0, LINES), (3, LINES), (4, "two\nthree\n"), (9, "three\n")] {
            let mut pending = pending(LINES);
            if written > 0 {
                let error = pending.write_to(&mut faulty(written, 2, ErrorKind::StorageFull));
                assert!(error.is_err());
            }
            pending.rewind_to_line();
            let mut out = Vec::new();
            pending.write_to(&mut out).expect("a vector takes all");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn what_is_given_up_is_counted_in_lines() {
        let mut pending = pending(LINES);
        assert!(pending.write_to(&mut faulty(5, 2, ErrorKind::StorageFull)).is_err());
        assert_eq!(pending.give_up(), 2);
        assert_eq!(pending.give_up(), 0);
    }
}
