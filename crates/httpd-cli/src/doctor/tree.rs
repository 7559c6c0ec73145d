//! Looks through what would be served, for what should not be.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags, accessat, open, openat2};

use super::signs;

/// How many names are looked at: what takes minutes rather than seconds is no look any more.
pub(super) const NAMES_MAX: usize = 1_000_000;

/// How deep: longer paths cannot be asked for with the usual limit on request lines, and a
/// directory that is mounted into itself has no end.
pub(super) const DEPTH_MAX: usize = 128;

/// Who will read the files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reader {
    /// Whoever runs this.
    Me,
    /// Somebody else, of one group, as far as the modes of files tell: neither access control lists
    /// nor the directories on the way are asked. For who cannot become that user.
    User { uid: u32, gid: u32 },
}

/// What there is to know of what is served.
pub(super) struct Site<'a> {
    /// Without links.
    pub(super) root: &'a Path,
    /// Names with a dot in front are served.
    pub(super) hidden: bool,
    /// Where the access log is, without links.
    pub(super) log: Option<&'a Path>,
    pub(super) reader: Reader,
}

/// What was found, in the order of the paths.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What clients or other users of the machine can get at.
    pub(super) exposed: Vec<Finding>,
    /// What is there and not served.
    pub(super) kept: Vec<Finding>,
    /// How many names were looked at.
    pub(super) names: usize,
    /// There are more than [`NAMES_MAX`], or deeper ones than [`DEPTH_MAX`].
    pub(super) cut: bool,
}

/// A path from the root, with a `/` in front and behind a directory, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) path: PathBuf,
    pub(super) what: &'static str,
}

