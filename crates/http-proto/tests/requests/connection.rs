//! What follows a request: another one, or nothing (RFC 9112 §9.3, §9.6), and what a client
//! expects.

use http_proto::{Connection, Event, Limits};

use crate::check::{check, replay};

#[test]
fn persistence_is_by_version_and_connection_options() {
    for (version, options, expected) in [
        ("1.1", "", "keep"),
        ("1.1", "close", "close"),
        ("1.1", "CLOSE", "close"),
        ("1.1", "keep-alive", "keep"),
        ("1.1", "keep-alive, close", "close"),
        ("1.1", "close, keep-alive", "close"),
        ("1.1", "upgrade,\tclose", "close"),
        ("1.1", ",,close,", "close"),
        ("1.1", "x\r\nConnection: close", "close"),
        ("1.1", "closed", "keep"),
        ("1.1", "\"close\"", "keep"),
        ("1.2", "", "keep"),
        ("1.0", "", "close"),
        ("1.0", "keep-alive", "keep"),
        ("1.0", "Keep-Alive", "keep"),
        ("1.0", "x, keep-alive", "keep"),
        ("1.0", "keep-alive, close", "close"),
        ("1.0", "keep-alive\r\nConnection: close", "close"),
        ("1.0", "keep_alive", "close"),
    ] {
        let shown = if version == "1.0" { "1.0" } else { "1.1" };
        check(
            format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {options}\r\n\r\n"),
            &format!("GET / HTTP/{shown} {expected} | end"),
        );
    }
    // Options of another field are not options of the connection.
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\nKeep-Alive: max=0\r\n\r\n",
        "GET / HTTP/1.1 keep | end",
    );
}

#[test]
fn nothing_is_read_after_close() {
    let next = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    for (first, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1 close | end"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0 close | end"),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            "PUT / HTTP/1.1 close length 2 | \"hi\" | end",
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
             \r\n0\r\n\r\n",
            "PUT / HTTP/1.1 close chunked | end",
        ),
    ] {
        check(first, expected);
        let both = format!("{first}{next}");
        assert_eq!(replay(&Limits::default(), &[both.as_bytes()]), expected);
    }
}

#[test]
fn requests_come_one_after_the_other() {
    let get = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    check(get.repeat(3), &["GET /b HTTP/1.1 keep | end"; 3].join(" | "));
    check(
        format!("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n{get}"),
        "GET /a HTTP/1.0 keep | end | GET /b HTTP/1.1 keep | end",
    );
    check(
        format!("{get}GET /c HTTP/1.1\r\n\r\n{get}"),
        "GET /b HTTP/1.1 keep | end | reject missing-host 400",
    );
    check(format!("{get}GET /c"), "GET /b HTTP/1.1 keep | end | more");
}

#[test]
fn expectations() {
    let put = |version: &str, fields: &str, expected: &str| {
        let head = format!("PUT / HTTP/{version}\r\nHost: a\r\n{fields}\r\n\r\n");
        check(format!("{head}hello"), &format!("{expected} | \"hello\" | end"));
    };
    let five = "Content-Length: 5";
    let expecting = "PUT / HTTP/1.1 keep length 5 expect";
    put("1.1", &format!("{five}\r\nExpect: 100-continue"), expecting);
    put("1.1", &format!("expect: 100-CONTINUE\r\n{five}"), expecting);
    put("1.1", &format!("{five}\r\nExpect: ,100-continue,100-continue"), expecting);
    put("1.1", &format!("{five}\r\nExpect:"), "PUT / HTTP/1.1 keep length 5");
    for unknown in [
        "x",
        "100-continue, x",
        "x, 100-continue",
        "100-continue;a=b",
        "100",
        "200-ok",
        "\"100-continue\"",
        "x=\"100-continue\"",
        "100-continue\r\nExpect: x",
    ] {
        let expected = "PUT / HTTP/1.1 keep length 5 expect-unknown";
        put("1.1", &format!("{five}\r\nExpect: {unknown}"), expected);
    }
    // RFC 9110 §10.1.1: ignored in HTTP/1.0, where nobody understands an interim response.
    put("1.0", &format!("{five}\r\nExpect: 100-continue"), "PUT / HTTP/1.0 close length 5");
    put("1.0", &format!("{five}\r\nExpect: x"), "PUT / HTTP/1.0 close length 5");
    // Without content there is nothing to continue.
    let get = |fields: &str, expected: &str| {
        check(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), expected);
    };
    get("Expect: 100-continue", "GET / HTTP/1.1 keep | end");
    get("Expect: 100-continue\r\nContent-Length: 0", "GET / HTTP/1.1 keep | end");
    get("Expect: x", "GET / HTTP/1.1 keep expect-unknown | end");
}

#[test]
fn who_asks_for_nothing_more_gets_nothing_more() {
    let limits = Limits::default();
    let put = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let mut connection = Connection::new();
    let (consumed, event) = connection.next(put, &limits).expect("a head that is fine");
    assert!(matches!(event, Event::Head(_)));
    connection.close();
    assert!(matches!(connection.next(&put[consumed..], &limits), Ok((0, Event::Closed))));
    assert!(matches!(connection.next(put, &limits), Ok((0, Event::Closed))));
}
