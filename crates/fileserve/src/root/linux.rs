//! What only Linux has: `openat2`, which follows a path without leaving a directory.
//!
//! For another Unix it takes these few items with `probe` saying [`Lookup::Walk`]; FreeBSD could
//! answer with `O_RESOLVE_BENEATH`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FsWord, Mode, OFlags, ResolveFlags, fstatfs, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::Lookup;
use crate::faults::{self, Call};

/// Opens a directory only to go on from there: that takes no right to read it.
pub(super) const TRAVERSE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// Opens something only to ask what it is: that takes no right to read it, and wakes no device.
pub(super) const LOOK: OFlags = OFlags::PATH;

/// Beneath, links included. Magic links (`/proc/self/fd/1`) do not name what they lead to, so they
/// are never followed.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// Asks the kernel what it can do. Kernels before 5.6 and some sandboxes have no `openat2`
/// (`ENOSYS`, or `EPERM` from a system call filter), those before 5.12 cannot look up in memory
/// alone (`EINVAL`).
pub(super) fn probe(dir: BorrowedFd<'_>) -> Lookup {
    let here = OsStr::new(".");
    let flags = LOOK.union(OFlags::CLOEXEC);
    match open_beneath(dir, here, flags) {
        Ok(_) => {}
        Err(_) => return Lookup::Walk,
    }
    let knows = matches!(open_cached(dir, here, flags), Ok(_) | Err(Errno::AGAIN));
    let kind = fstatfs(dir).map(|found| found.f_type);
    Lookup::Kernel {
        cached: knows && kind.is_ok_and(is_local),
        exact_names: kind.is_ok_and(|kind| !INEXACT_NAMES.contains(&kind)),
    }
}

/// File systems on which one file may go by names that differ, in case for one: what happens to a
/// name may then be told of another. FAT, exFAT, and ZFS, which can be either.
const INEXACT_NAMES: [FsWord; 3] = [0x4d44, 0x2011_bab0, 0x2fc1_2fc1];

/// Whether a file system of this type, as `statfs` numbers them, opens a file that it knows the
/// path of without asking anybody: no network, no other process. One not named here is not trusted.
fn is_local(kind: FsWord) -> bool {
    const LOCAL: [FsWord; 13] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // Btrfs
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlayfs, beneath containers
        0x2fc1_2fc1, // ZFS
        0xf2f5_2010, // F2FS
        0xca45_1a4e, // bcachefs
        0x7371_7368, // SquashFS
        0xe0f5_e1e2, // EROFS
        0x2011_bab0, // exFAT
        0x4d44,      // FAT
    ];
    LOCAL.contains(&kind)
}

/// Opens `path` beneath `dir`; `EXDEV` if it leads out of it, `ELOOP` if through a magic link or
/// too many links, `EAGAIN` if it kept changing meanwhile.
pub(super) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    faults::before(Call::Open)?;
    openat2(dir, path, flags, Mode::empty(), BENEATH)
}

/// [`open_beneath`] without waiting for a disk: `EAGAIN` if that would be needed, `EXDEV` for what
/// is on another file system.
pub(super) fn open_cached(
    dir: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    faults::before(Call::OpenCached)?;
    openat2(dir, path, flags, Mode::empty(), cached())
}

/// [`open_cached`] of a path without links: `ELOOP` if there is one.
pub(super) fn open_plain(
    dir: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    faults::before(Call::OpenCached)?;
    openat2(dir, path, flags, Mode::empty(), cached().union(ResolveFlags::NO_SYMLINKS))
}

fn cached() -> ResolveFlags {
    let resolve = BENEATH.union(ResolveFlags::NO_XDEV);
    match faults::is_planned() {
        // What is in memory is for the plan to say: the kernel may have had to drop it.
        true => resolve,
        false => resolve.union(ResolveFlags::CACHED),
    }
}

/// Fills `buffer` from `offset` of `file`, if the kernel has all of it in memory; `false` if it
/// would have to wait, cannot tell, or the file is shorter.
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> bool {
    if buffer.is_empty() {
        return true;
    }
    if faults::before(Call::ReadCached).is_err() {
        return false;
    }
    let length = buffer.len();
    let flags = match faults::is_planned() {
        // What is in memory is for the plan to say, also on file systems that cannot.
        true => ReadWriteFlags::empty(),
        false => ReadWriteFlags::NOWAIT,
    };
    preadv2(file, &mut [IoSliceMut::new(buffer)], offset, flags) == Ok(length)
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn what_may_keep_a_thread_waiting_for_somebody_else_is_not_local() {
        let local = [("ext4", 0xef53), ("tmpfs", 0x0102_1994), ("overlayfs", 0x794c_7630)];
        let distant =
            [("NFS", 0x6969), ("FUSE", 0x6573_5546), ("SMB 2", 0xfe53_4d42), ("9P", 0x0102_1997)];
        for (name, kind) in local {
            assert!(is_local(kind), "{name}");
        }
        for (name, kind) in distant {
            assert!(!is_local(kind), "{name}");
        }
    }
}
