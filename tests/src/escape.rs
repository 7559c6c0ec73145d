//! How octets that an editor cannot hold are written in a case, and how placeholders are filled.

use std::collections::BTreeMap;

/// Values for `{name}` placeholders: those a run starts with (`way`) and those that it captured.
pub type Values = BTreeMap<String, String>;

/// Turns `\r`, `\n`, `\t`, `\0`, `\\`, `\"` and `\xHH` into the octets they stand for. Everything
/// else stands for its own UTF-8 octets.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (octet, length) = match escape.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b'n') => (b'\n', 1),
            Some(b't') => (b'\t', 1),
            Some(b'0') => (0, 1),
            Some(&itself @ (b'\\' | b'"')) => (itself, 1),
            Some(b'x') => {
                let digits = escape.get(1..3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                (octet.ok_or_else(|| format!("`\\x` needs two hex digits in {text:?}"))?, 3)
            }
            _ => return Err(format!("no such escape in {text:?}: `\\{}`", first_char(escape))),
        };
        octets.push(octet);
        rest = &escape[length..];
    }
    octets.extend_from_slice(rest.as_bytes());
    Ok(octets)
}

/// Replaces `{name}` for each known name, and `{TEXT*N}` by `TEXT` repeated `N` times. Any other
/// brace stands for itself.
pub fn fill(text: &str, values: &Values) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let filling = rest.find('}').and_then(|close| {
            let inner = &rest[1..close];
            let value = match values.get(inner) {
                Some(value) => value.clone(),
                None => repeated(inner)?,
            };
            Some((value, close + 1))
        });
        let (value, length) = filling.unwrap_or_else(|| ("{".to_owned(), 1));
        filled.push_str(&value);
        rest = &rest[length..];
    }
    filled.push_str(rest);
    filled
}

/// Reads a text in double quotes, which must be all of `text`.
pub fn quoted(text: &str) -> Result<Vec<u8>, String> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    unescape(inner.ok_or_else(|| format!("expected a text in double quotes, not `{text}`"))?)
}

fn repeated(inner: &str) -> Option<String> {
    let (text, count) = inner.rsplit_once('*')?;
    Some(text.repeat(count.parse().ok()?))
}

fn first_char(text: &str) -> String {
    text.chars().take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_octets() {
        assert_eq!(unescape(r#"a\r\n\t\0\\\"\xfFé"#).unwrap(), b"a\r\n\t\0\\\"\xff\xc3\xa9");
        for wrong in [r"\q", r"\x", r"\x1", r"\xg0", r"\xé", "\\"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn placeholders_are_filled() {
        let values = Values::from([("tag".to_owned(), "\"1\"".to_owned())]);
        assert_eq!(fill("W/{tag} {ab*3}{X: y\r\n*2}", &values), "W/\"1\" abababX: y\r\nX: y\r\n");
        assert_eq!(fill("{other} { {tag", &values), "{other} { {tag");
    }
}
