//! PUT, POST and DELETE: one whole file is made, replaced or removed, or nothing happens.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use http_proto::server::{Answer, Body, Request, Response};
use http_proto::{Framing, Method, Status, error_page};

use crate::accept::{self, Wanted};
use crate::files::{self, Files, Reach};
use crate::get;
use crate::options::Uploads;
use crate::own_files::OwnFiles;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Kind, Root};
use crate::sender::Sender;
use draft::{Draft, Unplaced};
use place::{Gone, Locks, evaluate};
use space::Space;
use sweeper::Sweeper;
use upload::Upload;

pub(crate) use checksum::Checksum;
pub(crate) use form::{FormUpload, Stored};
pub(crate) use upload::{announced, check_coding};

mod checksum;
mod draft;
mod form;
mod names;
mod place;
pub(crate) mod space;
mod sweeper;
mod tree;
mod upload;

/// What writing takes, besides a request.
pub(crate) struct Writes {
    root: Arc<Root>,
    own_files: Arc<OwnFiles>,
    uploads: Uploads,
    /// Whether files can come in without a name.
    unnamed: bool,
    sweeper: Arc<Sweeper>,
    space: Arc<Space>,
    locks: Locks,
}

/// Why a write does not go ahead.
pub(crate) enum Denied {
    Refused(Refusal),
    /// 412
    Condition,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        Denied::Refused(refusal)
    }
}

impl From<Unplaced> for Denied {
    fn from(unplaced: Unplaced) -> Denied {
        match unplaced {
            Unplaced::Taken => Refusal::Exists.into(),
            Unplaced::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<Denied> for Response {
    fn from(denied: Denied) -> Response {
        match denied {
            Denied::Refused(refusal) => files::refusal_page(refusal),
            Denied::Condition => get::precondition_failed(),
        }
    }
}

impl Writes {
    /// For files beneath `root`, within the bounds of `uploads`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(
        root: &Arc<Root>,
        own_files: &Arc<OwnFiles>,
        uploads: Uploads,
    ) -> std::io::Result<Writes> {
        Ok(Writes {
            root: Arc::clone(root),
            own_files: Arc::clone(own_files),
            unnamed: draft::can_be_unnamed(root),
            sweeper: Arc::new(Sweeper::start(Arc::clone(root))?),
            space: Arc::new(Space::new(Arc::clone(root), uploads.clone())),
            locks: Locks::default(),
            uploads,
        })
    }

    /// A file that is to come into the file system of `dir`.
    fn draft(&self, dir: &Arc<OwnedFd>) -> Result<Draft, Refusal> {
        Draft::new(Arc::clone(dir), self.unnamed, &self.sweeper)
    }
}

impl Files {
    /// Begins to take in a file; the request's content is what it will hold.
    pub(crate) fn upload(&self, request: &Request<'_>, writes: &Arc<Writes>) -> Answer {
        let path = match self.path(request) {
            Ok(path) => path,
            Err(refusal) => return self.refused(refusal).into(),
        };
        let head = request.head;
        let sender = Sender::of(request, &self.options, Reach::Disk);
        if head.method == Method::Put && path.is_dir_form() && writes.uploads.directories {
            return make_directory(request, &path, &sender, writes).into();
        }
        match Upload::begin(request, &path, &sender, writes) {
            Ok(upload) => Answer::Receive(Box::new(upload)),
            Err(denied) => Answer::Respond(denied.into()),
        }
    }

    /// Removes a file, or a directory with nothing in it.
    pub(crate) fn delete(&self, request: &Request<'_>, writes: &Writes) -> Response {
        let removed = || -> Result<(), Denied> {
            let path = self.path(request)?;
            let place = writes.find(&path, request.now).map_err(|refusal| match refusal {
                Refusal::ParentMissing | Refusal::TooDeep => Refusal::NotFound,
                other => other,
            })?;
            let current = place.current.ok_or(Refusal::NotFound)?;
            match current.kind {
                Kind::File if path.is_dir_form() => return Err(Refusal::NotADirectory.into()),
                Kind::Directory if !writes.uploads.directories => {
                    return Err(Refusal::IsDirectory.into());
                }
                Kind::File | Kind::Directory => {}
            }
            match writes.remove(request, &place)? {
                Gone { kind: Kind::Directory, .. } => writes.space.release(0),
                Gone { octets: Some(octets), .. } => writes.space.release(octets),
                Gone { octets: None, .. } => {}
            }
            Ok(())
        };
        match removed() {
            Ok(()) => deleted(request),
            Err(denied) => denied.into(),
        }
    }
}

/// The answer to a DELETE that is done. Whoever can show a page gets one (RFC 9110 §9.3.5).
fn deleted(request: &Request<'_>) -> Response {
    match accept::wanted(&request.head.fields) {
        Wanted::Page | Wanted::Anything => Response::new(Status::OK)
            .field("Content-Type", error_page::CONTENT_TYPE)
            .body(Body::Bytes(error_page::page("File Deleted", ""))),
        Wanted::Json | Wanted::Nothing => Response::new(Status::NO_CONTENT),
    }
}

/// A PUT whose path ends in a slash makes a directory, as MKCOL does (RFC 4918 §9.3), but is
/// content with one that is there.
fn make_directory(
    request: &Request<'_>,
    path: &RelPath,
    sender: &Sender,
    writes: &Writes,
) -> Response {
    let made = || -> Result<bool, Denied> {
        if request.head.framing != Framing::Empty {
            return Err(Refusal::DirectoryContent.into());
        }
        if path.is_root() {
            evaluate(request, Some(&writes.look(path)?.ok_or(Refusal::NotFound)?))?;
            return Ok(false);
        }
        writes.make_directory(request, &writes.find_to_make(path, sender, request.now)?)
    };
    match made() {
        Ok(true) => {
            let location = path.to_url_path();
            Response::text(Status::CREATED, format!("Directory Created: {location}\n"))
                .field("Location", location)
        }
        Ok(false) => Response::new(Status::NO_CONTENT),
        Err(denied) => denied.into(),
    }
}
