//! Conditional requests and ranges on real files (RFC 9110 §13 and §14).

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::{CHANGED, DATE, OPTIONS, Site};

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn site() -> Site {
    let site = Site::new(OPTIONS);
    site.file("ten", "0123456789").file("empty", "").dir("dir");
    site
}

#[test]
fn one_range_is_a_part() {
    let site = site();
    site.check(&[
        ("GET /ten\nRange: bytes=0-0", "206 bytes 0-0/10 \"0\""),
        ("GET /ten\nRange: bytes=2-4", "206 bytes 2-4/10 \"234\""),
        ("GET /ten\nRange: bytes=8-", "206 bytes 8-9/10 \"89\""),
        ("GET /ten\nRange: bytes=8-99", "206 bytes 8-9/10 \"89\""),
        ("GET /ten\nRange: bytes=-3", "206 bytes 7-9/10 \"789\""),
        ("GET /ten\nRange: bytes=-99", "206 bytes 0-9/10 \"0123456789\""),
        ("GET /ten\nRange: bytes=0-99999999999999999999", "206 bytes 0-9/10 \"0123456789\""),
        ("GET /ten\nRange: bytes=10-", "416 bytes */10 range-not-satisfiable"),
        ("GET /ten\nRange: bytes=-0", "416 bytes */10 range-not-satisfiable"),
        // Ignored: overlapping, none, another unit, twice, backwards (RFC 9110 §14.2).
        ("GET /ten\nRange: bytes=0-5,4-5", "200 \"0123456789\""),
        ("GET /ten\nRange: bytes=", "200 \"0123456789\""),
        ("GET /ten\nRange: lines=0-1", "200 \"0123456789\""),
        ("GET /ten\nRange: bytes=0-1\nRange: bytes=2-3", "200 \"0123456789\""),
        ("GET /ten\nRange: bytes=4-2", "200 \"0123456789\""),
        // Of nothing there is no part.
        ("GET /empty\nRange: bytes=0-", "416 bytes */0 range-not-satisfiable"),
        ("GET /empty\nRange: bytes=-1", "200 \"\""),
    ]);
    site.check_full(
        "GET /ten\nRange: bytes=1-2",
        &[
            "206 Partial Content",
            "Content-Type: application/octet-stream",
            &format!("Last-Modified: {DATE}"),
            "ETag: \"a-CHANGED\"",
            "Accept-Ranges: bytes",
            "Content-Range: bytes 1-2/10",
            "",
            "12",
        ],
    );
}

#[test]
fn if_range_guards_a_resumed_download() {
    let site = site();
    let whole = "200 \"0123456789\"";
    let part = "206 bytes 5-9/10 \"56789\"";
    for (condition, expected) in [
        ("\"a-CHANGED\"", part),
        (DATE, part),
        ("W/\"a-CHANGED\"", whole),
        ("\"b\"", whole),
        ("*", whole),
        (BEFORE, whole),
        (AFTER, whole),
        ("nonsense", whole),
    ] {
        let request = format!("GET /ten\nRange: bytes=5-\nIf-Range: {condition}");
        assert_eq!(site.brief(&request), expected, "{condition}");
    }
    // RFC 9110 §15.3.7: who sends If-Range has the other fields already.
    site.check_full(
        "GET /ten\nRange: bytes=8-\nIf-Range: \"a-CHANGED\"",
        &[
            "206 Partial Content",
            "ETag: \"a-CHANGED\"",
            "Accept-Ranges: bytes",
            "Content-Range: bytes 8-9/10",
            "",
            "89",
        ],
    );
    // A whole answer has them all, asked with If-Range or not.
    assert!(site.full("GET /ten\nRange: bytes=8-\nIf-Range: \"b\"").contains("Content-Type"));
    assert!(site.full("GET /ten\nIf-Range: \"a-CHANGED\"").contains("Last-Modified"));
}

/// RFC 9110 §13.2.2: a tag beats a date, If-Match comes before If-None-Match, Range last.
#[test]
fn conditions_go_in_order() {
    let site = site();
    let (same, other) = ("\"a-CHANGED\"", "\"other\"");
    let (ok, failed, not_modified) = ("200 \"0123456789\"", "412 precondition-failed", "304 \"\"");
    for (fields, expected) in [
        (format!("If-Match: {same}"), ok),
        (format!("If-Match: {other}, {same}"), ok),
        (format!("If-Match: W/{same}"), failed),
        (format!("If-Match: {other}"), failed),
        ("If-Match: *".into(), ok),
        (format!("If-None-Match: {same}"), not_modified),
        (format!("If-None-Match: W/{same}"), not_modified),
        (format!("If-None-Match: {other}"), ok),
        ("If-None-Match: *".into(), not_modified),
        (format!("If-Modified-Since: {DATE}"), not_modified),
        (format!("If-Modified-Since: {AFTER}"), not_modified),
        (format!("If-Modified-Since: {BEFORE}"), ok),
        ("If-Modified-Since: yesterday".into(), ok),
        (format!("If-Unmodified-Since: {DATE}"), ok),
        (format!("If-Unmodified-Since: {BEFORE}"), failed),
        (format!("If-Match: {same}\nIf-Unmodified-Since: {BEFORE}"), ok),
        (format!("If-Match: {other}\nIf-None-Match: {same}"), failed),
        (format!("If-Match: {same}\nIf-None-Match: {same}"), not_modified),
        (format!("If-None-Match: {other}\nIf-Modified-Since: {DATE}"), ok),
        (format!("If-None-Match: {same}\nRange: bytes=0-1"), not_modified),
        (format!("If-Match: {other}\nRange: bytes=99-"), failed),
        (format!("If-Match: {same}\nRange: bytes=99-"), "416 bytes */10 range-not-satisfiable"),
    ] {
        assert_eq!(site.brief(&format!("GET /ten\n{fields}")), expected, "GET {fields}");
        if !fields.contains("Range") {
            assert_eq!(site.brief(&format!("HEAD /ten\n{fields}")), expected, "HEAD {fields}");
        }
    }
    // §13.2.1: what is not there is not there, whatever the conditions.
    site.check(&[
        ("GET /none\nIf-Match: *", "404 not-found"),
        ("GET /none\nIf-None-Match: *", "404 not-found"),
    ]);
}

