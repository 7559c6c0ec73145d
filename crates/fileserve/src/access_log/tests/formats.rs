//! Exact lines, and lines that clients try to forge.

use http_proto::Status;
use http_proto::server::Exchange;

use super::super::date::DateMemo;
use super::super::{FIELD_LOGGED_MAX, LINE_LOGGED_MAX, LogFormat};
use super::{answered, refused};

fn line(format: LogFormat, exchange: &Exchange<'_>) -> String {
    line_of(format, exchange, None)
}

fn line_of(format: LogFormat, exchange: &Exchange<'_>, user: Option<&str>) -> String {
    let mut out = Vec::new();
    format.append(exchange, user, &mut DateMemo::default(), &mut out);
    String::from_utf8(out).expect("a log line is ASCII")
}

#[test]
fn a_request_line_that_was_answered() {
    let exchange = Exchange { sent: 23, ..answered(b"GET /index.html?a=%20 HTTP/1.1") };
    for (format, expected) in [
        (
            LogFormat::Combined,
            concat!(
                r#"192.0.2.7 - - [22/Nov/2026:18:13:46 +0000] "#,
                r#""GET /index.html?a=%20 HTTP/1.1" 200 23 "-" "-""#,
            ),
        ),
        (
            LogFormat::Common,
            r#"192.0.2.7 - - [22/Nov/2026:18:13:46 +0000] "GET /index.html?a=%20 HTTP/1.1" 200 23"#,
        ),
        (
            LogFormat::Plain,
            "2026-11-22 18:13:46 Connected to 192.0.2.7 and page /index.html?a=%20 requested - 200",
        ),
    ] {
        assert_eq!(line(format, &exchange), format!("{expected}\n"));
    }
}

