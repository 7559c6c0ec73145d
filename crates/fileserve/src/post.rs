//! POST: a file for its path, files of a form for a directory, or a form that a page sends.

use http_proto::Status;
use http_proto::form_data::{self, Boundary, Event, FormData, Malformed};
use http_proto::server::{Answer, Body, Receiver, Request, Response};

use crate::accept::{self, Wanted};
use crate::files::{self, Files, Reach};
use crate::forms::FormPage;
use crate::refusal::Refusal;
use crate::root::Kind;
use crate::sender::Sender;
use crate::submission::{SUBMISSION_BYTES_MAX, Submission};
use crate::write::{Checksum, Denied, FormUpload, Stored, announced, check_coding};

/// The most that an urlencoded form may have: each of its characters may come as three.
const URLENCODED_BYTES_MAX: usize = 3 * SUBMISSION_BYTES_MAX;

impl Files {
    /// Begins to take in what a POST brings, whatever that is.
    pub(crate) fn post(&self, request: &Request<'_>) -> Answer {
        let content_type = request.head.fields.single("content-type").unwrap_or_default();
        let begun = match form_data::boundary(content_type) {
            Some(Ok(boundary)) => self.post_form_data(request, boundary),
            Some(Err(malformed)) => return malformed_page(malformed).into(),
            None if is_urlencoded(content_type) => self.post_urlencoded(request),
            None => match &self.writes {
                Some(writes) => return self.upload(request, writes),
                None => Err(Refusal::ReadOnly.into()),
            },
        };
        match begun {
            Ok(receiver) => Answer::Receive(receiver),
            Err(Denied::Refused(refusal)) => self.refused(refusal).into(),
            Err(denied) => Answer::Respond(denied.into()),
        }
    }

    /// Whether a POST can only be a form for a page: such forms are for everyone who may read it.
    pub(crate) fn is_for_forms(&self, request: &Request<'_>) -> bool {
        let content_type = request.head.fields.single("content-type").unwrap_or_default();
        self.forms.is_some() && (self.writes.is_none() || is_urlencoded(content_type))
    }

    /// Files for a directory, if they may be written; fields for a page, if they are kept.
    fn post_form_data(
        &self,
        request: &Request<'_>,
        boundary: Boundary,
    ) -> Result<Box<dyn Receiver>, Denied> {
        check_coding(request)?;
        let checksum = Checksum::stated(&request.head.fields)?;
        let page = self.form_page(request)?;
        let files = match &self.writes {
            Some(writes) => {
                let path = self.path(request)?;
                match self.open(&path, Reach::Disk) {
                    Ok(opened) if opened.facts.kind == Kind::Directory => {
                        let sender = Sender::of(request, &self.options, Reach::Disk);
                        let hidden = self.options.hidden;
                        Some(FormUpload::begin(request, path, hidden, sender, writes)?)
                    }
                    Ok(_) => None,
                    Err(stop) => return Err(stop.into_refusal().into()),
                }
            }
            None => None,
        };
        if files.is_none() && page.is_none() {
            let is_written = self.writes.is_some();
            let refusal = if is_written { Refusal::NoForm } else { Refusal::ReadOnly };
            return Err(refusal.into());
        }
        Ok(Box::new(PostedForm {
            parser: FormData::new(boundary, form_data::Limits::default()),
            rest: Vec::new(),
            checksum,
            part: Part::None,
            submission: Submission::default(),
            files,
            page,
        }))
    }

    fn post_urlencoded(&self, request: &Request<'_>) -> Result<Box<dyn Receiver>, Denied> {
        check_coding(request)?;
        let checksum = Checksum::stated(&request.head.fields)?;
        match self.form_page(request)? {
            Some(_) if announced(request) > URLENCODED_BYTES_MAX as u64 => {
                Err(Refusal::SubmissionTooLarge.into())
            }
            Some(page) => Ok(Box::new(PostedFields { content: Vec::new(), checksum, page })),
            None if self.writes.is_some() => Err(Refusal::NoForm.into()),
            None => Err(Refusal::ReadOnly.into()),
        }
    }
}

