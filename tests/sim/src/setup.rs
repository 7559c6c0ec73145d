//! How the server of a run is set up.

use std::path::Path;

use fileserve::{CacheLimits, Forms, Hosts, OnConflict, Options, Uploads};

use crate::random::Random;

/// What differs from run to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) on_conflict: OnConflict,
    /// Files that are asked for often are kept.
    pub(crate) is_hot: bool,
    pub(crate) gzip: bool,
    /// There is a text that is too long to be compressed at once.
    pub(crate) has_long: bool,
    /// There is a directory whose list is too long to be held for each client.
    pub(crate) has_many: bool,
    pub(crate) directories: bool,
    pub(crate) forms: bool,
    /// The file system knows no files without a name.
    pub(crate) names_drafts: bool,
}

impl Setup {
    pub(crate) fn new(random: &mut Random) -> Setup {
        let gzip = random.once_in(8);
        Setup {
            on_conflict: random.pick(&[
                OnConflict::Rename,
                OnConflict::Replace,
                OnConflict::Reject,
            ]),
            // To close an inotify descriptor the kernel takes milliseconds.
            is_hot: random.once_in(8),
            gzip,
            has_long: gzip && random.once_in(32),
            has_many: random.once_in(32),
            directories: random.once_in(8),
            forms: random.once_in(8),
            names_drafts: random.once_in(8),
        }
    }

    /// With forms kept in `forms`.
    pub(crate) fn options(&self, forms: &Path) -> Options {
        let on_conflict = self.on_conflict;
        let bytes = if self.is_hot { 1 << 20 } else { 0 };
        Options {
            writable: true,
            uploads: Uploads {
                on_conflict,
                directories: self.directories,
                keep_free: Some(0),
                ..Uploads::default()
            },
            forms: self.forms.then(|| Forms { dir: forms.to_owned(), address: true }),
            hosts: Hosts { any: true, ..Hosts::default() },
            gzip: self.gzip,
            cache: CacheLimits { bytes, paths: 64, files: 8 },
            workers: 1,
            ..Options::default()
        }
    }
}
