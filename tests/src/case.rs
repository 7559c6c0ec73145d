//! Reads a case file: Markdown in which the fenced blocks run. `tests/README.md` is its grammar.

use std::path::{Path, PathBuf};

use crate::escape::{Values, fill, unescape};
use crate::expect::Expectation;
use crate::run::Way;

/// A file of cases that share a server.
#[derive(Debug)]
pub struct CaseFile {
    /// Where it was read from, for messages.
    pub path: PathBuf,
    /// What the server is started with besides its address and root.
    pub server_args: Vec<String>,
    /// What is in the root besides [`fixture::STANDARD`](crate::fixture::STANDARD).
    pub files: String,
    /// The cases would disturb each other, and are played one at a time.
    pub one_at_a_time: bool,
    /// The cases in the order of the file.
    pub cases: Vec<Case>,
}

/// One claim and the exchanges that prove it, on one connection.
#[derive(Debug)]
pub struct Case {
    /// The heading.
    pub claim: String,
    /// The heading's line.
    pub line: usize,
    /// The ways in which it cannot be sent; each was given a reason.
    pub not_ways: Vec<Way>,
    /// What is sent and answered in turn.
    pub exchanges: Vec<Exchange>,
}

/// What is sent at once, and every response to it.
#[derive(Debug, Default)]
pub struct Exchange {
    sends: Vec<Send>,
    /// The responses, in order.
    pub expects: Vec<Expectation>,
}

#[derive(Debug)]
enum Send {
    /// Lines that end in LF here and in CRLF on the wire; a head, and after an empty line a body.
    Lines(String),
    /// Only what is written, with escapes.
    Raw(String),
}

impl Exchange {
    /// The octets to send, with placeholders filled from `values`.
    pub fn octets(&self, values: &Values) -> Vec<u8> {
        self.sends.iter().flat_map(|send| send.octets(values)).collect()
    }
}

impl Send {
    fn octets(&self, values: &Values) -> Vec<u8> {
        match self {
            Send::Lines(text) => {
                let text = fill(text.trim_end_matches('\n'), values);
                let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
                let crlf = |lines: &str| lines.replace('\n', "\r\n");
                format!("{}\r\n\r\n{}", crlf(head), crlf(body)).into_bytes()
            }
            Send::Raw(text) => {
                let joined: String = text.lines().collect();
                unescape(&fill(&joined, values)).expect("escapes were checked when it was read")
            }
        }
    }
}

impl CaseFile {
    /// Reads a case file.
    ///
    /// # Errors
    /// `PATH:LINE: what is wrong`.
    pub fn read(path: &Path) -> Result<CaseFile, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        CaseFile::parse(path, &text)
            .map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))
    }

    fn parse(path: &Path, text: &str) -> Result<CaseFile, (usize, String)> {
        let mut file = CaseFile {
            path: path.to_owned(),
            server_args: Vec::new(),
            files: String::new(),
            one_at_a_time: false,
            cases: Vec::new(),
        };
        // Whether the case at hand has said why it is so, in prose.
        let mut reasoned = true;
        let mut lines = text.lines().zip(1..);
        while let Some((line, at)) = lines.next() {
            if let Some(claim) = line.strip_prefix("## ") {
                file.finish_case(reasoned)?;
                reasoned = false;
                file.cases.push(Case::new(claim.trim(), at));
            } else if let Some(kind) = line.strip_prefix("```") {
                let mut block = String::new();
                loop {
                    match lines.next() {
                        Some(("```", _)) => break,
                        Some((line, _)) => block.extend([line, "\n"]),
                        None => return Err((at, "a block without an end".to_owned())),
                    }
                }
                file.add_block(kind.trim(), block, at)?;
            } else if let Some(comment) = line.strip_prefix("<!-- not ") {
                let way = parse_not(comment).map_err(|why| (at, why))?;
                let case = file.cases.last_mut().ok_or((at, "a way outside a case".to_owned()))?;
                case.not_ways.push(way);
            } else if let Some(why) = line.strip_prefix("<!-- one at a time") {
                let why = why.strip_suffix("-->").and_then(|why| why.strip_prefix(": "));
                if why.is_none_or(|why| why.trim().is_empty()) {
                    return Err((at, "one at a time without a reason".to_owned()));
                }
                file.one_at_a_time = true;
            } else if !line.trim().is_empty() && !line.starts_with('#') {
                reasoned = true;
            }
        }
        file.finish_case(reasoned)?;
        match file.cases.is_empty() {
            true => Err((1, "a case file without a case".to_owned())),
            false => Ok(file),
        }
    }

    fn add_block(&mut self, kind: &str, block: String, at: usize) -> Result<(), (usize, String)> {
        let Some(case) = self.cases.last_mut() else {
            match kind {
                "server" => self.server_args.extend(block.split_whitespace().map(str::to_owned)),
                "files" => self.files.push_str(&block),
                _ => return Err((at, format!("a block `{kind}` before the first case"))),
            }
            return Ok(());
        };
        match kind {
            "http" => case.add_send(Send::Lines(block)),
            "http raw" => {
                unescape(&block).map_err(|why| (at, why))?;
                case.add_send(Send::Raw(block));
            }
            "expect" => match case.exchanges.last_mut() {
                Some(exchange) => exchange.expects.push(Expectation::parse(&block, at + 1)?),
                None => return Err((at, "an answer before anything is asked".to_owned())),
            },
            _ => return Err((at, format!("a block `{kind}` in a case"))),
        }
        Ok(())
    }

    fn finish_case(&self, reasoned: bool) -> Result<(), (usize, String)> {
        let Some(case) = self.cases.last() else { return Ok(()) };
        let wrong = if !reasoned {
            "a case that does not say why"
        } else if case.exchanges.last().is_none_or(|exchange| exchange.expects.is_empty()) {
            "a case that expects nothing in the end"
        } else if case.not_ways.len() == Way::ALL.len() {
            "a case that is never sent"
        } else {
            return Ok(());
        };
        Err((case.line, wrong.to_owned()))
    }
}

