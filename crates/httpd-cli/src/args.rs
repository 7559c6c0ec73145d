//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use fileserve::{LogFormat, OnConflict, access_log};

use crate::values;

/// Puts the files beneath a directory on the web
#[derive(Debug, Parser)]
#[command(name = "httpd", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory to serve
    #[arg(default_value = ".")]
    pub(crate) root: PathBuf,

    /// Where to listen; may be repeated. A port alone is for this machine only, port 0 any free one
    #[arg(short, long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080",
          value_parser = values::address)]
    pub(crate) bind: Vec<SocketAddr>,

    /// Serve PUT, POST and DELETE as well; without it nothing can be changed
    #[arg(long)]
    pub(crate) writable: bool,

    /// Who may read and write what: lines of NAME:HASH, as htpasswd writes them, and of
    /// PATH WHO none|read|write
    #[arg(long, value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Answer to this host name as well as to localhost; may be repeated. '*' for any
    #[arg(long, value_name = "NAME|*", value_parser = values::host)]
    pub(crate) host: Vec<String>,

    /// Serve and list names that start with a dot
    #[arg(long)]
    pub(crate) hidden: bool,

    /// Do not list directories that have no index.html
    #[arg(long)]
    pub(crate) no_listing: bool,

    /// Do not send page.html.br, .zst or .gz for page.html to clients that accept them
    #[arg(long)]
    pub(crate) no_precompressed: bool,

    /// Compress other texts over 1 KiB with gzip for clients that accept it
    #[arg(long)]
    pub(crate) gzip: bool,

    /// What caches are told of a file, or 'off'; one like app.3f9a1c2b.js may be kept for ever
    #[arg(long, value_name = "VALUE|off", default_value = "no-cache",
          value_parser = values::cache_control)]
    pub(crate) cache_control: String,

    /// Where the access log goes: a file, '-' for standard output, or 'off'
    #[arg(long, value_name = "PATH|-|off", default_value = access_log::DEFAULT_NAME)]
    pub(crate) access_log: PathBuf,

    /// How its lines look: combined, common, json or plain
    #[arg(long, value_name = "FORMAT", default_value_t = LogFormat::Combined)]
    pub(crate) log_format: LogFormat,

    /// Tell more of what the server does, on standard error
    #[arg(short, long)]
    pub(crate) verbose: bool,

    #[command(flatten, next_help_heading = "Writing")]
    pub(crate) writing: Writing,

    #[command(flatten, next_help_heading = "Protection")]
    pub(crate) protection: Protection,

    #[command(flatten, next_help_heading = "Threads and limits")]
    pub(crate) limits: Limits,
}

const EXAMPLES: &str = "\
Examples:
  httpd                            the current directory, at http://127.0.0.1:8080/
  httpd -b 0.0.0.0:8080 site       the directory 'site', for the whole network
  httpd --writable drop            uploads too:  curl -T photo.jpg http://127.0.0.1:8080/
  httpd --access-log - -b 0 .      a free port, and who asks for what on the screen
  httpd hash-password eve          asks for a password, and makes a line for the file of --auth
  httpd doctor site                what is enforced, and what in 'site' looks exposed";

/// What may be written where --writable lets anything be.
#[derive(Debug, clap::Args)]
pub(crate) struct Writing {
    /// What becomes of a form's file whose name is taken: rename, reject or replace
    #[arg(long, value_name = "POLICY", default_value = "rename",
          value_parser = values::on_conflict)]
    pub(crate) on_conflict: OnConflict,

    /// PUT makes directories (dir/ or those above a file), DELETE removes empty ones
    #[arg(long)]
    pub(crate) directories: bool,

    /// Let HTML and SVG files run scripts, whoever has uploaded them
    #[arg(long)]
    pub(crate) trust_uploads: bool,

    /// Most that all files may take together [default: no bound]
    #[arg(long, value_name = "BYTES", value_parser = values::size)]
    pub(crate) quota: Option<u64>,

    /// How much of the disk stays free [default: a hundredth of it, at most 64M]
    #[arg(long, value_name = "BYTES", value_parser = values::size)]
    pub(crate) keep_free: Option<u64>,

    /// Uploads at once; a further one is told 503
    #[arg(long, value_name = "N", default_value = "256",
          value_parser = |text: &str| values::within::<usize>(text, 1..=100_000))]
    pub(crate) uploads_max: usize,

    /// Keep forms that pages send with POST in this directory, a file for each page
    #[arg(long, value_name = "DIR")]
    pub(crate) forms: Option<PathBuf>,

    /// Keep the sender's address with each form
    #[arg(long)]
    pub(crate) forms_address: bool,
}

/// What the process gives up before it serves.
#[derive(Debug, clap::Args)]
pub(crate) struct Protection {
    /// Run as this user, from root; names or numbers. The addresses and --auth are opened before
    #[arg(long, value_name = "NAME[:GROUP]")]
    pub(crate) user: Option<String>,

    /// Keep the rights to open files outside ROOT, to connect to others, and to run programs
    #[arg(long)]
    pub(crate) no_jail: bool,
}

/// Flags that most people never need.
#[derive(Debug, clap::Args)]
pub(crate) struct Limits {
    /// Threads that serve connections [default: one per core]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub(crate) workers: Option<usize>,

    /// Threads that wait for disks, and compress [default: four per core]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub(crate) pool: Option<usize>,

