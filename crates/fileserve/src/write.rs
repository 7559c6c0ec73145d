//! PUT, POST and DELETE: one whole file is made, replaced or removed, or nothing happens.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_proto::precondition::{self, Verdict};
use http_proto::server::{Body, Receiver, Request, Response};
use http_proto::{Coding, EntityTag, Method, Status, error_page};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::files::{Files, Reach, Stop};
use crate::path::{RelPath, UPLOAD_PREFIX};
use crate::refusal::Refusal;
use crate::root::{Facts, Kind};
use crate::sweeper::{Leftover, Sweeper};
use crate::{files, get, validators};

/// How many temporary names are tried. One is taken only if a process with this one's number ended
/// without removing it, as a container's first process does after each crash.
const NAMES_MAX: usize = 10_000;

/// What of a file's mode outlives its content: who may read, write and run it. Not what makes a
/// program act for its owner.
const KEPT_MODE: u32 = 0o777;

/// The target of a write: a name in an open directory.
struct Place {
    dir: OwnedFd,
    name: Vec<u8>,
    /// The file that has that name now.
    current: Option<Facts>,
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
    pub(crate) fn upload(
        &self,
        request: &Request<'_>,
        sweeper: &Arc<Sweeper>,
    ) -> Result<Box<dyn Receiver>, Response> {
        let begun = || -> Result<Upload, Denied> {
            let head = request.head;
            // RFC 9110 §14.5: a part of a file must not be taken for the whole. With other methods
            // the field means nothing (§14.4).
            if head.method == Method::Put && head.fields.first("content-range").is_some() {
                return Err(Refusal::PartialContent.into());
            }
            let is_plain = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
            if !head.fields.all("content-encoding").all(is_plain) {
                return Err(Refusal::CodedContent.into());
            }
            let path = self.path(request)?;
            let place = self.place(request, &path)?;
            Ok(Upload::begin(place, path.to_url_path(), Arc::clone(sweeper))?)
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
            let Place { dir, name, .. } = self.place(request, &path)?;
            unlinkat(&dir, name.as_slice(), AtFlags::empty())
                .and_then(|()| fsync(&dir))
                .map_err(Refusal::from_os)?;
            Ok(())
        };
        match removed() {
            Ok(()) => Response::new(Status::OK)
                .field("Content-Type", error_page::CONTENT_TYPE)
                .body(Body::Bytes(error_page::page("File Deleted", ""))),
            Err(denied) => self.denied(denied),
        }
    }

    fn denied(&self, denied: Denied) -> Response {
        match denied {
            Denied::Refused(refusal) => self.refused(refusal),
            Denied::Condition => get::precondition_failed(),
        }
    }

    /// Where a write goes. What fails whatever the conditions say comes first, the conditions last
    /// (RFC 9110 §13.2.1).
    fn place(&self, request: &Request<'_>, path: &RelPath) -> Result<Place, Denied> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Refusal::IsDirectory.into());
        };
        let head = request.head;
        let makes = head.method != Method::Delete;
        let current = match self.open(path, Reach::Disk) {
            Ok(opened) => Some(opened.facts),
            // What stands in the way of a new file is for its directory to say.
            Err(Stop::Refused(Refusal::NotFound | Refusal::NotADirectory)) if makes => None,
            Err(Stop::Refused(refusal)) => return Err(refusal.into()),
            Err(Stop::WouldBlock) => return Err(Refusal::Busy.into()),
        };
        // A name for a file does not end in a slash; what it would make is a directory.
        let asks_directory = path.is_dir_form();
        if current.is_some_and(|facts| facts.kind == Kind::Directory) || (asks_directory && makes) {
            return Err(Refusal::IsDirectory.into());
        }
        if asks_directory {
            return Err(Refusal::NotADirectory.into());
        }
        let dir = self.root.open_dir(&parent).map_err(|refusal| match refusal {
            Refusal::NotFound | Refusal::NotADirectory => Refusal::ParentMissing,
            other => other,
        })?;
        let known = current.as_ref().map(|facts| validators::validators(facts, Coding::Identity));
        match precondition::evaluate(head.method, &head.fields, known.as_ref(), request.now) {
            Verdict::Proceed => Ok(Place { dir, name: name.to_vec(), current }),
            Verdict::NotModified | Verdict::Failed => Err(Denied::Condition),
        }
    }
}

