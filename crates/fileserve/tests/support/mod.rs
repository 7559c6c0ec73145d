//! A site to ask: files in a temporary directory, a handler over them, answers as short text.
//!
//! A request is written `METHOD target`, then field lines, then perhaps an empty line and content.
//! An answer is rendered in one of two ways: [`Site::brief`] is its status and what matters most,
//! [`Site::full`] is every field and the content. What may be answered at once is asked both ways,
//! at once and where it may block, and both must answer alike.

// Each test file uses its own part of this, and a test that fails should say where.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fileserve::{AccessLog, CacheLimits, Files, Hosts, LogFormat, Options, Uploads};
use http_proto::server::{Answer, Body, Handler, Receiver, Request, Response};
use http_proto::{Limits, RequestHead};
use tempfile::TempDir;

/// When every file was last changed, unless a test says otherwise: [`DATE`].
pub(crate) const CHANGED: Duration = Duration::from_secs(784_111_777);

pub(crate) const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Everything may be written, to the last octet of the disk; hidden names stay hidden.
pub(crate) const WRITABLE: Options = options(true);

/// The defaults, but that caches are told nothing.
pub(crate) const OPTIONS: Options = options(false);

const fn options(writable: bool) -> Options {
    Options {
        access: None,
        writable,
        uploads: Uploads { keep_free: Some(0), ..Uploads::DEFAULT },
        forms: None,
        hosts: Hosts { any: true, names: Vec::new() },
        listing: true,
        hidden: false,
        precompressed: true,
        gzip: false,
        cache_control: None,
        cache: CacheLimits { bytes: 0, paths: 0, files: 0 },
        workers: 1,
    }
}

/// A directory `root` that is served, with room beside it for what must not be.
pub(crate) struct Site {
    pub(crate) home: TempDir,
    pub(crate) files: Files,
}

/// An answer, and how it came about.
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// It was also given at once, and was the same.
    pub(crate) recalled: bool,
}

