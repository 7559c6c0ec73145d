//! What a line of the access log costs the worker that adds it.
//!
//! `cargo bench -p fileserve`

use std::time::{Duration, UNIX_EPOCH};

use divan::{Bencher, black_box};
use fileserve::{AccessLog, LogFormat};
use http_proto::server::Exchange;
use http_proto::{Limits, RequestHead, Status};

fn main() {
    divan::main();
}

/// As a browser writes it.
const REQUEST: &[u8] = b"GET /std/vec/struct.Vec.html?search=push HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\n\
    Referer: http://127.0.0.1:8080/std/index.html\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\r\n";

/// Fewer than a worker's buffer holds, so that none is dropped, which would cost less.
const LINES: u32 = 1000;

const FORMATS: [&str; 4] = ["combined", "common", "json", "plain"];

#[divan::bench(args = FORMATS, sample_size = LINES, sample_count = 100)]
fn line(bencher: Bencher<'_, '_>, format: &str) {
    let format: LogFormat = format.parse().expect("a format");
    let log = AccessLog::to_file("/dev/null", format, 1).expect("it can be written to");
    let head = RequestHead::parse(REQUEST, &Limits::default()).expect("a request");
    let exchange = Exchange {
        peer: ([192, 0, 2, 17], 50_000).into(),
        worker: 0,
        at: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
        duration: Duration::from_micros(40),
        line: head.line,
        head: Some(&head),
        status: Status::OK,
        sent: 3_390_162,
        reason: None,
    };
    bencher.bench_local(|| log.record(black_box(&exchange), None));
    log.shutdown();
    assert_eq!(log.dropped(), 0, "what is dropped costs less");
}
