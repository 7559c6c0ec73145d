//! GET and HEAD: from a path to a response, read downwards. The content of HEAD is left out by
//! the session, so that there is one way for both (RFC 9110 §9.3.2).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_proto::precondition::{self, Verdict};
use http_proto::range;
use http_proto::server::{Body, Request, Response};
use http_proto::{Byteranges, Status, Validators};

use crate::access::Right;
use crate::compress::{Way, Whole};
use crate::faults::Asking;
use crate::files::{Files, Reach, Stop};
use crate::listing::Offer;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::representation::Representation;
use crate::root::{Entry, Kind, Opened};
use crate::selected::{Outcome, Selected};
use crate::sender::Sender;
use crate::{listing, root};

/// What is served for a directory, if it is there.
pub(crate) const INDEX: &[u8] = b"index.html";

/// Content up to this length is read into memory, so that it goes out in one call with the head;
/// longer content is sent by the kernel from its own memory.
pub(crate) const INLINE_BYTES_MAX: u64 = 16 * 1024;

/// How often a file that changes while it is read is read again before the client is told to come
/// back. Twice in a row is rare already.
const READS_MAX: usize = 4;

impl Files {
    pub(crate) fn get(&self, request: &Request<'_>, reach: Reach) -> Result<Response, Stop> {
        let path = self.path(request)?;
        let opened = self.open(&path, reach)?;
        match opened.facts.kind {
            Kind::File if path.is_dir_form() => Err(Refusal::NotADirectory.into()),
            Kind::File => self.file(request, &path, opened, reach),
            Kind::Directory if path.is_dir_form() => self.directory(request, &path, opened, reach),
            Kind::Directory => Ok(self.redirect(request, path)),
        }
    }

    /// A directory is its index, or else a list of what is in it.
    fn directory(
        &self,
        request: &Request<'_>,
        path: &RelPath,
        opened: Opened,
        reach: Reach,
    ) -> Result<Response, Stop> {
        let index = path.child(INDEX, self.options.hidden)?;
        match self.open(&index, reach) {
            Ok(found) if found.facts.kind == Kind::File => {
                return self.file(request, &index, found, reach);
            }
            Ok(_) | Err(Stop::Refused(Refusal::NotFound)) => {}
            Err(stop) => return Err(stop),
        }
        if !self.options.listing {
            return Err(Refusal::NotListed.into());
        }
        if reach == Reach::Memory {
            return Err(Stop::WouldBlock);
        }
        // A list has no version of its own: only conditions on whether it exists can hold.
        let none = Validators::default();
        let head = request.head;
        match precondition::evaluate(head.method, &head.fields, Some(&none), request.now) {
            Verdict::Proceed => {}
            Verdict::NotModified => return Ok(Response::new(Status::NOT_MODIFIED)),
            Verdict::Failed => return Ok(precondition_failed()),
        }
        let mut turn = None;
        let mut listing = self.root.list_bounded(&opened, path, self.options.hidden, || {
            turn = Some(self.pages.turn()?);
            Ok(())
        })?;
        let dir = opened.facts.id;
        let sender = Sender::of(request, &self.options, reach);
        listing.entries.retain(|Entry { name, facts }| {
            let is_named_log = facts.kind == Kind::File && self.own_files.names(dir, name);
            let may_be_read =
                || path.child(name, true).is_ok_and(|entry| sender.right_on(&entry) >= Right::Read);
            !is_named_log && !self.own_files.has(facts.id) && may_be_read()
        });
        let offer = match self.options.writable && sender.may_be_writer(path) {
            true => Offer { upload: true, delete: true },
            false => Offer::default(),
        };
        let page = self.pages.body(listing::html(path, listing, offer))?;
        drop(turn);
        let response = Response::new(Status::OK)
            .field("Content-Type", listing::CONTENT_TYPE)
            .field("Content-Security-Policy", listing::content_security_policy(offer));
        // What is listed, and what is offered, depends on who asks.
        let response = match self.options.access {
            Some(_) => response.field("Cache-Control", "private, no-cache"),
            None => response,
        };
        Ok(response.body(page))
    }

    /// To the same directory with a slash behind it, so that relative links in it work. The path is
    /// written anew from its segments, so `//host` cannot come out of it.
    fn redirect(&self, request: &Request<'_>, path: RelPath) -> Response {
        let mut location = path.into_dir_form().to_url_path();
        if let Some(query) = request.head.target.query() {
            location.push('?');
            location.push_str(query);
        }
        let response = Response::error(Status::MOVED_PERMANENTLY).field("Location", location);
        // Caches may else keep it for as long as they like (RFC 9110 §15.4.2).
        match &self.options.cache_control {
            Some(usual) => response.field("Cache-Control", usual.as_bytes()),
            None => response,
        }
    }

