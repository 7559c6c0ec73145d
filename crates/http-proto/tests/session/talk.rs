//! Plays the part of tcp-core for one session: shows input, takes output, runs blocking work.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http_proto::server::{Config, Http, HttpSession};
use http_proto::{Status, error_page};
use tcp_core::{Accepted, Input, Now, Output, Service, Session, Wait};

use crate::desk::{Desk, Notes};

/// Far more calls than any input of these tests needs: beyond, a session goes in circles.
const CALLS_MAX: usize = 10_000;
/// Content longer than this is rendered as its length.
const CONTENT_SHOWN_MAX: usize = 40;

/// One connection.
pub(crate) struct Talk {
    session: HttpSession<Desk>,
    notes: Notes,
    pub(crate) now: Now,
    unread: Vec<u8>,
    ended: bool,
    output: Output,
    sent: Vec<u8>,
    /// Octets in the output each time the session waited for it to drain.
    pub(crate) drained: Vec<u64>,
    pub(crate) wait: Wait,
}

impl Talk {
    pub(crate) fn new() -> Talk {
        Talk::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Talk {
        let notes = Notes::default();
        let http = Http::with_config(Desk { notes: Arc::clone(&notes) }, config);
        let accepted = Accepted {
            peer: ([192, 0, 2, 1], 1000).into(),
            local: ([192, 0, 2, 2], 80).into(),
            worker: 0,
        };
        let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH, stopping: false };
        let mut talk = Talk {
            session: http.open(&accepted),
            notes,
            now,
            unread: Vec::new(),
            ended: false,
            output: Output::default(),
            sent: Vec::new(),
            drained: Vec::new(),
            wait: Wait::Abort,
        };
        // A new connection is shown to its session before anything has come.
        talk.advance();
        talk
    }

    /// Octets come in; goes on until the session waits for more, or for nothing.
    pub(crate) fn say(&mut self, octets: impl AsRef<[u8]>) -> &mut Talk {
        self.unread.extend_from_slice(octets.as_ref());
        if self.reads_until().is_some() && !octets.as_ref().is_empty() {
            self.advance();
            self.run();
        }
        self
    }

    /// The client closes its side.
    pub(crate) fn hang_up(&mut self) -> &mut Talk {
        self.ended = true;
        if self.reads_until().is_some() {
            self.advance();
            self.run();
        }
        self
    }

    /// The server is told to stop, and asks its sessions.
    pub(crate) fn stop(&mut self) -> &mut Talk {
        self.now.stopping = true;
        if self.reads_until().is_some() {
            self.advance();
            self.run();
        }
        // What is due at once is told when nothing more has come, as here.
        self.later(Duration::ZERO)
    }

    /// Time passes; a deadline that passes with it is told.
    pub(crate) fn later(&mut self, by: Duration) -> &mut Talk {
        self.now.instant += by;
        self.now.wall += by;
        if self.reads_until().is_some_and(|deadline| deadline <= self.now.instant) {
            self.wait = self.session.expire(self.now, &mut self.output);
            self.run();
        }
        self
    }

    /// The connection ends with `unsent` octets of the output not sent.
    pub(crate) fn cut(&mut self, unsent: u64) -> &mut Talk {
        self.session.closed(self.now, unsent);
        self.wait = Wait::Abort;
        self
    }

    /// One call of `advance`.
    pub(crate) fn advance(&mut self) {
        let mut input = Input::new(&self.unread, self.ended);
        self.wait = self.session.advance(self.now, &mut input, &mut self.output);
        let consumed = input.consumed();
        self.unread.drain(..consumed);
    }

    /// Shows octets and stops at what the session waits for first, be it the pool or the peer.
    pub(crate) fn say_only(&mut self, octets: impl AsRef<[u8]>) -> &mut Talk {
        self.unread.extend_from_slice(octets.as_ref());
        self.advance();
        self
    }

    /// The pool does its work, which takes `time`; one call of `advance` follows.
    pub(crate) fn block(&mut self, time: Duration) -> &mut Talk {
        assert!(matches!(self.wait, Wait::Pool | Wait::LongPool), "{:?}", self.wait);
        self.session.block();
        self.now.instant += time;
        self.now.wall += time;
        self.advance();
        self
    }

