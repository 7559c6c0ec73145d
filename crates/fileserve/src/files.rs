//! Decides who answers a request: which method goes where, and what is told of the rest.

use std::path::Path;
use std::sync::Arc;

use http_proto::server::{Answer, Body, Exchange, Handler, Request, Response};
use http_proto::{Method, Status, Target, error_page};

use crate::access::Right;
use crate::access::credentials::CHALLENGE;
use crate::access_log::AccessLog;
use crate::compress::Compressor;
use crate::forms::FormStore;
use crate::get::INDEX;
use crate::guard::Guard;
use crate::hot::Hot;
use crate::options::Options;
use crate::own_files::OwnFiles;
use crate::pages::Pages;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::representation;
use crate::root::{Kind, Opened, Root};
use crate::write::Writes;

/// The files beneath one directory, served over HTTP: a [`Handler`].
///
/// GET and HEAD read; PUT, POST and DELETE write where [`Options::writable`] allows it.
pub struct Files {
    pub(crate) root: Arc<Root>,
    pub(crate) options: Options,
    pub(crate) pages: Pages,
    pub(crate) compressor: Compressor,
    pub(crate) hot: Hot,
    pub(crate) own_files: Arc<OwnFiles>,
    guard: Guard,
    /// `None` where nothing is written.
    pub(crate) writes: Option<Arc<Writes>>,
    /// `None` where no forms are kept.
    pub(crate) forms: Option<Arc<FormStore>>,
}

/// How far a file may be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only in memory: on a worker's thread, which nothing may hold up.
    Memory,
    /// On the disk, which may take its time: on a pool thread.
    Disk,
}

/// Why there is no response yet, or only one that refuses.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It takes a disk, and only memory was allowed.
    WouldBlock,
    /// The request is refused.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl Stop {
    /// What to say where [`Reach::Disk`] was allowed.
    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Stop::Refused(refusal) => refusal,
            // On the disk everything is within reach.
            Stop::WouldBlock => Refusal::Busy,
        }
    }
}

impl Files {
    /// Serves what lies beneath the directory `root`, and records every exchange in `log`.
    ///
    /// The log itself is never served, listed, written or removed, under whatever name; nor is what
    /// stands in the log's directory under its name, or its name with `.` or `-` and more behind
    /// it, which is how rotated logs are called. The same holds for `access.log` at the top of the
    /// root, wherever this log is. Not covered: rotated logs that other directories hold, be it by
    /// a move or a link, and links of another name to them.
    ///
    /// # Errors
    /// When `root` cannot be opened or is no directory, or no thread can be started.
    pub fn new(
        root: impl AsRef<Path>,
        options: Options,
        log: Arc<AccessLog>,
    ) -> std::io::Result<Files> {
        let root = Arc::new(Root::open(root)?);
        let rights = options.access.as_ref().and_then(|access| access.identity());
        let own_files = Arc::new(OwnFiles::new(log, root.id()?, rights));
        let writes = match options.writable {
            true => Some(Arc::new(Writes::new(&root, &own_files, options.uploads.clone())?)),
            false => None,
        };
        let forms = match &options.forms {
            Some(forms) => Some(Arc::new(FormStore::new(forms)?)),
            None => None,
        };
        let guard = Guard::new(options.hosts.clone());
        let compressor = Compressor::new(options.gzip)?;
        let hot = Hot::new(Arc::clone(&root), options.cache, options.workers)?;
        let pages = Pages::default();
        Ok(Files { root, options, pages, compressor, hot, own_files, guard, writes, forms })
    }

