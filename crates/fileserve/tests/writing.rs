//! PUT, POST and DELETE: one whole file is made, replaced or removed, or nothing happens.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use fileserve::{Options, Uploads};
use rustix::fs::{CWD, Mode, mkfifoat};
use support::{Site, WRITABLE};

/// The answer to a write that has made `path`.
fn created(path: &str) -> String {
    format!("201 {path} \"File Created: {path}\\n\"")
}

/// The permission bits that a new file gets, whatever this process's umask is.
fn mode(site: &Site, name: &str) -> u32 {
    fs::metadata(site.path(name)).expect(name).permissions().mode() & 0o7777
}

/// What is left of an upload goes on a thread of its own.
#[track_caller]
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn put_and_post_make_a_file_and_then_replace_it() {
    let site = Site::new(WRITABLE);
    site.dir("a dir");
    for method in ["PUT", "POST"] {
        let name = format!("{method}.txt");
        let made = site.brief(&format!("{method} /{name}\n\nfirst"));
        assert_eq!(made, created(&format!("/{name}")));
        assert_eq!(site.content(&name).as_deref(), Some("first"));
        assert_eq!(site.brief(&format!("GET /{name}")), "200 \"first\"");
        assert_eq!(site.brief(&format!("{method} /{name}\n\nsecond, longer")), "204 \"\"");
        assert_eq!(site.brief(&format!("GET /{name}")), "200 \"second, longer\"");
        assert_eq!(site.brief(&format!("{method} /{name}\n\n")), "204 \"\"");
        assert_eq!(site.content(&name).as_deref(), Some(""));
    }
    site.check(&[
        ("PUT /plain\nContent-Encoding: identity\n\nx", &created("/plain")),
        ("DELETE /plain", "200 \"<File Deleted>\""),
        // §14.4: no other method knows of parts.
        ("POST /part\nContent-Range: bytes 0-0/1\n\nx", &created("/part")),
        ("DELETE /part", "200 \"<File Deleted>\""),
        ("PUT /a%20dir/%C3%A9?q\n\nx", &created("/a%20dir/%C3%A9")),
        ("PUT //a%20dir/../b\n\nx", &created("/b")),
    ]);
    assert_eq!(site.names(""), ["POST.txt", "PUT.txt", "a dir", "b"], "no temporary is left");
}

/// RFC 9110 §9.3.4 and §15.3.2: the tag of what was stored comes back, and guards the next write.
#[test]
fn the_answer_to_a_write_has_the_tag_that_the_next_one_can_use() {
    let site = Site::new(WRITABLE);
    let mut tag = support::field(&site.ask("PUT /a\n\nxxxx").response, "ETag").expect("a tag");
    for content in ["yyyy", "zzzz", "aaaa"] {
        assert!(tag.starts_with('"'), "{tag} is strong");
        let request = format!("PUT /a\nIf-Match: {tag}\n\n{content}");
        let answered = site.ask(&request);
        assert_eq!(support::brief(&answered.response), "204 \"\"");
        assert_eq!(site.brief(&request), "412 precondition-failed", "the tag is of the past");
        let next = support::field(&answered.response, "ETag").expect("a tag");
        assert_ne!(next, tag, "same length, same instant, another version");
        tag = next;
    }
    site.check(&[
        (&format!("GET /a\nIf-None-Match: {tag}"), "304 \"\""),
        (&format!("GET /a\nRange: bytes=3-\nIf-Range: {tag}"), "206 bytes 3-3/4 \"a\""),
    ]);
    thread::sleep(Duration::from_millis(30));
    assert_eq!(support::field(&site.ask("GET /a").response, "ETag"), Some(tag));
}

