//! Decides which cases another server can be asked, and says why it cannot be asked the rest.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use conformance::case::{Case, CaseFile};
use conformance::escape::Values;
use conformance::run::Way;

/// What HTTP leaves to each server, by how the names of the case files about it begin.
const OWN_WAYS: [(&str, &str); 4] = [
    ("caching", "it is about what caches are told, which everybody chooses"),
    ("limits", "it is about limits of ours"),
    ("precompressed", "it is about copies in codings, which others serve with modules"),
    ("untrusted", "it is about files that are not the owner's, which the other does not take"),
];

/// A case file, or a part of a heading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted(String);

/// The cases to play, by file, and how many are not played for which reason.
pub(super) struct Selection<'a> {
    pub(super) played: Vec<(&'a CaseFile, Vec<&'a Case>)>,
    pub(super) left_out: BTreeMap<String, usize>,
}

impl Wanted {
    /// `ranges`, `tests/cases/ranges.md`, or some words of a heading.
    pub(super) fn new(word: &str) -> Wanted {
        Wanted(word.to_owned())
    }

    fn is_file(&self, name: &str) -> bool {
        let last = self.0.rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".md").unwrap_or(last) == name
    }

    fn names(&self, file: &str, case: &Case) -> bool {
        self.is_file(file) || case.claim.contains(&self.0)
    }
}

impl<'a> Selection<'a> {
    /// Sorts the cases of `files` that are `wanted`, or all of them when nothing is.
    ///
    /// # Errors
    /// When a word names neither a file nor a case.
    pub(super) fn of(
        files: &'a BTreeMap<String, CaseFile>,
        wanted: &[Wanted],
    ) -> Result<Selection<'a>> {
        let mut selection = Selection { played: Vec::new(), left_out: BTreeMap::new() };
        let all =
            || files.iter().flat_map(|(name, file)| file.cases.iter().map(move |c| (name, c)));
        for word in wanted {
            if !all().any(|(name, case)| word.names(name, case)) {
                bail!("`{}` is neither a case file nor in a heading", word.0);
            }
        }
        for (name, file) in files {
            let mut played = Vec::new();
            for case in &file.cases {
                if !wanted.is_empty() && !wanted.iter().any(|word| word.names(name, case)) {
                    continue;
                }
                match why_not(name, file, case) {
                    None => played.push(case),
                    Some(why) => *selection.left_out.entry(why).or_default() += 1,
                }
            }
            if !played.is_empty() {
                selection.played.push((file, played));
            }
        }
        Ok(selection)
    }
}

/// Why another server cannot be asked this.
fn why_not(name: &str, file: &CaseFile, case: &Case) -> Option<String> {
    if let Some((_, why)) = OWN_WAYS.iter().find(|(own, _)| name.starts_with(own)) {
        return Some((*why).to_owned());
    }
    if !file.server_args.iter().all(|arg| is_for_writing(arg)) {
        return Some(format!("all of `{name}` is about flags of ours"));
    }
    if case.not_ways.contains(&Way::Whole) {
        return Some("it cannot be sent whole".to_owned());
    }
    let is_about_writing = writes(case) && !is_refused(case) || is_told_of_writing(case);
    (is_writable(file) && is_about_writing)
        .then(|| "it is about writing, which the other server does not do".to_owned())
}

/// Whether a writing case came to nothing because the other server does not write there. It may say
/// so before it looks at the content; that a length is wrong, for example, it says first.
pub(super) fn is_method_refused(file: &CaseFile, case: &Case, status: Option<u16>) -> bool {
    is_writable(file) && writes(case) && matches!(status, Some(403..=405))
}

fn is_writable(file: &CaseFile) -> bool {
    file.server_args.iter().any(|arg| arg == "--writable")
}

/// Whether an argument, or the value of one, matters only to those who write.
fn is_for_writing(arg: &str) -> bool {
    ["--writable", "--body-max"].contains(&arg) || !arg.starts_with('-')
}

/// Whether a line of what is sent begins like a request that writes.
fn writes(case: &Case) -> bool {
    let values = Values::from([("way".to_owned(), Way::Whole.name().to_owned())]);
    case.exchanges.iter().any(|exchange| {
        let octets = exchange.octets(&values);
        let starts = |line: &[u8]| {
            ["PUT ", "POST ", "DELETE "].iter().any(|m| line.starts_with(m.as_bytes()))
        };
        octets.split(|octet| *octet == b'\n').any(starts)
    })
}

/// Whether an answer has to say that one can write.
fn is_told_of_writing(case: &Case) -> bool {
    let mut expects = case.exchanges.iter().flat_map(|exchange| &exchange.expects);
    expects.any(|expected| expected.wants("Allow", "PUT"))
}

/// Whether every answer may be a 400: then it is the octets that matter, and not the method.
fn is_refused(case: &Case) -> bool {
    let mut expects = case.exchanges.iter().flat_map(|exchange| &exchange.expects);
    expects.all(|expected| expected.allows(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file `name` with the blocks before its cases, and its cases as method and status.
    fn file(dir: &std::path::Path, name: &str, before: &str, cases: &[(&str, &str)]) -> CaseFile {
        let mut text = before.to_owned();
        for (number, (method, status)) in cases.iter().enumerate() {
            text += &format!(
                "## {name} case {number}\nWhy.\n```http\n{method} /{{way}} HTTP/1.1\n```\n\
                 ```expect\n{status}\n```\n"
            );
        }
        let path = dir.join(format!("{name}.md"));
        std::fs::write(&path, text).unwrap();
        CaseFile::read(&path).unwrap()
    }

    fn files() -> BTreeMap<String, CaseFile> {
        let dir = tempfile::TempDir::new().unwrap();
        let writing = "```server\n--writable --body-max 100K\n```\n";
        let cases = [("GET", "200"), ("PUT", "201"), ("PUT", "400"), ("POST", "4xx")];
        [
            file(dir.path(), "reading", "", &[("GET", "200"), ("PUT", "405")]),
            file(dir.path(), "writing", writing, &cases),
            file(dir.path(), "told", writing, &[("OPTIONS", "204\nAllow: ~PUT")]),
            file(dir.path(), "flags", "```server\n--hidden\n```\n", &[("GET", "200")]),
        ]
        .map(|file| (super::super::table::stem(&file), file))
        .into()
    }

    fn claims(selection: &Selection<'_>) -> Vec<String> {
        let cases = selection.played.iter().flat_map(|(_, cases)| cases);
        cases.map(|case| case.claim.clone()).collect()
    }

    #[test]
    fn only_what_another_server_can_do_is_played() {
        let files = files();
        let selection = Selection::of(&files, &[]).unwrap();
        let expected = [
            "reading case 0",
            "reading case 1",
            "writing case 0",
            "writing case 2",
            "writing case 3",
        ];
        assert_eq!(claims(&selection), expected);
        let left_out: Vec<_> = selection.left_out.values().copied().collect();
        assert_eq!(left_out, [1, 2], "{:?}", selection.left_out);
    }

    #[test]
    fn a_word_is_a_file_or_a_part_of_a_heading() {
        let files = files();
        let of = |word| claims(&Selection::of(&files, &[Wanted::new(word)]).unwrap());
        assert_eq!(of("tests/cases/reading.md").len(), 2);
        assert_eq!(of("reading").len(), 2);
        assert_eq!(of("case 0"), ["reading case 0", "writing case 0"]);
        let why = Selection::of(&files, &[Wanted::new("singing")]).err().unwrap().to_string();
        assert!(why.contains("`singing` is neither"), "{why}");
    }
}
