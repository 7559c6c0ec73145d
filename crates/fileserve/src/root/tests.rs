//! What can be opened beneath a directory, both ways of looking it up.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, mkfifoat};
use tempfile::TempDir;

use super::*;

/// A root with something of everything in it, and things outside that nobody may reach.
///
/// ```text
/// secret            root/a.txt         root/link -> a.txt     root/out    -> ../secret
/// elsewhere/b.txt   root/dir/b.txt     root/down -> dir       root/abs    -> /.../root/a.txt
///                   root/dir/up -> ../a.txt                   root/outdir -> ../elsewhere
///                   root/fifo, socket  root/loop -> loop      root/null   -> /dev/null
///                   root/<ff>.txt      root/gone -> nothing   root/tricky -> dir/../../secret
/// ```
fn tree() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("root/dir")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    for name in ["secret", "elsewhere/b.txt", "root/a.txt", "root/dir/b.txt"] {
        fs::write(at(name), name).unwrap();
    }
    fs::write(at("root").join(OsStr::from_bytes(b"\xff.txt")), "bytes").unwrap();
    let absolute = at("root/a.txt");
    for (name, target) in [
        ("link", "a.txt"),
        ("down", "dir"),
        ("dir/up", "../a.txt"),
        ("out", "../secret"),
        ("abs", absolute.to_str().unwrap()),
        ("outdir", "../elsewhere"),
        ("loop", "loop"),
        ("gone", "nothing"),
        ("null", "/dev/null"),
        ("tricky", "dir/../../secret"),
    ] {
        symlink(target, at("root").join(name)).unwrap();
    }
    mkfifoat(CWD, at("root/fifo"), Mode::from_raw_mode(0o644)).unwrap();
    UnixListener::bind(at("root/socket")).unwrap();
    home
}

/// The root of `tree` both ways: as this kernel does it, and segment by segment.
fn roots(home: &TempDir) -> [Root; 2] {
    let path = home.path().join("root");
    let walking = Root { lookup: Lookup::Walk, ..Root::open(&path).unwrap() };
    [Root::open(&path).unwrap(), walking]
}

fn path(target: &str) -> RelPath {
    RelPath::parse(target, false).expect(target)
}

/// What a client would get for `target`: the file's content, `dir/`, or the reason.
fn fetch(root: &Root, target: &str) -> String {
    show(root.open_file(&path(target)))
}

fn show(opened: Result<Opened, Refusal>) -> String {
    match opened {
        Ok(Opened { facts: Facts { kind: Kind::Directory, .. }, .. }) => "dir/".to_owned(),
        Ok(Opened { mut file, facts }) => {
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            assert_eq!(content.len() as u64, facts.len);
            content
        }
        Err(refusal) => refusal.reason().to_owned(),
    }
}

/// target, how the kernel answers, how walking answers
const TARGETS: [(&str, &str, &str); 20] = [
    ("/", "dir/", "dir/"),
    ("/a.txt", "root/a.txt", "root/a.txt"),
    ("/dir", "dir/", "dir/"),
    ("/dir/b.txt", "root/dir/b.txt", "root/dir/b.txt"),
    ("/dir/../a.txt", "root/a.txt", "root/a.txt"),
    ("/%ff.txt", "bytes", "bytes"),
    ("/nothing", "not-found", "not-found"),
    ("/nothing/a", "not-found", "not-found"),
    ("/a.txt/a", "not-a-directory", "not-a-directory"),
    ("/link", "root/a.txt", "symlink-loop"),
    ("/down/b.txt", "root/dir/b.txt", "not-a-directory"),
    ("/dir/up", "root/a.txt", "symlink-loop"),
    ("/out", "outside-root", "symlink-loop"),
    ("/abs", "outside-root", "symlink-loop"),
    ("/outdir/b.txt", "outside-root", "not-a-directory"),
    ("/tricky", "outside-root", "symlink-loop"),
    ("/null", "outside-root", "symlink-loop"),
    ("/loop", "symlink-loop", "symlink-loop"),
    ("/gone", "not-found", "symlink-loop"),
    ("/fifo", "not-regular", "not-regular"),
];