#[test]
fn what_cannot_be_written_is_a_conflict() {
    let site = Site::new(WRITABLE);
    site.dir("dir").file("a.txt", "a");
    for method in ["PUT", "POST"] {
        for (target, expected) in [
            ("/dir", "409 is-directory"),
            ("/dir/", "409 is-directory"),
            ("/", "409 is-directory"),
            ("/new/", "409 is-directory"),
            ("/a.txt/", "409 is-directory"),
            ("/none/b", "409 parent-missing"),
            ("/a.txt/b", "409 parent-missing"),
            ("/../b", "404 outside-root"),
            ("/.b", "404 hidden"),
            ("/b%00", "400 bad-escape"),
        ] {
            let answer = site.brief(&format!("{method} {target}\n\nx"));
            assert_eq!(answer, expected, "{method} {target}");
        }
        // What is stored is served as the name says, and no name says that it is packed.
        let coded = site.ask(&format!("{method} /a.txt\nContent-Encoding: gzip\n\nx")).response;
        assert_eq!(support::brief(&coded), "415 coded-content");
        assert_eq!(support::field(&coded, "Accept-Encoding").as_deref(), Some("identity"));
    }
    // RFC 9110 §14.5: a part is not taken for the whole, in a PUT.
    site.check(&[("PUT /a.txt\nContent-Range: bytes 0-0/1\n\nx", "400 partial-content")]);
    assert_eq!(site.names(""), ["a.txt", "dir"]);
    assert_eq!(site.content("a.txt").as_deref(), Some("a"));
}

/// RFC 9110 §15.5.10: a conflict is told so that it can be resolved.
#[test]
fn a_conflict_says_what_is_in_the_way() {
    let site = Site::new(WRITABLE);
    site.dir("dir");
    for (request, sentence) in [
        ("PUT /dir\n\nx", "<p>This is the name of a directory.</p>"),
        ("PUT /none/x\n\nx", "<p>There is no such directory to write to.</p>"),
    ] {
        let page = support::octets(&site.ask(request).response);
        assert!(String::from_utf8_lossy(&page).contains(sentence), "{request}");
    }
}

/// A link has its own name in its own directory: that is what is written.
#[test]
fn a_link_is_replaced_and_what_it_leads_to_is_left_alone() {
    let site = Site::new(WRITABLE);
    fs::write(site.path("../secret"), "secret").unwrap();
    fs::create_dir(site.path("../elsewhere")).unwrap();
    site.file("real", "real").dir("dir");
    site.link("in", "real").link("gone", "nothing").link("out", "../secret");
    site.link("outdir", "../elsewhere").link("down", "dir");
    mkfifoat(CWD, site.path("fifo"), Mode::from_raw_mode(0o644)).unwrap();
    site.check(&[
        ("PUT /in\n\nnew", "204 \"\""),
        ("PUT /gone\n\nnew", &created("/gone")),
        ("PUT /down/a\n\nnew", &created("/down/a")),
        ("PUT /out\n\nnew", "404 outside-root"),
        ("PUT /outdir/a\n\nnew", "404 outside-root"),
        ("PUT /fifo\n\nnew", "404 not-regular"),
        ("DELETE /out", "404 outside-root"),
        ("DELETE /outdir/a", "404 outside-root"),
        ("DELETE /fifo", "404 not-regular"),
        ("DELETE /down", "409 is-directory"),
    ]);
    assert_eq!(site.content("real").as_deref(), Some("real"));
    assert_eq!(site.content("in").as_deref(), Some("new"));
    assert_eq!(site.content("dir/a").as_deref(), Some("new"));
    assert_eq!(site.content("nothing"), None);
    assert_eq!(site.content("../secret").as_deref(), Some("secret"));
    assert_eq!(site.names("../elsewhere"), [""; 0]);
    assert!(site.path("out").is_symlink());
}

