//! When something runs out, is forbidden, or changes under one's hands.

mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fileserve::{AccessLog, Files};
use http_proto::server::{Body, Handler};
use rustix::process::{Resource, Rlimit, setrlimit};
use support::{OPTIONS, Site, WRITABLE};

/// A small disk of its own, gone with the value; `None` for who may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<SmallDisk> {
        fs::create_dir_all(&at).expect("a place to mount at");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "fileserve-test"])
            .arg(&at)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(at)),
            _ => None,
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_507_and_keeps_the_old_content() {
    let site = Site::new(WRITABLE);
    let Some(_disk) = SmallDisk::mount(site.path("disk")) else {
        return eprintln!("skipped: only root may mount a small disk");
    };
    site.file("disk/a", "old");
    let long = "x".repeat(100 * 1024);
    assert_eq!(site.brief(&format!("PUT /disk/a\n\n{long}")), "507 storage-full");
    assert_eq!(site.brief(&format!("PUT /disk/b\n\n{long}")), "507 storage-full");
    site.check(&[("GET /disk/a", "200 \"old\""), ("GET /disk/b", "404 not-found")]);
    // What was written of it is gone, so that there is room again.
    let start = std::time::Instant::now();
    while site.names("disk") != ["a"] && start.elapsed().as_secs() < 60 {
        thread::yield_now();
    }
    assert_eq!(site.names("disk"), ["a"]);
    // What has no name goes unseen.
    let put = || site.brief(&format!("PUT /disk/a\n\n{}", "y".repeat(30 * 1024)));
    let mut answer = put();
    while answer == "507 storage-full" && start.elapsed().as_secs() < 60 {
        answer = put();
    }
    assert_eq!(answer, "204 \"\"");
}

