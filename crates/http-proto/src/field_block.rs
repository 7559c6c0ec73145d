//! Field lines ready for the wire.

use crate::grammar;

/// A block of complete field lines, `name: value CRLF` each, built without a way to forge a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldBlock(Vec<u8>);

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
        if self.0.capacity() == 0 {
            self.0.reserve(USUAL_BYTES);
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        let start = self.0.len();
        self.0.extend_from_slice(value);
        for octet in &mut self.0[start..] {
            if !grammar::is_field_octet(*octet) {
                *octet = b' ';
            }
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// The lines, each with its line end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value of the first line called `name`, without regard to case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.0.split(|&b| b == b'\n').find_map(|line| {
            let (head, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b": ")?.strip_suffix(b"\r")?;
            head.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        })
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
}