    /// Memory for files that are asked for often, 0 for none; K, M and G are understood
    #[arg(long, value_name = "BYTES", default_value = "128M", value_parser = values::size)]
    pub(crate) cache: u64,

    /// Connections at once; beyond, the longest idle makes room [default: some 2 in 5 of the file
    /// descriptors allowed, at most 60000]
    #[arg(long, value_name = "N",
          value_parser = |text: &str| values::within::<usize>(text, 1..=1_000_000))]
    pub(crate) max_connections: Option<usize>,

    /// Connections at once from one address (of IPv6, a /64) [default: no bound of its own]
    #[arg(long, value_name = "N",
          value_parser = |text: &str| values::within::<usize>(text, 1..=1_000_000))]
    pub(crate) max_per_address: Option<usize>,

    /// Requests a second from one address (of IPv6, a /64), on average; five seconds' worth may
    /// come at once [default: no bound]
    #[arg(long, value_name = "N",
          value_parser = |text: &str| values::within::<u32>(text, 1..=1_000_000))]
    pub(crate) rate_per_address: Option<u32>,

    /// Longest request line
    #[arg(long, value_name = "BYTES", default_value = "8192",
          value_parser = |text: &str| values::within::<u16>(text, 64..=60_000))]
    pub(crate) request_line_max: u16,

    /// Largest request head
    #[arg(long, value_name = "BYTES", default_value = "16384",
          value_parser = |text: &str| values::within::<u16>(text, 128..=61_440))]
    pub(crate) head_max: u16,

    /// Most field lines in a request head
    #[arg(long, value_name = "N", default_value = "100",
          value_parser = |text: &str| values::within::<u8>(text, 1..=128))]
    pub(crate) fields_max: u8,

    /// Largest upload; K, M and G are understood
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = values::size)]
    pub(crate) body_max: u64,

    /// Time for a whole request head to come
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::seconds)]
    pub(crate) head_timeout: Duration,

    /// Time a connection may be idle between requests
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    pub(crate) idle_timeout: Duration,

    /// Time without a single byte after which a transfer is cut
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    pub(crate) stall_timeout: Duration,

    /// Least bytes per second of a transfer, on average; 0 for no such bound
    #[arg(long, value_name = "BYTES", default_value = "500", value_parser = values::size)]
    pub(crate) min_rate: u64,

    /// Time before --min-rate counts
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = values::seconds)]
    pub(crate) rate_grace: Duration,

    /// Time for what is under way to end when the server is told to stop
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::seconds)]
    pub(crate) drain: Duration,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_default_is_a_value() {
        let args = Args::try_parse_from(["httpd"]).expect("no argument is needed");
        assert_eq!((args.limits.head_max, args.limits.body_max), (16_384, 1 << 30));
    }

    #[test]
    fn every_flag_takes_effect() {
        let line = "httpd -b 80 -b [::]:81 --writable --auth users --hidden --no-listing --gzip \
            --cache-control max-age=60 --access-log - --log-format json -v --workers 2 \
            --pool 3 --cache 6M --max-connections 4 --max-per-address 8 --rate-per-address 9 \
            --request-line-max 100 --head-max 200 --fields-max 5 \
            --body-max 1K --head-timeout 1 --idle-timeout 2 --stall-timeout 3 --min-rate 0 \
            --rate-grace 0.5 --drain 5 --host a.example --host b --on-conflict replace \
            --directories --trust-uploads --quota 3G --keep-free 0 --uploads-max 7 \
            --forms kept --forms-address --user a:b --no-jail dir";
        let args = Args::try_parse_from(line.split_whitespace()).expect("a good line");
        assert_eq!(args.bind, ["127.0.0.1:80".parse(), "[::]:81".parse()].map(Result::unwrap));
        assert!(args.writable && args.hidden && args.no_listing && args.verbose);
        assert_eq!((args.gzip, args.cache_control.as_str()), (true, "max-age=60"));
        assert_eq!(args.auth.as_deref(), Some(Path::new("users")));
        assert_eq!((args.access_log.to_str(), args.root.to_str()), (Some("-"), Some("dir")));
        assert_eq!(args.log_format, LogFormat::Json);
        assert_eq!(args.host, ["a.example", "b"]);
        let writing = args.writing;
        assert!(writing.directories && writing.trust_uploads && writing.forms_address);
        assert_eq!(writing.on_conflict, OnConflict::Replace);
        assert_eq!((writing.quota, writing.keep_free), (Some(3 << 30), Some(0)));
        assert_eq!((writing.uploads_max, writing.forms), (7, Some("kept".into())));
        assert_eq!((args.protection.user.as_deref(), args.protection.no_jail), (Some("a:b"), true));
        let limits = args.limits;
        assert_eq!(
            (limits.workers, limits.pool, limits.max_connections),
            (Some(2), Some(3), Some(4))
        );
        assert_eq!((limits.max_per_address, limits.rate_per_address), (Some(8), Some(9)));
        assert_eq!(
            (limits.request_line_max, limits.head_max, limits.fields_max, limits.body_max),
            (100, 200, 5, 1024)
        );
        assert_eq!(limits.cache, 6 << 20);
        let timeouts = [limits.head_timeout, limits.idle_timeout, limits.stall_timeout];
        assert_eq!(timeouts, [1, 2, 3].map(Duration::from_secs));
        assert_eq!((limits.min_rate, limits.rate_grace), (0, Duration::from_millis(500)));
        assert_eq!(limits.drain, Duration::from_secs(5));
    }
}
