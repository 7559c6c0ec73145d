//! The head of a request, taken apart without a copy: strict where proxies could disagree.

use crate::fields::FieldLine;
use crate::framing::{self, Expectation};
use crate::scan::Scan;
use crate::{Fields, Framing, Limits, Method, Reject, Target};
use crate::{grammar, host};

/// The version of a request: HTTP/1.0, or HTTP/1.1 and any later minor version, which is treated
/// as the highest one known (RFC 9110 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A request's head: a borrowed view of the input, known to be well-formed.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    /// The request line as it came, without its line end.
    pub line: &'a [u8],
    /// The method.
    pub method: Method<'a>,
    /// The target, neither decoded nor normalised.
    pub target: Target<'a>,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields<'a>,
    /// How the content is delimited.
    pub framing: Framing,
    /// Whether the client wants the connection kept after the response (RFC 9112 §9.3).
    pub persistent: bool,
    /// What the client expects before it sends the content.
    pub expectation: Expectation,
}

impl<'a> RequestHead<'a> {
    /// Parses one complete head, from the request line to the empty line at its end.
    ///
    /// # Errors The first rule broken, in the order of the octets; [`Reject::IncompleteHead`]
    /// when `input` is not exactly one head.
    pub fn parse(input: &'a [u8], limits: &Limits) -> Result<RequestHead<'a>, Reject> {
        match Scan::default().advance(input, limits)? {
            Some(extent) if extent.end == input.len() => {
                RequestHead::parse_scanned(&input[extent.start..], limits)
            }
            _ => Err(Reject::IncompleteHead),
        }
    }

    /// Parses a head whose extent is known: every line ends in CRLF, the last one is empty, and all
    /// sizes are within their limits.
    pub(crate) fn parse_scanned(
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<RequestHead<'a>, Reject> {
        let line_end = memchr::memchr(b'\n', input).ok_or(Reject::IncompleteHead)?;
        let line = input[..line_end].strip_suffix(b"\r").ok_or(Reject::BareLineFeed)?;
        let (method, target, version) = parse_request_line(line)?;
        let fields = parse_fields(input, line_end + 1, limits)?;
        if let Target::Absolute { scheme, .. } = target
            && scheme.eq_ignore_ascii_case("https")
        {
            return Err(Reject::HttpsTarget);
        }
        check_host(version, &fields)?;
        let framing = Framing::of(version, &fields)?;
        Ok(RequestHead {
            line,
            method,
            target,
            version,
            framing,
            persistent: framing::is_persistent(version, &fields),
            expectation: Expectation::of(version, framing, &fields),
            fields,
        })
    }

    /// The whole head as it came, from the request line to the empty line.
    pub fn octets(&self) -> &'a [u8] {
        self.fields.head()
    }

    /// Host and perhaps port that the request is for: those of an absolute target, else those of
    /// Host (RFC 9112 §3.2.2). `None` for HTTP/1.0 without Host.
    pub fn authority(&self) -> Option<&'a str> {
        match self.target {
            Target::Absolute { authority, .. } | Target::Authority(authority) => Some(authority),
            // Only ASCII is let through as a Host.
            _ => self.fields.first("host").and_then(|host| std::str::from_utf8(host).ok()),
        }
    }
}

/// `request-line = method SP request-target SP HTTP-version`, with single spaces: splitting at any
/// white space (RFC 9112 §3 permits it) is how two parsers come to see two targets.
fn parse_request_line(line: &[u8]) -> Result<(Method<'_>, Target<'_>, Version), Reject> {
    if line.contains(&b'\r') {
        return Err(Reject::BareCarriageReturn);
    }
    let mut words = line.split(|&b| b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Reject::BadRequestLine);
    };
    if !grammar::is_token(method) {
        return Err(Reject::BadMethod);
    }
    let method = std::str::from_utf8(method).map_err(|_| Reject::BadMethod)?;
    let method = Method::from_token(method);
    // Before the target: that of another version may look like nothing we know.
    let version = parse_version(version)?;
    let target = std::str::from_utf8(target).map_err(|_| Reject::BadTarget)?;
    let target = Target::parse(method, target).ok_or(Reject::BadTarget)?;
    Ok((method, target, version))
}

