//! The log's formats by name, and what their lines have in common.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http_proto::server::Exchange;

use super::date::DateMemo;
use super::{json, lines};

/// What a line of the log looks like.
///
/// Whatever a client sends, its octets outside 0x20-0x7E, `"` and `\` are written as `\xHH` (in
/// JSON as JSON wants it), as is a space in a user's name, so no line and no field can be forged,
/// and a terminal is safe. Request lines longer than [`LINE_LOGGED_MAX`](super::LINE_LOGGED_MAX)
/// and fields longer than [`FIELD_LOGGED_MAX`](super::FIELD_LOGGED_MAX) are cut and end in `\...`.
/// Times are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Apache's combined format: [`Common`](Self::Common) with the Referer and the User-Agent.
    Combined,
    /// Apache's common format:
    /// `ADDR - USER [22/Nov/2026:18:13:46 +0000] "GET / HTTP/1.1" 200 23`, with a dash for a user
    /// who is not known; one whose name is a dash is `\x2D`.
    Common,
    /// One JSON object per line, always with the same keys: `time`, `addr`, `port`, `user`,
    /// `method`, `uri`, `version`, `status`, `bytes`, `duration_us`, `referer`, `user_agent`,
    /// `host`, `reason` and `line`; `null` for what is missing. `line` is the raw request line of a
    /// request that could not be read, for which `method`, `uri` and `version` are `null`.
    ///
    /// Valid UTF-8 is kept (as `\uHHHH`). An octet that is not UTF-8 becomes the text `\xHH`, and
    /// for that a backslash the text `\x5C`.
    Json,
    /// For people:
    /// `2026-11-22 18:13:46 Connected to ADDR and page /index.html requested - 200`, with the
    /// reason behind the status of a request that was refused.
    Plain,
}

/// There is no log format of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no log format is called {0:?}; there are combined, common, json and plain")]
pub struct UnknownLogFormat(String);

impl LogFormat {
    /// All of them, in the order of their names.
    pub const ALL: [LogFormat; 4] =
        [LogFormat::Combined, LogFormat::Common, LogFormat::Json, LogFormat::Plain];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Combined => "combined",
            LogFormat::Common => "common",
            LogFormat::Json => "json",
            LogFormat::Plain => "plain",
        }
    }

    /// Appends the line of `exchange`, its end included. `dates` must serve no other format.
    pub(super) fn append(
        self,
        exchange: &Exchange<'_>,
        user: Option<&str>,
        dates: &mut DateMemo,
        out: &mut Vec<u8>,
    ) {
        match self {
            LogFormat::Combined => lines::combined(exchange, user, dates, out),
            LogFormat::Common => lines::common(exchange, user, dates, out),
            LogFormat::Json => json::object(exchange, user, dates, out),
            LogFormat::Plain => lines::plain(exchange, dates, out),
        }
        out.push(b'\n');
    }
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(name: &str) -> Result<LogFormat, UnknownLogFormat> {
        let found = LogFormat::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownLogFormat(name.to_owned()))
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The client's address without its port. An IPv4 address that came in through an IPv6 socket is
/// written as what it is.
pub(super) fn address(out: &mut Vec<u8>, peer: SocketAddr) {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [first, rest @ ..] = ip.octets();
            decimal(out, u64::from(first));
            for octet in rest {
                out.push(b'.');
                decimal(out, u64::from(octet));
            }
        }
        // The shortest form has rules of its own (RFC 5952), which core knows.
        IpAddr::V6(ip) => write!(out, "{ip}").unwrap_or_default(),
    }
}

/// Writes `number` in decimal.
pub(super) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// The target of a request line as it was sent: the second of its words.
pub(super) fn uri(line: &[u8]) -> Option<&[u8]> {
    line.split(|&b| b == b' ').filter(|word| !word.is_empty()).nth(1)
}

/// The first field called `name`, when there is a head.
pub(super) fn field<'a>(exchange: &Exchange<'a>, name: &str) -> Option<&'a [u8]> {
    exchange.head.and_then(|head| head.fields.first(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_formats_and_back() {
        for format in LogFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        for unknown in ["", "Json", "json ", "clf"] {
            assert_eq!(unknown.parse::<LogFormat>(), Err(UnknownLogFormat(unknown.to_owned())));
        }
    }

    #[test]
    fn numbers() {
        for number in [0, 7, 10, 1024, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn addresses() {
        for (peer, expected) in [
            ("127.0.0.1:80", "127.0.0.1"),
            ("255.10.0.99:1", "255.10.0.99"),
            ("[::1]:80", "::1"),
            ("[2001:db8:0:0:1:0:0:1]:80", "2001:db8::1:0:0:1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ] {
            let mut out = Vec::new();
            address(&mut out, peer.parse().expect("an address"));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn the_target_is_the_second_word() {
        for (line, expected) in [
            ("GET /a?b HTTP/1.1", Some("/a?b")),
            ("GET  /a", Some("/a")),
            ("GET\t/a HTTP/1.1", Some("HTTP/1.1")),
            ("GET", None),
            ("GET ", None),
            ("", None),
        ] {
            assert_eq!(uri(line.as_bytes()), expected.map(str::as_bytes), "{line}");
        }
    }
}
