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
        site.file("open.html", "x").file("private/b.html", "x");
        site.check(&[
            (&format!("POST /open.html\n{fields}"), "200 \"<Form post done>\""),
            (&format!("POST /private/b.html\n{fields}"), "401 unauthorized"),
            ("POST /private/b.txt\n\nx", "401 unauthorized"),
        ]);
        let expected =
            if writable { "401 unauthorized" } else { "405 GET, HEAD, OPTIONS, POST read-only" };
        site.check(&[("POST /open.txt\n\nx", expected)]);
    }
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 1);
}

/// A form names its files in its content: each is a path of its own.
#[test]
fn a_form_writes_no_file_that_its_sender_may_not_write() {
    let mut options = WRITABLE;
    options.uploads.on_conflict = fileserve::OnConflict::Replace;
    let site = site("/ eve write\n/rules.json eve read\n", options);
    site.file("rules.json", "old");
    site.check(&[(&format!("PUT /rules.json\n{EVE}\n\nnew"), "403 no-right")]);
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"rules.json\"\r\n\r\n\
                new\r\n";
    let form =
        format!("POST /\n{EVE}\nContent-Type: multipart/form-data; boundary=b\n\n{part}--b--\r\n");
    assert_eq!(site.brief(&form), "403 no-right");
    assert_eq!(site.content("rules.json").as_deref(), Some("old"));
}

/// What a PUT may not replace, a form must not replace either.
#[test]
fn a_form_stores_no_file_under_a_name_that_may_not_be_written() {
    let uploads = fileserve::Uploads {
        on_conflict: fileserve::OnConflict::Replace,
        ..fileserve::Uploads::DEFAULT
    };
    let site = site("/ * write\n/drop/a.txt * read\n", Options { uploads, ..WRITABLE });
    site.check(&[("PUT /drop/a.txt\n\ny", "401 unauthorized")]);
    let form = "POST /drop/\nContent-Type: multipart/form-data; boundary=b\n\n--b\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\ny\r\n--b--\r\n";
    let answer = site.brief(form);
    assert_eq!(site.content("drop/a.txt").as_deref(), Some("x"), "{answer}");
}

/// A compressed copy is content of its own path and of the path beside it.
#[test]
fn a_compressed_copy_leads_around_no_rule() {
    let site = site("/ * write\n/drop/a.txt * read\n/open.txt.gz * none\n", WRITABLE);
    site.file("open.txt.gz", "secret");
    let gzip = "Accept-Encoding: gzip";
    site.check(&[("GET /open.txt.gz", "401 unauthorized")]);
    site.check(&[(&format!("GET /open.txt\n{gzip}"), "200 \"x\"")]);
    site.brief("PUT /drop/a.txt.gz\n\nforged");
    site.check(&[(&format!("GET /drop/a.txt\n{gzip}"), "200 \"x\"")]);
}

/// README: "Now everybody reads and alice writes."
#[test]
fn the_first_example_of_the_readme_holds() {
    let site = site("/ * read\n/ eve write\n", WRITABLE);
    let answer = site.brief(&format!("PUT /new\n{EVE}\n\ny"));
    assert!(answer.starts_with("201"), "{answer}");
}

/// Shared caches that do not know RFC 9111 §3.5 hand out what is not called private.
#[test]
fn what_took_a_password_is_called_private() {
    let site = site(RULES, OPTIONS);
    for path in ["/private/", "/private/b.txt"] {
        let response = site.ask(&format!("GET {path}\n{EVE}")).response;
        let told = support::field(&response, "Cache-Control").unwrap_or_default();
        assert!(told.contains("private") || told.contains("no-"), "{path}: {told:?}");
    }
}

/// Who sends a good password gets the same list before and after it has been needed elsewhere.
#[test]
fn a_list_depends_on_who_asks_and_not_on_what_was_asked_before() {
    let site = site(RULES, OPTIONS);
    let asked = || list(&site, &format!("GET /\n{EVE}")).contains("./private/");
    let before = asked();
    site.brief(&format!("GET /private/b.txt\n{EVE}"));
    assert_eq!(before, asked());
}

/// A form for a directory without the slash is one for its index, too.
#[test]
fn the_rule_for_an_index_holds_for_a_form_to_its_directory() {
    let kept = tempfile::tempdir().unwrap();
    let forms = Some(Forms { dir: kept.path().into(), address: false });
    let site = site("/ * read\n/dir/index.html * none\n", Options { forms, ..OPTIONS });
    site.file("dir/index.html", "form");
    let fields = "Content-Type: application/x-www-form-urlencoded\n\na=b";
    for (path, expected) in [("/dir/", "401"), ("/dir", "405"), ("/dir/index.html", "401")] {
        let answer = site.brief(&format!("POST {path}\n{fields}"));
        assert!(answer.starts_with(expected), "{path}: {answer}");
    }
}

/// Directories that are made on the way are written, too.
#[test]
fn no_directory_is_made_that_its_sender_may_not_write() {
    let uploads = fileserve::Uploads { directories: true, ..WRITABLE.uploads };
    let site = site("/up/load * write\n", Options { uploads, ..WRITABLE });
    site.check(&[
        ("PUT /up/load/x\n\ny", "401 unauthorized"),
        ("PUT /up/load/\n\n", "401 unauthorized"),
    ]);
    assert!(!site.path("up").exists());
    site.dir("up");
    assert!(site.brief("PUT /up/load/x\n\ny").starts_with("201"));
}
