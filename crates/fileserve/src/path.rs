//! Decides which file beneath the root a request's path names, before the disk is asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::refusal::Refusal;

/// How the names of half-received uploads start. Such names are never served, listed or written to,
/// whatever else is.
pub(crate) const UPLOAD_PREFIX: &str = ".httpd-upload-";

/// The longest name of one file, in bytes: Linux's `NAME_MAX`.
pub(crate) const SEGMENT_BYTES_MAX: usize = 255;

/// The longest path, in bytes: Linux's `PATH_MAX` of 4096, which counts the NUL at the end.
const PATH_BYTES_MAX: usize = 4095;

/// What stands for itself in a URL path: RFC 3986's unreserved characters, `/` between segments,
/// and those of its `pchar` that mean nothing in HTML either, so that no attribute needs more.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A path beneath the root: decoded segments, none of them empty, `.`, `..` or holding a `/` or a
/// NUL. Names are bytes; nothing says that they are UTF-8.
///
/// It is lexical: a symbolic link on the way is [`Root`](crate::root::Root)'s business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelPath {
    /// The segments joined by `/`, which none of them can contain. Empty for the root.
    joined: Vec<u8>,
    dir_form: bool,
}

impl RelPath {
    /// The root itself.
    pub fn root() -> RelPath {
        RelPath { joined: Vec::new(), dir_form: true }
    }

    /// Reads the path of a request target, as it came: starting with `/`, percent-encoded, without
    /// the query.
    ///
    /// Segments are split first and decoded once, so an encoded slash cannot separate and an
    /// encoded percent sign cannot decode again. Dot segments go after decoding, since `%2e` is the
    /// same as `.` (RFC 9110 §4.2.3). Names that start with a dot are refused unless
    /// `serve_hidden`; `.well-known` is meant to be found (RFC 8615 §3).
    ///
    /// # Errors
    /// `BadEscape`, `EncodedSlash`, `OutsideRoot`, `NameTooLong` or `Hidden`.
    pub fn parse(path: &str, serve_hidden: bool) -> Result<RelPath, Refusal> {
        let mut found = RelPath::root();
        found.joined.reserve(path.len().min(PATH_BYTES_MAX));
        for segment in path.split('/') {
            found.push_encoded(segment)?;
        }
        for segment in found.segments() {
            check_hidden(segment, serve_hidden)?;
        }
        Ok(found)
    }

    /// The entry `name` of this directory. `name` is a file name as the disk has it, not encoded.
    ///
    /// # Errors
    /// As for [`parse`](RelPath::parse); a name that is no name (empty, `.`, `..`, with a `/` or a
    /// NUL in it) is `NotFound`, and `EncodedSlash` when it holds a `/`.
    pub fn child(&self, name: &[u8], serve_hidden: bool) -> Result<RelPath, Refusal> {
        if name.contains(&b'/') {
            return Err(Refusal::EncodedSlash);
        }
        if matches!(name, b"" | b"." | b"..") || name.contains(&0) {
            return Err(Refusal::NotFound);
        }
        check_hidden(name, serve_hidden)?;
        let mut joined = Vec::with_capacity(self.joined.len() + 1 + name.len());
        joined.extend_from_slice(&self.joined);
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(name);
        check_lengths(name.len(), joined.len())?;
        Ok(RelPath { joined, dir_form: false })
    }

    /// The directory that holds this; `None` for the root.
    pub fn parent(&self) -> Option<RelPath> {
        let name = self.file_name()?;
        let end = (self.joined.len() - name.len()).saturating_sub(1);
        Some(RelPath { joined: self.joined[..end].to_vec(), dir_form: true })
    }

    /// Whether the target asked for a directory: it ended in `/`, or in a `.` or `..` segment.
    pub fn is_dir_form(&self) -> bool {
        self.dir_form
    }

    /// The same path in the form of a directory: where a redirect to the listing goes.
    pub fn into_dir_form(mut self) -> RelPath {
        self.dir_form = true;
        self
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.joined.is_empty()
    }

