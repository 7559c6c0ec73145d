//! Decides who answers a request: which method goes where, and what is told of the rest.

use std::path::Path;
use std::sync::Arc;

use http_proto::server::{Answer, Exchange, Handler, Request, Response};
use http_proto::{Method, Status, Target};

use crate::access_log::AccessLog;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Opened, Root};

/// The files beneath one directory, served over HTTP: a [`Handler`].
///
/// GET and HEAD read; PUT, POST and DELETE write where [`Options::writable`] allows it.
pub struct Files {
    pub(crate) root: Root,
    pub(crate) options: Options,
    log: Arc<AccessLog>,
}

/// What is served, and what may be done to it.
#[derive(Clone, Debug)]
pub struct Options {
    /// PUT, POST and DELETE are served. Default: no.
    pub writable: bool,
    /// A directory without an `index.html` is listed. Default: yes.
    pub listing: bool,
    /// Names that start with a dot are served and listed. Default: no.
    pub hidden: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { writable: false, listing: true, hidden: false }
    }
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

impl Files {
    /// Serves what lies beneath the directory `root`, and records every exchange in `log`.
    ///
    /// # Errors
    /// When `root` cannot be opened or is no directory.
    pub fn new(
        root: impl AsRef<Path>,
        options: Options,
        log: Arc<AccessLog>,
    ) -> std::io::Result<Files> {
        Ok(Files { root: Root::open(root)?, options, log })
    }

    /// The response, as far as `reach` allows one. Uploads are not begun here.
    fn respond(&self, request: &Request<'_>, reach: Reach) -> Result<Response, Stop> {
        match request.head.method {
            Method::Get | Method::Head => self.get(request, reach),
            Method::Delete if self.options.writable => match reach {
                Reach::Memory => Err(Stop::WouldBlock),
                Reach::Disk => Ok(self.delete(request)),
            },
            Method::Put | Method::Post if self.options.writable => Err(Stop::WouldBlock),
            Method::Put | Method::Post | Method::Delete => Err(Refusal::ReadOnly.into()),
            Method::Options => Ok(self.options_response()),
            Method::Patch | Method::Trace | Method::Connect => {
                Err(Refusal::MethodNotAllowed.into())
            }
            Method::Other(_) => {
                Ok(Response::error(Status::NOT_IMPLEMENTED).reason("unknown-method"))
            }
        }
    }

    /// What may be done, here or anywhere: all resources are alike (RFC 9110 §9.3.7).
    fn options_response(&self) -> Response {
        Response::new(Status::NO_CONTENT).field("Allow", self.allow())
    }

    fn allow(&self) -> &'static str {
        match self.options.writable {
            true => "GET, HEAD, OPTIONS, PUT, POST, DELETE",
            false => "GET, HEAD, OPTIONS",
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
            Reach::Memory => self.root.open_cached(path).ok_or(Stop::WouldBlock)??,
            Reach::Disk => self.root.open_file(path)?,
        };
        let id = opened.facts.id;
        // Whoever can read the log learns of everybody else's requests.
        if self.log.identity() == Some((id.device, id.inode)) {
            return Err(Refusal::OwnLog.into());
        }
        Ok(opened)
    }

    /// The answer to a refused request: the one place where a reason becomes a response. The client
    /// learns the status, the log the reason.
    pub(crate) fn refused(&self, refusal: Refusal) -> Response {
        let status = refusal.status();
        let response = Response::error(status).reason(refusal.reason());
        match status {
            // RFC 9110 §15.5.6: Allow must be there.
            Status::METHOD_NOT_ALLOWED => response.field("Allow", self.allow()),
            Status::SERVICE_UNAVAILABLE => response.field("Retry-After", "1"),
            _ => response,
        }
    }
}

impl Handler for Files {
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        match self.respond(request, Reach::Memory) {
            Ok(response) => Some(response),
            Err(Stop::Refused(refusal)) => Some(self.refused(refusal)),
            Err(Stop::WouldBlock) => None,
        }
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        if self.options.writable && matches!(request.head.method, Method::Put | Method::Post) {
            return match self.upload(request) {
                Ok(receiver) => Answer::Receive(receiver),
                Err(response) => response.into(),
            };
        }
        match self.respond(request, Reach::Disk) {
            Ok(response) => response.into(),
            Err(Stop::Refused(refusal)) => self.refused(refusal).into(),
            // On the disk everything is within reach.
            Err(Stop::WouldBlock) => self.refused(Refusal::Busy).into(),
        }
    }

    fn record(&self, exchange: &Exchange<'_>) {
        self.log.record(exchange);
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("root", &self.root).field("options", &self.options).finish()
    }
}
