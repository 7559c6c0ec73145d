//! The selected representation of a file (RFC 9110 §3.2): what its conditions are compared with,
//! and what an answer tells of it.

use std::ops::Range;

use http_proto::precondition::{self, Verdict};
use http_proto::range::{self, RangeRequest};
use http_proto::server::{Request, Response};
use http_proto::{Coding, Method, Status, Validators};

use crate::representation::{Representation, Trust};
use crate::root::Facts;
use crate::{get, validators};

/// Most ranges that one request may ask for (RFC 9110 §14.2 permits a bound).
pub const RANGES_MAX: usize = 16;

/// What a request for a file comes to.
pub(crate) enum Outcome {
    /// No content of the file's is needed.
    Answered(Response),
    /// This, with the octets of that range of the file, which may be all of it.
    Part(Response, Range<u64>),
    /// Several ranges, each a part of its own.
    Parts(Vec<Range<u64>>),
}

/// One version of a file, in the form that was chosen for a request.
pub(crate) struct Selected<'r> {
    request: &'r Request<'r>,
    pub(crate) form: Representation<'r>,
    facts: Facts,
    known: &'r Validators,
}

impl<'r> Selected<'r> {
    /// `known` are the validators of `form` of a file with `facts`.
    pub(crate) fn new(
        request: &'r Request<'r>,
        form: Representation<'r>,
        facts: Facts,
        known: &'r Validators,
    ) -> Selected<'r> {
        Selected { request, form, facts, known }
    }

    /// What the conditions come to (RFC 9110 §13.2.2).
    pub(crate) fn verdict(&self) -> Verdict {
        let Request { head, now, .. } = self.request;
        precondition::evaluate(head.method, &head.fields, Some(self.known), *now)
    }

    /// Preconditions, then ranges (RFC 9110 §13.2.2 and §14.2).
    pub(crate) fn outcome(&self) -> Outcome {
        match self.verdict() {
            Verdict::Proceed => {}
            Verdict::NotModified => return Outcome::Answered(self.not_modified()),
            Verdict::Failed => return Outcome::Answered(get::precondition_failed()),
        }
        let length = self.facts.len;
        match self.range() {
            RangeRequest::Unsatisfiable => Outcome::Answered(get::unsatisfiable(length)),
            RangeRequest::Many(parts) => Outcome::Parts(parts),
            RangeRequest::Single(part) => {
                let response = self.rangeable(Status::PARTIAL_CONTENT);
                let content_range = range::content_range(&part, length);
                Outcome::Part(response.field("Content-Range", content_range), part)
            }
            RangeRequest::Whole => Outcome::Part(self.rangeable(Status::OK), 0..length),
        }
    }

    /// The 304 of RFC 9110 §15.4.5.
    pub(crate) fn not_modified(&self) -> Response {
        // A copy that was stored when files were still trusted is trusted no longer.
        self.identified(self.distrusted(Response::new(Status::NOT_MODIFIED)))
    }

    /// Whether a range is asked for, be it one that is then ignored.
    pub(crate) fn is_ranged(&self) -> bool {
        let head = self.request.head;
        head.method == Method::Get && head.fields.first("range").is_some()
    }

    /// The ranges asked for, if they are to be heeded: only on GET, only one Range line, and only
    /// if If-Range, when sent, still holds (RFC 9110 §14.2, §13.1.5).
    fn range(&self) -> RangeRequest {
        let Request { head, now, .. } = self.request;
        match head.fields.single("range") {
            Some(value)
                if head.method == Method::Get
                    && precondition::if_range(&head.fields, self.known, *now) =>
            {
                range::resolve(value, self.facts.len, RANGES_MAX)
            }
            _ => RangeRequest::Whole,
        }
    }

    /// [`described`](Self::described), and that ranges of it can be had.
    pub(crate) fn rangeable(&self, status: Status) -> Response {
        self.described(status).field("Accept-Ranges", "bytes")
    }

    /// A 200, or a 206 of one part, with all that is told of it. Without its content.
    pub(crate) fn described(&self, status: Status) -> Response {
        let response = Response::new(status);
        if status == Status::PARTIAL_CONTENT && self.is_resumed() {
            return self.identified(self.distrusted(response));
        }
        let response = response.field("Content-Type", self.form.media_type);
        self.identified(self.dated(self.distrusted(response)))
    }

    /// Adds what keeps a file that anybody may have put here from acting as the site.
    fn distrusted(&self, response: Response) -> Response {
        let typed = |response: Response| response.field("X-Content-Type-Options", "nosniff");
        match self.form.trust {
            Trust::Full => response,
            Trust::AsTyped => typed(response),
            Trust::Sandboxed => typed(response).field("Content-Security-Policy", "sandbox"),
        }
    }

    /// A 206 whose content is several parts, and of that type.
    pub(crate) fn in_parts(&self, content_type: impl AsRef<[u8]>) -> Response {
        let response = Response::new(Status::PARTIAL_CONTENT).field("Content-Type", content_type);
        let response = self.distrusted(response);
        let response = if self.is_resumed() { response } else { self.dated(response) };
        self.identified(response)
    }

    /// RFC 9110 §15.3.7: whoever sends If-Range has got already what does not change.
    fn is_resumed(&self) -> bool {
        self.request.head.fields.first("if-range").is_some()
    }

    /// Adds when it was changed, and how it is coded.
    fn dated(&self, response: Response) -> Response {
        let modified = validators::last_modified(&self.facts, self.request.now);
        let response = response.field("Last-Modified", modified.imf_fixdate());
        match self.form.coding {
            Coding::Identity => response,
            coded => response.field("Content-Encoding", coded.as_str()),
        }
    }

    /// Adds what every answer says that tells of it, 304 included (RFC 9110 §15.4.5): its tag, for
    /// how long it holds, and on what the choice depended (§12.5.5).
    fn identified(&self, mut response: Response) -> Response {
        if let Some(known) = &self.known.etag {
            let told = validators::told_tag(&self.facts, known, self.request.now);
            response = response.field("ETag", told.as_bytes());
        }
        if let Some(cache_control) = self.form.cache_control {
            response = response.field("Cache-Control", cache_control);
        }
        match self.form.negotiated {
            true => response.field("Vary", "Accept-Encoding"),
            false => response,
        }
    }
}
