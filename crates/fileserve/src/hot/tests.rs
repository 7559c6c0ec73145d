//! What is kept is what there is, whatever happens to it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use http_proto::server::{Answer, Body, Handler};
use http_proto::{Limits, RequestHead};
use tempfile::TempDir;

use super::*;
use crate::AccessLog;
use crate::options::Options;

struct Site {
    home: TempDir,
    files: Files,
    /// Changes so far: each version of a file has a time of its own, long ago.
    changes: u64,
}

impl Site {
    fn new() -> Site {
        Site::with(CacheLimits::default())
    }

    fn with(cache: CacheLimits) -> Site {
        let home = tempfile::tempdir().expect("a directory");
        let options = Options { cache, workers: 1, ..Options::default() };
        let log = Arc::new(AccessLog::off());
        let files = Files::new(home.path(), options, log).expect("a root");
        Site { home, files, changes: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Gives a file a time at which nothing else is changed any more.
    fn age(&mut self, path: &Path) {
        self.changes += 1;
        let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + self.changes);
        let file = File::options().write(true).open(path).expect("it is there");
        file.set_modified(time).expect("a time");
    }

    /// Writes a file anew, in place.
    fn write(&mut self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("it can be made");
        fs::write(&path, content).expect("written");
        self.age(&path);
    }

    /// Puts another file in the place of one.
    fn replace(&mut self, name: &str, content: &str) {
        self.write("other", content);
        fs::rename(self.path("other"), self.path(name)).expect("renamed");
    }

    fn ask<T>(&self, path: &str, fields: &str, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).expect("a request");
        let address = ([127, 0, 0, 1], 1).into();
        let now = SystemTime::now();
        ask(&Request { head: &head, peer: address, local: address, worker: 0, now, arrived: None })
    }

    /// The answer, as every client gets it.
    fn get(&self, path: &str) -> String {
        self.ask(path, "", |request| {
            let response =
                self.files.recall(request).unwrap_or_else(|| match self.files.answer(request) {
                    Answer::Respond(response) => response,
                    Answer::Receive(_) => panic!("a GET brings nothing"),
                });
            brief(&response)
        })
    }

    /// The answer that is kept.
    fn kept(&self, path: &str) -> Option<String> {
        self.kept_for(path, "")
    }

    fn kept_for(&self, path: &str, fields: &str) -> Option<String> {
        self.ask(path, fields, |request| {
            self.files.hot.answer(&self.files, request).map(|response| brief(&response))
        })
    }

