//! What curl makes of the server: what it resumes, what it does not fetch again, what it uploads.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Output, Stdio};

use conformance::server::{Server, ServerOptions};
use flate2::Compression;
use flate2::bufread::GzEncoder;
use tempfile::TempDir;

use super::{LARGE, LONG_AGO, is_there, long_ago, only_file, put, replace, run, said};
use super::{serve_large, told, url};
use crate::download::{assert_same, noise};

/// curl in a directory of its own, in which it is told to put what it fetches.
struct Curl {
    dir: TempDir,
}

/// How a run of it ended.
struct Ran {
    output: Output,
    /// What `--write-out` says of each transfer: status, octets of content, new connections.
    told: String,
}

impl Curl {
    /// `None` if there is no curl.
    fn new() -> Option<Curl> {
        is_there("curl").then(|| Curl { dir: TempDir::new().expect("a directory can be made") })
    }

    /// Puts a file into its directory.
    fn has(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.path().join(name), content).expect("a file can be written");
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.path().join(name)).ok()
    }

    /// Runs it with `args`, which say where the content goes, and reads `input`, if any.
    #[track_caller]
    fn run_with(&self, args: &[&str], input: Stdio) -> Ran {
        let mut command = Command::new("curl");
        command.args(["-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]);
        command.args(["--write-out", "%{stderr}%{http_code} %{size_download} %{num_connects}\\n"]);
        let output = run({
            command.args(args).current_dir(self.dir.path()).stdin(input);
            command
        });
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { output, told }
    }

    /// Runs it with `args`, and expects it to succeed.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        let ran = self.run_with(args, Stdio::null());
        assert!(ran.output.status.success(), "{args:?}: {}", said(&ran.output));
        ran
    }
}

#[test]
fn a_half_download_is_resumed() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    curl.has("file", &content[..LARGE / 2]);
    let ran = curl.run(&["-C", "-", "-o", "file", &url(&server, "/large")]);
    assert_eq!(ran.told, format!("206 {} 1\n", LARGE - LARGE / 2));
    assert_same(&curl.file("file").unwrap(), &content);
}

#[test]
fn a_download_that_is_complete_is_left_alone() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    curl.has("file", &content);
    let ran = curl.run_with(&["-C", "-", "-o", "file", &url(&server, "/large")], Stdio::null());
    assert!(ran.told.contains("416 "), "{}", ran.told);
    assert_same(&curl.file("file").unwrap(), &content);
}

#[test]
fn a_download_guarded_by_its_tag_is_resumed() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    curl.has("file", &content[..LARGE / 2]);
    let guard = format!("If-Range: {}", told(&server, "/large", "ETag"));
    let ran = curl.run(&["-C", "-", "-H", &guard, "-o", "file", &url(&server, "/large")]);
    assert_eq!(ran.told, format!("206 {} 1\n", LARGE - LARGE / 2));
    assert_same(&curl.file("file").unwrap(), &content);
}

#[test]
fn a_file_replaced_in_between_is_not_glued_to_the_old_one() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    let half = &content[..LARGE / 2];
    for guard in [told(&server, "/large", "ETag"), told(&server, "/large", "Last-Modified")] {
        put(&server, "large", &content);
        curl.has("file", half);
        let new = noise(7, LARGE);
        replace(&server, "large", &new);
        let guard = format!("If-Range: {guard}");
        let args = ["-C", "-", "-H", &guard, "-o", "file", &url(&server, "/large")];
        let ran = curl.run_with(&args, Stdio::null());
        // It is sent all of the new file. Some versions of curl begin anew with that, some give up
        // and leave what they had.
        assert!(ran.told.contains("200 "), "{guard}: {}", ran.told);
        let expected = if ran.output.status.success() { &new[..] } else { half };
        assert_same(&curl.file("file").unwrap(), expected);
    }
}

