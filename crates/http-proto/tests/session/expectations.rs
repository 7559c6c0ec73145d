//! `Expect` (RFC 9110 §10.1.1): said when content is wanted, and only then.

use crate::talk::{Talk, check};

const NEXT: &str = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
const NOW: &str = "200 \"now\"";
const NOTED: &str = "GET /now HTTP/1.1 200 3";

fn expecting(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n\r\n")
}

#[test]
fn content_that_is_wanted_is_asked_for() {
    let head = expecting("PUT", "/put", "Content-Length: 5");
    let mut talk = Talk::new();
    talk.say(&head);
    assert_eq!((talk.answers().as_str(), talk.waits()), ("100", "read"));
    talk.say("hello");
    assert_eq!(talk.answers(), "201 \"hello\"");
    assert_eq!(talk.notes(), "PUT /put HTTP/1.1 201 5");
    assert_eq!(talk.waits(), "idle");
    // What is sent does not depend on what has come already.
    check(
        format!("{head}hello{NEXT}"),
        &format!("100 | 201 \"hello\" | {NOW}"),
        &format!("PUT /put HTTP/1.1 201 5 | {NOTED}"),
        "idle",
    );
    let head = expecting("POST", "/put", "Transfer-Encoding: chunked");
    check(
        format!("{head}5\r\nhello\r\n0\r\n\r\n"),
        "100 | 201 \"hello\"",
        "POST /put HTTP/1.1 201 5",
        "idle",
    );
}

/// Content that is read although nobody wants it must be asked for all the same: the client waits.
#[test]
fn content_that_will_be_thrown_away_is_asked_for_too() {
    let head = expecting("GET", "/now", "Content-Length: 5");
    let mut talk = Talk::new();
    talk.say(&head);
    assert_eq!((talk.answers().as_str(), talk.waits()), ("100", "read"));
    check(
        format!("{head}hello{NEXT}"),
        &format!("100 | 200 \"now\" | {NOW}"),
        &format!("{NOTED} | {NOTED}"),
        "idle",
    );
    // Once, also when the handler then asks for content.
    let head = expecting("DELETE", "/put", "Content-Length: 5");
    check(format!("{head}hello"), "100 | 201", "DELETE /put HTTP/1.1 201 0", "idle");
}

/// Whether the client still sends its content nobody can know, so the connection ends.
#[test]
fn an_answer_instead_of_the_content_closes() {
    for (path, reason) in [("/refuse", "refused"), ("/deny", "denied")] {
        let head = expecting("PUT", path, "Content-Length: 5");
        let note = format!("PUT {path} HTTP/1.1 403 {reason} 2");
        check(&head, "403 close \"no\"", &note, "linger");
        check(format!("{head}hello{NEXT}"), "403 close \"no\"", &note, "linger");
    }
    let head = expecting("PUT", "/put", "Content-Length: 1073741825");
    let note = "? PUT /put HTTP/1.1 413 content-too-large page";
    check(head, "413 close page", note, "linger");
    let head = expecting("GET", "/now", "Content-Length: 65537");
    let note = "GET /now HTTP/1.1 413 content-too-large page";
    check(head, "413 close page", note, "linger");
}

#[test]
fn what_nobody_has_defined_fails() {
    let failed = |method: &str| format!("{method} /now HTTP/1.1 417 unknown-expectation");
    let get = "GET /now HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n";
    check(
        format!("{get}{NEXT}"),
        &format!("417 page | {NOW}"),
        &format!("{} page | {NOTED}", failed("GET")),
        "idle",
    );
    check(get.replace("GET", "HEAD"), "417 (page)", &format!("{} 0", failed("HEAD")), "idle");
    // Whether content follows depends on how the client takes it.
    for method in ["PUT", "GET"] {
        check(
            format!(
                "{method} /now HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 5\r\n\r\n\
                 hello{NEXT}"
            ),
            "417 close page",
            &format!("{} page", failed(method)),
            "linger",
        );
    }
}

#[test]
fn where_there_is_nothing_to_continue_nothing_is_said() {
    let note = "GET /now HTTP/1.1 200 3";
    check(expecting("GET", "/now", "X: y"), NOW, note, "idle");
    check(expecting("PUT", "/put", "Content-Length: 0"), "201", "PUT /put HTTP/1.1 201 0", "idle");
    // RFC 9110 §15.2: no interim response to HTTP/1.0.
    check(
        "PUT /put HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        "201 close \"hello\"",
        "PUT /put HTTP/1.0 201 5",
        "close",
    );
}