#[test]
fn out_of_descriptors_is_503_and_never_404() {
    if !support::is_child() {
        return support::in_child("out_of_descriptors_is_503_and_never_404", |_| {});
    }
    let site = Site::new(WRITABLE);
    site.file("a.txt", "a").file("dir/b.txt", "b").file("with/index.html", "i");
    site.check(&[("GET /a.txt", "200 \"a\"")]);
    let limit = Rlimit { current: Some(64), maximum: Some(64) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut spare: Vec<File> = Vec::new();
    let use_up =
        |spare: &mut Vec<File>| spare.extend((0..).map_while(|_| File::open("/dev/null").ok()));
    use_up(&mut spare);
    // With none left, with one for the directory but none to list it, and so on.
    for free in 0..3 {
        for request in ["GET /a.txt", "GET /dir/", "GET /with/", "PUT /a.txt\n\nnew", "PUT /n\n\nx"]
        {
            let ask = || {
                let answer = site.brief(request);
                let good = answer.starts_with("2") || answer == "503 1 out-of-descriptors";
                assert!(good, "{request} with {free} free: {answer}");
                answer
            };
            // Other threads, which look for leftovers, may have given one back meanwhile.
            let is_refused = |_| {
                use_up(&mut spare);
                ask().starts_with("503")
            };
            match free {
                0 => assert!((0..100).any(is_refused), "{request}"),
                _ => drop(ask()),
            }
        }
        spare.pop();
    }
    // What the last upload held is let go of on a thread of its own.
    let start = std::time::Instant::now();
    while site.brief("DELETE /a.txt") != "200 \"<File Deleted>\"" {
        assert!(start.elapsed().as_secs() < 60, "{}", site.brief("DELETE /a.txt"));
        thread::yield_now();
    }
}

/// Runs the rest of a test as somebody to whom file modes apply.
fn as_nobody(name: &str) -> bool {
    if support::is_child() || !rustix::process::geteuid().is_root() {
        return true;
    }
    support::in_child(name, |child| {
        child.uid(65_534).gid(65_534);
    });
    false
}

#[test]
fn what_the_mode_forbids_is_403() {
    if !as_nobody("what_the_mode_forbids_is_403") {
        return;
    }
    let site = Site::new(WRITABLE);
    site.file("secret", "x").file("dir/a", "a").file("hidden/index.html", "x").file("ro/a", "a");
    site.file("shut/a", "a");
    let set = |name: &str, mode| {
        fs::set_permissions(site.path(name), Permissions::from_mode(mode)).unwrap();
    };
    set("secret", 0o000);
    set("dir", 0o300);
    set("hidden/index.html", 0o000);
    set("ro", 0o555);
    set("shut", 0o600);
    site.check(&[
        ("GET /secret", "403 not-permitted"),
        ("PUT /secret\n\nx", "403 not-permitted"),
        ("DELETE /secret", "403 not-permitted"),
        // It may be passed through, but not read.
        ("GET /dir/a", "200 \"a\""),
        ("GET /dir/", "403 not-permitted"),
        ("GET /hidden/", "403 not-permitted"),
        ("PUT /ro/a\n\nx", "403 not-permitted"),
        ("PUT /ro/b\n\nx", "403 not-permitted"),
        ("DELETE /ro/a", "403 not-permitted"),
        ("GET /shut/a", "403 not-permitted"),
        ("GET /shut/none", "403 not-permitted"),
    ]);
    for (name, mode) in [("dir", 0o700), ("ro", 0o700), ("shut", 0o700)] {
        set(name, mode);
    }
    assert_eq!(site.names("ro"), ["a"]);
}

/// Nothing in it could be had, so that it is better told at the start.
#[test]
fn a_root_that_cannot_be_entered_cannot_be_served() {
    if !as_nobody("a_root_that_cannot_be_entered_cannot_be_served") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root");
    fs::create_dir(&root).unwrap();
    for (mode, expected) in [
        (0o000, Some(std::io::ErrorKind::PermissionDenied)),
        (0o600, Some(std::io::ErrorKind::PermissionDenied)),
        (0o100, None),
    ] {
        fs::set_permissions(&root, Permissions::from_mode(mode)).unwrap();
        let log = Arc::new(AccessLog::off());
        let error = Files::new(&root, OPTIONS, log).err();
        assert_eq!(error.map(|error| error.kind()), expected, "{mode:o}");
    }
}

/// A directory with mode 0711 is a customary way to hide its list and serve its index.
#[test]
fn a_directory_that_cannot_be_read_still_has_its_index() {
    if !as_nobody("a_directory_that_cannot_be_read_still_has_its_index") {
        return;
    }
    let site = Site::new(OPTIONS);
    site.file("dir/index.html", "index").file("bare/a", "a");
    for name in ["dir", "bare"] {
        fs::set_permissions(site.path(name), Permissions::from_mode(0o311)).unwrap();
    }
    site.check(&[
        ("GET /dir", "301 /dir/"),
        ("GET /dir/", "200 \"index\""),
        ("GET /bare/", "403 not-permitted"),
    ]);
    for name in ["dir", "bare"] {
        fs::set_permissions(site.path(name), Permissions::from_mode(0o755)).unwrap();
    }
}

/// Invariant 10: head and content come from one version, whatever is done to the file meanwhile.
#[test]
fn no_answer_mixes_two_versions_of_a_short_file() {
    let site = Site::new(OPTIONS);
    let path = site.path("a");
    site.file("a", "");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                round += 1;
                let (letter, len) = [(b'a', 100), (b'b', 9000), (b'c', 16_000)][round % 3];
                // In place: cut to nothing, then written.
                fs::write(&path, vec![letter; len]).unwrap();
            }
        });
        let mut seen = 0;
        for _ in 0..4000 {
            let (at_once, on_disk) = support::both(&site, "GET /a");
            for response in at_once.into_iter().chain(on_disk) {
                if response.status().code() == 503 {
                    assert_eq!(support::brief(&response), "503 1 busy");
                    continue;
                }
                seen += 1;
                let tag = support::field(&response, "ETag").unwrap();
                let len = tag.trim_start_matches("W/").trim_matches('"').split('-').next().unwrap();
                let len = usize::from_str_radix(len, 16).unwrap();
                let bytes = support::octets(&response);
                assert_eq!(bytes.len(), len, "{tag}");
                // Within one version the lengths say which letters there are.
                let letter = match len {
                    100 => b'a',
                    9000 => b'b',
                    16_000 => b'c',
                    _ => continue,
                };
                assert!(bytes.iter().all(|&b| b == letter), "{len}: two versions in one answer");
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(seen > 0, "the file could be read between two changes");
    });
}

