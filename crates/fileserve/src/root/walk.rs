//! Follows a path segment by segment, for where the kernel offers nothing better.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::linux;
use crate::path::RelPath;

/// Opens `path` beneath `dir` without following any symbolic link: `ENOTDIR` for one on the way,
/// `ELOOP` for one at the end (where `flags` ask only for a look, the link itself is opened).
///
/// No segment is `..` and none is followed elsewhere, so each step goes down.
pub(super) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &RelPath,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let step = |from: BorrowedFd<'_>, name: &[u8], flags: OFlags| {
        openat(from, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    };
    let Some(name) = path.file_name() else {
        return step(dir, b".", flags);
    };
    let depth = path.segments().count();
    let mut reached: Option<OwnedFd> = None;
    for segment in path.segments().take(depth - 1) {
        let from = reached.as_ref().map_or(dir, OwnedFd::as_fd);
        reached = Some(step(from, segment, linux::TRAVERSE)?);
    }
    step(reached.as_ref().map_or(dir, OwnedFd::as_fd), name, flags)
}
