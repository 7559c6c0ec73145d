//! Removes what is left of uploads that came to nothing, on a thread of its own.
//!
//! An upload is dropped where its connection ends, which is a worker's thread. To let go of a long
//! file takes the disk's time (0.2 s for 1 GiB on ext4), and every connection of that worker would
//! wait.
//!
//! At the start it also looks through the tree for what an earlier run has left behind hidden
//! names, which takes as long as it takes: nothing waits for it, and such names are never served.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, unlinkat};
use rustix::io::Errno;

use super::tree::{self, Found};
use crate::faults;
use crate::path;
use crate::root::Root;

/// How many leftovers may wait; each holds two descriptors. Beyond, whoever drops one removes it:
/// uploads then end no faster than the disk lets go of them.
const WAITING_MAX: usize = 128;

/// What is left of an upload.
pub(super) struct Leftover {
    /// The directory that it is in.
    pub(super) dir: Arc<OwnedFd>,
    /// Its hidden name, if it has one.
    pub(super) name: Option<Vec<u8>>,
    /// Held to the end, so that it is let go of on the right thread.
    pub(super) file: Option<File>,
}

/// The thread and the way to it. Dropping it waits until everything is removed.
pub(super) struct Sweeper {
    /// `None` while it is being dropped, and where all is done on one thread.
    waiting: Option<Sender<Leftover>>,
    thread: Option<JoinHandle<()>>,
    /// Tells the search to end, which is not waited for: a disk may keep it for long.
    over: Arc<AtomicBool>,
}

impl Sweeper {
    /// Starts it, for uploads beneath `root`.
    pub(super) fn start(root: Arc<Root>) -> std::io::Result<Sweeper> {
        if faults::is_planned() {
            // What is left over goes in place, and there was no earlier run.
            return Ok(Sweeper { waiting: None, thread: None, over: Arc::default() });
        }
        let (waiting, leftovers) = bounded(WAITING_MAX);
        let sweep = move || {
            let leftovers: Receiver<Leftover> = leftovers;
            leftovers.iter().for_each(Leftover::remove);
        };
        let thread = thread::Builder::new().name("upload-sweeper".into()).spawn(sweep)?;
        let over = Arc::new(AtomicBool::new(false));
        let sweeper =
            Sweeper { waiting: Some(waiting), thread: Some(thread), over: Arc::clone(&over) };
        let search = move || {
            tree::walk(&root, &over, |found| {
                if found.kind == FileType::RegularFile && path::is_upload(found.name) {
                    remove_abandoned(&found);
                }
            });
        };
        thread::Builder::new().name("upload-search".into()).spawn(search)?;
        Ok(sweeper)
    }

    /// Has `leftover` removed. Does not wait for the disk, unless [`WAITING_MAX`] others wait.
    pub(super) fn remove(&self, leftover: Leftover) {
        let Some(waiting) = &self.waiting else { return leftover.remove() };
        if let Err(refused) = waiting.try_send(leftover) {
            refused.into_inner().remove();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.waiting = None;
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that removes unfinished uploads has panicked");
        }
    }
}

impl Leftover {
    fn remove(self) {
        let Some(name) = self.name else { return };
        match unlinkat(&*self.dir, name.as_slice(), AtFlags::empty()) {
            // Gone together with its directory, perhaps.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => log::warn!("an unfinished upload cannot be removed: {errno}"),
        }
        drop(self.file);
    }
}

/// Removes a file with a hidden name, unless a process still needs it: then that has locked it.
fn remove_abandoned(found: &Found<'_>) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let removed = openat(found.dir, found.name, flags, Mode::empty()).and_then(|file| {
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        match fstat(&file)?.st_nlink {
            0 => Ok(()),
            _ => unlinkat(found.dir, found.name, AtFlags::empty()),
        }
    });
    match removed {
        Ok(()) => log::info!("an unfinished upload of an earlier run has been removed"),
        Err(Errno::NOENT | Errno::WOULDBLOCK) => {}
        Err(errno) => log::warn!("an unfinished upload cannot be removed: {errno}"),
    }
}