    /// Asks until the answer is kept, which takes a moment where a disk has to be asked.
    fn warm(&self, path: &str) -> String {
        for _ in 0..3_000 {
            self.get(path);
            if let Some(kept) = self.kept(path) {
                return kept;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{path} is not kept: {}", self.get(path));
    }

    /// Whether the file system here tells in memory alone what a file holds and that there is none:
    /// what keeping is built on, so that where it does everything below has to hold.
    fn keeps(&mut self) -> bool {
        self.write("probe", "x");
        let path = |name: &str| RelPath::parse(name, false).expect("a path");
        let _ = self.files.root.look_at(&path("/none"));
        let none = matches!(self.files.root.open_plain(&path("/none")), Looked::Missing);
        let there = match self.files.root.open_plain(&path("/probe")) {
            Looked::There(opened) => crate::root::read_cached(&opened.file, &mut [0], 0),
            _ => false,
        };
        if !(none && there) {
            println!("skipped: this file system cannot be looked at in memory alone");
        }
        none && there
    }
}

/// Status and content.
fn brief(response: &Response) -> String {
    let content = match response.content() {
        Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Body::Shared(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Body::File(file, range) => {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            std::os::unix::fs::FileExt::read_exact_at(&**file, &mut bytes, range.start)
                .expect("it is there");
            format!("{} octets of {}", bytes.len(), bytes[0] as char)
        }
        _ => String::new(),
    };
    match response.status().code() {
        200 => content,
        206 => format!("206 {content}"),
        code => code.to_string(),
    }
}

#[test]
fn what_is_asked_for_is_kept() {
    let mut site = Site::new();
    if !site.keeps() {
        return;
    }
    site.write("a.bin", "one");
    site.write("docs/index.html", "index");
    site.write("long.bin", &"x".repeat(100_000));
    site.write("a.txt", "text");
    site.write("a.txt.gz", "gzip");
    assert_eq!(site.warm("/a.bin"), "one");
    assert_eq!(site.warm("/docs/"), "index");
    assert_eq!(site.warm("/docs/index.html"), "index");
    assert_eq!(site.warm("/long.bin"), "100000 octets of x");
    assert_eq!(site.warm("/gone.bin"), "404");
    assert_eq!(site.warm("/gone/gone/gone.bin"), "404");
    assert_eq!(site.warm("/a.txt"), "text");
    for (fields, expected) in [
        ("Accept-Encoding: gzip\r\n", Some("gzip")),
        ("Accept-Encoding: br\r\n", Some("text")),
        ("If-None-Match: *\r\n", Some("304")),
        ("If-Match: \"other\"\r\n", Some("412")),
        ("Range: bytes=1-2\r\n", Some("206 ex")),
        ("Range: bytes=9-\r\n", Some("416")),
        ("X-Range: bytes=9-\r\n", Some("text")),
        // Rare, and left to others.
        ("Range: bytes=0-0, 2-2\r\n", None),
    ] {
        assert_eq!(site.kept_for("/a.txt", fields).as_deref(), expected, "{fields}");
    }
    assert_eq!(site.kept_for("/long.bin", "Range: bytes=7-9\r\n").as_deref(), Some("206 xxx"));
    // What is written otherwise, or leads elsewhere, or is a list, is answered anew each time.
    site.write("list/a.bin", "a");
    symlink("a.bin", site.path("link.bin")).expect("a link");
    for path in ["/%61.bin", "/a.bin/../a.bin", "/link.bin", "/list/", "/list", "/docs"] {
        site.get(path);
        site.get(path);
        assert_eq!(site.kept(path), None, "{path}");
    }
}

/// Ten thousand changes of every kind, and after each the next answer is the new one.
#[test]
fn every_change_is_seen_by_the_next_request() {
    let mut site = Site::new();
    let keeps = site.keeps();
    for dir in ["dir", "aside"] {
        site.write(&format!("{dir}/a.bin"), dir);
    }
    symlink("dir", site.path("link")).expect("a link");
    let mut kept = 0;
    for round in 0..10_000 {
        let new = format!("version {round}");
        let (path, expected) = match round % 12 {
            // Without a time that is long ago; rarely, since it is not kept for a while then.
            3 if round % 1_200 == 3 => {
                fs::write(site.path("a.bin"), &new).expect("written");
                ("/a.bin", new)
            }
            0 | 1 | 3 => {
                site.replace("a.bin", &new);
                ("/a.bin", new)
            }
            2 => {
                site.write("a.bin", &new);
                ("/a.bin", new)
            }
            4 => {
                let mut file = File::options().append(true).open(site.path("a.bin")).expect("open");
                file.write_all(b" more").expect("written");
                let path = site.path("a.bin");
                site.age(&path);
                ("/a.bin", fs::read_to_string(&path).expect("read"))
            }
            5 => {
                let path = site.path("a.bin");
                File::options().write(true).open(&path).expect("open").set_len(3).expect("cut");
                site.age(&path);
                ("/a.bin", "ver".to_owned())
            }
            6 => {
                fs::remove_file(site.path("a.bin")).expect("removed");
                ("/a.bin", "404".to_owned())
            }
            7 => {
                site.write("a.bin", &new);
                ("/a.bin", new)
            }
            // A directory gives way to another one.
            8 => {
                let paths = ["dir", "swap", "aside"].map(|name| site.path(name));
                fs::rename(&paths[0], &paths[1]).expect("moved");
                fs::rename(&paths[2], &paths[0]).expect("moved");
                fs::rename(&paths[1], &paths[2]).expect("moved");
                let there = fs::read_to_string(site.path("dir/a.bin")).expect("read");
                ("/dir/a.bin", there)
            }
            // A link is switched.
            9 => {
                let target = if round % 24 == 9 { "aside" } else { "dir" };
                symlink(target, site.path("new")).expect("a link");
                fs::rename(site.path("new"), site.path("link")).expect("switched");
                let there = fs::read_to_string(site.path("link/a.bin")).expect("read");
                ("/link/a.bin", there)
            }
            // Another name of the same file is written to.
            10 => {
                let _ = fs::remove_file(site.path("name.bin"));
                fs::hard_link(site.path("a.bin"), site.path("name.bin")).expect("a name");
                assert_eq!(site.get("/a.bin"), site.get("/name.bin"));
                site.write("name.bin", &new);
                ("/a.bin", new)
            }
            _ => {
                fs::remove_dir_all(site.path("dir")).expect("removed");
                site.write("dir/a.bin", &new);
                ("/dir/a.bin", new)
            }
        };
        assert_eq!(site.get(path), expected, "round {round}: {path}");
        // Kept now, so that the next change has something to overcome.
        assert_eq!(site.get(path), expected, "round {round} again: {path}");
        kept += u64::from(site.kept(path).is_some());
    }
    assert!(!keeps || kept > 5_000, "only {kept} of them were kept");
}

/// What depends on more than a file: a compressed copy beside it, an index, a mode.
#[test]
fn what_appears_or_goes_beside_a_file_is_seen() {
    let mut site = Site::new();
    if !site.keeps() {
        return;
    }
    site.write("a.txt", "text");
    site.write("docs/index.html", "index");
    let coded = |site: &Site| {
        site.ask("/a.txt", "Accept-Encoding: gzip\r\n", |request| {
            let response =
                site.files.recall(request).or_else(|| match site.files.answer(request) {
                    Answer::Respond(response) => Some(response),
                    Answer::Receive(_) => None,
                });
            brief(&response.expect("an answer"))
        })
    };
    assert_eq!(site.warm("/a.txt"), "text");
    site.write("a.txt.gz", "gzip");
    assert_eq!(coded(&site), "gzip");
    site.warm("/a.txt");
    assert_eq!(site.kept_for("/a.txt", "Accept-Encoding: gzip\r\n").as_deref(), Some("gzip"));
    fs::remove_file(site.path("a.txt.gz")).expect("removed");
    assert_eq!(coded(&site), "text");

    assert_eq!(site.warm("/docs/"), "index");
    fs::remove_file(site.path("docs/index.html")).expect("removed");
    assert!(site.get("/docs/").contains("<html"), "a list");

    site.warm("/a.txt");
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(site.path("a.txt"), mode).expect("a mode");
    assert_eq!(site.kept("/a.txt"), None, "looked at anew");
    site.write("docs/b.bin", "b");
    assert_eq!(site.warm("/docs/b.bin"), "b");
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(site.path("docs"), mode).expect("a mode");
    assert_eq!(site.kept("/docs/b.bin"), None, "looked at anew");

    assert_eq!(site.warm("/new/a.bin"), "404");
    site.write("new/a.bin", "here");
    assert_eq!(site.get("/new/a.bin"), "here");
}

#[test]
fn a_part_of_a_long_file_is_the_same_from_memory_and_new_after_a_change() {
    let mut site = Site::new();
    if !site.keeps() {
        return;
    }
    let long = |octet: &str| octet.repeat(3 * page::CONTENT_BYTES_MAX as usize);
    site.write("long.bin", &long("a"));
    site.warm("/long.bin");
    let part = |site: &Site, range: &str| {
        let kept = site.kept_for("/long.bin", &format!("Range: bytes={range}\r\n"));
        kept.expect("the file is open, and in memory")
    };
    let octets = |site: &Site| {
        site.ask("/long.bin", "Range: bytes=7-9\r\n", |request| {
            let response = site.files.hot.answer(&site.files, request).expect("it is open");
            match response.content() {
                Body::Shared(octets) => Arc::clone(octets),
                _ => panic!("not from memory"),
            }
        })
    };
    assert!(Arc::ptr_eq(&octets(&site), &octets(&site)), "read once");
    for _ in 0..3 {
        assert_eq!(part(&site, "100000-100003"), "206 aaaa");
        assert_eq!(part(&site, "100000-100001"), "206 aa", "one that begins alike");
        assert_eq!(part(&site, "-4"), "206 aaaa");
    }
    let file = File::options().write(true).open(site.path("long.bin")).expect("open");
    std::os::unix::fs::FileExt::write_all_at(&file, b"bb", 100_002).expect("written");
    site.age(&site.path("long.bin"));
    site.warm("/long.bin");
    assert_eq!(part(&site, "100000-100003"), "206 aabb");
}

/// Some changes nobody is told of.
#[test]
fn what_is_kept_is_compared_with_the_disk_now_and_then() {
    let mut site = Site::new();
    if !site.keeps() {
        return;
    }
    site.write("a.bin", "one");
    site.write("a.txt", "text");
    let later = |site: &Site, path: &str, by| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).expect("a request");
        let address = ([127, 0, 0, 1], 1).into();
        let now = SystemTime::now() + by;
        let request =
            Request { head: &head, peer: address, local: address, worker: 0, now, arrived: None };
        site.files.hot.answer(&site.files, &request).map(|response| brief(&response))
    };
    for path in ["/a.bin", "/a.txt"] {
        let kept = Some(site.warm(path));
        assert_eq!(later(&site, path, Duration::ZERO), kept);
        assert_eq!(later(&site, path, CHECK_AFTER), kept, "compared, and the same");
    }
    // As if nobody had been told.
    let forget = |site: &Site, name: &str, content: &str| {
        let shelf = site.files.hot.shelves.0[0].lock().expect("nobody panics");
        let path = site.path(name);
        let modified = fs::metadata(&path).and_then(|facts| facts.modified()).expect("a time");
        fs::write(&path, content).expect("written");
        let file = File::options().write(true).open(&path).expect("open");
        file.set_modified(modified).expect("a time");
        drop(file);
        let mut shelf = shelf;
        while !shelf.watch.changes().is_empty() {}
    };
    site.warm("/a.bin");
    forget(&site, "a.bin", "two");
    assert_eq!(later(&site, "/a.bin", Duration::ZERO).as_deref(), Some("one"), "nobody was told");
    assert_eq!(later(&site, "/a.bin", 3 * CHECK_AFTER), None, "looked at anew");
    assert_eq!(site.get("/a.bin"), "two");
    // What is not there is looked for anew.
    site.warm("/none.bin");
    assert_eq!(later(&site, "/none.bin", CHECK_AFTER), None);
}

#[test]
fn what_is_kept_has_bounds() {
    let mut site = Site::with(CacheLimits { bytes: 100_000, paths: 64, files: 2 });
    if !site.keeps() {
        return;
    }
    let names: Vec<_> = (0..100).map(|number| format!("{number}.bin")).collect();
    for name in &names {
        site.write(name, "x");
    }
    for name in ["long1", "long2", "long3"] {
        site.write(name, &"x".repeat(70_000));
    }
    for _ in 0..3 {
        for name in &names {
            assert_eq!(site.get(&format!("/{name}")), "x");
        }
        for name in ["long1", "long2", "long3"] {
            site.get(&format!("/{name}"));
        }
        let shelf = site.files.hot.shelves.0[0].lock().expect("nobody panics");
        let (bytes, paths, files) = shelf.holdings();
        assert!(bytes <= 100_000 && paths <= 64 && files <= 2, "{bytes} {paths} {files}");
        assert!(paths > 30, "{paths}");
    }
    let mut shelf = site.files.hot.shelves.0[0].lock().expect("nobody panics");
    shelf.sweep();
    drop(shelf);
    // All is let go of, and nothing is watched any more.
    site.files.hot.shelves.0[0].lock().expect("nobody panics").empty();
}

/// However many are asked for: what the cache holds open is taken from nobody else.
#[test]
fn no_more_files_are_open_than_may_be_kept_with_those_that_are_let_go_of() {
    const FILES_MAX: usize = 8;
    let mut site = Site::with(CacheLimits { bytes: 1 << 24, paths: 1_000, files: FILES_MAX });
    if !site.keeps() {
        return;
    }
    let names: Vec<_> = (0..50).map(|number| format!("{number}.bin")).collect();
    for name in &names {
        site.write(name, &"x".repeat(70_000));
    }
    site.write("short.bin", "short");
    let open = || {
        let links = fs::read_dir("/proc/self/fd").expect("proc").flatten();
        let files = links.filter_map(|link| fs::read_link(link.path()).ok());
        files.filter(|path| path.starts_with(site.home.path()) && path != site.home.path()).count()
    };
    site.warm("/0.bin");
    let mut most = 0;
    for _ in 0..4 {
        for name in &names {
            site.get(&format!("/{name}"));
            most = most.max(open());
        }
    }
    assert!((1..=FILES_MAX).contains(&most), "{most}");
    // All are replaced, and more than once, while short ones have room all along.
    for name in names.iter().take(2 * FILES_MAX) {
        site.warm(&format!("/{name}"));
    }
    assert_eq!(site.warm("/short.bin"), "short");
    // So they are by changes, as many as there are.
    for name in &names {
        fs::remove_file(site.path(name)).expect("removed");
        site.get("/short.bin");
        assert!(open() <= FILES_MAX);
    }
}

/// What the kernel watches for a shelf, by its own account: which, and whether as directories.
fn watched_by_kernel(shelf: &Shelf) -> BTreeSet<(i32, bool)> {
    let descriptor = shelf.watch.descriptor().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).expect("proc");
    let watches = info.lines().filter_map(|line| line.strip_prefix("inotify wd:"));
    watches
        .map(|watch| {
            let (id, rest) = watch.split_once(' ').expect("fields");
            // IN_CREATE, which only directories are watched for.
            let mask = rest.split_once("mask:").expect("a mask").1;
            let mask = mask.split(' ').next().expect("a number");
            let mask = u32::from_str_radix(mask, 16).expect("a number");
            (i32::from_str_radix(id, 16).expect("a number"), mask & 0x100 != 0)
        })
        .collect()
}

