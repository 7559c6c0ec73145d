//! Decides where a write goes and whether it goes ahead: before its content comes, and again when
//! it is all there.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_proto::Coding;
use http_proto::precondition::{self, Verdict};
use http_proto::server::Request;
use rustix::fs::{AtFlags, Mode, OFlags, fsync, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::draft::{Draft, Unplaced};
use super::{Denied, Writes};
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Facts, FileId, Kind};
use crate::validators;

/// How many locks all names share. Two names that share one wait for each other for a moment.
const LOCKS: usize = 64;

/// What a new directory may be used for, less what the process's umask takes away.
const NEW_DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// The target of a write: a name in a directory.
pub(super) struct Place {
    pub(super) path: RelPath,
    /// The directory; where that has to be made, the nearest above it that is there.
    pub(super) dir: Arc<OwnedFd>,
    id: FileId,
    /// The directories to be made, downwards.
    missing: Vec<Vec<u8>>,
    /// What has that name now.
    pub(super) current: Option<Facts>,
}

/// Locks for names, so that nobody changes what has a name between the look at it and the write.
/// It keeps other writes of this server out; other programs are met by calls that fail.
pub(super) struct Locks {
    locks: [Mutex<()>; LOCKS],
    hashes: RandomState,
}

impl Default for Locks {
    fn default() -> Locks {
        Locks { locks: std::array::from_fn(|_| Mutex::new(())), hashes: RandomState::new() }
    }
}

impl Locks {
    fn lock(&self, dir: FileId, name: &[u8]) -> MutexGuard<'_, ()> {
        let place = self.hashes.hash_one((dir, name)) as usize % LOCKS;
        self.locks[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The mode of the file that had the name when this was found.
    fn mode(&self) -> Option<u32> {
        self.current.map(|facts| facts.mode)
    }

    /// The last segment of the path.
    pub(super) fn name(&self) -> &[u8] {
        self.path.file_name().unwrap_or_default()
    }
}

impl Writes {
    /// Finds the place of `path`, which is not the root.
    ///
    /// # Errors
    /// `ParentMissing` when there is no such directory, and none is to be made for it; else as
    /// [`Refusal::from_os`] says.
    pub(super) fn find(&self, path: &RelPath) -> Result<Place, Refusal> {
        let mut above = path.parent().ok_or(Refusal::IsDirectory)?;
        let mut missing = Vec::new();
        let dir = loop {
            match self.root.open_dir(&above) {
                Ok(dir) => break dir,
                Err(Refusal::NotFound) if self.uploads.directories => {
                    let name = above.file_name().ok_or(Refusal::ParentMissing)?;
                    missing.insert(0, name.to_vec());
                    above = above.parent().ok_or(Refusal::ParentMissing)?;
                }
                Err(Refusal::NotFound | Refusal::NotADirectory) => {
                    return Err(Refusal::ParentMissing);
                }
                Err(refusal) => return Err(refusal),
            }
        };
        let id = Facts::of(&dir)?.id;
        let name = path.file_name().unwrap_or_default();
        let current = self.look(path)?;
        let is_directory = current.is_some_and(|facts| facts.kind == Kind::Directory);
        if missing.is_empty() && !is_directory && self.own_files.names(id, name) {
            return Err(Refusal::OwnLog);
        }
        Ok(Place { path: path.clone(), dir: Arc::new(dir), id, missing, current })
    }