    /// Refuses what must not be done, before any file is looked at.
    fn admit(&self, request: &Request<'_>, reach: Reach) -> Result<(), Stop> {
        self.guard.check(request)?;
        let Some(access) = &self.options.access else { return Ok(()) };
        let wanted = match request.head.method {
            Method::Get | Method::Head => Right::Read,
            Method::Put | Method::Delete => Right::Write,
            Method::Post if self.is_for_forms(request) => Right::Read,
            Method::Post => Right::Write,
            // These do nothing, here or elsewhere.
            _ => return Ok(()),
        };
        if access.everywhere() >= wanted {
            return Ok(());
        }
        let Request { head, peer, now, .. } = *request;
        let judge = |path: &RelPath| {
            access.judge(&head.fields, peer.ip(), path, wanted, reach, now).map(drop)
        };
        let path = self.path(request)?;
        judge(&path)?;
        match wanted {
            // Its index is what a directory shows.
            Right::Read if path.is_dir_form() => judge(&path.child(INDEX, self.options.hidden)?),
            // What stands for another file is part of it.
            Right::Write => representation::original_of(&path).map_or(Ok(()), |path| judge(&path)),
            _ => Ok(()),
        }
    }

    /// Whether somebody may do less than anybody else with some path.
    pub(crate) fn keeps_from_some(&self) -> bool {
        self.options.access.as_ref().is_some_and(|access| access.everywhere() < Right::Read)
    }

    /// Whether a copy of a file that lies beside it can stand for it: not if a rule is for the copy
    /// itself, which whoever asks for the file has not been judged by.
    pub(crate) fn may_stand_for(&self, copy: &RelPath) -> bool {
        self.options.access.as_ref().is_none_or(|access| !access.has_rule_at(copy))
    }

    /// The response, as far as `reach` allows one. Uploads are not begun here.
    fn respond(&self, request: &Request<'_>, reach: Reach) -> Result<Response, Stop> {
        match (request.head.method, &self.writes) {
            (Method::Get | Method::Head, _) => self.get(request, reach),
            (Method::Delete, Some(writes)) => match reach {
                Reach::Memory => Err(Stop::WouldBlock),
                Reach::Disk => Ok(self.delete(request, writes)),
            },
            (Method::Put | Method::Post, Some(_)) => Err(Stop::WouldBlock),
            (Method::Post, None) if self.forms.is_some() => Err(Stop::WouldBlock),
            (Method::Put | Method::Post | Method::Delete, None) => Err(Refusal::ReadOnly.into()),
            (Method::Options, _) => Ok(self.options_response(request.head.target)),
            (Method::Patch | Method::Trace | Method::Connect, _) => {
                Err(Refusal::MethodNotAllowed.into())
            }
            (Method::Other(_), _) => {
                Ok(Response::error(Status::NOT_IMPLEMENTED).reason("unknown-method"))
            }
        }
    }

    /// What may be done, here or anywhere: all resources are alike (RFC 9110 §9.3.7).
    fn options_response(&self, target: Target<'_>) -> Response {
        let response = Response::new(Status::NO_CONTENT).field("Allow", self.allow());
        match target {
            Target::Asterisk => response,
            _ => response.field("Accept-Ranges", "bytes"),
        }
    }

    fn allow(&self) -> &'static str {
        match (self.options.writable, &self.forms) {
            (true, _) => "GET, HEAD, OPTIONS, PUT, POST, DELETE",
            (false, Some(_)) => "GET, HEAD, OPTIONS, POST",
            (false, None) => "GET, HEAD, OPTIONS",
        }
    }

    /// The path beneath the root that a request names.
    pub(crate) fn path(&self, request: &Request<'_>) -> Result<RelPath, Refusal> {
        match request.head.target {
            Target::Origin { path, .. } | Target::Absolute { path, .. } => {
                RelPath::parse(path, self.options.hidden)
            }
            // `*` and `host:port` name no file; their methods have been answered before.
            Target::Asterisk | Target::Authority(_) => Err(Refusal::NotFound),
        }
    }

    pub(crate) fn open(&self, path: &RelPath, reach: Reach) -> Result<Opened, Stop> {
        let opened = match reach {
            Reach::Memory => self.root.open_cached(path).ok_or(Stop::WouldBlock)?,
            Reach::Disk => self.root.open_file(path),
        };
        // Also what is not there: a write would make it.
        let is_directory = opened.as_ref().is_ok_and(|found| found.facts.kind == Kind::Directory);
        if !is_directory && self.has_log_name(path, reach)? {
            return Err(Refusal::OwnLog.into());
        }
        let opened = opened?;
        match self.own_files.has(opened.facts.id) {
            true => Err(Refusal::OwnLog.into()),
            false => Ok(opened),
        }
    }

    /// Whether a path leads to where the log or an earlier part of it would be. The directory is
    /// only looked at for a name that could be one.
    fn has_log_name(&self, path: &RelPath, reach: Reach) -> Result<bool, Stop> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(false);
        };
        if !self.own_files.may_name(path) {
            return Ok(false);
        }
        if reach == Reach::Memory {
            return Err(Stop::WouldBlock);
        }
        match self.root.look_at(&parent) {
            Ok(dir) => Ok(self.own_files.names(dir.id, name)),
            // Where there is no directory there is no log.
            Err(Refusal::NotFound | Refusal::NotADirectory) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The answer to a refused request.
    pub(crate) fn refused(&self, refusal: Refusal) -> Response {
        let response = refusal_page(refusal);
        match refusal.status() {
            // RFC 9110 §15.5.6: Allow must be there.
            Status::METHOD_NOT_ALLOWED => response.field("Allow", self.allow()),
            _ => response,
        }
    }
}

