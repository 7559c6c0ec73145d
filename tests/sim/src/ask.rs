//! What clients ask: a request as octets, with what it takes to judge the answer.

use crate::disk::{DEEP, Disk, LONG, MANY, UPLOADS, VersionId};
use crate::durable::Done;
use crate::random::Random;
use crate::setup::Setup;

/// A request.
pub(crate) struct Ask {
    pub(crate) octets: Vec<u8>,
    pub(crate) want: Want,
    /// The answer has no content whatever it says.
    pub(crate) is_head: bool,
    /// The client wants no further answer on this connection.
    pub(crate) closes: bool,
    /// The client waits for a 100 before it goes on behind so many octets.
    pub(crate) pauses_at: Option<usize>,
    /// How many octets have been sent.
    pub(crate) sent: usize,
    /// When the first and the last octet were sent.
    pub(crate) begun: u64,
    pub(crate) whole: Option<u64>,
    /// How many calls to the system have failed for it.
    pub(crate) faults: usize,
    /// What has been seen to come of it on the disk, in this order.
    pub(crate) effects: Vec<Effect>,
    /// The calls for it that write, in this order.
    pub(crate) calls: Vec<Done>,
    /// The client takes what is compressed with gzip.
    pub(crate) takes_gzip: bool,
}

/// A change of the disk that a request has made.
pub(crate) struct Effect {
    pub(crate) file: usize,
    pub(crate) state: Option<VersionId>,
    /// The last event before the call that made it.
    pub(crate) from: u64,
    pub(crate) at: u64,
}

