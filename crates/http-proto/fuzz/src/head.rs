//! Heads: the parser and the incremental reader agree, and what is accepted holds only sense.

use http_proto::{Connection, Event, Expectation, Framing, Limits, Reject, RequestHead, Version};

use super::{limits, play, target};

/// `data` is what a client sent first, perhaps with more behind it.
pub fn check(data: &[u8]) {
    for limits in limits::sets() {
        check_with(data, &limits);
    }
}

fn check_with(data: &[u8], limits: &Limits) {
    let whole = first(data, [], limits);
    let octets = first(data, 1..data.len(), limits);
    assert_eq!(end_of(&whole), end_of(&octets), "at once, and octet by octet");

    match (&whole, RequestHead::parse(data, limits)) {
        (Ok(Some((head, end))), parsed) => {
            let alone = RequestHead::parse(&data[..*end], limits).expect("accepted, so it parses");
            assert!(play::same_head(head, &alone), "{head:#?}\n{alone:#?}");
            assert_eq!(parsed.is_ok(), *end == data.len(), "exactly one head parses");
            check_sense(&data[..*end], head, limits);
        }
        (Ok(None), parsed) => assert_eq!(parsed.err(), Some(Reject::IncompleteHead)),
        // Known from the head, but only the connection looks at it.
        (Err(Reject::ContentTooLarge), Ok(head)) => {
            assert!(matches!(head.framing, Framing::Length(n) if n > limits.content_bytes));
        }
        (Err(reject), Err(parsed)) => {
            // With octets behind it, `data` is not exactly one head, whatever is wrong inside.
            assert!([*reject, Reject::IncompleteHead].contains(&parsed), "{reject:?}, {parsed:?}");
        }
        (Err(reject), Ok(head)) => panic!("{reject:?}, {head:?}"),
    }
}

/// What comes of the first head: the head and where it ends, `None` when it is not complete.
type First<'a> = Result<Option<(RequestHead<'a>, usize)>, Reject>;

fn first<'a>(data: &'a [u8], cuts: impl IntoIterator<Item = usize>, limits: &Limits) -> First<'a> {
    let mut connection = Connection::new();
    for shown in cuts.into_iter().chain([data.len()]) {
        match connection.next(&data[..shown], limits)? {
            (end, Event::Head(head)) => return Ok(Some((head, end))),
            (0, Event::NeedMore) => {}
            other => panic!("before the first head is complete: {other:?}"),
        }
    }
    Ok(None)
}

fn end_of(first: &First<'_>) -> Result<Option<usize>, Reject> {
    match first {
        Ok(found) => Ok(found.as_ref().map(|(_, end)| *end)),
        Err(reject) => Err(*reject),
    }
}

/// What every accepted head has, however it came about.
fn check_sense(octets: &[u8], head: &RequestHead<'_>, limits: &Limits) {
    let start = if octets.starts_with(b"\r\n") { 2 } else { 0 };
    assert_eq!(head.octets(), &octets[start..]);
    assert!(head.octets().len() <= usize::from(limits.head_bytes));
    assert!(head.line.len() <= usize::from(limits.request_line_bytes));
    assert!(head.fields.len() <= usize::from(limits.field_lines));
    assert_eq!(head.fields.len(), head.fields.iter().count());

    assert!(head.line.starts_with(head.method.as_str().as_bytes()));
    for (name, value) in head.fields.iter() {
        assert!(!name.is_empty() && name.bytes().all(is_tchar), "{name:?}");
        assert!(!value.iter().any(|&b| b != b'\t' && b.is_ascii_control()), "{value:?}");
        let is_blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
        assert!(!is_blank(value.first()) && !is_blank(value.last()), "{value:?}");
        let framing_to_some = ["content_length", "transfer_encoding"];
        assert!(!framing_to_some.iter().any(|each| name.eq_ignore_ascii_case(each)), "{name:?}");
        check_lookup(head, name);
    }
    assert_eq!(head.framing, framing(head), "{head:#?}");
    assert_eq!(head.persistent, is_persistent(head), "{head:#?}");
    assert_eq!(head.expectation, expectation(head), "{head:#?}");
    check_host(head);
    check_rewritten(head);
}

/// `tchar` as RFC 9110 §5.6.2 spells it.
pub(crate) fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A field is found under its name in any case, and its lines are those of the list.
fn check_lookup(head: &RequestHead<'_>, name: &str) {
    let fields = &head.fields;
    for name in [name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
        let lines = values(head, &name);
        assert!(fields.all(&name).eq(lines.iter().copied()));
        assert_eq!(fields.first(&name), lines.first().copied());
        assert_eq!(fields.single(&name), (lines.len() == 1).then(|| lines[0]));
        for element in fields.elements(&name) {
            assert!(!element.is_empty() && element == trim(element), "{element:?}");
        }
    }
}

