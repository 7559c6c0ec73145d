//! Reads one response out of received octets, strictly: a client cannot repair what it was sent.
//!
//! Content in the chunked coding is taken as RFC 9112 §7.1 has it, without what the grammar allows
//! and a server of files has no use for: chunk extensions and trailers.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

/// One response, interim (1xx) or final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Field lines in the order they came, names as they were written.
    pub fields: Vec<(String, String)>,
    /// The content, after the chunked coding is taken off, if there was one.
    pub body: Vec<u8>,
}

/// The most octets of head or content that are read before a response counts as endless.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// Field names of which a response may hold only one line: lists are not meant here, so a second
/// line would be a second opinion (RFC 9110 §5.3).
const SINGLETONS: [&str; 10] = [
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Last-Modified",
    "Location",
    "Retry-After",
    "Server",
    "Transfer-Encoding",
];

/// How far a Date may be from when its response was asked for or came.
const DATE_OFF_MAX: Duration = Duration::from_secs(10);

impl Response {
    /// Reads the response that `input` starts with, and how many octets it took; `None` asks for
    /// more octets. `to_head` says that it answers a HEAD and so has no content.
    ///
    /// # Errors
    /// A sentence on the rule that the response breaks.
    pub fn parse(input: &[u8], to_head: bool) -> Result<Option<(Response, usize)>, String> {
        Response::parse_begun(input, to_head, SystemTime::now())
    }

    /// The same for a response that began to come at `begun`, which may be long ago: that is what
    /// its Date is compared with.
    ///
    /// # Errors
    /// A sentence on the rule that the response breaks.
    pub fn parse_begun(
        input: &[u8],
        to_head: bool,
        begun: SystemTime,
    ) -> Result<Option<(Response, usize)>, String> {
        Response::parse_between(input, to_head, &(begun..=begun))
    }

    /// The same for a response that was asked for, and began to come, at these times: much may lie
    /// in between on a busy machine.
    ///
    /// # Errors
    /// A sentence on the rule that the response breaks.
    pub fn parse_between(
        input: &[u8],
        to_head: bool,
        times: &RangeInclusive<SystemTime>,
    ) -> Result<Option<(Response, usize)>, String> {
        let mut lines = Lines { input, at: 0 };
        let Some(line) = lines.next_line()? else { return Ok(None) };
        let (status, reason) = status_line(line)?;
        let Some(fields) = field_lines(&mut lines)? else { return Ok(None) };
        let mut response = Response { status, reason, fields, body: Vec::new() };
        response.check_singletons()?;
        match response.length(to_head)? {
            Length::None => {}
            Length::Octets(length) => match input[lines.at..].get(..length) {
                None => return Ok(None),
                Some(body) => {
                    response.body = body.to_vec();
                    lines.at += length;
                }
            },
            Length::Chunks => match chunks(&mut lines)? {
                None => return Ok(None),
                Some(body) => response.body = body,
            },
        }
        response.check_orderly(times)?;
        Ok(Some((response, lines.at)))
    }