/// RFC 9110 §15.4.5: a 304 has the tag, and no metadata that the client has already.
#[test]
fn what_304_412_and_416_say() {
    let site = site();
    site.check_full(
        "GET /ten\nIf-None-Match: \"a-CHANGED\"",
        &["304 Not Modified", "ETag: \"a-CHANGED\"", ""],
    );
    site.check_full(
        "GET /ten\nIf-Match: \"b\"",
        &[
            "412 Precondition Failed",
            "Content-Type: text/html; charset=utf-8",
            "",
            "<Error 412 Precondition Failed>",
        ],
    );
    site.check_full(
        "GET /ten\nRange: bytes=10-",
        &[
            "416 Range Not Satisfiable",
            "Content-Type: text/html; charset=utf-8",
            "Content-Range: bytes */10",
            "",
            "<Error 416 Range Not Satisfiable>",
        ],
    );
}

/// RFC 9110 §8.8.2.1: a file from the future is dated now, and its tag is still its own.
#[test]
fn a_file_from_the_future_is_not_dated_ahead() {
    let site = site();
    let ahead = SystemTime::now() + Duration::from_secs(86_400);
    support::set_time(&site.path("ten"), ahead);
    let response = site.ask("GET /ten").response;
    let told = support::field(&response, "Last-Modified").unwrap();
    let told = http_proto::HttpDate::parse(told.as_bytes(), SystemTime::now()).unwrap();
    assert!(told <= http_proto::HttpDate::from(SystemTime::now()), "{told:?}");
    let tag = support::field(&response, "ETag").unwrap();
    assert!(tag.starts_with("W/"), "{tag}: it may change again under the same time");
    site.check(&[(&format!("GET /ten\nIf-None-Match: {tag}"), "304 \"\"")]);
}

/// A strong tag is only ever given to a version that no other can share it with, so whoever holds
/// one that fits means this version, however young the file looks.
#[test]
fn a_strong_tag_holds_as_long_as_length_and_time_do() {
    let site = site();
    support::set_time(&site.path("ten"), SystemTime::now() + Duration::from_secs(5));
    let tag = support::field(&site.ask("GET /ten").response, "ETag").unwrap();
    let strong = tag.strip_prefix("W/").expect("a young file's tag is weak");
    site.check(&[
        (&format!("GET /ten\nIf-Match: {strong}"), "200 \"0123456789\""),
        (&format!("GET /ten\nIf-Match: {tag}"), "412 precondition-failed"),
        (&format!("GET /ten\nRange: bytes=9-\nIf-Range: {strong}"), "206 bytes 9-9/10 \"9\""),
        (&format!("GET /ten\nRange: bytes=9-\nIf-Range: {tag}"), "200 \"0123456789\""),
    ]);
}

#[test]
fn a_change_is_seen_by_the_next_request() {
    let site = site();
    let old = support::field(&site.ask("GET /ten").response, "ETag").unwrap();
    site.file("ten", "9876543210");
    support::set_time(&site.path("ten"), UNIX_EPOCH + CHANGED + Duration::from_nanos(1));
    assert_eq!(site.brief(&format!("GET /ten\nIf-None-Match: {old}")), "200 \"9876543210\"");
    site.check(&[(&format!("GET /ten\nIf-Match: {old}"), "412 precondition-failed")]);
}

/// RFC 9110 §15.3.7.2: a part each, in the order asked for, and no Content-Range but in the parts.
#[test]
fn several_ranges_are_parts() {
    let site = Site::new(OPTIONS);
    site.file("ten.txt", "0123456789");
    site.check_full(
        "GET /ten.txt\nRange: bytes=4-5,0-1",
        &[
            "206 Partial Content",
            "Content-Type: multipart/byteranges; boundary=BOUNDARY",
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
            "ETag: \"a-CHANGED\"",
            "Vary: Accept-Encoding",
            "Accept-Ranges: bytes",
            "",
            "--BOUNDARY",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Range: bytes 4-5/10",
            "",
            "45",
            "--BOUNDARY",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Range: bytes 0-1/10",
            "",
            "01",
            "--BOUNDARY--",
        ],
    );
    let type_of = |request| support::field(&site.ask(request).response, "Content-Type");
    let (first, second) = (
        type_of("GET /ten.txt\nRange: bytes=0-1,4-5"),
        type_of("GET /ten.txt\nRange: bytes=0-1,4-5"),
    );
    assert_ne!(first, second, "a boundary cannot be foreseen");
    // Who resumes has the file's own fields; that it is in parts must be said.
    let resumed = "GET /ten.txt\nRange: bytes=0-1,4-5\nIf-Range: \"a-CHANGED\"";
    assert!(type_of(resumed).is_some_and(|value| value.starts_with("multipart/byteranges")));
    assert_eq!(support::field(&site.ask(resumed).response, "Last-Modified"), None);
    assert_eq!(site.brief("HEAD /ten.txt\nRange: bytes=0-1,4-5"), "200 \"0123456789\"");
}
