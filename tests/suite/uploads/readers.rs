//! Readers beside a writer: head and content of every answer are of one version, which is the
//! newest at the time of the request or a newer one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use conformance::client::Client;
use conformance::response::Response;
use conformance::server::Server;

use super::{Random, SOON, Versions, ask, connect, put, wait_until, writable};

/// How often the file is replaced.
const VERSIONS: u32 = 300;
/// After so many versions the writer leaves the file alone until its tag is strong...
const REST_EVERY: u32 = 15;
/// ...and each reader has asked so many times.
const ASKED_MEANWHILE: usize = 12;
/// A little longer than a change counts as recent, where times have parts of seconds.
const SETTLED: Duration = Duration::from_millis(25);
/// How many octets a reader asks for with a Range.
const RANGE_MAX: u64 = 100_000;

/// How a reader asks.
#[derive(Clone, Copy, Debug)]
enum Way {
    Get,
    Head,
    /// For a part of the version that the reader has seen last, or all of a newer one.
    IfRange,
    /// The same with the newest version that the writer knows to be there, of which it was told a
    /// strong tag, with which alone a part is sent.
    IfRangeStrong,
    /// For a newer version than the reader has seen last.
    IfNoneMatch,
}

const WAYS: [Way; 5] = [Way::Get, Way::Head, Way::IfRange, Way::IfRangeStrong, Way::IfNoneMatch];

/// What is known of the file by all together.
struct Known {
    versions: Versions,
    /// The newest version whose PUT has been answered, and the tag that was answered.
    answered: Mutex<(u32, String)>,
    /// Which version each tag is of, as the answers to PUT and GET say.
    tags: Mutex<BTreeMap<String, u32>>,
    /// How many answers all readers have had together.
    asked: AtomicUsize,
    over: AtomicBool,
}

