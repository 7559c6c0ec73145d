//! Closes on threads of their own what takes long to close.
//!
//! The last one to close a deleted or replaced file waits while the file system frees its blocks:
//! 463 ms for 1.5 GB on ext4. And over a network, or with another process, whoever closes a file
//! may wait for as long as those do not answer. No worker may wait that long.

use std::fs::File;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::Output;
use crate::limits::{CLOSING_BYTES_MIN, CLOSING_MAX};
use crate::output::{FilePart, Place};

/// A way to the threads. They end when every clone is gone.
#[derive(Clone)]
pub(crate) struct Closer {
    /// Big ones.
    files: Sender<File>,
    /// Those that may keep whoever closes them waiting for somebody else.
    distant: Sender<File>,
}

impl Closer {
    /// With what one thread is to drop, and what another, which may wait for ever.
    pub(crate) fn new() -> (Closer, Receiver<File>, Receiver<File>) {
        let (files, closing) = bounded(CLOSING_MAX);
        // Each is a descriptor, which bounds how many there can be.
        let (distant, waiting) = unbounded();
        (Closer { files, distant }, closing, waiting)
    }

    /// Lets go of a file of which a part was to be sent. In place if somebody else has it, or if it
    /// is near and not big, or the thread has too many already.
    ///
    /// The size is judged by the part's end alone, which costs no call: a big file of which only
    /// the beginning was asked for is closed in place.
    pub(crate) fn let_go(&self, part: FilePart) {
        let FilePart { file, end, place, .. } = part;
        let Some(file) = Arc::into_inner(file) else { return };
        // What does not fit comes back with the error, and is dropped with it.
        match place {
            Place::Unknown | Place::Distant => drop(self.distant.send(file)),
            Place::Disk | Place::Memory if end >= CLOSING_BYTES_MIN => {
                drop(self.files.try_send(file));
            }
            Place::Disk | Place::Memory => {}
        }
    }

    /// Lets go of the files in what a connection still owed when it ended.
    pub(crate) fn let_go_all(&self, unsent: Output) {
        unsent.into_files().for_each(|part| self.let_go(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Segment;

    /// A part of a file that ends at `end`.
    fn part(end: u64, place: Place) -> FilePart {
        let file = Arc::new(File::open("/dev/null").expect("a file"));
        FilePart { file, next: 0, end, warm: 0, place }
    }

    #[test]
    fn only_the_last_reference_to_a_big_or_distant_file_goes_to_a_thread() {
        const BIG: u64 = CLOSING_BYTES_MIN;
        for (end, place, expected) in [
            (BIG - 1, Place::Disk, (0, 0)),
            (BIG, Place::Disk, (1, 0)),
            (BIG - 1, Place::Memory, (0, 0)),
            (BIG, Place::Memory, (1, 0)),
            (1, Place::Unknown, (0, 1)),
            (1, Place::Distant, (0, 1)),
            (BIG, Place::Distant, (0, 1)),
        ] {
            let (closer, big, distant) = Closer::new();
            let held = part(end, place);
            closer.let_go(FilePart { file: Arc::clone(&held.file), ..part(end, place) });
            assert_eq!((big.len(), distant.len()), (0, 0), "{end} {place:?}: somebody has it");
            closer.let_go(held);
            assert_eq!((big.len(), distant.len()), expected, "{end} {place:?}");
        }
    }

    #[test]
    fn what_was_not_sent_goes_to_a_thread_too() {
        let (closer, big, distant) = Closer::new();
        let mut output = Output::default();
        output.tail().push(b'x');
        for end in [CLOSING_BYTES_MIN, 1] {
            output.segments().push_back(Segment::File(part(end, Place::Disk)));
            output.segments().push_back(Segment::File(part(end, Place::Unknown)));
        }
        closer.let_go_all(output);
        assert_eq!((big.len(), distant.len()), (1, 2));
    }

    #[test]
    fn a_full_channel_and_a_thread_that_has_ended_hold_nobody_up() {
        let (closer, big, distant) = Closer::new();
        for _ in 0..2 * CLOSING_MAX {
            closer.let_go(part(CLOSING_BYTES_MIN, Place::Disk));
            closer.let_go(part(1, Place::Distant));
        }
        assert_eq!(big.len(), CLOSING_MAX);
        assert_eq!(distant.len(), 2 * CLOSING_MAX, "none is closed by a worker");
        drop((big, distant));
        closer.let_go(part(CLOSING_BYTES_MIN, Place::Disk));
        closer.let_go(part(1, Place::Distant));
    }
}