    /// The value of a field, of all its lines joined by `, `; names in any case.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Whether a field is a list that holds `token`, in any case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name).flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(named).map(|(_, value)| value.as_str())
    }

    fn check_singletons(&self) -> Result<(), String> {
        match SINGLETONS.iter().find(|name| self.values(name).count() > 1) {
            Some(name) => Err(format!("{name} came more than once")),
            None => Ok(()),
        }
    }

    /// How long the content is (RFC 9112 §6.3), of which only the sound half is accepted here.
    fn length(&self, to_head: bool) -> Result<Length, String> {
        let coding = self.field("Transfer-Encoding");
        let length = self.field("Content-Length");
        let status = self.status;
        if status < 200 || status == 204 {
            // RFC 9110 §8.6 and RFC 9112 §6.1: neither field may be sent.
            return match (coding, length) {
                (None, None) => Ok(Length::None),
                _ => Err(format!("a {status} has no content, yet a length of it was sent")),
            };
        }
        if status == 304 && coding.is_some() {
            // RFC 9112 §6.1 permits it, but there is no content to frame.
            return Err("a 304 with Transfer-Encoding".to_owned());
        }
        let bodiless = to_head || status == 304;
        match (coding, length) {
            (Some(_), Some(_)) => Err("Content-Length beside Transfer-Encoding".to_owned()),
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => {
                Ok(if bodiless { Length::None } else { Length::Chunks })
            }
            (Some(coding), None) => Err(format!("unexpected Transfer-Encoding: {coding}")),
            (None, Some(length)) => {
                let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
                let octets = length.parse::<usize>().ok().filter(|_| digits);
                let octets = octets.ok_or_else(|| format!("bad Content-Length: {length}"))?;
                match bodiless {
                    true => Ok(Length::None),
                    false if octets > RESPONSE_BYTES_MAX => Err(format!("{octets} octets")),
                    false => Ok(Length::Octets(octets)),
                }
            }
            (None, None) if bodiless => Ok(Length::None),
            (None, None) => Err(format!("a {status} without a length of its content")),
        }
    }

    /// What every response of this server owes its client, whatever was asked.
    fn check_orderly(&self, times: &RangeInclusive<SystemTime>) -> Result<(), String> {
        let status = self.status;
        let owes = |name: &str| match self.field(name) {
            Some(_) => Ok(()),
            None => Err(format!("a {status} without {name}")),
        };
        match status {
            206 if !self.lists_start("Content-Type", "multipart/") => owes("Content-Range")?,
            301 | 302 | 303 | 307 | 308 => owes("Location")?,
            401 => owes("WWW-Authenticate")?,
            405 => owes("Allow")?,   // RFC 9110 §15.5.6
            426 => owes("Upgrade")?, // RFC 9110 §15.5.22
            _ => {}
        }
        // RFC 9110 §15.3.7: a 206 to an If-Range leaves out what the client has already.
        if !self.body.is_empty() && status != 206 {
            owes("Content-Type")?;
        }
        if status >= 200 {
            owes("Date")?; // RFC 9110 §6.6.1
        }
        match self.field("Date") {
            Some(date) => check_date(&date, times),
            None => Ok(()),
        }
    }

    fn lists_start(&self, name: &str, start: &str) -> bool {
        self.field(name).is_some_and(|value| value.starts_with(start))
    }
}

enum Length {
    None,
    Octets(usize),
    Chunks,
}

/// Lines that end in CRLF, taken one by one.
struct Lines<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its CRLF, `None` when it is not there whole.
    fn next_line(&mut self) -> Result<Option<&'a str>, String> {
        let rest = &self.input[self.at..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else { return Ok(None) };
        let shown = || rest[..end].escape_ascii().to_string();
        let line = rest[..end].strip_suffix(b"\r");
        let line = line.ok_or_else(|| format!("a line that ends in LF alone: {}", shown()))?;
        // The server has no reason to send anything but visible ASCII, blanks and tabs.
        if !line.iter().all(|&b| b == b'\t' || (b' '..=b'~').contains(&b)) {
            return Err(format!("a line with octets that do not belong there: {}", shown()));
        }
        self.at += end + 1;
        Ok(Some(std::str::from_utf8(line).expect("ASCII is UTF-8")))
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4).
fn status_line(line: &str) -> Result<(u16, String), String> {
    let parts = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_once(' '));
    let (code, reason) = parts.ok_or_else(|| format!("bad status line: {line}"))?;
    let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let status = code.parse().ok().filter(|status| digits && (100..600).contains(status));
    Ok((status.ok_or_else(|| format!("bad status code: {line}"))?, reason.to_owned()))
}