#[test]
fn a_write_goes_ahead_only_if_its_conditions_hold() {
    let site = Site::new(WRITABLE);
    site.file("a", "old").file("b", "old");
    let failed = "412 precondition-failed";
    site.check(&[
        ("PUT /a\nIf-Match: \"x\"\n\nnew", failed),
        ("PUT /a\nIf-None-Match: *\n\nnew", failed),
        ("PUT /a\nIf-None-Match: \"3-CHANGED\"\n\nnew", failed),
        ("PUT /a\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\n\nnew", failed),
        ("PUT /new\nIf-Match: *\n\nnew", failed),
        ("PUT /new\nIf-Match: \"3-CHANGED\"\n\nnew", failed),
        ("DELETE /a\nIf-Match: \"x\"", failed),
        ("DELETE /a\nIf-None-Match: *", failed),
        // A date that says nothing of a write (§13.1.3).
        ("DELETE /b\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "200 \"<File Deleted>\""),
    ]);
    assert_eq!(site.content("a").as_deref(), Some("old"));
    assert_eq!(site.names(""), ["a"]);
    site.check(&[
        ("PUT /a\nIf-Match: \"3-CHANGED\"\n\nnew", "204 \"\""),
        ("PUT /c\nIf-None-Match: *\n\nnew", &created("/c")),
        ("DELETE /c\nIf-Match: *", "200 \"<File Deleted>\""),
        // §13.2.1: what would fail anyway fails as it would anyway.
        ("PUT /none/x\nIf-Match: *\n\nnew", "409 parent-missing"),
        ("PUT /x/\nIf-Match: *\n\nnew", "409 is-directory"),
        ("DELETE /none\nIf-Match: *", "404 not-found"),
    ]);
}

#[test]
fn delete_removes_a_file_and_nothing_else() {
    let site = Site::new(WRITABLE);
    site.file("a.txt", "a").dir("dir").file("real", "real").link("link", "real");
    let page = ["200 OK", "Content-Type: text/html; charset=utf-8", "", "<File Deleted>"];
    site.check_full("DELETE /a.txt\nAccept: */*", &page);
    for (accept, answer) in [
        ("Accept: text/html, */*;q=0.8", "200 \"<File Deleted>\""),
        ("Accept: application/json", "204 \"\""),
        ("X: y", "200 \"<File Deleted>\""),
        ("Accept:", "204 \"\""),
        ("Prefer: return=minimal", "204 \"\""),
    ] {
        site.file("b.txt", "b");
        assert_eq!(site.brief(&format!("DELETE /b.txt\n{accept}")), answer, "{accept}");
        assert_eq!(site.content("b.txt"), None);
    }
    site.check(&[
        ("DELETE /a.txt", "404 not-found"),
        ("DELETE /none/a", "404 not-found"),
        ("DELETE /none/", "404 not-found"),
        ("DELETE /real/", "404 not-a-directory"),
        ("DELETE /real/b", "404 not-found"),
        ("DELETE /dir", "409 is-directory"),
        ("DELETE /dir/", "409 is-directory"),
        ("DELETE /", "409 is-directory"),
        ("DELETE /link", "200 \"<File Deleted>\""),
        ("GET /link", "404 not-found"),
        ("GET /real", "200 \"real\""),
    ]);
    assert_eq!(site.names(""), ["dir", "real"]);
}

