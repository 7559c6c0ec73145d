//! A disk of a few MiB: what does not fit is refused with 507, and is as if it had never been.
//!
//! The disk is a tmpfs that the server alone sees, in a mount namespace of its own. Where the
//! system allows no such thing, that is said, and the tests are skipped.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use conformance::response::Response;
use conformance::server::{Server, ServerOptions};
use tempfile::TempDir;

use super::{
    Meeting, SOON, Versions, ask, assert_only, chunked, connect, get, head, put_head, wait_until,
};

/// What the server is started with: uploads, and every octet of the disk for them.
const FLAGS: &[&str] = &["--writable", "--keep-free", "0"];
const MIB: usize = 1 << 20;
const DISK_BYTES: usize = 8 * MIB;
/// More than there is.
const TOO_MUCH: usize = 12 * MIB;

/// Ways to have a mount of one's own: as anybody, and as root where users may have no namespaces.
const UNSHARE: [&[&str]; 2] = [&["unshare", "-Urm"], &["unshare", "-m"]];
/// Mounts the disk at `$1` and becomes what follows.
const MOUNT: &str = "mount -t tmpfs -o size=$0,mode=755 none \"$1\" && shift && exec \"$@\"";

/// A server with a small disk for its root.
struct Small {
    server: Server,
    /// The root as it is seen from outside the server's namespace.
    root: PathBuf,
    /// Where the disk is mounted.
    _dir: TempDir,
}

impl Small {
    /// `None`, said, where the system does not let a test mount.
    fn start() -> Option<Small> {
        Small::start_with(FLAGS)
    }

    fn start_with(flags: &[&str]) -> Option<Small> {
        let dir = TempDir::new().expect("a temporary directory");
        let Some(unshare) = UNSHARE.iter().find(|unshare| can_mount(unshare, dir.path())) else {
            // Unlike with `println!`, that is seen although the test passes.
            let why = "uploads: skipped: no namespace with a mount of its own can be had\n";
            let _ = std::io::stderr().write_all(why.as_bytes());
            return None;
        };
        let options = ServerOptions::new().args(flags).root(dir.path());
        let options = options.through(wrapper(unshare, dir.path()));
        let server = Server::start(options);
        let outside = dir.path().strip_prefix("/").expect("a temporary directory's path is whole");
        let root = Path::new("/proc").join(server.pid().to_string()).join("root").join(outside);
        Some(Small { server, root, _dir: dir })
    }

    /// Octets of the disk that are not used.
    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.root).expect("a disk says what is free");
        found.f_bfree * found.f_frsize
    }

    /// That soon so many octets are free, and only these files are there.
    #[track_caller]
    fn assert_clear(&self, free: u64, names: &[&str], after: &str) {
        assert_only(&self.root, names, after);
        let cleared = wait_until(SOON, || self.free() == free);
        assert!(cleared, "{after}: {} octets free instead of {free}", self.free());
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str) -> Response {
        ask(&mut connect(&self.server), method, path, "").expect("an answer")
    }

    #[track_caller]
    fn put(&self, path: &str, content: &[u8]) -> Response {
        self.send(&put_head(path, "", content.len()), content)
    }

    /// Sends a request, of which the server need not take all, and reads the answer.
    #[track_caller]
    fn send(&self, head: &str, content: &[u8]) -> Response {
        let mut client = connect(&self.server);
        client.send(head.as_bytes()).expect("nothing has been refused yet");
        let _ = client.send(content); // fails when it was refused before the end
        client.response().unwrap_or_else(|why| panic!("{head}: {why}"))
    }
}

