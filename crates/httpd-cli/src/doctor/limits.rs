//! Says which bounds a server with these options would keep to.

use std::time::Duration;

use fileserve::{LISTED_NAMES_MAX, LONG_LISTS_MAX, RANGES_MAX, SHORT_NAMES};
use http_proto::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX};
use tcp_core::Limits;

use super::Report;
use crate::args::Args;
use crate::settings;

/// A section with all of them, of a process that may have so many file descriptors.
pub(super) fn rows(report: &mut Report, args: &Args, descriptors: u64, limits: &Limits) {
    report.section("limits");
    of_connections(report, args, descriptors, limits);
    of_requests(report, args);
    of_answers(report, args, descriptors, limits);
    of_writing(report, args);
}

fn of_connections(report: &mut Report, args: &Args, descriptors: u64, limits: &Limits) {
    report.row("descriptors", descriptors);
    report.row("connections", limits.connections);
    let at_once = match limits.per_address {
        None => "any number of connections (--max-per-address)".to_owned(),
        Some(count) => format!("{count} connections at once"),
    };
    let asked = match settings::config(args).rate_per_address {
        None => "of requests (--rate-per-address)".to_owned(),
        Some(rate) => format!("{rate} requests/s on average"),
    };
    report.row("from one address", format_args!("{at_once}, {asked}"));
    let workers = match limits.workers {
        1 => "1 worker".to_owned(),
        count => format!("{count} workers"),
    };
    report.row("threads", format_args!("{workers}, {} for disks", limits.pool));
    let rate = match limits.pace.rate {
        0 => "no least rate".to_owned(),
        rate => format!("{rate} bytes/s on average after {}", seconds(limits.pace.grace)),
    };
    let stall = seconds(limits.pace.stall);
    report.row("transfer", format_args!("cut after {stall} of nothing; {rate}"));
    report.row("idle connection", seconds(settings::config(args).idle_timeout));
    let lingering = seconds(limits.linger);
    report.row("closing", format_args!("what still comes is thrown away, for {lingering}"));
    report.row("to stop", seconds(limits.drain));
}

fn of_requests(report: &mut Report, args: &Args) {
    let config = settings::config(args);
    report.row("request line", size(u64::from(config.limits.request_line_bytes)));
    report.row(
        "request head",
        format_args!(
            "{} in {} fields, within {}",
            size(u64::from(config.limits.head_bytes)),
            config.limits.field_lines,
            seconds(config.head_timeout)
        ),
    );
    report.row(
        "chunks",
        format_args!(
            "lines of {}, {} of extensions in all",
            size(CHUNK_LINE_BYTES_MAX.into()),
            size(CHUNK_EXTENSION_BYTES_MAX.into())
        ),
    );
    report.row("ranges", format_args!("{RANGES_MAX} in a request"));
}

fn of_answers(report: &mut Report, args: &Args, descriptors: u64, limits: &Limits) {
    let long = format!("{LONG_LISTS_MAX} lists of more than {SHORT_NAMES} at once");
    report.row("a directory's list", format_args!("{LISTED_NAMES_MAX} names; {long}"));
    let files = settings::files_kept(args, descriptors);
    report.row(
        "kept",
        format_args!("{} in memory, {files} files open, by all workers", size(args.limits.cache)),
    );
    report.row("unsent in kernel", format_args!("{} a client", size(limits.unsent_bytes.into())));
}

fn of_writing(report: &mut Report, args: &Args) {
    let writing = &args.writing;
    if args.writable || writing.forms.is_some() {
        report.row("upload", size(settings::config(args).limits.content_bytes));
    }
    if args.writable {
        report.row("uploads at once", writing.uploads_max);
        report.row("all files", writing.quota.map_or("no bound (--quota)".to_owned(), size));
        let free = writing.keep_free.map_or("a hundredth of it, at most 64M".to_owned(), size);
        report.row("disk kept free", free);
    }
}

/// Octets as the command line takes them, where that is exact.
fn size(octets: u64) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let whole = units.iter().find(|(shift, _)| octets > 0 && octets.trailing_zeros() >= *shift);
    match whole {
        Some((shift, unit)) => format!("{}{unit}", octets >> shift),
        None => format!("{octets} bytes"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_they_were_typed() {
        for (octets, expected) in [
            (0, "0 bytes"),
            (1000, "1000 bytes"),
            (8192, "8K"),
            (1 << 30, "1G"),
            (3 << 20, "3M"),
            (5000 << 20, "5000M"),
        ] {
            assert_eq!(size(octets), expected);
        }
    }
}
