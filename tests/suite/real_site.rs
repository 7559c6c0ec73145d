//! The Rust documentation, tens of thousands of files, fetched by clients that are not ours.
//!
//! A machine without it, or without the client, skips the test and says so.
//! `HTTPD_ALL_DOCS=1` fetches every file instead of an even choice.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use conformance::server::{Server, ServerOptions};
use tempfile::TempDir;

const FETCH: &str = include_str!("fetch.py");
/// How many files are fetched with Python, and how many with curl.
const SOME: usize = 2_000;
const FEW: usize = 300;

#[test]
fn python_gets_every_file_as_it_is() {
    let Some(docs) = documentation() else { return };
    if !is_there("python3") {
        return say("skipped: there is no python3");
    }
    let all = files_below(&docs);
    let whole = std::env::var_os("HTTPD_ALL_DOCS").is_some_and(|value| value == "1");
    let chosen = choose(&all, if whole { all.len() } else { SOME });
    let server = serve(&docs);
    let list = TempDir::new().unwrap();
    let path = list.path().join("list");
    fs::write(&path, chosen.join(&b'\n')).unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", FETCH]).arg(server.addr().port().to_string()).arg(&docs);
    let output = command.stdin(fs::File::open(&path).unwrap()).output().unwrap();
    let said = text(&output);
    say(said.trim_end());
    assert!(output.status.success(), "{said}");
    assert!(said.ends_with(&format!("\n{} files, 0 differ\n", chosen.len())), "{said}");
}

#[test]
fn curl_gets_every_file_and_its_date() {
    let Some(docs) = documentation() else { return };
    if !is_there("curl") {
        return say("skipped: there is no curl");
    }
    let all = files_below(&docs);
    let chosen = choose(&all, FEW);
    let server = serve(&docs);
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("config");
    fs::write(&config, curl_config(&server, &chosen)).unwrap();
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", "*", "--globoff"]);
    command.args(["--path-as-is", "--remote-time", "--max-time", "60", "--config"]).arg(&config);
    let output = command.current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let differ = chosen.iter().enumerate().filter(|(number, path)| {
        let (expected, found) = (docs.join(on_disk(path)), dir.path().join(number.to_string()));
        fs::read(&expected).unwrap() != fs::read(&found).unwrap()
            || seconds(&expected) != seconds(&found)
    });
    let differ: Vec<_> = differ.map(|(_, path)| on_disk(path)).collect();
    say(&format!("curl: {} files, {} differ", chosen.len(), differ.len()));
    assert!(differ.is_empty(), "{differ:?}");
}

/// Every file with its own line of where to put it.
fn curl_config(server: &Server, chosen: &[&[u8]]) -> String {
    let mut config = String::new();
    for (number, path) in chosen.iter().enumerate() {
        let (addr, path) = (server.addr(), percent_encoded(path));
        writeln!(config, "url = \"http://{addr}/{path}\"\noutput = \"{number}\"")
            .expect("a string takes any text");
    }
    config
}

fn serve(docs: &Path) -> Server {
    let options = ServerOptions::new().args(["--hidden", "--access-log", "off"]);
    Server::start(options.root(docs))
}

/// The documentation that ships with the toolchain, unless it was left out.
fn documentation() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = OsString::from_vec(output.stdout.trim_ascii_end().to_vec());
    let docs = Path::new(&sysroot).join("share/doc/rust/html");
    if !docs.is_dir() {
        say("skipped: this toolchain has no documentation");
        return None;
    }
    Some(docs)
}

/// The regular files below `root`, relative to it, in order.
fn files_below(root: &Path) -> Vec<Vec<u8>> {
    let (mut found, mut pending) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).expect("a directory can be read") {
            let entry = entry.expect("a directory can be read");
            let kind = entry.file_type().expect("a file has a type");
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let below = path.strip_prefix(root).expect("found below the root");
                found.push(below.as_os_str().as_bytes().to_vec());
            }
        }
    }
    found.retain(|path| !path.contains(&b'\n')); // which the lists here cannot say
    found.sort();
    found
}

/// About `count` files evenly out of all, and at least one of each kind.
fn choose(all: &[Vec<u8>], count: usize) -> Vec<&[u8]> {
    let step = all.len().div_ceil(count).max(1);
    let mut kinds = HashSet::new();
    let mut is_chosen = |(number, path): &(usize, &Vec<u8>)| {
        let kind = Path::new(on_disk(path)).extension().map(ToOwned::to_owned);
        kinds.insert(kind) || number % step == 0
    };
    let chosen = all.iter().enumerate().filter(|file| is_chosen(file));
    chosen.map(|(_, path)| path.as_slice()).collect()
}

fn on_disk(path: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(path)
}

/// Everything but unreserved characters and slashes is escaped (RFC 3986 §2.3).
fn percent_encoded(path: &[u8]) -> String {
    let mut encoded = String::new();
    for &octet in path {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(octet));
            }
            _ => write!(encoded, "%{octet:02X}").expect("a string takes any text"),
        }
    }
    encoded
}

fn seconds(path: &Path) -> u64 {
    let modified = fs::metadata(path).and_then(|file| file.modified()).expect("a file has a date");
    modified.duration_since(SystemTime::UNIX_EPOCH).expect("a date after 1970").as_secs()
}

pub(crate) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn text(output: &Output) -> String {
    let both = [&output.stderr[..], &output.stdout[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Prints even when the test passes, which `println!` in a test does not.
fn say(what: &str) {
    let line = format!("real_site: {what}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
