//! Field lines ready for the wire.

use std::sync::Arc;

use crate::grammar;

/// A block of complete field lines, `name: value CRLF` each, built without a way to forge a line.
#[derive(Clone, Debug)]
pub struct FieldBlock(Lines);

#[derive(Clone, Debug)]
enum Lines {
    Own(Vec<u8>),
    /// Of an answer that is given often.
    Shared(Arc<[u8]>),
}

/// Room for the fields that an answer has as a rule, so that they need not move as more come.
const USUAL_BYTES: usize = 320;

impl FieldBlock {
    /// Adds a line. Octets of `value` that may not stand in a field value become spaces: no value
    /// can end its line (RFC 9110 §5.5).
    ///
    /// # Panics
    /// When `name` is not a token, which only a programmer can cause.
    pub fn push(&mut self, name: &'static str, value: &[u8]) {
        assert!(grammar::is_token(name.as_bytes()), "a field name is a token");
        let lines = self.own();
        if lines.capacity() == 0 {
            lines.reserve(USUAL_BYTES);
        }
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        let start = lines.len();
        lines.extend_from_slice(value);
        for octet in &mut lines[start..] {
            if !grammar::is_field_octet(*octet) {
                *octet = b' ';
            }
        }
        lines.extend_from_slice(b"\r\n");
    }

    /// The same lines in memory that all clones share, so that a clone costs no copy.
    pub fn into_shared(self) -> FieldBlock {
        match self.0 {
            Lines::Own(lines) => FieldBlock(Lines::Shared(lines.into())),
            Lines::Shared(_) => self,
        }
    }

    fn own(&mut self) -> &mut Vec<u8> {
        if let Lines::Shared(lines) = &self.0 {
            self.0 = Lines::Own(lines.to_vec());
        }
        match &mut self.0 {
            Lines::Own(lines) => lines,
            Lines::Shared(_) => unreachable!("they have just been copied"),
        }
    }

    /// The lines, each with its line end.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Lines::Own(lines) => lines,
            Lines::Shared(lines) => lines,
        }
    }

    /// The value of the first line called `name`, without regard to case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.as_bytes().split(|&b| b == b'\n').find_map(|line| {
            let (head, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b": ")?.strip_suffix(b"\r")?;
            head.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        })
    }
}

impl Default for FieldBlock {
    fn default() -> FieldBlock {
        FieldBlock(Lines::Own(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::FieldBlock;

    #[test]
    fn a_value_cannot_start_a_line_of_its_own() {
        let mut block = FieldBlock::default();
        block.push("Location", b"/a\r\nSet-Cookie: b\0\x7f");
        assert_eq!(block.as_bytes(), b"Location: /a  Set-Cookie: b  \r\n");
    }

    #[test]
    fn a_value_is_found_by_name() {
        let mut block = FieldBlock::default();
        block.push("ETag", b"\"a\"");
        block.push("Allow", b"GET");
        assert_eq!(block.value("allow"), Some(&b"GET"[..]));
        assert_eq!(block.value("all"), None);
    }

    #[test]
    fn what_is_added_to_shared_lines_is_added_to_one_block_alone() {
        let mut block = FieldBlock::default();
        block.push("Allow", b"GET");
        let shared = block.into_shared();
        let mut longer = shared.clone();
        longer.push("ETag", b"\"a\"");
        assert_eq!(shared.as_bytes(), b"Allow: GET\r\n");
        assert_eq!(longer.as_bytes(), b"Allow: GET\r\nETag: \"a\"\r\n");
    }
}
