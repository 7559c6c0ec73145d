//! A file that comes in as the content of one request.

use std::sync::Arc;

use http_proto::server::{Receiver, Request, Response};
use http_proto::{EntityTag, Framing, Method, Status};

use super::checksum::Checksum;
use super::draft::Draft;
use super::place::{Place, evaluate};
use super::space::{Claim, Turn};
use super::{Denied, Writes};
use crate::files;
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::Kind;
use crate::sender::Sender;

/// A file that is coming in.
pub(super) struct Upload {
    writes: Arc<Writes>,
    place: Place,
    draft: Draft,
    claim: Claim,
    checksum: Checksum,
    _turn: Turn,
}

impl Upload {
    /// What fails whatever the conditions say comes first, the conditions last (RFC 9110 §13.2.1).
    pub(super) fn begin(
        request: &Request<'_>,
        path: &RelPath,
        sender: &Sender,
        writes: &Arc<Writes>,
    ) -> Result<Upload, Denied> {
        let head = request.head;
        // §14.5: a part of a file must not be taken for the whole. With other methods the field
        // means nothing (§14.4).
        if head.method == Method::Put && head.fields.first("content-range").is_some() {
            return Err(Refusal::PartialContent.into());
        }
        check_coding(request)?;
        let checksum = Checksum::stated(&head.fields)?;
        // A name for a file does not end in a slash; what it would make is a directory.
        if path.is_dir_form() {
            return Err(Refusal::IsDirectory.into());
        }
        let place = writes.find_to_make(path, sender, request.now)?;
        if place.current.is_some_and(|facts| facts.kind == Kind::Directory) {
            return Err(Refusal::IsDirectory.into());
        }
        evaluate(request, place.current.as_ref())?;
        let turn = writes.space.turn()?;
        let claim = writes.space.claim(&*place.dir, announced(request), request.now)?;
        let draft = writes.draft(&place.dir)?;
        if let Some(facts) = place.current {
            draft.take_mode(facts.mode)?;
        }
        Ok(Upload { writes: Arc::clone(writes), place, draft, claim, checksum, _turn: turn })
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        self.claim.grow(&*self.place.dir, octets.len() as u64)?;
        self.checksum.update(octets);
        self.draft.write(octets)
    }

    /// The content is complete and safe on the disk before it gets its name. Says its tag, and
    /// whether it has replaced something.
    fn store(mut self, request: &Request<'_>) -> Result<(Option<EntityTag>, bool), Denied> {
        self.checksum.verify()?;
        let etag = self.draft.settle()?;
        let replaced = self.writes.publish(request, &self.place, &mut self.draft)?;
        self.claim.settle(replaced.as_ref().and_then(|gone| gone.octets));
        Ok((etag, replaced.is_some()))
    }
}

impl Receiver for Upload {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.take(octets).map_err(files::refusal_page)
    }

    fn finish(self: Box<Self>, request: &Request<'_>) -> Response {
        let location = self.place.path.to_url_path();
        let (etag, response) = match self.store(request) {
            Err(denied) => return denied.into(),
            // RFC 9110 §9.3.4: 201 for a file that was not there, else 200 or 204.
            Ok((etag, true)) => (etag, Response::new(Status::NO_CONTENT)),
            Ok((etag, false)) => {
                // §15.3.2: described and linked to.
                let made = Response::text(Status::CREATED, format!("File Created: {location}\n"));
                (etag, made.field("Location", location))
            }
        };
        match etag {
            // §9.3.4: it was stored as it came, so the client's own copy is this version.
            Some(etag) => response.field("ETag", etag.as_bytes()),
            None => response,
        }
    }
}

/// # Errors
/// `CodedContent` for what would be stored under a name that does not say how it is coded.
pub(crate) fn check_coding(request: &Request<'_>) -> Result<(), Refusal> {
    let is_plain = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
    match request.head.fields.all("content-encoding").all(is_plain) {
        true => Ok(()),
        false => Err(Refusal::CodedContent),
    }
}

/// The length of the content, as far as it is told before it comes.
pub(crate) fn announced(request: &Request<'_>) -> u64 {
    match request.head.framing {
        Framing::Length(length) => length,
        Framing::Empty | Framing::Chunked => 0,
    }
}
