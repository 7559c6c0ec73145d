//! The files of a form: they come in one after the other, and get their names when all are there.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

use http_proto::EntityTag;
use http_proto::server::Request;
use rustix::fs::{AtFlags, fsync, statat, unlinkat};

use super::draft::{Draft, Unplaced};
use super::names;
use super::place::evaluate;
use super::space::{Claim, Turn};
use super::upload::announced;
use super::{Denied, Writes};
use crate::options::OnConflict;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Facts, FileId, Kind};

/// How many files one form may bring; each holds a descriptor until all are there.
const FILES_MAX: usize = 256;

/// How many names are tried for a file before it is refused: `name (1)` and so on.
const NAMES_MAX: usize = 1000;

/// The files of a form on their way into a directory.
pub(crate) struct FormUpload {
    writes: Arc<Writes>,
    /// Of the directory, in the form of one.
    path: RelPath,
    dir: Arc<OwnedFd>,
    id: FileId,
    hidden: bool,
    /// When the request came.
    now: SystemTime,
    /// The last one may still be coming.
    files: Vec<Incoming>,
    _turn: Turn,
}

/// A file of a form.
struct Incoming {
    draft: Draft,
    claim: Claim,
    name: Vec<u8>,
    size: u64,
    etag: Option<EntityTag>,
}

/// A file of a form that has been stored.
pub(crate) struct Stored {
    /// The name that it has got.
    pub(crate) path: RelPath,
    pub(crate) size: u64,
    pub(crate) etag: Option<EntityTag>,
}

/// What became of a file, to be undone if the next one fails.
enum Placed {
    Created(FileId),
    /// It has changed places with the one that was there; or else that is gone for good.
    Replaced {
        undoable: bool,
        octets: u64,
    },
}

impl FormUpload {
    /// Makes ready to store files in the directory at `path`. `hidden`: whether names that start
    /// with a dot are served.
    pub(crate) fn begin(
        request: &Request<'_>,
        path: RelPath,
        hidden: bool,
        writes: &Arc<Writes>,
    ) -> Result<FormUpload, Denied> {
        let dir = writes.root.open_dir(&path)?;
        let facts = Facts::of(&dir)?;
        evaluate(request, Some(&facts))?;
        let turn = writes.space.turn()?;
        // For the answer only: each file claims what it takes.
        drop(writes.space.claim(&dir, announced(request), request.now)?);
        Ok(FormUpload {
            writes: Arc::clone(writes),
            path: path.into_dir_form(),
            dir: Arc::new(dir),
            id: facts.id,
            hidden,
            now: request.now,
            files: Vec::new(),
            _turn: turn,
        })
    }

    /// A file begins that its sender calls `filename`.
    pub(crate) fn begin_file(&mut self, filename: &[u8]) -> Result<(), Refusal> {
        if self.files.len() == FILES_MAX {
            return Err(Refusal::TooManyFiles);
        }
        let name = names::sanitised(filename, self.hidden);
        if self.writes.own_files.names(self.id, &name) {
            return Err(Refusal::OwnLog);
        }
        let claim = self.writes.space.claim(&*self.dir, 0, self.now)?;
        let draft = self.writes.draft(&self.dir)?;
        self.files.push(Incoming { draft, claim, name, size: 0, etag: None });
        Ok(())
    }

    /// Octets of the file that was begun last.
    pub(crate) fn write(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let Some(file) = self.files.last_mut() else { return Ok(()) };
        file.claim.grow(&*self.dir, octets.len() as u64)?;
        file.size += octets.len() as u64;
        file.draft.write(octets)
    }

    /// The file that was begun last is complete.
    pub(crate) fn end_file(&mut self) -> Result<(), Refusal> {
        if let Some(file) = self.files.last_mut() {
            file.etag = file.draft.settle()?;
        }
        Ok(())
    }

    /// The path of a URL that names the directory.
    pub(crate) fn url_path(&self) -> String {
        self.path.to_url_path()
    }

    /// Whether no file has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Gives all files their names, or none if one cannot have any: then what was done is undone.
    pub(crate) fn store(mut self) -> Result<Vec<Stored>, Denied> {
        let mut files = std::mem::take(&mut self.files);
        let mut placed: Vec<Placed> = Vec::with_capacity(files.len());
        let mut place_all = || -> Result<(), Denied> {
            for file in &mut files {
                placed.push(self.place(file)?);
            }
            Ok(fsync(&*self.dir).map_err(Refusal::from_os)?)
        };
        if let Err(denied) = place_all() {
            self.undo(&mut files, &placed);
            return Err(denied);
        }
        let mut stored = Vec::with_capacity(files.len());
        for (file, done) in files.into_iter().zip(placed) {
            let replaced = match done {
                Placed::Created(_) => None,
                Placed::Replaced { octets, .. } => Some(octets),
            };
            file.claim.settle(replaced);
            let path = self.path.child(&file.name, true)?;
            stored.push(Stored { path, size: file.size, etag: file.etag });
        }
        Ok(stored)
    }

    /// Gives one file its name, or another one if that is taken, as the policy says.
    fn place(&self, file: &mut Incoming) -> Result<Placed, Denied> {
        let wanted = file.name.clone();
        for count in 0..NAMES_MAX {
            file.name = names::numbered(&wanted, count);
            let id = file.draft.id()?;
            let _lock = self.writes.lock_name(self.id, &file.name);
            match (file.draft.create(&self.dir, &file.name), self.writes.uploads.on_conflict) {
                (Ok(()), _) => return Ok(Placed::Created(id)),
                (Err(Unplaced::Taken), OnConflict::Rename) => {}
                (Err(Unplaced::Taken), OnConflict::Replace) => return self.replace(file),
                (Err(unplaced), _) => return Err(unplaced.into()),
            }
        }
        Err(Refusal::Exists.into())
    }

    /// Puts a file in the place of the one that has its name.
    fn replace(&self, file: &mut Incoming) -> Result<Placed, Denied> {
        let current = self.writes.look(&self.path.child(&file.name, self.hidden)?)?;
        if current.is_some_and(|facts| facts.kind == Kind::Directory) {
            return Err(Refusal::IsDirectory.into());
        }
        if let Some(facts) = current {
            file.draft.take_mode(facts.mode)?;
        }
        let undoable = file.draft.swap(&self.dir, &file.name)?;
        Ok(Placed::Replaced { undoable, octets: current.map_or(0, |facts| facts.len) })
    }

    /// Takes back what was placed, last first: two files of the form may have had one name.
    fn undo(&self, files: &mut [Incoming], placed: &[Placed]) {
        for (file, done) in files.iter_mut().zip(placed).rev() {
            let _lock = self.writes.lock_name(self.id, &file.name);
            match done {
                Placed::Replaced { undoable: false, .. } => {}
                Placed::Replaced { .. } => file.draft.swap_back(&self.dir, &file.name),
                Placed::Created(id) => {
                    // Unless it is another's by now.
                    let found = statat(&*self.dir, &file.name, AtFlags::SYMLINK_NOFOLLOW);
                    if found.is_ok_and(|stat| FileId::new(&stat) == *id)
                        && let Err(errno) = unlinkat(&*self.dir, &file.name, AtFlags::empty())
                    {
                        log::error!("a file of a form cannot be taken back: {errno}");
                    }
                }
            }
        }
        // What was replaced is back for good only then.
        if let Err(errno) = fsync(&*self.dir) {
            log::error!("a directory cannot be synced: {errno}");
        }
    }
}
