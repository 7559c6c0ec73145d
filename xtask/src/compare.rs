//! `cargo xtask compare`: plays the conformance cases against another server, and says where its
//! answer is not the one that a case expects.
//!
//! A named server is started here, anew for each case file, with the file's own root; what it does
//! otherwise has to be explained in `tests/differences.md`. One that runs already is told by its
//! address, and the directory that it serves is filled anew for each case file.

mod arguments;
pub(crate) mod config;
pub(crate) mod peer;
mod select;
mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use conformance::case::{Case, CaseFile};
use conformance::client::Client;
use conformance::run;

use arguments::{Arguments, Target};
use peer::{Kind, Peer, Program};
use select::{Selection, Wanted};
use table::Table;

/// What is known about differences, for people and for this command.
const TABLE: &str = "tests/differences.md";

/// Plays the cases against every server that the arguments name.
///
/// # Errors
/// When an answer differs and the table does not say why, which has been printed then, a server is
/// not installed or not there, or the arguments make no sense.
pub(crate) fn run(args: &[String], workspace: &Path) -> Result<()> {
    let Arguments { targets, wanted } = Arguments::parse(args)?;
    let files = read_cases(&workspace.join("tests/cases"))?;
    let table = Table::read(&workspace.join(TABLE), &files)?;
    let selection = Selection::of(&files, &wanted)?;
    let mut unexplained = 0;
    for target in &targets {
        unexplained += compare(target, &selection, &table, &wanted)?;
    }
    match unexplained {
        0 => Ok(()),
        count => bail!("{count} differences are not explained in {TABLE}"),
    }
}

/// Compares with one server; how many differences nobody has explained.
fn compare(
    target: &Target,
    selection: &Selection<'_>,
    table: &Table,
    wanted: &[Wanted],
) -> Result<usize> {
    let mut played = Played::default();
    match target {
        Target::Named(kind) => {
            let program = Program::find(*kind)?;
            for (file, cases) in &selection.played {
                let peer = Peer::start(&program, &files_of(file))?;
                played.add(file, cases, peer.addr(), peer.root());
            }
            Ok(report(&program.version(), Some(*kind), played, selection, table, wanted))
        }
        Target::Running { base, addr, root } => {
            Client::connect(*addr).with_context(|| format!("nobody answers at {base}"))?;
            peer::must_be_empty(root)?;
            for (file, cases) in &selection.played {
                peer::fill_only(root, &files_of(file))?;
                played.add(file, cases, *addr, root);
            }
            peer::empty(root)?;
            Ok(report(base, None, played, selection, table, wanted))
        }
    }
}

/// What became of the cases that were played.
#[derive(Default)]
struct Played {
    same: usize,
    differences: Vec<Difference>,
    /// Those in which it did not come to what they are about.
    method_refused: usize,
}

/// A case that was answered otherwise: which, and the first thing that was wrong.
struct Difference {
    file: String,
    claim: String,
    wrong: String,
}

impl Difference {
    fn id(&self) -> String {
        format!("{}#{}", self.file, self.claim)
    }
}

impl Played {
    fn add(&mut self, file: &CaseFile, cases: &[&Case], addr: SocketAddr, root: &Path) {
        let failures = run::compare_cases(cases, addr, root);
        self.same += cases.len() - failures.len();
        for (at, failure) in failures {
            let case = cases[at];
            if select::is_method_refused(file, case, failure.last_status()) {
                self.method_refused += 1;
                continue;
            }
            let wrong = failure.wrong.into_iter().next().unwrap_or_default();
            let (file, claim) = (table::stem(file), case.claim.clone());
            self.differences.push(Difference { file, claim, wrong });
        }
    }
}

/// Prints what differs and how often; returns how many differences nobody has explained.
fn report(
    name: &str,
    kind: Option<Kind>,
    played: Played,
    selection: &Selection<'_>,
    table: &Table,
    wanted: &[Wanted],
) -> usize {
    let Played { same, differences, method_refused } = played;
    let mut unexplained = 0;
    for difference in &differences {
        let is_explained = kind.is_some_and(|kind| table.explains(kind, &difference.id()));
        unexplained += usize::from(!is_explained);
        let note = if is_explained { "" } else { " (unexplained)" };
        let Difference { file, claim, wrong } = difference;
        println!("differs: {file} # {claim}: {wrong}{note}");
    }
    if let (Some(kind), true) = (kind, wanted.is_empty()) {
        for id in table.of(kind).filter(|id| differences.iter().all(|d| d.id() != *id)) {
            println!("explained in {TABLE}, but does not differ: {id}");
        }
    }
    let mut left_out = selection.left_out.clone();
    if method_refused > 0 {
        let why = "it refuses the method before it looks at what the case is about";
        left_out.insert(why.to_owned(), method_refused);
    }
    let (differ, out) = (differences.len(), left_out.values().sum::<usize>());
    println!("{name}: same {same}, differ {differ} ({unexplained} unexplained), left out {out}");
    for (why, count) in &left_out {
        println!("    left out {count}: {why}");
    }
    unexplained
}

/// What lies in the root for a case file.
fn files_of(file: &CaseFile) -> String {
    format!("{}{}", conformance::fixture::STANDARD, file.files)
}

/// The case files by their names, without `.md`.
fn read_cases(dir: &Path) -> Result<BTreeMap<String, CaseFile>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let mut file = CaseFile::read(&path).map_err(|why| anyhow!(why))?;
            let exchanges = file.cases.iter_mut().flat_map(|case| &mut case.exchanges);
            let expects = exchanges.flat_map(|exchange| &mut exchange.expects);
            expects.for_each(|expected| expected.forget_wording());
            files.insert(table::stem(&file), file);
        }
    }
    Ok(files)
}
