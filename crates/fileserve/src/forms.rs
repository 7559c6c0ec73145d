//! Keeps the forms that pages send: one line of JSON for each, in a file for each page.
//!
//! Whatever a form holds goes to a directory that is not served, and to no other place: who fills
//! it in can write nothing of the site.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_proto::server::{Body, Request, Response};
use http_proto::{RequestHead, Status, error_page};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fsync, open, openat};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::faults::{self, Asking, Call};
use crate::files::{self, Files, Reach, Stop};
use crate::get::INDEX;
use crate::listing::Timestamp;
use crate::mime;
use crate::options::Forms;
use crate::path::{RelPath, SEGMENT_BYTES_MAX};
use crate::refusal::Refusal;
use crate::root::Kind;
use crate::source::source_of;
use crate::submission::Submission;
use crate::write::space;

/// The most that is kept for one page. A site with more has somebody who looks after it.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many forms one address may send within [`RATE_WINDOW`]. Nobody types faster; programs do.
const RATE_MAX: u32 = 10;

const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What the name of a page's file ends with.
const ENDING: &str = ".jsonl";

/// How many addresses are remembered; each for one window.
const ADDRESSES_MAX: usize = 4096;

/// A field that people do not see and leave empty; what fills in everything gives itself away.
const HONEYPOT: &str = "_gotcha";

/// The field that says where the client goes next.
const NEXT: &str = "_next";

/// Where forms are kept.
pub(crate) struct FormStore {
    dir: OwnedFd,
    address: bool,
    /// Held while a line is written and synced: lines of one file must not mix.
    writing: Mutex<()>,
    senders: Mutex<HashMap<IpAddr, Sender>>,
}

/// What one address has sent lately.
struct Sender {
    since: SystemTime,
    count: u32,
}

/// The page that a form is for.
pub(crate) struct FormPage {
    store: Arc<FormStore>,
    path: RelPath,
}

impl FormStore {
    /// # Errors
    /// When the directory cannot be opened.
    pub(crate) fn new(forms: &Forms) -> std::io::Result<FormStore> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(Path::new(&forms.dir), flags, Mode::empty())?;
        Ok(FormStore {
            dir,
            address: forms.address,
            writing: Mutex::new(()),
            senders: Mutex::default(),
        })
    }

    /// Counts a form of `peer`.
    ///
    /// # Errors
    /// `TooManyForms` when it has sent as many as may be.
    fn admit(&self, peer: IpAddr, now: SystemTime) -> Result<(), Refusal> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        // Also when the clock has been set back.
        let is_past =
            |sender: &Sender| !now.duration_since(sender.since).is_ok_and(|age| age < RATE_WINDOW);
        let peer = source_of(peer);
        if senders.len() >= ADDRESSES_MAX && !senders.contains_key(&peer) {
            senders.retain(|_, sender| !is_past(sender));
            // However many there are, whoever comes new is heard; the oldest may begin anew.
            let oldest = senders.iter().min_by_key(|(_, sender)| sender.since);
            if let Some(oldest) = oldest.filter(|_| senders.len() >= ADDRESSES_MAX) {
                let oldest = *oldest.0;
                senders.remove(&oldest);
            }
        }
        let sender = senders.entry(peer).or_insert(Sender { since: now, count: 0 });
        if is_past(sender) {
            *sender = Sender { since: now, count: 0 };
        }
        if sender.count == RATE_MAX {
            return Err(Refusal::TooManyForms);
        }
        sender.count += 1;
        Ok(())
    }

    /// Appends `line`, which has its line end, to the file of a page; it is on the disk then.
    fn append(&self, page: &RelPath, line: &[u8]) -> Result<(), Refusal> {
        space::leaves_some_free(&self.dir, None, line.len() as u64)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // For its owner alone: what people write to a site is theirs to read.
        let mode = Mode::RUSR | Mode::WUSR;
        let name = file_name(page);
        let file = faults::before(Call::Make)
            .and_then(|()| openat(&self.dir, &name, flags, mode))
            .map_err(Refusal::from_os)?;
        // Another server may keep forms here, too.
        flock(&file, FlockOperation::LockExclusive).map_err(Refusal::from_os)?;
        append_line(&File::from(file), line)?;
        // Its name as well: whoever made it may have been killed before this.
        faults::before(Call::Sync).and_then(|()| fsync(&self.dir)).map_err(Refusal::from_os)
    }
}

/// Appends a line to a file that nobody else appends to meanwhile, or leaves it as it is.
fn append_line(file: &File, line: &[u8]) -> Result<(), Refusal> {
    let refused = |error: std::io::Error| Refusal::from_io(&error);
    let stat = faults::before(Call::Stat).map_err(Into::into);
    let length = stat.and_then(|()| file.metadata()).map_err(refused)?.len();
    if length + line.len() as u64 > FILE_BYTES_MAX {
        return Err(Refusal::StorageFull);
    }
    let mut last = [b'\n'];
    if length > 0 {
        Asking(file).read_exact_at(&mut last, length - 1).map_err(refused)?;
    }
    // A line that a crash has cut is ended before the next one.
    let line = if last == [b'\n'] { line.to_vec() } else { [b"\n", line].concat() };
    let sync = || faults::before(Call::Sync).map_err(Into::into).and_then(|()| file.sync_all());
    Asking(file).write_all(&line).and_then(|()| sync()).map_err(|error| {
        // Half a line is no line.
        let _ = file.set_len(length);
        refused(error)
    })
}

