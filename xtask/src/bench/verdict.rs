//! The bounds: how much CPU time a request may cost us, held against the floor and against others.

use std::fmt;

use super::results::Results;
use super::scale::{Own, Row, crowd_ratio, workers_ratio};
use super::servers::Kind;

/// What a workload of ours is held against, and how many times as much it may cost at most.
struct Bound {
    workload: &'static str,
    against: Against,
    ratio: f64,
}

#[derive(Clone, Copy)]
enum Against {
    BestPeer,
    One(Kind),
}

/// With the access log on.
const BOUNDS: [Bound; 11] = [
    bound("1k", Against::One(Kind::Floor), 1.25),
    bound("1k", Against::BestPeer, 0.70),
    bound("distinct", Against::BestPeer, 0.75),
    bound("100k", Against::BestPeer, 1.0),
    bound("100m", Against::BestPeer, 1.0),
    bound("404", Against::BestPeer, 0.70),
    bound("304-tag", Against::BestPeer, 0.70),
    bound("304-date", Against::BestPeer, 0.70),
    bound("range", Against::BestPeer, 0.70),
    bound("close", Against::BestPeer, 0.90),
    bound("pipelined", Against::One(Kind::NginxTuned), 0.5),
];
/// How many times as much a second worker lets the server do at least. By the CPU time of a request
/// with two workers and with one: what either could do is limited by nothing else, whereas the
/// requests per second on two cores that wrk shares are what both together can do.
const WORKERS_RATIO_MIN: f64 = 1.8;
/// How many times as much a request may cost among 10,000 busy connections as among 64.
const CROWD_RATIO_MAX: f64 = 1.3;
const STARTUP_MS_MAX: f64 = 20.0;
const BINARY_MIB_MAX: f64 = 4.0;

const fn bound(workload: &'static str, against: Against, ratio: f64) -> Bound {
    Bound { workload, against, ratio }
}

/// Whether a bound held.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    what: String,
    /// What was measured, if it was.
    found: Option<f64>,
    most: f64,
    unit: &'static str,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { what, found, most, unit } = self;
        match found {
            None => write!(f, "not measured: {what}"),
            Some(found) => {
                let word = if found <= most { "held" } else { "MISSED" };
                write!(f, "{word}: {what}: {found:.2}{unit}, at most {most:.2}{unit}")
            }
        }
    }
}

/// Holds what was measured against every bound.
pub(super) fn judge(results: &Results, rows: &[Row], own: Option<&Own>) -> Vec<Verdict> {
    let mut verdicts: Vec<_> = BOUNDS.iter().map(|bound| judge_one(results, bound)).collect();
    let mut add = |what: &str, found, most, unit| {
        verdicts.push(Verdict { what: what.to_owned(), found, most, unit });
    };
    let crowd = "a request among 10,000 connections against one among 64";
    add(crowd, crowd_ratio(rows), CROWD_RATIO_MAX, "x");
    let workers = "a request with two workers against one with one";
    add(workers, workers_ratio(rows), 2.0 / WORKERS_RATIO_MIN, "x");
    let startup = own.map(|own| own.startup);
    add("start-up until the first answer", startup, STARTUP_MS_MAX, " ms");
    let binary = own.map(|own| own.binary_bytes as f64 / f64::from(1 << 20));
    add("the binary", binary, BINARY_MIB_MAX, " MiB");
    verdicts
}

fn judge_one(results: &Results, bound: &Bound) -> Verdict {
    let Bound { workload, against, ratio } = *bound;
    let ours = results.cpu(workload, Kind::Httpd, true);
    let (name, other) = match against {
        Against::One(kind) => (kind.name().to_owned(), results.cpu(workload, kind, true)),
        Against::BestPeer => match results.best_peer(workload, true) {
            Some((kind, cpu)) => (format!("the best peer ({})", kind.name()), Some(cpu)),
            None => ("the best peer".to_owned(), None),
        },
    };
    let found = ours.zip(other).map(|(ours, other)| ours / other);
    Verdict { what: format!("{workload} against {name}"), found, most: ratio, unit: "x" }
}

#[cfg(test)]
mod tests {
    use super::super::results::{Cell, Round};
    use super::*;

    fn results(costs: &[(&'static str, Kind, f64)]) -> Results {
        let mut results = Results::default();
        for (workload, kind, cpu) in costs {
            let mut cell = Cell::new(workload, *kind, true);
            let cpu = *cpu;
            cell.rounds.push(Round { requests: 1.0, seconds: 1.0, bytes: 1, cpu, wrong: None });
            results.cells.push(cell);
        }
        results
    }

    fn says(results: &Results, start: &str) -> String {
        let own = Own { startup: 30.0, startup_most: 40.0, binary_bytes: 2 << 20 };
        let said = judge(results, &[], Some(&own)).into_iter().map(|verdict| verdict.to_string());
        said.into_iter().find(|line| line.contains(start)).unwrap()
    }

    #[test]
    fn a_bound_is_held_missed_or_not_measured() {
        let results = results(&[
            ("1k", Kind::Floor, 5.0),
            ("1k", Kind::Httpd, 6.0),
            ("1k", Kind::Nginx, 12.0),
            ("1k", Kind::Lighttpd, 8.0),
            ("pipelined", Kind::Httpd, 2.0),
        ]);
        assert_eq!(says(&results, "floor"), "held: 1k against floor: 1.20x, at most 1.25x");
        let missed = "MISSED: 1k against the best peer (lighttpd): 0.75x, at most 0.70x";
        assert_eq!(says(&results, "1k against the best"), missed);
        assert_eq!(says(&results, "pipelined"), "not measured: pipelined against nginx-tuned");
        assert!(says(&results, "start-up").starts_with("MISSED: start-up"));
        assert!(says(&results, "binary").ends_with("2.00 MiB, at most 4.00 MiB"));
    }
}
