//! Texts that are compressed here, for clients that accept it.

mod support;

use std::io::Read;
use std::thread;
use std::time::Duration;

use fileserve::Options;
use flate2::read::GzDecoder;
use http_proto::server::{Produced, Response};
use support::{OPTIONS, Site};

fn gzip() -> Options {
    Options { gzip: true, ..OPTIONS }
}

/// Compressed whole; long enough to be worth it.
const SHORT: usize = 5000;
/// Compressed while it is sent.
const LONG: usize = 2 * 1024 * 1024;

fn site() -> Site {
    let site = Site::new(gzip());
    site.file("short.txt", "s".repeat(SHORT)).file("long.txt", "l".repeat(LONG));
    site.file("tiny.txt", "t".repeat(1024)).file("image.png", "p".repeat(SHORT));
    // A file that has just been changed could change again unseen, and is sent as it is.
    thread::sleep(Duration::from_millis(30));
    site
}

fn field(response: &Response, name: &str) -> String {
    support::field(response, name).unwrap_or_default()
}

/// The content, compressed or not, and however it is sent.
fn octets(response: Response) -> Vec<u8> {
    if !response.is_streamed() {
        return support::content(&response).into_bytes();
    }
    let mut source = response.into_source().expect("it is streamed");
    let mut all = Vec::new();
    while source.produce(&mut all).expect("the file is whole") == Produced::More {}
    let mut plain = Vec::new();
    GzDecoder::new(&all[..]).read_to_end(&mut plain).expect("gzip");
    plain
}

/// Which answer there is to `request`: its coding, how it is sent, whether caches know.
fn way(site: &Site, request: &str) -> String {
    let response = site.ask(request).response;
    let coding = field(&response, "Content-Encoding");
    let streamed = if response.is_streamed() { " streamed" } else { "" };
    let vary = if field(&response, "Vary") == "Accept-Encoding" { " varies" } else { "" };
    format!("{} {coding}{streamed}{vary}", response.status().code())
}

#[test]
fn texts_are_compressed_for_those_who_accept_it() {
    let site = site();
    for (request, expected) in [
        ("GET /short.txt\nAccept-Encoding: gzip", "200 gzip varies"),
        ("HEAD /short.txt\nAccept-Encoding: gzip", "200 gzip varies"),
        ("GET /short.txt\nAccept-Encoding: br, gzip;q=0.1", "200 gzip varies"),
        ("GET /short.txt\nAccept-Encoding: gzip;q=0", "200  varies"),
        ("GET /short.txt\nAccept-Encoding: br", "200  varies"),
        ("GET /short.txt\nAccept-Encoding: identity, gzip;q=0.5", "200  varies"),
        ("GET /short.txt", "200  varies"),
        ("GET /long.txt\nAccept-Encoding: gzip", "200 gzip streamed varies"),
        // Nothing would be won.
        ("GET /tiny.txt\nAccept-Encoding: gzip", "200  varies"),
        ("GET /image.png\nAccept-Encoding: gzip", "200 "),
        // HTTP/1.0 could not tell whether all of it came.
        ("GET /long.txt HTTP/1.0\nAccept-Encoding: gzip", "200  varies"),
        // A part of what is made here would be anybody's guess.
        ("GET /short.txt\nAccept-Encoding: gzip\nRange: bytes=0-9", "206  varies"),
        ("HEAD /short.txt\nAccept-Encoding: gzip\nRange: bytes=0-9", "200 gzip varies"),
    ] {
        assert_eq!(way(&site, request), expected, "{request}");
    }
    let plain = Site::new(OPTIONS);
    plain.file("short.txt", "s".repeat(SHORT));
    thread::sleep(Duration::from_millis(30));
    assert_eq!(way(&plain, "GET /short.txt\nAccept-Encoding: gzip"), "200  varies");
}

#[test]
fn what_is_compressed_is_the_file() {
    let site = site();
    let request = "GET /long.txt\nAccept-Encoding: gzip";
    assert!(octets(site.ask(request).response) == "l".repeat(LONG).into_bytes());
}

#[test]
fn a_short_text_is_answered_at_once_the_second_time() {
    let site = site();
    let request = "GET /short.txt\nAccept-Encoding: gzip";
    assert!(!site.ask(request).recalled);
    assert!(site.ask(request).recalled);
    site.file("short.txt", "S".repeat(SHORT));
    thread::sleep(Duration::from_millis(30));
    assert!(!site.ask(request).recalled, "another version");
}

/// RFC 9110 §8.8.3.3: a tag of its own; weak, since another release may compress otherwise.
#[test]
fn what_is_made_here_has_a_weak_tag_of_its_own() {
    let site = site();
    for path in ["/short.txt", "/long.txt"] {
        let tag = |fields: &str| field(&site.ask(&format!("GET {path}{fields}")).response, "ETag");
        let coded = tag("\nAccept-Encoding: gzip");
        assert!(coded.starts_with("W/\"") && coded.ends_with("-gzip\""), "{coded}");
        let ask = |tag: &str, fields: &str| {
            way(&site, &format!("GET {path}\nIf-None-Match: {tag}{fields}"))
        };
        assert_eq!(ask(&coded, "\nAccept-Encoding: gzip"), "304  varies", "{path}");
        assert_eq!(ask(&coded, ""), "200  varies", "{path}: that is another representation");
        let plain = tag("");
        assert!(!plain.starts_with("W/"), "{plain}");
        assert_eq!(ask(&plain, ""), "304  varies", "{path}");
        assert!(ask(&plain, "\nAccept-Encoding: gzip").starts_with("200 gzip"), "{path}");
        // RFC 9110 §14.2: a range is ignored where there is nothing new, whatever it would be of.
        let ranged = "\nAccept-Encoding: gzip\nRange: bytes=0-9";
        assert_eq!(ask(&coded, ranged), "304  varies", "{path}");
        assert_eq!(ask("\"other\"", ranged), "206  varies", "{path}");
        let guarded = format!("GET {path}\nIf-Match: {plain}{ranged}");
        assert_eq!(way(&site, &guarded), "206  varies", "{path}");
    }
}

#[test]
fn a_copy_beside_the_file_is_sent_rather_than_made() {
    let site = site();
    site.file("short.txt.gz", "a copy");
    let ask = |fields| site.brief(&format!("GET /short.txt\nAccept-Encoding: {fields}"));
    assert_eq!(ask("gzip"), "200 \"a copy\"");
    site.file("short.txt.br", "brotli");
    assert_eq!(ask("gzip, br"), "200 \"brotli\"");
}

#[test]
fn a_file_that_has_just_changed_is_sent_as_it_is() {
    let site = site();
    let request = "GET /short.txt\nAccept-Encoding: gzip";
    // A slow machine may take longer than it stays young; it is then compressed, and right too.
    let young = (0..100).any(|_| {
        site.file("short.txt", "y".repeat(SHORT));
        way(&site, request) == "200  varies"
    });
    assert!(young);
}
