//! The field section of a head: names and values where they lie in the input.

use crate::grammar;

/// The most field lines any configuration can allow. Apache and nginx stop at 100 by default.
pub const FIELD_LINES_CAP: usize = 128;

/// So many lines are kept in place, and reading a head of no more allocates nothing; browsers send
/// 12 to 20. Room for all that may come would be 1 KiB to clear once and to move three times for
/// every request, a fourth of what reading a short head costs.
const LINES_IN_PLACE: usize = 24;

/// Where one field line lies in the head.
#[derive(Clone, Copy, Default)]
pub(crate) struct FieldLine {
    pub(crate) name_start: u16,
    pub(crate) name_len: u16,
    pub(crate) value_start: u16,
    pub(crate) value_len: u16,
}

/// The fields of a request: a borrowed view, in the order they came.
///
/// Names are compared without regard to case (RFC 9110 §5.1); values come without the white space
/// around them (RFC 9112 §5.1) and hold no control octet but HTAB.
#[derive(Clone)]
pub struct Fields<'a> {
    head: &'a [u8],
    /// The first lines.
    in_place: [FieldLine; LINES_IN_PLACE],
    /// Those for which there is no room in place.
    further: Vec<FieldLine>,
    /// How many there are in all.
    count: usize,
}

impl<'a> Fields<'a> {
    /// No fields yet, over `head`.
    pub(crate) fn new(head: &'a [u8]) -> Fields<'a> {
        let in_place = [FieldLine::default(); LINES_IN_PLACE];
        Fields { head, in_place, further: Vec::new(), count: 0 }
    }

    /// The head that the fields lie in.
    pub(crate) fn head(&self) -> &'a [u8] {
        self.head
    }

    /// Adds a line.
    pub(crate) fn push(&mut self, line: FieldLine) {
        match self.in_place.get_mut(self.count) {
            Some(place) => *place = line,
            None => self.further.push(line),
        }
        self.count += 1;
    }

    fn lines(&self) -> impl Iterator<Item = &FieldLine> {
        self.in_place.iter().take(self.count).chain(&self.further)
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no field line at all.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Name and value of every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.lines().map(|line| {
            let name = slice(self.head, line.name_start, line.name_len);
            // The parser let only tchar through, which is ASCII.
            let name = std::str::from_utf8(name).unwrap_or_default();
            (name, slice(self.head, line.value_start, line.value_len))
        })
    }

    /// The values of all lines called `name`, in order.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.lines().filter_map(move |line| {
            if usize::from(line.name_len) != name.len() {
                return None;
            }
            slice(self.head, line.name_start, line.name_len)
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| slice(self.head, line.value_start, line.value_len))
        })
    }

    /// The value of the first line called `name`.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The value of the one line called `name`; `None` when there is none or more than one.
    ///
    /// For fields that are not lists a second line makes the field meaningless
    /// (RFC 9110 §5.3), and whoever may ignore an invalid field then ignores it.
    pub fn single(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The elements of the list field `name` over all its lines (RFC 9110 §5.6.1): trimmed, empty
    /// ones left out, commas inside quoted strings respected.
    pub fn elements<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.all(name).flat_map(Elements::new)
    }
}

/// Fields that hold passwords and the like, which do not belong where somebody looks for a fault.
const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |(name, value)| {
            let is_secret = SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name));
            let value = if is_secret { "...".into() } else { String::from_utf8_lossy(value) };
            (name, value)
        };
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

fn slice(head: &[u8], start: u16, len: u16) -> &[u8] {
    let start = usize::from(start);
    &head[start..start + usize::from(len)]
}

/// The elements of one comma-separated value.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Elements<'a> {
        Elements { rest: value }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = element_end(self.rest);
            let element = grammar::trim_ows(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// Where the first element ends: at a comma outside a quoted string, or at the end.
fn element_end(value: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &b) in value.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::Elements;
    use crate::{Limits, RequestHead};

    #[test]
    fn what_is_secret_is_not_shown() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: Basic YTpi\r\nCookie: b\r\n\r\n";
        let head = RequestHead::parse(head, &Limits::default()).expect("a good head");
        assert_eq!(
            format!("{:?}", head.fields),
            r#"{"Host": "a", "AUTHORIZATION": "...", "Cookie": "..."}"#
        );
    }

    #[test]
    fn a_list_is_split_at_commas_outside_quotes() {
        let split = |value: &'static str| {
            Elements::new(value.as_bytes())
                .map(|e| String::from_utf8_lossy(e).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(split("a, b ,\tc"), ["a", "b", "c"]);
        assert_eq!(split(",, a,,"), ["a"]);
        assert_eq!(split(r#""a,b", W/"c\"," "#), [r#""a,b""#, r#"W/"c\",""#]);
        assert_eq!(split(""), Vec::<String>::new());
        assert_eq!(split(r#""open, a"#), [r#""open, a"#]);
    }
}
