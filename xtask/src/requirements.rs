//! `cargo xtask requirements`: holds the tables of `tests/requirements/` against what they name.
//!
//! A row says what an RFC requires, and which case or test proves it; a row that names something
//! that is not there proves nothing. `tests/requirements/README.md` is the grammar.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use conformance::case::CaseFile;

/// Rows that may wait for something to be built. It only ever goes down, to 0.
const PENDING_MAX: usize = 0;

const HEADER: [&str; 5] = ["id", "section", "level", "requirement", "verdict"];

/// `ought` is for what the RFC says in prose, `MAY` for a choice that is worth a reason.
const LEVELS: [&str; 8] =
    ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "REQUIRED", "RECOMMENDED", "MAY", "ought"];

/// Checks every table of the workspace in `dir` and prints what it came to.
///
/// # Errors
/// When a row is wrong, which has been printed then, or a file cannot be read.
pub(crate) fn run(dir: &Path) -> Result<()> {
    let cases = claims(&dir.join("tests/cases"))?;
    let has_test = |path: &str, name: &str| {
        std::fs::read_to_string(dir.join(path)).is_ok_and(|text| has_test(&text, name))
    };
    let known = Known { cases: &cases, has_test: &has_test };
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    let tables = dir.join("tests/requirements");
    for name in markdown_files(&tables)?.iter().filter(|name| name.starts_with("rfc")) {
        let path = tables.join(format!("{name}.md"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let place = |(line, why)| format!("tests/requirements/{name}.md:{line}: {why}");
        wrong.extend(check(name, &text, &known, &mut counts).into_iter().map(place));
    }
    if counts.pending > PENDING_MAX {
        wrong.push(format!("{} rows are pending, {PENDING_MAX} may be", counts.pending));
    }
    for line in &wrong {
        eprintln!("{line}");
    }
    if !wrong.is_empty() {
        bail!("{} wrong in the tables of requirements", wrong.len());
    }
    println!("{counts}, {} cases", cases.values().map(BTreeSet::len).sum::<usize>());
    Ok(())
}

/// The claims of each case file, by the file's name without `.md`.
type Cases = BTreeMap<String, BTreeSet<String>>;

/// What a verdict may name.
struct Known<'a> {
    cases: &'a Cases,
    /// Whether the file at that path has a test of that name.
    has_test: &'a dyn Fn(&str, &str) -> bool,
}

/// Rows by their verdict.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    met: usize,
    not_applicable: usize,
    otherwise: usize,
    pending: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { met, not_applicable, otherwise, pending } = self;
        let all = met + not_applicable + otherwise + pending;
        write!(
            f,
            "{all} requirements: {met} met, {not_applicable} not applicable, \
             {otherwise} chosen otherwise, {pending} pending"
        )
    }
}

fn claims(dir: &Path) -> Result<Cases> {
    let read = |name: String| {
        let path = dir.join(format!("{name}.md"));
        let file = CaseFile::read(&path).map_err(|why| anyhow!(why))?;
        Ok((name, file.cases.into_iter().map(|case| case.claim).collect()))
    };
    markdown_files(dir)?.into_iter().map(read).collect()
}

/// The names of the Markdown files in `dir`, without `.md`, in order.
fn markdown_files(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".md").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Whether `text` has `fn name(` under a `#[test]`.
fn has_test(text: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(function) = line.strip_prefix("fn ") {
            if is_test && function.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) {
                return true;
            }
            is_test = false;
        }
    }
    false
}

/// Checks the table of one RFC; `name` is `rfc9110`. The number of each line at fault, and why.
fn check(name: &str, text: &str, known: &Known<'_>, counts: &mut Counts) -> Vec<(usize, String)> {
    let rfc = name.trim_start_matches("rfc");
    let mut wrong = Vec::new();
    let mut last = None;
    let lines = text.lines().zip(1..).filter(|(line, _)| line.starts_with('|'));
    for (row, (line, at)) in lines.enumerate() {
        let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        let cells: Vec<_> = inner.unwrap_or_default().split('|').map(str::trim).collect();
        let result = match (row, cells.as_slice()) {
            (0, cells) if cells == HEADER => Ok(()),
            (0, _) => Err("the table does not begin with its header".to_owned()),
            (1, cells) if cells.iter().all(|cell| cell.starts_with("--")) => Ok(()),
            (_, &[id, section, level, requirement, verdict]) => place(rfc, id, section, &mut last)
                .and_then(|()| check_level(level))
                .and_then(|()| check_sentence(requirement))
                .and_then(|()| check_verdict(verdict, known, counts)),
            _ => Err(format!("not the {} cells of a row", HEADER.len())),
        };
        wrong.extend(result.err().map(|why| (at, why)));
    }
    if last.is_none() {
        wrong.push((1, "a table without a row".to_owned()));
    }
    wrong
}

