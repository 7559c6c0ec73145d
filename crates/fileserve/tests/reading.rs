//! What GET and HEAD find: kinds of files, directories, names that are not served.

mod support;

use std::fs;
use std::os::unix::net::UnixListener;

use fileserve::{Options, Uploads};
use rustix::fs::{CWD, Mode, mkfifoat};
use support::{DATE, OPTIONS, Site, WRITABLE};

#[test]
fn a_file_has_its_type_its_date_and_its_tag() {
    let site = Site::new(OPTIONS);
    site.file("a.html", "<p>hello").file("empty.txt", "").file("café.txt", "é");
    site.check_full(
        "GET /a.html",
        &[
            "200 OK",
            "Content-Type: text/html; charset=utf-8",
            &format!("Last-Modified: {DATE}"),
            "ETag: \"8-CHANGED\"",
            "Vary: Accept-Encoding",
            "Accept-Ranges: bytes",
            "",
            "<p>hello",
        ],
    );
    site.check(&[
        ("GET /a.html?any=query", "200 \"<p>hello\""),
        ("GET http://test/a.html", "200 \"<p>hello\""),
        ("GET /empty.txt", "200 \"\""),
        ("GET /caf%C3%A9.txt", "200 \"é\""),
        ("GET /x/../a%2ehtml", "200 \"<p>hello\""),
    ]);
    assert!(site.ask("GET /a.html").recalled, "what is in memory is answered at once");
    assert!(site.ask("GET /empty.txt").recalled);
}

#[test]
fn head_has_the_fields_of_get() {
    let site = Site::new(OPTIONS);
    site.file("a.txt", "a").file("big", vec![b'b'; 20_000]).file("with/index.html", "i").dir("d");
    for target in ["/a.txt", "/big", "/with/", "/with", "/d/", "/none", "/a.txt/"] {
        let (get, head) = (format!("GET {target}"), format!("HEAD {target}"));
        // The session leaves the content out and needs its length.
        assert_eq!(site.full(&head), site.full(&get), "{target}");
    }
    // RFC 9110 §14.2: Range means something on GET only.
    site.check(&[("HEAD /a.txt\nRange: bytes=0-0", "200 \"a\"")]);
}

#[test]
fn what_is_no_file_is_not_found() {
    let site = Site::new(OPTIONS);
    site.file("a.txt", "a").dir("dir").link("null", "/dev/null").link("loop", "loop");
    site.link("gone", "nothing").link("out", "../secret").link("in", "a.txt");
    fs::write(site.path("../secret"), "secret").unwrap();
    mkfifoat(CWD, site.path("fifo"), Mode::from_raw_mode(0o644)).unwrap();
    UnixListener::bind(site.path("socket")).unwrap();
    site.check(&[
        ("GET /none", "404 not-found"),
        ("GET /none/none", "404 not-found"),
        ("GET /a.txt/", "404 not-a-directory"),
        ("GET /a.txt/b", "404 not-a-directory"),
        ("GET /fifo", "404 not-regular"),
        ("GET /socket", "404 not-regular"),
        ("GET /null", "404 outside-root"),
        ("GET /loop", "404 symlink-loop"),
        ("GET /gone", "404 not-found"),
        ("GET /out", "404 outside-root"),
        ("GET /../secret", "404 outside-root"),
        ("GET /%2e%2e/secret", "404 outside-root"),
        ("GET /in", "200 \"a\""),
        ("GET /a%2Ftxt", "404 encoded-slash"),
        ("GET /a%00", "400 bad-escape"),
        ("GET /%", "400 bad-escape"),
        (&format!("GET /{}", "x".repeat(256)), "404 name-too-long"),
    ]);
    site.check_full(
        "GET /none",
        &[
            "404 Not Found",
            "Content-Type: text/html; charset=utf-8",
            "",
            "<Error 404 Page not found>",
        ],
    );
}