/// The one place where a reason becomes a response. The client learns the status, the log the
/// reason; of a conflict the client learns enough to resolve it (RFC 9110 §15.5.10).
pub(crate) fn refusal_page(refusal: Refusal) -> Response {
    let response = Response::error(refusal.status()).reason(refusal.reason());
    let conflict = |why| Body::Bytes(error_page::page("Error 409 Conflict", why));
    match refusal {
        Refusal::IsDirectory => response.body(conflict("This is the name of a directory.")),
        Refusal::ParentMissing => {
            response.body(conflict("There is no such directory to write to."))
        }
        Refusal::DirectoryNotEmpty => response.body(conflict("The directory is not empty.")),
        Refusal::Exists => response.body(conflict("Something else has that name.")),
        Refusal::Unauthorized => response.field("WWW-Authenticate", CHALLENGE),
        Refusal::TooManyFailures { seconds } => response.field("Retry-After", seconds.to_string()),
        Refusal::TooManyForms => response.field("Retry-After", "60"),
        Refusal::ForeignHost => response.body(Body::Bytes(error_page::page(
            "Error 421 Misdirected Request",
            "This server answers on this machine only, and not to that name. If the name is meant \
             to work, it has to be told to the server (--host).",
        ))),
        // §12.5.3: this is all that would do.
        Refusal::CodedContent => response.field("Accept-Encoding", "identity"),
        _ if refusal.status() == Status::SERVICE_UNAVAILABLE => response.field("Retry-After", "1"),
        _ => response,
    }
}

impl Handler for Files {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        match self.admit(request, Reach::Memory) {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => return Some(self.refused(refusal)),
            Err(Stop::WouldBlock) => return None,
        }
        if let Some(response) = self.hot.answer(self, request) {
            return Some(response);
        }
        let response = match self.respond(request, Reach::Memory) {
            Ok(response) => response,
            Err(Stop::Refused(refusal)) => self.refused(refusal),
            Err(Stop::WouldBlock) => return None,
        };
        self.hot.keep(self, request, response.status());
        Some(response)
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        if let Err(stop) = self.admit(request, Reach::Disk) {
            return self.refused(stop.into_refusal()).into();
        }
        match (request.head.method, &self.writes) {
            (Method::Put, Some(writes)) => return self.upload(request, writes),
            (Method::Post, Some(_)) => return self.post(request),
            (Method::Post, None) if self.forms.is_some() => return self.post(request),
            _ => {}
        }
        match self.respond(request, Reach::Disk) {
            Ok(response) => response.into(),
            Err(stop) => self.refused(stop.into_refusal()).into(),
        }
    }

    fn may_take_long(&self, request: &Request<'_>) -> bool {
        matches!(request.head.method, Method::Put | Method::Post | Method::Delete)
    }

    fn record(&self, exchange: &Exchange<'_>) {
        let access = self.options.access.as_deref().zip(exchange.head);
        let user = access.and_then(|(access, head)| access.user_of(&head.fields));
        self.own_files.record(exchange, user);
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("root", &self.root).field("options", &self.options).finish()
    }
}
