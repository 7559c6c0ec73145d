//! Draws the chart: for each workload a bar per server, as long as a request of its costs CPU time,
//! in multiples of the floor. It is an SVG that is readable on light and dark pages.

use std::fmt::Write as _;

use super::results::Results;
use super::servers::Kind;
use super::workloads::Workload;

const WIDTH: u32 = 760;
const LABEL_WIDTH: u32 = 150;
const BAR_WIDTH: u32 = 530;
const ROW: u32 = 16;
/// Between two workloads, with the title of the second.
const GAP: u32 = 34;
/// A longer bar is cut, and its number says how long it is.
const RATIO_MAX: f64 = 12.0;

const STYLE: &str = "\
text { font: 11px sans-serif; fill: #24292f; }
.title { font-weight: bold; font-size: 13px; }
.label { text-anchor: end; }
.grid { stroke: #8c959f; stroke-width: 1; stroke-dasharray: 2 3; }
.floor { fill: #8c959f; } .ours { fill: #0969da; } .peer { fill: #d4a72c; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ours { fill: #4493f8; } .peer { fill: #bb8009; } .floor { fill: #6e7681; }
}
";

/// The chart of the workloads that the floor takes part in, with the access log on.
pub(super) fn draw(results: &Results, workloads: &[&Workload]) -> String {
    let mut body = String::new();
    let mut y = 24;
    let _ = writeln!(
        body,
        "<text class=\"title\" x=\"8\" y=\"{y}\">CPU time per request, in multiples of a \
         constant answer's (log on; shorter is better)</text>"
    );
    for workload in workloads {
        let ratio = |kind| {
            let floor = results.cpu(workload.name, Kind::Floor, true)?;
            Some((kind, results.cpu(workload.name, kind, true)? / floor))
        };
        let mut bars: Vec<_> = Kind::ALL.into_iter().filter_map(ratio).collect();
        if bars.is_empty() {
            continue;
        }
        bars.sort_by(|one, other| one.1.total_cmp(&other.1));
        y += GAP;
        let name = workload.name;
        let _ = writeln!(body, "<text class=\"title\" x=\"8\" y=\"{}\">{name}</text>", y - 8);
        let (line, top) = (LABEL_WIDTH + length(1.0), y);
        for (kind, ratio) in bars {
            bar(&mut body, y, kind, ratio);
            y += ROW;
        }
        let _ = writeln!(
            body,
            "<line class=\"grid\" x1=\"{line}\" y1=\"{top}\" x2=\"{line}\" y2=\"{y}\"/>",
        );
    }
    let height = y + ROW;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<style>\n{STYLE}</style>\n{body}</svg>\n"
    )
}

/// A bar with its label and its number; the top is at `y`.
fn bar(body: &mut String, y: u32, kind: Kind, ratio: f64) {
    let class = match kind {
        Kind::Floor => "floor",
        Kind::Httpd => "ours",
        _ => "peer",
    };
    let (length, text) = (length(ratio), y + ROW - 5);
    let (label, end) = (LABEL_WIDTH - 6, LABEL_WIDTH + length + 5);
    let cut = if ratio > RATIO_MAX { " (cut)" } else { "" };
    let _ = writeln!(
        body,
        "<text class=\"label\" x=\"{label}\" y=\"{text}\">{}</text>\
         <rect class=\"{class}\" x=\"{LABEL_WIDTH}\" y=\"{}\" width=\"{length}\" height=\"{}\"/>\
         <text x=\"{end}\" y=\"{text}\">{ratio:.2}{cut}</text>",
        kind.name(),
        y + 2,
        ROW - 4,
    );
}

/// How long the bar of a ratio is.
fn length(ratio: f64) -> u32 {
    (ratio.min(RATIO_MAX) / RATIO_MAX * f64::from(BAR_WIDTH)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::super::results::{Cell, Round};
    use super::*;

    #[test]
    fn each_server_has_a_bar_and_long_ones_are_cut() {
        let mut results = Results::default();
        for (kind, cpu) in [(Kind::Floor, 1.0), (Kind::Httpd, 1.5), (Kind::Dufs, 30.0)] {
            let mut cell = Cell::new("1k", kind, true);
            cell.rounds.push(Round { requests: 1.0, seconds: 1.0, bytes: 1, cpu, wrong: None });
            results.cells.push(cell);
        }
        let workloads = ["1k", "close"].map(|name| Workload::named(name).unwrap());
        let chart = draw(&results, &workloads);
        assert_eq!(chart.matches("<rect").count(), 3);
        assert!(chart.contains(">1.50</text>") && chart.contains(">30.00 (cut)</text>"));
        assert!(!chart.contains(">close<"));
        assert_eq!(chart.matches("<text").count(), chart.matches("</text>").count());
    }
}