    /// The segments in order; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.joined.split(|&b| b == b'/').filter(|segment| !segment.is_empty())
    }

    /// The last segment; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.segments().last()
    }

    /// What follows the last dot of the file name. A dot that starts or ends the name starts none.
    pub fn extension(&self) -> Option<&[u8]> {
        extension(self.file_name()?)
    }

    /// The path as the OS takes it, relative to the root: `.` for the root itself.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    /// The bytes of [`as_os_str`](RelPath::as_os_str).
    pub fn as_bytes(&self) -> &[u8] {
        if self.is_root() { b"." } else { &self.joined }
    }

    /// The path of a URL that names this: it starts with exactly one `/`, ends in one if this has
    /// the form of a directory, and is safe as a field value and in an HTML attribute as it is.
    pub fn to_url_path(&self) -> String {
        let mut url = String::with_capacity(self.joined.len() + 2);
        url.push('/');
        url.extend(percent_encode(&self.joined, ESCAPED));
        if self.dir_form && !self.is_root() {
            url.push('/');
        }
        url
    }

    /// Takes one segment of a target, still encoded.
    fn push_encoded(&mut self, segment: &str) -> Result<(), Refusal> {
        self.dir_form = true;
        let before = self.joined.len();
        if before > 0 {
            self.joined.push(b'/');
        }
        let start = self.joined.len();
        decode_into(&mut self.joined, segment)?;
        match &self.joined[start..] {
            b"" | b"." => self.joined.truncate(before),
            b".." => {
                self.joined.truncate(before);
                let last = self.file_name().ok_or(Refusal::OutsideRoot)?.len();
                self.joined.truncate((before - last).saturating_sub(1));
            }
            name if name.contains(&b'/') => return Err(Refusal::EncodedSlash),
            name => {
                check_lengths(name.len(), self.joined.len())?;
                self.dir_form = false;
            }
        }
        Ok(())
    }
}

/// What follows the last dot of `name`, unless the dot starts or ends it.
pub(crate) fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&b| b == b'.')?;
    (dot > 0 && dot + 1 < name.len()).then(|| &name[dot + 1..])
}

/// One entry's name as a reference relative to its directory. The `./` keeps a name with a colon
/// from being read as a scheme (RFC 3986 §4.2) and a strange one from being read as a host.
pub(crate) fn entry_reference(name: &[u8]) -> String {
    let mut reference = String::with_capacity(name.len() + 2);
    reference.push_str("./");
    reference.extend(percent_encode(name, ESCAPED));
    reference
}

/// Appends `segment` with its escapes decoded, once.
fn decode_into(out: &mut Vec<u8>, segment: &str) -> Result<(), Refusal> {
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            // pct-encoded = "%" HEXDIG HEXDIG                                   (RFC 3986 §2.1)
            b'%' => hex_digit(rest.next()).zip(hex_digit(rest.next())).map(|(h, l)| (h << 4) | l),
            plain => Some(plain),
        };
        // NUL ends a path for the OS: what follows would be checked here and ignored there.
        out.push(decoded.filter(|&b| b != 0).ok_or(Refusal::BadEscape)?);
    }
    Ok(())
}

fn hex_digit(digit: Option<u8>) -> Option<u8> {
    let value = char::from(digit?).to_digit(16)?;
    u8::try_from(value).ok()
}

fn check_lengths(segment: usize, path: usize) -> Result<(), Refusal> {
    match segment <= SEGMENT_BYTES_MAX && path <= PATH_BYTES_MAX {
        true => Ok(()),
        false => Err(Refusal::NameTooLong),
    }
}

fn check_hidden(segment: &[u8], serve_hidden: bool) -> Result<(), Refusal> {
    let hidden = segment.starts_with(b".") && segment != b".well-known";
    match is_upload(segment) || (hidden && !serve_hidden) {
        true => Err(Refusal::Hidden),
        false => Ok(()),
    }
}

/// Whether a file of that name is an upload under way, or what is left of one. In any case, since
/// some directories fold case.
pub(crate) fn is_upload(name: &[u8]) -> bool {
    name.get(..UPLOAD_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(UPLOAD_PREFIX.as_bytes()))
}

#[cfg(test)]
mod tests;
