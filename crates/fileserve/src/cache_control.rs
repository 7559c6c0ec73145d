//! Decides what caches are told of a file: by its name alone, since only its name can say that it
//! will never change.

/// For a name that goes with its content (RFC 9111 §5.2.2.1, RFC 8246): for a year, which stands
/// for ever, and without asking again even when the page is reloaded.
pub(crate) const IMMUTABLE: &str = "max-age=31536000, immutable";

/// Shortest hexadecimal fingerprint: what bundlers give when they are asked for a short one.
const HEX_MIN: usize = 8;

/// Length of the fingerprints that are made of letters of both cases and digits.
const MIXED_LEN: usize = 8;

/// Whether a file's name carries a fingerprint of its content, so that other content would have
/// another name: `app.3f9a1c2b.js`, `index-B4f7xQ2z.css`, `logo-5bc39a1768837dd0.svg`.
///
/// To take a name for one wrongly would keep a page stale for a year, to overlook one costs a
/// question per visit: so words, dates and version numbers are not taken for one, and of short
/// fingerprints some are overlooked. Never a page itself: its name is what people know it by.
pub fn is_fingerprinted(name: &[u8]) -> bool {
    let mut parts = name.split(|b| matches!(b, b'.' | b'-' | b'_')).peekable();
    let mut before: &[u8] = b"";
    let mut found = false;
    while let Some(part) = parts.next() {
        // Something stands before it and behind it. Behind four hexadecimal digits it is the last
        // part of a UUID, which names a thing and not its content.
        let inside = !before.is_empty() && parts.peek().is_some();
        let in_uuid = before.len() == 4 && before.iter().all(u8::is_ascii_hexdigit);
        found |= inside && !in_uuid && is_fingerprint(part);
        before = part;
    }
    let extension = name.rsplit(|&b| b == b'.').next().unwrap_or_default();
    found && name.contains(&b'.') && !is_page(extension)
}

/// Whether a part of a name looks as if it had been drawn by lot.
fn is_fingerprint(part: &[u8]) -> bool {
    let is_hex = part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_mixed = part.len() == MIXED_LEN
        && part.iter().all(u8::is_ascii_alphanumeric)
        && part.iter().any(u8::is_ascii_digit);
    // `cafe2024` and `decade2020` are hexadecimal too, `McLaren7` and `iPhone14` mixed.
    (is_hex && part.len() >= HEX_MIN && changes(part) >= 2) || (is_mixed && changes(part) >= 5)
}

/// How often a digit follows a letter, a capital a small letter, or the other way round.
fn changes(part: &[u8]) -> usize {
    let class = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    part.windows(2).filter(|two| class(two[0]) != class(two[1])).count()
}

fn is_page(extension: &[u8]) -> bool {
    [&b"html"[..], b"htm", b"xhtml"].iter().any(|page| extension.eq_ignore_ascii_case(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_bundlers_give_are_known() {
        for name in [
            "main.8a2b3c4d.js",
            "main.8a2b3c4d.chunk.js",
            "main.8a2b3c4d.js.map",
            "rustdoc-5bc39a1768837dd0.css",
            "SourceSerif4-Regular-6b053e98.ttf.woff2",
            "base.27e20196a850.css",
            "app-1a2b3c4d5e6f7a8b_bg.wasm",
            "index-B4f7xQ2z.js",
            "application-9c3f8e5b4f7a6d1e2c0b9a8f7e6d5c4b3a29180f7e6d5c4b3a2918f7e6d5c4b3.css",
        ] {
            assert!(is_fingerprinted(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_that_people_give_are_not() {
        for name in [
            "index.html",
            "app.js",
            "menu-cafe2024.pdf",
            "notes-decade2020.txt",
            "report-2026-11-22.pdf",
            "backup-20261122.tar.gz",
            "jquery-3.7.1.min.js",
            "model-McLaren7.css",
            "case-iPhone14.css",
            "plan-June2024.pdf",
            "build-deadbeef.js",
            "build-12345678.js",
            // A name that is nothing else may be that of a thing.
            "8a2b3c4d.js",
            "550e8400-e29b-41d4-a716-4466554400a1.jpg",
            // No type, or a page.
            "main-8a2b3c4d",
            "post-8a2b3c4d.html",
            "post.8a2b3c4d.HTM",
            "",
            ".",
            "-.-",
        ] {
            assert!(!is_fingerprinted(name.as_bytes()), "{name}");
        }
    }
}