#[test]
fn a_refusal_and_its_reason() {
    let exchange = refused(b"GET /a", Status::BAD_REQUEST, "bad-version");
    for (format, expected) in [
        (
            LogFormat::Combined,
            r#"192.0.2.7 - - [22/Nov/2026:18:13:46 +0000] "GET /a" 400 - "-" "-""#,
        ),
        (LogFormat::Common, r#"192.0.2.7 - - [22/Nov/2026:18:13:46 +0000] "GET /a" 400 -"#),
        (
            LogFormat::Json,
            concat!(
                r#"{"time":"2026-11-22T18:13:46.789Z","addr":"192.0.2.7","port":50123,"#,
                r#""user":null,"method":null,"uri":null,"version":null,"status":400,"bytes":0,"#,
                r#""duration_us":1234,"referer":null,"user_agent":null,"host":null,"#,
                r#""reason":"bad-version","line":"GET /a"}"#,
            ),
        ),
        (
            LogFormat::Plain,
            "2026-11-22 18:13:46 Connected to 192.0.2.7 and page /a requested - 400 bad-version",
        ),
    ] {
        assert_eq!(line(format, &exchange), format!("{expected}\n"));
    }
}

#[test]
fn no_request_line_came_at_all() {
    let exchange = refused(b"", Status::REQUEST_TIMEOUT, "head-timeout");
    assert!(line(LogFormat::Common, &exchange).ends_with("] \"-\" 408 -\n"));
    assert!(line(LogFormat::Plain, &exchange).ends_with(" page - requested - 408 head-timeout\n"));
    let json = line(LogFormat::Json, &exchange);
    assert!(json.ends_with("\"reason\":\"head-timeout\",\"line\":null}\n"), "{json}");
}

/// What clients send to write lines or fields of their own, or to talk to a terminal.
const FORGERIES: [&[u8]; 12] = [
    b"GET /\r\n192.0.2.1 - - [x] \"GET / HTTP/1.1\" 200 1",
    b"GET /\r HTTP/1.1",
    b"GET /\n HTTP/1.1",
    b"GET /\" 200 5 \"x HTTP/1.1",
    b"GET /\\ HTTP/1.1",
    b"GET /\\\" HTTP/1.1\\",
    b"GET /\x1b[2J HTTP/1.1",
    b"GET /\x7f\x00\x9b HTTP/1.1",
    b"GET /\xff\xfe\xc3 HTTP/1.1",
    b"GET /\xc2\x85\xe2\x80\xa8 HTTP/1.1",
    b"GET /\"},{\"status\":200 HTTP/1.1",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

#[test]
fn nothing_a_client_sends_forges_a_line_or_a_field() {
    for sent in FORGERIES {
        let exchange = refused(sent, Status::BAD_REQUEST, "bad-octet");
        for format in LogFormat::ALL {
            let line = line(format, &exchange);
            let body = line.strip_suffix('\n').expect("a line has an end");
            assert!(body.bytes().all(|b| matches!(b, b' '..=b'~')), "{body}");
            match format {
                LogFormat::Combined => assert_eq!(body.matches('"').count(), 6, "{body}"),
                LogFormat::Common => assert_eq!(body.matches('"').count(), 2, "{body}"),
                LogFormat::Plain => assert_eq!(body.split(' ').count(), 12, "{body}"),
                LogFormat::Json => assert_eq!(check_json(body), sent, "{body}"),
            }
        }
    }
}

#[test]
fn forgeries_as_they_are_written() {
    for (sent, expected) in [
        (&b"GET /\r\nx"[..], r#""GET /\x0D\x0Ax""#),
        (b"GET /\" 200", r#""GET /\x22 200""#),
        (b"GET /\\x22", r#""GET /\x5Cx22""#),
        (b"\x1b\x7f\xff", r#""\x1B\x7F\xFF""#),
    ] {
        let line = line(LogFormat::Common, &refused(sent, Status::BAD_REQUEST, "bad-octet"));
        assert!(line.contains(expected), "{line}");
    }
}

#[test]
fn a_long_request_line_is_cut() {
    let long = [b"GET /".as_slice(), &[0xff; 3 * LINE_LOGGED_MAX]].concat();
    let exchange = refused(&long, Status::URI_TOO_LONG, "line-too-long");
    for format in LogFormat::ALL {
        let line = line(format, &exchange);
        assert!(line.contains(r"\xFF\..") || line.contains(r"\\xFF\\.."), "the mark of a cut");
        assert!(line.len() < 6 * LINE_LOGGED_MAX + 4 * FIELD_LOGGED_MAX);
    }
}

#[test]
fn a_user_stands_in_the_third_column() {
    let exchange = answered(b"GET / HTTP/1.1");
    for (user, as_word, as_json) in [
        (None, "-", "null"),
        (Some("alice"), "alice", r#""alice""#),
        (Some("-"), r"\x2D", r#""-""#),
        (Some("a - [1/Jan/2000] \"GET"), r"a\x20-\x20[1/Jan/2000]\x20\x22GET", {
            r#""a - [1/Jan/2000] \"GET""#
        }),
        (Some("J\u{f6}rg\r\n\\"), r"J\xC3\xB6rg\x0D\x0A\x5C", r#""J\u00F6rg\u000D\u000A\\x5C""#),
    ] {
        let start = format!("192.0.2.7 - {as_word} [22/Nov/2026:18:13:46 +0000] \"GET / ");
        for format in [LogFormat::Combined, LogFormat::Common] {
            let line = line_of(format, &exchange, user);
            assert!(line.starts_with(&start), "{line}");
        }
        let json = line_of(LogFormat::Json, &exchange, user);
        assert!(json.contains(&format!(r#","user":{as_json},"method":null,"#)), "{json}");
        let plain = line_of(LogFormat::Plain, &exchange, user);
        assert_eq!(plain, line(LogFormat::Plain, &exchange), "nowhere");
    }
}

/// Checks that `text` is one JSON object of strings, digits and nulls, and returns the octets
/// that its member `line` stands for.
fn check_json(text: &str) -> Vec<u8> {
    let mut rest = text.strip_prefix('{').expect("an object");
    let mut line = None;
    loop {
        let (name, after) = json_string(rest);
        rest = after.strip_prefix(':').expect("a colon");
        if rest.starts_with('"') {
            let (value, after) = json_string(rest);
            line = (name == "line").then_some(value).or(line);
            rest = after;
        } else {
            let end = rest.find([',', '}']).expect("an end");
            let (value, after) = rest.split_at(end);
            assert!(value == "null" || value.parse::<u64>().is_ok(), "{value}");
            rest = after;
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => break,
        }
    }
    assert_eq!(rest, "}");
    octets(&line.expect("a line"))
}

/// The value of the JSON string that `text` starts with, and what follows it.
fn json_string(text: &str) -> (String, &str) {
    let mut rest = text.strip_prefix('"').expect("a string");
    let mut units = Vec::new();
    loop {
        let first = rest.chars().next().expect("an end of the string");
        assert!(first >= ' ', "a control character stands raw");
        rest = &rest[1..];
        match first {
            '"' => break,
            '\\' => {
                let kind = rest.chars().next().expect("an escape");
                rest = &rest[1..];
                match kind {
                    '"' | '\\' => units.push(kind as u16),
                    'u' => {
                        units.push(u16::from_str_radix(&rest[..4], 16).expect("four digits"));
                        rest = &rest[4..];
                    }
                    _ => panic!("no such escape: {kind}"),
                }
            }
            _ => units.push(first as u16),
        }
    }
    (String::from_utf16(&units).expect("no half of a pair"), rest)
}

/// The octets that a logged value stands for: `\xHH` is one.
fn octets(value: &str) -> Vec<u8> {
    let mut parts = value.split("\\x");
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        octets.extend_from_slice(&part.as_bytes()[2..]);
    }
    octets
}
