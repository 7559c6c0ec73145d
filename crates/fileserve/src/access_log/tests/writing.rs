//! When lines reach the file: in time, at the end, and across a rotation.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use http_proto::server::Exchange;

use super::super::{AccessLog, FLUSH_EVERY, LOOK_EVERY, LogFormat, SHARD_BYTES_MAX, WAKE_BYTES};
use super::answered;

/// Waits until `done`, but not for ever.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// That `attempt` takes less than `within`, at least once in a few times: what is too slow is so
/// each time, and what a busy machine delays is not delayed each time.
fn once_within(within: Duration, mut attempt: impl FnMut()) {
    let mut took = || {
        let begin = Instant::now();
        attempt();
        begin.elapsed()
    };
    assert!((0..5).any(|_| took() < within), "never within {within:?}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the log can be read")
}

fn to_file(path: &Path, workers: usize) -> AccessLog {
    AccessLog::to_file(path, LogFormat::Common, workers).expect("the log can be opened")
}

#[test]
fn a_line_is_in_the_file_within_a_second() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = to_file(&path, 2);
    let mut lines = 0;
    once_within(Duration::from_secs(1), || {
        log.record(&answered(b"GET /a HTTP/1.1"), None);
        lines += 1;
        wait_until("the line is written", || read(&path).matches(" 200 -\n").count() == lines);
    });
}

#[test]
fn a_full_shard_is_written_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = to_file(&path, 1);
    // Each wave but the first would take a whole FLUSH_EVERY if nobody woke the writer.
    once_within(5 * FLUSH_EVERY, || {
        for _ in 0..10 {
            let before = fs::metadata(&path).expect("a file").len();
            for _ in 0..WAKE_BYTES / 64 {
                log.record(&answered(b"GET /a HTTP/1.1"), None);
            }
            wait_until("a wave is written", || fs::metadata(&path).expect("a file").len() > before);
        }
    });
}

#[test]
fn shutdown_writes_everything_and_may_come_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = to_file(&path, 2);
    for worker in 0..7 {
        log.record(&Exchange { worker, ..answered(b"GET /a HTTP/1.1") }, None);
    }
    log.shutdown();
    assert_eq!(read(&path).lines().count(), 7, "workers beyond the count included");
    log.record(&answered(b"GET /late HTTP/1.1"), None);
    log.reopen();
    log.shutdown();
    assert_eq!(read(&path).lines().count(), 7);
    assert_eq!(log.dropped(), 1);
}

#[test]
fn dropping_the_log_is_a_shutdown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    to_file(&path, 1).record(&answered(b"GET /a HTTP/1.1"), None);
    assert_eq!(read(&path).lines().count(), 1);
}

#[test]
fn a_rotation_under_load_loses_nothing() {
    const WORKERS: usize = 4;
    const LINES: usize = 20_000;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = to_file(&path, WORKERS);
    let recorded = AtomicUsize::new(0);
    let mut rotated = Vec::new();
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (log, recorded) = (&log, &recorded);
            scope.spawn(move || {
                for n in 0..LINES {
                    let line = format!("GET /{worker}/{n} HTTP/1.1");
                    log.record(&Exchange { worker, ..answered(line.as_bytes()) }, None);
                    recorded.fetch_add(1, Relaxed);
                }
            });
        }
        for turn in 1..=3 {
            wait_until("the next quarter is recorded", || {
                recorded.load(Relaxed) >= turn * WORKERS * LINES / 4
            });
            let old = dir.path().join(format!("access.log.{turn}"));
            let before = log.identity();
            fs::rename(&path, &old).expect("renamed");
            log.reopen();
            wait_until("the log is opened anew", || log.identity() != before);
            rotated.push(old);
        }
    });
    log.shutdown();
    rotated.push(path);
    let text: String = rotated.iter().map(|path| read(path)).collect();
    assert_eq!(log.dropped(), 0, "the test itself must not outrun {SHARD_BYTES_MAX} octets");
    assert_eq!(text.lines().count(), WORKERS * LINES);
    for worker in 0..WORKERS {
        let mark = format!("\"GET /{worker}/");
        let own = text.lines().filter_map(|line| line.split_once(&mark));
        let numbers = own.filter_map(|(_, rest)| rest.split(' ').next()?.parse::<usize>().ok());
        assert!(numbers.eq(0..LINES), "worker {worker}: all lines, in order, whole");
    }
}

#[test]
fn a_log_that_is_renamed_or_deleted_is_followed_by_a_new_one_though_nobody_tells() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, old) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let log = to_file(&path, 1);
    log.record(&answered(b"GET /a HTTP/1.1"), None);
    fs::rename(&path, &old).expect("renamed");
    log.record(&answered(b"GET /b HTTP/1.1"), None);
    wait_until("there is a new log", || path.exists());
    log.record(&answered(b"GET /c HTTP/1.1"), None);
    wait_until("its line is there", || read(&path).contains("GET /c"));
    let (before, after) = (read(&old), read(&path));
    assert!(before.contains("GET /a"), "the lines until then are in the old one: {before}");
    // Where this thread was held up it may come late.
    assert!(before.contains("GET /b") != after.contains("GET /b"), "{before}{after}");
    assert_eq!((before + &after).lines().count(), 3);
    fs::remove_file(&path).expect("deleted");
    wait_until("there is a new log again", || path.exists());
    log.record(&answered(b"GET /d HTTP/1.1"), None);
    log.shutdown();
    assert_eq!(read(&path).lines().count(), 1);
    assert!(!read(&old).contains("GET /c"));
}

#[test]
fn a_log_whose_directory_comes_back_is_there_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    fs::create_dir(&here).expect("a directory");
    let log = to_file(&here.join("access.log"), 1);
    fs::rename(&here, &there).expect("renamed");
    thread::sleep(3 * LOOK_EVERY);
    log.record(&answered(b"GET /a HTTP/1.1"), None);
    wait_until("the old one stays", || !read(&there.join("access.log")).is_empty());
    fs::create_dir(&here).expect("a directory");
    wait_until("there is a new log", || here.join("access.log").exists());
    log.record(&answered(b"GET /b HTTP/1.1"), None);
    log.shutdown();
    assert_eq!(read(&here.join("access.log")).lines().count(), 1);
}

#[test]
fn a_path_that_cannot_be_opened_anew_keeps_the_old_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    fs::create_dir(&here).expect("a directory");
    let log = to_file(&here.join("access.log"), 1);
    let identity = log.identity();
    fs::rename(&here, &there).expect("renamed");
    log.record(&answered(b"GET /a HTTP/1.1"), None);
    log.reopen();
    log.record(&answered(b"GET /b HTTP/1.1"), None);
    log.shutdown();
    assert_eq!(log.identity(), identity);
    assert_eq!(read(&there.join("access.log")).lines().count(), 2);
}

#[test]
fn the_identity_is_that_of_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = to_file(&path, 1);
    let metadata = fs::metadata(&path).expect("a file");
    assert_eq!(log.identity(), Some((metadata.dev(), metadata.ino())));
    assert_eq!(metadata.permissions().mode() & 0o133, 0, "0644 or less");
}

#[test]
fn a_log_that_is_off_keeps_nothing() {
    let log = AccessLog::off();
    log.record(&answered(b"GET /a HTTP/1.1"), None);
    log.reopen();
    log.shutdown();
    assert_eq!((log.identity(), log.dropped()), (None, 0));
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("missing/access.log");
    for path in [path.as_path(), dir.path()] {
        let error = AccessLog::to_file(path, LogFormat::Common, 1).err().expect("an error");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}