    /// Goes on until the session waits for the peer.
    pub(crate) fn run(&mut self) {
        for _ in 0..CALLS_MAX {
            match self.wait {
                Wait::Read { .. } | Wait::Idle { .. } if self.ended => {
                    panic!("waits for more behind the end")
                }
                Wait::Read { .. }
                | Wait::Idle { .. }
                | Wait::Close
                | Wait::Linger
                | Wait::Abort => {
                    self.flush();
                    return;
                }
                Wait::Pool | Wait::LongPool => self.session.block(),
                Wait::Drain => {
                    self.drained.push(self.output.len());
                    self.flush();
                }
            }
            self.advance();
        }
        panic!("the session goes in circles");
    }

    fn flush(&mut self) {
        let output = std::mem::take(&mut self.output);
        self.sent.extend_from_slice(&output.into_bytes().expect("the file can be read"));
    }

    /// Whether the session is done with its client.
    pub(crate) fn is_over(&self) -> bool {
        self.reads_until().is_none()
    }

    /// What the session waits for, in a word.
    pub(crate) fn waits(&self) -> &'static str {
        match self.wait {
            Wait::Read { .. } => "read",
            Wait::Idle { .. } => "idle",
            Wait::Drain => "drain",
            Wait::Pool => "pool",
            Wait::LongPool => "long-pool",
            Wait::Close => "close",
            Wait::Linger => "linger",
            Wait::Abort => "abort",
        }
    }

    /// The time left until the deadline.
    pub(crate) fn patience(&self) -> Duration {
        match self.reads_until() {
            Some(deadline) => deadline.saturating_duration_since(self.now.instant),
            None => panic!("waits for {}", self.waits()),
        }
    }

    /// The deadline for more octets, if it waits for them.
    fn reads_until(&self) -> Option<Instant> {
        match self.wait {
            Wait::Read { deadline } | Wait::Idle { deadline, .. } => Some(deadline),
            _ => None,
        }
    }

    /// For how long it has been idle.
    pub(crate) fn idleness(&self) -> Option<Duration> {
        match self.wait {
            Wait::Idle { since, .. } => Some(self.now.instant.saturating_duration_since(since)),
            _ => None,
        }
    }

    /// What the handler has noted since it was last asked.
    pub(crate) fn notes(&mut self) -> String {
        let mut notes = self.notes.lock().expect("no test panics while it notes");
        std::mem::take(&mut *notes).join(" | ")
    }

    /// What has been sent since it was last asked, as short text.
    pub(crate) fn answers(&mut self) -> String {
        let sent = std::mem::take(&mut self.sent);
        let mut rest = &sent[..];
        let mut answers = Vec::new();
        while !rest.is_empty() {
            answers.push(take_answer(&mut rest));
        }
        answers.join(" | ")
    }
}

/// What `input` is answered, how that is noted and what is waited for in the end: the same
/// whatever the split, but for the wait, which depends on what is known to follow.
#[track_caller]
pub(crate) fn check(input: impl AsRef<[u8]>, answers: &str, notes: &str, waits: &str) {
    let input = input.as_ref();
    let mut talk = Talk::new();
    talk.say(input);
    assert_eq!(talk.answers(), answers, "answers: {}", input.escape_ascii());
    assert_eq!(talk.notes(), notes, "notes: {}", input.escape_ascii());
    assert_eq!(talk.waits(), waits, "waits: {}", input.escape_ascii());
    let splits = (1..input.len()).map(|at| vec![&input[..at], &input[at..]]);
    for pieces in splits.chain([input.chunks(1).collect()]) {
        let mut talk = Talk::new();
        for piece in &pieces {
            talk.say(piece);
        }
        let pieces = pieces.len();
        assert_eq!(talk.answers(), answers, "in {pieces} pieces: {}", input.escape_ascii());
        assert_eq!(talk.notes(), notes, "in {pieces} pieces: {}", input.escape_ascii());
        assert_eq!(talk.is_over(), !matches!(waits, "read" | "idle"), "in {pieces} pieces");
    }
}