/// The command that the server is started through.
fn wrapper(unshare: &[&'static str], dir: &Path) -> Vec<std::ffi::OsString> {
    let mut command: Vec<_> = unshare.iter().map(Into::into).collect();
    command.extend(["sh", "-c", MOUNT].map(Into::into));
    command.extend([DISK_BYTES.to_string().into(), dir.into()]);
    command
}

fn can_mount(unshare: &[&'static str], dir: &Path) -> bool {
    let wrapper = wrapper(unshare, dir);
    let mut command = Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn the_small_disk_is_the_servers_alone() {
    let Some(small) = Small::start() else { return };
    assert_eq!(small.put("/file", b"content").status, 201);
    assert_only(&small.root, &["file"], "after the upload");
    assert_eq!(fs::read(small.root.join("file")).unwrap(), b"content");
    assert_eq!(fs::read_dir(small._dir.path()).unwrap().count(), 0);
    assert!(small.free() < DISK_BYTES as u64);
}

#[test]
fn what_does_not_fit_is_answered_507_and_leaves_nothing() {
    let Some(small) = Small::start() else { return };
    let old = Versions::new(5 * MIB..=5 * MIB).content(1);
    assert_eq!(small.put("/file", &old).status, 201);
    let free = small.free();
    let chunks = "Transfer-Encoding: chunked\r\n";
    // The last is as long as what it is to replace, and both must be there for a moment.
    for (path, length) in [("/new", TOO_MUCH), ("/file", TOO_MUCH), ("/file", 5 * MIB)] {
        let content = vec![b'x'; length];
        let by_length = (put_head(path, "", length), content.clone());
        let by_chunks = (head("PUT", path, chunks), chunked(&content, 100_000));
        for (head, content) in [by_length, by_chunks] {
            assert_eq!(small.send(&head, &content).status, 507, "{head}");
            small.assert_clear(free, &["file"], &head);
            assert!(get(&small.server, "/file").as_deref() == Some(&old[..]), "{head}");
            assert_eq!(small.put("/small", b"small").status, 201, "after {head}");
            assert_eq!(get(&small.server, "/small").as_deref(), Some(&b"small"[..]));
            assert_eq!(small.ask("DELETE", "/small").status, 200);
        }
    }
}

#[test]
fn what_cannot_fit_is_refused_before_it_is_sent() {
    let Some(small) = Small::start() else { return };
    assert_eq!(small.put("/file", b"content").status, 201);
    let free = small.free();
    for path in ["/file", "/new"] {
        let mut client = connect(&small.server);
        let head = put_head(path, "Expect: 100-continue\r\n", TOO_MUCH);
        client.send(head.as_bytes()).unwrap();
        assert_eq!(client.response().unwrap().status, 507, "{path}");
        client.closed().unwrap();
        small.assert_clear(free, &["file"], path);
    }
}

#[test]
fn of_uploads_that_do_not_fit_together_each_is_whole_or_not_there() {
    const UPLOADS: u32 = 6;
    let Some(small) = Small::start() else { return };
    let versions = Versions::new(3 * MIB..=3 * MIB);
    let free = small.free();
    for round in 0..3 {
        let begun = Meeting::of(UPLOADS as usize);
        let upload = |number: u32| {
            let content = versions.content(number);
            begun.wait();
            small.put(&format!("/{number}"), &content).status
        };
        let statuses: Vec<u16> = thread::scope(|scope| {
            let upload = &upload;
            let uploads: Vec<_> = (0..UPLOADS).map(|n| scope.spawn(move || upload(n))).collect();
            uploads.into_iter().map(|upload| upload.join().expect("an answer")).collect()
        });
        let is_stored = |number: &u32| statuses[*number as usize] == 201;
        let stored: Vec<String> = (0..UPLOADS).filter(is_stored).map(|n| n.to_string()).collect();
        let what = format!("round {round}: {statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 201 | 507)), "{what}");
        let used = 3 * MIB * stored.len();
        let names: Vec<&str> = stored.iter().map(String::as_str).collect();
        small.assert_clear(free - used as u64, &names, &what);
        for name in &stored {
            let path = format!("/{name}");
            let found = get(&small.server, &path).expect("it was stored");
            assert_eq!(versions.read(&found).map(|n| n.to_string()).as_deref(), Ok(&**name));
            assert_eq!(small.ask("DELETE", &path).status, 200, "{what}");
        }
        small.assert_clear(free, &[], &what);
    }
    assert_eq!(small.put("/alone", &versions.content(9)).status, 201);
}

#[test]
fn a_full_disk_is_read_and_emptied_as_any_other() {
    let Some(small) = Small::start() else { return };
    let free = small.free();
    let mut stored = Vec::new();
    loop {
        let path = format!("/file-{}", stored.len());
        match small.put(&path, &vec![b'x'; 300_000]).status {
            201 => stored.push(path),
            507 => break,
            status => panic!("PUT {path}: {status}"),
        }
        assert!(stored.len() * 300_000 <= DISK_BYTES, "more than the disk can hold");
    }
    let names: Vec<&str> = stored.iter().map(|path| path.trim_start_matches('/')).collect();
    let octets =
        |name: &&str| fs::metadata(small.root.join(name)).expect("it is there").blocks() * 512;
    let used: u64 = names.iter().map(octets).sum();
    small.assert_clear(free - used, &names, "what did not fit");
    fs::write(small.root.join("rest"), vec![b'x'; small.free() as usize]).unwrap();
    assert_eq!(small.free(), 0);
    assert_eq!(small.put(&stored[0], b"even one octet needs a place").status, 507);
    for path in &stored {
        assert_eq!(get(&small.server, path).map(|content| content.len()), Some(300_000));
        assert_eq!(small.ask("DELETE", path).status, 200, "{path}");
    }
    assert_eq!(small.ask("DELETE", "/rest").status, 200);
    small.assert_clear(free, &[], "in the end");
}

#[test]
fn what_is_to_be_kept_free_stays_free() {
    let keep = 6 * MIB;
    let flags = ["--writable", "--keep-free", &keep.to_string()];
    let Some(small) = Small::start_with(&flags) else { return };
    let free = small.free();
    let content = vec![b'x'; 3 * MIB];
    let chunks = "Transfer-Encoding: chunked\r\n";
    let by_length = (put_head("/new", "", content.len()), content.clone());
    let by_chunks = (head("PUT", "/new", chunks), chunked(&content, 100_000));
    for (head, content) in [by_length, by_chunks] {
        assert_eq!(small.send(&head, &content).status, 507, "{head}");
        small.assert_clear(free, &[], &head);
    }
    assert_eq!(small.put("/new", &content[..MIB]).status, 201);
    assert!(small.free() >= keep as u64, "{} octets free", small.free());
}
