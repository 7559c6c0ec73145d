//! What caches are told.

mod support;

use std::borrow::Cow;

use fileserve::Options;
use support::{OPTIONS, Site};

fn usual() -> Options {
    Options { cache_control: Some(Cow::Borrowed("max-age=60")), ..OPTIONS }
}

const FOREVER: &str = "max-age=31536000, immutable";

fn told(site: &Site, request: &str) -> Option<String> {
    support::field(&site.ask(request).response, "Cache-Control")
}

/// RFC 9110 §15.3.7 and §15.4.5: a part, and the news that nothing is new, say it as the whole
/// does.
#[test]
fn every_answer_that_is_of_a_file_says_for_how_long_it_holds() {
    let site = Site::new(usual());
    site.file("a.txt", "0123456789").file("app.3f9a1c2b.js", "0123456789");
    for (path, value) in [("/a.txt", "max-age=60"), ("/app.3f9a1c2b.js", FOREVER)] {
        for (fields, status) in [
            ("", 200),
            ("\nRange: bytes=0-1", 206),
            ("\nRange: bytes=0-1,5-6", 206),
            ("\nIf-None-Match: *", 304),
        ] {
            let request = format!("GET {path}{fields}");
            assert_eq!(site.ask(&request).response.status().code(), status, "{request}");
            assert_eq!(told(&site, &request).as_deref(), Some(value), "{request}");
        }
        assert_eq!(told(&site, &format!("HEAD {path}")).as_deref(), Some(value));
    }
    for request in ["GET /none", "GET /a.txt\nRange: bytes=99-", "GET /a.txt\nIf-Match: \"x\""] {
        assert_eq!(told(&site, request), None, "{request}");
    }
}

#[test]
fn without_a_flag_copies_are_checked_before_they_are_used() {
    let site = Site::new(Options::default());
    site.file("a.txt", "a").file("app.3f9a1c2b.js", "a");
    assert_eq!(told(&site, "GET /a.txt").as_deref(), Some("no-cache"));
    assert_eq!(told(&site, "GET /app.3f9a1c2b.js").as_deref(), Some(FOREVER));
}

#[test]
fn it_can_be_switched_off() {
    let site = Site::new(OPTIONS);
    site.file("a.txt", "a").file("app.3f9a1c2b.js", "a");
    assert_eq!(told(&site, "GET /a.txt"), None);
    assert_eq!(told(&site, "GET /app.3f9a1c2b.js"), None);
}
