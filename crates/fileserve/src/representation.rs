//! Decides which representation of a file is served: the file itself, or a compressed copy that
//! lies beside it (`page.html.gz` for `page.html`).

use http_proto::server::{Request, Response};
use http_proto::{AcceptEncoding, Coding, Validators};

use crate::files::{Files, Reach, Stop};
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Facts, Kind, Opened};
use crate::{mime, validators};

/// Which endings mean which coding, best first: of two that a client likes equally, the one that
/// is usually shorter.
const SIBLINGS: [(Coding, &[u8]); 3] =
    [(Coding::Brotli, b".br"), (Coding::Zstd, b".zst"), (Coding::Gzip, b".gz")];

/// What there is to tell of a representation besides what its open file says of itself.
#[derive(Clone, Copy)]
pub(crate) struct Representation {
    pub(crate) coding: Coding,
    /// Type of the file, whatever the coding.
    pub(crate) media_type: &'static str,
    /// Which representation is served depends on Accept-Encoding.
    pub(crate) negotiated: bool,
}

impl Files {
    /// The representation of the file at `path`, which is `opened`, that the client likes best.
    ///
    /// Types that are compressed already have only one. A sibling that is older than its file is
    /// no copy of it any more, and one that cannot be opened is as good as none. A client that
    /// refuses everything there is gets the file itself (RFC 9110 §12.4.1 lets the field be
    /// disregarded): it can do more with that than with an error.
    pub(crate) fn represent(
        &self,
        request: &Request<'_>,
        path: &RelPath,
        opened: Opened,
        reach: Reach,
    ) -> Result<(Opened, Representation), Stop> {
        let media_type = mime::media_type(path.file_name().unwrap_or_default());
        let negotiated = self.options.precompressed && mime::is_compressible(media_type);
        let itself = Representation { coding: Coding::Identity, media_type, negotiated };
        if !negotiated || request.head.fields.first("accept-encoding").is_none() {
            return Ok((opened, itself));
        }
        let accepted = AcceptEncoding::of(&request.head.fields);
        let mut candidates = SIBLINGS.map(|(coding, _)| coding).to_vec();
        candidates.push(Coding::Identity);
        while let Some(best) = accepted.choose(&candidates) {
            let sibling = SIBLINGS.iter().find(|(coding, _)| *coding == best);
            let Some(&(coding, ending)) = sibling else { break };
            if let Some(found) = self.sibling(path, ending, &opened.facts, reach)? {
                return Ok((found, Representation { coding, ..itself }));
            }
            candidates.retain(|candidate| *candidate != best);
        }
        Ok((opened, itself))
    }

    /// The sibling with `ending` of the file at `path`, if it is there and not outdated.
    fn sibling(
        &self,
        path: &RelPath,
        ending: &[u8],
        file: &Facts,
        reach: Reach,
    ) -> Result<Option<Opened>, Stop> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        let Ok(path) = parent.child(&[name, ending].concat(), self.options.hidden) else {
            return Ok(None);
        };
        match self.open(&path, reach) {
            Ok(found) => {
                let current = found.facts.kind == Kind::File && found.facts.mtime >= file.mtime;
                Ok(current.then_some(found))
            }
            Err(Stop::Refused(Refusal::OutOfDescriptors)) => Err(Refusal::OutOfDescriptors.into()),
            Err(Stop::Refused(_)) => Ok(None),
            Err(Stop::WouldBlock) => Err(Stop::WouldBlock),
        }
    }
}

impl Representation {
    /// What the conditions of a request are compared with: each representation has a tag of its own
    /// (RFC 9110 §8.8.3.3).
    pub(crate) fn validators(self, facts: &Facts) -> Validators {
        validators::validators(facts, self.coding)
    }

    /// Adds what every answer says that tells of the representation, 304 included
    /// (RFC 9110 §15.4.5): its tag, and on what the choice depended (§12.5.5).
    pub(crate) fn identify(
        self,
        mut response: Response,
        request: &Request<'_>,
        facts: &Facts,
    ) -> Response {
        if let Some(etag) = validators::told_tag(facts, self.coding, request.now) {
            response = response.field("ETag", etag.as_bytes());
        }
        if self.negotiated { response.field("Vary", "Accept-Encoding") } else { response }
    }
}
