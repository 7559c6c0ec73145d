//! Where the log's lines go: a file that can be opened anew, or standard output.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{self, Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::names::LogName;
use crate::faults::{self, Call};

/// An open log.
pub(super) struct Destination {
    file: File,
    /// `None` for standard output.
    path: Option<PathBuf>,
    /// Device and inode, as they were when it was opened; `None` for what is no regular file.
    identity: Option<(u64, u64)>,
    /// The file ends in the middle of a line.
    torn: bool,
}

impl Destination {
    /// Opens `path` for appending, creates it when it is missing. Errors name the path.
    pub(super) fn open(path: &Path) -> io::Result<Destination> {
        let in_words =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // Absolute, so that opening it anew finds the same place whatever becomes of the working
        // directory.
        let path = path::absolute(path).map_err(in_words)?;
        let file = append(&path).map_err(in_words)?;
        let identity = identity_of(&file).map_err(in_words)?;
        let torn = ends_torn(&file, &path);
        Ok(Destination { file, path: Some(path), identity, torn })
    }

    /// Standard output, past the standard library's buffer, which would hide short writes.
    pub(super) fn stdout() -> io::Result<Destination> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let identity = identity_of(&file)?;
        Ok(Destination { file, path: None, identity, torn: false })
    }

    /// Opens the path anew; says whether there is a new file. After an error the old one stays.
    pub(super) fn reopen(&mut self) -> io::Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        *self = Destination::open(path)?;
        Ok(true)
    }

    /// Whether the file has been renamed or deleted, so that its path leads to another one or to
    /// nothing. What is no regular file is never gone, nor is one of whose path nothing is known.
    ///
    /// Over a network, the file that is open may be one that the server knows no more; it may have
    /// given the number to the next one.
    pub(super) fn is_gone(&self) -> bool {
        let (Some(path), Some(identity)) = (&self.path, self.identity) else { return false };
        let is_stale = |error: io::Error| error.kind() == io::ErrorKind::StaleNetworkFileHandle;
        if identity_of(&self.file).is_err_and(is_stale) {
            return true;
        }
        match fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()) != identity,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Ends the line that an earlier run left half written, so that no line of ours is glued to it.
    pub(super) fn close_torn_line(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }

    /// The open file; writes are appended.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// What it is called, and where; nothing for standard output.
    pub(super) fn names(&self) -> Vec<LogName> {
        self.path.as_deref().map(LogName::of).unwrap_or_default()
    }

    /// Device and inode; `None` for what is no regular file.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        self.identity
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard output"),
        }
    }
}

/// `O_APPEND | O_CREAT | O_CLOEXEC` (the standard library adds the last), mode 0644.
fn append(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK opening a FIFO that nobody reads would wait for ever.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    // Once it is open, the writer thread may wait for the reader of a FIFO; that is its job.
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Device and inode; `None` for what is no regular file.
fn identity_of(file: &File) -> io::Result<Option<(u64, u64)>> {
    faults::before(Call::Stat)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then(|| (metadata.dev(), metadata.ino())))
}

/// Whether the last line of a regular file lacks its end. Best effort: a log that may be written
/// but not read is taken to be whole.
fn ends_torn(log: &File, path: &Path) -> bool {
    let Ok(metadata) = log.metadata() else { return false };
    if !metadata.is_file() || metadata.len() == 0 {
        return false;
    }
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_at(&mut last, metadata.len() - 1));
    read.is_ok() && last != [b'\n']
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// A call that asks the open file what it is fails with `errno`.
    fn failing(errno: Errno) -> faults::Installed {
        faults::install(move |asked| match asked.call {
            Call::Stat => Err(errno),
            _ => Ok(usize::MAX),
        })
    }

    #[test]
    fn a_log_is_gone_from_its_path_though_it_cannot_be_asked_which_file_it_is() {
        for (errno, while_there) in [(Errno::STALE, true), (Errno::IO, false)] {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("access.log");
            let log = Destination::open(&path).expect("the log opens");
            let identity = log.identity();
            assert!(identity.is_some() && !log.is_gone());
            let _failing = failing(errno);
            assert_eq!(log.is_gone(), while_there, "{errno}: the server knows it no more");
            fs::rename(&path, dir.path().join("old")).expect("renamed");
            assert!(log.is_gone(), "{errno}: nothing is there");
            fs::write(&path, "").expect("another one");
            assert!(log.is_gone(), "{errno}: another one is there");
            assert_eq!(log.identity(), identity, "{errno}: it is refused as before");
        }
    }

    #[test]
    fn a_log_that_could_not_be_told_from_other_files_is_not_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("access.log");
        let mut log = Destination::open(&path).expect("the log opens");
        let identity = log.identity();
        let _failing = failing(Errno::IO);
        assert!(Destination::open(&path).is_err());
        assert!(log.reopen().is_err());
        assert_eq!(log.identity(), identity, "the old one stays");
    }
}