#[test]
fn only_what_is_beneath_the_root_opens() {
    let home = tree();
    let [kernel, walking] = roots(&home);
    for (target, by_kernel, by_walking) in TARGETS {
        if kernel.lookup != Lookup::Walk {
            assert_eq!(fetch(&kernel, target), by_kernel, "{target}");
        }
        assert_eq!(fetch(&walking, target), by_walking, "{target}");
    }
}

#[test]
fn a_socket_is_not_served() {
    let home = tree();
    for root in roots(&home) {
        assert_eq!(fetch(&root, "/socket"), "not-regular");
    }
}

#[test]
fn a_cached_lookup_never_contradicts_the_one_that_may_block() {
    let home = tree();
    let [kernel, walking] = roots(&home);
    let mut answered = 0;
    for (target, by_kernel, _) in TARGETS {
        if let Some(opened) = kernel.open_cached(&path(target)) {
            assert_eq!(show(opened), by_kernel, "{target}");
            answered += 1;
        }
        assert!(walking.open_cached(&path(target)).is_none(), "{target}");
    }
    if matches!(kernel.lookup, Lookup::Kernel { cached: true, .. }) {
        assert!(answered > 0, "everything was just written, so something is in memory");
    }
}

#[test]
fn a_magic_link_is_not_followed() {
    let root = Root::open("/proc/self").unwrap();
    let walking = Root { lookup: Lookup::Walk, ..Root::open("/proc/self").unwrap() };
    for root in [root, walking] {
        assert_eq!(fetch(&root, "/exe"), "symlink-loop");
        let refusal = root.open_file(&path("/cwd/Cargo.toml")).unwrap_err();
        assert_eq!(refusal.status().code(), 404, "{refusal}");
    }
}

#[test]
fn a_renamed_root_stays_the_same_root() {
    let home = tree();
    for root in roots(&home) {
        let (old, new) = (home.path().join("root"), home.path().join("renamed"));
        fs::rename(&old, &new).unwrap();
        fs::create_dir(&old).unwrap();
        fs::write(old.join("a.txt"), "an impostor").unwrap();
        assert_eq!(fetch(&root, "/a.txt"), "root/a.txt");
        fs::remove_dir_all(&old).unwrap();
        fs::rename(&new, &old).unwrap();
    }
}

#[test]
fn a_root_must_be_a_directory() {
    let home = tree();
    let open = |name: &str| Root::open(home.path().join(name)).map(drop).map_err(|e| e.kind());
    assert_eq!(open("root/a.txt"), Err(io::ErrorKind::NotADirectory));
    assert_eq!(open("nothing"), Err(io::ErrorKind::NotFound));
    assert_eq!(open("root/down"), Ok(()), "the owner may name it by a link");
}

#[test]
fn what_the_mode_forbids_is_not_permitted() {
    if rustix::process::geteuid().is_root() {
        return; // Whom modes do not stop.
    }
    let home = tree();
    let file = home.path().join("root/a.txt");
    fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
    for root in roots(&home) {
        assert_eq!(fetch(&root, "/a.txt"), "not-permitted");
    }
}

#[test]
fn facts_are_those_of_the_descriptor() {
    let home = tree();
    let at = home.path().join("root/a.txt");
    fs::set_permissions(&at, fs::Permissions::from_mode(0o640)).unwrap();
    for root in roots(&home) {
        let opened = root.open_file(&path("/a.txt")).unwrap();
        let meta = opened.file.metadata().unwrap();
        assert_eq!(opened.facts.mtime, meta.modified().unwrap());
        assert_eq!((opened.facts.kind, opened.facts.len), (Kind::File, 10));
        assert_eq!(opened.facts.mode, 0o640);
        assert_eq!(opened.facts.id, root.open_file(&path("/a.txt")).unwrap().facts.id);
        assert_ne!(opened.facts.id, root.open_file(&path("/dir")).unwrap().facts.id);
    }
}