/// Takes one response off the front of what was sent; strict, since nobody else reads it here.
fn take_answer(rest: &mut &[u8]) -> String {
    let end = rest.windows(4).position(|octets| octets == b"\r\n\r\n").expect("an empty line");
    let head = std::str::from_utf8(&rest[..end]).expect("a head in ASCII");
    *rest = &rest[end + 4..];
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let code: u16 = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|line| line.get(..3))
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status line: {line:?}"));
    if code == 100 {
        assert_eq!(fields, "", "an interim response says nothing");
        return "100".into();
    }
    let all = |name: &str| {
        let lines = fields.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect::<Vec<_>>()
    };
    assert_eq!(all("date").len(), 1, "one Date: {head}");
    let mut text = code.to_string();
    for option in all("connection") {
        write!(text, " {option}").expect("a String takes all");
    }
    let lengths = all("content-length");
    if matches!(code, 204 | 304) {
        assert!(lengths.is_empty(), "no length where there is no content: {head}");
        return text;
    }
    if code == 200 && lengths.is_empty() {
        let chunked = all("transfer-encoding") == ["chunked"];
        return text + &take_streamed(rest, chunked);
    }
    let [length] = lengths[..] else { panic!("one Content-Length: {head}") };
    let length: usize = length.parse().expect("a length is a number");
    let silent = rest.is_empty() || rest.starts_with(b"HTTP/1.1 ");
    if length > 0 && silent {
        write!(text, " ({})", shown(length, page(code).len())).expect("a String takes all");
        return text;
    }
    assert!(rest.len() >= length, "the content is shorter than announced: {head}");
    let (content, behind) = rest.split_at(length);
    *rest = behind;
    match content {
        b"" => {}
        page_sent if page_sent == page(code) => text.push_str(" page"),
        long if long.len() > CONTENT_SHOWN_MAX => {
            write!(text, " {} octets", long.len()).expect("a String takes all");
        }
        short => write!(text, " \"{}\"", short.escape_ascii()).expect("a String takes all"),
    }
    text
}

/// Content without a length: its chunks, joined by `+`, or all that there is until the end.
fn take_streamed(rest: &mut &[u8], chunked: bool) -> String {
    let mut text = if chunked { " chunks " } else { " until the end " }.to_string();
    if !chunked {
        write!(text, "\"{}\"", rest.escape_ascii()).expect("a String takes all");
        *rest = &[];
        return text;
    }
    while !rest.is_empty() && !rest.starts_with(b"HTTP/1.1 ") {
        let end = rest.windows(2).position(|octets| octets == b"\r\n").expect("a size line");
        let size = std::str::from_utf8(&rest[..end]).expect("a size in ASCII");
        let size = usize::from_str_radix(size, 16).expect("a size is hexadecimal");
        let (chunk, behind) = rest[end + 2..].split_at(size);
        assert_eq!(&behind[..2], b"\r\n", "a line end behind a chunk");
        *rest = &behind[2..];
        if size == 0 {
            return text + "end";
        }
        write!(text, "\"{}\" + ", chunk.escape_ascii()).expect("a String takes all");
    }
    text + "nothing"
}

fn shown(length: usize, page: usize) -> String {
    if length == page { "page".into() } else { length.to_string() }
}

/// The standard page of a status; nothing where there is none.
fn page(code: u16) -> Vec<u8> {
    let known = [
        Status::BAD_REQUEST,
        Status::REQUEST_TIMEOUT,
        Status::CONTENT_TOO_LARGE,
        Status::URI_TOO_LONG,
        Status::EXPECTATION_FAILED,
        Status::MISDIRECTED_REQUEST,
        Status::TOO_MANY_REQUESTS,
        Status::FIELDS_TOO_LARGE,
        Status::NOT_IMPLEMENTED,
        Status::VERSION_NOT_SUPPORTED,
    ];
    known.iter().find(|status| status.code() == code).map_or(Vec::new(), |s| error_page::html(*s))
}
