//! Another parser of forms: what is accepted here and by `multer`, both read alike.
//!
//! Where one accepts what the other refuses, or both read names differently, the difference is one
//! of those that are listed here.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http_proto::form_data::{Boundary, Limits, Malformed};
use multer::Multipart;

use super::form_play::{self, Ending, Told};

/// What is refused here and accepted there, and why it is refused.
pub(crate) const STRICTER: [(Malformed, &str); 12] = [
    (Malformed::BadDisposition, "others find other names in it, or none"),
    (Malformed::ControlOctet, "a bare LF ends a line there, and with some a bare CR does"),
    (Malformed::DelimiterInHead, "the grammar has a delimiter where they have content"),
    (Malformed::NameTooLong, "they have no bound"),
    (Malformed::NoDisposition, "the part belongs to no field of the form"),
    (Malformed::NoName, "the part belongs to no field of the form"),
    (Malformed::PaddingTooLong, "they have no bound"),
    (Malformed::PartHeadTooLarge, "they bound how many fields there are, not how long they are"),
    (Malformed::RepeatedField, "they take the last, others the first"),
    (Malformed::RepeatedParameter, "they take the first, others the last"),
    (Malformed::TooManyParts, "they have no bound"),
    (Malformed::TransferEncoded, "they hand the content out encoded"),
];

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Both accept, and read the same parts.
    Same,
    /// Neither accepts.
    Neither,
    /// One accepts, for a reason that is listed.
    OneOnly,
}

/// What `multer` makes of a part. It keeps names as they came, but for `\"`.
struct Theirs {
    disposition: Vec<u8>,
    name: Option<String>,
    filename: Option<String>,
    content: Vec<u8>,
}

/// Compares what the two make of `content`; panics when they differ in a way that is not listed.
pub(crate) fn check(boundary: &Boundary, content: &[u8]) -> Agreement {
    let ours = form_play::play(boundary, &Limits::default(), content, []);
    let theirs = read(boundary, content);
    match (ours.ending, theirs) {
        // They find the first boundary anywhere, not only at the start of a line.
        _ if is_preamble_unclear(boundary, content) => Agreement::OneOnly,
        (Ending::Complete(_), Ok(theirs)) => {
            assert_eq!(ours.parts.len(), theirs.len(), "{ours:?}");
            for (ours, theirs) in ours.parts.iter().zip(&theirs) {
                check_part(ours, theirs);
            }
            Agreement::Same
        }
        // They count fields, where octets are counted here.
        (
            Ending::Complete(_),
            Err(multer::Error::ReadHeaderFailed(httparse::Error::TooManyHeaders)),
        ) => Agreement::OneOnly,
        (Ending::Complete(_), Err(why)) => panic!("{why}: {ours:?}"),
        (_, Err(_)) => Agreement::Neither,
        (Ending::Refused(malformed), Ok(_)) => {
            let is_listed = STRICTER.iter().any(|(each, _)| *each == malformed);
            assert!(is_listed, "{malformed} here, and accepted there");
            Agreement::OneOnly
        }
        (Ending::NeedMore(_), Ok(_)) => panic!("no end here, and one there: {ours:?}"),
    }
}

fn check_part(ours: &Told, theirs: &Theirs) {
    assert_eq!(ours.content, theirs.content);
    if !is_read_alike(&theirs.disposition) {
        return;
    }
    let meant = |text: &String| {
        text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n").into_bytes()
    };
    assert_eq!(Some(&ours.name), theirs.name.as_ref().map(meant).as_ref());
    assert_eq!(ours.filename, theirs.filename.as_ref().map(meant));
}

/// Whether `word` first occurs inside a quoted string.
fn is_in_quotes(text: &str, word: &str) -> bool {
    let before = text.split(word).next().unwrap_or("");
    (before.matches('"').count() - before.matches("\\\"").count()) % 2 == 1
}

/// Whether both find the same names in a Content-Disposition that is accepted here.
fn is_read_alike(disposition: &[u8]) -> bool {
    // They keep nothing that is no UTF-8.
    let Ok(text) = std::str::from_utf8(disposition) else { return false };
    let any_case = text.to_ascii_lowercase();
    let (names, filenames) = (text.matches("name").count(), text.matches("filename").count());
    // They know the parameters in lower case only,
    any_case.matches("name").count() == names
        && any_case.matches("filename").count() == filenames
        // find them in the values of others too, and take `filename*` for the end of the search,
        && names - filenames == 1
        && filenames <= 1
        && !is_in_quotes(text, "filename")
        && !text.contains("filename*")
        // do not know that a backslash can be escaped,
        && !text.contains(r"\\")
        // are asked here what a browser meant by it, which has all in quotes,
        && (!text.contains('%') || text.matches("name=\"").count() == names)
        // and take HTAB for a part of a token.
        && !text.contains('\t')
}

/// Whether a boundary comes before the first that begins a line.
fn is_preamble_unclear(boundary: &Boundary, content: &[u8]) -> bool {
    let dash_boundary = [b"--", boundary.as_bytes()].concat();
    let at = content.windows(dash_boundary.len()).position(|window| window == dash_boundary);
    at.is_some_and(|at| at > 0 && !content[..at].ends_with(b"\r\n"))
}

/// All parts that `multer` finds. It is shown everything at once and never has to wait.
fn read(boundary: &Boundary, content: &[u8]) -> Result<Vec<Theirs>, multer::Error> {
    let text = String::from_utf8(boundary.as_bytes().to_vec()).expect("a boundary is ASCII");
    let shown = Ok::<_, std::io::Error>(content.to_vec());
    let stream = futures_util::stream::iter([shown]);
    let mut multipart = Multipart::new(stream, text);
    let all = async {
        let mut parts = Vec::new();
        while let Some(field) = multipart.next_field().await? {
            let disposition = field.headers().get("content-disposition");
            parts.push(Theirs {
                disposition: disposition.map(|value| value.as_bytes().to_vec()).unwrap_or_default(),
                name: field.name().map(str::to_owned),
                filename: field.file_name().map(str::to_owned),
                content: field.bytes().await?.to_vec(),
            });
        }
        Ok(parts)
    };
    match pin!(all).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(parts) => parts,
        Poll::Pending => panic!("all is there, and they wait"),
    }
}