/// What a request is for.
pub(crate) enum Want {
    Get {
        file: usize,
        by_directory: bool,
        condition: Condition,
        range: Option<Range>,
    },
    List {
        directory: &'static str,
    },
    Put {
        file: usize,
        version: VersionId,
        condition: Condition,
    },
    Delete {
        file: usize,
        condition: Condition,
    },
    Form {
        versions: Vec<VersionId>,
    },
    /// Fields for the page that is a file, with a text that stands in no other form.
    Submit {
        file: usize,
        by_directory: bool,
        text: String,
    },
    /// A directory is made or removed: one of these statuses.
    Directory(&'static [u16]),
    /// One of these statuses, whatever happens.
    Plain(&'static [u16]),
    /// The same, and the connection ends.
    Broken(&'static [u16]),
}

/// A tag that the server has told.
#[derive(Clone)]
pub(crate) struct Tag {
    pub(crate) file: usize,
    pub(crate) text: String,
    pub(crate) version: VersionId,
}

impl Tag {
    pub(crate) fn is_weak(&self) -> bool {
        self.text.starts_with("W/")
    }
}

pub(crate) enum Condition {
    None,
    Match(Tag),
    MatchAny,
    NoneMatch(Tag),
    NoneMatchAny,
}

pub(crate) struct Range {
    /// First and last octet, or a suffix.
    pub(crate) specs: Vec<Spec>,
    pub(crate) condition: Option<Tag>,
}

#[derive(Clone, Copy)]
pub(crate) enum Spec {
    FromTo(u64, Option<u64>),
    Suffix(u64),
}

/// Requests that are none, and what they are answered with.
const BROKEN: [(&[u8], &[u16]); 9] = [
    (b"GET /a.txt HTTP/1.1\r\n\r\n", &[400]),
    (b"GET /a.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
    (b"GET /a.txt HTTP/3.1\r\nHost: a\r\n\r\n", &[505]),
    (b"GET /a.txt\r\nHost: a\r\n\r\n", &[400]),
    (b"PUT /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 4\r\n\r\nabcd", &[400]),
    (b"PUT /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        &[400]),
    (b"POST /up/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", &[400, 501]),
    (b"GET /a.txt HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", &[400]),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
];

/// Requests with one answer.
const PLAIN: [(&str, &str, &[u16]); 9] = [
    ("GET", "/none", &[404]),
    ("GET", "/d", &[301]),
    ("GET", "/a.txt/", &[404]),
    ("GET", "/../etc/passwd", &[404]),
    ("GET", "/%00", &[400]),
    ("GET", "/.httpd-upload-1-0", &[404]),
    ("OPTIONS", "/a.txt", &[204]),
    ("TRACE", "/a.txt", &[405]),
    ("BREW", "/a.txt", &[501]),
];

/// How the octets of a request come about.
struct Draft {
    version: &'static str,
    fields: String,
    closes: bool,
}

impl Ask {
    /// A request that a client might send next; `tags` are those told so far.
    pub(crate) fn new(random: &mut Random, disk: &mut Disk, tags: &[Tag], setup: &Setup) -> Ask {
        let mut draft = Draft::new(random);
        if setup.directories && random.once_in(6) {
            return match random.once_in(3) {
                true => Ask::put(draft, random, disk, tags, DEEP),
                false => Ask::directory(draft, random),
            };
        }
        if setup.forms && random.once_in(6) {
            return Ask::submission(draft, random, disk);
        }
        if setup.has_many && random.once_in(4) {
            return draft.ask("GET", &format!("/{MANY}/"), Want::List { directory: MANY });
        }
        if setup.gzip && random.once_in(4) {
            return Ask::get_gzip(draft, random, disk);
        }
        match random.below(32) {
            0 => Ask::broken(random),
            1..=3 => Ask::plain(draft, random),
            4 => {
                let directory = random.pick(&["", "up"]);
                let slash = if directory.is_empty() { "" } else { "/" };
                draft.ask("GET", &format!("/{directory}{slash}"), Want::List { directory })
            }
            5..=10 => {
                let file = disk.pick(random);
                Ask::put(draft, random, disk, tags, file)
            }
            11 | 12 => {
                let file = disk.pick(random);
                let condition = draft.condition(random, tags, file, true);
                let path = url(&disk.files[file].name);
                draft.ask("DELETE", &path, Want::Delete { file, condition })
            }
            13..=15 => Ask::form(draft, random, disk),
            _ => Ask::get(draft, random, disk, tags),
        }
    }

    fn get(mut draft: Draft, random: &mut Random, disk: &Disk, tags: &[Tag]) -> Ask {
        let file = disk.pick(random);
        let name = &disk.files[file].name;
        let by_directory = name == "d/index.html" && random.once_in(2);
        let path = if by_directory { "/d/".to_owned() } else { url(name) };
        let method = if random.once_in(5) { "HEAD" } else { "GET" };
        let condition = match random.once_in(3) {
            true => draft.condition(random, tags, file, false),
            false => Condition::None,
        };
        let range = match random.once_in(3) {
            true => Some(draft.range(random, tags, file)),
            false => None,
        };
        draft.ask(method, &path, Want::Get { file, by_directory, condition, range })
    }

    /// One of many that come together: for a file that is read at once, as far as it is short.
    pub(crate) fn of_burst(random: &mut Random, disk: &Disk) -> Ask {
        let file = random.pick(&[3, 3, 3, 0]);
        let file = if disk.state(file).is_some() || random.once_in(4) { file } else { 2 };
        let mut draft = Draft::new(random);
        draft.version = "HTTP/1.1";
        draft.fields = "Host: test\r\n".to_owned();
        draft.closes = false;
        let path = url(&disk.files[file].name);
        let (condition, range) = (Condition::None, None);
        draft.ask("GET", &path, Want::Get { file, by_directory: false, condition, range })
    }

    fn get_gzip(mut draft: Draft, random: &mut Random, disk: &Disk) -> Ask {
        let texts: Vec<usize> = (0..disk.files.len())
            .filter(|&file| {
                [".txt", ".html"].iter().any(|end| disk.files[file].name.ends_with(end))
            })
            .filter(|&file| disk.state(file).is_some() || random.once_in(4))
            .collect();
        let file = match disk.has_long && random.once_in(2) {
            true => LONG,
            false if texts.is_empty() => 0,
            false => random.pick(&texts),
        };
        draft.fields.push_str("Accept-Encoding: gzip\r\n");
        let path = url(&disk.files[file].name);
        let method = if random.once_in(5) { "HEAD" } else { "GET" };
        let (condition, range) = (Condition::None, None);
        let want = Want::Get { file, by_directory: false, condition, range };
        Ask { takes_gzip: true, ..draft.ask(method, &path, want) }
    }

    fn directory(draft: Draft, random: &mut Random) -> Ask {
        let path = random.pick(&["/new/", "/new/deep/", "/other/"]);
        match random.once_in(2) {
            true => draft.ask("PUT", path, Want::Directory(&[201, 204, 409])),
            false => draft.ask("DELETE", path, Want::Directory(&[200, 204, 404, 409])),
        }
    }

    fn submission(mut draft: Draft, random: &mut Random, disk: &mut Disk) -> Ask {
        disk.submissions += 1;
        let text = format!("form {} of a run", disk.submissions);
        let long = "x".repeat(if random.once_in(2) { random.below(30_000) } else { 0 });
        let content = format!("text={}&more={long}", text.replace(' ', "+"));
        let (file, by_directory) = random.pick(&[(2, true), (2, false), (3, false)]);
        let path = if by_directory { "/d/".to_owned() } else { url(&disk.files[file].name) };
        draft.fields.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        let want = Want::Submit { file, by_directory, text };
        draft.with_content(random, content.as_bytes()).finish("POST", &path, want)
    }

    fn put(
        mut draft: Draft,
        random: &mut Random,
        disk: &mut Disk,
        tags: &[Tag],
        file: usize,
    ) -> Ask {
        let version = disk.plan(file, random);
        let condition = match random.once_in(2) {
            true => draft.condition(random, tags, file, true),
            false => Condition::None,
        };
        let method = if random.once_in(8) { "POST" } else { "PUT" };
        let content = disk.content(version).to_vec();
        let path = url(&disk.files[file].name);
        let want = Want::Put { file, version, condition };
        draft.with_content(random, &content).finish(method, &path, want)
    }

    fn form(mut draft: Draft, random: &mut Random, disk: &mut Disk) -> Ask {
        let mut content = Vec::new();
        let mut versions = Vec::new();
        for _ in 0..1 + random.below(3) {
            let name = random.pick(&["x.bin", "y.txt", "z", "new.txt", "w"]);
            let version = disk.plan(random.pick(&[0, 5, 8]), random);
            let head = format!(
                "--limit\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n"
            );
            content.extend_from_slice(head.as_bytes());
            content.extend_from_slice(disk.content(version));
            content.extend_from_slice(b"\r\n");
            versions.push(version);
        }
        content.extend_from_slice(b"--limit--\r\n");
        draft.fields.push_str("Content-Type: multipart/form-data; boundary=limit\r\n");
        let path = format!("/{UPLOADS}/");
        draft.with_content(random, &content).finish("POST", &path, Want::Form { versions })
    }

    fn plain(draft: Draft, random: &mut Random) -> Ask {
        let (method, path, statuses) = random.pick(&PLAIN);
        draft.ask(method, path, Want::Plain(statuses))
    }

    fn broken(random: &mut Random) -> Ask {
        let (octets, statuses) = random.pick(&BROKEN);
        Ask::of(octets.to_vec(), Want::Broken(statuses), false, true)
    }

    fn of(octets: Vec<u8>, want: Want, is_head: bool, closes: bool) -> Ask {
        Ask {
            octets,
            want,
            is_head,
            closes,
            pauses_at: None,
            sent: 0,
            begun: 0,
            whole: None,
            faults: 0,
            effects: Vec::new(),
            calls: Vec::new(),
            takes_gzip: false,
        }
    }

    /// Whether it is to change something on the disk.
    pub(crate) fn writes(&self) -> bool {
        match self.want {
            Want::Put { .. } | Want::Delete { .. } | Want::Form { .. } => true,
            Want::Directory(_) | Want::Submit { .. } => true,
            Want::Get { .. } | Want::List { .. } | Want::Plain(_) | Want::Broken(_) => false,
        }
    }

    /// The request line, for people.
    pub(crate) fn shown(&self) -> String {
        let end = self.octets.iter().position(|&b| b == b'\r').unwrap_or(self.octets.len());
        self.octets[..end].escape_ascii().to_string()
    }

    /// The contents that it may put on the disk.
    pub(crate) fn planned(&self) -> &[VersionId] {
        match &self.want {
            Want::Put { version, .. } => std::slice::from_ref(version),
            Want::Form { versions } => versions,
            _ => &[],
        }
    }
}

fn url(name: &str) -> String {
    format!("/{}", name.replace(' ', "%20"))
}

impl Draft {
    fn new(random: &mut Random) -> Draft {
        let is_old = random.once_in(16);
        let version = if is_old { "HTTP/1.0" } else { "HTTP/1.1" };
        let closes = is_old || random.once_in(16);
        let mut fields = "Host: test\r\n".to_owned();
        if closes && !is_old {
            fields.push_str("Connection: close\r\n");
        }
        Draft { version, fields, closes }
    }

    fn condition(
        &mut self,
        random: &mut Random,
        tags: &[Tag],
        file: usize,
        is_write: bool,
    ) -> Condition {
        // The tag told last is the one most likely to be good still.
        let known = tags.iter().rev().filter(|tag| tag.file == file);
        let nth = if random.once_in(3) { random.below(4) } else { 0 };
        let tag = known.clone().nth(nth).or_else(|| known.clone().next()).cloned();
        let (condition, field) = match (random.below(8), tag) {
            (0, _) => (Condition::MatchAny, "If-Match: *\r\n".to_owned()),
            (1, _) => (Condition::NoneMatchAny, "If-None-Match: *\r\n".to_owned()),
            (2..=4, Some(tag)) => {
                let field = format!("If-Match: \"x\", {}\r\n", tag.text);
                (Condition::Match(tag), field)
            }
            (_, Some(tag)) if !is_write => {
                let field = format!("If-None-Match: {}\r\n", tag.text);
                (Condition::NoneMatch(tag), field)
            }
            _ => (Condition::None, String::new()),
        };
        self.fields.push_str(&field);
        condition
    }

    fn range(&mut self, random: &mut Random, tags: &[Tag], file: usize) -> Range {
        let at = |random: &mut Random| match random.below(4) {
            0 => random.below(40) as u64,
            1 => random.below(2_000) as u64,
            _ => random.below(100_000) as u64,
        };
        let mut specs = vec![match random.below(4) {
            0 => Spec::Suffix(at(random)),
            1 => Spec::FromTo(at(random), None),
            _ => {
                let from = at(random);
                Spec::FromTo(from, Some(from + at(random)))
            }
        }];
        if let (true, Spec::FromTo(_, Some(last))) = (random.once_in(3), specs[0]) {
            let from = last + 2 + at(random) / 8;
            specs.push(Spec::FromTo(from, Some(from + at(random) / 8)));
        }
        let shown: Vec<String> = specs.iter().map(Spec::to_string).collect();
        self.fields.push_str(&format!("Range: bytes={}\r\n", shown.join(",")));
        let tag = tags.iter().rev().find(|tag| tag.file == file).cloned();
        let condition = tag.filter(|_| random.once_in(3));
        if let Some(tag) = &condition {
            self.fields.push_str(&format!("If-Range: {}\r\n", tag.text));
        }
        Range { specs, condition }
    }

    /// A request without content.
    fn ask(self, method: &str, path: &str, want: Want) -> Ask {
        Framed { draft: self, content: Vec::new(), expects: false }.finish(method, path, want)
    }

    /// Content with a length, or in chunks, perhaps offered first.
    fn with_content(mut self, random: &mut Random, content: &[u8]) -> Framed {
        let expects = self.version == "HTTP/1.1" && random.once_in(8);
        if expects {
            self.fields.push_str("Expect: 100-continue\r\n");
        }
        let content = if self.version == "HTTP/1.1" && random.once_in(3) {
            self.fields.push_str("Transfer-Encoding: chunked\r\n");
            let mut chunks = Vec::new();
            let mut rest = content;
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(rest.len().min(1 + random.below(20_000)));
                chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                chunks.extend_from_slice(chunk);
                chunks.extend_from_slice(b"\r\n");
                rest = behind;
            }
            chunks.extend_from_slice(b"0\r\n\r\n");
            chunks
        } else {
            self.fields.push_str(&format!("Content-Length: {}\r\n", content.len()));
            content.to_vec()
        };
        Framed { draft: self, content, expects }
    }
}

/// A draft with its content.
struct Framed {
    draft: Draft,
    content: Vec<u8>,
    expects: bool,
}

impl Framed {
    fn finish(self, method: &str, path: &str, want: Want) -> Ask {
        let Draft { version, fields, closes } = self.draft;
        let mut octets = format!("{method} {path} {version}\r\n{fields}\r\n").into_bytes();
        let head = octets.len();
        octets.extend_from_slice(&self.content);
        let mut ask = Ask::of(octets, want, method == "HEAD", closes);
        ask.pauses_at = (self.expects && !self.content.is_empty()).then_some(head);
        ask
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Spec::FromTo(first, Some(last)) => write!(f, "{first}-{last}"),
            Spec::FromTo(first, None) => write!(f, "{first}-"),
            Spec::Suffix(length) => write!(f, "-{length}"),
        }
    }
}