    /// What a reader of `path` would find there.
    pub(super) fn look(&self, path: &RelPath) -> Result<Option<Facts>, Refusal> {
        match self.root.open_file(path) {
            Ok(opened) if self.own_files.has(opened.facts.id) => Err(Refusal::OwnLog),
            Ok(opened) => Ok(Some(opened.facts)),
            // What stands in the way of a new file is for its directory to say.
            Err(Refusal::NotFound | Refusal::NotADirectory) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Gives `draft`, which is settled, its place, if the conditions of `request` still hold. Says
    /// what it has replaced. What it says is true after a power cut as well.
    pub(super) fn publish(
        &self,
        request: &Request<'_>,
        place: &Place,
        draft: &mut Draft,
    ) -> Result<Option<Facts>, Denied> {
        let (dir, replaced) = {
            let _lock = self.lock(place);
            let current = self.look(&place.path)?;
            if current.is_some_and(|facts| facts.kind == Kind::Directory) {
                return Err(Refusal::IsDirectory.into());
            }
            evaluate(request, current.as_ref())?;
            // Somebody has changed it while the content came.
            if let Some(facts) = current.filter(|facts| place.mode() != Some(facts.mode)) {
                draft.take_mode(facts.mode)?;
                draft.sync()?;
            }
            let dir = self.reach(place)?;
            let placed = match current {
                Some(_) => draft.replace(&dir, place.name()),
                None => draft.create(&dir, place.name()),
            };
            match placed {
                // A link that leads nowhere, or a file that another program has just made.
                Err(Unplaced::Taken) => {
                    if request.head.fields.first("if-none-match").is_some() {
                        return Err(Denied::Condition);
                    }
                    draft.replace(&dir, place.name())?;
                }
                done => done?,
            }
            (dir, current)
        };
        fsync(&*dir).map_err(Refusal::from_os)?;
        Ok(replaced)
    }

    /// Makes the directory `place`, and those above it, which are missing.
    pub(super) fn make_directory(&self, place: &Place) -> Result<(), Refusal> {
        let _lock = self.lock(place);
        let dir = self.reach(place)?;
        step_into_new(&dir, place.name()).map(drop)
    }

    /// Removes what has the place, if the conditions of `request` hold. Says what it was.
    pub(super) fn remove(&self, request: &Request<'_>, place: &Place) -> Result<Facts, Denied> {
        let removed = {
            let _lock = self.lock(place);
            let current = self.look(&place.path)?.ok_or(Refusal::NotFound)?;
            evaluate(request, Some(&current))?;
            let flags = match current.kind {
                Kind::File => AtFlags::empty(),
                Kind::Directory => AtFlags::REMOVEDIR,
            };
            let dir = self.reach(place)?;
            unlinkat(&*dir, place.name(), flags).map_err(|errno| match errno {
                // A link to a directory.
                Errno::NOTDIR => Refusal::IsDirectory,
                // POSIX lets a directory that is not empty be told of this way, too.
                Errno::EXIST => Refusal::DirectoryNotEmpty,
                other => Refusal::from_os(other),
            })?;
            current
        };
        fsync(&*place.dir).map_err(Refusal::from_os)?;
        Ok(removed)
    }

    /// The lock of a place. Of one whose directories are missing, that of the first of them.
    pub(super) fn lock(&self, place: &Place) -> MutexGuard<'_, ()> {
        let name = place.missing.first().map_or(place.name(), Vec::as_slice);
        self.lock_name(place.id, name)
    }

    /// The lock of a name in the directory `dir`.
    pub(super) fn lock_name(&self, dir: FileId, name: &[u8]) -> MutexGuard<'_, ()> {
        self.locks.lock(dir, name)
    }

    /// The directory of a place, which is made if it is missing.
    ///
    /// # Errors
    /// `ParentMissing` when it is no more the one that the path leads to.
    pub(super) fn reach(&self, place: &Place) -> Result<Arc<OwnedFd>, Refusal> {
        let depth = place.missing.len() + 1;
        let base = (0..depth).try_fold(place.path.clone(), |path, _| path.parent());
        let base = base.ok_or(Refusal::ParentMissing)?;
        match self.root.look_at(&base) {
            Ok(facts) if facts.id == place.id => {}
            Ok(_) | Err(Refusal::NotFound | Refusal::NotADirectory) => {
                return Err(Refusal::ParentMissing);
            }
            Err(refusal) => return Err(refusal),
        }
        place
            .missing
            .iter()
            .try_fold(Arc::clone(&place.dir), |dir, name| step_into_new(&dir, name).map(Arc::new))
    }
}

/// RFC 9110 §13.2: whether the conditions of a write hold for what is there.
pub(super) fn evaluate(request: &Request<'_>, current: Option<&Facts>) -> Result<(), Denied> {
    let head = request.head;
    let known = current.map(|facts| match facts.kind {
        Kind::File => validators::validators(facts, Coding::Identity),
        // A directory has no version.
        Kind::Directory => precondition::Validators::default(),
    });
    match precondition::evaluate(head.method, &head.fields, known.as_ref(), request.now) {
        Verdict::Proceed => Ok(()),
        Verdict::NotModified | Verdict::Failed => Err(Denied::Condition),
    }
}

/// Makes the directory `name` in `dir`, if it is not there, and opens it. Never through a link.
fn step_into_new(dir: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Refusal> {
    match mkdirat(dir, name, NEW_DIRECTORY_MODE) {
        Ok(()) => fsync(dir).map_err(Refusal::from_os)?,
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(Refusal::from_os(errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP | Errno::NOENT => Refusal::ParentMissing,
        other => Refusal::from_os(other),
    })
}