impl Site {
    pub(crate) fn new(options: Options) -> Site {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("root")).unwrap();
        Site::at(home, options, AccessLog::off())
    }

    /// A site in a directory `home` with a `root` in it.
    pub(crate) fn in_home(home: TempDir, options: Options) -> Site {
        Site::at(home, options, AccessLog::off())
    }

    /// A site whose access log is the file `log` beneath the root.
    pub(crate) fn logging_to(log: &str, options: Options) -> Site {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("root")).unwrap();
        let log = home.path().join("root").join(log);
        Site::at(home, options, AccessLog::to_file(log, LogFormat::Plain, 1).unwrap())
    }

    /// A site whose access log is `name` in the directory `dir` beneath the root.
    pub(crate) fn logging_in(dir: &str, name: &str, options: Options) -> Site {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("root").join(dir);
        fs::create_dir_all(&dir).unwrap();
        let log = AccessLog::to_file(dir.join(name), LogFormat::Plain, 1).unwrap();
        Site::at(home, options, log)
    }

    /// The same root, whose access log is now `log`.
    pub(crate) fn reopened(site: Site, log: &str, options: Options) -> Site {
        let log = AccessLog::to_file(site.path(log), LogFormat::Plain, 1).unwrap();
        Site::at(site.home, options, log)
    }

    /// A site over a directory that is there already.
    pub(crate) fn over(dir: &str, options: Options) -> Site {
        let home = tempfile::tempdir().unwrap();
        symlink(dir, home.path().join("root")).unwrap();
        Site::at(home, options, AccessLog::off())
    }

    fn at(home: TempDir, options: Options, log: AccessLog) -> Site {
        let files = Files::new(home.path().join("root"), options, Arc::new(log)).unwrap();
        Site { home, files }
    }

    /// Where `name` is on the disk.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("root").join(name)
    }

    /// Makes a file that was changed long ago, and the directories above it.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Site {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_time(&path, UNIX_EPOCH + CHANGED);
        self
    }

    pub(crate) fn dir(&self, name: &str) -> &Site {
        fs::create_dir_all(self.path(name)).unwrap();
        self
    }

    pub(crate) fn link(&self, name: &str, target: &str) -> &Site {
        symlink(target, self.path(name)).unwrap();
        self
    }

    /// What a file holds now; `None` when there is none.
    pub(crate) fn content(&self, name: &str) -> Option<String> {
        fs::read(self.path(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a directory, whoever may see them.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Asks both ways. Content goes to the receiver, when one is named, in pieces of three octets.
    pub(crate) fn ask(&self, text: &str) -> Answered {
        let (head, content) = spell(text);
        let now = SystemTime::now();
        let at_once = with_request(&head, now, |request| self.files.recall(request));
        let response = match with_request(&head, now, |request| self.files.answer(request)) {
            Answer::Respond(response) => response,
            Answer::Receive(receiver) => {
                assert!(at_once.is_none(), "{text}: content must be asked for first");
                Begun { head, receiver }.receive_all(content.as_bytes())
            }
        };
        if let Some(at_once) = &at_once {
            assert_eq!(full(at_once), full(&response), "{text}: at once, and on a pool thread");
        }
        Answered { response, recalled: at_once.is_some() }
    }

    /// Begins an upload that the caller goes on with.
    pub(crate) fn begin(&self, text: &str) -> Begun {
        let (head, _) = spell(text);
        match with_request(&head, SystemTime::now(), |request| self.files.answer(request)) {
            Answer::Receive(receiver) => Begun { head, receiver },
            Answer::Respond(response) => panic!("{text}: {}", brief(&response)),
        }
    }

    pub(crate) fn brief(&self, text: &str) -> String {
        brief(&self.ask(text).response)
    }

    pub(crate) fn full(&self, text: &str) -> String {
        full(&self.ask(text).response)
    }

    /// Rows of a request and its answer in brief.
    #[track_caller]
    pub(crate) fn check(&self, rows: &[(&str, &str)]) {
        for (request, expected) in rows {
            assert_eq!(self.brief(request), *expected, "{request}");
        }
    }

    /// One request and its answer in full, as lines.
    #[track_caller]
    pub(crate) fn check_full(&self, request: &str, expected: &[&str]) {
        assert_eq!(self.full(request).lines().collect::<Vec<_>>(), expected, "{request}");
    }
}

/// The head as it comes from the wire, and the content. `CHANGED` stands for the time in a tag.
fn spell(text: &str) -> (Vec<u8>, String) {
    let (lines, content) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = lines.lines().map(|line| line.replace("CHANGED", &changed_in_hex()));
    let line = lines.next().unwrap();
    let version = if line.ends_with(" HTTP/1.0") { "" } else { " HTTP/1.1" };
    let mut head = format!("{line}{version}\r\nHost: localhost\r\n");
    for line in lines {
        head.push_str(&line);
        head.push_str("\r\n");
    }
    if matches!(text.split(' ').next(), Some("PUT" | "POST")) {
        head.push_str(&format!("Content-Length: {}\r\n", content.len()));
    }
    head.push_str("\r\n");
    (head.into_bytes(), content.to_owned())
}

/// The answers to one GET both ways, which need not agree while the file changes.
pub(crate) fn both(site: &Site, text: &str) -> (Option<Response>, Option<Response>) {
    let (head, _) = spell(text);
    let at_once = with_request(&head, SystemTime::now(), |request| site.files.recall(request));
    match with_request(&head, SystemTime::now(), |request| site.files.answer(request)) {
        Answer::Respond(response) => (at_once, Some(response)),
        Answer::Receive(_) => (at_once, None),
    }
}

fn with_request<T>(head: &[u8], now: SystemTime, ask: impl FnOnce(&Request<'_>) -> T) -> T {
    let head = RequestHead::parse(head, &Limits::default())
        .unwrap_or_else(|reject| panic!("{}: {}", reject.reason(), head.escape_ascii()));
    let address = ([127, 0, 0, 1], 1).into();
    ask(&Request { head: &head, peer: address, local: address, worker: 0, now, arrived: None })
}

/// An upload under way.
pub(crate) struct Begun {
    head: Vec<u8>,
    receiver: Box<dyn Receiver>,
}

impl Begun {
    pub(crate) fn receive(&mut self, piece: &[u8]) -> Result<(), Response> {
        self.receiver.receive(piece)
    }

    pub(crate) fn finish(self) -> Response {
        let Begun { head, receiver } = self;
        with_request(&head, SystemTime::now(), |request| receiver.finish(request))
    }

    fn receive_all(mut self, content: &[u8]) -> Response {
        for piece in content.chunks(3) {
            if let Err(response) = self.receive(piece) {
                return response;
            }
        }
        self.finish()
    }
}

/// Status, then the reason, or else where to, which part, what is allowed, and the content.
pub(crate) fn brief(response: &Response) -> String {
    let mut text = response.status().code().to_string();
    let mut add = |part: &str| {
        text.push(' ');
        text.push_str(part);
    };
    for name in ["Allow", "Content-Range", "Location", "Retry-After"] {
        if let Some(value) = field(response, name) {
            add(&value);
        }
    }
    match reason(response) {
        Some(reason) => add(&reason),
        None if !response.status().is_error() && response.status().code() != 301 => {
            add(&format!("{:?}", content(response)));
        }
        None => {}
    }
    text
}

/// Status, all field lines, and the content: with `file: ` before it when the kernel would send it.
pub(crate) fn full(response: &Response) -> String {
    let status = response.status();
    let fields = String::from_utf8_lossy(response.fields().as_bytes()).replace("\r\n", "\n");
    let kind = match response.content() {
        Body::File(..) => "file: ",
        _ => "",
    };
    let content = content(response);
    let text = format!("{status}\n{fields}\n{kind}{content}").replace(&changed_in_hex(), "CHANGED");
    // A boundary is never the same twice.
    match text.split_once("boundary=").and_then(|(_, rest)| rest.get(..32)) {
        Some(boundary) => text.replace(boundary, "BOUNDARY"),
        None => text,
    }
}

pub(crate) fn field(response: &Response, name: &str) -> Option<String> {
    response.fields().value(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// The word for the log, which only the session and this can see.
pub(crate) fn reason(response: &Response) -> Option<String> {
    let shown = format!("{response:?}");
    let (_, reason) = shown.rsplit_once("reason: Some(\"")?;
    Some(reason.split_once('"')?.0.to_owned())
}

/// The content as text; of a page of ours, only its heading.
pub(crate) fn content(response: &Response) -> String {
    let bytes = octets(response);
    let text = String::from_utf8_lossy(&bytes);
    match text.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>")) {
        Some((heading, _)) => format!("<{heading}>"),
        None => text.into_owned(),
    }
}

pub(crate) fn octets(response: &Response) -> Vec<u8> {
    read(response.content())
}

fn read(body: &Body) -> Vec<u8> {
    match body {
        Body::Empty => Vec::new(),
        Body::Bytes(bytes) => bytes.clone(),
        Body::Shared(bytes) => bytes.to_vec(),
        Body::File(file, range) => {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start).unwrap();
            bytes
        }
        Body::Parts(parts) => parts.iter().flat_map(read).collect(),
    }
}

/// The modification time as it stands in a tag.
fn changed_in_hex() -> String {
    format!("{:x}", CHANGED.as_nanos())
}

pub(crate) fn set_time(path: &Path, time: SystemTime) {
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Whether this is the child that [`in_child`] has started.
pub(crate) fn is_child() -> bool {
    std::env::var_os("FILESERVE_TEST_CHILD").is_some()
}

/// Runs the test `name` of this very program once more, in a process of its own with what
/// `prepare` does to it, because what it changes is the whole process's.
pub(crate) fn in_child(name: &str, prepare: impl FnOnce(&mut Command)) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env("FILESERVE_TEST_CHILD", "1");
    prepare(&mut child);
    let output = match child.output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: the child cannot be started: {error}"),
    };
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "in the child:\n{told}");
}