#[test]
fn a_directory_is_found_under_its_slash() {
    let site = Site::new(OPTIONS);
    site.dir("evil").dir("a b/c").dir("q?").file("evil/index.html", "i");
    site.check(&[
        ("GET /evil", "301 /evil/"),
        ("GET /evil?x=/&y=%0d", "301 /evil/?x=/&y=%0d"),
        ("GET /evil?", "301 /evil/?"),
        ("GET //evil", "301 /evil/"),
        ("GET ///evil?//x", "301 /evil/?//x"),
        ("GET /x/..//evil", "301 /evil/"),
        ("GET http://elsewhere/evil", "301 /evil/"),
        ("GET /a%20b/c", "301 /a%20b/c/"),
        ("GET /q%3F", "301 /q%3F/"),
        // RFC 9110 §13.2.1: what is redirected anyway is redirected.
        ("GET /evil\nIf-None-Match: *", "301 /evil/"),
        ("GET /evil\nIf-Match: \"x\"", "301 /evil/"),
        ("HEAD /evil", "301 /evil/"),
    ]);
}

#[test]
fn a_directory_is_its_index() {
    let site = Site::new(OPTIONS);
    site.file("index.html", "root").file("sub/index.html", "sub").file("real.html", "real");
    site.dir("linked").link("linked/index.html", "../real.html");
    site.check(&[
        ("GET /", "200 \"root\""),
        ("GET /sub/", "200 \"sub\""),
        ("GET /sub/.", "200 \"sub\""),
        ("GET /linked/", "200 \"real\""),
        ("GET /sub/\nIf-None-Match: \"3-CHANGED\"", "304 \"\""),
        ("GET /sub/\nRange: bytes=1-", "206 bytes 1-2/3 \"ub\""),
    ]);
    assert!(site.full("GET /linked/").contains("Content-Type: text/html"));
}

/// An index that is there and cannot be had is an answer: a list of what it was to hide is none.
#[test]
fn an_index_that_cannot_be_served_is_not_replaced_by_a_list() {
    let site = Site::new(OPTIONS);
    fs::write(site.path("../secret"), "secret").unwrap();
    site.dir("out").link("out/index.html", "../../secret");
    site.dir("loop").link("loop/index.html", "index.html");
    site.dir("fifo").dir("folder/index.html").dir("gone").link("gone/index.html", "nothing");
    mkfifoat(CWD, site.path("fifo/index.html"), Mode::from_raw_mode(0o644)).unwrap();
    site.check(&[
        ("GET /out/", "404 outside-root"),
        ("GET /loop/", "404 symlink-loop"),
        ("GET /fifo/", "404 not-regular"),
    ]);
    // These are no index at all.
    assert!(site.full("GET /folder/").contains("Index of"));
    assert!(site.full("GET /gone/").contains("Index of"));
}

#[test]
fn a_directory_without_an_index_is_listed_or_not() {
    let listing = OPTIONS;
    for (options, expected) in
        [(listing.clone(), "200"), (Options { listing: false, ..listing }, "404 not-listed")]
    {
        let site = Site::new(options);
        site.file("dir/a.txt", "a").file("dir/.hidden", "").file("dir/.httpd-upload-1-0", "");
        assert!(site.brief("GET /dir/").starts_with(expected));
        site.check(&[("GET /dir", "301 /dir/"), ("GET /dir/a.txt", "200 \"a\"")]);
    }
    let site = Site::new(OPTIONS);
    site.file("dir/a.txt", "a").file("dir/.hidden", "").file("dir/.httpd-upload-1-0", "");
    let page = String::from_utf8(support::octets(&site.ask("GET /dir/").response)).unwrap();
    assert!(page.contains("./a.txt") && !page.contains("hidden") && !page.contains("upload"));
    let fields = site.full("GET /dir/");
    assert!(fields.contains("Content-Type: text/html; charset=utf-8"));
    assert!(fields.contains("Content-Security-Policy: default-src 'none'"));
    assert!(!fields.contains("ETag"), "a list has no version");
    site.check(&[
        ("GET /dir/\nIf-Match: \"x\"", "412 precondition-failed"),
        ("GET /dir/\nIf-None-Match: *", "304 \"\""),
    ]);
    assert!(site.brief("GET /dir/\nIf-Match: *").starts_with("200"));
    assert!(site.brief("GET /dir/\nIf-None-Match: \"x\"").starts_with("200"));
}