/// The values of the lines called `name`.
fn values<'a>(head: &RequestHead<'a>, name: &str) -> Vec<&'a [u8]> {
    let called = head.fields.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name));
    called.map(|(_, value)| value).collect()
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_not_blank = |b: &u8| !matches!(b, b' ' | b'\t');
    let Some(start) = bytes.iter().position(is_not_blank) else { return b"" };
    let end = bytes.iter().rposition(is_not_blank).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The elements of a list in which nothing is quoted, in lower case.
fn elements(head: &RequestHead<'_>, name: &str) -> Vec<Vec<u8>> {
    let joined = values(head, name).join(&b","[..]);
    let elements = joined.split(|&b| b == b',').map(|each| trim(each).to_ascii_lowercase());
    elements.filter(|each| !each.is_empty()).collect()
}

/// The framing of a head that is accepted: with every doubt refused, little is left to say.
fn framing(head: &RequestHead<'_>) -> Framing {
    if !values(head, "transfer-encoding").is_empty() {
        assert_eq!(head.version, Version::Http11);
        assert_eq!(values(head, "content-length").len(), 0, "a length next to a coding");
        assert_eq!(elements(head, "transfer-encoding"), [b"chunked"]);
        return Framing::Chunked;
    }
    let lengths: Vec<u64> = values(head, "content-length")
        .iter()
        .flat_map(|value| value.split(|&b| b == b','))
        .map(|element| {
            let element = std::str::from_utf8(trim(element)).expect("digits are text");
            assert!(element.bytes().all(|b| b.is_ascii_digit()), "{element:?}");
            element.parse().expect("a number that fits")
        })
        .collect();
    assert!(lengths.windows(2).all(|two| two[0] == two[1]), "{lengths:?}");
    match lengths.first() {
        None | Some(0) => Framing::Empty,
        Some(&length) => Framing::Length(length),
    }
}

fn is_persistent(head: &RequestHead<'_>) -> bool {
    let options = elements(head, "connection");
    let has = |option: &[u8]| options.iter().any(|each| each == option);
    // A quoted string can hold a comma, but is no connection option.
    if values(head, "connection").iter().any(|value| value.contains(&b'"')) {
        return head.persistent;
    }
    !has(b"close") && (head.version == Version::Http11 || has(b"keep-alive"))
}

fn expectation(head: &RequestHead<'_>) -> Expectation {
    let expected = elements(head, "expect");
    match (head.version, head.framing) {
        (Version::Http10, _) => Expectation::None,
        _ if expected.iter().any(|each| each != b"100-continue") => Expectation::Unknown,
        (_, Framing::Empty) => Expectation::None,
        _ if expected.is_empty() => Expectation::None,
        _ => Expectation::Continue,
    }
}

/// RFC 9112 §3.2: one Host in HTTP/1.1, and an authority that an absolute target overrules.
fn check_host(head: &RequestHead<'_>) {
    let hosts = values(head, "host");
    assert!(hosts.len() == 1 || hosts.is_empty() && head.version == Version::Http10, "{hosts:?}");
    for host in hosts.iter().filter(|host| !host.is_empty()) {
        let text = std::str::from_utf8(host).expect("a host is text");
        assert!(target::host_and_port(text).is_some(), "{text:?}");
    }
    if !matches!(
        head.target,
        http_proto::Target::Absolute { .. } | http_proto::Target::Authority(_)
    ) {
        assert_eq!(head.authority().map(str::as_bytes), hosts.first().copied());
    }
}

/// Written again in the plainest way, the head means the same; every octet of it counted.
fn check_rewritten(head: &RequestHead<'_>) {
    let mut plain = [head.line, b"\r\n"].concat();
    for (name, value) in head.fields.iter() {
        plain.extend_from_slice(&[name.as_bytes(), b":", value, b"\r\n"].concat());
    }
    plain.extend_from_slice(b"\r\n");
    let limits = Limits {
        request_line_bytes: u16::MAX,
        head_bytes: u16::MAX,
        field_lines: u8::MAX,
        content_bytes: u64::MAX,
    };
    let again = RequestHead::parse(&plain, &limits).expect("a head written plainly parses");
    assert!(play::same_meaning(head, &again), "{head:#?}\n{again:#?}");
}