/// The name of the file of a page: its path, with what cannot stand in a name escaped. Of one that
/// is too long so, the beginning and a digest of all.
fn file_name(page: &RelPath) -> String {
    let path = page.to_url_path();
    let name = path.trim_start_matches('/').replace('/', "%2F");
    match name.len() + ENDING.len() <= SEGMENT_BYTES_MAX {
        true => name + ENDING,
        false => {
            let digest = Sha256::digest(name.as_bytes());
            let digest: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
            format!(
                "{}-{digest}{ENDING}",
                &name[..SEGMENT_BYTES_MAX - digest.len() - 1 - ENDING.len()]
            )
        }
    }
}

/// Whether a file can hold a form: other files are no pages, and there is nothing to keep of them.
fn is_page(path: &RelPath) -> bool {
    let media_type = mime::media_type(path.file_name().unwrap_or_default());
    ["text/html", "application/xhtml+xml"].iter().any(|page| media_type.starts_with(page))
}

impl Files {
    /// The page that a form is sent to: a file, or the index of a directory. `None` where no forms
    /// are kept, or it is the list of a directory.
    ///
    /// # Errors
    /// As for a GET: a form for what is not there is not kept.
    pub(crate) fn form_page(&self, request: &Request<'_>) -> Result<Option<FormPage>, Refusal> {
        let Some(store) = &self.forms else { return Ok(None) };
        let page = |path| Ok(Some(FormPage { store: Arc::clone(store), path }));
        let path = self.path(request)?;
        match self.open(&path, Reach::Disk).map_err(Stop::into_refusal)?.facts.kind {
            Kind::File if path.is_dir_form() => Err(Refusal::NotADirectory),
            Kind::File if !is_page(&path) => Ok(None),
            Kind::File => page(path),
            // Without the slash it is only on the way to its index.
            Kind::Directory if !path.is_dir_form() => Ok(None),
            Kind::Directory => {
                let index = path.child(INDEX, self.options.hidden)?;
                match self.open(&index, Reach::Disk) {
                    Ok(found) if found.facts.kind == Kind::File => page(index),
                    Ok(_) | Err(Stop::Refused(Refusal::NotFound)) => Ok(None),
                    Err(stop) => Err(stop.into_refusal()),
                }
            }
        }
    }
}

impl FormPage {
    /// Keeps a form, and says so, or sends the client on.
    pub(crate) fn submit(&self, request: &Request<'_>, submission: &Submission) -> Response {
        let is_trap = submission.first(HONEYPOT).is_some_and(|value| !value.is_empty());
        let kept = || {
            self.store.admit(request.peer.ip(), request.now)?;
            if is_trap {
                return Ok(());
            }
            let line = self.line(request, submission);
            self.store.append(&self.path, line.as_bytes())
        };
        if let Err(refusal) = kept() {
            return files::refusal_page(refusal);
        }
        let response = match submission.first(NEXT).filter(|next| is_here(next, request.head)) {
            Some(next) => Response::error(Status::SEE_OTHER).field("Location", next),
            None => Response::new(Status::OK)
                .field("Content-Type", error_page::CONTENT_TYPE)
                .body(Body::Bytes(error_page::page("Form post done", ""))),
        };
        // A program that fills in everything learns nothing from the answer.
        if is_trap { response.reason("honeypot") } else { response }
    }

    fn line(&self, request: &Request<'_>, submission: &Submission) -> String {
        let mut line = Map::new();
        let time = format!("{:#}", Timestamp::new(request.now));
        line.insert("time".into(), time.into());
        line.insert("page".into(), self.path.to_url_path().into());
        if self.store.address {
            line.insert("address".into(), request.peer.ip().to_canonical().to_string().into());
        }
        let mut fields: Map<String, Value> = Map::new();
        for (name, value) in submission.filled_in() {
            match fields.get_mut(name) {
                None => drop(fields.insert(name.into(), value.into())),
                // Boxes that were ticked, and the like.
                Some(Value::Array(values)) => values.push(value.into()),
                Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
            }
        }
        line.insert("fields".into(), fields.into());
        format!("{}\n", printable(&Value::from(line).to_string()))
    }
}

/// JSON without what a terminal or a reader of lines could take for more than a character: DEL, the
/// C1 controls and Unicode's own line ends, which JSON lets stand in a string.
fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => text.push(char),
        }
    }
    text
}

/// Whether `next` is a place on this very site: an absolute path, or the same with the site's own
/// authority before it. A form must not be a way to send people elsewhere.
fn is_here(next: &str, head: &RequestHead<'_>) -> bool {
    // A browser takes a backslash for a slash and leaves out control characters.
    if !next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return false;
    }
    let after = ["http://", "https://"].iter().find_map(|scheme| next.strip_prefix(scheme));
    match after {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let authority = head.authority().unwrap_or_default();
            !authority.is_empty() && rest[..end].eq_ignore_ascii_case(authority)
        }
        None => next.starts_with('/') && !next.starts_with("//"),
    }
}