/// `HTTP-version = HTTP-name "/" DIGIT "." DIGIT`, case-sensitive (RFC 9112 §2.3).
fn parse_version(word: &[u8]) -> Result<Version, Reject> {
    match word {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            // RFC 9110 §6.2: a higher minor version is treated as the highest known.
            if *major == b'1' { Ok(Version::Http11) } else { Err(Reject::UnsupportedVersion) }
        }
        _ => Err(Reject::BadVersion),
    }
}

/// `*( field-line CRLF ) CRLF`, from `at` to the end of `input`.
fn parse_fields<'a>(input: &'a [u8], mut at: usize, limits: &Limits) -> Result<Fields<'a>, Reject> {
    let mut fields = Fields::new(input);
    while !input[at..].starts_with(b"\r\n") {
        let end = memchr::memchr(b'\n', &input[at..]).ok_or(Reject::IncompleteHead)?;
        let line = input[at..at + end].strip_suffix(b"\r").ok_or(Reject::BareLineFeed)?;
        let mut field = parse_field_line(line)?;
        let offset = u16::try_from(at).map_err(|_| Reject::HeadTooLarge)?;
        field.name_start += offset;
        field.value_start += offset;
        if fields.len() == limits.field_lines_max() {
            return Err(Reject::TooManyFields);
        }
        fields.push(field);
        at += end + 1;
    }
    Ok(fields)
}

/// `field-line = field-name ":" OWS field-value OWS` (RFC 9112 §5). Offsets are within the line.
fn parse_field_line(line: &[u8]) -> Result<FieldLine, Reject> {
    let name_len = line.iter().position(|&b| !grammar::is_tchar(b)).unwrap_or(line.len());
    match line.get(name_len) {
        // §5.2: a request with a folded line is refused; so is one with a first line
        // that begins with white space (§2.2).
        Some(&b) if name_len == 0 && grammar::is_ows(b) => return Err(Reject::ObsoleteFolding),
        Some(b':') if name_len > 0 => {}
        Some(&b) if grammar::is_ows(b) => return Err(Reject::SpaceBeforeColon),
        Some(b'\r') => return Err(Reject::BareCarriageReturn),
        _ => return Err(Reject::BadFieldName),
    }
    if [&b"content_length"[..], b"transfer_encoding"]
        .iter()
        .any(|name| line[..name_len].eq_ignore_ascii_case(name))
    {
        return Err(Reject::UnderscoredFraming);
    }
    let rest = &line[name_len + 1..];
    let value = grammar::trim_ows(rest);
    if let Some(&bad) = value.iter().find(|&&b| !grammar::is_field_octet(b)) {
        let bare = bad == b'\r';
        return Err(if bare { Reject::BareCarriageReturn } else { Reject::BadFieldValue });
    }
    let leading = rest.iter().take_while(|&&b| grammar::is_ows(b)).count();
    let short = |n: usize| u16::try_from(n).map_err(|_| Reject::HeadTooLarge);
    Ok(FieldLine {
        name_start: 0,
        name_len: short(name_len)?,
        value_start: short(if value.is_empty() { name_len + 1 } else { name_len + 1 + leading })?,
        value_len: short(value.len())?,
    })
}

/// RFC 9112 §3.2: 400 for HTTP/1.1 without Host, for more than one Host line, for an invalid one.
fn check_host(version: Version, fields: &Fields<'_>) -> Result<(), Reject> {
    let mut hosts = fields.all("host");
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Reject::RepeatedHost),
        (None, None) if version == Version::Http11 => Err(Reject::MissingHost),
        (Some(value), None) if !host::is_valid(value) => Err(Reject::BadHost),
        _ => Ok(()),
    }
}