/// What is replaced by renaming, as editors and this server do it, is never half seen.
#[test]
fn a_file_that_is_replaced_is_sent_as_it_was_or_as_it_is() {
    let site = Site::new(WRITABLE);
    site.file("a", vec![b'0'; 30_000]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0u64..200 {
                let letter = char::from(b'a' + (n % 26) as u8).to_string();
                let answer = site.brief(&format!("PUT /a\n\n{}", letter.repeat(20_000)));
                assert_eq!(answer, "204 \"\"");
            }
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            let (_, on_disk) = support::both(&site, "GET /a");
            let bytes = support::octets(&on_disk.unwrap());
            assert!(bytes.iter().all(|&b| b == bytes[0]), "two versions in one answer");
        }
    });
}

#[test]
fn a_root_that_is_none_cannot_be_served() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    for (name, kind) in
        [("none", std::io::ErrorKind::NotFound), ("file", std::io::ErrorKind::NotADirectory)]
    {
        let log = Arc::new(AccessLog::off());
        let error = Files::new(home.path().join(name), OPTIONS, log).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
    }
}

/// The directory that is served is the one that was there at the start, under whatever name.
#[test]
fn a_root_that_is_renamed_or_removed_is_still_the_root() {
    let site = Site::new(OPTIONS);
    site.file("a", "a");
    let (old, new) = (site.path(""), site.path("../moved"));
    fs::rename(&old, &new).unwrap();
    fs::create_dir(&old).unwrap();
    site.check(&[("GET /a", "200 \"a\"")]);
    fs::remove_dir_all(&new).unwrap();
    site.check(&[("GET /a", "404 not-found")]);
    let _: &dyn Handler = &site.files;
}

/// Who reads a long list slowly holds none of the server's heap, and those who read the same list
/// hold it together.
#[test]
fn a_long_list_is_held_once_whoever_reads_it() {
    let site = Site::new(OPTIONS);
    for number in 0..3000 {
        site.file(&format!("long/{number}"), "").file(&format!("other/{number}"), "");
    }
    site.file("short/a", "");
    let file = |request: &str| match site.ask(request).response.content() {
        Body::File(file, range) => Some((Arc::clone(file), range.clone())),
        _ => None,
    };
    let (first, range) = file("GET /long/").expect("a list of 3000 names is sent from a file");
    assert_eq!(range.end, first.metadata().unwrap().len());
    let page = support::content(&site.ask("GET /long/").response);
    assert_eq!(page, "<Index of <a href=\"../\">/</a><a href=\"./\"><bdi>long</bdi></a>/>");
    let (second, _) = file("GET /long/").unwrap();
    assert!(Arc::ptr_eq(&first, &second), "nothing has changed");
    let (other, _) = file("GET /other/").unwrap();
    assert!(!Arc::ptr_eq(&first, &other), "another list");
    fs::write(site.path("long/0"), "longer").unwrap();
    let (changed, _) = file("GET /long/").unwrap();
    assert!(!Arc::ptr_eq(&first, &changed), "another state of it");
    assert!(file("GET /short/").is_none());
}

/// A few threads of the pool at most are kept from others by long lists.
#[test]
fn long_lists_are_made_a_few_at_a_time() {
    let site = Site::new(OPTIONS);
    for number in 0..4000 {
        site.file(&format!("long/{number}"), "");
    }
    site.file("short/a", "");
    let asked = |request: &'static str| {
        let answers: Vec<String> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| (0..2).map(|_| site.brief(request)).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let good = answers.iter().filter(|answer| answer.starts_with("200")).count();
        for answer in answers.iter().filter(|answer| !answer.starts_with("200")) {
            assert_eq!(answer, "503 1 busy", "{request}");
        }
        (good, answers.len() - good)
    };
    // One processor may make one after the other for a while.
    let is_limited = |_| {
        let (good, busy) = asked("GET /long/");
        assert!(good > 0, "{busy} busy");
        busy > 0
    };
    assert!((0..100).any(is_limited), "so many at a time");
    assert_eq!(asked("GET /short/"), (32, 0), "short ones are no burden");
    assert!(site.brief("GET /long/").starts_with("200"), "every turn is given back");
}