impl Known {
    fn answered(&self) -> (u32, String) {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tags(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That `tag` has never been said of another version, and that this one has no second tag that
    /// is strong. (A file that has just been changed has weak ones, one for each answer.)
    fn agree(&self, tag: &str, version: u32) -> Result<(), String> {
        let mut tags = self.tags();
        let known = *tags.entry(tag.to_owned()).or_insert(version);
        if known != version {
            return Err(format!("the tag {tag} of {version} is that of {known}"));
        }
        let is_strong = |tag: &str| !tag.starts_with("W/");
        let second = |(other, of): &(&String, &u32)| **of == version && *other != tag;
        let mut strong = tags.iter().filter(second).filter(|(other, _)| is_strong(other));
        match strong.next() {
            Some((other, _)) if is_strong(tag) => Err(format!("{version} has {tag} and {other}")),
            _ => Ok(()),
        }
    }
}

/// Says at its end, also by a panic, that it is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A connection that asks for the file over and over.
struct Reader<'a> {
    known: &'a Known,
    client: Client,
    random: Random,
    /// The version that was read last, and its tag.
    seen: (u32, String),
    /// How many answers of each status came.
    count: BTreeMap<u16, usize>,
}

impl<'a> Reader<'a> {
    fn start(server: &Server, known: &'a Known, seed: u64) -> Reader<'a> {
        let mut client = connect(server);
        let first = ask(&mut client, "GET", "/file", "").expect("an answer");
        let version = known.versions.read(&first.body).expect("a whole version");
        let seen = (version, first.field("ETag").expect("a tag"));
        Reader { known, client, random: Random::new(seed), seen, count: BTreeMap::new() }
    }

    /// Asks in turn in all ways until the writer is done.
    fn run(mut self) -> BTreeMap<u16, usize> {
        let _over = Over(&self.known.over); // or the writer would wait for one that has failed
        while !self.known.over.load(Ordering::SeqCst) {
            let way = WAYS[self.random.below(WAYS.len() as u64) as usize];
            let newest = self.known.answered().0;
            let answer = self.ask_once(way, newest);
            self.known.asked.fetch_add(1, Ordering::SeqCst);
            match answer {
                Err(why) => panic!("{way:?} after {:?}: {why}", self.seen),
                Ok(None) => {}
                Ok(Some((version, tag))) => {
                    assert!(version >= newest, "{way:?}: {version}, though {newest} was answered");
                    assert!(version >= self.seen.0, "{way:?}: {version} after {:?}", self.seen);
                    self.seen = (version, tag);
                }
            }
            self.client.forget();
        }
        self.count
    }

    /// Which version, with which tag, one answer is of; `None` where its tag is not known yet.
    fn ask_once(&mut self, way: Way, newest: u32) -> Result<Option<(u32, String)>, String> {
        let Known { versions, .. } = self.known;
        let (seen, seen_tag) = &match way {
            Way::IfRangeStrong => self.known.answered(),
            _ => self.seen.clone(),
        };
        let length = versions.length(*seen) as u64;
        let first = self.random.below(length);
        let last = first + self.random.below(RANGE_MAX.min(length - first));
        let fields = match way {
            Way::Get | Way::Head => String::new(),
            Way::IfRange | Way::IfRangeStrong => {
                format!("Range: bytes={first}-{last}\r\nIf-Range: {seen_tag}\r\n")
            }
            Way::IfNoneMatch => format!("If-None-Match: {seen_tag}\r\n"),
        };
        let method = if matches!(way, Way::Head) { "HEAD" } else { "GET" };
        let response = ask(&mut self.client, method, "/file", &fields)?;
        *self.count.entry(response.status).or_default() += 1;
        let tag = response.field("ETag").ok_or("no tag")?;
        let version = match (way, response.status) {
            (Way::Head, 200) => match self.head_of(&tag, &response, newest)? {
                Some(version) => version,
                None => return Ok(None),
            },
            (_, 200) => versions.read(&response.body)?,
            (Way::IfRange | Way::IfRangeStrong, 206) => {
                if seen_tag.starts_with("W/") {
                    return Err("a part for a weak tag".to_owned()); // RFC 9110 §13.1.5
                }
                check_part(&response, versions, *seen, first, last)?
            }
            (Way::IfNoneMatch, 304) => *seen,
            (_, status) => return Err(format!("status {status}")),
        };
        self.known.agree(&tag, version)?;
        Ok(Some((version, tag)))
    }

    /// Which version a HEAD was answered with, if that is known of its tag. If not, its length must
    /// at least be that of one which can have been there since `newest` was.
    fn head_of(&self, tag: &str, response: &Response, newest: u32) -> Result<Option<u32>, String> {
        let Known { versions, .. } = self.known;
        let length = response.field("Content-Length").ok_or("no length")?;
        let fits = |version: &u32| versions.length(*version).to_string() == length;
        match self.known.tags().get(tag) {
            Some(version) if fits(version) => Ok(Some(*version)),
            Some(version) => Err(format!("Content-Length {length} with the tag of {version}")),
            None if (newest..=self.known.answered().0 + 1).any(|v| fits(&v)) => Ok(None),
            None => Err(format!("Content-Length {length} is of nothing since {newest}")),
        }
    }
}

/// That a 206 holds these octets of this version.
fn check_part(
    response: &Response,
    versions: &Versions,
    version: u32,
    first: u64,
    last: u64,
) -> Result<u32, String> {
    let content = versions.content(version);
    let expected = format!("bytes {first}-{last}/{}", content.len());
    let range = response.field("Content-Range");
    if range.as_deref() != Some(&*expected) {
        return Err(format!("Content-Range: {range:?} instead of {expected}"));
    }
    match response.body == content[first as usize..=last as usize] {
        true => Ok(version),
        false => Err(format!("{expected} is not of version {version}")),
    }
}

/// Replaces `/file` over and over while readers read it; the claims are with those who read.
#[track_caller]
fn write_and_read(lengths: RangeInclusive<usize>, readers: u64) {
    let server = writable();
    let known = Known {
        versions: Versions::new(lengths),
        answered: Mutex::default(),
        tags: Mutex::default(),
        asked: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    let mut writer = connect(&server);
    let mut write = |version: u32| {
        let answer = put(&mut writer, "/file", "", &known.versions.content(version));
        let answer = answer.expect("an answer");
        let expected = if version == 0 { 201 } else { 204 };
        assert_eq!(answer.status, expected, "PUT of {version}");
        let tag = answer.field("ETag").expect("a tag of what was stored");
        known.agree(&tag, version).expect("each version has a tag of its own");
        *known.answered.lock().expect("nobody panics while holding it") = (version, tag);
        writer.forget();
        if version % REST_EVERY == REST_EVERY - 1 {
            rest(&known, readers);
        }
    };
    write(0);
    let counts: Vec<_> = thread::scope(|scope| {
        let _over = Over(&known.over);
        let start = |number| Reader::start(&server, &known, number);
        let readers: Vec<_> = (1..=readers).map(start).collect();
        let readers: Vec<_> =
            readers.into_iter().map(|reader| scope.spawn(move || reader.run())).collect();
        (1..VERSIONS).for_each(&mut write);
        known.over.store(true, Ordering::SeqCst);
        readers.into_iter().map(|reader| reader.join().expect("no reader panics")).collect()
    });
    for status in [200, 206, 304] {
        // Else the readers have not shown what they are there for.
        let some = counts.iter().any(|count| count.contains_key(&status));
        assert!(some, "no {status} among {counts:?}");
    }
}

/// Waits until all readers together have asked so often that each will have found the file's tag
/// strong. Ends as well when one of them has failed, of which it will be heard.
fn rest(known: &Known, readers: u64) {
    std::thread::sleep(SETTLED);
    let enough = known.asked.load(Ordering::SeqCst) + ASKED_MEANWHILE * readers as usize;
    let asked = || known.asked.load(Ordering::SeqCst) >= enough;
    wait_until(SOON, || asked() || known.over.load(Ordering::SeqCst));
}

#[test]
fn short_files_that_are_kept_in_memory_are_never_mixed() {
    write_and_read(1 << 10..=15 << 10, 3);
}

#[test]
fn short_files_of_one_length_are_never_taken_for_each_other() {
    write_and_read(4 << 10..=4 << 10, 3);
}

#[test]
fn files_at_the_edge_of_what_is_kept_are_never_mixed() {
    write_and_read(15 << 10..=17 << 10, 3);
}

#[test]
fn long_files_that_are_sent_from_the_page_cache_are_never_mixed() {
    write_and_read(900 << 10..=1 << 20, 2);
}
