//! What rights come to: who is served, what a list shows, and what may be kept of a form.

// A test that fails should say where.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::sync::Arc;

use fileserve::access::{Access, hash_password};
use fileserve::{Forms, Options};
use support::{OPTIONS, Site, WRITABLE};

const EVE: &str = "Authorization: Basic ZXZlOmU=";
const WRONG: &str = "Authorization: Basic ZXZlOng=";

/// A site with the user eve, whose password is `e`, and these rules.
fn site(rules: &str, options: Options) -> Site {
    let hash = hash_password(b"e").unwrap();
    let access = Access::parse(format!("eve:{hash}\n{rules}").as_bytes()).unwrap();
    let site = Site::new(Options { access: Some(Arc::new(access)), ..options });
    site.file("open.txt", "x").file("drop/a.txt", "x").file("private/b.txt", "x");
    site
}

const RULES: &str = "/ * read\n/drop eve write\n/private * none\n/private eve read\n/ eve read\n";

fn list(site: &Site, request: &str) -> String {
    String::from_utf8(support::octets(&site.ask(request).response)).unwrap()
}

#[test]
fn who_may_not_is_told_so_whether_there_is_a_file_or_not() {
    let site = site(RULES, WRITABLE);
    let denied = "401 unauthorized";
    for path in ["/private/b.txt", "/private/none", "/private/", "/private", "/PRIVATE/b.txt"] {
        site.check(&[(&format!("GET {path}"), denied), (&format!("HEAD {path}"), denied)]);
    }
    let response = site.ask("GET /private/b.txt").response;
    let challenge = support::field(&response, "WWW-Authenticate").unwrap();
    assert_eq!(challenge, "Basic realm=\"httpd\", charset=\"UTF-8\"");
    site.check(&[
        ("GET /open.txt", "200 \"x\""),
        (&format!("GET /open.txt\n{WRONG}"), "200 \"x\""),
        ("PUT /open.txt\n\ny", denied),
        ("PUT /none/x\n\ny", denied),
        ("DELETE /drop/a.txt", denied),
        (&format!("GET /private/b.txt\n{EVE}"), "200 \"x\""),
        (&format!("GET /private/none\n{EVE}"), "404 not-found"),
        (&format!("PUT /open.txt\n{EVE}\n\ny"), "403 no-right"),
        (&format!("PUT /drop/new\n{EVE}\n\ny"), "201 /drop/new \"File Created: /drop/new\\n\""),
        (&format!("DELETE /drop/new\n{EVE}"), "200 \"<File Deleted>\""),
        ("OPTIONS /private/", "204 GET, HEAD, OPTIONS, PUT, POST, DELETE \"\""),
        (&format!("GET /private/b.txt\n{WRONG}"), denied),
    ]);
    assert_eq!(site.content("open.txt").as_deref(), Some("x"));
}

/// What is shown of a directory is its index, by whichever of the two names it is asked for.
#[test]
fn the_rule_for_an_index_holds_for_its_directory() {
    let site = site("/ * read\n/dir/index.html * none\n/dir/index.html eve read\n", OPTIONS);
    site.file("dir/index.html", "secret").file("dir/a", "a");
    site.check(&[
        ("GET /dir/index.html", "401 unauthorized"),
        ("GET /dir/", "401 unauthorized"),
        ("GET /dir/a", "200 \"a\""),
        (&format!("GET /dir/\n{EVE}"), "200 \"secret\""),
    ]);
}

#[test]
fn a_list_shows_what_may_be_read_and_offers_what_may_be_written() {
    let site = site(RULES, WRITABLE);
    let shows = |request: &str, name: &str| list(&site, request).contains(name);
    // Nobody knows who it is that asks; eve could write, once she is asked for her name.
    assert!(shows("GET /", "./drop/") && !shows("GET /", "./private/"));
    assert!(shows("GET /drop/", "<form") && !shows("GET /", "<form"));
    site.brief(&format!("GET /private/b.txt\n{EVE}"));
    let eves = |path: &str, name: &str| shows(&format!("GET {path}\n{EVE}"), name);
    assert!(eves("/", "./private/") && eves("/drop/", "<form"));
    assert!(!eves("/", "<form") && !eves("/private/", "<form"));
}

/// Whoever may read a page may fill in its form.
#[test]
fn a_form_of_a_page_takes_the_right_to_read_it() {
    let kept = tempfile::tempdir().unwrap();
    let forms = || Some(Forms { dir: kept.path().into(), address: false });
    let fields = "Content-Type: application/x-www-form-urlencoded\n\na=b";
    for writable in [false, true] {
        let options = Options { writable, forms: forms(), ..WRITABLE };
        let site = site(RULES, options);
        site.check(&[
            (&format!("POST /open.txt\n{fields}"), "200 \"<Form post done>\""),
            (&format!("POST /private/b.txt\n{fields}"), "401 unauthorized"),
            ("POST /private/b.txt\n\nx", "401 unauthorized"),
        ]);
        let expected =
            if writable { "401 unauthorized" } else { "405 GET, HEAD, OPTIONS, POST read-only" };
        site.check(&[("POST /open.txt\n\nx", expected)]);
    }
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 1);
}
