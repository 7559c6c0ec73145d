//! Judges a connection that has ended: why, and what was noted of it.

use conformance::response::Response;

use crate::ask::{Ask, Want};
use crate::client::Client;
use crate::line::{Cause, End};
use crate::stage::Stage;
use crate::witness;

/// Longer content of a file is sent from the file, and is noted when it has gone.
const INLINE_BYTES_MAX: u64 = 16 * 1024;

/// Longer content of any kind is noted when it has gone.
const SHORT_BYTES_MAX: u64 = 64 * 1024;

impl Client {
    /// What must be true of a connection that has ended. `lines` is what was noted of it.
    pub(crate) fn check_end(&self, stage: &Stage, lines: &[witness::Line]) -> Result<(), String> {
        let Some(end) = self.line.end else { return Err("it never ends".to_owned()) };
        self.check_lines(lines, stage.setup.is_hot)?;
        match end.cause {
            Cause::Shortened | Cause::Aborted => return self.check_given_up(stage, end),
            Cause::Orderly if !self.line.socket.is_reset => {}
            _ => return Ok(()),
        }
        if self.saw_last || self.was_early {
            return Ok(());
        }
        match self.asks[self.answered..].first() {
            Some(ask) if ask.whole.is_some_and(|at| at < end.event) => {
                Err(format!("{} was never answered", ask.shown()))
            }
            Some(ask) if ask.sent > 0 && !ask.octets.starts_with(b"\r\n") => {
                Err(format!("{} was begun, and the connection ended silently", ask.shown()))
            }
            _ => Ok(()),
        }
    }

    /// Each answer is noted once, in order, with its request and what was sent of it.
    fn check_lines(&self, lines: &[witness::Line], is_hot: bool) -> Result<(), String> {
        let received = self.line.socket.outbound.len();
        let all = [&self.line.socket.outbound[..], &self.line.unsent].concat();
        let answers = answers(&all, &self.asks);
        let noted: Vec<u16> = lines.iter().map(|line| line.status).collect();
        let given: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        if noted != given {
            return Err(format!("answered {given:?}, but noted {noted:?}"));
        }
        for ((line, answer), ask) in lines.iter().zip(&answers).zip(&self.asks) {
            if !ask.octets.starts_with(&line.request) {
                let noted = line.request.escape_ascii();
                return Err(format!("{} is noted as {noted}", ask.shown()));
            }
            // Else what is longer is sent from the file itself.
            let may_share = is_hot || ask.takes_gzip || !matches!(ask.want, Want::Get { .. });
            if !answer.may_have_sent(line.sent, received, may_share) {
                let Answer { content, from, .. } = answer;
                return Err(format!(
                    "{}: {} octets noted of {content}, which begin at {from} of {received}",
                    ask.shown(),
                    line.sent
                ));
            }
        }
        Ok(())
    }

    /// A response is given up in its middle only if its file was changed in place, or, where it is
    /// made as it is sent, could not be read.
    fn check_given_up(&self, stage: &Stage, end: End) -> Result<(), String> {
        let Some(ask) = self.asks.get(self.answered) else {
            return Err(format!("{:?}, and nothing was being sent", end.cause));
        };
        let Want::Get { file, .. } = ask.want else {
            return Err(format!("{} ends {:?}", ask.shown(), end.cause));
        };
        let is_unread = end.cause == Cause::Aborted && ask.takes_gzip && ask.faults > 0;
        let is_changed = stage.disk.is_changed_in_place(file, ask.begun, end.event);
        match is_unread || is_changed && (end.cause == Cause::Shortened || ask.takes_gzip) {
            true => Ok(()),
            false => Err(format!("{} ends {:?} for no reason", ask.shown(), end.cause)),
        }
    }
}

/// An answer among all that the server had for a client.
struct Answer {
    status: u16,
    /// Where its content begins, and where that ends.
    from: usize,
    end: Option<usize>,
    /// How long that is, or is to be; `u64::MAX` where nobody has told.
    content: u64,
    is_chunked: bool,
}

impl Answer {
    /// Whether `sent` octets are what its client had of its content, when it had `received` octets
    /// in all. `may_share`: more than [`INLINE_BYTES_MAX`] octets may be in memory.
    fn may_have_sent(&self, sent: u64, received: usize, may_share: bool) -> bool {
        if self.end.is_some_and(|end| end <= received) {
            return sent == self.content;
        }
        let had = received.saturating_sub(self.from) as u64;
        if self.is_chunked {
            // Less the frames of all that was to be sent.
            return sent <= had && had <= sent + 64 + had / 64;
        }
        let had = had.min(self.content);
        let short = if may_share { SHORT_BYTES_MAX } else { INLINE_BYTES_MAX };
        // What is short counts as sent when it is handed over.
        sent == had || (self.content <= short && sent == self.content)
    }
}

/// All answers that were begun. Each has been judged, or was never seen by its client.
fn answers(all: &[u8], asks: &[Ask]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let rest = &all[at..];
        let is_head = asks.get(answers.len()).is_some_and(|ask| ask.is_head);
        let head_end = rest.windows(4).position(|octets| octets == b"\r\n\r\n");
        let head_end = head_end.map_or(rest.len(), |end| end + 4);
        let head = String::from_utf8_lossy(&rest[..head_end]);
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let (from, is_chunked) = (at + head_end, field("Transfer-Encoding: ").is_some());
        // Its date has been judged, if its client has seen it.
        let date = field("Date: ").and_then(|date| httpdate::parse_http_date(date).ok());
        let date = date.unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        match Response::parse_begun(rest, is_head, date) {
            Ok(Some((Response { status, body, .. }, taken))) => {
                at += taken;
                if status >= 200 {
                    let content = body.len() as u64;
                    answers.push(Answer { status, from, end: Some(at), content, is_chunked });
                }
            }
            _ => {
                let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
                let content = field("Content-Length: ").and_then(|length| length.parse().ok());
                let content = content.unwrap_or(u64::MAX);
                answers.push(Answer { status, from, end: None, content, is_chunked });
                break;
            }
        }
    }
    answers
}
