//! A file that is coming in: without a name as long as it can be, and then with its name at once.
//!
//! An unnamed file (`O_TMPFILE`) goes when this process does, whatever ends it. Where there are
//! none, and for the moment in which a file replaces another, it has a hidden name instead, which
//! is never served. Whoever finds such a name can tell whether anybody still needs it: the file is
//! locked (`flock`) as long as a process holds it.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http_proto::{Coding, EntityTag};
use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, fchmod, flock, fstat, linkat, openat,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::sweeper::{Leftover, Sweeper};
use crate::faults::{self, Asking, Call};
use crate::path::UPLOAD_PREFIX;
use crate::refusal::Refusal;
use crate::root::{Facts, FileId};
use crate::validators;

/// How many hidden names are tried. One is taken only if a process with this one's number ended
/// without removing it, as a container's first process does after each crash.
const NAMES_MAX: usize = 10_000;

/// What of a file's mode outlives its content: who may read, write and run it. Not what makes a
/// program act for its owner.
const KEPT_MODE: u32 = 0o777;

/// What a new file may be used for, less what the process's umask takes away.
const NEW_MODE: Mode = Mode::from_raw_mode(0o666);

/// A file that nobody else sees. Dropped, it is gone.
pub(super) struct Draft {
    /// The directory that it is made in; it can get a name in any of the same file system.
    dir: Arc<OwnedFd>,
    /// `None` once it is given away.
    file: Option<File>,
    /// The hidden name, where it has one.
    hidden: Option<Vec<u8>>,
    /// The file that it has changed places with, locked lest it be taken for a leftover.
    swapped: Option<OwnedFd>,
    /// No other draft of this process has it.
    number: u64,
    sweeper: Arc<Sweeper>,
}

/// Why a draft has not got its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unplaced {
    /// Something has it.
    Taken,
    Refused(Refusal),
}

impl From<Refusal> for Unplaced {
    fn from(refusal: Refusal) -> Unplaced {
        Unplaced::Refused(refusal)
    }
}

impl From<Errno> for Unplaced {
    fn from(errno: Errno) -> Unplaced {
        match errno {
            Errno::EXIST => Unplaced::Taken,
            // The directory has been removed meanwhile.
            Errno::NOENT => Unplaced::Refused(Refusal::ParentMissing),
            other => Unplaced::Refused(Refusal::from_os(other)),
        }
    }
}

