//! The access log as its users see it: exact lines, and that none is forged, lost or waited for.

mod faults;
mod formats;
mod heads;
mod writing;

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use http_proto::Status;
use http_proto::server::Exchange;

/// 2026-11-22 18:13:46.789 UTC
const AT: Duration = Duration::from_millis(1_795_371_226_789);

/// An exchange whose head could not be read.
fn refused<'a>(line: &'a [u8], status: Status, reason: &'static str) -> Exchange<'a> {
    Exchange { status, reason: Some(reason), ..answered(line) }
}

/// An exchange that went well.
fn answered(line: &[u8]) -> Exchange<'_> {
    Exchange {
        peer: SocketAddr::from(([192, 0, 2, 7], 50_123)),
        worker: 0,
        at: UNIX_EPOCH + AT,
        duration: Duration::from_micros(1234),
        line,
        head: None,
        status: Status::OK,
        sent: 0,
        reason: None,
    }
}