/// A file that is coming in, under a name of its own that is never served.
struct Upload {
    name: Vec<u8>,
    /// A file with that name is replaced.
    replaces: bool,
    location: String,
    /// `None` once the file has its place.
    temporary: Option<Temporary>,
    sweeper: Arc<Sweeper>,
}

/// A file that nobody else knows.
struct Temporary {
    dir: OwnedFd,
    name: Vec<u8>,
    file: File,
    /// No other upload of this process has it.
    number: u64,
}

impl Upload {
    fn begin(place: Place, location: String, sweeper: Arc<Sweeper>) -> Result<Upload, Refusal> {
        let Place { dir, name, current } = place;
        let upload = Upload {
            name,
            replaces: current.is_some(),
            location,
            temporary: Some(Temporary::create(dir)?),
            sweeper,
        };
        if let Some(Facts { mode, .. }) = current {
            // Before there is content to see: a private file's is never anything else.
            let mode = Mode::from_raw_mode(mode & KEPT_MODE);
            fchmod(&upload.temporary().file, mode).map_err(Refusal::from_os)?;
        }
        Ok(upload)
    }

    fn temporary(&self) -> &Temporary {
        self.temporary.as_ref().expect("an upload has its file until that has its place")
    }

    /// The content is complete and safe on the disk before it gets its name. Says its tag.
    fn place(&mut self) -> Result<Option<EntityTag>, Refusal> {
        let temporary = self.temporary();
        let etag = temporary.set_apart()?;
        temporary.file.sync_all().map_err(|error| Refusal::from_io(&error))?;
        let (old, new) = (temporary.name.as_slice(), self.name.as_slice());
        renameat(&temporary.dir, old, &temporary.dir, new).map_err(Refusal::from_os)?;
        if let Some(Temporary { dir, .. }) = self.temporary.take() {
            fsync(dir).map_err(Refusal::from_os)?;
        }
        Ok(etag)
    }
}

impl Receiver for Upload {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Response> {
        let mut file = &self.temporary().file;
        file.write_all(bytes).map_err(|error| files::refusal_page(Refusal::from_io(&error)))
    }

    fn finish(mut self: Box<Self>, _: &Request<'_>) -> Response {
        let response = match self.place() {
            Err(refusal) => return files::refusal_page(refusal),
            // RFC 9110 §9.3.4: 201 for a file that was not there, else 200 or 204.
            Ok(etag) if self.replaces => (Response::new(Status::NO_CONTENT), etag),
            Ok(etag) => {
                // §15.3.2: described and linked to.
                let text = format!("File Created: {}\n", self.location);
                let made = Response::text(Status::CREATED, text);
                (made.field("Location", self.location.as_str()), etag)
            }
        };
        match response {
            // §9.3.4: it was stored as it came, so the client's own copy is this version.
            (response, Some(etag)) => response.field("ETag", etag.as_bytes()),
            (response, None) => response,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(Temporary { dir, name, file, .. }) = self.temporary.take() {
            self.sweeper.remove(Leftover { dir, name, file });
        }
    }
}

impl Temporary {
    fn create(dir: OwnedFd) -> Result<Temporary, Refusal> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        for _ in 0..NAMES_MAX {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{UPLOAD_PREFIX}{}-{number}", std::process::id()).into_bytes();
            match openat(&dir, name.as_slice(), flags, mode) {
                Ok(file) => return Ok(Temporary { dir, name, file: File::from(file), number }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(Refusal::from_os(errno)),
            }
        }
        Err(Refusal::Busy)
    }

    /// Gives the file a time that no other version of it has, and with it a strong tag.
    ///
    /// The kernel's clock stands still for up to 10 ms, and two uploads of one length within that
    /// time would share a tag. Some nanoseconds that are only this upload's tell them apart, and
    /// from any change by somebody else. `None` where the file system does not keep them.
    fn set_apart(&self) -> Result<Option<EntityTag>, Refusal> {
        let written = Facts::of(&self.file)?;
        let own = Duration::from_nanos(1 + self.number % 999_999);
        let time = written.mtime + own;
        if self.file.set_modified(time).is_err() {
            return Ok(None);
        }
        let facts = Facts::of(&self.file)?;
        Ok(validators::validators(&facts, Coding::Identity).etag.filter(|_| facts.mtime == time))
    }
}
