//! Drives a session without sockets or threads, step by step: for tests of protocols. Feature
//! `testing`.
//!
//! `Input::new` and `Output::into_bytes` do for a session that is shown slices. What is here is for
//! those who play the whole part of this crate: what is owed is taken in pieces, files are read
//! when their turn comes and not before, and bytes have come by a tick.

use std::io;
use std::os::unix::fs::FileExt;

use crate::output::{FilePart, Segment};
use crate::{Input, Output, Tick};

/// The ticks of a worker that a test plays.
#[derive(Debug)]
pub struct Ticks(Tick);

impl Default for Ticks {
    fn default() -> Ticks {
        Ticks(Tick::of_new_worker())
    }
}

impl Ticks {
    /// The next one: a wake-up, or a read.
    pub fn advance(&mut self) -> Tick {
        self.0.advance()
    }
}

/// A window on `bytes`, of which the first had come by `first` and all by `all`; `end` says that
/// nothing will follow them.
pub fn input(bytes: &[u8], end: bool, first: Tick, all: Tick) -> Input<'_> {
    Input::new(bytes, end).arrived_by(first, all)
}

/// Takes up to `most` octets off the front of what is owed and appends them to `into`, as one
/// attempt to send would: of one segment, a file read now. Says how many; 0 only when nothing is
/// owed or `most` is 0.
///
/// # Errors
/// `UnexpectedEof` when the file has become shorter than what was promised, else what reading it
/// came to. Nothing has been taken then.
pub fn take(output: &mut Output, most: usize, into: &mut Vec<u8>) -> io::Result<usize> {
    while output.segments().front().is_some_and(|front| front.len() == 0) {
        output.pop();
    }
    let memory = match output.segments().front_mut() {
        None => return Ok(0),
        Some(Segment::Bytes { bytes, sent }) => &bytes[*sent..],
        Some(Segment::Shared { bytes, sent }) => &bytes[*sent..],
        Some(Segment::File(FilePart { file, next, end, .. })) => {
            let count = usize::try_from(*end - *next).map_or(most, |left| left.min(most));
            let at = into.len();
            into.resize(at + count, 0);
            let read = file.read_at(&mut into[at..], *next);
            into.truncate(at + *read.as_ref().unwrap_or(&0));
            return match read? {
                0 if count > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    *next += read as u64;
                    Ok(read)
                }
            };
        }
    };
    let count = memory.len().min(most);
    into.extend_from_slice(&memory[..count]);
    output.consume_memory(count);
    Ok(count)
}

/// Octets of what is owed that are held in memory.
pub fn held(output: &mut Output) -> u64 {
    let in_memory = |segment: &&Segment| !matches!(segment, Segment::File(_));
    output.segments().iter().filter(in_memory).map(Segment::len).sum()
}

/// Whether the next octets that are owed lie in a file.
pub fn is_file_next(output: &mut Output) -> bool {
    let rest = output.segments().iter().find(|segment| segment.len() > 0);
    matches!(rest, Some(Segment::File(_)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_owed_is_taken_in_pieces_of_any_length() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"0123456789").expect("room on the disk");
        let file = Arc::new(file);
        for most in 1..9 {
            let mut output = Output::default();
            output.tail().extend_from_slice(b"abc");
            output.file(Arc::clone(&file), 2..8);
            output.share(Arc::from(&b"def"[..]));
            assert_eq!(held(&mut output), 6);
            let mut taken = Vec::new();
            while take(&mut output, most, &mut taken).expect("the file is whole") > 0 {}
            assert_eq!(taken, b"abc234567def", "{most} at a time");
            assert!(output.is_empty());
        }
    }

    #[test]
    fn a_file_that_has_become_shorter_is_an_error_and_gives_nothing() {
        let file = Arc::new(tempfile::tempfile().expect("a temporary file"));
        let mut output = Output::default();
        output.file(file, 0..5);
        assert!(is_file_next(&mut output));
        let mut taken = Vec::new();
        let error = take(&mut output, 9, &mut taken).expect_err("there is nothing");
        assert_eq!((error.kind(), taken.len()), (io::ErrorKind::UnexpectedEof, 0));
    }
}
