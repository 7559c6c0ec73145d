//! What is kept of a path: a file in the forms that it can be sent in, with the head of the usual
//! answer ready to send, or that there is none.

use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use http_proto::precondition::Verdict;
use http_proto::server::{Body, Request, Response};
use http_proto::{AcceptEncoding, Coding, FieldBlock, Fields, Status, Validators};

use crate::get::INLINE_BYTES_MAX;
use crate::representation::{Representation, Trust};
use crate::root::{self, Facts, Opened};
use crate::selected::{Outcome, Selected};
use crate::validators;

/// Files up to this length are kept in memory, longer ones open.
pub(super) const CONTENT_BYTES_MAX: u64 = 64 * 1024;

/// What a prepared head takes, and some numbers.
const FORM_BYTES: usize = 1024;

/// What is kept of a path.
#[derive(Debug)]
pub(super) enum Page {
    /// A file: its forms in the order in which they are preferred, itself the last.
    File {
        forms: Vec<Form>,
        /// It would be compressed for who likes that best.
        makes_gzip: bool,
    },
    /// There is none.
    Missing,
}

/// A file in one of the forms that it can be sent in.
#[derive(Debug)]
pub(super) struct Form {
    coding: Coding,
    media_type: &'static str,
    negotiated: bool,
    cache_control: Option<Box<str>>,
    trust: Trust,
    facts: Facts,
    known: Validators,
    /// The fields of the usual answer: all of it.
    whole: FieldBlock,
    /// Those of a 304.
    not_modified: FieldBlock,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Bytes(Arc<[u8]>),
    File(Arc<File>, RefCell<Option<Part>>),
}

/// The short part of a longer file that was asked for last: who plays a film or looks into an
/// archive asks for the same parts as others do.
#[derive(Debug)]
struct Part {
    start: u64,
    octets: Arc<[u8]>,
}

impl Part {
    fn is(&self, part: &Range<u64>) -> bool {
        self.start == part.start && self.octets.len() as u64 == part.end - part.start
    }
}

/// The answer that a page has for a request.
pub(super) enum Answer {
    Response(Response),
    /// Nothing is there.
    Missing,
    /// It is for others to say.
    Unknown,
}

impl Page {
    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Page::File { forms, .. } => forms.iter().map(Form::bytes).sum(),
            Page::Missing => 0,
        }
    }

    /// How many files it holds open.
    pub(super) fn files(&self) -> usize {
        match self {
            Page::File { forms, .. } => {
                forms.iter().filter(|form| matches!(form.content, Content::File(..))).count()
            }
            Page::Missing => 0,
        }
    }

    /// Whether this is of the file that is `opened`, octet for octet where it is in memory, and
    /// caches are told the same.
    pub(super) fn is_of(&self, opened: &Opened, cache_control: Option<&str>) -> bool {
        let Page::File { forms, .. } = self else { return false };
        let [itself] = &forms[..] else { return false };
        itself.cache_control.as_deref() == cache_control && itself.is_of(opened)
    }

    /// The answer to a GET or HEAD.
    pub(super) fn answer(&self, request: &Request<'_>) -> Answer {
        let Page::File { forms, makes_gzip } = self else { return Answer::Missing };
        let fields = &request.head.fields;
        match choose(forms, *makes_gzip, fields) {
            Some(form) => form.answer(request).map_or(Answer::Unknown, Answer::Response),
            None => Answer::Unknown,
        }
    }
}

/// The form that a client likes best; `None` for one that is made when it is asked for.
fn choose<'p>(forms: &'p [Form], makes_gzip: bool, fields: &Fields<'_>) -> Option<&'p Form> {
    let itself = forms.last()?;
    if !itself.negotiated || fields.first("accept-encoding").is_none() {
        return Some(itself);
    }
    let has_gzip = forms.iter().any(|form| form.coding == Coding::Gzip);
    let mut codings: Vec<_> = forms.iter().map(|form| form.coding).collect();
    if makes_gzip && !has_gzip {
        codings.insert(codings.len() - 1, Coding::Gzip);
    }
    match AcceptEncoding::of(fields).choose(&codings) {
        Some(coding) => forms.iter().find(|form| form.coding == coding),
        None => Some(itself),
    }
}

/// Whether a request is for all of a file, whatever the client has of it.
fn is_plain(fields: &Fields<'_>) -> bool {
    fields.iter().all(|(name, _)| {
        let first = name.as_bytes().first().map(u8::to_ascii_lowercase);
        match first {
            Some(b'i') => !name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("if-")),
            Some(b'r') => !name.eq_ignore_ascii_case("range"),
            _ => true,
        }
    })
}

