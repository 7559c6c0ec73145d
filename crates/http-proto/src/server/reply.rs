//! How a response gets into the output, and into the log.

use tcp_core::{Now, Output, Wait};

use super::session::{Asked, HEAD, HttpSession, Reply, State, Then, Turn, has_gathered};
use super::stream::Streaming;
use super::{Exchange, Handler, Response};
use crate::assembly::{Persistence, ResponseFraming, ResponseHead};
use crate::{HttpDate, Method, Reject, RequestHead, Status, Version};

/// Content up to this many octets is recorded as sent when it is handed over; longer content, and
/// that of files, when it has gone.
const SHORT_BYTES_MAX: u64 = 64 * 1024;

impl<H: Handler> HttpSession<H> {
    /// Puts a response into the output and goes on as the request and `rest` allow.
    pub(super) fn respond(
        &mut self,
        mut response: Response,
        head: &RequestHead<'_>,
        begun: Now,
        rest: Then,
        turn: &mut Turn<'_, '_>,
    ) -> Option<Wait> {
        let now = turn.now;
        let framing = framing_of(&response, head.version);
        // HEAD is GET without the content (RFC 9110 §9.3.2).
        let silent = head.method == Method::Head || response.status.is_bodiless();
        let source = response.source.take().filter(|_| !silent);
        // Content of which no field tells the end ends with the connection (RFC 9112 §6.3).
        let endless = source.is_some() && framing == ResponseFraming::Unsaid;
        let keep = head.persistent && !now.stopping && rest != Then::Linger && !endless;
        let then = match (keep, rest) {
            (true, rest) => rest,
            // Who has said `close` sends nothing more - unless it already has (RFC 9112 §9.6). When
            // it is us who close, the next request may be on its way, and be met by a reset.
            (false, Then::Next) if !head.persistent && turn.input.bytes().is_empty() => Then::Close,
            (false, _) => Then::Linger,
        };
        if !keep {
            self.connection.close();
        }
        let persistence = Persistence::of(head.version, keep);
        let Response { status, reason, .. } = response;
        let is_file = response.body.has_file();
        let length = self.write(response, framing, persistence, silent, now, turn.output);
        if let Some(source) = source {
            let asked = Asked::new(head.octets(), begun);
            let reply = Reply { asked, status, reason, then };
            let chunked = framing == ResponseFraming::Chunked;
            self.state = State::Stream(Box::new(Streaming::new(source, reply, chunked)));
            return None;
        }
        if length > 0 && (is_file || length > SHORT_BYTES_MAX) {
            let asked = Asked::new(head.octets(), begun);
            self.state = State::Send { reply: Reply { asked, status, reason, then }, length };
            return Some(Wait::Drain);
        }
        self.record_head(head, begun, status, reason, length, now);
        match self.go_on(then, now) {
            None if has_gathered(turn.output) => Some(Wait::Drain),
            wait => wait,
        }
    }

    /// Refuses what could not be read as a request, and ends the connection. `silent`: without
    /// content, whatever is wrong with the rest of the head (RFC 9110 §9.3.2).
    pub(super) fn refuse(
        &mut self,
        reject: Reject,
        line: &[u8],
        silent: bool,
        now: Now,
        output: &mut Output,
    ) -> Wait {
        self.end_with(reject, silent, now, output, |session, sent| {
            session.shared.handler.record(&Exchange {
                peer: session.accepted.peer,
                worker: session.accepted.worker,
                at: now.wall,
                duration: std::time::Duration::ZERO,
                line: &line[..line.len().min(session.line_bytes_max())],
                head: None,
                status: reject.status(),
                sent,
                reason: Some(reject.reason()),
            });
        })
    }

    /// Refuses a request whose head was good for what its content is, and ends the connection.
    pub(super) fn refuse_asked(
        &mut self,
        reject: Reject,
        asked: Asked,
        now: Now,
        output: &mut Output,
    ) -> Wait {
        let silent = asked.head.starts_with(HEAD);
        self.end_with(reject, silent, now, output, |session, sent| {
            session.record(&asked, reject.status(), Some(reject.reason()), sent, now);
        })
    }

    fn end_with(
        &mut self,
        reject: Reject,
        silent: bool,
        now: Now,
        output: &mut Output,
        record: impl FnOnce(&Self, u64),
    ) -> Wait {
        self.connection.close();
        self.state = State::Over;
        let response = Response::error(reject.status());
        let framing = ResponseFraming::Length(response.body.len());
        let sent = self.write(response, framing, Persistence::Close, silent, now, output);
        record(self, sent);
        Wait::Linger
    }

    /// Appends the head and, unless `silent`, the content; says how much content that is.
    fn write(
        &self,
        response: Response,
        framing: ResponseFraming,
        persistence: Persistence,
        silent: bool,
        now: Now,
        output: &mut Output,
    ) -> u64 {
        let Response { status, fields, body, .. } = response;
        let head = ResponseHead {
            status,
            fields: &fields,
            framing,
            persistence,
            date: HttpDate::from(now.wall),
            server: self.shared.config.server,
        };
        head.write(output.tail());
        if silent {
            return 0;
        }
        let length = body.len();
        body.put(output);
        length
    }

    /// The long response under way has ended, `sent` octets of its content in.
    pub(super) fn record_sent(&mut self, now: Now, sent: u64) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let reply = match state {
            State::Send { reply, .. } => reply,
            State::Stream(streaming) => streaming.into_reply(),
            _ => return,
        };
        self.record(&reply.asked, reply.status, reply.reason, sent, now);
    }

    fn record(
        &self,
        asked: &Asked,
        status: Status,
        reason: Option<&'static str>,
        sent: u64,
        now: Now,
    ) {
        if let Some(head) = asked.parse(&self.shared.config.limits) {
            self.record_head(&head, asked.begun, status, reason, sent, now);
        }
    }

    fn record_head(
        &self,
        head: &RequestHead<'_>,
        begun: Now,
        status: Status,
        reason: Option<&'static str>,
        sent: u64,
        now: Now,
    ) {
        self.shared.handler.record(&Exchange {
            peer: self.accepted.peer,
            worker: self.accepted.worker,
            at: begun.wall,
            duration: now.instant.saturating_duration_since(begun.instant),
            line: head.line,
            head: Some(head),
            status,
            sent,
            reason,
        });
    }

    fn line_bytes_max(&self) -> usize {
        usize::from(self.shared.config.limits.request_line_bytes)
    }
}

/// How the end of the content is told to a client of `version`.
fn framing_of(response: &Response, version: Version) -> ResponseFraming {
    match (&response.source, version) {
        _ if response.status.is_bodiless() => ResponseFraming::Unsaid,
        (None, _) => ResponseFraming::Length(response.content_length()),
        (Some(_), Version::Http11) => ResponseFraming::Chunked,
        (Some(_), Version::Http10) => ResponseFraming::Unsaid,
    }
}
