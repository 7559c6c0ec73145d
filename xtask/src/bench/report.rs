//! Writes what was measured: tables for people in Markdown, every round for programs in TSV.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::arguments::Arguments;
use super::results::{Cell, Results};
use super::scale::{Own, Row};
use super::servers::{Kind, Program};
use super::verdict::Verdict;
use super::workloads::Workload;

/// Answers of which it is told what a MiB costs.
const LENGTH_PER_MIB_MIN: u64 = 10 << 10;

/// Where and with what it was measured, as a list.
pub(super) fn circumstances(programs: &[Program], wrk: &str, arguments: &Arguments) -> String {
    let (cpu, cores) = processor();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let date = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output();
    let date = date.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let mut text = format!(
        "- {}\n- {cpu}, {cores} cores; Linux {}\n- {}\n",
        date.unwrap_or_default().trim(),
        kernel.trim(),
        wrk.trim(),
    );
    let versions = programs.iter().filter(|program| program.kind != Kind::Floor);
    let versions = versions.map(|program| format!("{} {}", program.kind.name(), program.version));
    let _ = writeln!(text, "- {}", versions.collect::<Vec<_>>().join(", "));
    let _ = writeln!(
        text,
        "- {} rounds of {} s for each server in turn with the log on, {} with it off; medians; \
         servers on core 0, wrk on core 1",
        arguments.rounds,
        arguments.seconds,
        rounds_without_log(arguments.rounds),
    );
    text
}

/// Half as many rounds: the bounds are about those with the log on.
pub(super) fn rounds_without_log(rounds: u32) -> u32 {
    rounds.div_ceil(2)
}

fn processor() -> (String, usize) {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    (model.to_owned(), std::thread::available_parallelism().map_or(1, usize::from))
}

