//! What was measured: rounds, their medians, and what is to be said about them.

use super::servers::Kind;
use super::workloads::Workload;

const MIB: f64 = 1048576.0;

/// One run of wrk against one server.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) requests: f64,
    pub(super) seconds: f64,
    /// Octets that were answered.
    pub(super) bytes: u64,
    /// CPU time of the server in microseconds.
    pub(super) cpu: f64,
    /// Why it does not count.
    pub(super) wrong: Option<String>,
}

/// All rounds of one server with one workload.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) workload: &'static str,
    pub(super) kind: Kind,
    pub(super) has_log: bool,
    pub(super) rounds: Vec<Round>,
    /// What was wrong besides what is wrong with a round.
    pub(super) complaints: Vec<String>,
    /// KiB.
    pub(super) resident: u64,
    pub(super) peak: u64,
}

impl Cell {
    pub(super) fn new(workload: &'static str, kind: Kind, has_log: bool) -> Cell {
        let (rounds, complaints) = (Vec::new(), Vec::new());
        Cell { workload, kind, has_log, rounds, complaints, resident: 0, peak: 0 }
    }

    /// Whether a round counts and nothing else was wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.complaints.is_empty() && self.rounds.iter().any(|round| round.wrong.is_none())
    }

    /// What is to be said beside the numbers.
    pub(super) fn flags(&self) -> String {
        let wrong: Vec<_> = self.rounds.iter().filter_map(|round| round.wrong.clone()).collect();
        let mut said = self.complaints.clone();
        if let Some(first) = wrong.first() {
            let (count, of) = (wrong.len(), self.rounds.len());
            said.push(format!("FLAGGED: {count} of {of} rounds left out: {first}"));
        }
        said.dedup();
        said.join("; ")
    }

    /// The numbers of the rounds that count, or of all when none does, in order.
    fn sorted(&self, number: impl Fn(&Round) -> f64) -> Vec<f64> {
        let clean = self.rounds.iter().any(|round| round.wrong.is_none());
        let counting = self.rounds.iter().filter(|round| !clean || round.wrong.is_none());
        let mut numbers: Vec<_> = counting.map(number).filter(|n| n.is_finite()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    }

    /// CPU microseconds per request; `None` when nothing was answered.
    pub(super) fn cpu(&self) -> Option<f64> {
        median(&self.sorted(|round| round.cpu / round.requests))
    }

    /// The least and the most CPU microseconds per request of a round.
    pub(super) fn cpu_spread(&self) -> Option<(f64, f64)> {
        let sorted = self.sorted(|round| round.cpu / round.requests);
        Some((*sorted.first()?, *sorted.last()?))
    }

    /// CPU microseconds per MiB that was sent.
    pub(super) fn cpu_per_mib(&self) -> Option<f64> {
        median(&self.sorted(|round| round.cpu / (round.bytes as f64 / MIB)))
    }

    pub(super) fn requests_per_second(&self) -> Option<f64> {
        median(&self.sorted(|round| round.requests / round.seconds))
    }
}

/// The middle of numbers in order; of an even count, the mean of the two in the middle.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[middle - 1] + upper) / 2.0 })
}

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Results {
    pub(super) cells: Vec<Cell>,
    /// Sentences about what was not measured.
    pub(super) left_out: Vec<String>,
}

impl Results {
    /// Notes, and prints, that a server does not take part in a workload.
    pub(super) fn leave_out(&mut self, kind: Kind, workload: &Workload, why: &anyhow::Error) {
        let why = format!("{why:#}").replace('\n', " ");
        let note = format!("{} is left out of {}: {why}", kind.name(), workload.name);
        if !self.left_out.contains(&note) {
            println!("  {note}");
            self.left_out.push(note);
        }
    }

    /// What was measured of a server with a workload.
    pub(super) fn cell(&self, workload: &str, kind: Kind, has_log: bool) -> Option<&Cell> {
        let mut cells = self.cells.iter();
        cells.find(|c| c.workload == workload && c.kind == kind && c.has_log == has_log)
    }

    /// CPU microseconds per request, of what counts.
    pub(super) fn cpu(&self, workload: &str, kind: Kind, has_log: bool) -> Option<f64> {
        self.cell(workload, kind, has_log).filter(|cell| cell.is_clean())?.cpu()
    }

    /// The peer that needs the least CPU time for a request, and how much.
    pub(super) fn best_peer(&self, workload: &str, has_log: bool) -> Option<(Kind, f64)> {
        let peers = Kind::ALL.into_iter().filter(|kind| kind.is_peer());
        let costs = peers.filter_map(|kind| Some((kind, self.cpu(workload, kind, has_log)?)));
        costs.min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// A line about a cell for those who wait.
    pub(super) fn progress(&self, cell: &Cell) -> String {
        let rate = cell.requests_per_second().unwrap_or(0.0);
        let (cpu, flags) = (cell.cpu().unwrap_or(f64::NAN), cell.flags());
        let name = cell.kind.name();
        format!("  {name:<18} {rate:>9.0} requests/s {cpu:>9.2} us CPU/request {flags}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: Kind, rounds: &[(f64, Option<&str>)]) -> Cell {
        let mut cell = Cell::new("1k", kind, true);
        for (cpu, wrong) in rounds {
            let wrong = wrong.map(str::to_owned);
            cell.rounds.push(Round { requests: 1.0, seconds: 1.0, bytes: 1, cpu: *cpu, wrong });
        }
        cell
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn flagged_rounds_do_not_count_and_are_told() {
        let cell = cell(Kind::H2o, &[(9.0, None), (1.0, Some("torn")), (7.0, None), (8.0, None)]);
        assert_eq!((cell.cpu(), cell.cpu_spread()), (Some(8.0), Some((7.0, 9.0))));
        assert_eq!(cell.flags(), "FLAGGED: 1 of 4 rounds left out: torn");
        assert!(cell.is_clean());
    }

    #[test]
    fn the_best_peer_is_a_peer_whose_rounds_count() {
        let cells = vec![
            cell(Kind::Floor, &[(1.0, None)]),
            cell(Kind::Httpd, &[(2.0, None)]),
            cell(Kind::Lighttpd, &[(3.0, Some("torn"))]),
            cell(Kind::H2o, &[(4.0, None)]),
            cell(Kind::Dufs, &[(5.0, None)]),
        ];
        let results = Results { cells, left_out: Vec::new() };
        assert_eq!(results.best_peer("1k", true), Some((Kind::H2o, 4.0)));
        assert_eq!(results.best_peer("1k", false), None);
        assert_eq!(results.cpu("1k", Kind::Lighttpd, true), None);
    }
}
