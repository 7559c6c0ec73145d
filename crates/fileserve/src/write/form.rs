//! The files of a form: they come in one after the other, and get their names when all are there.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

use http_proto::EntityTag;
use http_proto::server::Request;
use rustix::fs::{AtFlags, fsync, statat, unlinkat};
use rustix::io::Errno;

use super::draft::{Draft, Unplaced};
use super::names;
use super::place::{evaluate, octets_of_file};
use super::space::{Claim, Turn};
use super::upload::announced;
use super::{Denied, Writes};
use crate::faults::{self, Call};
use crate::options::OnConflict;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Facts, FileId, Kind};
use crate::sender::Sender;

/// How many files one form may bring. Each counts as an upload of its own until all are there.
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
    sender: Sender,
    /// When the request came.
    now: SystemTime,
    /// The last one may still be coming.
    files: Vec<Incoming>,
}

/// A file of a form.
struct Incoming {
    draft: Draft,
    claim: Claim,
    _turn: Turn,
    /// As its sender calls it.
    name: Vec<u8>,
    /// Where it is, once it is placed.
    path: RelPath,
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
        id: FileId,
        undoable: bool,
        octets: Option<u64>,
    },
}

impl FormUpload {
    /// Makes ready to store files in the directory at `path`. `hidden`: whether names that start
    /// with a dot are served.
    pub(crate) fn begin(
        request: &Request<'_>,
        path: RelPath,
        hidden: bool,
        sender: Sender,
        writes: &Arc<Writes>,
    ) -> Result<FormUpload, Denied> {
        let dir = writes.root.open_dir(&path)?;
        let facts = Facts::of(&dir)?;
        evaluate(request, Some(&facts))?;
        // For the answer only: each file takes its turn, and claims what it takes.
        drop(writes.space.turn()?);
        drop(writes.space.claim(&dir, announced(request), request.now)?);
        Ok(FormUpload {
            writes: Arc::clone(writes),
            path: path.into_dir_form(),
            dir: Arc::new(dir),
            id: facts.id,
            hidden,
            sender,
            now: request.now,
            files: Vec::new(),
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
        let path = self.candidate(&name, 0)?;
        let turn = self.writes.space.turn()?;
        let claim = self.writes.space.claim(&*self.dir, 0, self.now)?;
        let draft = self.writes.draft(&self.dir)?;
        self.files.push(Incoming { draft, claim, _turn: turn, name, path, size: 0, etag: None });
        Ok(())
    }

    /// The path of a file called `name`, or, if `count` others have that name, of one like it.
    ///
    /// # Errors
    /// For a path that is too long, or that the sender may not write.
    fn candidate(&self, name: &[u8], count: usize) -> Result<RelPath, Refusal> {
        let path = self.path.child(&names::numbered(name, count), self.hidden)?;
        self.sender.may_write(&path)?;
        Ok(path)
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
        self.writes.check_identity(&self.path, self.id)?;
        let mut files = std::mem::take(&mut self.files);
        let mut placed: Vec<Placed> = Vec::with_capacity(files.len());
        let mut place_all = || -> Result<(), Denied> {
            for file in &mut files {
                placed.push(self.place(file)?);
            }
            let synced = faults::before(Call::Sync).and_then(|()| fsync(&*self.dir));
            Ok(synced.map_err(Refusal::from_os)?)
        };
        if let Err(denied) = place_all() {
            self.undo(&mut files, &placed);
            return Err(denied);
        }
        let mut stored = Vec::with_capacity(files.len());
        for (file, done) in files.into_iter().zip(placed) {
            let replaced = match done {
                Placed::Created(_) => None,
                Placed::Replaced { octets, .. } => octets,
            };
            file.claim.settle(replaced);
            stored.push(Stored { path: file.path, size: file.size, etag: file.etag });
        }
        Ok(stored)
    }

    /// Gives one file its name, or another one if that is taken, as the policy says.
    fn place(&self, file: &mut Incoming) -> Result<Placed, Denied> {
        let id = file.draft.id()?;
        for count in 0..NAMES_MAX {
            file.path = self.candidate(&file.name, count)?;
            let name = file.path.file_name().unwrap_or_default();
            let _lock = self.writes.locks.lock(self.id, name);
            match (file.draft.create(&self.dir, name), self.writes.uploads.on_conflict) {
                (Ok(()), _) => return Ok(Placed::Created(id)),
                (Err(Unplaced::Taken), OnConflict::Rename) => {}
                (Err(Unplaced::Taken), OnConflict::Replace) => return self.replace(file, id),
                (Err(unplaced), _) => return Err(unplaced.into()),
            }
        }
        Err(Refusal::Exists.into())
    }

    /// Puts a file, which is `id`, in the place of the one that has its name.
    fn replace(&self, file: &mut Incoming, id: FileId) -> Result<Placed, Denied> {
        let name = file.path.file_name().unwrap_or_default();
        let current = self.writes.look(&file.path)?;
        if current.is_some_and(|facts| facts.kind == Kind::Directory) {
            return Err(Refusal::IsDirectory.into());
        }
        if let Some(facts) = current {
            file.draft.take_mode(facts.mode)?;
            file.draft.sync()?;
        }
        let octets = octets_of_file(&self.dir, name);
        match file.draft.swap(&self.dir, name) {
            Ok(undoable) => Ok(Placed::Replaced { id, undoable, octets }),
            // Somebody has just removed it, or else there is no directory.
            Err(Unplaced::Refused(Refusal::ParentMissing)) => {
                file.draft.create(&self.dir, name)?;
                Ok(Placed::Created(id))
            }
            Err(unplaced) => Err(unplaced.into()),
        }
    }

    /// Takes back what was placed, last first: two files of the form may have had one name. What
    /// has the name of a file by now that is another's stays.
    fn undo(&self, files: &mut [Incoming], placed: &[Placed]) {
        for (file, done) in files.iter_mut().zip(placed).rev() {
            let name = file.path.file_name().unwrap_or_default();
            let _lock = self.writes.locks.lock(self.id, name);
            let (Placed::Created(id) | Placed::Replaced { id, .. }) = done;
            let found = statat(&*self.dir, name, AtFlags::SYMLINK_NOFOLLOW);
            if found.is_ok_and(|stat| FileId::new(&stat) != *id) {
                continue;
            }
            match done {
                Placed::Replaced { undoable: false, .. } => {}
                Placed::Replaced { .. } => file.draft.swap_back(&self.dir, name),
                Placed::Created(_) => match faults::before(Call::Remove)
                    .and_then(|()| unlinkat(&*self.dir, name, AtFlags::empty()))
                {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => log::error!("a file of a form cannot be taken back: {errno}"),
                },
            }
        }
        // What was replaced is back for good only then.
        if let Err(errno) = faults::before(Call::Sync).and_then(|()| fsync(&*self.dir)) {
            log::error!("a directory cannot be synced: {errno}");
        }
    }
}

#[cfg(test)]
mod tests {
    use http_proto::{Limits, RequestHead};

    use super::*;
    use crate::access_log::AccessLog;
    use crate::files::Reach;
    use crate::options::Uploads;
    use crate::own_files::OwnFiles;
    use crate::root::Root;

    /// What somebody has stored since under a name that a form had is theirs.
    #[test]
    fn a_form_that_is_taken_back_takes_back_nothing_of_others() {
        let home = tempfile::tempdir().expect("a directory");
        let file = |name: &str| home.path().join(name);
        std::fs::write(file("a"), "old").expect("a file");
        let root = Arc::new(Root::open(home.path()).expect("a root"));
        let own = OwnFiles::new(Arc::new(AccessLog::off()), root.id().expect("an id"), None);
        let uploads =
            Uploads { on_conflict: OnConflict::Replace, keep_free: Some(0), ..Uploads::DEFAULT };
        let writes = Arc::new(Writes::new(&root, &Arc::new(own), uploads).expect("writes"));
        let head = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n";
        let head = RequestHead::parse(head, &Limits::default()).expect("a request");
        let peer = ([127, 0, 0, 1], 1).into();
        let now = SystemTime::now();
        let request = Request { head: &head, peer, local: peer, worker: 0, now, arrived: None };
        let sender = Sender::of(&request, &crate::options::Options::default(), Reach::Disk);
        let form = FormUpload::begin(&request, RelPath::root(), false, sender, &writes);
        let mut form = form.unwrap_or_else(|_| panic!("begins"));
        form.begin_file(b"a").expect("begins");
        form.write(b"form").expect("is written");
        form.end_file().expect("ends");
        let mut files = std::mem::take(&mut form.files);
        let placed = form.place(&mut files[0]).unwrap_or_else(|_| panic!("is placed"));
        // Another upload, answered with 204 before the form comes to its second file.
        std::fs::write(file("new"), "another's").expect("a file");
        std::fs::rename(file("new"), file("a")).expect("is renamed");
        form.undo(&mut files, &[placed]);
        assert_eq!(std::fs::read_to_string(file("a")).expect("is there"), "another's");
    }
}
