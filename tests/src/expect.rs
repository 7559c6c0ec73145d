//! What a response must look like: the `expect` blocks of a case.
//!
//! ```text
//! 200 to HEAD                         the status; `200 | 204` and `4xx` leave a choice open
//! Content-Type: text/plain            this value exactly
//! Allow: ~GET                         a value with this in it
//! Allow: !~PUT                        a value without this in it
//! ETag: ...                           any value
//! ETag: {tag}                         any value the first time, and from then on this one
//! !Content-Encoding                   no such field
//! <body> is "Hello, world.\n"         also: has "part", lacks "part", empty, length 14,
//! <body> file big.bin 0-4             the octets 0 to 4 of a file in the root, or all of it
//! <body> gunzips to file hello.txt    one sound gzip member, of a file or of a "text"
//! <closed>                            then the server closes; or <open>: it goes on to serve
//! ```

use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::escape::{Values, fill, quoted};
use crate::response::Response;

/// One `expect` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Where the block's first line stands in its file.
    pub line: usize,
    /// Any of these is right.
    statuses: Vec<RangeInclusive<u16>>,
    /// Whether it answers a HEAD and so comes without content.
    pub to_head: bool,
    checks: Vec<Check>,
    /// What must follow, if the block says so.
    pub after: Option<After>,
}

/// What happens to the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is closed, and nothing else was sent before.
    Closed,
    /// It serves another request, and nothing else was sent before its answer.
    Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Check {
    Is { name: String, value: String },
    Has { name: String, part: String },
    Lacks { name: String, part: String },
    Present { name: String },
    Absent { name: String },
    Body(Body),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Is(String),
    Has(String),
    Lacks(String),
    Length(usize),
    File {
        path: String,
        range: Option<(usize, usize)>,
    },
    /// What comes out of the gzip coding is as the inner expectation has it.
    Gunzips(Box<Body>),
}

/// The most octets that are taken out of the gzip coding: no file of the tests is as long.
const GUNZIPPED_BYTES_MAX: u64 = 64 << 20;

impl Expectation {
    /// Reads the lines of a block, the first of which is line `line` of its file.
    ///
    /// # Errors
    /// The number of the line at fault, and a sentence.
    pub fn parse(text: &str, line: usize) -> Result<Expectation, (usize, String)> {
        let mut lines =
            text.lines().map(str::trim).zip(line..).filter(|(text, _)| !text.is_empty());
        let (first, at) = lines.next().ok_or((line, "an empty expect block".to_owned()))?;
        let (statuses, to_head) = match first.strip_suffix("to HEAD") {
            Some(statuses) => (statuses, true),
            None => (first, false),
        };
        let statuses = statuses.split('|').map(|status| parse_status(status.trim()));
        let statuses = statuses.collect::<Result<_, _>>().map_err(|why| (at, why))?;
        let mut expectation =
            Expectation { line, statuses, to_head, checks: Vec::new(), after: None };
        for (text, at) in lines {
            match text {
                "<closed>" => expectation.after = Some(After::Closed),
                "<open>" => expectation.after = Some(After::Open),
                _ => expectation.checks.push(parse_check(text).map_err(|why| (at, why))?),
            }
        }
        Ok(expectation)
    }

    /// Whether that status is one of the right ones.
    pub fn allows(&self, status: u16) -> bool {
        self.statuses.iter().any(|range| range.contains(&status))
    }

    /// Whether the field `name` is expected to be or to have `part`.
    pub fn wants(&self, name: &str, part: &str) -> bool {
        self.checks.iter().any(|check| match check {
            Check::Is { name: field, value: wanted } | Check::Has { name: field, part: wanted } => {
                field.eq_ignore_ascii_case(name) && wanted.contains(part)
            }
            _ => false,
        })
    }

    /// Leaves out what every server words in its own way: its name, and the type and text of what
    /// explains an error.
    pub fn forget_wording(&mut self) {
        self.checks.retain(|check| match check {
            Check::Is { name, .. } => !name.eq_ignore_ascii_case("Server"),
            _ => true,
        });
        if self.statuses.iter().all(|range| *range.start() >= 400) {
            self.checks.retain(|check| match check {
                Check::Body(Body::Length(_)) => true,
                Check::Body(_) => false,
                Check::Is { name, .. } => !name.eq_ignore_ascii_case("Content-Type"),
                _ => true,
            });
        }
    }

