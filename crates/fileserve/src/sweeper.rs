//! Removes what is left of uploads that came to nothing, on a thread of its own.
//!
//! An upload is dropped where its connection ends, which is a worker's thread. To let go of a long
//! file takes the disk's time (0.2 s for 1 GiB on ext4), and every connection of that worker would
//! wait.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

/// How many leftovers may wait; each holds two descriptors. Beyond, whoever drops one removes it:
/// uploads then end no faster than the disk lets go of them.
const WAITING_MAX: usize = 128;

/// A file under a temporary name, to be removed.
pub(crate) struct Leftover {
    /// The directory that it is in.
    pub(crate) dir: OwnedFd,
    pub(crate) name: Vec<u8>,
    /// Held to the end, so that it is let go of on the right thread.
    pub(crate) file: File,
}

/// The thread and the way to it. Dropping it waits until everything is removed.
pub(crate) struct Sweeper {
    /// `None` only while it is being dropped.
    waiting: Option<Sender<Leftover>>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub(crate) fn start() -> std::io::Result<Sweeper> {
        let (waiting, leftovers) = bounded(WAITING_MAX);
        let sweep = move || {
            let leftovers: Receiver<Leftover> = leftovers;
            leftovers.iter().for_each(Leftover::remove);
        };
        let thread = thread::Builder::new().name("upload-sweeper".into()).spawn(sweep)?;
        Ok(Sweeper { waiting: Some(waiting), thread: Some(thread) })
    }

    /// Has `leftover` removed. Does not wait for the disk, unless [`WAITING_MAX`] others wait.
    pub(crate) fn remove(&self, leftover: Leftover) {
        let Some(waiting) = &self.waiting else { return leftover.remove() };
        if let Err(refused) = waiting.try_send(leftover) {
            refused.into_inner().remove();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.waiting = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that removes unfinished uploads has panicked");
        }
    }
}

impl Leftover {
    fn remove(self) {
        match unlinkat(&self.dir, self.name.as_slice(), AtFlags::empty()) {
            // Gone together with its directory, perhaps.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => log::warn!("an unfinished upload cannot be removed: {errno}"),
        }
        drop(self.file);
    }
}
