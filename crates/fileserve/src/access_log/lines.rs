//! The formats made of words: Apache's two, which log analysers read, and the one for people.

use http_proto::server::Exchange;

use super::date::{self, DateMemo};
use super::format::{address, decimal, field, uri};
use super::{FIELD_LOGGED_MAX, LINE_LOGGED_MAX, escape};

/// `COMMON "REFERER" "USER-AGENT"`
pub(super) fn combined(
    exchange: &Exchange<'_>,
    user: Option<&str>,
    dates: &mut DateMemo,
    out: &mut Vec<u8>,
) {
    common(exchange, user, dates, out);
    out.push(b' ');
    quoted(out, field(exchange, "referer"), FIELD_LOGGED_MAX);
    out.push(b' ');
    quoted(out, field(exchange, "user-agent"), FIELD_LOGGED_MAX);
}

/// `ADDR - USER [DATE] "REQUEST LINE" STATUS BYTES`
pub(super) fn common(
    exchange: &Exchange<'_>,
    user: Option<&str>,
    dates: &mut DateMemo,
    out: &mut Vec<u8>,
) {
    address(out, exchange.peer);
    // Nobody asks identd any more.
    out.extend_from_slice(b" - ");
    match user {
        // Or it would be nobody's.
        Some("-") => out.extend_from_slice(b"\\x2D"),
        Some(user) => escape::word(out, user.as_bytes(), FIELD_LOGGED_MAX),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" [");
    out.extend_from_slice(dates.text(date::since_epoch(exchange.at), date::apache));
    out.extend_from_slice(b"] ");
    quoted(out, (!exchange.line.is_empty()).then_some(exchange.line), LINE_LOGGED_MAX);
    out.push(b' ');
    decimal(out, u64::from(exchange.status.code()));
    out.push(b' ');
    match exchange.sent {
        0 => out.push(b'-'),
        sent => decimal(out, sent),
    }
}

/// `TIMESTAMP Connected to ADDR and page URI requested - STATUS REASON`
///
/// ADDR is without the port: the line is about who came, and a client's port says nothing.
pub(super) fn plain(exchange: &Exchange<'_>, dates: &mut DateMemo, out: &mut Vec<u8>) {
    out.extend_from_slice(dates.text(date::since_epoch(exchange.at), date::plain));
    out.extend_from_slice(b" Connected to ");
    address(out, exchange.peer);
    out.extend_from_slice(b" and page ");
    escape::word(out, uri(exchange.line).unwrap_or(b"-"), LINE_LOGGED_MAX);
    out.extend_from_slice(b" requested - ");
    decimal(out, u64::from(exchange.status.code()));
    if let Some(reason) = exchange.reason {
        out.push(b' ');
        out.extend_from_slice(reason.as_bytes());
    }
}

/// `"VALUE"`, with a dash for what is missing.
fn quoted(out: &mut Vec<u8>, value: Option<&[u8]>, max: usize) {
    out.push(b'"');
    escape::text(out, value.unwrap_or(b"-"), max);
    out.push(b'"');
}
