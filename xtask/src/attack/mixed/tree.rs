//! Files that check themselves: what is in a version of one follows from its number.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

/// The first half is replaced by renaming, the second over HTTP.
pub(super) const FILES: usize = 48;
/// The lines of a file are this long, the newline included.
const LINE_BYTES: usize = 32;
/// Of these files every so often one is removed before it is made again.
const COMING_AND_GOING: usize = 4;

/// What is known of each file. One thread alone changes it.
#[derive(Default)]
struct Known {
    /// The version that is being put there, and the last that is.
    begun: AtomicU64,
    done: AtomicU64,
    /// Odd while it may be missing.
    absences: AtomicU64,
}

/// All files.
pub(super) struct Tree([Known; FILES]);

/// What is known of a file before it is asked for.
pub(super) struct Before {
    done: u64,
    absences: u64,
}

/// What an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    WrongBytes,
    /// Older than what was there when it was asked for.
    Stale,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree(std::array::from_fn(|_| Known::default()))
    }
}

impl Tree {
    pub(super) fn fill(&self, root: &Path) -> Result<()> {
        for file in 0..FILES {
            std::fs::write(root.join(name(file)), content(file, 0))?;
        }
        Ok(std::fs::write(root.join("large"), vec![b'x'; 4 << 20])?)
    }

    /// The next version of a file, which is now being put there.
    pub(super) fn begin(&self, file: usize) -> (u64, Vec<u8>) {
        let version = self.0[file].begun.fetch_add(1, Ordering::SeqCst) + 1;
        (version, content(file, version))
    }

    /// That version is there.
    pub(super) fn done(&self, file: usize, version: u64) {
        self.0[file].done.store(version, Ordering::SeqCst);
    }

    /// Whether the file is one that is removed now and then.
    pub(super) fn comes_and_goes(file: usize) -> bool {
        file.is_multiple_of(FILES / COMING_AND_GOING)
    }

    /// The file may be missing from now on, or is there for sure.
    pub(super) fn note_absence(&self, file: usize) {
        self.0[file].absences.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn before(&self, file: usize) -> Before {
        let known = &self.0[file];
        Before {
            done: known.done.load(Ordering::SeqCst),
            absences: known.absences.load(Ordering::SeqCst),
        }
    }

    /// Whether the file may have been missing at some time since.
    pub(super) fn may_have_been_missing(&self, file: usize, before: &Before) -> bool {
        let now = self.0[file].absences.load(Ordering::SeqCst);
        before.absences % 2 == 1 || now != before.absences
    }

    /// Judges the content of an answer.
    pub(super) fn judge(&self, file: usize, before: &Before, found: &[u8]) -> Verdict {
        let version = found.get(4..14).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(version) = version.and_then(|digits| digits.parse().ok()) else {
            return Verdict::WrongBytes;
        };
        let is_to_come = version > self.0[file].begun.load(Ordering::SeqCst);
        if is_to_come || found != content(file, version) {
            Verdict::WrongBytes
        } else if version < before.done {
            Verdict::Stale
        } else {
            Verdict::Right
        }
    }
}

pub(super) fn name(file: usize) -> String {
    format!("f-{file:03}")
}

/// From a line to some 300 KB, another length for each version.
fn content(file: usize, version: u64) -> Vec<u8> {
    let most = [3, 40, 600, 9_000][file % 4];
    let lines = 1 + (version as usize * 7 + file) % most;
    let mut content = String::with_capacity(lines * LINE_BYTES);
    for line in 0..lines {
        content += &format!("{file:03} {version:010} {line:016}\n");
    }
    content.into_bytes()
}

/// Names in the root that nobody has given, or that an aborted upload has.
pub(super) fn leftovers(root: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(root)? {
        let found = entry?.file_name().to_string_lossy().into_owned();
        let known = found == "large" || (0..FILES).any(|file| name(file) == found);
        if !known {
            println!("  left over: {found}");
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_from_others_and_from_a_mixture() {
        let tree = Tree::default();
        let file = 2;
        let before = tree.before(file);
        assert_eq!(tree.judge(file, &before, &content(file, 0)), Verdict::Right);
        assert_eq!(tree.judge(file, &before, &content(file, 1)), Verdict::WrongBytes);
        let (version, new) = tree.begin(file);
        assert_eq!(tree.judge(file, &before, &new), Verdict::Right);
        tree.done(file, version);
        assert_eq!(tree.judge(file, &before, &content(file, 0)), Verdict::Right);
        let after = tree.before(file);
        assert_eq!(tree.judge(file, &after, &content(file, 0)), Verdict::Stale);
        assert_eq!(tree.judge(file, &after, &new[..new.len() - 1]), Verdict::WrongBytes);
        assert_eq!(tree.judge(file, &after, b""), Verdict::WrongBytes);
        let mut mixed = new.clone();
        mixed[new.len() - LINE_BYTES..].copy_from_slice(&content(file, 0)[..LINE_BYTES]);
        assert_eq!(tree.judge(file, &after, &mixed), Verdict::WrongBytes);
    }

    #[test]
    fn an_absence_is_seen_from_before_and_from_after() {
        let tree = Tree::default();
        let before = tree.before(0);
        assert!(!tree.may_have_been_missing(0, &before));
        tree.note_absence(0);
        assert!(tree.may_have_been_missing(0, &before));
        assert!(tree.may_have_been_missing(0, &tree.before(0)));
        tree.note_absence(0);
        assert!(tree.may_have_been_missing(0, &before));
        assert!(!tree.may_have_been_missing(0, &tree.before(0)));
    }
}