/// Section and number of a row: what the rows are in the order of.
type Place = (Vec<u32>, u32);

/// An id is `RFC-SECTION-NUMBER`, and greater than the one before.
fn place(rfc: &str, id: &str, section: &str, last: &mut Option<Place>) -> Result<(), String> {
    let numbers: Result<Vec<u32>, _> = section.split('.').map(str::parse).collect();
    let numbers = numbers.map_err(|_| format!("`{section}` is no section"))?;
    let number = id.strip_prefix(&format!("{rfc}-{section}-")).and_then(|n| n.parse().ok());
    let number = number.ok_or_else(|| format!("`{id}` should be {rfc}-{section}-NUMBER"))?;
    let this = (numbers, number);
    match last {
        Some(last) if *last == this => return Err(format!("`{id}` is there twice")),
        Some(last) if *last > this => return Err(format!("`{id}` is not in order")),
        _ => {}
    }
    *last = Some(this);
    Ok(())
}

fn check_level(level: &str) -> Result<(), String> {
    match level.split(", ").find(|level| !LEVELS.contains(level)) {
        Some(unknown) => Err(format!("`{unknown}` is no level")),
        None => Ok(()),
    }
}

fn check_sentence(requirement: &str) -> Result<(), String> {
    match requirement.ends_with('.') {
        true => Ok(()),
        false => Err(format!("`{requirement}` is no sentence")),
    }
}

fn check_verdict(verdict: &str, known: &Known<'_>, counts: &mut Counts) -> Result<(), String> {
    let reasons = [
        ("not applicable: ", &mut counts.not_applicable),
        ("otherwise: ", &mut counts.otherwise),
        ("pending: ", &mut counts.pending),
    ];
    for (form, count) in reasons {
        if let Some(reason) = verdict.strip_prefix(form) {
            *count += 1;
            let mut bracketed = reason.split('[').skip(1).filter_map(|rest| rest.split(']').next());
            return bracketed.try_for_each(|proofs| check_proofs(proofs, known));
        }
    }
    counts.met += 1;
    check_proofs(verdict, known)
}

