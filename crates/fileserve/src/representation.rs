//! Decides which representation of a file is served: the file itself, a compressed copy that lies
//! beside it (`page.html.gz` for `page.html`), or one that is made here.

use std::time::SystemTime;

use http_proto::server::Request;
use http_proto::{AcceptEncoding, Coding, EntityTag, Validators, Version};

use crate::compress::{self, Way};
use crate::files::{Files, Reach, Stop};
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::{Facts, Kind, Opened};
use crate::{cache_control, mime, validators};

/// Which endings mean which coding, best first: of two that a client likes equally, the one that
/// is usually shorter.
pub(crate) const SIBLINGS: [(Coding, &[u8]); 3] =
    [(Coding::Brotli, b".br"), (Coding::Zstd, b".zst"), (Coding::Gzip, b".gz")];

/// What there is to tell of a representation besides what its open file says of itself.
#[derive(Clone, Copy)]
pub(crate) struct Representation<'f> {
    pub(crate) coding: Coding,
    /// How the coding comes about if it is made here, out of the file itself.
    pub(crate) made: Option<Way>,
    /// Type of the file, whatever the coding.
    pub(crate) media_type: &'static str,
    /// Which representation is served depends on Accept-Encoding.
    pub(crate) negotiated: bool,
    /// What caches are told.
    pub(crate) cache_control: Option<&'f str>,
    pub(crate) trust: Trust,
}

/// How far a browser may trust a file, depending on who may have put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its author is the owner of the site.
    Full,
    /// It may be anybody's: it is what its type says, whatever it looks like.
    AsTyped,
    /// The same, and it can hold scripts: they do not run, and it has an origin of its own.
    Sandboxed,
}

impl Files {
    /// The representation of the file at `path`, which is `opened`, that the client likes best.
    ///
    /// Types that are compressed already have only one. A sibling that is older than its file is
    /// no copy of it any more, and one that cannot be opened is as good as none. A client that
    /// refuses everything there is gets the file itself (RFC 9110 §12.4.1 lets the field be
    /// disregarded): it can do more with that than with an error.
    pub(crate) fn represent<'f>(
        &'f self,
        request: &Request<'_>,
        path: &RelPath,
        opened: Opened,
        reach: Reach,
    ) -> Result<(Opened, Representation<'f>), Stop> {
        let name = path.file_name().unwrap_or_default();
        let itself = self.itself(name, &opened.facts, request.now);
        if !itself.negotiated || request.head.fields.first("accept-encoding").is_none() {
            return Ok((opened, itself));
        }
        let accepted = AcceptEncoding::of(&request.head.fields);
        let mut candidates = SIBLINGS.map(|(coding, _)| coding).to_vec();
        candidates.push(Coding::Identity);
        while let Some(best) = accepted.choose(&candidates) {
            let sibling = SIBLINGS.iter().find(|(coding, _)| *coding == best);
            let Some(&(coding, ending)) = sibling else { break };
            if self.options.precompressed
                && let Some(found) = self.sibling(path, ending, &opened.facts, reach)?
            {
                return Ok((found, Representation { coding, ..itself }));
            }
            if coding == Coding::Gzip
                && let Some(way) = self.way(request, &opened.facts)
            {
                return Ok((opened, Representation { coding, made: Some(way), ..itself }));
            }
            candidates.retain(|candidate| *candidate != best);
        }
        Ok((opened, itself))
    }

    /// The file called `name` as it is, with what there is to tell of it.
    pub(crate) fn itself(&self, name: &[u8], facts: &Facts, now: SystemTime) -> Representation<'_> {
        let media_type = mime::media_type(name);
        let negotiates = self.options.precompressed || self.options.gzip;
        let usual = self.options.cache_control.as_deref();
        Representation {
            coding: Coding::Identity,
            made: None,
            media_type,
            negotiated: negotiates && mime::is_compressible(media_type),
            cache_control: cache_control::told(usual, self.keeps_from_some(), name, facts, now),
            trust: self.trust(media_type),
        }
    }

    /// How far files of a type may be trusted.
    fn trust(&self, media_type: &str) -> Trust {
        match (self.options.writable, self.options.uploads.trusted) {
            (false, _) => Trust::Full,
            (true, false) if mime::can_hold_scripts(media_type) => Trust::Sandboxed,
            (true, _) => Trust::AsTyped,
        }
    }

    /// How a text with `facts` would be compressed to answer `request`, if it were.
    ///
    /// Not while it is sent to HTTP/1.0, where only a length told before can say whether all of it
    /// came.
    fn way(&self, request: &Request<'_>, facts: &Facts) -> Option<Way> {
        let way = compress::way(facts).filter(|_| self.options.gzip)?;
        (way == Way::Whole || request.head.version == Version::Http11).then_some(way)
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
        if !self.may_stand_for(&path) {
            return Ok(None);
        }
        match self.open(&path, reach) {
            Ok(found) => Ok(is_copy(&found.facts, file).then_some(found)),
            Err(Stop::Refused(Refusal::OutOfDescriptors)) => Err(Refusal::OutOfDescriptors.into()),
            Err(Stop::Refused(_)) => Ok(None),
            Err(Stop::WouldBlock) => Err(Stop::WouldBlock),
        }
    }
}

/// The file that the one at `path` may stand for as a compressed copy of it; `None` where its name
/// is none of a copy.
pub(crate) fn original_of(path: &RelPath) -> Option<RelPath> {
    let name = path.file_name()?;
    let original = SIBLINGS.iter().find_map(|(_, ending)| name.strip_suffix(*ending))?;
    path.parent()?.child(original, true).ok()
}

/// Whether a sibling may be a copy of a file: not if it is older.
pub(crate) fn is_copy(sibling: &Facts, file: &Facts) -> bool {
    sibling.kind == Kind::File && sibling.mtime >= file.mtime
}

impl Representation<'_> {
    /// What the conditions of a request are compared with: each representation has a tag of its own
    /// (RFC 9110 §8.8.3.3).
    ///
    /// The tag of what is made here is weak: another release of this program may compress the same
    /// text to other octets.
    pub(crate) fn validators(self, facts: &Facts) -> Validators {
        let known = validators::validators(facts, self.coding);
        match self.made {
            Some(_) => Validators { etag: known.etag.map(EntityTag::into_weak), ..known },
            None => known,
        }
    }

    /// The file itself, whatever has been chosen.
    pub(crate) fn itself(self) -> Self {
        Self { coding: Coding::Identity, made: None, ..self }
    }
}
