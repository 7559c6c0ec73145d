//! Opens what lies beneath one directory, and nothing else.
//!
//! The directory is held open, so a root that is renamed or mounted over is still the one that was
//! meant. A file is opened first and judged by its own descriptor afterwards; nothing is checked
//! by name.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, open, statat};
use rustix::io::Errno;

use crate::faults::{self, Call};
use crate::path::RelPath;
use crate::refusal::Refusal;

mod linux;
mod list;
mod walk;

pub(crate) use linux::read_cached;
pub use list::{Entry, LISTED_NAMES_MAX, Listing, SHORT_NAMES};

/// How often a lookup that the kernel gave up on is tried again. It gives up when a directory is
/// renamed while a path leads through it, or a signal comes in between: once is rare.
const LOOKUPS_MAX: usize = 8;

/// For reading. Without `NONBLOCK` a FIFO without a writer would hold the thread for ever, and
/// without `NOCTTY` a terminal could become the server's.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// For making and removing entries. Not `PATH`: what was written must be synced through it.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open directory that everything served lies beneath.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    lookup: Lookup,
}

/// How a path is followed without leaving the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    /// By the kernel, in one call. Links are followed as long as they stay beneath the root.
    Kernel {
        /// Whether it can look a path up in memory alone.
        cached: bool,
        /// Whether every name is another's if it differs by an octet.
        exact_names: bool,
    },
    /// Segment by segment, because the kernel is too old or a sandbox refuses the call. No link
    /// is followed: where it leads could not be told without a race.
    Walk,
}

/// A file or directory that is open for reading.
#[derive(Debug)]
pub struct Opened {
    /// The descriptor. For a file, reads from it never block on a peer.
    pub file: File,
    /// What that very descriptor says of itself.
    pub facts: Facts,
}

/// What a look at a path without links has found, in memory alone.
#[derive(Debug)]
pub(crate) enum Looked<T> {
    There(T),
    Missing,
    /// The kernel would have to ask the disk. Once it has, another look will tell.
    Cold,
    /// It is not for this way of looking to say.
    Unknown,
}

/// What there is to know of a file before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// File or directory.
    pub kind: Kind,
    /// Length in bytes; of no meaning for a directory.
    pub len: u64,
    /// Last modification, as exact as the file system keeps it; may lie before 1970 and ahead.
    pub mtime: SystemTime,
    /// Last change of anything, by the file system's own clock: unlike `mtime`, it cannot be set on
    /// the file systems that Linux is usually installed on.
    pub ctime: SystemTime,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// Which file it is, as long as it exists: tells the server's own files from others.
    pub id: FileId,
}

/// What can be served. Whatever is neither is refused when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// Device and inode number. They are this machine's own, so they belong in no entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode on it.
    pub inode: u64,
}

