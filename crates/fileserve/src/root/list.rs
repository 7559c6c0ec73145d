//! Reads a directory: the entries that a client could also fetch, with what they are.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, openat, statat};
use rustix::io::Errno;

use super::{DIRECTORY, Facts, Opened, Root};
use crate::faults::{self, Call};
use crate::path::RelPath;
use crate::refusal::Refusal;

/// How many names of a directory are read, hidden ones included. Each costs a call to the OS and
/// some 250 bytes of answer: at the bound that is about 20 ms and 5 MB.
pub const LISTED_NAMES_MAX: usize = 20_000;

/// A list of up to this many names is short: a few milliseconds. Longer ones are to be bounded.
pub const SHORT_NAMES: usize = 1000;

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of the disk.
    pub entries: Vec<Entry>,
    /// Whether there were more than [`LISTED_NAMES_MAX`].
    pub truncated: bool,
}

/// One file or directory in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: bytes without `/`, perhaps not UTF-8.
    pub name: Vec<u8>,
    /// Of the file itself: a link is shown as what it leads to.
    pub facts: Facts,
}

impl Root {
    /// Lists the open directory `dir`, which was opened at `path`. May block on the disk.
    ///
    /// What opening would refuse is left out: hidden names unless `serve_hidden`, unfinished
    /// uploads, links that lead outside or nowhere, devices. What cannot be read is listed.
    ///
    /// # Errors
    /// `NotADirectory` for a file, else as [`Refusal::from_os`] says. Running out of descriptors
    /// and a disk that fails are errors too, so that a listing is never short without saying so.
    pub fn list(
        &self,
        dir: &Opened,
        path: &RelPath,
        serve_hidden: bool,
    ) -> Result<Listing, Refusal> {
        self.list_bounded(dir, path, serve_hidden, || Ok(()))
    }

    /// [`list`](Root::list), which asks `long` whether to go on when there are more than
    /// [`SHORT_NAMES`], hidden ones included.
    ///
    /// # Errors
    /// As for `list`, and what `long` says.
    pub(crate) fn list_bounded(
        &self,
        dir: &Opened,
        path: &RelPath,
        serve_hidden: bool,
        mut long: impl FnMut() -> Result<(), Refusal>,
    ) -> Result<Listing, Refusal> {
        let mut listing = Listing::default();
        // A descriptor of its own, since the place in the directory belongs to the descriptor, and
        // since `dir` may be open for passing through only.
        let names = faults::before(Call::Open)
            .and_then(|()| openat(&dir.file, c".", DIRECTORY, Mode::empty()))
            .and_then(Dir::new)
            .map_err(Refusal::from_os)?;
        for (count, name) in names.enumerate() {
            let name = faults::before(Call::List).and(name).map_err(Refusal::from_os)?;
            let name = name.file_name().to_bytes();
            // `.` and `..` are in every directory and do not count.
            if count == SHORT_NAMES + 2 {
                long()?;
            }
            if count == LISTED_NAMES_MAX + 2 {
                listing.truncated = true;
                break;
            }
            let Ok(path) = path.child(name, serve_hidden) else { continue };
            match self.look_at_entry(dir, name, &path) {
                Ok(facts) => listing.entries.push(Entry { name: name.to_vec(), facts }),
                Err(refusal) if is_ours(refusal) => return Err(refusal),
                // Gone meanwhile, or not for clients.
                Err(_) => {}
            }
        }
        Ok(listing)
    }

    fn look_at_entry(&self, dir: &Opened, name: &[u8], path: &RelPath) -> Result<Facts, Refusal> {
        let stat = faults::before(Call::Stat)
            .and_then(|()| statat(dir.file.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(Refusal::from_os)?;
        match FileType::from_raw_mode(stat.st_mode) {
            // From the root: a link may well lead out of its directory and stay beneath the root.
            FileType::Symlink => self.look_at(path),
            _ => Facts::new(&stat),
        }
    }
}

/// Whether an entry may well be there and is not seen for want of something, or for a disk that
/// fails. Other errors of the disk are those of whoever tries to fetch it, as of a mount that is
/// dead: they should not hide the directory around it.
fn is_ours(refusal: Refusal) -> bool {
    let failing = Refusal::Disk { errno: Errno::IO.raw_os_error() };
    refusal == failing
        || matches!(refusal, Refusal::OutOfDescriptors | Refusal::OutOfMemory | Refusal::Busy)
}