impl Form {
    /// The form in which `opened` is sent, read into memory if it is short. `None` when that takes
    /// a disk, or it changes: what may change again without showing it is not kept.
    pub(super) fn new(
        opened: Opened,
        form: Representation<'_>,
        request: &Request<'_>,
    ) -> Option<Form> {
        let facts = opened.facts;
        if !validators::is_lasting(&facts, request.now) {
            return None;
        }
        let known = form.validators(&facts);
        let selected = Selected::new(request, form, facts, &known);
        let whole = selected.rangeable(Status::OK).into_fields().into_shared();
        let not_modified = selected.not_modified().into_fields().into_shared();
        let content = match facts.len {
            ..=CONTENT_BYTES_MAX => {
                let mut bytes = vec![0; facts.len as usize];
                if !root::read_cached(&opened.file, &mut bytes, 0) {
                    return None;
                }
                Content::Bytes(bytes.into())
            }
            _ => Content::File(Arc::new(opened.file), RefCell::default()),
        };
        let Representation { coding, media_type, negotiated, cache_control, trust, .. } = form;
        Some(Form {
            coding,
            media_type,
            negotiated,
            cache_control: cache_control.map(Into::into),
            trust,
            facts,
            known,
            whole,
            not_modified,
            content,
        })
    }

    fn is_of(&self, opened: &Opened) -> bool {
        let are_there = |kept: &[u8], start| {
            let mut bytes = vec![0; kept.len()];
            root::read_cached(&opened.file, &mut bytes, start) && bytes[..] == kept[..]
        };
        let same_octets = || match &self.content {
            Content::Bytes(kept) => are_there(kept, 0),
            Content::File(_, part) => match &*part.borrow() {
                Some(part) => are_there(&part.octets, part.start),
                None => true,
            },
        };
        opened.facts == self.facts && same_octets()
    }

    fn bytes(&self) -> usize {
        let content = match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::File(..) => INLINE_BYTES_MAX as usize,
        };
        FORM_BYTES + content
    }

    fn answer(&self, request: &Request<'_>) -> Option<Response> {
        if is_plain(&request.head.fields) {
            let response = Response::new(Status::OK).with_fields(self.whole.clone());
            return Some(response.body(self.content(0..self.facts.len)?));
        }
        let form = Representation {
            coding: self.coding,
            made: None,
            media_type: self.media_type,
            negotiated: self.negotiated,
            cache_control: self.cache_control.as_deref(),
            trust: self.trust,
        };
        let selected = Selected::new(request, form, self.facts, &self.known);
        if selected.verdict() == Verdict::NotModified {
            let fields = self.not_modified.clone();
            return Some(Response::new(Status::NOT_MODIFIED).with_fields(fields));
        }
        match selected.outcome() {
            Outcome::Answered(response) => Some(response),
            Outcome::Part(response, part) => Some(response.body(self.content(part)?)),
            // Rare, and the file is at hand.
            Outcome::Parts(_) => None,
        }
    }

    /// The octets of a part. `None` when that takes a disk, or the file has changed meanwhile.
    fn content(&self, part: Range<u64>) -> Option<Body> {
        let whole = 0..self.facts.len;
        match &self.content {
            Content::Bytes(bytes) if part == whole => Some(Body::Shared(Arc::clone(bytes))),
            Content::Bytes(bytes) => {
                let part = bytes.get(part.start as usize..part.end as usize)?;
                Some(Body::Bytes(part.to_vec()))
            }
            Content::File(file, _) if part.end - part.start > INLINE_BYTES_MAX => {
                Some(Body::File(Arc::clone(file), part))
            }
            Content::File(file, last) => {
                if let Some(last) = &*last.borrow()
                    && last.is(&part)
                {
                    return Some(Body::Shared(Arc::clone(&last.octets)));
                }
                let mut bytes = vec![0; (part.end - part.start) as usize];
                let read = root::read_cached(file, &mut bytes, part.start);
                // Invariant 10: head and content come from one version of the file.
                let same = Facts::of(file).is_ok_and(|facts| facts == self.facts);
                (read && same).then(|| {
                    let octets: Arc<[u8]> = bytes.into();
                    let part = Part { start: part.start, octets: Arc::clone(&octets) };
                    *last.borrow_mut() = Some(part);
                    Body::Shared(octets)
                })
            }
        }
    }
}