#[test]
fn hidden_names_are_served_only_when_they_are_to_be() {
    for (hidden, expected) in [(false, "404 hidden"), (true, "200 \"x\"")] {
        let site = Site::new(Options { hidden, ..WRITABLE });
        site.file(".env", "x").file(".git/config", "x").file(".well-known/a", "a");
        // A link, since a file would be taken for a leftover and removed.
        site.file("x", "x").link(".httpd-upload-1-0", "x");
        site.check(&[
            ("GET /.env", expected),
            ("GET /%2eenv", expected),
            ("GET /.git/config", expected),
            ("GET /.well-known/a", "200 \"a\""),
            // Unfinished uploads never.
            ("GET /.httpd-upload-1-0", "404 hidden"),
            ("GET /.HTTPD-upload-1-0", "404 hidden"),
            ("DELETE /.httpd-upload-1-0", "404 hidden"),
            ("PUT /.httpd-upload-1-1\n\nx", "404 hidden"),
        ]);
        assert_eq!(site.content(".httpd-upload-1-1"), None);
    }
}

#[test]
fn the_access_log_is_neither_served_nor_listed_nor_written() {
    let site = Site::logging_to("access.log", WRITABLE);
    site.link("alias", "access.log").file("other.log", "other");
    fs::hard_link(site.path("access.log"), site.path("hard")).unwrap();
    for name in ["access.log", "alias", "hard"] {
        site.check(&[
            (&format!("GET /{name}"), "404 own-log"),
            (&format!("HEAD /{name}"), "404 own-log"),
            (&format!("PUT /{name}\n\nx"), "404 own-log"),
            (&format!("POST /{name}\n\nx"), "404 own-log"),
            (&format!("DELETE /{name}"), "404 own-log"),
        ]);
    }
    // Nor may a directory be made that has its name.
    let uploads = Uploads { directories: true, ..WRITABLE.uploads };
    let made = Site::logging_in("logs", "own.log", Options { uploads, ..WRITABLE });
    for path in ["/logs/own.log.1/x", "/logs/own.log.1/", "/access.log/x", "/access.log.2/x/y"] {
        assert_eq!(made.brief(&format!("PUT {path}\n\n")), "404 own-log", "{path}");
    }
    let page = String::from_utf8(support::octets(&site.ask("GET /").response)).unwrap();
    assert!(page.contains("other.log"));
    for name in ["access.log", "alias", "hard"] {
        assert!(!page.contains(name), "{name} is listed");
    }
    assert_eq!(site.content("access.log").as_deref(), Some(""));
}

/// A rotated log holds the same addresses, under a name next to the log's.
#[test]
fn rotated_logs_are_neither_served_nor_listed_nor_written() {
    let site = Site::logging_in("logs", "web.log", WRITABLE);
    site.link("alias", "logs").file("web.log.1", "elsewhere").file("logs/web.logs", "another");
    let rotated = ["web.log.1", "web.log-20261122.gz", "WEB.LOG.2", "web.log.none"];
    for name in &rotated[..3] {
        site.file(&format!("logs/{name}"), "192.0.2.1");
    }
    site.file("logs/web.log-analysis/a", "a");
    for name in rotated {
        for dir in ["logs", "alias", "x/../logs"] {
            site.check(&[
                (&format!("GET /{dir}/{name}"), "404 own-log"),
                (&format!("GET /{dir}/{name}/"), "404 own-log"),
                (&format!("PUT /{dir}/{name}\n\nx"), "404 own-log"),
                (&format!("DELETE /{dir}/{name}"), "404 own-log"),
            ]);
        }
    }
    // Between a rotation's rename and its signal there is nothing at the log's own path.
    fs::rename(site.path("logs/web.log"), site.path("logs/web.log.3")).unwrap();
    site.check(&[
        ("PUT /logs/web.log\n\nx", "404 own-log"),
        ("GET /logs/web.log.3", "404 own-log"),
        ("GET /web.log.1", "200 \"elsewhere\""),
        ("GET /logs/web.logs", "200 \"another\""),
        // What is a directory is no log.
        ("GET /logs/web.log-analysis", "301 /logs/web.log-analysis/"),
        ("GET /logs/web.log-analysis/a", "200 \"a\""),
    ]);
    for dir in ["logs", "alias"] {
        let response = site.ask(&format!("GET /{dir}/")).response;
        let page = String::from_utf8(support::octets(&response)).unwrap();
        assert!(page.contains("web.logs") && page.contains("web.log-analysis/"));
        for name in [rotated[0], rotated[1], rotated[2], "web.log.3"] {
            assert!(!page.contains(name), "{name} is listed");
        }
    }
}

