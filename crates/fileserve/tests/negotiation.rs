//! Which representation is served: the file itself, or a compressed copy beside it.

mod support;

use std::time::{Duration, UNIX_EPOCH};

use fileserve::Options;
use support::{CHANGED, DATE, OPTIONS, Site};

fn site() -> Site {
    let site = Site::new(OPTIONS);
    site.file("a.html", "plain").file("a.html.gz", "gz").file("a.html.br", "brotli");
    site
}

/// The content says which representation it is.
fn check(site: &Site, rows: &[(&str, &str, &str)]) {
    for (path, accepted, expected) in rows {
        let request = format!("GET {path}\nAccept-Encoding: {accepted}");
        assert_eq!(support::content(&site.ask(&request).response), *expected, "{request}");
    }
}

#[test]
fn the_client_chooses_by_weight() {
    check(
        &site(),
        &[
            ("/a.html", "gzip", "gz"),
            ("/a.html", "gzip, br", "brotli"),
            ("/a.html", "gzip, br;q=0.5", "gz"),
            ("/a.html", "zstd, gzip;q=0.1", "gz"),
            ("/a.html", "zstd", "plain"),
            ("/a.html", "identity, gzip;q=0.5", "plain"),
            ("/a.html", "identity;q=0, gzip", "gz"),
            ("/a.html", "*", "brotli"),
            ("/a.html", "", "plain"),
            // All there is is refused: the file itself is more use than an error.
            ("/a.html", "identity;q=0", "plain"),
            ("/a.html", "*;q=0", "plain"),
            // Asked for by its own name it is just a file.
            ("/a.html.gz", "gzip", "gz"),
        ],
    );
    assert_eq!(site().brief("GET /a.html"), "200 \"plain\"");
}

#[test]
fn a_coded_representation_says_so_and_has_a_tag_of_its_own() {
    let site = site();
    site.check_full(
        "GET /a.html\nAccept-Encoding: gzip",
        &[
            "200 OK",
            "Content-Type: text/html; charset=utf-8",
            &format!("Last-Modified: {DATE}"),
            "Content-Encoding: gzip",
            "ETag: \"2-CHANGED-gzip\"",
            "Vary: Accept-Encoding",
            "Accept-Ranges: bytes",
            "",
            "gz",
        ],
    );
    site.check_full(
        "GET /a.html\nAccept-Encoding: gzip\nIf-None-Match: \"2-CHANGED-gzip\"",
        &["304 Not Modified", "ETag: \"2-CHANGED-gzip\"", "Vary: Accept-Encoding", ""],
    );
    // The tag of one is not the tag of the other.
    let crossed = "GET /a.html\nAccept-Encoding: gzip\nIf-None-Match: \"5-CHANGED\"";
    assert_eq!(site.brief(crossed), "200 \"gz\"");
    // Ranges are of the chosen representation.
    site.check(&[("GET /a.html\nAccept-Encoding: br\nRange: bytes=1-2", "206 bytes 1-2/6 \"ro\"")]);
    let tag = |request| support::field(&site.ask(request).response, "ETag");
    let get = tag("GET /a.html\nAccept-Encoding: br");
    assert_eq!(tag("HEAD /a.html\nAccept-Encoding: br"), get);
    assert_ne!(tag("HEAD /a.html"), get);
}

#[test]
fn a_sibling_that_is_no_copy_is_not_served() {
    let site = Site::new(OPTIONS);
    site.file("old.html", "plain").file("old.html.gz", "outdated");
    let before = UNIX_EPOCH + CHANGED - Duration::from_secs(1);
    support::set_time(&site.path("old.html.gz"), before);
    site.file("dir.html", "plain").dir("dir.html.gz");
    site.file("out.html", "plain").link("out.html.gz", "/etc/hostname");
    site.file("alone.html.gz", "gz");
    check(
        &site,
        &[
            ("/old.html", "gzip", "plain"),
            ("/dir.html", "gzip", "plain"),
            ("/out.html", "gzip", "plain"),
            ("/alone.html", "gzip", "<Error 404 Page not found>"),
        ],
    );
}

#[test]
fn what_is_compressed_already_has_one_representation() {
    let site = Site::new(OPTIONS);
    site.file("a.png", "plain").file("a.png.gz", "gz");
    let answer = site.ask("GET /a.png\nAccept-Encoding: gzip").response;
    assert_eq!(support::content(&answer), "plain");
    assert_eq!(support::field(&answer, "Vary"), None);
}

#[test]
fn an_index_has_siblings_too() {
    let site = Site::new(OPTIONS);
    site.file("index.html", "plain").file("index.html.gz", "gz");
    check(&site, &[("/", "gzip", "gz"), ("/", "br", "plain")]);
}

#[test]
fn it_can_be_switched_off() {
    let site = Site::new(Options { precompressed: false, ..OPTIONS });
    site.file("a.html", "plain").file("a.html.gz", "gz");
    let answer = site.ask("GET /a.html\nAccept-Encoding: gzip").response;
    assert_eq!(support::content(&answer), "plain");
    assert_eq!(support::field(&answer, "Vary"), None);
}