impl Case {
    fn new(claim: &str, line: usize) -> Case {
        Case { claim: claim.to_owned(), line, not_ways: Vec::new(), exchanges: Vec::new() }
    }

    /// Adds to what is sent at once, or begins anew when answers have been expected since.
    fn add_send(&mut self, send: Send) {
        match self.exchanges.last_mut() {
            Some(exchange) if exchange.expects.is_empty() => exchange.sends.push(send),
            _ => self.exchanges.push(Exchange { sends: vec![send], expects: Vec::new() }),
        }
    }
}

/// The rest of `<!-- not byte-by-byte: why -->`.
fn parse_not(comment: &str) -> Result<Way, String> {
    let (way, why) = comment.split_once(':').ok_or("say why: <!-- not WAY: why -->")?;
    if why.trim_end_matches("-->").trim().is_empty() {
        return Err("a way is left out without a reason".to_owned());
    }
    match way {
        "whole" => Ok(Way::Whole),
        "byte-by-byte" => Ok(Way::ByteByByte),
        "behind a GET" => Ok(Way::Behind),
        _ => Err(format!("no such way: `{way}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CaseFile, (usize, String)> {
        CaseFile::parse(Path::new("x.md"), text)
    }

    fn octets(blocks: &str) -> String {
        let text = format!("## Claim\nWhy.\n{blocks}\n```expect\n200\n```\n");
        let file = parse(&text).unwrap();
        let values = Values::from([("tag".to_owned(), "\"1\"".to_owned())]);
        String::from_utf8(file.cases[0].exchanges[0].octets(&values)).unwrap()
    }

    #[test]
    fn a_file_with_everything() {
        let file = parse(
            "# Title\nProse.\n<!-- one at a time: why -->\n\
             ```server\n--writable\n--head-max 2K\n```\n\
             ```files\na text \"b\"\n```\n\
             ## One\nWhy.\n<!-- not behind a GET: reason -->\n```http\nGET / HTTP/1.1\n```\n\
             ```expect\n200\n```\n```http\nGET /b HTTP/1.1\n```\n```expect\n100\n```\n\
             ```expect\n404\n<closed>\n```\n## Two\nWhy.\n\
             ```http raw\n\\xff\n```\n```expect\n400\n```\n",
        )
        .unwrap();
        assert_eq!(file.server_args, ["--writable", "--head-max", "2K"]);
        assert!(file.one_at_a_time);
        assert_eq!(file.files, "a text \"b\"\n");
        let [one, two] = &file.cases[..] else { panic!("two cases") };
        assert_eq!((one.claim.as_str(), one.line, one.exchanges.len()), ("One", 11, 2));
        assert_eq!(one.not_ways, [Way::Behind]);
        assert_eq!(one.exchanges[1].expects.len(), 2);
        assert_eq!(one.exchanges[1].expects[1].line, 27);
        assert_eq!(two.exchanges[0].octets(&Values::new()), b"\xff");
    }

    #[test]
    fn blocks_become_octets() {
        assert_eq!(octets("```http\nGET / HTTP/1.1\nA: b\n```"), "GET / HTTP/1.1\r\nA: b\r\n\r\n");
        assert_eq!(octets("```http\nGET / HTTP/1.1\n\n```"), "GET / HTTP/1.1\r\n\r\n");
        assert_eq!(octets("```http\nPUT / x\n\nab\nc\n```"), "PUT / x\r\n\r\nab\r\nc");
        assert_eq!(octets("```http raw\na\\r\\n\nb\n```\n```http\nGET\n```"), "a\r\nbGET\r\n\r\n");
        assert_eq!(octets("```http\nA: {tag}{b*3}\n```"), "A: \"1\"bbb\r\n\r\n");
        assert_eq!(octets("```http raw\n{a\\r*2}\n```"), "a\ra\r");
    }

    #[test]
    fn files_at_fault_name_the_line() {
        let expect = "```http\nG\n```\n```expect\n200\n```\n";
        for (text, line, why) in [
            ("# Title\n".to_owned(), 1, "without a case"),
            (format!("# T\n## A\n{expect}"), 2, "does not say why"),
            ("## A\nWhy.\n```http\nG\n```\n".to_owned(), 1, "expects nothing"),
            (format!("## A\nWhy.\n{expect}```http\nG\n```\n"), 1, "expects nothing"),
            ("## A\nWhy.\n```expect\n200\n```\n".to_owned(), 3, "before anything is asked"),
            ("## A\nWhy.\n```http\nG\n```\n```expect\n200\nx\n```\n".to_owned(), 8, "what is"),
            ("## A\nWhy.\n```http raw\n\\q\n```\n".to_owned(), 3, "no such escape"),
            ("## A\nWhy.\n```http\n".to_owned(), 3, "without an end"),
            ("## A\nWhy.\n```sh\n```\n".to_owned(), 3, "in a case"),
            ("```http\n```\n".to_owned(), 1, "before the first case"),
            (format!("## A\nWhy.\n<!-- not whole -->\n{expect}"), 3, "say why"),
            (format!("## A\nWhy.\n<!-- not whole: -->\n{expect}"), 3, "without a reason"),
            (format!("# T\n<!-- one at a time: -->\n## A\nWhy.\n{expect}"), 2, "without a reason"),
            (format!("## A\nWhy.\n<!-- not twice: a -->\n{expect}"), 3, "no such way"),
        ] {
            let (at, said) = parse(&text).unwrap_err();
            assert_eq!(at, line, "{text}: {said}");
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