/// `application/x-www-form-urlencoded`, whatever its parameters.
fn is_urlencoded(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&b| b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// A `multipart/form-data` that is coming in.
struct PostedForm {
    parser: FormData,
    /// What the parser wants to see again.
    rest: Vec<u8>,
    checksum: Checksum,
    part: Part,
    submission: Submission,
    /// Where its files go.
    files: Option<FormUpload>,
    /// Where its fields go if there is no file.
    page: Option<FormPage>,
}

/// The part that is coming in.
enum Part {
    None,
    Field {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    File,
    /// A file without a name: none, if it has no content either, as browsers send where nothing
    /// was chosen.
    Unnamed,
}

impl PostedForm {
    fn take(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.checksum.update(octets);
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(octets);
        let mut at = 0;
        loop {
            let (consumed, event) = self.parser.next(&rest[at..]).map_err(malformed_page)?;
            at += consumed;
            let taken = match event {
                Event::NeedMore => break,
                Event::Part(head) => match (head.filename, &mut self.files) {
                    (None, _) => {
                        self.part = Part::Field { name: head.name.to_vec(), value: Vec::new() };
                        Ok(())
                    }
                    (Some(filename), _) if filename.is_empty() => {
                        self.part = Part::Unnamed;
                        Ok(())
                    }
                    (Some(filename), Some(files)) => {
                        self.part = Part::File;
                        files.begin_file(&filename)
                    }
                    (Some(_), None) => Err(Refusal::FileInForm),
                },
                Event::Content(octets) => self.content(octets),
                Event::PartEnd => self.end_part(),
                Event::End => Ok(()),
            };
            taken.map_err(files::refusal_page)?;
        }
        rest.drain(..at);
        self.rest = rest;
        Ok(())
    }

    fn content(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        if let Part::Unnamed = self.part {
            let files = self.files.as_mut().ok_or(Refusal::FileInForm)?;
            files.begin_file(b"")?;
            self.part = Part::File;
        }
        match (&mut self.part, &mut self.files) {
            (Part::File, Some(files)) => files.write(octets),
            (Part::Field { value, .. }, _) if self.page.is_some() => {
                if value.len() + octets.len() > SUBMISSION_BYTES_MAX {
                    return Err(Refusal::SubmissionTooLarge);
                }
                value.extend_from_slice(octets);
                Ok(())
            }
            // A field beside files says nothing here.
            _ => Ok(()),
        }
    }

    fn end_part(&mut self) -> Result<(), Refusal> {
        match (std::mem::replace(&mut self.part, Part::None), &mut self.files) {
            (Part::File, Some(files)) => files.end_file(),
            (Part::Field { name, value }, _) if self.page.is_some() => {
                let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
                self.submission.push(text(name), text(value))
            }
            _ => Ok(()),
        }
    }

    fn store(self, request: &Request<'_>) -> Result<Response, Response> {
        self.parser.finish().map_err(malformed_page)?;
        self.checksum.verify().map_err(files::refusal_page)?;
        match (self.files, self.page) {
            (Some(files), _) if !files.is_empty() => {
                let dir = files.url_path();
                let stored = files.store().map_err(Response::from)?;
                Ok(stored_page(request, &dir, &stored))
            }
            (_, Some(page)) => Ok(page.submit(request, &self.submission)),
            // A form that was sent without a file.
            _ => Err(files::refusal_page(Refusal::NothingToStore)),
        }
    }
}

impl Receiver for PostedForm {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        self.take(octets)
    }

    fn finish(self: Box<Self>, request: &Request<'_>) -> Response {
        self.store(request).unwrap_or_else(|refused| refused)
    }
}

/// What a browser gets is the list of the directory again (RFC 9110 §15.4.4), and a program what
/// has become of its files.
fn stored_page(request: &Request<'_>, dir: &str, stored: &[Stored]) -> Response {
    if accept::wanted(&request.head.fields) == Wanted::Page {
        return Response::error(Status::SEE_OTHER).field("Location", dir);
    }
    let files: Vec<_> = stored.iter().map(told).collect();
    let response = Response::new(Status::CREATED)
        .field("Content-Type", "application/json")
        .body(Body::Bytes(format!("{{\"files\":[{}]}}\n", files.join(",")).into_bytes()));
    match stored {
        // §15.3.2: what was created is the one that Location names.
        [only] => response.field("Location", only.path.to_url_path()),
        _ => response,
    }
}

/// A stored file as a JSON object. Of a name that is not UTF-8 only `url` has the very octets.
fn told(stored: &Stored) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let name = String::from_utf8_lossy(stored.path.file_name().unwrap_or_default()).into_owned();
    let etag = stored.etag.as_ref().map_or("null".to_owned(), |etag| text(&etag.to_string()));
    format!(
        "{{\"name\":{},\"url\":{},\"size\":{},\"etag\":{etag}}}",
        text(&name),
        text(&stored.path.to_url_path()),
        stored.size
    )
}

/// An `application/x-www-form-urlencoded` that is coming in.
struct PostedFields {
    content: Vec<u8>,
    checksum: Checksum,
    page: FormPage,
}

impl Receiver for PostedFields {
    fn receive(&mut self, octets: &[u8]) -> Result<(), Response> {
        if self.content.len() + octets.len() > URLENCODED_BYTES_MAX {
            return Err(files::refusal_page(Refusal::SubmissionTooLarge));
        }
        self.checksum.update(octets);
        self.content.extend_from_slice(octets);
        Ok(())
    }

    fn finish(self: Box<Self>, request: &Request<'_>) -> Response {
        let submission =
            self.checksum.verify().and_then(|()| Submission::from_urlencoded(&self.content));
        match submission {
            Ok(submission) => self.page.submit(request, &submission),
            Err(refusal) => files::refusal_page(refusal),
        }
    }
}

/// What is no form is told as http-proto judges it.
fn malformed_page(malformed: Malformed) -> Response {
    Response::error(malformed.status()).reason(malformed.reason())
}