/// Field lines as far as the empty line (RFC 9112 §5).
fn field_lines(lines: &mut Lines<'_>) -> Result<Option<Vec<(String, String)>>, String> {
    let mut fields = Vec::new();
    loop {
        let Some(line) = lines.next_line()? else { return Ok(None) };
        if line.is_empty() {
            return Ok(Some(fields));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| format!("no field line: {line}"))?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("bad field name: {line}"));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

/// `*chunk last-chunk CRLF` (RFC 9112 §7.1).
fn chunks(lines: &mut Lines<'_>) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let Some(line) = lines.next_line()? else { return Ok(None) };
        let hex = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
        let size = usize::from_str_radix(line, 16).ok().filter(|_| hex);
        let size = size.ok_or_else(|| format!("bad chunk size: {line}"))?;
        if size == 0 {
            return match lines.next_line()? {
                None => Ok(None),
                Some("") => Ok(Some(body)),
                Some(trailer) => Err(format!("a trailer behind the last chunk: {trailer}")),
            };
        }
        if body.len().saturating_add(size) > RESPONSE_BYTES_MAX {
            return Err("chunks without end".to_owned());
        }
        let rest = &lines.input[lines.at..];
        // What stands where the CRLF should is looked at as soon as it is there.
        let end = &rest[size.min(rest.len())..];
        if !end.starts_with(b"\r\n") && !b"\r\n".starts_with(end) {
            return Err("a chunk that does not end in CRLF".to_owned());
        }
        let Some(chunk) = rest.get(..size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        lines.at += size + 2;
    }
}

/// An IMF-fixdate, the one form that may be sent (RFC 9110 §5.6.7), and not far from `times`.
fn check_date(date: &str, times: &RangeInclusive<SystemTime>) -> Result<(), String> {
    let time = httpdate::parse_http_date(date).map_err(|_| format!("bad Date: {date}"))?;
    if httpdate::fmt_http_date(time) != date {
        return Err(format!("Date is no IMF-fixdate: {date}"));
    }
    match (*times.start() - DATE_OFF_MAX..=*times.end() + DATE_OFF_MAX).contains(&time) {
        true => Ok(()),
        false => Err(format!("Date is not now: {date}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> String {
        httpdate::fmt_http_date(SystemTime::now())
    }

    /// `text` with LF for CRLF and `DATE` for a good Date line.
    fn wire(text: &str) -> Vec<u8> {
        text.replace("DATE", &format!("Date: {}", now())).replace('\n', "\r\n").into_bytes()
    }

    /// Reads at every split: no prefix may be taken for a whole, and a tail must be left alone.
    fn good(text: &str, to_head: bool) -> Response {
        let input = wire(text);
        for end in 0..input.len() {
            assert_eq!(Response::parse(&input[..end], to_head), Ok(None), "{text} at {end}");
        }
        let with_tail = [&input[..], b"HTTP/1.1 "].concat();
        let (response, taken) = Response::parse(&with_tail, to_head).unwrap().unwrap();
        assert_eq!(taken, input.len(), "{text}");
        response
    }

    fn bad(text: &str, why: &str) {
        let error = Response::parse(&wire(text), false).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }

    #[test]
    fn content_by_length_by_chunks_or_none() {
        let by_length = "HTTP/1.1 200 OK\nDATE\nContent-Type: a/b\nContent-Length: 3\n\nabc";
        assert_eq!(good(by_length, false).body, b"abc");
        let chunked = "HTTP/1.1 200 OK\nDATE\nContent-Type: a/b\nTransfer-Encoding: chunked\n\n\
                       3\nabc\n09\n0\n\n2\n1\n01\nx\n0\n\n";
        assert_eq!(good(chunked, false).body, b"abc0\r\n\r\n2\r\n1x");
        let chunked_head = "HTTP/1.1 200 OK\nDATE\nTransfer-Encoding: chunked\n\n";
        assert_eq!(good(chunked_head, true).body, b"");
        assert_eq!(good(&format!("{chunked_head}0\n\n"), false).body, b"");
        assert_eq!(good("HTTP/1.1 204 No Content\nDATE\n\n", false).body, b"");
        assert_eq!(good("HTTP/1.1 304 Not Modified\nDATE\nContent-Length: 9\n\n", false).body, b"");
        assert_eq!(good("HTTP/1.1 200 OK\nDATE\nContent-Length: 9\n\n", true).body, b"");
        assert_eq!(good("HTTP/1.1 100 Continue\n\n", false).status, 100);
    }

    #[test]
    fn fields_are_found_in_any_case_and_joined() {
        let text = "HTTP/1.1 204 \nDATE\nallow: GET\nAllow:  HEAD \nConnection: a, CLOSE\n\n";
        let response = good(text, false);
        assert_eq!(response.field("ALLOW").as_deref(), Some("GET, HEAD"));
        assert_eq!(response.field("Vary"), None);
        assert!(response.lists("connection", "close"));
    }

    #[test]
    fn framing_that_a_client_could_take_two_ways() {
        bad("HTTP/1.1 200 OK\nDATE\n\n", "without a length");
        bad("HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", "beside");
        bad("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n\n", "more than once");
        bad("HTTP/1.1 200 OK\nContent-Length: +1\n\n", "bad Content-Length");
        bad("HTTP/1.1 204 No Content\nContent-Length: 0\n\n", "has no content");
        bad("HTTP/1.1 204 No Content\nTransfer-Encoding: chunked\n\n", "has no content");
        bad("HTTP/1.1 100 Continue\nTransfer-Encoding: chunked\n\n", "has no content");
        bad("HTTP/1.1 304 Not Modified\nTransfer-Encoding: chunked\n\n", "a 304 with");
        bad("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n", "unexpected");
        bad("HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked\n\n", "unexpected");
        bad("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: x\n\n", "than once");
    }

    #[test]
    fn chunks_that_a_client_could_take_two_ways() {
        for (chunks, why) in [
            ("\n", "bad chunk size"),
            ("0x1\n", "bad chunk size"),
            ("+1\n", "bad chunk size"),
            (" 1\n", "bad chunk size"),
            ("1 \n", "bad chunk size"),
            ("1;x=y\n", "bad chunk size"),
            ("10000000000000000\n", "bad chunk size"),
            ("ffffffffffffffff\n", "without end"),
            ("4000001\n", "without end"),
            ("1\nabc", "does not end"),
            ("3\nab\n", "does not end"),
            ("0\nT: 1\n\n", "a trailer"),
            ("0\nHTTP/1.1 200 OK\n", "a trailer"),
        ] {
            bad(&format!("HTTP/1.1 200 OK\nDATE\nTransfer-Encoding: chunked\n\n{chunks}"), why);
        }
        let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\n";
        assert!(Response::parse(cut, false).unwrap_err().contains("LF alone"));
    }

    #[test]
    fn syntax_and_fields_that_are_owed() {
        bad("HTTP/1.0 200 OK\n", "bad status line");
        bad("HTTP/1.1 200\n", "bad status line");
        bad("HTTP/1.1 2000 OK\n", "bad status code");
        bad("HTTP/1.1 200 OK\nA b: c\n", "bad field name");
        bad("HTTP/1.1 200 OK\nA: \u{1}\n", "octets that do not belong");
        bad("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "without Date");
        bad("HTTP/1.1 405 No\nDATE\nContent-Length: 0\n\n", "without Allow");
        bad("HTTP/1.1 200 OK\nDATE\nContent-Length: 1\n\na", "without Content-Type");
        bad(
            "HTTP/1.1 200 OK\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nContent-Length: 0\n\n",
            "not now",
        );
        assert!(Response::parse(b"HTTP/1.1 200 OK\n", false).unwrap_err().contains("LF alone"));
        // What takes long to come was dated when it began.
        let (now, wire) = (SystemTime::now(), wire("HTTP/1.1 200 OK\nDATE\nContent-Length: 0\n\n"));
        let begun = |ago: u64| now - Duration::from_secs(ago);
        assert!(Response::parse_begun(&wire, false, begun(5)).is_ok());
        assert!(Response::parse_begun(&wire, false, begun(60)).unwrap_err().contains("not now"));
        let between = |asked, came| {
            Response::parse_between(&wire, false, &(begun(asked)..=now + Duration::from_secs(came)))
        };
        assert!(between(60, 60).is_ok());
        assert!(between(60, 0).is_ok() && between(0, 60).is_ok());
        let early = now - Duration::from_secs(120)..=now - Duration::from_secs(60);
        assert!(Response::parse_between(&wire, false, &early).unwrap_err().contains("not now"));
    }
}
