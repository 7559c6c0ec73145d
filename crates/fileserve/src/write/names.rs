//! Decides under which name a file of a form is stored: a browser says what it was called on the
//! user's side, and another one may have that name here.

use crate::path::{self, SEGMENT_BYTES_MAX};

/// What a file is called that has no name.
const NAMELESS: &[u8] = b"upload";

/// The name that a file called `filename` by its sender gets: one segment of a path, whatever came.
///
/// Directories before it are left out, be they those of Unix or of Windows. Control octets become
/// `_`, so does a dot at the front unless `serve_hidden`: what is stored can then also be seen.
pub(super) fn sanitised(filename: &[u8], serve_hidden: bool) -> Vec<u8> {
    let start = filename.iter().rposition(|b| matches!(b, b'/' | b'\\')).map_or(0, |at| at + 1);
    let mut name: Vec<u8> = filename[start..]
        .trim_ascii()
        .iter()
        .map(|&b| if b.is_ascii_control() { b'_' } else { b })
        .collect();
    if matches!(&name[..], b"" | b"." | b"..") {
        return NAMELESS.to_vec();
    }
    name = shortened(&name, "");
    let is_hidden = name.starts_with(b".") && name != b".well-known" && !serve_hidden;
    if is_hidden || path::is_upload(&name) {
        name[0] = b'_';
    }
    name
}

/// The name to try when `count` others are taken: `name (1).txt` and so on.
pub(super) fn numbered(name: &[u8], count: usize) -> Vec<u8> {
    match count {
        0 => name.to_vec(),
        _ => shortened(name, &format!(" ({count})")),
    }
}

/// The name with `addition` in front of its extension, and as much left out before that as is too
/// long. A character of UTF-8 is left out whole; it has three octets behind its first at most.
fn shortened(name: &[u8], addition: &str) -> Vec<u8> {
    let extension = path::extension(name).map_or(0, |extension| extension.len() + 1);
    // One that is longer than most whole names is none.
    let extension = if extension > SEGMENT_BYTES_MAX / 2 { 0 } else { extension };
    let (stem, extension) = name.split_at(name.len() - extension);
    let room = SEGMENT_BYTES_MAX - extension.len() - addition.len();
    let end = stem.len().min(room);
    let is_start = |at: &usize| stem.get(*at).is_none_or(|b| b & 0xc0 != 0x80);
    let end = (end.saturating_sub(3)..=end).rev().find(is_start).unwrap_or(end);
    [&stem[..end], addition.as_bytes(), extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_file_was_called_its_name_is_one_segment() {
        for (filename, expected) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            (r"C:\Users\me\a b.txt", "a b.txt"),
            (r"..\..\a", "a"),
            ("dir/", "upload"),
            ("", "upload"),
            (".", "upload"),
            ("..", "upload"),
            ("a/..", "upload"),
            ("  ", "upload"),
            (".htaccess", "_htaccess"),
            ("...", "_.."),
            (".well-known", ".well-known"),
            (".HTTPD-upload-1-1", "_HTTPD-upload-1-1"),
            ("a\0b\r\n\x7f\u{e9}", "a_b___\u{e9}"),
            (" a ", "a"),
            ("%2e%2e%2fa", "%2e%2e%2fa"),
            ("a\"<b>&", "a\"<b>&"),
        ] {
            let name = sanitised(filename.as_bytes(), false);
            assert_eq!(String::from_utf8_lossy(&name), expected, "{filename:?}");
        }
        assert_eq!(sanitised(b".htaccess", true), b".htaccess");
        assert_eq!(sanitised(b".httpd-upload-1", true), b"_httpd-upload-1");
        assert_eq!(sanitised(b"\xff\xfe", false), b"\xff\xfe");
    }

    #[test]
    fn a_name_that_is_too_long_keeps_its_extension_and_whole_characters() {
        for (name, count, expected) in [
            ("a.txt".to_owned(), 1, "a (1).txt".to_owned()),
            ("a".to_owned(), 12, "a (12)".to_owned()),
            (".hidden".to_owned(), 1, ".hidden (1)".to_owned()),
            ("a.tar.gz".to_owned(), 2, "a.tar (2).gz".to_owned()),
            (format!("{}.txt", "x".repeat(251)), 0, format!("{}.txt", "x".repeat(251))),
            (format!("{}.txt", "x".repeat(251)), 3, format!("{} (3).txt", "x".repeat(247))),
            ("\u{e9}".repeat(127), 1, format!("{} (1)", "\u{e9}".repeat(125))),
            (format!("a.{}", "y".repeat(253)), 1, format!("a.{} (1)", "y".repeat(249))),
        ] {
            let numbered = numbered(name.as_bytes(), count);
            assert_eq!(String::from_utf8_lossy(&numbered), expected);
            assert!(numbered.len() <= SEGMENT_BYTES_MAX);
        }
        let long = sanitised(format!("{}.jpeg", "\u{e9}".repeat(300)).as_bytes(), false);
        assert_eq!(String::from_utf8_lossy(&long), format!("{}.jpeg", "\u{e9}".repeat(125)));
    }

    /// Octets that continue no character are no reason to leave the whole name out.
    #[test]
    fn a_name_that_is_too_long_is_never_empty_or_hidden() {
        let garbage = b"\x80".repeat(300);
        for extension in [&b""[..], b".htaccess", b".httpd-upload-1-1"] {
            let name = sanitised(&[&garbage, extension].concat(), false);
            assert!(!name.is_empty() && name[0] != b'.', "{}", name.escape_ascii());
        }
    }
}