/// `case FILE#Claim` and `test PATH::name`, separated by `; `.
fn check_proofs(proofs: &str, known: &Known<'_>) -> Result<(), String> {
    for proof in proofs.split("; ") {
        let case = proof.strip_prefix("case ").and_then(|case| case.split_once('#'));
        let test = proof.strip_prefix("test ").and_then(|test| test.split_once("::"));
        let is_there = match (case, test) {
            (Some((file, claim)), _) => known.cases.get(file).is_some_and(|c| c.contains(claim)),
            (None, Some((path, name))) => (known.has_test)(path, name),
            (None, None) => return Err(format!("`{proof}` is no form of a verdict")),
        };
        if !is_there {
            return Err(format!("there is no {proof}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the rows of a table of RFC 9110, with one case file and one test to name.
    fn checked(rows: &[&str]) -> (Vec<(usize, String)>, Counts) {
        let claims = BTreeSet::from(["It holds".to_owned()]);
        let cases = Cases::from([("cases".to_owned(), claims)]);
        let has_test = |path: &str, name: &str| path == "a/b.rs" && name == "it_holds";
        let known = Known { cases: &cases, has_test: &has_test };
        let header =
            "# Title\n\n| id | section | level | requirement | verdict |\n|--|--|--|--|--|";
        let text = format!("{header}\n{}\n", rows.join("\n"));
        let mut counts = Counts::default();
        let wrong = check("rfc9110", &text, &known, &mut counts);
        (wrong, counts)
    }

    fn refused(rows: &[&str], line: usize, why: &str) {
        let (wrong, _) = checked(rows);
        let [(at, said)] = wrong.as_slice() else { panic!("one is wrong in {rows:?}: {wrong:?}") };
        assert_eq!(*at, line, "{rows:?}: {said}");
        assert!(said.contains(why), "{rows:?}: {said}");
    }

    #[test]
    fn every_form_of_a_verdict_is_counted() {
        let (wrong, counts) = checked(&[
            "| 9110-2.2-1 | 2.2 | MUST | Do. | case cases#It holds |",
            "| 9110-2.2-3 | 2.2 | SHOULD NOT | Do. | case cases#It holds; test a/b.rs::it_holds |",
            "| 9110-2.10-1 | 2.10 | MUST, SHOULD | Do. | not applicable: for clients |",
            "| 9110-3-1 | 3 | MAY | Do. | otherwise: not done [case cases#It holds] |",
            "| 9110-3.1-1 | 3.1 | ought | Do. | pending: something |",
        ]);
        assert_eq!(wrong, []);
        let expected = Counts { met: 2, not_applicable: 1, otherwise: 1, pending: 1 };
        assert_eq!(counts, expected);
        let said = "5 requirements: 2 met, 1 not applicable, 1 chosen otherwise, 1 pending";
        assert_eq!(counts.to_string(), said);
    }

    #[test]
    fn planted_errors_are_found() {
        for (row, why) in [
            ("| 9110-2-1 | 2 | MUST | Do. | case cases#It held |", "no case cases#It held"),
            ("| 9110-2-1 | 2 | MUST | Do. | case others#It holds |", "no case others"),
            ("| 9110-2-1 | 2 | MUST | Do. | test a/b.rs::it_held |", "no test a/b.rs::it_held"),
            ("| 9110-2-1 | 2 | MUST | Do. | case cases#It holds; yes |", "`yes` is no form"),
            ("| 9110-2-1 | 2 | MUST | Do. | met |", "`met` is no form"),
            ("| 9110-2-1 | 2 | MUST | Do. |  |", "no form"),
            ("| 9110-2-1 | 2 | MUST | Do. | otherwise: so [case cases#It held] |", "no case"),
            ("| 9110-2-1 | 2 | WILL | Do. | pending: it |", "`WILL` is no level"),
            ("| 9110-2-1 | 2 | MUST | Do | pending: it |", "no sentence"),
            ("| 9110-2-1 | 2 | MUST | Do. |", "not the 5 cells"),
            ("| 9110-2-1 | 2 | MUST | Do. | pending: it", "not the 5 cells"),
        ] {
            // None but a wrong id leaves the table without a row.
            let good = "| 9110-1-1 | 1 | MUST | Do. | pending: it |";
            refused(&[good, row], 6, why);
        }
    }

    #[test]
    fn ids_go_up_and_name_rfc_and_section() {
        let row =
            |id: &str, section: &str| format!("| {id} | {section} | MAY | Do. | pending: it |");
        for (first, second, why) in [
            (("9110-2.2-1", "2.2"), ("9110-2.2-1", "2.2"), "is there twice"),
            (("9110-2.2-2", "2.2"), ("9110-2.2-1", "2.2"), "is not in order"),
            (("9110-2.10-1", "2.10"), ("9110-2.9-1", "2.9"), "is not in order"),
            (("9110-2.2-1", "2.2"), ("9110-2-1", "2"), "is not in order"),
            (("9110-2.2-1", "2.2"), ("9110-2.2-2", "2.3"), "should be 9110-2.3-NUMBER"),
            (("9110-2.2-1", "2.2"), ("9112-2.3-1", "2.3"), "should be 9110-2.3-NUMBER"),
            (("9110-2.2-1", "2.2"), ("9110-2.3", "2.3"), "should be 9110-2.3-NUMBER"),
            (("9110-2.2-1", "2.2"), ("9110-C.1-1", "C.1"), "`C.1` is no section"),
        ] {
            refused(&[&row(first.0, first.1), &row(second.0, second.1)], 6, why);
        }
    }

    #[test]
    fn a_table_has_a_header_and_a_row() {
        refused(&[], 1, "without a row");
        let cases = Cases::new();
        let known = Known { cases: &cases, has_test: &|_, _| false };
        let text = "| id | verdict |\n|--|--|\n| 9110-1-1 | 1 | MUST | Do. | pending: it |\n";
        let wrong = check("rfc9110", text, &known, &mut Counts::default());
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].1.contains("header"), "{wrong:?}");
    }

    #[test]
    fn only_a_test_is_a_test() {
        let text = "fn helper() {}\n#[test]\n#[ignore]\nfn it_holds() {}\nfn other() {}\n";
        assert!(has_test(text, "it_holds"));
        for name in ["helper", "other", "it_hold", "it_holds_too"] {
            assert!(!has_test(text, name), "{name}");
        }
    }

    #[test]
    fn the_tables_of_this_workspace_hold() {
        run(crate::workspace()).unwrap();
    }
}
