//! Lines of requests whose heads could be read: referer, user agent, host.

use http_proto::server::Exchange;
use http_proto::{Limits, RequestHead};

use super::super::date::DateMemo;
use super::super::{FIELD_LOGGED_MAX, LogFormat};
use super::answered;

/// The line of a request with `head`, of which 1024 octets of content were sent.
fn line(format: LogFormat, head: &[u8]) -> String {
    let head = RequestHead::parse(head, &Limits::default()).expect("a well-formed head");
    let exchange = Exchange { head: Some(&head), sent: 1024, ..answered(head.line) };
    let mut out = Vec::new();
    format.append(&exchange, None, &mut DateMemo::default(), &mut out);
    String::from_utf8(out).expect("a log line is ASCII")
}

const BROWSER: &[u8] = b"GET /a?b=%22 HTTP/1.1\r\nHOST: a:80\r\nReferer: http://h/\"\\\r\n\
    User-Agent: caf\xc3\xa9\t\xff\r\nReferer: second\r\n\r\n";

#[test]
fn fields_of_a_head() {
    for (format, expected) in [
        (
            LogFormat::Combined,
            concat!(
                r#"192.0.2.7 - - [22/Nov/2026:18:13:46 +0000] "GET /a?b=%22 HTTP/1.1" 200 1024 "#,
                r#""http://h/\x22\x5C" "caf\xC3\xA9\x09\xFF""#,
            ),
        ),
        (
            LogFormat::Common,
            r#"192.0.2.7 - - [22/Nov/2026:18:13:46 +0000] "GET /a?b=%22 HTTP/1.1" 200 1024"#,
        ),
        (
            LogFormat::Json,
            concat!(
                r#"{"time":"2026-11-22T18:13:46.789Z","addr":"192.0.2.7","port":50123,"#,
                r#""user":null,"method":"GET","uri":"/a?b=%22","version":"HTTP/1.1","status":200,"#,
                r#""bytes":1024,"duration_us":1234,"referer":"http://h/\"\\x5C","#,
                r#""user_agent":"caf\u00E9\u0009\\xFF","host":"a:80","reason":null,"line":null}"#,
            ),
        ),
        (
            LogFormat::Plain,
            "2026-11-22 18:13:46 Connected to 192.0.2.7 and page /a?b=%22 requested - 200",
        ),
    ] {
        assert_eq!(line(format, BROWSER), format!("{expected}\n"));
    }
}

#[test]
fn what_a_head_may_lack() {
    for (head, as_combined, as_json) in [
        (
            &b"GET / HTTP/1.0\r\n\r\n"[..],
            r#""GET / HTTP/1.0" 200 1024 "-" "-""#,
            r#""referer":null,"user_agent":null,"host":null,"#,
        ),
        (
            b"GET / HTTP/1.1\r\nHost:\r\nReferer:\r\nUser-Agent: -\r\n\r\n",
            r#""GET / HTTP/1.1" 200 1024 "" "-""#,
            r#""referer":"","user_agent":"-","host":"","#,
        ),
    ] {
        let combined = line(LogFormat::Combined, head);
        assert!(combined.ends_with(&format!("{as_combined}\n")), "{combined}");
        let json = line(LogFormat::Json, head);
        assert!(json.contains(as_json), "{json}");
    }
}

#[test]
fn a_long_field_is_cut() {
    let agent = "x".repeat(FIELD_LOGGED_MAX);
    for (more, mark) in [("", ""), ("y", r"\...")] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}{more}\r\n\r\n");
        let combined = line(LogFormat::Combined, head.as_bytes());
        assert!(combined.ends_with(&format!("\"-\" \"{agent}{mark}\"\n")), "{combined}");
    }
}
