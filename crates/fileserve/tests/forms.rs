//! POST of forms: files of one for a directory, and the fields that a page sends.

// A test that fails should say where.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use fileserve::{Forms, OnConflict, Options, Uploads};
use support::{OPTIONS, Site, WRITABLE};

/// A part for [`form`]: a field, or a file where there is a filename.
fn part(name: &str, filename: Option<&str>, content: &str) -> String {
    let filename = filename.map_or(String::new(), |name| format!("; filename=\"{name}\""));
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n{content}\r\n")
}

fn file(filename: &str, content: &str) -> String {
    part("file", Some(filename), content)
}

/// A request with a form of these parts.
fn form(line: &str, parts: &[String]) -> String {
    format!("{line}\nContent-Type: multipart/form-data; boundary=b\n\n{}--b--\r\n", parts.concat())
}

fn site(on_conflict: OnConflict) -> Site {
    let site =
        Site::new(Options { uploads: Uploads { on_conflict, ..WRITABLE.uploads }, ..WRITABLE });
    site.dir("drop");
    site
}

#[test]
fn the_files_of_a_form_are_stored_in_the_directory() {
    let site = site(OnConflict::Rename);
    let parts = [
        part("comment", None, "no file"),
        file("a.txt", "one"),
        file("b \u{e9}.txt", "two\r\nlines\r\n--cb"),
        file("empty", ""),
    ];
    let response = site.ask(&form("POST /drop/", &parts)).response;
    assert_eq!(response.status().code(), 201);
    assert_eq!(support::field(&response, "Location"), None, "there are three");
    let told = support::content(&response);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let files = told["files"].as_array().expect("a list");
    let of = |key: &str| files.iter().map(|file| file[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("name"), ["a.txt", "b \u{e9}.txt", "empty"]);
    assert_eq!(of("url"), ["/drop/a.txt", "/drop/b%20%C3%A9.txt", "/drop/empty"]);
    assert_eq!(of("size"), [3, 16, 0]);
    let tag = files[0]["etag"].as_str().expect("a tag");
    site.check(&[
        ("GET /drop/a.txt", "200 \"one\""),
        (&format!("GET /drop/a.txt\nIf-None-Match: {tag}"), "304 \"\""),
        ("GET /drop/b%20%C3%A9.txt", "200 \"two\\r\\nlines\\r\\n--cb\""),
        ("GET /drop/empty", "200 \"\""),
    ]);
    assert_eq!(site.names("drop"), ["a.txt", "b \u{e9}.txt", "empty"]);
}

#[test]
fn a_browser_is_sent_back_to_the_list_and_a_program_is_told_where_its_file_is() {
    let site = site(OnConflict::Rename);
    let html = form("POST /drop\nAccept: text/html, */*;q=0.8", &[file("a", "x")]);
    assert_eq!(site.brief(&html), "303 /drop/ \"<303 See Other>\"");
    let json = site.ask(&form("POST /drop/", &[file("b", "x")])).response;
    assert_eq!(support::field(&json, "Location").as_deref(), Some("/drop/b"));
    assert_eq!(support::field(&json, "Content-Type").as_deref(), Some("application/json"));
    assert_eq!(site.brief(&form("POST /", &[file("c", "x")])).get(..6), Some("201 /c"));
}

#[test]
fn a_name_that_is_taken_is_dealt_with_as_the_policy_says() {
    for (policy, status, names, first) in [
        (OnConflict::Rename, 201, &["a (1).txt", "a (2).txt", "a.txt", "new"][..], "old"),
        (OnConflict::Reject, 409, &["a.txt"], "old"),
        (OnConflict::Replace, 201, &["a.txt", "new"], "two"),
    ] {
        let site = site(policy);
        site.file("drop/a.txt", "old");
        fs::set_permissions(site.path("drop/a.txt"), fs::Permissions::from_mode(0o640)).unwrap();
        let parts = [file("new", "new"), file("a.txt", "one"), file("a.txt", "two")];
        let response = site.ask(&form("POST /drop/", &parts)).response;
        assert_eq!(response.status().code(), status, "{policy:?}");
        soon("what was replaced goes", || site.names("drop") == names);
        assert_eq!(site.content("drop/a.txt").as_deref(), Some(first), "{policy:?}");
        let mode = fs::metadata(site.path("drop/a.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{policy:?}");
    }
}

#[track_caller]
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 60, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A file that cannot be placed takes those back that were.
#[test]
fn all_files_of_a_form_are_stored_or_none_is() {
    for policy in [OnConflict::Reject, OnConflict::Replace] {
        let site = site(policy);
        site.file("drop/b", "old").dir("drop/taken");
        for first in ["a", "b"] {
            let parts = [file(first, "new"), file("taken", "x")];
            let answer = site.brief(&form("POST /drop/", &parts));
            assert!(answer.starts_with("409 "), "{policy:?}: {answer}");
            soon("all is as it was", || site.names("drop") == ["b", "taken"]);
            assert_eq!(site.content("drop/b").as_deref(), Some("old"), "{policy:?}");
        }
    }
    // Whatever the policy: what is cut short, or no form, is not stored.
    let site = site(OnConflict::Rename);
    let whole = form("POST /drop/", &[file("a", "x"), file("b", "y")]);
    let (head, content) = whole.split_once("\n\n").unwrap();
    for (cut, expected) in [
        (content.len() - "--\r\n".len(), "400 incomplete"),
        (content.len() / 2, "400 incomplete"),
        (3, "400 incomplete"),
        (0, "400 incomplete"),
    ] {
        let request = format!("{head}\n\n{}", &content[..cut]);
        assert_eq!(site.brief(&request), expected, "{cut} octets");
        assert_eq!(site.names("drop"), [""; 0], "{cut} octets");
    }
    let broken = form("POST /drop/", &[file("a", "x"), "--b\r\nX: y\r\n\r\n\r\n".into()]);
    assert_eq!(site.brief(&broken), "400 no-disposition");
    let mut upload = site.begin(&form("POST /drop/", &[]));
    upload.receive(file("a", "x").as_bytes()).unwrap();
    drop(upload);
    assert_eq!(site.names("drop"), [""; 0]);
}

#[test]
fn the_name_of_a_file_is_one_segment_whatever_it_says() {
    let site = site(OnConflict::Rename);
    fs::create_dir(site.path("../beside")).unwrap();
    symlink("../../beside", site.path("drop/out")).unwrap();
    for (filename, stored) in [
        ("../../beside/x", "x"),
        ("/etc/y", "y"),
        (r"C:\dir\z.txt", "z.txt"),
        ("out/w", "w"),
        ("..", "upload"),
        (".htaccess", "_htaccess"),
        ("line%0D%0Abreak", "line__break"),
    ] {
        let answer = site.brief(&form("POST /drop/", &[file(filename, "x")]));
        assert!(answer.starts_with(&format!("201 /drop/{stored} ")), "{filename}: {answer}");
        assert_eq!(site.content(&format!("drop/{stored}")).as_deref(), Some("x"), "{filename}");
    }
    // A link that leads out is a name that is taken, and nothing is written through it.
    let answer = site.brief(&form("POST /drop/", &[file("out", "x")]));
    assert!(answer.starts_with("201 /drop/out%20(1) "), "{answer}");
    site.check(&[(&form("POST /drop/out/", &[file("a", "x")]), "404 outside-root")]);
    assert_eq!(site.names("../beside"), [""; 0]);
}

#[test]
fn a_form_is_refused_where_it_cannot_be_stored() {
    let site = Site::new(WRITABLE);
    site.dir("drop").file("page.html", "x");
    let files = |line| form(line, &[file("a", "x")]);
    site.check(&[
        (&files("POST /page.html"), "405 GET, HEAD, OPTIONS, PUT, POST, DELETE no-form"),
        (&files("POST /none/"), "404 not-found"),
        (&files("POST /../drop/"), "404 outside-root"),
        (&files("POST /.hidden/"), "404 hidden"),
        (&files("POST /drop/\nIf-None-Match: *"), "412 precondition-failed"),
        (&files("POST /drop/\nContent-Encoding: gzip"), "415 coded-content"),
        (&form("POST /drop/", &[]), "400 nothing-to-store"),
        (&form("POST /drop/", &[part("a", None, "x")]), "400 nothing-to-store"),
        (&form("POST /drop/", &[part("file", Some(""), "")]), "400 nothing-to-store"),
        ("POST /drop/\nContent-Type: multipart/form-data\n\nx", "400 no-boundary"),
        (
            "POST /page.html\nContent-Type: application/x-www-form-urlencoded\n\na=b",
            "405 GET, HEAD, OPTIONS, PUT, POST, DELETE no-form",
        ),
    ]);
    let reading = Site::new(OPTIONS);
    reading.dir("drop");
    reading.check(&[(&files("POST /drop/"), "405 GET, HEAD, OPTIONS read-only")]);
    let many: Vec<_> = (0..257).map(|n| file(&n.to_string(), "")).collect();
    assert_eq!(site.brief(&form("POST /drop/", &many)), "413 too-many-files");
    assert_eq!(site.names("drop"), [""; 0]);
    let named = Site::logging_in("drop", "access.log", WRITABLE);
    named.check(&[(&form("POST /drop/", &[file("access.log", "x")]), "404 own-log")]);
    named.check(&[(&form("POST /drop/", &[file("access.log.1", "x")]), "404 own-log")]);
}

#[test]
fn the_files_of_a_form_share_the_quota() {
    let uploads = Uploads { quota: Some(3 * 4096), ..WRITABLE.uploads };
    let site = Site::new(Options { uploads, ..WRITABLE });
    let block = "x".repeat(4000);
    let request = |count| form("POST /", &vec![file("a", &block); count]);
    assert_eq!(site.brief(&request(4)), "507 quota-reached");
    assert!(site.brief(&request(2)).starts_with("201 "));
    assert_eq!(site.brief(&request(2)), "507 quota-reached");
    assert_eq!(site.names(""), ["a", "a (1)"]);
}

/// RFC 9530: damage on the way is found before anything is stored.
#[test]
fn content_that_is_not_what_it_is_said_to_be_is_not_stored() {
    let site = site(OnConflict::Rename);
    // Of "hello".
    let good = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
    let bad = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:".replace('L', "M");
    let long = "sha-512=:m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZj\
                R1wuXDre9G9zvN7AQw==:";
    for (name, value, answer) in [
        ("Content-Digest", good, "201"),
        ("Repr-Digest", long, "204"),
        ("Content-Digest", &format!("{good}, {long}"), "204"),
        ("Content-Digest", "md5=:AAAA:, unknown=1", "204"),
        ("Content-Digest", &bad, "400 digest-mismatch"),
        ("Repr-Digest", &format!("{long}, {bad}"), "400 digest-mismatch"),
        ("Content-Digest", "sha-256=:AAAA:", "400 bad-digest"),
        ("Content-Digest", "sha-256=x", "400 bad-digest"),
        ("Repr-Digest", ":", "400 bad-digest"),
    ] {
        let told = site.brief(&format!("PUT /a\n{name}: {value}\n\nhello"));
        assert!(told.starts_with(answer), "{name}: {value}: {told}");
    }
    assert_eq!(
        site.brief(&format!("PUT /a\nContent-Digest: {good}\n\nhellO")),
        "400 digest-mismatch"
    );
    assert_eq!(
        site.brief(&format!("PUT /b\nContent-Digest: {bad}\n\nhello")),
        "400 digest-mismatch"
    );
    assert_eq!((site.content("a").as_deref(), site.content("b")), (Some("hello"), None));
    let wrong = form(&format!("POST /drop/\nContent-Digest: {good}"), &[file("a", "hello")]);
    assert_eq!(site.brief(&wrong), "400 digest-mismatch", "it is of the whole content");
    assert_eq!(site.names("drop"), [""; 0]);
}

/// A site whose forms are kept beside its root, in `kept`.
fn keeping(writable: bool, address: bool) -> Site {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    fs::create_dir_all(home.path().join("root")).unwrap();
    fs::create_dir(&kept).unwrap();
    let forms = Some(Forms { dir: kept, address });
    let options = Options { writable, forms, uploads: WRITABLE.uploads, ..OPTIONS };
    let site = Site::in_home(home, options);
    site.file("contact.html", "x").file("dir/index.html", "x").dir("empty");
    site
}

const FIELDS: &str = "Content-Type: application/x-www-form-urlencoded";

/// The lines that are kept of a page, without the time.
fn lines(site: &Site, page: &str) -> Vec<String> {
    let kept = site.content(&format!("../kept/{page}.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let time = line.as_object_mut().expect("an object").remove("time").expect("a time");
        assert!(
            time.as_str().is_some_and(|time| time.len() == 20 && time.ends_with('Z')),
            "{time}"
        );
        line.to_string()
    };
    kept.lines().map(line).collect()
}

#[test]
fn a_form_is_kept_as_a_line_of_the_page() {
    for writable in [false, true] {
        let site = keeping(writable, false);
        let done = "200 \"<Form post done>\"";
        site.check(&[
            (
                &format!("POST /contact.html\n{FIELDS}\n\nname=A+B&text=1%0A2%22&x=&t=1&t=2&t=3"),
                done,
            ),
            (&format!("POST /contact.html\n{FIELDS};charset=utf-8\n\nname=%C3%A9%FF"), done),
            (&form("POST /dir/", &[part("a", None, "b\r\nc"), part("d", None, "")]), done),
            (&format!("POST /dir/index.html\n{FIELDS}\n\n"), done),
        ]);
        assert_eq!(
            lines(&site, "contact.html"),
            [
                concat!(
                    r#"{"fields":{"name":"A B","t":["1","2","3"],"text":"1\n2\"","x":""},"#,
                    r#""page":"/contact.html"}"#
                ),
                "{\"fields\":{\"name\":\"\u{e9}\u{fffd}\"},\"page\":\"/contact.html\"}",
            ]
        );
        assert_eq!(
            lines(&site, "dir%2Findex.html"),
            [
                r#"{"fields":{"a":"b\r\nc","d":""},"page":"/dir/index.html"}"#,
                r#"{"fields":{},"page":"/dir/index.html"}"#,
            ]
        );
        let mode = fs::metadata(site.path("../kept/contact.html.jsonl")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}

#[test]
fn nothing_in_a_form_can_steer_a_terminal_or_end_a_line() {
    let site = keeping(false, false);
    let value = "a\u{7f}b\u{9b}31mc\u{85}d\u{2028}e\u{1b}[2J\n\u{e9}";
    site.brief(&form("POST /contact.html", &[part("a", None, value)]));
    let kept = site.content("../kept/contact.html.jsonl").unwrap();
    assert!(kept.ends_with("\n") && !kept.trim_end().chars().any(char::is_control), "{kept:?}");
    assert!(!kept.contains('\u{2028}') && kept.contains('\u{e9}'));
    let line: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(line["fields"]["a"], value);
}

#[test]
fn only_forms_for_pages_are_kept() {
    let site = keeping(false, false);
    let allowed = "GET, HEAD, OPTIONS, POST";
    site.check(&[
        (&format!("POST /none\n{FIELDS}\n\na=b"), "404 not-found"),
        (&format!("POST /../contact.html\n{FIELDS}\n\na=b"), "404 outside-root"),
        (&format!("POST /empty/\n{FIELDS}\n\na=b"), &format!("405 {allowed} read-only")),
        ("POST /contact.html\n\na=b", &format!("405 {allowed} read-only")),
        (&form("POST /contact.html", &[file("a", "x")]), "415 file-in-form"),
        ("PUT /contact.html\n\na=b", &format!("405 {allowed} read-only")),
        ("OPTIONS /contact.html", &format!("204 {allowed} \"\"")),
    ]);
    let long = "x".repeat(64 * 1024);
    let many = "a=b&".repeat(501);
    site.check(&[
        (&format!("POST /contact.html\n{FIELDS}\n\na={long}"), "413 submission-too-large"),
        (&format!("POST /contact.html\n{FIELDS}\n\n{many}"), "413 submission-too-large"),
        (&form("POST /contact.html", &[part("a", None, &long)]), "413 submission-too-large"),
    ]);
    assert_eq!(site.names("../kept"), [""; 0]);
    // Where files may be written, a form with files is for a directory, and one without for a page.
    let both = keeping(true, false);
    assert!(both.brief(&form("POST /dir/", &[file("a", "x")])).starts_with("201 /dir/a "));
    assert_eq!(both.names("../kept"), [""; 0]);
}

#[test]
fn a_form_can_lead_on_within_the_site_only() {
    let site = keeping(false, false);
    for (next, leads) in [
        ("/thanks.html", true),
        ("/a?b#c", true),
        ("http://localhost/x", true),
        ("https://LOCALHOST", true),
        ("//evil.example/", false),
        ("/\\evil.example/", false),
        ("http://localhost.evil.example/", false),
        ("http://localhost@evil.example/", false),
        ("javascript:alert(1)", false),
        ("thanks.html", false),
        ("/a\r\nX: y", false),
        ("/\u{e9}", false),
        ("", false),
    ] {
        let site = if leads { &site } else { &keeping(false, false) };
        let part = part("_next", None, next);
        let answer = site.brief(&form("POST /contact.html", &[part]));
        match leads {
            true => assert_eq!(answer, format!("303 {next} \"<303 See Other>\"")),
            false => assert_eq!(answer, "200 \"<Form post done>\"", "{next:?}"),
        }
    }
}

#[test]
fn what_fills_in_the_hidden_field_is_thanked_and_forgotten() {
    let site = keeping(false, true);
    let answer = site.brief(&format!("POST /contact.html\n{FIELDS}\n\na=b&_gotcha=x&_next=/t"));
    assert_eq!(answer, "303 /t honeypot");
    assert_eq!(site.names("../kept"), [""; 0]);
    site.brief(&format!("POST /contact.html\n{FIELDS}\n\na=b&_gotcha=&_other=x"));
    assert_eq!(
        lines(&site, "contact.html"),
        [r#"{"address":"127.0.0.1","fields":{"a":"b"},"page":"/contact.html"}"#]
    );
}

#[test]
fn one_address_can_send_only_so_many_forms() {
    let site = keeping(false, false);
    let request = format!("POST /contact.html\n{FIELDS}\n\na=b");
    for _ in 0..10 {
        assert_eq!(site.brief(&request), "200 \"<Form post done>\"");
    }
    assert_eq!(site.brief(&request), "429 60 too-many-forms");
    assert_eq!(lines(&site, "contact.html").len(), 10);
}

#[test]
fn a_line_that_a_crash_has_cut_does_not_spoil_the_next_one() {
    let site = keeping(false, false);
    fs::write(site.path("../kept/contact.html.jsonl"), "{\"time\":\"2026").unwrap();
    site.brief(&format!("POST /contact.html\n{FIELDS}\n\na=b"));
    let kept = site.content("../kept/contact.html.jsonl").unwrap();
    assert_eq!(kept.lines().count(), 2, "{kept}");
    // A link is not followed, wherever it came from.
    symlink("../root/contact.html", site.path("../kept/dir%2Findex.html.jsonl")).unwrap();
    let answer = site.brief(&format!("POST /dir/\n{FIELDS}\n\na=b"));
    assert_eq!(answer, "404 symlink-loop");
    assert_eq!(site.content("contact.html").as_deref(), Some("x"));
}

/// The path is too long for a URL only when the name is added: nothing may be stored then.
#[test]
fn a_form_that_is_refused_has_stored_nothing() {
    let site = Site::new(WRITABLE);
    let dir = format!("{}/", "w".repeat(199)).repeat(20);
    // By steps: the whole is longer than the system takes.
    let mut at = fs::File::open(site.path("")).unwrap();
    for _ in 0..20 {
        let name = "w".repeat(199);
        rustix::fs::mkdirat(&at, &name, 0o755.into()).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        at = rustix::fs::openat(&at, &name, flags, 0.into()).unwrap().into();
    }
    let name = "v".repeat(200);
    let part = format!(
        "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n\
         x\r\n--b--\r\n"
    );
    let line = format!("POST /{dir}\nContent-Type: multipart/form-data; boundary=b\n\n{part}");
    let refused = site.brief(&line);
    let there = rustix::fs::statat(&at, &name, rustix::fs::AtFlags::empty()).is_ok();
    assert!(refused.starts_with("201") == there, "{refused}, and stored: {there}");
}

/// A path of two hundred letters that are not ASCII takes far more octets when it is escaped.
#[test]
fn a_page_with_a_long_name_has_a_file_of_its_own() {
    let site = keeping(false, false);
    let (dir, name) = ("\u{43a}".repeat(60), "\u{43e}".repeat(100));
    let pages = [format!("{dir}/{name}1.html"), format!("{dir}/{name}2.html")];
    for page in &pages {
        site.file(page, "x");
        let target: String = page.bytes().map(|b| format!("%{b:02X}")).collect();
        let target = target.replace("%2F", "/");
        let answer = site.brief(&format!("POST /{target}\n{FIELDS}\n\na=b"));
        assert_eq!(answer, "200 \"<Form post done>\"", "{page}");
    }
    assert_eq!(site.names("../kept").len(), 2);
}

/// Pictures and programs have no forms.
#[test]
fn only_pages_have_forms() {
    let site = keeping(false, false);
    for name in ["a.png", "b.js", "c.txt", "d"] {
        site.file(name, "x");
        let answer = site.brief(&format!("POST /{name}\n{FIELDS}\n\na=b"));
        assert_eq!(answer, "405 GET, HEAD, OPTIONS, POST read-only", "{name}");
    }
    assert_eq!(site.names("../kept"), [""; 0]);
}
