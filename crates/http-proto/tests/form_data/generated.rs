//! Forms by the thousand: what was put in comes out, and another parser sees the same.

use http_proto::form_data::{Boundary, Limits};

use super::form_peer::{self, Agreement};
use super::form_play::{Ending, play};

/// Forms that are tried, each of them in some broken variants too.
const FORMS: usize = 600;
const VARIANTS: usize = 12;

const BOUNDARIES: [&str; 6] = [
    "B",
    "--",
    "a b",
    "'()+_,-./:=?",
    "----WebKitFormBoundary7MA4YWxkTrZu0gW",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
];

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn of<'a, T: ?Sized>(&mut self, some: &[&'a T]) -> &'a T {
        some[self.below(some.len())]
    }
}

/// A field of a form, as the user's side has it.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: Vec<u8>,
    filename: Option<Vec<u8>>,
    content_type: Option<Vec<u8>>,
    content: Vec<u8>,
}

fn fields(random: &mut Random, boundary: &str) -> Vec<Field> {
    let field = |random: &mut Random| Field {
        name: text(random),
        filename: (random.below(2) == 0).then(|| text(random)),
        content_type: (random.below(3) == 0).then(|| random.of(&["text/plain", "x/y;z=a"]).into()),
        content: content(random, boundary),
    };
    (0..random.below(5)).map(|_| field(random)).collect()
}

/// A name. Those that a browser's escapes do not bring over are left out: `%22` itself, and a
/// backslash that comes before another or at the end.
fn text(random: &mut Random) -> Vec<u8> {
    let pieces =
        ["a", "name", "é", "\"", "\r", "\n", ";", "=", " ", "%", "C:\\x", "'", "\u{1f980}"];
    let pieces: Vec<&str> = (0..random.below(6)).map(|_| random.of(&pieces)).collect();
    pieces.concat().into_bytes()
}

/// Content with much in it that is nearly a delimiter.
fn content(random: &mut Random, boundary: &str) -> Vec<u8> {
    let delimiter = format!("\r\n--{boundary}");
    let mut content = Vec::new();
    for _ in 0..random.below(24) {
        match random.below(4) {
            0 => content.extend_from_slice(&delimiter.as_bytes()[..random.below(delimiter.len())]),
            1 => content.extend_from_slice(&delimiter.as_bytes()[random.below(delimiter.len())..]),
            2 => content.extend_from_slice(random.of(&["\r", "\n", "-", "--", "\r\n"]).as_bytes()),
            _ => content.extend((0..random.below(30)).map(|_| random.below(256) as u8)),
        }
        // No boundary is one that occurs in what it stands between.
        let is_split = content.windows(delimiter.len()).any(|some| some == delimiter.as_bytes());
        if is_split || content.starts_with(&delimiter.as_bytes()[2..]) {
            content.clear();
        }
    }
    content
}

