//! Reads `tests/differences.md`: where other servers answer otherwise than we do, and why we do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use conformance::case::{Case, CaseFile};

use super::peer::Kind;

const HEADER: [&str; 5] = ["what they do", "why we do it otherwise", "both", "nginx", "lighttpd"];

/// The cases in which each server is known to differ.
#[derive(Debug, Default)]
pub(super) struct Table {
    known: BTreeSet<(Kind, String)>,
}

/// `FILE#Claim`, as the table has it.
pub(super) fn case_id(file: &CaseFile, case: &Case) -> String {
    format!("{}#{}", stem(file), case.claim)
}

/// A case file's name without `.md`.
pub(super) fn stem(file: &CaseFile) -> String {
    file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

impl Table {
    /// Reads the table and holds it against the cases that there are.
    ///
    /// # Errors
    /// When a row makes no sense or names a case that is not there: each with its line.
    pub(super) fn read(path: &Path, files: &BTreeMap<String, CaseFile>) -> Result<Table> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let ids = files.values().flat_map(|f| f.cases.iter().map(|case| case_id(f, case)));
        let (table, wrong) = Table::parse(&text, &ids.collect());
        if !wrong.is_empty() {
            bail!("{}:\n{}", path.display(), wrong.join("\n"));
        }
        Ok(table)
    }

    /// Whether a row says why that server answers the case otherwise.
    pub(super) fn explains(&self, kind: Kind, id: &str) -> bool {
        self.known.contains(&(kind, id.to_owned()))
    }

    /// The cases in which that server is said to differ.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.known.iter().filter(move |known| known.0 == kind).map(|known| known.1.as_str())
    }

    /// The rows of `text`, and a sentence for each that is wrong.
    fn parse(text: &str, ids: &BTreeSet<String>) -> (Table, Vec<String>) {
        let mut table = Table::default();
        let mut wrong = Vec::new();
        let rows = text.lines().zip(1..).filter(|(line, _)| line.starts_with('|'));
        for (row, (line, at)) in rows.enumerate() {
            let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
            let cells: Vec<_> = inner.unwrap_or_default().split('|').map(str::trim).collect();
            let added = match (row, cells.as_slice()) {
                (0, cells) if cells == HEADER => Ok(()),
                (0, _) => Err("the table does not begin with its header".to_owned()),
                (1, cells) if cells.iter().all(|cell| cell.starts_with("--")) => Ok(()),
                (_, &[what, why, both, nginx, lighttpd]) => check_reason(what, why)
                    .and_then(|()| check_cases(&[both, nginx, lighttpd]))
                    .and_then(|()| table.add(&[Kind::Nginx, Kind::Lighttpd], both, ids))
                    .and_then(|()| table.add(&[Kind::Nginx], nginx, ids))
                    .and_then(|()| table.add(&[Kind::Lighttpd], lighttpd, ids)),
                _ => Err(format!("not the {} cells of a row", HEADER.len())),
            };
            wrong.extend(added.err().map(|why| format!("line {at}: {why}")));
        }
        (table, wrong)
    }

    /// Adds the cases of a cell for each server that it stands for.
    fn add(&mut self, kinds: &[Kind], cell: &str, ids: &BTreeSet<String>) -> Result<(), String> {
        for id in cell.split("; ").filter(|id| !id.is_empty()) {
            if !ids.contains(id) {
                return Err(format!("there is no case {id}"));
            }
            for kind in kinds {
                if !self.known.insert((*kind, id.to_owned())) {
                    return Err(format!("{} has {id} twice", kind.name()));
                }
            }
        }
        Ok(())
    }
}

/// A row without a case explains nothing.
fn check_cases(cells: &[&str]) -> Result<(), String> {
    match cells.iter().all(|cell| cell.is_empty()) {
        true => Err("a row without a case".to_owned()),
        false => Ok(()),
    }
}

/// A reason is a sentence, and names where it comes from.
fn check_reason(what: &str, why: &str) -> Result<(), String> {
    match what.ends_with('.') && why.ends_with('.') {
        false => Err("what it does, and why, are sentences".to_owned()),
        true if !why.contains("RFC ") => Err("the reason cites no RFC".to_owned()),
        true => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: &str) -> (Table, Vec<String>) {
        let ids = ["host#None", "host#Two", "ranges#Last"].map(str::to_owned).into();
        let header =
            "# Title\n\n| what they do | why we do it otherwise | both | nginx | lighttpd |";
        Table::parse(&format!("{header}\n|--|--|--|--|--|\n{rows}\n"), &ids)
    }

    #[test]
    fn a_row_explains_its_cases_for_their_servers() {
        let (table, wrong) = parse(
            "| Answers. | RFC 9112 §3.2. | host#None; ranges#Last | | |\n\
             | Answers. | RFC 9112 §3.2. | | host#Two | |",
        );
        assert_eq!(wrong, Vec::<String>::new());
        assert!(table.explains(Kind::Lighttpd, "ranges#Last"));
        assert!(table.explains(Kind::Nginx, "host#Two"));
        assert!(!table.explains(Kind::Lighttpd, "host#Two"));
        assert_eq!(table.of(Kind::Lighttpd).collect::<Vec<_>>(), ["host#None", "ranges#Last"]);
    }

    #[test]
    fn a_row_that_explains_nothing_is_refused_with_its_line() {
        for (row, why) in [
            ("| Answers. | RFC 9112 §3.2. | host#None |", "not the 5 cells"),
            ("| Answers. | RFC 9112 §3.2. | | | |", "without a case"),
            ("| Answers. | RFC 9112 §3.2. | | host#Three | |", "no case host#Three"),
            (
                "| Answers. | RFC 9112 §3.2. | host#Two | | host#Two |",
                "lighttpd has host#Two twice",
            ),
            ("| answers | RFC 9112 §3.2. | host#Two | | |", "are sentences"),
            ("| Answers. | We prefer it. | host#Two | | |", "cites no RFC"),
        ] {
            let (_, wrong) = parse(row);
            assert_eq!(wrong.len(), 1, "{row}: {wrong:?}");
            assert!(wrong[0].starts_with("line 5: ") && wrong[0].contains(why), "{wrong:?}");
        }
        let (_, wrong) = Table::parse("| a | b |\n", &BTreeSet::new());
        assert!(wrong[0].contains("header"), "{wrong:?}");
    }

    #[test]
    fn the_table_of_this_workspace_names_cases_that_are_there() {
        let workspace = crate::workspace();
        let files = super::super::read_cases(&workspace.join("tests/cases")).unwrap();
        Table::read(&workspace.join(super::super::TABLE), &files).unwrap();
    }
}
