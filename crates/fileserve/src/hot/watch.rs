//! Asks the kernel to tell of changes, by inotify. A change is told of before the call that makes
//! it returns, so whoever looks after a request has come sees every change made before it was sent.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};
use rustix::io::{Errno, ioctl_fionread};

use crate::faults::{self, Call};

/// Room for some hundred events, which are read at a time.
const BUFFER_BYTES: usize = 4096;

/// What happens to the content of a file, or to what is told of it. Some kinds of writing are told
/// of only when the file is closed.
const FILE: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF);

/// What happens to the names in a directory, and to the directory itself.
const DIRECTORY: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::ONLYDIR);

/// What is watched, by the number that the kernel gave it; no other one gets it again.
pub(super) type WatchId = i32;

/// One line to the kernel.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Arc<OwnedFd>,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// A change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Of a file, or of a directory itself.
    Of(WatchId),
    /// Of a name in a directory.
    In(WatchId, Box<[u8]>),
    /// There were too many to be told of.
    Unknown,
}

impl Watch {
    /// # Errors
    /// When there are as many already as this user may have, or the system has none.
    pub(super) fn new() -> Result<Watch, Errno> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES].into_boxed_slice();
        Ok(Watch { inotify: Arc::new(inotify), buffer })
    }

    /// The descriptor, which is readable when there is something to tell.
    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.inotify)
    }

    /// Watches an open file. Two names of one file are one watch.
    pub(super) fn file(&self, file: impl AsFd) -> Result<WatchId, Errno> {
        self.add(file.as_fd(), FILE)
    }

    /// Watches an open directory, and no name in it that is a link.
    pub(super) fn directory(&self, dir: impl AsFd) -> Result<WatchId, Errno> {
        self.add(dir.as_fd(), DIRECTORY)
    }

    fn add(&self, what: BorrowedFd<'_>, flags: WatchFlags) -> Result<WatchId, Errno> {
        // By descriptor, since a name could mean something else by now.
        faults::before(Call::Watch)?;
        let path = format!("/proc/self/fd/{}", what.as_raw_fd());
        add_watch(&self.inotify, path, flags)
    }

    pub(super) fn remove(&self, id: WatchId) {
        // One that the kernel has removed itself is not there any more.
        let _ = remove_watch(&self.inotify, id);
    }

    /// What has changed since this was last asked. Costs one system call when nothing has.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        if matches!(ioctl_fionread(&self.inotify), Ok(0)) {
            return changes;
        }
        let mut reader = Reader::new(&self.inotify, &mut self.buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    changes.push(Change::Unknown);
                }
                Ok(event) => changes.push(match event.file_name().map(CStr::to_bytes) {
                    Some(name) => Change::In(event.wd(), name.into()),
                    None => Change::Of(event.wd()),
                }),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return changes,
                Err(_) => {
                    changes.push(Change::Unknown);
                    return changes;
                }
            }
        }
    }
}