#[test]
fn times_before_1970_are_told_right() {
    let home = tree();
    let long_ago = UNIX_EPOCH - Duration::new(86_400, 250_000_000);
    let file = File::options().write(true).open(home.path().join("root/a.txt")).unwrap();
    file.set_modified(long_ago).unwrap();
    for root in roots(&home) {
        assert_eq!(root.open_file(&path("/a.txt")).unwrap().facts.mtime, long_ago);
    }
    assert_eq!(time_of(-1, 999_999_999), UNIX_EPOCH - Duration::from_nanos(1));
    assert_eq!(time_of(i64::MIN, 0).max(UNIX_EPOCH), UNIX_EPOCH, "out of range is no panic");
    time_of(i64::MAX, u64::MAX);
}

#[test]
fn a_directory_opens_for_writing_beneath_and_a_file_does_not() {
    let home = tree();
    for root in roots(&home) {
        let dir = root.open_dir(&path("/dir")).unwrap();
        rustix::fs::fsync(&dir).unwrap();
        root.open_dir(&RelPath::root()).unwrap();
        assert_eq!(root.open_dir(&path("/a.txt")).unwrap_err(), Refusal::NotADirectory);
        assert_eq!(root.open_dir(&path("/nothing")).unwrap_err(), Refusal::NotFound);
        assert_eq!(root.open_dir(&path("/fifo")).unwrap_err(), Refusal::NotADirectory);
        assert_eq!(root.open_dir(&path("/outdir")).unwrap_err().status().code(), 404);
    }
}

/// Names with a `/` behind directories, in order.
fn listed(root: &Root, target: &str, serve_hidden: bool) -> Vec<String> {
    let path = path(target);
    let dir = root.open_file(&path).unwrap();
    let listing = root.list(&dir, &path, serve_hidden).unwrap();
    assert!(!listing.truncated);
    let show = |entry: &Entry| match entry.facts.kind {
        Kind::Directory => format!("{}/", entry.name.escape_ascii()),
        Kind::File => entry.name.escape_ascii().to_string(),
    };
    let mut names: Vec<String> = listing.entries.iter().map(show).collect();
    names.sort();
    names
}

#[test]
fn a_listing_holds_what_can_be_fetched() {
    let home = tree();
    for name in [".env", ".well-known", ".httpd-upload-1"] {
        fs::write(home.path().join("root").join(name), "").unwrap();
    }
    let [kernel, walking] = roots(&home);
    if kernel.lookup != Lookup::Walk {
        let all = [".well-known", "\\xff.txt", "a.txt", "dir/", "down/", "link"];
        assert_eq!(listed(&kernel, "/", false), all);
        assert_eq!(listed(&kernel, "/dir/", false), ["b.txt", "up"]);
    }
    assert_eq!(listed(&walking, "/", false), [".well-known", "\\xff.txt", "a.txt", "dir/"]);
    let hidden = [".env", ".well-known", "\\xff.txt", "a.txt", "dir/"];
    assert_eq!(listed(&walking, "/", true), hidden);
    assert_eq!(listed(&walking, "/dir/", false), ["b.txt"]);
}

#[test]
fn a_directory_can_be_listed_twice_and_a_file_not_at_all() {
    let home = tree();
    for root in roots(&home) {
        let dir = root.open_file(&path("/dir")).unwrap();
        for _ in 0..2 {
            assert!(!root.list(&dir, &path("/dir"), false).unwrap().entries.is_empty());
        }
        let file = root.open_file(&path("/a.txt")).unwrap();
        assert_eq!(root.list(&file, &path("/a.txt"), false).unwrap_err(), Refusal::NotADirectory);
    }
}

#[test]
fn a_huge_directory_is_listed_in_part_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..=LISTED_NAMES_MAX {
        File::create(home.path().join(n.to_string())).unwrap();
    }
    let root = Root::open(home.path()).unwrap();
    let dir = root.open_file(&RelPath::root()).unwrap();
    let listing = root.list(&dir, &RelPath::root(), false).unwrap();
    assert!(listing.truncated);
    assert!(listing.entries.len().abs_diff(LISTED_NAMES_MAX) <= 2);
    fs::remove_file(home.path().join("0")).unwrap();
    assert!(!root.list(&dir, &RelPath::root(), false).unwrap().truncated);
}
