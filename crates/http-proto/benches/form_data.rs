//! What it costs to find the parts of a form, beside another parser.
//!
//! `cargo bench -p http-proto --bench form_data`

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use futures_util::Stream;
use http_proto::form_data::{Boundary, Event, FormData, Limits};
use multer::Multipart;
use multer::bytes::Bytes;

fn main() {
    divan::main();
}

/// As browsers write it.
const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// Octets of the file that is uploaded, and of a piece in which it comes.
const FILE_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 64 << 10;

/// What the file holds: octets of any kind, text, and as much as can be of what is nearly a
/// delimiter.
const FILES: [&str; 3] = ["binary", "text", "hostile"];

fn form(file: &str) -> Bytes {
    let mut state: u64 = 1;
    let content: Vec<u8> = match file {
        "binary" => std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(FILE_BYTES)
        .collect(),
        "text" => {
            b"A line of text that is of a usual length, sixty octets or so\r\n".repeat(1 << 15)
        }
        _ => format!("\r\n--{}", &BOUNDARY[..BOUNDARY.len() - 1]).repeat(1 << 15).into_bytes(),
    };
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    Bytes::from([head.as_bytes(), &content[..FILE_BYTES], end.as_bytes()].concat())
}

#[divan::bench(args = FILES)]
fn parts(bencher: Bencher<'_, '_>, file: &str) {
    let form = form(file);
    bencher.counter(BytesCount::new(FILE_BYTES)).bench_local(|| {
        let boundary = Boundary::new(BOUNDARY.as_bytes()).expect("a boundary");
        let mut parser = FormData::new(boundary, Limits::default());
        let (mut taken, mut content) = (0, 0);
        for shown in (PIECE_BYTES..form.len()).step_by(PIECE_BYTES).chain([form.len()]) {
            loop {
                let (consumed, event) = parser.next(&form[taken..shown]).expect("a form");
                taken += consumed;
                match event {
                    Event::NeedMore => break,
                    Event::Content(octets) => content += black_box(octets).len(),
                    _ => {}
                }
            }
        }
        assert!(parser.is_complete() && content == FILE_BYTES);
    });
}

/// It keeps what it was shown in a buffer of its own, and is shown a piece at a time as well.
#[divan::bench(args = FILES)]
fn parts_by_multer(bencher: Bencher<'_, '_>, file: &str) {
    let form = form(file);
    bencher.counter(BytesCount::new(FILE_BYTES)).bench_local(|| {
        let mut all = pin!(async {
            let mut multipart = Multipart::new(pieces(form.clone()), BOUNDARY);
            let mut content = 0;
            while let Some(mut field) = multipart.next_field().await? {
                while let Some(octets) = field.chunk().await? {
                    content += black_box(octets).len();
                }
            }
            Ok::<_, multer::Error>(content)
        });
        let content = loop {
            match all.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(content) => break content.expect("a form"),
                Poll::Pending => {}
            }
        };
        assert_eq!(content, FILE_BYTES);
    });
}

/// The pieces of a form; between two of them there is nothing to read.
fn pieces(mut form: Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let mut is_ready = false;
    futures_util::stream::poll_fn(move |_| {
        is_ready = !is_ready;
        if !is_ready {
            return Poll::Pending;
        }
        let piece = form.split_to(form.len().min(PIECE_BYTES));
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    })
}
