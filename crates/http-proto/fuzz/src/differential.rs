//! Another parser: every head that is accepted here, `httparse` accepts too and reads alike.
//!
//! The reverse is not so and not meant to be: what is lenient there is refused here.

use http_proto::{FIELD_LINES_CAP, Limits, RequestHead, Version};

/// `data` is a head.
pub fn check(data: &[u8]) {
    let Ok(ours) = RequestHead::parse(data, &Limits::default()) else { return };

    let mut octets = data.to_vec();
    // The one difference: it knows no minor version above 1, and we take those for 1
    // (RFC 9110 §6.2). The digit is the last octet of the request line.
    let start = octets.len() - ours.octets().len();
    let minor = start + ours.line.len() - 1;
    assert!(octets[minor].is_ascii_digit());
    octets[minor] = octets[minor].min(b'1');

    let mut headers = [httparse::EMPTY_HEADER; FIELD_LINES_CAP];
    let mut theirs = httparse::Request::new(&mut headers);
    let parsed = theirs.parse(&octets);
    assert_eq!(parsed, Ok(httparse::Status::Complete(octets.len())), "{ours:#?}");

    assert_eq!(theirs.method, Some(ours.method.as_str()));
    let target = ours.line.split(|&b| b == b' ').nth(1);
    assert_eq!(theirs.path.map(str::as_bytes), target);
    let version = match ours.version {
        Version::Http10 => 0,
        Version::Http11 => 1,
    };
    assert_eq!(theirs.version, Some(version));
    let fields = theirs.headers.iter().map(|header| (header.name, header.value));
    assert!(ours.fields.iter().eq(fields), "{ours:#?}\n{:#?}", theirs.headers);
}