/// Who made a file private, or executable, did not mean its first version only.
#[test]
fn a_file_that_is_replaced_keeps_its_permissions() {
    let site = Site::new(WRITABLE);
    site.file("private", "old").file("script", "old");
    fs::set_permissions(site.path("private"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(site.path("script"), fs::Permissions::from_mode(0o4755)).unwrap();
    site.check(&[("PUT /private\n\nnew", "204 \"\""), ("PUT /script\n\nnew", "204 \"\"")]);
    assert_eq!(mode(&site, "private"), 0o600);
    assert_eq!(mode(&site, "script"), 0o755, "but not what lets it act for its owner");
    site.file("plain", "").brief("PUT /new\n\nx");
    assert_eq!(mode(&site, "new"), mode(&site, "plain"), "as this process makes any file");
}

#[test]
fn an_upload_is_seen_when_it_is_complete_and_never_before() {
    let site = Site::new(WRITABLE);
    site.file("a.txt", "old");
    let mut receiver = site.begin("PUT /a.txt\n\n");
    receiver.receive(b"ne").unwrap();
    site.check(&[("GET /a.txt", "200 \"old\"")]);
    receiver.receive(b"w").unwrap();
    assert_eq!(support::brief(&receiver.finish()), "204 \"\"");
    site.check(&[("GET /a.txt", "200 \"new\"")]);
    assert_eq!(site.names(""), ["a.txt"]);
}

#[test]
fn an_upload_that_is_dropped_leaves_nothing() {
    let site = Site::new(WRITABLE);
    site.file("a.txt", "old");
    for target in ["/a.txt", "/b.txt"] {
        let mut receiver = site.begin(&format!("PUT {target}\n\n"));
        receiver.receive(b"half of").unwrap();
        drop(receiver);
        soon("the temporary goes", || site.names("") == ["a.txt"]);
    }
    site.check(&[("GET /a.txt", "200 \"old\"")]);
}

/// More of them than wait in line, and then the server itself goes.
#[test]
fn many_dropped_uploads_leave_nothing_when_the_server_ends() {
    let site = Site::new(WRITABLE);
    let receivers: Vec<_> = (0..200).map(|_| site.begin("PUT /a\n\n")).collect();
    let Site { home, files } = site;
    // An upload may outlive the handler that began it.
    drop(files);
    drop(receivers);
    assert_eq!(fs::read_dir(home.path().join("root")).unwrap().count(), 0);
}

/// The directory is replaced by a file, or goes, while an upload to it is under way.
#[test]
fn what_happens_meanwhile_is_told() {
    let site = Site::new(WRITABLE);
    site.dir("dir");
    let receiver = site.begin("PUT /a\n\n");
    site.dir("a");
    assert_eq!(support::brief(&receiver.finish()), "409 is-directory");
    let receiver = site.begin("PUT /dir/a\n\n");
    fs::remove_dir_all(site.path("dir")).unwrap();
    assert_eq!(support::brief(&receiver.finish()), "409 parent-missing");
    soon("the temporary goes", || site.names("") == ["a"]);
}

/// Two that both saw no file: what the second was told to expect is no longer true.
#[test]
fn conditions_are_judged_again_when_the_content_is_there() {
    let site = Site::new(WRITABLE);
    site.file("a", "old");
    let failed = "412 precondition-failed";
    for (condition, path, first) in [
        ("If-None-Match: *", "/new", created("/new")),
        ("If-Match: \"3-CHANGED\"", "/a", "204 \"\"".to_owned()),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "/b", "204 \"\"".to_owned()),
    ] {
        site.file("b", "old");
        let begin = || site.begin(&format!("PUT {path}\n{condition}\n\n"));
        let mut both = [begin(), begin()];
        for (upload, content) in both.iter_mut().zip(["first", "second"]) {
            upload.receive(content.as_bytes()).unwrap();
        }
        let answers = both.map(|upload| support::brief(&upload.finish()));
        assert_eq!(answers, [first.as_str(), failed], "{condition}");
        assert_eq!(site.brief(&format!("GET {path}")), "200 \"first\"", "{condition}");
    }
    // A file that appears where there was none, and one that goes.
    let upload = site.begin("PUT /late\nIf-None-Match: *\n\n");
    site.file("late", "by another program");
    assert_eq!(support::brief(&upload.finish()), failed);
    let upload = site.begin("PUT /late\nIf-Match: *\n\n");
    fs::remove_file(site.path("late")).unwrap();
    assert_eq!(support::brief(&upload.finish()), failed);
    // Without a condition the last one wins.
    let upload = site.begin("PUT /late\n\n");
    site.file("late", "by another program");
    assert_eq!(support::brief(&upload.finish()), "204 \"\"");
    assert_eq!(site.content("late").as_deref(), Some(""));
}

/// §13.1.2: "creates it only if there is none" holds also for a name that a link has.
#[test]
fn a_link_to_nothing_is_no_free_name() {
    let site = Site::new(WRITABLE);
    site.link("gone", "nothing");
    site.check(&[("PUT /gone\nIf-None-Match: *\n\nx", "412 precondition-failed")]);
    assert!(site.path("gone").is_symlink());
}

#[test]
fn who_reads_the_old_file_keeps_it() {
    let site = Site::new(WRITABLE);
    site.file("a", "o".repeat(100_000));
    let old = site.ask("GET /a").response;
    site.check(&[("PUT /a\n\nnew", "204 \"\""), ("GET /a", "200 \"new\"")]);
    assert_eq!(support::octets(&old), "o".repeat(100_000).into_bytes());
}

#[test]
fn directories_are_made_and_removed_only_where_that_is_allowed() {
    let refusing = Site::new(WRITABLE);
    refusing.dir("empty");
    refusing.check(&[
        ("PUT /dir/\n\n", "409 is-directory"),
        ("PUT /a/b/c\n\nx", "409 parent-missing"),
        ("DELETE /empty/", "409 is-directory"),
    ]);
    assert_eq!(refusing.names(""), ["empty"]);

    let uploads = Uploads { directories: true, ..WRITABLE.uploads };
    let site = Site::new(Options { uploads, ..WRITABLE });
    site.file("file", "x").file("full/a", "a").dir("empty").link("down", "full").dir("kept");
    site.link("out", "../elsewhere").link("lost", "nothing");
    fs::create_dir(site.path("../elsewhere")).unwrap();
    let made = |path: &str| format!("201 {path} \"Directory Created: {path}\\n\"");
    site.check(&[
        ("PUT /dir/\n\n", &made("/dir/")),
        ("PUT /dir/\n\n", "204 \"\""),
        ("PUT /dir/\nIf-None-Match: *\n\n", "412 precondition-failed"),
        ("PUT /new/\nIf-Match: *\n\n", "412 precondition-failed"),
        ("PUT /\n\n", "204 \"\""),
        ("PUT /deep/er/still/\n\n", &made("/deep/er/still/")),
        ("PUT /other/\n\nx", "415 directory-content"),
        ("PUT /file/\n\n", "409 exists"),
        ("PUT /file/dir/\n\n", "409 parent-missing"),
        ("PUT /.hidden/\n\n", "404 hidden"),
        ("PUT /../dir/\n\n", "404 outside-root"),
        ("PUT /out/dir/\n\n", "404 outside-root"),
        ("PUT /lost/dir/\n\n", "409 parent-missing"),
        ("PUT /lost/dir/file\n\nx", "409 parent-missing"),
        // What it takes to store a file.
        ("PUT /a/b/c\n\nx", &created("/a/b/c")),
        ("PUT /a/b/d\n\nx", &created("/a/b/d")),
        ("PUT /down/new/e\n\nx", &created("/down/new/e")),
        ("PUT /file/b\n\nx", "409 parent-missing"),
        ("PUT /a/b\n\nx", "409 is-directory"),
        ("DELETE /full/", "409 directory-not-empty"),
        ("DELETE /down/", "409 is-directory"),
        ("DELETE /empty/", "200 \"<File Deleted>\""),
        ("DELETE /dir", "200 \"<File Deleted>\""),
        ("DELETE /dir/", "404 not-found"),
        ("DELETE /kept/\nIf-None-Match: *", "412 precondition-failed"),
        ("DELETE /", "409 is-directory"),
    ]);
    assert_eq!(site.content("full/new/e").as_deref(), Some("x"));
    assert_eq!(site.names("../elsewhere"), [""; 0]);
    assert_eq!(site.names("a/b"), ["c", "d"]);
    // Nothing is made for a file that does not come.
    drop(site.begin("PUT /x/y\n\n"));
    let upload = site.begin("PUT /x/y/z\n\n");
    assert!(!site.path("x").exists());
    // Somebody else makes the directory meanwhile.
    site.dir("x");
    assert_eq!(support::brief(&upload.finish()), created("/x/y/z"));
    assert_eq!(site.content("x/y/z").as_deref(), Some(""));
}

/// A file that anybody may have put here is what its type says, and runs no scripts as the site.
#[test]
fn files_of_a_writable_tree_cannot_act_as_the_site() {
    let names = ["a.html", "b.svg", "c.xhtml", "d.xml", "e.txt", "f.js", "g.png", "h.rss", "i"];
    let fields = |site: &Site, name: &str| {
        let response = site.ask(&format!("GET /{name}")).response;
        let field = |field| support::field(&response, field).unwrap_or_default();
        [field("X-Content-Type-Options"), field("Content-Security-Policy")]
    };
    let site = |options| {
        let site = Site::new(options);
        for name in names {
            site.file(name, "x");
        }
        site
    };
    let trusting = Uploads { trusted: true, ..WRITABLE.uploads };
    let trusting = site(Options { uploads: trusting, ..WRITABLE });
    let (wary, reading) = (site(WRITABLE), site(support::OPTIONS));
    for name in names {
        let is_harmless = matches!(name, "e.txt" | "f.js" | "g.png" | "i");
        let policy = if is_harmless { "" } else { "sandbox" };
        assert_eq!(fields(&wary, name), ["nosniff", policy], "{name}");
        assert_eq!(fields(&trusting, name), ["nosniff", ""], "{name}");
        assert_eq!(fields(&reading, name), ["", ""], "{name}");
    }
    wary.file("long.html", "0123456789");
    for range in ["bytes=0-0", "bytes=0-0,9-9"] {
        let part = wary.ask(&format!("GET /long.html\nRange: {range}")).response;
        assert_eq!(support::field(&part, "X-Content-Type-Options").as_deref(), Some("nosniff"));
        let policy = support::field(&part, "Content-Security-Policy");
        assert_eq!(policy.as_deref(), Some("sandbox"), "{range}");
    }
    // The list of a directory is ours.
    assert_eq!(fields(&wary, "")[1].split(';').next(), Some("default-src 'none'"));
}

#[test]
fn the_quota_is_for_all_files_together() {
    let uploads = Uploads { quota: Some(5 * 4096), ..WRITABLE.uploads };
    let site = Site::new(Options { uploads, ..WRITABLE });
    let content = |blocks: usize| "y".repeat(blocks * 4096);
    let put = |name: &str, blocks| site.brief(&format!("PUT /{name}\n\n{}", content(blocks)));
    assert_eq!(put("there", 1), created("/there"));
    assert_eq!(put("large", 5), "507 quota-reached");
    assert_eq!(put("a", 2), created("/a"));
    assert_eq!(put("b", 2), created("/b"));
    assert_eq!(put("c", 0), "507 quota-reached");
    assert_eq!(put("a", 1), "507 quota-reached", "while it comes, the old one is there");
    site.check(&[("DELETE /b", "200 \"<File Deleted>\"")]);
    assert_eq!(put("a", 1), "204 \"\"");
    assert_eq!(put("c", 3), created("/c"));
    assert_eq!(site.names(""), ["a", "c", "there"]);
}

#[test]
fn there_are_only_so_many_uploads_at_once() {
    let uploads = Uploads { at_once: 2, ..WRITABLE.uploads };
    let site = Site::new(Options { uploads, ..WRITABLE });
    let under_way = [site.begin("PUT /a\n\n"), site.begin("PUT /b\n\n")];
    site.check(&[("PUT /c\n\nx", "503 1 busy")]);
    drop(under_way);
    site.check(&[("PUT /c\n\nx", &created("/c"))]);
}

/// What walks through the tree to count and to sweep must get to all of it, and each directory that
/// is made waits for the disk.
#[test]
fn nothing_is_written_deeper_than_anybody_arranges_files() {
    let uploads = Uploads { directories: true, ..WRITABLE.uploads };
    let site = Site::new(Options { uploads, ..WRITABLE });
    let path = |depth| "/d".repeat(depth);
    let put = |depth| site.brief(&format!("PUT {}\n\nx", path(depth)));
    assert_eq!(put(18), "409 too-deep", "17 directories at once");
    assert!(!site.path("d").exists());
    assert_eq!(put(17), created(&path(17)));
    site.dir(&"f/".repeat(64));
    let deep = |depth: usize| format!("{}/x", "/f".repeat(depth - 1));
    assert_eq!(site.brief(&format!("PUT {}\n\nx", deep(64))), created(&deep(64)));
    assert_eq!(site.brief(&format!("PUT {}\n\nx", deep(65))), "409 too-deep");
}
