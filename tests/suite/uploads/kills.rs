//! `kill -9` in the middle of uploads: every file is whole, and nothing that was answered is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use conformance::client::Client;
use conformance::server::{Server, ServerOptions, Signal};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::{
    Random, SOON, Versions, ask, assert_only, chunked, connect, files_beneath, get, head, put,
    wait_until,
};

/// How many uploads are answered in all rounds together, at the least.
const ANSWERED_MIN: usize = 500;
/// After so many answers in a round, within a random number below [`MORE`] of them, comes the kill.
const BEFORE_KILL: u64 = 20;
const MORE: u64 = 40;
/// The kill comes so many microseconds later at most, so that it hits every step of an upload.
const DELAY_US: u64 = 4_000;
const CLIENTS: u64 = 6;
const FILES: u64 = 20;
/// How long a round may take to get so many answers, on a disk that is as slow as it likes.
const ROUND_MAX: Duration = Duration::from_secs(120);

/// What the random numbers of this run begin with; `SEED=N` plays another.
fn seed() -> u64 {
    let chosen = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    chosen.unwrap_or(20_110)
}

/// The name of a file; some lie deeper, for a search of leftovers to find.
fn name(number: u64) -> String {
    let dir = ["", "a/", "a/b/"][(number % 3) as usize];
    format!("{dir}file-{number}")
}

/// One upload. Times are ticks of a clock that all clients share.
#[derive(Debug)]
struct Attempt {
    version: u32,
    begun: u64,
    /// `None` as long as it has not been answered with success, which may be for ever.
    answered: Option<u64>,
}

/// What happened to every file, in one round.
struct Histories {
    files: BTreeMap<String, Mutex<Vec<Attempt>>>,
    clock: AtomicU64,
    versions: AtomicU32,
    answered: AtomicUsize,
}

impl Histories {
    fn of(&self, name: &str) -> MutexGuard<'_, Vec<Attempt>> {
        self.files[name].lock().expect("nobody panics while holding it")
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn begin(&self, name: &str) -> u32 {
        let version = self.versions.fetch_add(1, Ordering::SeqCst);
        let attempt = Attempt { version, begun: self.tick(), answered: None };
        self.of(name).push(attempt);
        version
    }

