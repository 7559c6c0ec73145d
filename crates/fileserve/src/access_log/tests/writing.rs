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
fn wait_until(what: &str, within: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !done() {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
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
    log.record(&answered(b"GET /a HTTP/1.1"), None);
    wait_until("the line is written", Duration::from_secs(1), || read(&path).ends_with(" 200 -\n"));
}

#[test]
fn a_full_shard_is_written_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let log = to_file(&path, 1);
    let begin = Instant::now();
    let mut waves = 0;
    // Each wave would take a whole FLUSH_EVERY if nobody woke the writer.
    while waves < 10 {
        let before = fs::metadata(&path).expect("a file").len();
        for _ in 0..WAKE_BYTES / 64 {
            log.record(&answered(b"GET /a HTTP/1.1"), None);
        }
        wait_until("a wave is written", Duration::from_secs(5), || {
            fs::metadata(&path).expect("a file").len() > before
        });
        waves += 1;
    }
    assert!(begin.elapsed() < waves * FLUSH_EVERY, "{:?}", begin.elapsed());
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
            wait_until("the next quarter is recorded", Duration::from_secs(30), || {
                recorded.load(Relaxed) >= turn * WORKERS * LINES / 4
            });
            let old = dir.path().join(format!("access.log.{turn}"));
            fs::rename(&path, &old).expect("renamed");
            let before = log.identity();
            log.reopen();
            wait_until("the log is opened anew", Duration::from_secs(5), || {
                log.identity() != before
            });
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
    wait_until("there is a new log", 5 * LOOK_EVERY, || path.exists());
    assert_eq!(read(&old).lines().count(), 2, "the lines until then are in the old one");
    log.record(&answered(b"GET /c HTTP/1.1"), None);
    wait_until("its line is there", 2 * FLUSH_EVERY, || read(&path).contains("GET /c"));
    fs::remove_file(&path).expect("deleted");
    wait_until("there is a new log again", 5 * LOOK_EVERY, || path.exists());
    log.record(&answered(b"GET /d HTTP/1.1"), None);
    log.shutdown();
    assert_eq!(read(&path).lines().count(), 1);
    assert_eq!(read(&old).lines().count(), 2);
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
    wait_until("the old one stays", 2 * FLUSH_EVERY, || {
        !read(&there.join("access.log")).is_empty()
    });
    fs::create_dir(&here).expect("a directory");
    wait_until("there is a new log", 5 * LOOK_EVERY, || here.join("access.log").exists());
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
