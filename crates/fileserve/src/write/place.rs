//! Decides where a write goes and whether it goes ahead: before its content comes, and again when
//! it is all there.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http_proto::Coding;
use http_proto::precondition::{self, Verdict};
use http_proto::server::Request;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fsync, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::draft::{Draft, Unplaced};
use super::{Denied, Writes};
use crate::faults::{self, Call};
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Facts, FileId, Kind};
use crate::sender::Sender;
use crate::validators;

/// How many directories deep something may be written. Deeper than anybody arranges files; what
/// walks through the tree to count and to sweep goes further.
const DEPTH_MAX: usize = 64;

/// How many directories one request may have made: each waits for the disk.
const MADE_MAX: usize = 16;

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
    /// When the request came.
    now: SystemTime,
}

/// What a write has replaced or removed.
pub(super) struct Gone {
    pub(super) kind: Kind,
    /// What the file took; `None` where the name was a link, which takes nothing.
    pub(super) octets: Option<u64>,
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
    /// The lock of a name in the directory `dir`.
    pub(super) fn lock(&self, dir: FileId, name: &[u8]) -> MutexGuard<'_, ()> {
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
    fn name(&self) -> &[u8] {
        self.path.file_name().unwrap_or_default()
    }

    /// The paths of the directories to be made, upwards.
    fn missing_paths(&self) -> impl Iterator<Item = RelPath> {
        std::iter::successors(self.path.parent(), RelPath::parent).take(self.missing.len())
    }
}

impl Writes {
    /// Finds the place of `path`, which is not the root, for what `sender` wants to store `now`.
    ///
    /// # Errors
    /// `ParentMissing` when there is no such directory, and none is to be made for it; `TooDeep`;
    /// what [`Sender::may_write`] says of directories to be made; else as [`Refusal::from_os`]
    /// says.
    pub(super) fn find_to_make(
        &self,
        path: &RelPath,
        sender: &Sender,
        now: SystemTime,
    ) -> Result<Place, Refusal> {
        if path.segments().count() > DEPTH_MAX {
            return Err(Refusal::TooDeep);
        }
        let place = self.find(path, now)?;
        place.missing_paths().try_for_each(|dir| sender.may_write(&dir))?;
        Ok(place)
    }

