//! Closes big files on a thread of their own.
//!
//! The last one to close a deleted or replaced file waits while the file system frees its blocks:
//! 463 ms for 1.5 GB on ext4, and no worker may wait that long.

use std::fs::File;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::Output;
use crate::limits::{CLOSING_BYTES_MIN, CLOSING_MAX};

/// A way to the thread. The thread ends when every clone is gone.
#[derive(Clone)]
pub(crate) struct Closer {
    files: Sender<File>,
}

impl Closer {
    /// With what the thread is to drop.
    pub(crate) fn new() -> (Closer, Receiver<File>) {
        let (files, closing) = bounded(CLOSING_MAX);
        (Closer { files }, closing)
    }

    /// Lets go of a file of which a part up to `end` was to be sent. In place unless it is big and
    /// nobody else has it, or if the thread has too many already.
    ///
    /// The size is judged by `end` alone, which costs no call: a big file of which only the
    /// beginning was asked for is closed in place.
    pub(crate) fn let_go(&self, file: Arc<File>, end: u64) {
        if let Some(file) = Arc::into_inner(file)
            && end >= CLOSING_BYTES_MIN
        {
            // What does not fit comes back with the error, and is dropped with it.
            let _ = self.files.try_send(file);
        }
    }

    /// Lets go of the files in what a connection still owed when it ended.
    pub(crate) fn let_go_all(&self, unsent: Output) {
        unsent.into_files().for_each(|(file, end)| self.let_go(file, end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Arc<File> {
        Arc::new(File::open("/dev/null").expect("a file"))
    }

    #[test]
    fn only_the_last_reference_to_a_big_file_goes_to_the_thread() {
        let (closer, closing) = Closer::new();
        closer.let_go(file(), CLOSING_BYTES_MIN - 1);
        let held = file();
        closer.let_go(Arc::clone(&held), CLOSING_BYTES_MIN);
        assert_eq!(closing.len(), 0);
        closer.let_go(held, CLOSING_BYTES_MIN);
        assert_eq!(closing.len(), 1);
    }

    #[test]
    fn what_was_not_sent_goes_to_the_thread_too() {
        let (closer, closing) = Closer::new();
        let mut output = Output::default();
        output.tail().push(b'x');
        output.file(file(), 0..CLOSING_BYTES_MIN);
        output.file(file(), 0..1);
        output.file(file(), 5..2 * CLOSING_BYTES_MIN);
        closer.let_go_all(output);
        assert_eq!(closing.len(), 2);
    }

    #[test]
    fn a_full_channel_and_a_thread_that_has_ended_hold_nobody_up() {
        let (closer, closing) = Closer::new();
        for _ in 0..2 * CLOSING_MAX {
            closer.let_go(file(), CLOSING_BYTES_MIN);
        }
        assert_eq!(closing.len(), CLOSING_MAX);
        drop(closing);
        closer.let_go(file(), CLOSING_BYTES_MIN);
    }
}
