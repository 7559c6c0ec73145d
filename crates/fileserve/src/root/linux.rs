//! What only Linux has: `openat2`, which follows a path without leaving a directory.
//!
//! For another Unix it takes these few items with `probe` saying [`Lookup::Walk`]; FreeBSD could
//! answer with `O_RESOLVE_BENEATH`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::Lookup;

/// Opens a directory only to go on from there: that takes no right to read it.
pub(super) const TRAVERSE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// Opens something only to ask what it is: that takes no right to read it, and wakes no device.
pub(super) const LOOK: OFlags = OFlags::PATH;

/// Beneath, links included. Magic links (`/proc/self/fd/1`) do not name what they lead to, so they
/// are never followed.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// Asks the kernel what it can do. Kernels before 5.6 and some sandboxes have no `openat2` (`ENOSYS`,
/// or `EPERM` from a system call filter), those before 5.12 cannot look up in memory alone (`EINVAL`).
pub(super) fn probe(dir: BorrowedFd<'_>) -> Lookup {
    let here = OsStr::new(".");
    let flags = LOOK.union(OFlags::CLOEXEC);
    match open_beneath(dir, here, flags) {
        Ok(_) => {}
        Err(_) => return Lookup::Walk,
    }
    let cached = matches!(open_cached(dir, here, flags), Ok(_) | Err(Errno::AGAIN));
    Lookup::Kernel { cached }
}

/// Opens `path` beneath `dir`; `EXDEV` if it leads out of it, `ELOOP` if through a magic link or
/// too many links, `EAGAIN` if it kept changing meanwhile.
pub(super) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    openat2(dir, path, flags, Mode::empty(), BENEATH)
}

/// [`open_beneath`] without waiting for a disk: `EAGAIN` if that would be needed.
pub(super) fn open_cached(
    dir: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    openat2(dir, path, flags, Mode::empty(), BENEATH.union(ResolveFlags::CACHED))
}

/// Fills `buffer` from `offset` of `file`, if the kernel has all of it in memory; `false` if it
/// would have to wait, cannot tell, or the file is shorter.
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> bool {
    if buffer.is_empty() {
        return true;
    }
    let length = buffer.len();
    preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) == Ok(length)
}