/// Looks at everything beneath the root that is served.
pub(super) fn look(site: &Site<'_>) -> Findings {
    let mut found = Findings::default();
    if let Ok(facts) = fs::metadata(site.root) {
        site.check_mode(&mut found, Path::new("/"), &facts);
    }
    let mut waiting = vec![(PathBuf::from("/"), 0)];
    while let Some((dir, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(site.place(&dir)) else {
            found.kept(&dir, "cannot be looked into");
            continue;
        };
        // What cannot be read any more is not served any more.
        for entry in entries.flatten() {
            if found.names == NAMES_MAX {
                found.cut = true;
                waiting.clear();
                break;
            }
            found.names += 1;
            if let Some(below) = site.judge(&mut found, &dir, &entry.file_name()) {
                match depth < DEPTH_MAX {
                    true => waiting.push((below, depth + 1)),
                    false => found.cut = true,
                }
            }
        }
    }
    found.exposed.sort();
    found.kept.sort();
    found
}

impl Findings {
    fn exposed(&mut self, path: &Path, what: &'static str) {
        self.exposed.push(Finding { path: path.to_owned(), what });
    }

    fn kept(&mut self, path: &Path, what: &'static str) {
        self.kept.push(Finding { path: path.to_owned(), what });
    }
}

impl Site<'_> {
    /// Where a path from the root is.
    fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Says what there is to say of a name in `dir`; returns it if it is a directory whose names
    /// are to be looked at, too.
    fn judge(&self, found: &mut Findings, dir: &Path, name: &OsStr) -> Option<PathBuf> {
        let path = dir.join(name);
        let facts = fs::symlink_metadata(self.place(&path)).ok()?;
        let kind = facts.file_type();
        // Shown with a slash.
        let path = if kind.is_dir() { path.join("") } else { path };
        let name = name.as_bytes();
        if self.is_hidden(name) {
            found.kept(&path, "hidden (--hidden would serve it)");
        } else if kind.is_symlink() {
            self.judge_link(found, &path);
        } else if !kind.is_dir() && !kind.is_file() {
            let is_device = kind.is_block_device() || kind.is_char_device();
            let what = if is_device { "a device: refused" } else { "a FIFO or socket: refused" };
            found.kept(&path, what);
        } else if kind.is_file() {
            self.judge_file(found, &path, name, &facts);
        } else if let Some(what) = signs::of_directory(name) {
            found.exposed(&path, what);
        } else {
            self.check_mode(found, &path, &facts);
            return Some(path);
        }
        None
    }

    fn judge_file(&self, found: &mut Findings, path: &Path, name: &[u8], facts: &Metadata) {
        if self.is_log(path) {
            return found.kept(path, "the access log: never served");
        }
        self.check_mode(found, path, facts);
        if !self.may_read(path, facts) {
            return found.kept(path, "the server may not read it");
        }
        let by_content = || self.head(path).ok().and_then(|head| signs::of_content(&head));
        let place =
            || path.parent().into_iter().flatten().find_map(|dir| signs::of_place(dir.as_bytes()));
        if let Some(what) = by_content().or_else(|| signs::of_file(name)).or_else(place) {
            found.exposed(path, what);
        }
    }

    /// A link is followed as long as it stays beneath the root, hidden names or not.
    fn judge_link(&self, found: &mut Findings, path: &Path) {
        let place = self.place(path);
        let Ok(target) = place.canonicalize() else {
            return found.kept(path, "a link that leads nowhere");
        };
        let Ok(beneath) = target.strip_prefix(self.root) else {
            return found.kept(path, "a link that leads out of the directory: refused");
        };
        if fs::read_link(&place).is_ok_and(|told| told.is_absolute()) {
            return found.kept(path, "a link with an absolute path: refused");
        }
        if !self.is_followed(path) {
            return found.kept(path, "a link that leads out of the directory on its way: refused");
        }
        if beneath.iter().any(|name| self.is_hidden(name.as_bytes())) {
            found.exposed(path, "a link that leads to a hidden name, which is so served");
        }
    }

    /// As the server follows it, which is done by the kernel or not at all.
    fn is_followed(&self, path: &Path) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let path = path.strip_prefix("/").unwrap_or(path);
        let root = open(self.root, flags | OFlags::DIRECTORY, Mode::empty());
        root.and_then(|root| openat2(root, path, flags, Mode::empty(), beneath)).is_ok()
    }

    /// What other users of this machine could do.
    fn check_mode(&self, found: &mut Findings, path: &Path, facts: &Metadata) {
        let mode = facts.mode();
        if mode & 0o002 != 0 {
            found.exposed(path, "every user of this machine can change it");
        }
        if facts.is_file() && mode & 0o6000 != 0 {
            found.exposed(path, "runs with the rights of its owner (set-uid or set-gid)");
        }
    }

    /// As for a request: RFC 8615 names are meant to be found.
    fn is_hidden(&self, name: &[u8]) -> bool {
        !self.hidden && name.starts_with(b".") && name != b".well-known"
    }

    /// The log, its rotated parts, and one that a run without arguments has left at the top.
    fn is_log(&self, path: &Path) -> bool {
        let place = self.place(path);
        let left = self.root.join(fileserve::access_log::DEFAULT_NAME);
        [self.log, Some(&left)].into_iter().flatten().any(|log| {
            let (Some(log_name), Some(name)) = (log.file_name(), place.file_name()) else {
                return false;
            };
            let rest = name.as_bytes().strip_prefix(log_name.as_bytes());
            log.parent() == place.parent()
                && rest.is_some_and(|rest| rest.is_empty() || matches!(rest[0], b'.' | b'-'))
        })
    }

    fn may_read(&self, path: &Path, facts: &Metadata) -> bool {
        match self.reader {
            Reader::Me => {
                accessat(CWD, self.place(path), Access::READ_OK, AtFlags::EACCESS).is_ok()
            }
            Reader::User { uid, .. } if uid == facts.uid() => facts.mode() & 0o400 != 0,
            Reader::User { gid, .. } if gid == facts.gid() => facts.mode() & 0o040 != 0,
            Reader::User { .. } => facts.mode() & 0o004 != 0,
        }
    }

    fn head(&self, path: &Path) -> io::Result<Vec<u8>> {
        // It may have become a FIFO meanwhile.
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let mut open = OpenOptions::new();
        let file: File =
            open.read(true).custom_flags(flags.bits().cast_signed()).open(self.place(path))?;
        let mut head = Vec::with_capacity(signs::HEAD_BYTES);
        file.take(signs::HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok(head)
    }
}

#[cfg(test)]
mod tests;
