//! Readers beside a writer: head and content of every answer are of one version, which is the
//! newest at the time of the request or a newer one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use conformance::client::Client;
use conformance::response::Response;
use conformance::server::Server;

use super::{Random, Versions, ask, connect, put, writable};

/// How often the file is replaced.
const VERSIONS: u32 = 300;
/// How many octets a reader asks for with a Range.
const RANGE_MAX: u64 = 100_000;

/// How a reader asks.
#[derive(Clone, Copy, Debug)]
enum Way {
    Get,
    Head,
    /// For a part of what the reader has seen last, or all of a newer version.
    IfRange,
    /// For a newer version than the reader has seen last.
    IfNoneMatch,
}

const WAYS: [Way; 4] = [Way::Get, Way::Head, Way::IfRange, Way::IfNoneMatch];

/// What is known of the file by all together.
struct Known {
    versions: Versions,
    /// The newest version whose PUT has been answered.
    answered: AtomicU32,
    /// Which version has which tag, as the answers to PUT and GET say.
    tags: Mutex<BTreeMap<String, u32>>,
    over: AtomicBool,
}

impl Known {
    fn tags(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That `tag` has never been said of another version, nor this version to have another tag.
    fn agree(&self, tag: &str, version: u32) -> Result<(), String> {
        let mut tags = self.tags();
        let known = *tags.entry(tag.to_owned()).or_insert(version);
        let other = tags.iter().find(|(other, of)| **of == version && *other != tag);
        match (known == version, other) {
            (true, None) => Ok(()),
            (false, _) => Err(format!("the tag {tag} of {version} is that of {known}")),
            (true, Some(other)) => Err(format!("{version} has the tag {tag} and {other:?}")),
        }
    }
}

/// Says at its end, also by a panic, that the writing is over.
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
    /// Tags and lengths that were answered to HEAD.
    heads: Vec<(String, String)>,
    /// How many answers of each status came.
    count: BTreeMap<u16, usize>,
}

impl<'a> Reader<'a> {
    fn start(server: &Server, known: &'a Known, seed: u64) -> Reader<'a> {
        let mut client = connect(server);
        let first = ask(&mut client, "GET", "/file", "").expect("an answer");
        let version = known.versions.read(&first.body).expect("a whole version");
        let seen = (version, first.field("ETag").expect("a tag"));
        let (heads, count) = (Vec::new(), BTreeMap::new());
        Reader { known, client, random: Random::new(seed), seen, heads, count }
    }

    /// Asks in turn in all ways until the writer is done.
    fn run(mut self) -> (Vec<(String, String)>, BTreeMap<u16, usize>) {
        while !self.known.over.load(Ordering::SeqCst) {
            let way = WAYS[self.random.below(WAYS.len() as u64) as usize];
            let newest = self.known.answered.load(Ordering::SeqCst);
            match self.ask_once(way) {
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
        (self.heads, self.count)
    }

    /// Which version, with which tag, one answer is of; `None` where its tag is not known yet.
    fn ask_once(&mut self, way: Way) -> Result<Option<(u32, String)>, String> {
        let Known { versions, .. } = self.known;
        let (seen, seen_tag) = &self.seen;
        let length = versions.length(*seen) as u64;
        let first = self.random.below(length);
        let last = first + self.random.below(RANGE_MAX.min(length - first));
        let fields = match way {
            Way::Get | Way::Head => String::new(),
            Way::IfRange => format!("Range: bytes={first}-{last}\r\nIf-Range: {seen_tag}\r\n"),
            Way::IfNoneMatch => format!("If-None-Match: {seen_tag}\r\n"),
        };
        let method = if matches!(way, Way::Head) { "HEAD" } else { "GET" };
        let response = ask(&mut self.client, method, "/file", &fields)?;
        *self.count.entry(response.status).or_default() += 1;
        let tag = response.field("ETag").ok_or("no tag")?;
        let version = match (way, response.status) {
            (Way::Head, 200) => {
                let length = response.field("Content-Length").ok_or("no length")?;
                self.heads.push((tag.clone(), length));
                // Whose PUT has not been answered is looked at in the end.
                let Some(version) = self.known.tags().get(&tag).copied() else { return Ok(None) };
                version
            }
            (Way::Get | Way::IfRange | Way::IfNoneMatch, 200) => versions.read(&response.body)?,
            (Way::IfRange, 206) => check_part(&response, versions, *seen, first, last)?,
            (Way::IfNoneMatch, 304) => *seen,
            (_, status) => return Err(format!("status {status}")),
        };
        self.known.agree(&tag, version)?;
        Ok(Some((version, tag)))
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
        answered: AtomicU32::new(0),
        tags: Mutex::default(),
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
        known.answered.store(version, Ordering::SeqCst);
        writer.forget();
    };
    write(0);
    let (heads, counts) = thread::scope(|scope| {
        let _over = Over(&known.over);
        let start = |number| Reader::start(&server, &known, number);
        let readers: Vec<_> = (1..=readers).map(start).collect();
        let readers: Vec<_> =
            readers.into_iter().map(|reader| scope.spawn(move || reader.run())).collect();
        (1..VERSIONS).for_each(&mut write);
        known.over.store(true, Ordering::SeqCst);
        let results = readers.into_iter().map(|reader| reader.join().expect("no reader panics"));
        results.unzip::<_, _, Vec<_>, Vec<_>>()
    });
    for (tag, length) in heads.concat() {
        let version = *known.tags().get(&tag).unwrap_or_else(|| panic!("{tag} was never a tag"));
        assert_eq!(length, known.versions.length(version).to_string(), "HEAD of {version}");
    }
    for status in [200, 206, 304] {
        // Else the readers have not shown what they are there for.
        let some = counts.iter().any(|count| count.contains_key(&status));
        assert!(some, "no {status} among {counts:?}");
    }
}

#[test]
fn short_files_that_are_kept_in_memory_are_never_mixed() {
    write_and_read(1 << 10..=15 << 10, 3);
}

#[test]
fn files_at_the_edge_of_what_is_kept_are_never_mixed() {
    write_and_read(15 << 10..=17 << 10, 3);
}

#[test]
fn long_files_that_are_sent_from_the_page_cache_are_never_mixed() {
    write_and_read(900 << 10..=1 << 20, 2);
}