/// The form as a browser writes it.
fn write(fields: &[Field], boundary: &str) -> Vec<u8> {
    let mut form = Vec::new();
    for field in fields {
        form.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        form.extend_from_slice(b"Content-Disposition: form-data; name=\"");
        form.extend_from_slice(&escaped(&field.name));
        if let Some(filename) = &field.filename {
            form.extend_from_slice(b"\"; filename=\"");
            form.extend_from_slice(&escaped(filename));
        }
        form.extend_from_slice(b"\"\r\n");
        if let Some(content_type) = &field.content_type {
            form.extend_from_slice(&[b"Content-Type: ", &content_type[..], b"\r\n"].concat());
        }
        form.extend_from_slice(b"\r\n");
        form.extend_from_slice(&field.content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    form
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A").into_bytes()
}

/// Some places to cut at, in order.
fn cuts(random: &mut Random, len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = (0..random.below(12)).map(|_| random.below(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// Runs `each` for many forms, with the boundary and the fields that they were made of.
fn for_each_form(mut each: impl FnMut(&mut Random, &Boundary, Vec<Field>, Vec<u8>)) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..FORMS {
        let boundary = random.of(&BOUNDARIES);
        let fields = fields(&mut random, boundary);
        let form = write(&fields, boundary);
        each(&mut random, &Boundary::new(boundary.as_bytes()).unwrap(), fields, form);
    }
}

#[test]
fn what_was_put_in_comes_out_however_it_is_cut() {
    let limits = Limits::default();
    for_each_form(|random, boundary, fields, form| {
        let cuts = cuts(random, form.len());
        let whole = play(boundary, &limits, &form, []);
        assert_eq!(whole, play(boundary, &limits, &form, 1..form.len()), "octet by octet");
        assert_eq!(whole, play(boundary, &limits, &form, cuts.iter().copied()), "at {cuts:?}");
        assert_eq!(whole.ending, Ending::Complete(form.len() - 2));
        let told = whole.parts.into_iter().map(|told| Field {
            name: told.name,
            filename: told.filename,
            content_type: told.content_type,
            content: told.content,
        });
        assert_eq!(told.collect::<Vec<_>>(), fields);
    });
}

#[test]
fn another_parser_reads_the_same_parts() {
    for_each_form(|_, boundary, _, form| {
        let agreement = form_peer::check(boundary, &form);
        assert_eq!(agreement, Agreement::Same, "{}", form.escape_ascii());
    });
}

#[test]
fn broken_forms_are_refused_by_both_or_for_a_reason_that_is_listed() {
    let limits = Limits::default();
    let mut met = [0; 3];
    for_each_form(|random, boundary, _, form| {
        for _ in 0..VARIANTS {
            let mut form = form.clone();
            for _ in 0..=random.below(3) {
                break_somewhere(random, boundary, &mut form);
            }
            let cuts = cuts(random, form.len());
            let whole = play(boundary, &limits, &form, []);
            assert_eq!(whole, play(boundary, &limits, &form, cuts.iter().copied()), "at {cuts:?}");
            met[match form_peer::check(boundary, &form) {
                Agreement::Same => 0,
                Agreement::Neither => 1,
                Agreement::OneOnly => 2,
            }] += 1;
        }
    });
    // Each of them is met often enough to mean something.
    assert!(met.iter().all(|&times| times > FORMS * VARIANTS / 50), "{met:?}");
}

/// Changes something, most likely in a delimiter or a head.
fn break_somewhere(random: &mut Random, boundary: &Boundary, form: &mut Vec<u8>) {
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let marks = [&delimiter[..], b"\r\n", b"--", b"form-data", b"name", b"\"", b";", b": "];
    let mark = random.of(&marks);
    let places: Vec<usize> = (0..form.len()).filter(|&at| form[at..].starts_with(mark)).collect();
    let at = match places.len() {
        0 => random.below(form.len() + 1),
        count => places[random.below(count)],
    };
    let end = form.len().min(at + random.below(mark.len() + 2));
    let other: &[u8] = match random.below(6) {
        0 => b"",
        1 => &delimiter,
        2 => random.of(&[
            &b"\r"[..],
            b"\n",
            b"-",
            b" ",
            b"\t",
            b";",
            b"\\",
            b"\"",
            b"\0",
            b"x",
            b"=",
            b"*",
            b"\xff",
        ]),
        3 => random.of(&[
            &b"\r\nContent-Type: a/b"[..],
            b"\r\nContent-Transfer-Encoding: base64",
            b"\r\nContent-Disposition: form-data; name=z",
            b"\r\n folded",
            b"; name=y",
            b"; filename*=UTF-8''y",
        ]),
        4 => random.of(&[&b"\r\n"[..], b"\n\n", b"\r\n\r\n", b"--", b"--\r\n", b" \t \r\n"]),
        _ => {
            form.truncate(end);
            return;
        }
    };
    form.splice(at..end, other.iter().copied());
}
