//! The format for programs: one JSON object per line (RFC 8259), always with the same keys.

use http_proto::Version;
use http_proto::server::Exchange;

use super::date::{self, DateMemo};
use super::format::{address, decimal, field, uri};
use super::{FIELD_LOGGED_MAX, LINE_LOGGED_MAX, escape};

/// The object of `exchange`, without a line end.
pub(super) fn object(
    exchange: &Exchange<'_>,
    user: Option<&str>,
    dates: &mut DateMemo,
    out: &mut Vec<u8>,
) {
    let since_epoch = date::since_epoch(exchange.at);
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(dates.text(since_epoch, date::rfc3339));
    date::milliseconds(since_epoch, out);
    out.extend_from_slice(b"Z\",\"addr\":\"");
    address(out, exchange.peer);
    out.extend_from_slice(b"\",\"port\":");
    decimal(out, u64::from(exchange.peer.port()));
    member(out, "user", user.map(str::as_bytes), FIELD_LOGGED_MAX);
    request(exchange, out);
    out.extend_from_slice(b",\"status\":");
    decimal(out, u64::from(exchange.status.code()));
    out.extend_from_slice(b",\"bytes\":");
    decimal(out, exchange.sent);
    out.extend_from_slice(b",\"duration_us\":");
    decimal(out, u64::try_from(exchange.duration.as_micros()).unwrap_or(u64::MAX));
    member(out, "referer", field(exchange, "referer"), FIELD_LOGGED_MAX);
    member(out, "user_agent", field(exchange, "user-agent"), FIELD_LOGGED_MAX);
    member(out, "host", field(exchange, "host"), FIELD_LOGGED_MAX);
    member(out, "reason", exchange.reason.map(str::as_bytes), FIELD_LOGGED_MAX);
    let refused = exchange.head.is_none() && !exchange.line.is_empty();
    member(out, "line", refused.then_some(exchange.line), LINE_LOGGED_MAX);
    out.push(b'}');
}

/// What was asked; of a line that could not be read nothing is claimed.
fn request(exchange: &Exchange<'_>, out: &mut Vec<u8>) {
    let (method, uri, version) = match exchange.head {
        Some(head) => {
            let version = match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
            };
            (Some(head.method.as_str().as_bytes()), uri(exchange.line), Some(version.as_bytes()))
        }
        None => (None, None, None),
    };
    member(out, "method", method, FIELD_LOGGED_MAX);
    member(out, "uri", uri, LINE_LOGGED_MAX);
    member(out, "version", version, FIELD_LOGGED_MAX);
}

/// `,"NAME":"VALUE"` or `,"NAME":null`.
fn member(out: &mut Vec<u8>, name: &'static str, value: Option<&[u8]>, max: usize) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    let Some(value) = value else { return out.extend_from_slice(b"\":null") };
    out.extend_from_slice(b"\":\"");
    escape::json(out, value, max);
    out.push(b'"');
}
