//! Walks all that lies beneath the root: to find what is left over, and to count.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::root::Root;

/// How many directories deep it is looked; each holds a descriptor meanwhile. Nothing is written
/// half as deep: see [`place`](super::place).
const DEPTH_MAX: usize = 256;

/// A name beneath the root, and what has it. A link is itself, not what it leads to.
pub(super) struct Found<'f> {
    pub(super) dir: BorrowedFd<'f>,
    pub(super) name: &'f [u8],
    pub(super) kind: FileType,
}

/// Shows everything beneath `root` to `visit`, but for directories that cannot be read and what
/// comes once it is `over`.
pub(super) fn walk(root: &Root, over: &AtomicBool, mut visit: impl FnMut(Found<'_>)) {
    if let Ok(dir) = openat(root, c".", READ, Mode::empty()) {
        let _ = walk_in(dir, over, 0, &mut visit);
    }
}

const READ: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn walk_in(
    dir: OwnedFd,
    over: &AtomicBool,
    depth: usize,
    visit: &mut dyn FnMut(Found<'_>),
) -> Result<(), Errno> {
    let mut entries = Dir::new(dir)?;
    while let Some(entry) = entries.next() {
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let entry = entry?;
        let (dir, name) = (entries.fd()?, entry.file_name());
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say.
            FileType::Unknown => match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => continue,
            },
            known => known,
        };
        visit(Found { dir, name: name.to_bytes(), kind });
        if kind == FileType::Directory
            && depth < DEPTH_MAX
            && let Ok(below) = openat(dir, name, READ, Mode::empty())
        {
            // What can be read of the rest is worth more than nothing.
            let _ = walk_in(below, over, depth + 1, visit);
        }
    }
    Ok(())
}