    /// Finds the place of `path`, which is not the root.
    ///
    /// # Errors
    /// As for [`find_to_make`](Writes::find_to_make).
    pub(super) fn find(&self, path: &RelPath, now: SystemTime) -> Result<Place, Refusal> {
        let mut above = path.parent().ok_or(Refusal::IsDirectory)?;
        let mut missing = Vec::new();
        let dir = loop {
            match self.root.open_dir(&above) {
                Ok(dir) => break dir,
                Err(Refusal::NotFound) if self.uploads.directories => {
                    if missing.len() == MADE_MAX {
                        return Err(Refusal::TooDeep);
                    }
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
        let made = missing.first().map_or(name, Vec::as_slice);
        if !is_directory && self.own_files.names(id, made) {
            return Err(Refusal::OwnLog);
        }
        Ok(Place { path: path.clone(), dir: Arc::new(dir), id, missing, current, now })
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
    ) -> Result<Option<Gone>, Denied> {
        // Before a directory is made for it.
        evaluate(request, self.look(&place.path)?.as_ref())?;
        let (dir, id) = self.reach(place)?;
        let gone = {
            let _lock = self.locks.lock(id, place.name());
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
            let octets = octets_of_file(&dir, place.name());
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
            current.map(|facts| Gone { kind: facts.kind, octets })
        };
        faults::before(Call::Sync).and_then(|()| fsync(&*dir)).map_err(Refusal::from_os)?;
        Ok(gone)
    }

    /// Makes the directory `place`, and those above it that are missing, if the conditions of
    /// `request` hold. `false` if it was there.
    pub(super) fn make_directory(
        &self,
        request: &Request<'_>,
        place: &Place,
    ) -> Result<bool, Denied> {
        evaluate(request, place.current.as_ref())?;
        let (dir, id) = self.reach(place)?;
        let _lock = self.locks.lock(id, place.name());
        let is_there = |current: Option<Facts>| -> Result<bool, Denied> {
            evaluate(request, current.as_ref())?;
            match current.map(|facts| facts.kind) {
                Some(Kind::Directory) => Ok(true),
                Some(Kind::File) => Err(Refusal::Exists.into()),
                None => Ok(false),
            }
        };
        if is_there(self.look(&place.path)?)? {
            return Ok(false);
        }
        if self.make(&dir, place.name(), place.now)? {
            return Ok(true);
        }
        // Another program has made something, or it is a link that leads nowhere.
        match is_there(self.look(&place.path)?)? {
            true => Ok(false),
            false => Err(Refusal::Exists.into()),
        }
    }

    /// Removes what has the place, if the conditions of `request` hold. Says what it was.
    pub(super) fn remove(&self, request: &Request<'_>, place: &Place) -> Result<Gone, Denied> {
        let (dir, id) = self.reach(place)?;
        let gone = {
            let _lock = self.locks.lock(id, place.name());
            let current = self.look(&place.path)?.ok_or(Refusal::NotFound)?;
            evaluate(request, Some(&current))?;
            let flags = match current.kind {
                Kind::File => AtFlags::empty(),
                Kind::Directory => AtFlags::REMOVEDIR,
            };
            let octets = octets_of_file(&dir, place.name());
            let unlinked = faults::before(Call::Remove);
            let unlinked = unlinked.and_then(|()| unlinkat(&*dir, place.name(), flags));
            unlinked.map_err(|errno| match errno {
                // A link to a directory.
                Errno::NOTDIR => Refusal::IsDirectory,
                // POSIX lets a directory that is not empty be told of this way, too.
                Errno::EXIST => Refusal::DirectoryNotEmpty,
                other => Refusal::from_os(other),
            })?;
            Gone { kind: current.kind, octets }
        };
        faults::before(Call::Sync).and_then(|()| fsync(&*dir)).map_err(Refusal::from_os)?;
        Ok(gone)
    }

    /// The directory of a place, which is made if it is missing.
    ///
    /// # Errors
    /// `ParentMissing` when it is no more the one that the path leads to.
    fn reach(&self, place: &Place) -> Result<(Arc<OwnedFd>, FileId), Refusal> {
        let depth = place.missing.len() + 1;
        let base = (0..depth).try_fold(place.path.clone(), |path, _| path.parent());
        let base = base.ok_or(Refusal::ParentMissing)?;
        self.check_identity(&base, place.id)?;
        let mut reached = (Arc::clone(&place.dir), place.id);
        for name in &place.missing {
            self.make(&reached.0, name, place.now)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // Never through a link.
            let dir = faults::before(Call::Open)
                .and_then(|()| openat(&*reached.0, name.as_slice(), flags, Mode::empty()));
            let dir = dir.map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP | Errno::NOENT => Refusal::ParentMissing,
                other => Refusal::from_os(other),
            })?;
            let id = Facts::of(&dir)?.id;
            reached = (Arc::new(dir), id);
        }
        Ok(reached)
    }

    /// # Errors
    /// `ParentMissing` when `path` does not lead to the directory `id` any more.
    pub(super) fn check_identity(&self, path: &RelPath, id: FileId) -> Result<(), Refusal> {
        match self.root.look_at(path) {
            Ok(facts) if facts.id == id => Ok(()),
            Ok(_) | Err(Refusal::NotFound | Refusal::NotADirectory) => Err(Refusal::ParentMissing),
            Err(refusal) => Err(refusal),
        }
    }

    /// Makes the directory `name` in `dir`, for good; `false` if something has that name.
    fn make(&self, dir: &OwnedFd, name: &[u8], now: SystemTime) -> Result<bool, Refusal> {
        let claim = self.space.claim(dir, 0, now)?;
        let made = faults::before(Call::Make);
        let made = match made.and_then(|()| mkdirat(dir, name, NEW_DIRECTORY_MODE)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(Refusal::from_os(errno)),
        };
        // Also where another has made it: it may be in the middle of this.
        faults::before(Call::Sync).and_then(|()| fsync(dir)).map_err(Refusal::from_os)?;
        if made {
            claim.settle(None);
        }
        Ok(made)
    }
}

/// The length of the file that has the name itself; `None` for a link, or where there is none.
pub(super) fn octets_of_file(dir: &OwnedFd, name: &[u8]) -> Option<u64> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_file.then(|| u64::try_from(stat.st_size).unwrap_or(0))
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
