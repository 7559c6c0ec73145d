//! A response as a handler gives it: status, fields, content.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use tcp_core::Output;

use crate::{FieldBlock, Status};

/// What a handler answers. The session adds `Date`, `Server`, `Content-Length` and `Connection`,
/// and leaves the content out where the request was a HEAD.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: Status,
    pub(crate) fields: FieldBlock,
    pub(crate) body: Body,
    pub(crate) source: Option<SourceBox>,
    pub(crate) reason: Option<&'static str>,
    /// The length of content that is not here any more, since it will not be sent.
    unsent: u64,
}

/// The content of a response. Its length is known before its first octet is sent.
#[derive(Debug, Default)]
pub enum Body {
    /// No content: `Content-Length: 0`, or no length at all where the status has no content.
    #[default]
    Empty,
    /// Octets of this response alone.
    Bytes(Vec<u8>),
    /// Octets that many responses share.
    Shared(Arc<[u8]>),
    /// A range of an open file, sent without passing through this process.
    File(Arc<File>, Range<u64>),
    /// Several of these, one after the other.
    Parts(Vec<Body>),
}

/// Shared content up to this many octets is copied behind its head: that costs less than to hand
/// the kernel two pieces, and lets pipelined responses leave together.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// Makes content while it is sent.
pub trait Source: Send {
    /// Appends the next octets to `out`, on a pool thread: called again when the client has taken
    /// them, so what is appended at a time bounds what one slow client holds in memory. Some 64 KiB
    /// are worth the way to the pool and back.
    ///
    /// # Errors
    /// The content cannot be completed. The connection is reset, so that the client cannot take
    /// what it has got for all of it.
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced>;
}

/// How far a [`Source`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produced {
    /// There may be more.
    More,
    /// That was all.
    All,
}

/// A [`Source`], whichever.
pub(crate) struct SourceBox(pub(crate) Box<dyn Source>);

impl std::fmt::Debug for SourceBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl Body {
    /// Length of the content in octets.
    pub fn len(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Shared(bytes) => bytes.len() as u64,
            Body::File(_, range) => range.end.saturating_sub(range.start),
            Body::Parts(parts) => parts.iter().map(Body::len).sum(),
        }
    }

    /// Whether some of it lies in a file, so that sending it takes its time.
    pub(crate) fn has_file(&self) -> bool {
        match self {
            Body::Empty | Body::Bytes(_) | Body::Shared(_) => false,
            Body::File(..) => true,
            Body::Parts(parts) => parts.iter().any(Body::has_file),
        }
    }

    /// Hands it over for sending.
    pub(crate) fn put(self, output: &mut Output) {
        match self {
            Body::Empty => {}
            Body::Bytes(bytes) => output.tail().extend_from_slice(&bytes),
            Body::Shared(bytes) if bytes.len() <= COPIED_BYTES_MAX => {
                output.tail().extend_from_slice(&bytes);
            }
            Body::Shared(bytes) => output.share(bytes),
            Body::File(file, range) => output.file(file, range),
            Body::Parts(parts) => parts.into_iter().for_each(|part| part.put(output)),
        }
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Response {
    /// A response with `status`, no fields and no content yet.
    pub fn new(status: Status) -> Response {
        Response {
            status,
            fields: FieldBlock::default(),
            body: Body::Empty,
            source: None,
            reason: None,
            unsent: 0,
        }
    }

    /// A `text/plain` response of one string.
    pub fn text(status: Status, text: impl Into<String>) -> Response {
        Response::new(status)
            .field("Content-Type", "text/plain; charset=utf-8")
            .body(Body::Bytes(text.into().into_bytes()))
    }

    /// The standard page for an error status: see [`crate::error_page`].
    pub fn error(status: Status) -> Response {
        Response::new(status)
            .field("Content-Type", crate::error_page::CONTENT_TYPE)
            .body(Body::Bytes(crate::error_page::html(status)))
    }

    /// Adds a field line. Octets that may not stand in a field value become spaces, so that no
    /// value can start a line of its own (RFC 9110 §5.5).
    ///
    /// `Date`, `Server`, `Content-Length`, `Transfer-Encoding` and `Connection` are the session's.
    pub fn field(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Response {
        self.fields.push(name, value.as_ref());
        self
    }

    /// Sets all field lines at once.
    pub fn with_fields(mut self, fields: FieldBlock) -> Response {
        self.fields = fields;
        self
    }

    /// The field lines, taken out.
    pub fn into_fields(self) -> FieldBlock {
        self.fields
    }

    /// Sets the content.
    pub fn body(mut self, body: Body) -> Response {
        self.body = body;
        self.unsent = 0;
        self.source = None;
        self
    }

    /// Lets the content come from `source`, piece by piece: for what is made while it is sent, and
    /// whose length nobody knows before. It goes out in chunks; to an HTTP/1.0 client, which knows
    /// none, until the connection closes.
    pub fn stream(mut self, source: impl Source + 'static) -> Response {
        self.body = Body::Empty;
        self.source = Some(SourceBox(Box::new(source)));
        self
    }

    /// Lets go of content of which nothing will be sent, on the pool thread that has made it: to
    /// close a file may take long, which a worker must not wait for.
    pub(crate) fn let_go_unsent(&mut self, is_head: bool) {
        if is_head || self.body.is_empty() {
            self.unsent += std::mem::take(&mut self.body).len();
        }
    }

    /// The length of the content, whether it will be sent or not.
    pub(crate) fn content_length(&self) -> u64 {
        self.body.len() + self.unsent
    }

    /// Notes for the log why the request was refused: one word of `[a-z0-9-]`.
    pub fn reason(mut self, reason: &'static str) -> Response {
        self.reason = Some(reason);
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The field lines so far.
    pub fn fields(&self) -> &FieldBlock {
        &self.fields
    }

    /// Whether the content is streamed, as [`stream`](Self::stream) says.
    pub fn is_streamed(&self) -> bool {
        self.source.is_some()
    }

    /// The source of streamed content, taken out.
    pub fn into_source(self) -> Option<Box<dyn Source>> {
        self.source.map(|source| source.0)
    }

    /// The content; empty when it is streamed.
    pub fn content(&self) -> &Body {
        &self.body
    }
}