    /// Compares a response. `root` is the directory that is served; `{name}` values that are met
    /// for the first time are added to `values`.
    ///
    /// # Errors
    /// One sentence for each thing that differs.
    pub fn check(
        &self,
        got: &Response,
        root: &Path,
        values: &mut Values,
    ) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        if !self.allows(got.status) {
            let wanted: Vec<_> = self.statuses.iter().map(status_text).collect();
            wrong.push(format!("expected {}, got {}", wanted.join(" | "), got.status));
        }
        for check in &self.checks {
            wrong.extend(check.against(got, root, values).err());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl Check {
    fn against(&self, got: &Response, root: &Path, values: &mut Values) -> Result<(), String> {
        let differs = |name: &str, wanted: &str| match got.field(name) {
            Some(value) => format!("{name} is `{value}`, not {wanted}"),
            None => format!("there is no {name}, it should be {wanted}"),
        };
        match self {
            Check::Is { name, value } => match (got.field(name), capture(value)) {
                (Some(first), Some(key)) if !values.contains_key(key) => {
                    values.insert(key.to_owned(), first);
                    Ok(())
                }
                (field, _) => {
                    let value = fill(value, values);
                    let same = field.as_ref() == Some(&value);
                    if same { Ok(()) } else { Err(differs(name, &format!("`{value}`"))) }
                }
            },
            Check::Has { name, part } => {
                let part = fill(part, values);
                let has = got.field(name).is_some_and(|value| value.contains(&part));
                if has { Ok(()) } else { Err(differs(name, &format!("one with `{part}`"))) }
            }
            Check::Lacks { name, part } => {
                let part = fill(part, values);
                let lacks = got.field(name).is_some_and(|value| !value.contains(&part));
                if lacks { Ok(()) } else { Err(differs(name, &format!("one without `{part}`"))) }
            }
            Check::Present { name } => {
                got.field(name).map(drop).ok_or_else(|| format!("there is no {name}"))
            }
            Check::Absent { name } => match got.field(name) {
                Some(value) => Err(format!("there is {name}: {value}")),
                None => Ok(()),
            },
            Check::Body(body) => body.against(&got.body, root, values),
        }
    }
}

impl Body {
    fn against(&self, got: &[u8], root: &Path, values: &Values) -> Result<(), String> {
        let octets = |text: &String| quoted(&fill(text, values));
        let contains = |part: &[u8]| got.windows(part.len().max(1)).any(|window| window == part);
        let (right, wanted) = match self {
            Body::Is(text) => (got == octets(text)?, format!("be {text}")),
            Body::Has(text) => (contains(&octets(text)?), format!("have {text} in it")),
            Body::Lacks(text) => (!contains(&octets(text)?), format!("not have {text} in it")),
            Body::Length(length) => (got.len() == *length, format!("be {length} octets")),
            Body::File { path, range } => {
                let path = fill(path, values);
                let content =
                    std::fs::read(root.join(&path)).map_err(|e| format!("{path}: {e}"))?;
                let part = match *range {
                    Some((first, last)) => content.get(first..=last),
                    None => Some(&content[..]),
                };
                let part =
                    part.ok_or_else(|| format!("{path} has only {} octets", content.len()))?;
                (got == part, format!("be the {} octets of {path}", part.len()))
            }
            Body::Gunzips(inner) => {
                let content = gunzipped(got).map_err(|why| format!("no gzip: {why}"))?;
                return inner.against(&content, root, values).map_err(|why| format!("gzip: {why}"));
            }
        };
        if right { Ok(()) } else { Err(format!("body of {} octets should {wanted}", got.len())) }
    }
}

/// The content of one gzip member (RFC 1952), which must be all there is.
fn gunzipped(octets: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = GzDecoder::new(octets);
    let mut content = Vec::new();
    let read = decoder.by_ref().take(GUNZIPPED_BYTES_MAX).read_to_end(&mut content);
    read.map_err(|e| e.to_string())?;
    match decoder.into_inner() {
        [] => Ok(content),
        _ if content.len() as u64 == GUNZIPPED_BYTES_MAX => Err("it does not end".to_owned()),
        rest => Err(format!("{} octets behind its end", rest.len())),
    }
}

/// `{name}` and nothing else.
fn capture(value: &str) -> Option<&str> {
    let name = value.strip_prefix('{')?.strip_suffix('}')?;
    name.bytes().all(|b| b.is_ascii_lowercase()).then_some(name)
}

fn parse_status(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = match text.strip_suffix("xx") {
        Some(class) => class.parse().ok().map(|class: u16| class * 100..=class * 100 + 99),
        None => text.parse().ok().map(|status| status..=status),
    };
    let range = range.filter(|range| (100..600).contains(range.start()));
    range.ok_or_else(|| format!("`{text}` is no status"))
}

/// A status, or a class of them, as the block has it.
fn status_text(range: &RangeInclusive<u16>) -> String {
    match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{}xx", range.start() / 100),
    }
}

fn parse_check(text: &str) -> Result<Check, String> {
    if let Some(body) = text.strip_prefix("<body> ") {
        return parse_body(body.trim()).map(Check::Body);
    }
    let name = |name: &str| match name {
        "" => Err("a field without a name".to_owned()),
        _ if name.contains([' ', '<']) => Err(format!("`{name}` is no field name")),
        _ => Ok(name.to_owned()),
    };
    if let Some(absent) = text.strip_prefix('!') {
        return Ok(Check::Absent { name: name(absent)? });
    }
    let (field, value) = text.split_once(':').ok_or_else(|| format!("what is `{text}`?"))?;
    let (name, value) = (name(field)?, value.trim());
    Ok(if let Some(part) = value.strip_prefix('~') {
        Check::Has { name, part: part.to_owned() }
    } else if let Some(part) = value.strip_prefix("!~") {
        Check::Lacks { name, part: part.to_owned() }
    } else if value == "..." {
        Check::Present { name }
    } else {
        Check::Is { name, value: value.to_owned() }
    })
}

fn parse_body(text: &str) -> Result<Body, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let checked = |text: &str| quoted(text).map(|_octets| text.to_owned());
    Ok(match verb {
        "is" => Body::Is(checked(rest)?),
        "has" => Body::Has(checked(rest)?),
        "lacks" => Body::Lacks(checked(rest)?),
        "empty" => Body::Length(0),
        "length" => Body::Length(rest.parse().map_err(|_| format!("`{rest}` is no length"))?),
        "file" => match rest.split_once(' ') {
            None => Body::File { path: rest.to_owned(), range: None },
            Some((path, range)) => {
                let (first, last) = range.split_once('-').ok_or("a range is FIRST-LAST")?;
                let number = |text: &str| text.parse().map_err(|_| format!("no number: {text}"));
                Body::File { path: path.to_owned(), range: Some((number(first)?, number(last)?)) }
            }
        },
        "gunzips" => match rest.strip_prefix("to ").map(str::trim) {
            Some(file) if file.starts_with("file ") => Body::Gunzips(Box::new(parse_body(file)?)),
            Some(text) => Body::Gunzips(Box::new(Body::Is(checked(text)?))),
            None => return Err("a body gunzips `to file X` or `to \"text\"`".to_owned()),
        },
        _ => return Err(format!("a body cannot `{verb}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Response {
        let fields = [("ETag", "\"1\""), ("Allow", "GET, HEAD"), ("Connection", "close")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Response { status: 200, reason: "OK".to_owned(), fields, body: b"Hello\n".to_vec() }
    }

    /// Checks a block against the response above, with a file `hello` in the root.
    fn check(block: &str) -> Result<(), Vec<String>> {
        let root = tempfile::TempDir::new().unwrap();
        std::fs::write(root.path().join("hello"), ">Hello\n<").unwrap();
        let mut values = Values::from([("one".to_owned(), "1".to_owned())]);
        Expectation::parse(block, 1).unwrap().check(&response(), root.path(), &mut values)
    }

    #[test]
    fn what_holds() {
        for holds in [
            "200",
            "404 | 200",
            "2xx to HEAD",
            "200\nETag: \"1\"\nallow: ~HEAD\nallow: !~PUT\nETag: ...\n!Vary",
            "200\nETag: {tag}\nETag: {tag}\nETag: \"{one}\"",
            "200\n<body> is \"Hello\\n\"\n<body> has \"ell\"\n<body> lacks \"elk\"",
            "200\n<body> length 6",
            "200\n<body> file hello 1-6\n<closed>",
        ] {
            assert_eq!(check(holds), Ok(()), "{holds}");
        }
    }

    #[test]
    fn what_does_not() {
        for (block, count) in [
            ("404", 1),
            ("3xx\nETag: 1\n!Allow\nETag: ~2\nAllow: !~GET", 5),
            ("200\nVary: ...\nVary: a\nVary: ~a\nVary: !~a", 4),
            ("200\nETag: {tag}\nAllow: {tag}\nVary: {vary}", 2),
            ("200\n<body> is \"Hello\"\n<body> has \"elk\"\n<body> lacks \"ell\"", 3),
            ("200\n<body> empty\n<body> file hello\n<body> file hello 1-8\n<body> file gone", 4),
        ] {
            assert_eq!(check(block).unwrap_err().len(), count, "{block}");
        }
    }

    #[test]
    fn a_wrong_status_is_told_beside_the_right_ones() {
        assert_eq!(check("404 | 3xx").unwrap_err(), ["expected 404 | 3xx, got 200"]);
    }

    #[test]
    fn what_is_in_a_gzip_member() {
        let gzip = |content: &[u8]| {
            let mut octets = Vec::new();
            let level = flate2::Compression::default();
            flate2::bufread::GzEncoder::new(content, level).read_to_end(&mut octets).unwrap();
            octets
        };
        let good = gzip(b"Hello\n");
        let mut corrupt = good.clone();
        *corrupt.last_mut().unwrap() ^= 1;
        let root = tempfile::TempDir::new().unwrap();
        std::fs::write(root.path().join("hello"), "Hello\n").unwrap();
        let check = |body: &[u8], expected: &str| {
            let block = format!("200\n<body> gunzips to {expected}");
            let response = Response { body: body.to_vec(), ..response() };
            let expectation = Expectation::parse(&block, 1).unwrap();
            expectation.check(&response, root.path(), &mut Values::new())
        };
        for holds in ["\"Hello\\n\"", "file hello", "file hello 0-5"] {
            assert_eq!(check(&good, holds), Ok(()), "{holds}");
        }
        for (body, expected, why) in [
            (&good[..], "\"Hello\"", "gzip: body of 6 octets should be \"Hello\""),
            (&good[..], "file hello 0-4", "gzip: body of 6 octets"),
            (&corrupt[..], "file hello", "no gzip: "),
            (&good[..good.len() - 1], "file hello", "no gzip: "),
            (&good.repeat(2)[..], "file hello", "octets behind its end"),
            (b"Hello\n", "file hello", "no gzip: "),
            (b"", "file hello", "no gzip: "),
        ] {
            let wrong = check(body, expected).unwrap_err();
            assert!(wrong[0].contains(why), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_wanted_of_a_field_can_be_asked() {
        let wants = |text: &str| Expectation::parse(text, 1).unwrap().wants("Allow", "PUT");
        assert!(wants("200\nallow: ~PUT") && wants("200\nAllow: GET, PUT"));
        assert!(!wants("200\nAllow: !~PUT\nX: PUT\nAllow: GET"));
    }

    #[test]
    fn wording_can_be_left_out() {
        let text =
            "404\nServer: a\nContent-Type: a/b\nAllow: GET\n<body> has \"Error\"\n<body> empty";
        let mut expectation = Expectation::parse(text, 1).unwrap();
        expectation.forget_wording();
        let kept = Expectation::parse("404\nAllow: GET\n<body> empty", 1).unwrap();
        assert_eq!(expectation, kept);
        let mut page = Expectation::parse("200\n<body> has \"Error\"", 1).unwrap();
        page.forget_wording();
        assert_eq!(page, Expectation::parse("200\n<body> has \"Error\"", 1).unwrap());
    }

    #[test]
    fn a_block_that_makes_no_sense_is_refused_with_its_line() {
        for (block, line) in [
            ("", 7),
            ("OK", 7),
            ("200\n\nAllow", 9),
            ("200\nA b: c", 8),
            ("200\n<body> is Hello", 8),
            ("200\n<body> sings \"la\"", 8),
            ("200\n<body> gunzips", 8),
            ("200\n<body> gunzips file hello", 8),
            ("200\n<body> gunzips to Hello", 8),
            ("200\n<gone>", 8),
            ("99", 7),
            ("9xx", 7),
        ] {
            assert_eq!(Expectation::parse(block, 7).unwrap_err().0, line, "{block}");
        }
    }
}
