//! What the parts of a request and its answer cost, the parser beside another one.
//!
//! `cargo bench -p http-proto`

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use divan::{Bencher, black_box};
use http_proto::precondition::{self, Validators};
use http_proto::{
    Connection, EntityTag, Event, FieldBlock, HttpDate, Limits, Method, Persistence, RequestHead,
    ResponseFraming, ResponseHead, Status, range,
};

fn main() {
    divan::main();
}

/// As a load generator writes it.
const SHORT: &[u8] = b"GET /k.txt HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// As a browser writes it.
const LONG: &[u8] = b"GET /std/vec/struct.Vec.html?search=push HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"156\", \"Not A(Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: http://127.0.0.1:8080/std/index.html\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    If-None-Match: \"33bad2-18b1540745c37c00\"\r\n\
    If-Modified-Since: Wed, 20 May 2026 16:48:38 GMT\r\n\r\n";

const REQUESTS: [&str; 2] = ["short", "long"];

fn request(name: &str) -> &'static [u8] {
    if name == "short" { SHORT } else { LONG }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

#[divan::bench(args = REQUESTS)]
fn head(name: &str) -> usize {
    let limits = Limits::default();
    let head = RequestHead::parse(black_box(request(name)), &limits).expect("a request");
    head.fields.len()
}

/// Its parser alone, which judges neither target nor Host nor framing.
#[divan::bench(args = REQUESTS)]
fn head_by_httparse(name: &str) -> usize {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut fields);
    let status = parsed.parse(black_box(request(name))).expect("a request");
    assert!(status.is_complete());
    parsed.headers.len()
}

#[divan::bench(args = REQUESTS)]
fn connection(name: &str) {
    let limits = Limits::default();
    let mut connection = Connection::new();
    let next = connection.next(black_box(request(name)), &limits);
    assert!(matches!(next, Ok((_, Event::Head(_)))));
}

#[divan::bench]
fn response_head(bencher: Bencher<'_, '_>) {
    let mut fields = FieldBlock::default();
    fields.push("Content-Type", b"text/html; charset=utf-8");
    fields.push("ETag", b"\"33bad2-18b1540745c37c00\"");
    fields.push("Vary", b"Accept-Encoding");
    let head = ResponseHead {
        status: Status::OK,
        fields: &fields,
        framing: ResponseFraming::Length(3_390_162),
        persistence: Persistence::Keep,
        date: HttpDate::from(now()),
        server: "httpd",
    };
    let mut out = Vec::with_capacity(1024);
    bencher.bench_local(|| {
        out.clear();
        black_box(&head).write(&mut out);
        out.len()
    });
}

#[divan::bench(args = REQUESTS)]
fn preconditions(bencher: Bencher<'_, '_>, name: &str) {
    let head = RequestHead::parse(request(name), &Limits::default()).expect("a request");
    let etag = EntityTag::strong(b"33bad2-18b1540745c37c00");
    let known = Validators { etag, modified: Some(now()) };
    bencher.bench_local(|| {
        precondition::evaluate(Method::Get, black_box(&head.fields), Some(&known), now())
    });
}

#[divan::bench(args = ["bytes=0-1023", "bytes=0-9, 100-199, -500"])]
fn ranges(value: &str) -> range::RangeRequest {
    range::resolve(black_box(value.as_bytes()), 1 << 20, 16)
}
