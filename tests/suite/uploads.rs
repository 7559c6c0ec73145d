//! That writes lose nothing: kills, full disks, races, readers beside writers, clients that break,
//! and what is on the disk when they are answered.
//!
//! Every content names its version in each eight octets of it and has a length that follows from
//! the version, so that a part of one version beside a part of another is always seen.

mod broken;
mod durable;
mod early;
mod full;
mod kills;
mod races;
mod readers;

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use conformance::client::Client;
use conformance::response::Response;
use conformance::server::{Server, ServerOptions};

use crate::lifecycle::{SOON, wait_until};

/// Where nobody is slow but the machine: no client is cut for it.
const PATIENT: [&str; 6] = ["--head-timeout", "600", "--stall-timeout", "600", "--min-rate", "0"];

fn writable() -> Server {
    Server::start(ServerOptions::new().arg("--writable").args(PATIENT))
}

#[track_caller]
fn connect(server: &Server) -> Client {
    Client::connect(server.addr()).expect("the server accepts")
}

/// The head of a request; `fields` are whole field lines.
fn head(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// The head of a PUT of so many octets.
fn put_head(path: &str, fields: &str, length: usize) -> String {
    head("PUT", path, &format!("{fields}Content-Length: {length}\r\n"))
}

/// Sends a request without content and reads the answer.
fn ask(client: &mut Client, method: &str, path: &str, fields: &str) -> Result<Response, String> {
    client.send(head(method, path, fields).as_bytes()).map_err(|e| e.to_string())?;
    client.response_to(method == "HEAD")
}

/// Sends a PUT with its content in one write and reads the answer.
fn put(client: &mut Client, path: &str, fields: &str, content: &[u8]) -> Result<Response, String> {
    let request = [put_head(path, fields, content.len()).as_bytes(), content].concat();
    client.send(&request).map_err(|e| e.to_string())?;
    client.response()
}

/// `content` in the chunked coding (RFC 9112 §7.1).
fn chunked(content: &[u8], chunk: usize) -> Vec<u8> {
    let mut coded = Vec::with_capacity(content.len() + 64);
    for part in content.chunks(chunk) {
        coded.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        coded.extend_from_slice(part);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

/// The content of a GET on a connection of its own, `None` for a 404.
#[track_caller]
fn get(server: &Server, path: &str) -> Option<Vec<u8>> {
    let response = ask(&mut connect(server), "GET", path, "").expect("an answer");
    match response.status {
        200 => Some(response.body),
        404 => None,
        status => panic!("GET {path}: {status}"),
    }
}

/// The paths of all files beneath `dir`, from there.
fn files_beneath(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next).expect("a directory can be read") {
            let path = entry.expect("a directory can be read").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let path = path.strip_prefix(dir).expect("it lies beneath");
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

/// That soon nothing is beneath `dir` but these files.
#[track_caller]
fn assert_only(dir: &Path, names: &[&str], after: &str) {
    let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let cleared = wait_until(SOON, || files_beneath(dir) == names);
    assert!(cleared, "{after}: there is {:?}", files_beneath(dir));
}

/// Contents are made of blocks, in which a long one is quickly made.
const BLOCK: usize = 4096;

/// Contents that name their version, of lengths in a range.
#[derive(Clone)]
struct Versions {
    lengths: RangeInclusive<usize>,
}

impl Versions {
    fn new(lengths: RangeInclusive<usize>) -> Versions {
        assert!(*lengths.start() >= 8, "a version takes eight octets");
        Versions { lengths }
    }

    fn length(&self, version: u32) -> usize {
        let span = self.lengths.end() - self.lengths.start() + 1;
        self.lengths.start() + version.wrapping_mul(0x9E37_79B9) as usize % span
    }

    /// Each eight octets are the version and their place in the block, and the first eight of a
    /// block the version and which block it is.
    fn content(&self, version: u32) -> Vec<u8> {
        let words = |number: u32| [version.to_le_bytes(), number.to_le_bytes()].concat();
        let block: Vec<u8> = (0..BLOCK as u32 / 8).flat_map(words).collect();
        let length = self.length(version);
        let mut content = Vec::with_capacity(length + BLOCK);
        for number in 0..length.div_ceil(BLOCK) as u32 {
            content.extend_from_slice(&words(number));
            content.extend_from_slice(&block[8..]);
        }
        content.truncate(length);
        content
    }

    /// Which version `content` is, if it is one and whole.
    fn read(&self, content: &[u8]) -> Result<u32, String> {
        let first = content.first_chunk().ok_or_else(|| format!("{} octets", content.len()))?;
        let version = u32::from_le_bytes(*first);
        let whole = self.content(version);
        if content == whole {
            return Ok(version);
        }
        let differs = content.iter().zip(&whole).position(|(a, b)| a != b);
        let (found, expected) = (content.len(), whole.len());
        Err(format!("{found} octets of {expected} of {version}, differing from {differs:?}"))
    }
}

/// Numbers that look random and are the same for the same seed (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        random.below(1); // neighbouring seeds begin alike
        random
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// Lets threads go on when all of them have come, as a barrier does; but one that fails before
/// that does not leave the others waiting without end.
struct Meeting {
    missing: Mutex<usize>,
    complete: Condvar,
}

impl Meeting {
    fn of(threads: usize) -> Meeting {
        Meeting { missing: Mutex::new(threads), complete: Condvar::new() }
    }

    #[track_caller]
    fn wait(&self) {
        let mut missing = self.missing.lock().expect("nobody panics while counting");
        *missing -= 1;
        self.complete.notify_all();
        let patience = Duration::from_secs(120);
        let waited = self.complete.wait_timeout_while(missing, patience, |missing| *missing > 0);
        let (missing, _) = waited.expect("nobody panics while counting");
        let absent = *missing;
        drop(missing); // a panic must not poison it for the others
        assert_eq!(absent, 0, "so many others have not come this far");
    }
}

#[test]
fn a_mix_of_versions_is_told_from_each_of_them() {
    let versions = Versions::new(3_000..=10_000);
    for version in 1..50 {
        let (one, other) = (versions.content(version), versions.content(version + 1));
        assert_eq!(versions.read(&one), Ok(version));
        for at in (0..one.len().min(other.len())).step_by(499) {
            let mixed = [&one[..at], &other[at..]].concat();
            assert!(mixed == other || versions.read(&mixed).is_err(), "{version} to {at}");
            let shifted = [&one[at..], &one[..at]].concat();
            assert!(shifted == one || versions.read(&shifted).is_err(), "{version} from {at}");
        }
        assert!(versions.read(&one[..one.len() - 1]).is_err(), "{version} cut short");
        assert!(versions.read(&[&one[..], b"x"].concat()).is_err(), "{version} and more");
    }
}