/// Whatever is done to the files and asked for in between: all that is kept depends on what the
/// kernel watches, as what it is, nothing else is watched, and what is kept is what there is.
#[test]
fn what_is_kept_is_watched_and_nothing_else() {
    const DIRS: [&str; 4] = ["", "d/", "d/e/", "f/"];
    const NAMES: [&str; 4] = ["index.html", "a.html", "b.txt", "c.bin"];
    const ENDINGS: [&str; 3] = ["", ".gz", ".br"];
    let mut site = Site::with(CacheLimits { bytes: 60_000, paths: 24, files: 3 });
    let mut seed = 88_172_645_463_325_252_u64;
    let mut any = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for round in 0..5_000 {
        let name = |any: &mut dyn FnMut(usize) -> usize| {
            format!("{}{}{}", DIRS[any(4)], NAMES[any(4)], ENDINGS[any(3)])
        };
        let (one, other) = (name(&mut any), name(&mut any));
        let (one, other) = (site.path(&one), site.path(&other));
        // Much of this fails, since what it needs is not there; so it does in life.
        match any(24) {
            0 => {
                let content = format!("{round}{}", "x".repeat([5, 3_000, 12_000, 70_000][any(4)]));
                let _ = fs::create_dir_all(one.parent().expect("a directory"));
                if fs::write(&one, content).is_ok() {
                    site.age(&one);
                }
            }
            1 => drop(fs::remove_file(&one)),
            2 => drop(fs::rename(&other, &one)),
            3 => drop(fs::hard_link(&other, &one)),
            4 => drop(fs::rename(site.path("d"), site.path("f/g"))),
            5 => {
                for (from, to) in [("f", "h"), ("d", "f"), ("h", "d")] {
                    let _ = fs::rename(site.path(from), site.path(to));
                }
            }
            6 if any(4) == 0 => drop(fs::remove_dir_all(site.path("d"))),
            _ => {}
        }
        for _ in 0..any(4) {
            let url = match any(8) {
                0 => format!("/{}", DIRS[any(4)]),
                1 => format!("/{}", DIRS[any(4)].trim_end_matches('/')),
                2 => format!("/{}nothing{}", DIRS[any(4)], any(3)),
                _ => format!("/{}", name(&mut any)),
            };
            site.get(&url);
            site.get(&url);
            if let Some(kept) = site.kept(&url) {
                let fresh = site.ask(&url, "", |request| match site.files.answer(request) {
                    Answer::Respond(response) => brief(&response),
                    Answer::Receive(_) => panic!("a GET brings nothing"),
                });
                let length = |text: &str| text.strip_suffix(" octets of x").map(str::to_owned);
                let same = kept == fresh || length(&kept) == Some(fresh.len().to_string());
                assert!(same, "round {round}: {url}: {:.20} is {:.20}", kept, fresh);
            }
        }
        if round % 5 == 0 {
            let mut shelf = site.files.hot.shelves.0[0].lock().expect("nobody panics");
            // Twice: what is let go of in the first round is told of in the second.
            shelf.catch_up();
            shelf.catch_up();
            assert_eq!(shelf.watches(), watched_by_kernel(&shelf), "round {round}");
        }
    }
    let mut shelf = site.files.hot.shelves.0[0].lock().expect("nobody panics");
    shelf.empty();
    assert_eq!(watched_by_kernel(&shelf), BTreeSet::new());
}

/// Nobody is shown the log, be it as a copy of a file.
#[test]
fn a_log_that_looks_like_a_copy_is_not_kept() {
    let home = tempfile::tempdir().expect("a directory");
    fs::write(home.path().join("a.html"), "page").expect("written");
    let log = AccessLog::to_file(home.path().join("a.html.gz"), crate::LogFormat::Plain, 1);
    let log = Arc::new(log.expect("a log"));
    let options = Options { workers: 1, ..Options::default() };
    let files = Files::new(home.path(), options, log).expect("a root");
    let mut site = Site { home, files, changes: 0 };
    for name in ["a.html", "a.html.gz"] {
        let path = site.path(name);
        site.age(&path);
    }
    for _ in 0..20 {
        site.get("/a.html");
        let kept = site.kept_for("/a.html", "Accept-Encoding: gzip\r\n");
        assert!(kept.is_none_or(|kept| kept == "page"));
        thread::sleep(Duration::from_millis(10));
    }
}
