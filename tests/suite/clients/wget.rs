//! What wget makes of the server: what it resumes, what it leaves alone, what it mirrors.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use conformance::server::{Server, ServerOptions};
use tempfile::TempDir;

use super::{LARGE, is_there, long_ago, put, replace, run, said, serve_large, skipped, url};
use crate::download::{assert_same, noise};

/// Whether there is a wget, and not its successor, which says other things.
fn is_wget_there() -> bool {
    let is_first = || {
        let output = Command::new("wget").arg("--version").output();
        output.is_ok_and(|output| output.stdout.starts_with(b"GNU Wget 1."))
    };
    is_there("wget") && (is_first() || skipped("this is not wget 1"))
}

/// Runs wget in `dir`.
#[track_caller]
fn wget(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("wget");
    command.args(["--no-config", "--no-proxy", "--tries=1", "--timeout=60", "--server-response"]);
    command.args(args).current_dir(dir).stdin(Stdio::null());
    run(command)
}

/// Runs wget and expects it to succeed; what it said, the heads of all responses among it.
#[track_caller]
fn wget_well(dir: &Path, args: &[&str]) -> String {
    let output = wget(dir, args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

#[test]
fn a_half_download_is_resumed() {
    if !is_wget_there() {
        return;
    }
    let (server, content) = serve_large();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("large");
    fs::write(&file, &content[..LARGE / 2]).unwrap();
    let heads = wget_well(dir.path(), &["-c", &url(&server, "/large")]);
    assert!(heads.contains("HTTP/1.1 206 "), "{heads}");
    assert_same(&fs::read(&file).unwrap(), &content);
    // Another run finds that all of it is there.
    let heads = wget_well(dir.path(), &["-c", &url(&server, "/large")]);
    assert!(heads.contains("HTTP/1.1 416 "), "{heads}");
    assert_same(&fs::read(&file).unwrap(), &content);
}

#[test]
fn a_download_that_is_current_is_not_repeated() {
    if !is_wget_there() {
        return;
    }
    let (server, content) = serve_large();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("large");
    let from = url(&server, "/large");
    let heads = wget_well(dir.path(), &["-N", &from]);
    assert!(heads.contains("HTTP/1.1 200 "), "{heads}");
    assert_same(&fs::read(&file).unwrap(), &content);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), long_ago());
    // Only a download anew would overwrite this.
    let (same, new) = (noise(13, LARGE), noise(14, LARGE));
    fs::write(&file, &same).unwrap();
    fs::File::open(&file).unwrap().set_modified(long_ago()).unwrap();
    let heads = wget_well(dir.path(), &["-N", &from]);
    assert!(heads.contains("HTTP/1.1 304 ") || heads.contains("not retrieving"), "{heads}");
    assert_same(&fs::read(&file).unwrap(), &same);
    replace(&server, "large", &new);
    wget_well(dir.path(), &["-N", &from]);
    assert_same(&fs::read(&file).unwrap(), &new);
}

#[test]
fn a_tree_is_mirrored_through_its_listings() {
    if !is_wget_there() {
        return;
    }
    let server = Server::start(ServerOptions::new());
    let files = [
        "a.txt",
        "b & c.txt",
        "100%.txt",
        "question?.txt",
        "hash#.txt",
        "quote\"s'.txt",
        "d/e/f.bin",
        "d/g h/i.txt",
    ];
    for (seed, path) in files.iter().enumerate() {
        put(&server, path, &noise(seed as u64, 1000 + seed));
    }
    put(&server, "site/index.html", b"<a href=\"page.html\">page</a> <a href=\"/a.txt\">a</a>");
    put(&server, "site/page.html", b"<img src=\"img/x.png\">");
    put(&server, "site/img/x.png", &noise(20, 5000));
    let dir = TempDir::new().unwrap();
    let args =
        ["-r", "-l", "9", "-nH", "-N", "--restrict-file-names=nocontrol", "-e", "robots=off"];
    let heads = wget_well(dir.path(), &[&args[..], &[&*url(&server, "/")]].concat());
    let mut all = files.to_vec();
    all.extend(["site/index.html", "site/page.html", "site/img/x.png"]);
    for path in all {
        let found = fs::read(dir.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_same(&found, &fs::read(server.root().join(path)).unwrap());
        let modified = fs::metadata(dir.path().join(path)).unwrap().modified().unwrap();
        assert_eq!(modified, long_ago(), "{path}");
    }
    assert!(!heads.contains("HTTP/1.1 4"), "a link of a listing leads nowhere: {heads}");
}