/// A link that is the log's path has rotated logs on either side.
#[test]
fn a_log_behind_a_link_has_two_names() {
    let site = Site::logging_in("logs", "web.log", WRITABLE);
    fs::rename(site.path("logs/web.log"), site.path("logs/today")).unwrap();
    site.link("logs/web.log", "today");
    let site = Site::reopened(site, "logs/web.log", WRITABLE);
    site.check(&[
        ("PUT /logs/web.log.1\n\nx", "404 own-log"),
        ("PUT /logs/today.1\n\nx", "404 own-log"),
        ("PUT /logs/yesterday\n\nx", "201 /logs/yesterday \"File Created: /logs/yesterday\\n\""),
    ]);
}

/// It may be left from a run without arguments.
#[test]
fn a_log_of_an_earlier_run_is_not_served() {
    let site = Site::new(WRITABLE);
    site.file("access.log", "192.0.2.1").file("access.log.1", "192.0.2.1");
    site.file("dir/access.log", "somebody's");
    site.check(&[
        ("GET /access.log", "404 own-log"),
        ("DELETE /access.log.1", "404 own-log"),
        ("GET /dir/access.log", "200 \"somebody's\""),
    ]);
}

/// As many files of the kernel's have it: a length that is not there to be read.
#[test]
fn a_file_shorter_than_it_says_is_told_as_such() {
    let site = Site::over("/sys/kernel/mm", OPTIONS);
    if !site.path("transparent_hugepage/enabled").exists() {
        return eprintln!("skipped: there is no such file");
    }
    site.check(&[("GET /transparent_hugepage/enabled", "500 short-read")]);
}

/// Short content goes out with the head, long content straight from the file.
#[test]
fn content_up_to_16_kib_is_read_into_memory() {
    let site = Site::new(OPTIONS);
    site.file("short", vec![b's'; 16 * 1024]).file("long", vec![b'l'; 16 * 1024 + 1]);
    let is_file = |request: &str| {
        let answered = site.ask(request);
        assert!(answered.recalled, "{request}: both are there at once");
        support::full(&answered.response).contains("\nfile: ")
    };
    assert!(!is_file("GET /short"));
    assert!(is_file("GET /long"));
    assert!(!is_file("GET /long\nRange: bytes=1-16384"));
    assert!(is_file("GET /long\nRange: bytes=0-16384"));
    let text = support::content(&site.ask("GET /long").response);
    assert_eq!(text.len(), 16 * 1024 + 1);
}

/// What the kernel might have to fetch over a network, or ask another process for, is not waited
/// for on a worker's thread: another file system beneath the root is left to the pool.
#[test]
fn nothing_on_another_file_system_is_answered_at_once() {
    let root = fileserve::Root::open("/").unwrap();
    let path = |target: &str| fileserve::RelPath::parse(target, true).unwrap();
    let Ok(file) = tempfile::NamedTempFile::new_in("/dev/shm") else {
        return eprintln!("skipped: there is no other file system at hand");
    };
    let there = path(file.path().to_str().unwrap());
    assert!(root.open_file(&there).is_ok());
    assert!(root.open_cached(&there).is_none());
    assert!(root.open_file(&path("/")).is_ok());
    assert!(root.open_cached(&path("/")).is_some(), "what is on the root's own is");
}
