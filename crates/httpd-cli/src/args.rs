//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use fileserve::LogFormat;

use crate::values;

/// Serves the files beneath a directory over HTTP.
#[derive(Debug, Parser)]
#[command(name = "httpd", version, about, max_term_width = 100)]
pub(crate) struct Args {
    /// The directory to serve
    #[arg(default_value = ".")]
    pub(crate) root: PathBuf,

    /// Address and port to listen on; may be repeated. A port alone means 127.0.0.1, port 0 any free one
    #[arg(short, long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080",
          value_parser = values::address)]
    pub(crate) bind: Vec<SocketAddr>,

    /// Serve PUT, POST and DELETE as well; without it nothing can be changed
    #[arg(long)]
    pub(crate) writable: bool,

    /// Serve and list names that start with a dot
    #[arg(long)]
    pub(crate) hidden: bool,

    /// Answer 404 for a directory without an index.html instead of listing it
    #[arg(long)]
    pub(crate) no_listing: bool,

    /// Where the access log goes: a file, '-' for standard output, or 'off'
    #[arg(long, value_name = "PATH|-|off", default_value = "access.log")]
    pub(crate) access_log: PathBuf,

    /// What a line of the access log looks like: combined, common, json or plain
    #[arg(long, value_name = "FORMAT", default_value_t = LogFormat::Combined)]
    pub(crate) log_format: LogFormat,

    /// Also tell what the server does, on standard error
    #[arg(short, long)]
    pub(crate) verbose: bool,

    #[command(flatten, next_help_heading = "Threads and limits")]
    pub(crate) limits: Limits,
}

/// Flags that most people never need.
#[derive(Debug, clap::Args)]
pub(crate) struct Limits {
    /// Threads that serve connections [default: one per core]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) workers: Option<usize>,

    /// Threads that wait for disks [default: four per core]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) pool: Option<usize>,

    /// Connections at once; a further one is told 503 [default: three quarters of the file
    /// descriptors allowed, at most 60000]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) max_connections: Option<usize>,

    /// Longest request line
    #[arg(long, value_name = "BYTES", default_value_t = 8192,
          value_parser = clap::value_parser!(u16).range(64..=60_000))]
    pub(crate) request_line_max: u16,

    /// Largest request head
    #[arg(long, value_name = "BYTES", default_value_t = 16_384,
          value_parser = clap::value_parser!(u16).range(128..=61_440))]
    pub(crate) head_max: u16,

    /// Most field lines in a request head
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u8).range(1..=128))]
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

    /// Least bytes per second, on average, of an upload or a download; 0 for no such bound
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