impl Root {
    /// Opens the directory at `path`, which may be a symbolic link, and finds out how to look
    /// things up beneath it.
    ///
    /// # Errors
    /// What the OS says, without the path: there is no such directory, it is a file, it may not be
    /// entered, and so on.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Root> {
        let flags = linux::TRAVERSE.union(OFlags::CLOEXEC);
        let dir = open(path.as_ref(), flags, Mode::empty())?;
        // To open it took no right to go on from there.
        statat(&dir, ".", AtFlags::empty())?;
        let lookup = linux::probe(dir.as_fd());
        Ok(Root { dir, lookup })
    }

    /// Which directory it is.
    pub(crate) fn id(&self) -> io::Result<FileId> {
        let stat = fstat(&self.dir)?;
        Ok(FileId::new(&stat))
    }

    /// Opens the file or directory at `path` for reading. May block on the disk, not on a FIFO.
    ///
    /// The form of `path` plays no part: whether a file may be asked for with a `/` behind it is
    /// for the caller to say. A directory that may be passed through but not read is opened, and
    /// [`list`](Root::list) refuses it.
    ///
    /// # Errors
    /// `NotRegular` for anything but a file or a directory, else as [`Refusal::from_os`] says.
    pub fn open_file(&self, path: &RelPath) -> Result<Opened, Refusal> {
        let file = match self.look_up(path, READ) {
            // A directory that may be passed through but not read can still have an index.
            Err(Errno::ACCESS) => self
                .look_up(path, linux::TRAVERSE.union(OFlags::CLOEXEC))
                .map_err(|_| Refusal::NotPermitted)?,
            other => other.map_err(Refusal::from_os)?,
        };
        Opened::judge(file)
    }

    /// [`open_file`](Root::open_file) if the kernel has the whole path in memory, so that the disk
    /// is not waited for. `None` says nothing about the file: then it takes a call that may block.
    ///
    /// Always `None` where to open a file may mean to ask somebody else for it: on a network or a
    /// FUSE file system, and, as one cannot know, on any but the root's own.
    pub fn open_cached(&self, path: &RelPath) -> Option<Result<Opened, Refusal>> {
        if !matches!(self.lookup, Lookup::Kernel { cached: true, .. }) {
            return None;
        }
        match linux::open_cached(self.dir.as_fd(), path.as_os_str(), READ) {
            Ok(file) => Some(Opened::judge(file)),
            Err(Errno::AGAIN | Errno::INTR) => None,
            // Beyond the root's file system, or out of the root: looked at more closely elsewhere.
            Err(Errno::XDEV) => None,
            // Perhaps a directory that takes a second look.
            Err(Errno::ACCESS) => None,
            Err(errno) => Some(Err(Refusal::from_os(errno))),
        }
    }

    /// Opens what is at `path`, if the kernel has all of the path in memory and no part of it is a
    /// link.
    pub(crate) fn open_plain(&self, path: &RelPath) -> Looked<Opened> {
        match self.look_up_plain(path, READ) {
            Looked::There(file) => Opened::judge(file).map_or(Looked::Unknown, Looked::There),
            Looked::Missing => Looked::Missing,
            Looked::Cold => Looked::Cold,
            Looked::Unknown => Looked::Unknown,
        }
    }

    /// The same for a directory, to watch it.
    pub(crate) fn open_plain_dir(&self, path: &RelPath) -> Looked<OwnedFd> {
        self.look_up_plain(path, linux::TRAVERSE.union(OFlags::CLOEXEC))
    }

    fn look_up_plain(&self, path: &RelPath, flags: OFlags) -> Looked<OwnedFd> {
        let Lookup::Kernel { cached: true, exact_names: true } = self.lookup else {
            return Looked::Unknown;
        };
        match linux::open_plain(self.dir.as_fd(), path.as_os_str(), flags) {
            Ok(found) => Looked::There(found),
            Err(Errno::NOENT) => Looked::Missing,
            Err(Errno::AGAIN) => Looked::Cold,
            Err(_) => Looked::Unknown,
        }
    }

    /// Opens the directory at `path`, to make and remove entries in it. May block on the disk.
    ///
    /// # Errors
    /// `NotADirectory` for anything else, else as [`Refusal::from_os`] says.
    pub fn open_dir(&self, path: &RelPath) -> Result<OwnedFd, Refusal> {
        self.look_up(path, DIRECTORY).map_err(Refusal::from_os)
    }

    /// The facts of what is at `path`, even where reading is not permitted.
    pub(crate) fn look_at(&self, path: &RelPath) -> Result<Facts, Refusal> {
        let found = self.look_up(path, linux::LOOK.union(OFlags::CLOEXEC));
        Facts::of(found.map_err(Refusal::from_os)?)
    }

    /// The one way in.
    fn look_up(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let dir = self.dir.as_fd();
        for _ in 1..LOOKUPS_MAX {
            match self.look_up_once(dir, path, flags) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return done,
            }
        }
        self.look_up_once(dir, path, flags)
    }

    fn look_up_once(
        &self,
        dir: BorrowedFd<'_>,
        path: &RelPath,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        match self.lookup {
            Lookup::Kernel { .. } => linux::open_beneath(dir, path.as_os_str(), flags),
            Lookup::Walk => walk::open_beneath(dir, path, flags),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Opened {
    fn judge(file: OwnedFd) -> Result<Opened, Refusal> {
        let facts = Facts::of(&file)?;
        Ok(Opened { file: File::from(file), facts })
    }

    /// The same open file with what is true of it now.
    ///
    /// # Errors
    /// As [`Refusal::from_os`] says.
    pub fn look_again(self) -> Result<Opened, Refusal> {
        Ok(Opened { facts: Facts::of(&self.file)?, ..self })
    }
}

impl Facts {
    /// What an open file says of itself.
    pub(crate) fn of(file: impl AsFd) -> Result<Facts, Refusal> {
        let stat = faults::before(Call::Stat).and_then(|()| fstat(file));
        Facts::new(&stat.map_err(Refusal::from_os)?)
    }

    fn new(stat: &Stat) -> Result<Facts, Refusal> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => return Err(Refusal::SymlinkLoop),
            _ => return Err(Refusal::NotRegular),
        };
        Ok(Facts {
            kind,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: time_of(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time_of(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode & 0o7777,
            id: FileId::new(stat),
        })
    }
}

impl FileId {
    pub(crate) fn new(stat: &Stat) -> FileId {
        FileId { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// The time `seconds` after 1970 (or before it) and `nanos` later; 1970 where that is out of range.
fn time_of(seconds: i64, nanos: u64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = match seconds {
        0.. => UNIX_EPOCH.checked_add(whole),
        _ => UNIX_EPOCH.checked_sub(whole),
    };
    second.and_then(|s| s.checked_add(Duration::from_nanos(nanos))).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