impl Draft {
    /// An empty one in the file system of `dir`. `unnamed`: whether to try without a name.
    pub(super) fn new(
        dir: Arc<OwnedFd>,
        unnamed: bool,
        sweeper: &Arc<Sweeper>,
    ) -> Result<Draft, Refusal> {
        // From where no other server on the same tree counts.
        static COUNT: LazyLock<AtomicU64> =
            LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let sweeper = Arc::clone(sweeper);
        if unnamed {
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            match faults::before(Call::Make).and_then(|()| openat(&dir, c".", flags, NEW_MODE)) {
                Ok(file) => {
                    // For the moment in which it will have a hidden name.
                    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
                    let file = Some(File::from(file));
                    let (hidden, swapped) = (None, None);
                    return Ok(Draft { dir, file, hidden, swapped, number, sweeper });
                }
                // What file systems and kernels without unnamed files say.
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
                Err(errno) => return Err(Refusal::from_os(errno)),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let (file, hidden) = under_hidden_name(number, |name| {
            faults::before(Call::Make)?;
            let file = openat(&dir, name, flags, NEW_MODE)?;
            match is_ours(&file) {
                true => Ok(file),
                // Somebody sweeps, and took it for a leftover before it was locked.
                false => Err(Errno::EXIST),
            }
        })?;
        let (file, hidden) = (Some(File::from(file)), Some(hidden));
        Ok(Draft { dir, file, hidden, swapped: None, number, sweeper })
    }

    /// Which file it is.
    pub(super) fn id(&self) -> Result<FileId, Refusal> {
        Ok(Facts::of(self.file())?.id)
    }

    /// Appends to it.
    pub(super) fn write(&self, octets: &[u8]) -> Result<(), Refusal> {
        Asking(self.file()).write_all(octets).map_err(|error| Refusal::from_io(&error))
    }

    /// Gives it the permissions of the file with `mode` that it is to replace. Before there is
    /// content to see: a private file's is never anything else.
    pub(super) fn take_mode(&self, mode: u32) -> Result<(), Refusal> {
        let mode = Mode::from_raw_mode(mode & KEPT_MODE);
        let taken = faults::before(Call::Change).and_then(|()| fchmod(self.file(), mode));
        taken.map_err(Refusal::from_os)
    }

    /// Has it written to the disk, content and all, and says its tag. After an error nobody knows
    /// what has been written, and another try could claim to have written it: it is given up.
    pub(super) fn settle(&self) -> Result<Option<EntityTag>, Refusal> {
        let etag = self.set_apart()?;
        self.sync()?;
        Ok(etag)
    }

    /// Has what has changed of it since written to the disk.
    pub(super) fn sync(&self) -> Result<(), Refusal> {
        let synced = faults::before(Call::Sync).map_err(Into::into);
        synced.and_then(|()| self.file().sync_all()).map_err(|error| Refusal::from_io(&error))
    }

    /// Gives it the name `name` in `dir`, which nothing has yet.
    pub(super) fn create(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<(), Unplaced> {
        match self.hidden.take() {
            None => link_unnamed(self.file(), dir, name)?,
            Some(hidden) => {
                if let Err(errno) = rename_to_free(&self.dir, &hidden, dir, name) {
                    self.hidden = Some(hidden);
                    return Err(errno.into());
                }
            }
        }
        self.file = None;
        Ok(())
    }

    /// Puts it in the place of the file called `name` in `dir`, in one step.
    pub(super) fn replace(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<(), Unplaced> {
        let hidden = self.hide()?;
        faults::before(Call::Name)?;
        renameat(&self.dir, hidden.as_slice(), dir, name)?;
        self.hidden = None;
        self.file = None;
        Ok(())
    }

    /// Changes places with the file called `name` in `dir`, in one step: that file is now the one
    /// with the hidden name, and goes when this is dropped, unless it is
    /// [taken back](Self::swap_back).
    ///
    /// Where the file system cannot, it is replaced, and `false` says so.
    pub(super) fn swap(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<bool, Unplaced> {
        let hidden = self.hide()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.swapped = openat(dir, name, flags, Mode::empty()).ok();
        if let Some(swapped) = &self.swapped {
            // Who has locked it for good keeps the sweeper off as well.
            let _ = flock(swapped, FlockOperation::NonBlockingLockShared);
        }
        let exchange = RenameFlags::EXCHANGE;
        match faults::before(Call::Name)
            .and_then(|()| renameat_with(&self.dir, hidden.as_slice(), dir, name, exchange))
        {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS) => self.replace(dir, name).map(|()| false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Undoes a [`swap`](Self::swap).
    pub(super) fn swap_back(&mut self, dir: &OwnedFd, name: &[u8]) {
        let Some(hidden) = &self.hidden else { return };
        let exchange = RenameFlags::EXCHANGE;
        let swapped = faults::before(Call::Name)
            .and_then(|()| renameat_with(&self.dir, hidden.as_slice(), dir, name, exchange));
        if let Err(errno) = swapped {
            log::error!("a file that was replaced cannot be put back: {errno}");
        }
    }

    /// The hidden name, which it gets if it has none.
    fn hide(&mut self) -> Result<Vec<u8>, Refusal> {
        if let Some(hidden) = &self.hidden {
            return Ok(hidden.clone());
        }
        let link = |name: &[u8]| link_unnamed(self.file(), &self.dir, name);
        let ((), hidden) = under_hidden_name(self.number, link)?;
        self.hidden = Some(hidden.clone());
        Ok(hidden)
    }

    /// Gives the file a time that no other version of it has, and with it a strong tag.
    ///
    /// The kernel's clock stands still for up to 10 ms, and two uploads of one length within that
    /// time would share a tag. Some nanoseconds that are only this upload's tell them apart, and
    /// from any change by somebody else. `None` where the file system does not keep them.
    fn set_apart(&self) -> Result<Option<EntityTag>, Refusal> {
        let written = Facts::of(self.file())?;
        let own = Duration::from_nanos(1 + self.number % 999_999);
        let time = written.mtime + own;
        if faults::before(Call::Change).is_err() || self.file().set_modified(time).is_err() {
            return Ok(None);
        }
        let facts = Facts::of(self.file())?;
        Ok(validators::validators(&facts, Coding::Identity).etag.filter(|_| facts.mtime == time))
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("a draft has its file until that has its name")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.is_some() || self.hidden.is_some() {
            let (dir, name, file) = (Arc::clone(&self.dir), self.hidden.take(), self.file.take());
            self.sweeper.remove(Leftover { dir, name, file });
        }
    }
}

/// Whether files in `dir` can be made without a name, and given one.
pub(super) fn can_be_unnamed(dir: impl AsFd) -> bool {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let Ok(file) = openat(dir.as_fd(), c".", flags, Mode::RUSR | Mode::WUSR) else { return false };
    // Locked, lest another server that starts here take it for a leftover.
    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
    let link = |name: &[u8]| link_unnamed(&file, dir.as_fd(), name);
    let Ok(((), name)) = under_hidden_name(0, link) else { return false };
    unlinkat(dir, name.as_slice(), AtFlags::empty()).is_ok()
}

/// Whether this process has the only lock on `file`, which still has its name.
fn is_ours(file: impl AsFd) -> bool {
    match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => fstat(file).is_ok_and(|stat| stat.st_nlink > 0),
        Err(Errno::WOULDBLOCK) => false,
        // A file system without locks: then nobody sweeps there either.
        Err(_) => true,
    }
}

/// Does something with hidden names until one is not taken.
fn under_hidden_name<T>(
    number: u64,
    mut make: impl FnMut(&[u8]) -> Result<T, Errno>,
) -> Result<(T, Vec<u8>), Refusal> {
    let process = std::process::id();
    for attempt in 0..NAMES_MAX {
        let name = match attempt {
            0 => format!("{UPLOAD_PREFIX}{process}-{number}"),
            _ => format!("{UPLOAD_PREFIX}{process}-{number}-{attempt}"),
        };
        match make(name.as_bytes()) {
            Ok(made) => return Ok((made, name.into_bytes())),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Refusal::from_os(errno)),
        }
    }
    Err(Refusal::Busy)
}

/// Gives an unnamed file a name that nothing has.
///
/// By its descriptor, which kernels before 6.10 allow to nobody but the superuser (`ENOENT`), or
/// by the link that `/proc` has to it.
fn link_unnamed(file: impl AsFd, dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    faults::before(Call::Name)?;
    match linkat(file.as_fd(), c"", dir.as_fd(), name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
            let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
            linkat(CWD, link, dir, name, AtFlags::SYMLINK_FOLLOW)
        }
        done => done,
    }
}

/// Renames, if nothing has the new name. In two steps where the file system knows no such call.
fn rename_to_free(from: &OwnedFd, old: &[u8], to: &OwnedFd, new: &[u8]) -> Result<(), Errno> {
    faults::before(Call::Name)?;
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(from, old, to, new, AtFlags::empty())?;
            unlinkat(from, old, AtFlags::empty())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests;