#[test]
fn a_date_that_is_known_saves_the_content() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    let from = url(&server, "/large");
    assert_eq!(curl.run(&["-z", LONG_AGO, "-o", "by-date", &from]).told, "304 0 1\n");
    assert!(curl.file("by-date").is_none_or(|file| file.is_empty()));
    // Only a date after the file's own will do.
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    assert_eq!(curl.run(&["-z", before, "-o", "fresh", &from]).told, format!("200 {LARGE} 1\n"));
    assert_same(&curl.file("fresh").unwrap(), &content);

    curl.has("kept", b"kept");
    File::open(curl.dir.path().join("kept")).unwrap().set_modified(long_ago()).unwrap();
    assert_eq!(curl.run(&["-z", "kept", "-o", "kept", &from]).told, "304 0 1\n");
    assert_eq!(curl.file("kept").unwrap(), b"kept");
}

#[test]
fn a_date_taken_over_saves_the_next_download() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    let from = url(&server, "/large");
    curl.run(&["--remote-time", "-o", "file", &from]);
    let modified = fs::metadata(curl.dir.path().join("file")).unwrap().modified().unwrap();
    assert_eq!(modified, long_ago());
    assert_eq!(curl.run(&["-z", "file", "-o", "file", &from]).told, "304 0 1\n");
    assert_same(&curl.file("file").unwrap(), &content);
}

#[test]
fn a_tag_that_was_saved_saves_the_content() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    let from = url(&server, "/large");
    let args = ["--etag-compare", "tag", "--etag-save", "tag", "-o", "file", &from];
    curl.has("tag", b"");
    assert_eq!(curl.run(&args).told, format!("200 {LARGE} 1\n"));
    let tag = told(&server, "/large", "ETag");
    assert_eq!(String::from_utf8(curl.file("tag").unwrap()).unwrap().trim(), tag);
    assert_eq!(curl.run(&args).told, "304 0 1\n");
    assert_same(&curl.file("file").unwrap(), &content);
    let new = noise(8, LARGE);
    replace(&server, "large", &new);
    assert_eq!(curl.run(&args).told, format!("200 {LARGE} 1\n"));
    assert_same(&curl.file("file").unwrap(), &new);
}

#[test]
fn a_compressed_copy_is_decoded_to_the_file() {
    let Some(curl) = Curl::new() else { return };
    let server = Server::start(ServerOptions::new());
    let content = "A line that is there very often.\n".repeat(5000).into_bytes();
    let mut coded = Vec::new();
    GzEncoder::new(&content[..], Compression::best()).read_to_end(&mut coded).unwrap();
    put(&server, "page.html", &content);
    put(&server, "page.html.gz", &coded);
    let from = url(&server, "/page.html");
    let ran = curl.run(&["--compressed", "-o", "decoded", &from]);
    assert_same(&curl.file("decoded").unwrap(), &content);
    assert_eq!(ran.told, format!("200 {} 1\n", coded.len()));
    curl.run(&["-o", "plain", &from]);
    assert_same(&curl.file("plain").unwrap(), &content);
    // Its own tag, so that the other representation is not taken for it.
    let args = ["--etag-compare", "tag", "--etag-save", "tag", "-o", "file"];
    curl.has("tag", b"");
    curl.run(&[&args[..], &["--compressed", &from]].concat());
    assert!(curl.run(&[&args[..], &["--compressed", &from]].concat()).told.starts_with("304 0"));
    assert!(curl.run(&[&args[..], &[&*from]].concat()).told.starts_with("200 "));
    assert_same(&curl.file("file").unwrap(), &content);
}

#[test]
fn ranges_come_as_parts_and_one_as_itself() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    put(&server, "ten.txt", b"0123456789abcdefghijklmnopqrstuvwxyz");
    let from = url(&server, "/ten.txt");
    curl.run(&["-r", "0-9,20-29", "-D", "head", "-o", "parts", &from]);
    let head = String::from_utf8(curl.file("head").unwrap()).unwrap();
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    let (_, boundary) = head.split_once("multipart/byteranges; boundary=").expect(&head);
    let boundary = boundary.lines().next().unwrap();
    let part = |range: &str, content: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Range: bytes {range}/36\r\n\r\n{content}\r\n"
        )
    };
    let expected = part("0-9", "0123456789") + &part("20-29", "klmnopqrst");
    let parts = String::from_utf8(curl.file("parts").unwrap()).unwrap();
    let parts = parts.trim_start_matches("\r\n");
    assert_eq!(parts.trim_end_matches("\r\n"), format!("{expected}--{boundary}--"));

    curl.run(&["-r", "100000-299999", "-o", "one", &url(&server, "/large")]);
    assert_same(&curl.file("one").unwrap(), &content[100_000..300_000]);
}