/// The table of one workload with the log on or off; empty when nobody took part.
pub(super) fn table(results: &Results, workload: &Workload, has_log: bool) -> String {
    let cell = |kind| results.cell(workload.name, kind, has_log);
    let cells: Vec<_> = Kind::ALL.into_iter().filter_map(cell).collect();
    if cells.is_empty() {
        return String::new();
    }
    let ours = results.cpu(workload.name, Kind::Httpd, has_log);
    let floor = results.cpu(workload.name, Kind::Floor, has_log);
    let is_large = workload.length.is_some_and(|length| length >= LENGTH_PER_MIB_MIN);
    let (mib, line) = if is_large { (" CPU us/MiB |", "--:|") } else { ("", "") };
    let log = if has_log { "on" } else { "off" };
    let mut text = format!(
        "### {}, access log {log}\n\n\
         | server | requests/s | CPU us/request | least-most |{mib} x floor | httpd / it | \
         RSS MiB | peak MiB | |\n|:--|--:|--:|--:|{line}--:|--:|--:|--:|:--|\n",
        workload.name
    );
    for cell in cells {
        let spread = cell.cpu_spread().map(|(least, most)| format!("{least:.2}-{most:.2}"));
        let per_mib = match is_large {
            true => format!(" {} |", number(cell.cpu_per_mib())),
            false => String::new(),
        };
        let ratio =
            |one: Option<f64>, other: Option<f64>| number(one.zip(other).map(|(a, b)| a / b));
        let _ = writeln!(
            text,
            "| {} | {:.0} | {} | {} |{per_mib} {} | {} | {} | {} | {} |",
            cell.kind.name(),
            cell.requests_per_second().unwrap_or(0.0),
            number(cell.cpu()),
            spread.unwrap_or_default(),
            ratio(cell.cpu(), floor),
            ratio(ours, cell.cpu()),
            mebibytes(cell.resident),
            mebibytes(cell.peak),
            cell.flags(),
        );
    }
    text + "\n"
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn mebibytes(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

/// What is about our server alone.
pub(super) fn own_part(rows: &[Row], own: Option<&Own>) -> String {
    let mut text = String::new();
    if !rows.is_empty() {
        text += "### Scale, 1 KiB, access log on\n\n\
                 | httpd | requests/s | CPU us/request | wrk's CPU us/request | |\n\
                 |:--|--:|--:|--:|:--|\n";
        for row in rows {
            let flag = match row.errors {
                0 => String::new(),
                errors => format!("FLAGGED: {errors} errors"),
            };
            let Row { what, requests_per_second, server, wrk, .. } = row;
            let _ = writeln!(
                text,
                "| {what} | {requests_per_second:.0} | {server:.2} | {wrk:.2} | {flag} |"
            );
        }
        text += "\nWhere wrk shares the cores, requests/s are what both together manage. The \
                 server's CPU time is that of its own threads; wrk's is what the kernel charged \
                 to it once it had ended, to 10 ms, and has its connecting in it. All else is \
                 counted while all are connected.\n\n";
    }
    if let Some(Own { startup, startup_most, binary_bytes }) = own {
        let _ = writeln!(
            text,
            "Start-up until the first answer: median {startup:.1} ms, longest \
             {startup_most:.1} ms. The binary, stripped: {binary_bytes} octets.\n"
        );
    }
    text
}

/// What a request costs each server, with the log on: all workloads in one table.
pub(super) fn overview(results: &Results, workloads: &[&Workload]) -> String {
    let measured = |kind: &Kind| {
        workloads.iter().any(|workload| results.cpu(workload.name, *kind, true).is_some())
    };
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(measured).collect();
    let mut text = "### CPU us/request, access log on\n\n| workload |".to_owned();
    kinds.iter().for_each(|kind| text += &format!(" {} |", kind.name()));
    text += "\n|:--|";
    kinds.iter().for_each(|_| text += "--:|");
    text += "\n";
    for workload in workloads {
        text += &format!("| {} |", workload.name);
        for kind in &kinds {
            let cpu = results.cpu(workload.name, *kind, true);
            text += &match cpu {
                Some(cpu) if cpu >= 1000.0 => format!(" {cpu:.0} |"),
                Some(cpu) => format!(" {cpu:.1} |"),
                None => " - |".to_owned(),
            };
        }
        text += "\n";
    }
    text + "\n"
}

/// All of it.
pub(super) fn markdown(
    circumstances: &str,
    results: &Results,
    workloads: &[&Workload],
    own_part: &str,
    verdicts: &[Verdict],
) -> String {
    let mut text = format!("# Benchmark\n\n{circumstances}\n");
    text += &overview(results, workloads);
    for workload in workloads {
        text += &table(results, workload, true);
        text += &table(results, workload, false);
    }
    text += own_part;
    if !results.left_out.is_empty() {
        text += "### Left out\n\n";
        results.left_out.iter().for_each(|note| text += &format!("- {note}\n"));
        text += "\n";
    }
    text += "### Bounds: CPU time per request, access log on\n\n";
    verdicts.iter().for_each(|verdict| text += &format!("- {verdict}\n"));
    text
}

/// Every round in a line.
pub(super) fn tsv(results: &Results) -> String {
    let mut text =
        "workload\tserver\tlog\tround\trequests\tseconds\tbytes\tcpu_us\twrong\n".to_owned();
    for Cell { workload, kind, has_log, rounds, .. } in &results.cells {
        for (round, number) in rounds.iter().zip(1..) {
            let log = if *has_log { "on" } else { "off" };
            let wrong = round.wrong.as_deref().unwrap_or("");
            let _ = writeln!(
                text,
                "{workload}\t{}\t{log}\t{number}\t{:.1}\t{:.6}\t{}\t{:.0}\t{wrong}",
                kind.name(),
                round.requests,
                round.seconds,
                round.bytes,
                round.cpu,
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::results::Round;
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_server_and_says_what_was_flagged() {
        let mut results = Results::default();
        for (kind, cpu) in [(Kind::Floor, 4.0), (Kind::Httpd, 6.0), (Kind::H2o, 8.0)] {
            let wrong = (kind == Kind::H2o).then(|| "2 socket errors".to_owned());
            let mut cell = Cell::new("1k", kind, true);
            cell.rounds.push(Round { requests: 1.0, seconds: 0.5, bytes: 1024, cpu, wrong });
            results.cells.push(cell);
        }
        let workload = Workload::named("1k").unwrap();
        let table = table(&results, workload, true);
        assert!(table.contains("| httpd | 2 | 6.00 | 6.00-6.00 | 1.50 | 1.00 |"), "{table}");
        assert!(table.contains("| h2o | 2 | 8.00 | 8.00-8.00 | 2.00 | 0.75 |"), "{table}");
        assert!(table.contains("FLAGGED: 1 of 1 rounds left out: 2 socket errors"), "{table}");
        assert_eq!(super::table(&results, workload, false), "");
        let all = overview(&results, &[workload, Workload::named("100m").unwrap()]);
        assert!(all.contains("| workload | floor | httpd |\n"), "{all}");
        assert!(all.contains("| 1k | 4.0 | 6.0 |\n| 100m | - | - |\n"), "{all}");
        assert_eq!(tsv(&results).lines().count(), 4);
    }
}