    /// A file: preconditions, then ranges, then content (RFC 9110 §13.2.2 and §14.2).
    fn file(
        &self,
        request: &Request<'_>,
        path: &RelPath,
        opened: Opened,
        reach: Reach,
    ) -> Result<Response, Stop> {
        let (mut opened, mut form) = self.represent(request, path, opened, reach)?;
        if let Some(way) = form.made {
            match self.compressed(request, opened, form, way, reach)? {
                Packed::Answered(response) => return Ok(response),
                Packed::AsItIs(back) => (opened, form) = (back, form.itself()),
            }
        }
        // Should nobody change it while it ends too soon each time, it holds less than it says.
        let mut refusal = Refusal::ShortRead;
        for _ in 0..READS_MAX {
            let facts = opened.facts;
            let known = form.validators(&facts);
            let selected = Selected::new(request, form, facts, &known);
            let (found, part) = match selected.outcome() {
                Outcome::Answered(response) => return Ok(response),
                Outcome::Parts(parts) => return Ok(multipart(&selected, opened, &parts)),
                Outcome::Part(found, part) => (found, part),
            };
            match content(opened, &part, reach)? {
                Content::Ready(body) => return Ok(found.body(body)),
                Content::Changed(again) => {
                    if again.facts != facts {
                        refusal = Refusal::Busy;
                    }
                    opened = again;
                }
            }
        }
        Err(refusal.into())
    }

    /// A text that is compressed here.
    fn compressed(
        &self,
        request: &Request<'_>,
        opened: Opened,
        form: Representation<'_>,
        way: Way,
        reach: Reach,
    ) -> Result<Packed, Stop> {
        let facts = opened.facts;
        let known = form.validators(&facts);
        let selected = Selected::new(request, form, facts, &known);
        let verdict = selected.verdict();
        if verdict == Verdict::NotModified {
            return Ok(Packed::Answered(selected.not_modified()));
        }
        // The place of a range in what is made here would be anybody's guess.
        if selected.is_ranged() {
            return Ok(Packed::AsItIs(opened));
        }
        if verdict == Verdict::Failed {
            return Ok(Packed::Answered(precondition_failed()));
        }
        let found = || selected.described(Status::OK);
        let whole = match (way, reach) {
            (Way::Stream, _) => {
                return Ok(match self.compressor.stream(opened) {
                    Ok(source) => Packed::Answered(found().stream(source)),
                    Err(back) => Packed::AsItIs(back),
                });
            }
            (Way::Whole, Reach::Memory) => {
                self.compressor.recall(&facts, request.now).ok_or(Stop::WouldBlock)?
            }
            (Way::Whole, Reach::Disk) => self.compressor.whole(&opened, request.now)?,
        };
        match whole {
            Whole::Gzip(octets) => Ok(Packed::Answered(found().body(Body::Shared(octets)))),
            Whole::AsItIs => Ok(Packed::AsItIs(opened.look_again()?)),
        }
    }
}

/// What compressing a text has come to.
enum Packed {
    Answered(Response),
    /// It is to be sent as it is.
    AsItIs(Opened),
}

/// What reading a file has come to.
enum Content {
    Ready(Body),
    /// The file was changed while it was read, or ended too soon; it is to be looked at again.
    Changed(Opened),
}

/// The octets of `part`, in memory where they are few. Their version is that of `opened.facts`.
fn content(opened: Opened, part: &Range<u64>, reach: Reach) -> Result<Content, Stop> {
    let length = part.end - part.start;
    if length > INLINE_BYTES_MAX {
        return Ok(Content::Ready(Body::File(Arc::new(opened.file), part.clone())));
    }
    let mut bytes = vec![0; length as usize];
    match reach {
        Reach::Disk => match Asking(&opened.file).read_exact_at(&mut bytes, part.start) {
            Ok(()) => {}
            // Shorter than it was a moment ago, or always shorter than it says.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Content::Changed(opened.look_again()?));
            }
            Err(error) => return Err(Refusal::from_io(&error).into()),
        },
        Reach::Memory => {
            if !root::read_cached(&opened.file, &mut bytes, part.start) {
                return Err(Stop::WouldBlock);
            }
        }
    }
    // Invariant 10: head and content come from one version of the file.
    let before = opened.facts;
    let opened = opened.look_again()?;
    match opened.facts == before {
        true => Ok(Content::Ready(Body::Bytes(bytes))),
        false => Ok(Content::Changed(opened)),
    }
}

/// Several ranges as one content: each part from where it lies in the file (RFC 9110 §15.3.7.2).
fn multipart(selected: &Selected<'_>, opened: Opened, parts: &[Range<u64>]) -> Response {
    let file = Arc::new(opened.file);
    let media_type = selected.form.media_type;
    let plan = Byteranges::plan(parts, opened.facts.len, media_type, &boundary());
    let mut body = Vec::with_capacity(2 * plan.parts.len() + 1);
    for part in plan.parts {
        body.push(Body::Bytes(part.head));
        body.push(Body::File(Arc::clone(&file), part.range));
    }
    body.push(Body::Bytes(plan.end));
    selected.in_parts(plan.content_type).field("Accept-Ranges", "bytes").body(Body::Parts(body))
}

/// A delimiter that nobody can foresee, and so put into a file: keyed hashes of a count, with keys
/// that the operating system has given.
fn boundary() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let hash = || RandomState::new().hash_one(count);
    format!("{:016x}{:016x}", hash(), hash())
}

pub(crate) fn precondition_failed() -> Response {
    Response::error(Status::PRECONDITION_FAILED).reason("precondition-failed")
}

pub(crate) fn unsatisfiable(length: u64) -> Response {
    Response::error(Status::RANGE_NOT_SATISFIABLE)
        .field("Content-Range", range::unsatisfied(length))
        .reason("range-not-satisfiable")
}
