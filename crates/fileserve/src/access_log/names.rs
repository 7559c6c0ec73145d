//! Which names are the log's: its own, and those that a rotation gives to its earlier parts.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::root::FileId;

/// The name of a log in its directory, which is known by device and inode: whatever path leads to
/// it, it is the same one. It is the directory of the start; one that replaces it is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogName {
    dir: FileId,
    name: Vec<u8>,
}

impl LogName {
    /// `name` in the directory `dir`.
    pub(crate) fn new(dir: FileId, name: &[u8]) -> LogName {
        LogName { dir, name: name.to_vec() }
    }

    /// The names of the log at `path`: as it is said, and, if that is a link, where it leads.
    pub(super) fn of(path: &Path) -> Vec<LogName> {
        let led_to = path.canonicalize().ok();
        let paths = [Some(path), led_to.as_deref()];
        let mut names: Vec<_> = paths.into_iter().flatten().filter_map(LogName::at).collect();
        names.dedup();
        names
    }

    fn at(path: &Path) -> Option<LogName> {
        // The OS follows the links and the `..` in it.
        let dir = path.parent()?.metadata().ok()?;
        let id = FileId { device: dir.dev(), inode: dir.ino() };
        Some(LogName::new(id, path.file_name()?.as_bytes()))
    }

    /// Whether a file called `name` would be a log of this name in its directory: `access.log`
    /// itself, `access.log.1`, `access.log-20261122.gz`. In any case, since some directories fold
    /// case.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        let own = self.name.len();
        name.get(..own).is_some_and(|start| start.eq_ignore_ascii_case(&self.name))
            && matches!(name.get(own), None | Some(b'.' | b'-'))
    }

    /// Whether `dir` is the log's directory.
    pub(crate) fn is_in(&self, dir: FileId) -> bool {
        self.dir == dir
    }
}
