//! PUT, POST and DELETE: one whole file is made, replaced or removed, or nothing happens.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use http_proto::precondition::{self, Verdict};
use http_proto::server::{Body, Receiver, Request, Response};
use http_proto::{Method, Status, error_page};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};

use crate::files::{Files, Reach, Stop};
use crate::path::{RelPath, UPLOAD_PREFIX};
use crate::refusal::Refusal;
use crate::root::Kind;
use crate::{get, validators};

/// The target of a write: a name in an open directory.
struct Place {
    dir: OwnedFd,
    name: Vec<u8>,
    /// A file has that name now.
    exists: bool,
}

/// Why a write does not go ahead.
enum Denied {
    Refused(Refusal),
    /// 412
    Condition,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        Denied::Refused(refusal)
    }
}

impl Files {
    /// Begins to take in a file; the request's content is what it will hold.
    pub(crate) fn upload(&self, request: &Request<'_>) -> Result<Box<dyn Receiver>, Response> {
        let begun = || -> Result<Upload, Denied> {
            // RFC 9110 §14.5: a part of a file must not be taken for the whole.
            if request.head.fields.first("content-range").is_some() {
                return Err(Refusal::PartialContent.into());
            }
            let path = self.path(request)?;
            let place = self.place(request, &path)?;
            let location = path.to_url_path();
            Ok(Upload::begin(place, location)?)
        };
        match begun() {
            Ok(upload) => Ok(Box::new(upload)),
            Err(denied) => Err(self.denied(denied)),
        }
    }

    /// Removes a file.
    pub(crate) fn delete(&self, request: &Request<'_>) -> Response {
        let removed = || -> Result<(), Denied> {
            let path = self.path(request)?;
            let place = self.place(request, &path)?;
            if !place.exists {
                return Err(Refusal::NotFound.into());
            }
            unlinkat(&place.dir, place.name.as_slice(), AtFlags::empty())
                .and_then(|()| rustix::fs::fsync(&place.dir))
                .map_err(Refusal::from_os)?;
            Ok(())
        };
        match removed() {
            Ok(()) => Response::new(Status::OK)
                .field("Content-Type", error_page::CONTENT_TYPE)
                .body(Body::Bytes(error_page::page("File Deleted"))),
            Err(denied) => self.denied(denied),
        }
    }

    fn denied(&self, denied: Denied) -> Response {
        match denied {
            Denied::Refused(refusal) => self.refused(refusal),
            Denied::Condition => get::precondition_failed(),
        }
    }

    /// Where a write goes, once the preconditions have been found to hold (RFC 9110 §13.2.1).
    fn place(&self, request: &Request<'_>, path: &RelPath) -> Result<Place, Denied> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Refusal::IsDirectory.into());
        };
        let current = match self.open(path, Reach::Disk) {
            Ok(opened) if opened.facts.kind == Kind::Directory => {
                return Err(Refusal::IsDirectory.into());
            }
            Ok(opened) => Some(validators::validators(&opened.facts, request.now)),
            Err(Stop::Refused(Refusal::NotFound)) => None,
            Err(Stop::Refused(refusal)) => return Err(refusal.into()),
            Err(Stop::WouldBlock) => return Err(Refusal::Busy.into()),
        };
        let head = request.head;
        // A name for a file does not end in a slash; what it would make is a directory.
        if path.is_dir_form() {
            return Err(Refusal::IsDirectory.into());
        }
        if head.method == Method::Delete && current.is_none() {
            return Err(Refusal::NotFound.into());
        }
        match precondition::evaluate(head.method, &head.fields, current.as_ref(), request.now) {
            Verdict::Proceed => {}
            Verdict::NotModified | Verdict::Failed => return Err(Denied::Condition),
        }
        let dir = self.root.open_dir(&parent).map_err(|refusal| match refusal {
            Refusal::NotFound | Refusal::NotADirectory => Refusal::ParentMissing,
            other => other,
        })?;
        Ok(Place { dir, name: name.to_vec(), exists: current.is_some() })
    }
}

/// A file that is coming in, under a name of its own that is never served.
struct Upload {
    place: Place,
    location: String,
    file: File,
    temporary: Vec<u8>,
    /// The temporary name is gone: the file has its place.
    placed: bool,
}

impl Upload {
    fn begin(place: Place, location: String) -> Result<Upload, Refusal> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        loop {
            let temporary = temporary_name();
            match openat(&place.dir, temporary.as_slice(), flags, mode) {
                Ok(file) => {
                    let file = File::from(file);
                    return Ok(Upload { place, location, file, temporary, placed: false });
                }
                // Left by a process with this one's number that did not end well.
                Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(Refusal::from_os(errno)),
            }
        }
    }

    /// The content is complete and safe on the disk before it gets its name.
    fn place(&mut self) -> Result<(), Refusal> {
        self.file.sync_all().map_err(|error| Refusal::from_io(&error))?;
        let Place { dir, name, .. } = &self.place;
        renameat(dir, self.temporary.as_slice(), dir, name.as_slice()).map_err(Refusal::from_os)?;
        self.placed = true;
        rustix::fs::fsync(dir).map_err(Refusal::from_os)
    }
}

impl Receiver for Upload {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Response> {
        self.file.write_all(bytes).map_err(|error| failed(Refusal::from_io(&error)))
    }

    fn finish(mut self: Box<Self>) -> Response {
        match self.place() {
            Err(refusal) => failed(refusal),
            // RFC 9110 §9.3.4: 201 for a file that was not there, else 200 or 204.
            Ok(()) if self.place.exists => Response::new(Status::NO_CONTENT),
            Ok(()) => Response::new(Status::CREATED).field("Location", self.location.as_str()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.placed
            && let Err(errno) =
                unlinkat(&self.place.dir, self.temporary.as_slice(), AtFlags::empty())
        {
            log::warn!("an unfinished upload cannot be removed: {errno}");
        }
    }
}

fn failed(refusal: Refusal) -> Response {
    Response::error(refusal.status()).reason(refusal.reason())
}

fn temporary_name() -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{UPLOAD_PREFIX}{}-{count}", std::process::id()).into_bytes()
}