    fn answer(&self, name: &str, version: u32) {
        let now = self.tick();
        let mut history = self.of(name);
        let attempt = history.iter_mut().find(|attempt| attempt.version == version);
        attempt.expect("it was begun").answered = Some(now);
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether `version` may be what the file holds now: it was attempted, and nothing that was
    /// answered had begun only after this one was answered.
    fn judge(&self, name: &str, version: u32) -> Result<(), String> {
        let history = self.of(name);
        let attempt = history.iter().find(|attempt| attempt.version == version);
        let attempt = attempt.ok_or_else(|| format!("version {version} is none of {history:?}"))?;
        let Some(end) = attempt.answered else { return Ok(()) };
        match history.iter().find(|other| other.answered.is_some() && other.begun > end) {
            Some(lost) => Err(format!("{lost:?} was answered and is lost; there is {attempt:?}")),
            None => Ok(()),
        }
    }

    /// The next round knows only what the last one left.
    fn settle(&self, name: &str, version: u32) {
        let (begun, answered) = (self.tick(), Some(self.tick()));
        *self.of(name) = vec![Attempt { version, begun, answered }];
    }
}

/// Uploads until the server is gone, half of it in the chunked coding.
fn upload(
    addr: SocketAddr,
    versions: &Versions,
    histories: &Histories,
    random: &mut Random,
    killed: &AtomicBool,
) {
    let mut client = Client::connect(addr).expect("the server accepts");
    loop {
        let name = name(random.below(FILES));
        let version = histories.begin(&name);
        let (path, content) = (format!("/{name}"), versions.content(version));
        let response = if random.below(2) == 0 {
            put(&mut client, &path, "", &content)
        } else {
            let head = head("PUT", &path, "Transfer-Encoding: chunked\r\n");
            let coded = chunked(&content, 1 + random.below(100_000) as usize);
            let sent = client.send(&[head.as_bytes(), &coded].concat());
            sent.map_err(|e| e.to_string()).and_then(|()| client.response())
        };
        match response {
            Ok(response) => {
                // Every file is there from the beginning, and stays.
                assert_eq!(response.status, 204, "PUT {path}");
                histories.answer(&name, version);
                client.forget();
            }
            Err(_) if killed.load(Ordering::SeqCst) => return,
            Err(why) => panic!("PUT {path}, with the server alive: {why}"),
        }
    }
}

/// Uploads from all clients at once, and a kill after some answers and a delay.
fn round(server: &mut Server, versions: &Versions, histories: &Histories, random: &mut Random) {
    let killed = AtomicBool::new(false);
    let before = histories.answered.load(Ordering::SeqCst);
    let enough = before + (BEFORE_KILL + random.below(MORE)) as usize;
    let delay = Duration::from_micros(random.below(DELAY_US));
    let seeds: Vec<u64> = (0..CLIENTS).map(|_| random.below(u64::MAX)).collect();
    let reached = || histories.answered.load(Ordering::SeqCst) >= enough;
    let addr = server.addr();
    thread::scope(|scope| {
        for seed in seeds {
            let killed = &killed;
            scope.spawn(move || {
                upload(addr, versions, histories, &mut Random::new(seed), killed);
            });
        }
        let in_time = wait_until_quickly(reached);
        thread::sleep(delay);
        killed.store(true, Ordering::SeqCst);
        server.signal(Signal::KILL);
        let answered = histories.answered.load(Ordering::SeqCst) - before;
        assert!(in_time, "only {answered} uploads answered in {ROUND_MAX:?}");
    });
    server.wait_exit(SOON).expect("who is killed ends");
}

/// As `wait_until`, for what is over within a few milliseconds.
fn wait_until_quickly(done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + ROUND_MAX;
    while !done() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    true
}

#[test]
fn a_kill_in_the_middle_of_uploads_leaves_every_file_whole_and_loses_nothing_answered() {
    let seed = seed();
    let mut random = Random::new(seed);
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    let versions = Versions::new(64 << 10..=300 << 10);
    let names: Vec<String> = (0..FILES).map(name).collect();
    let histories = Histories {
        files: names.iter().map(|name| (name.clone(), Mutex::default())).collect(),
        clock: AtomicU64::new(0),
        versions: AtomicU32::new(1),
        answered: AtomicUsize::new(0),
    };
    for name in &names {
        let version = histories.begin(name);
        fs::write(dir.path().join(name), versions.content(version)).unwrap();
        histories.settle(name, version);
    }
    let start = || Server::start(ServerOptions::new().arg("--writable").root(dir.path()));
    let mut server = start();
    let (mut rounds, mut left_behind) = (0, String::new());
    while histories.answered.load(Ordering::SeqCst) < ANSWERED_MIN {
        rounds += 1;
        let at = format!("SEED={seed}, round {rounds}");
        round(&mut server, &versions, &histories, &mut random);
        for name in &names {
            let content = fs::read(dir.path().join(name));
            let content = content.unwrap_or_else(|e| panic!("{at}: {name}: {e}"));
            let judged = versions.read(&content).and_then(|version| {
                histories.judge(name, version)?;
                histories.settle(name, version);
                Ok(())
            });
            judged.unwrap_or_else(|why| panic!("{at}: {name}: {why}"));
        }
        server = start();
        for name in &names {
            let served = get(&server, &format!("/{name}"));
            let stored = fs::read(dir.path().join(name)).ok();
            assert!(served == stored, "{at}: {name}: what is served is not what is stored");
        }
        let expected: BTreeSet<String> = names.iter().cloned().collect();
        let cleared = || files_beneath(dir.path()) == expected;
        if left_behind.is_empty() && !wait_until(SOON, cleared) {
            let strays: Vec<_> = files_beneath(dir.path()).difference(&expected).cloned().collect();
            left_behind = format!("{at}: there is {strays:?}");
        }
    }
    // Last, since a file that is torn or lost is the worse news.
    assert!(left_behind.is_empty(), "{left_behind}");
}

#[test]
fn what_an_upload_left_behind_is_gone_soon_after_the_next_start() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    for place in ["", "a/", "a/b/"] {
        fs::write(dir.path().join(format!("{place}file")), "content").unwrap();
    }
    let start = || Server::start(ServerOptions::new().arg("--writable").root(dir.path()));
    let mut server = start();
    // What a killed server leaves with its number in the name, if it has to use names at all.
    for place in ["", "a/", "a/b/"] {
        let leftover = format!("{place}.httpd-upload-{}-7", server.pid());
        fs::write(dir.path().join(leftover), "cut sh").unwrap();
    }
    // What another process needs is locked, be it another server or this test.
    let needed = fs::File::create(dir.path().join("a/.httpd-upload-1-9")).unwrap();
    flock(&needed, FlockOperation::LockExclusive).unwrap();
    server.signal(Signal::KILL);
    server.wait_exit(SOON).expect("who is killed ends");
    let server = start();
    let mut client = connect(&server);
    assert_eq!(ask(&mut client, "GET", "/file", "").unwrap().text(), "content");
    let left = ["a/.httpd-upload-1-9", "a/b/file", "a/file", "file"];
    assert_only(dir.path(), &left, "after the start");
}

/// Replaces `path` over and over until `over`, at least once; says which version came last.
fn replace_until(over: &AtomicBool, server: &Server, path: &str, versions: &Versions) -> u32 {
    let mut client = connect(server);
    let mut version = 0;
    loop {
        let expected = if version == 0 { 201 } else { 204 };
        let answer = put(&mut client, path, "", &versions.content(version)).expect("an answer");
        assert_eq!(answer.status, expected, "PUT {path} of version {version}");
        client.forget();
        if version > 0 && over.load(Ordering::SeqCst) {
            return version;
        }
        version += 1;
    }
}

/// Hidden names that a process still needs are no leftovers, although another one starts to serve
/// the same tree and looks for some.
#[test]
fn a_server_that_starts_beside_another_takes_nothing_from_its_uploads() {
    const STARTS: usize = 8;
    const PATHS: [&str; 3] = ["/a", "/b", "/c"];
    let dir = TempDir::new().unwrap();
    let start = || Server::start(ServerOptions::new().arg("--writable").root(dir.path()));
    let server = start();
    let versions = Versions::new(64 << 10..=80 << 10);
    let over = AtomicBool::new(false);
    let lasts = thread::scope(|scope| {
        let (server, versions, over) = (&server, &versions, &over);
        let uploads =
            PATHS.map(|path| scope.spawn(move || replace_until(over, server, path, versions)));
        for _ in 0..STARTS {
            let second = start();
            assert_eq!(ask(&mut connect(&second), "GET", "/", "").unwrap().status, 200);
        }
        over.store(true, Ordering::SeqCst);
        uploads.map(|upload| upload.join().expect("every upload is answered as it should be"))
    });
    for (path, last) in PATHS.into_iter().zip(lasts) {
        let stored = get(&server, path).expect("it was stored");
        assert_eq!(versions.read(&stored), Ok(last), "{path}");
    }
    assert_only(dir.path(), &["a", "b", "c"], "in the end");
}