#[test]
fn an_upload_can_be_had_again() {
    let Some(curl) = Curl::new() else { return };
    let server = Server::start(ServerOptions::new().arg("--writable"));
    let to = url(&server, "/up");
    // Of a large file curl asks first whether it is wanted (Expect: 100-continue).
    for (content, status) in [(noise(9, LARGE), "201"), (noise(10, 3 << 20), "204")] {
        curl.has("file", &content);
        assert!(curl.run(&["-T", "file", "-o", "answer", &to]).told.starts_with(status));
        assert_same(&fs::read(server.root().join("up")).unwrap(), &content);
        curl.run(&["-o", "again", &to]);
        assert_same(&curl.file("again").unwrap(), &content);
    }
    // From a pipe it does not know the length, and sends chunks.
    let content = noise(11, LARGE);
    curl.has("file", &content);
    let input = File::open(curl.dir.path().join("file")).unwrap();
    let ran = curl.run_with(&["-T", "-", "-o", "answer", &to], input.into());
    assert!(ran.told.starts_with("204"), "{}", ran.told);
    assert_same(&fs::read(server.root().join("up")).unwrap(), &content);
}

#[test]
fn an_upload_that_is_refused_is_told_why() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    curl.has("file", &noise(12, 3 << 20));
    let ran = curl.run(&["-T", "file", "-o", "answer", &url(&server, "/large")]);
    assert!(ran.told.starts_with("405 "), "{}", ran.told);
    assert!(String::from_utf8(curl.file("answer").unwrap()).unwrap().contains("405"));
    assert_same(&fs::read(server.root().join("large")).unwrap(), &content);
}

#[test]
fn a_head_has_no_content_and_the_connection_goes_on() {
    let Some(curl) = Curl::new() else { return };
    let (server, _) = serve_large();
    let from = url(&server, "/large");
    let ran = curl.run(&["-I", &from, &url(&server, "/missing"), &from]);
    assert_eq!(ran.told, "200 0 1\n404 0 0\n200 0 0\n");
    let head = String::from_utf8(ran.output.stdout).unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {LARGE}\r\n")), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn http_1_0_is_answered_too() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    let from = url(&server, "/large");
    let told = curl.run(&["--http1.0", "-o", "file", &from, "-o", "again", &from]).told;
    assert_eq!(told, format!("200 {LARGE} 1\n200 {LARGE} 1\n"), "a connection for each");
    assert_same(&curl.file("file").unwrap(), &content);
    let listing = url(&server, "/");
    curl.run(&["--http1.0", "--compressed", "-o", "list", &listing]);
    assert!(String::from_utf8(curl.file("list").unwrap()).unwrap().contains("large"));
}

#[test]
fn dots_lead_nowhere_outside() {
    let Some(curl) = Curl::new() else { return };
    let (server, content) = serve_large();
    fs::write(server.dir().join("secret"), "secret").unwrap();
    for path in ["/../secret", "/large/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/.."] {
        let ran = curl.run(&["--path-as-is", "-o", "file", &url(&server, path)]);
        assert!(ran.told.starts_with('4'), "{path}: {}", ran.told);
        assert!(!curl.file("file").unwrap().ends_with(b"secret"), "{path}");
    }
    fs::remove_file(curl.dir.path().join("file")).unwrap();
    // Inside the root they are taken as browsers take them.
    curl.run(&["--path-as-is", "-o", "file", &url(&server, "/none/../large")]);
    let (name, found) = only_file(curl.dir.path());
    assert_eq!(name, "file");
    assert_same(&found, &content);
}
