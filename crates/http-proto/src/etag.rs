//! Entity tags: which octets make one, when two are equal, and how a list of them is read.
//!
//! An opaque-tag looks like a quoted string and is none: it has no escapes, so a backslash is an
//! octet like any other and the next double quote always ends the tag (RFC 9110 §8.8.3).

use std::fmt;

use crate::grammar;

/// The entity tag of a representation: an owned `entity-tag`, kept as it stands on the wire.
///
/// `==` asks whether two are written alike. What a precondition asks is one of the two comparisons
/// of [`EntityTagRef`], reached through [`to_ref`](EntityTag::to_ref).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntityTag {
    /// `[ "W/" ] DQUOTE *etagc DQUOTE`
    wire: Box<[u8]>,
}

impl EntityTag {
    /// The strong tag with `opaque` between its quotes; `None` when an octet may not stand there.
    ///
    /// Strong is a promise: no other content of the resource ever has the tag (RFC 9110 §8.8.1).
    /// A backslash is allowed, but some recipients take it for an escape: better without.
    pub fn strong(opaque: &[u8]) -> Option<EntityTag> {
        EntityTag::new(b"\"", opaque)
    }

    /// The weak tag with `opaque` between its quotes; `None` when an octet may not stand there.
    pub fn weak(opaque: &[u8]) -> Option<EntityTag> {
        EntityTag::new(b"W/\"", opaque)
    }

    /// The weak tag that is written alike between its quotes.
    pub fn into_weak(self) -> EntityTag {
        match self.wire.strip_prefix(b"\"") {
            Some(rest) => EntityTag { wire: [b"W/\"", rest].concat().into_boxed_slice() },
            None => self,
        }
    }

    /// The tag as it stands in a field, quotes and weakness included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.wire
    }

    /// The tag to compare others with.
    pub fn to_ref(&self) -> EntityTagRef<'_> {
        let weak = self.wire.starts_with(b"W");
        let start = if weak { 3 } else { 1 };
        EntityTagRef { weak, opaque: &self.wire[start..self.wire.len() - 1] }
    }

    fn new(prefix: &[u8], opaque: &[u8]) -> Option<EntityTag> {
        let wire = || [prefix, opaque, b"\""].concat().into_boxed_slice();
        opaque.iter().all(|&b| is_etagc(b)).then(|| EntityTag { wire: wire() })
    }
}

impl fmt::Display for EntityTag {
    /// The wire form; octets that are not UTF-8 are shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.wire))
    }
}

impl fmt::Debug for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityTag({self})")
    }
}

/// An entity tag where it lies in a field value.
#[derive(Clone, Copy, Debug)]
pub struct EntityTagRef<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTagRef<'a> {
    /// Reads a value that is one entity tag and nothing else.
    pub fn parse(value: &'a [u8]) -> Option<EntityTagRef<'a>> {
        let (tag, rest) = entity_tag(value)?;
        rest.is_empty().then_some(tag)
    }

    /// Whether the tag is marked as weak.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// The octets between the quotes.
    pub fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// Strong comparison (RFC 9110 §8.8.3.2): both are strong and written alike.
    pub fn equals_strongly(&self, other: EntityTagRef<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 §8.8.3.2): the same between the quotes, weak or not.
    pub fn equals_weakly(&self, other: EntityTagRef<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// One element of a list of entity tags.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListedTag<'a> {
    Tag(EntityTagRef<'a>),
    /// Something that is no entity tag, up to the next comma: a `*`, a token, an open quote.
    Invalid,
}

/// The elements of one `#entity-tag` value; empty ones are left out (RFC 9110 §5.6.1.2).
///
/// After an element that is no tag, reading goes on behind the next comma. A quote stops every
/// attempt at a tag and only a quote starts one, so no octet is looked at more than a few times.
pub(crate) struct TagList<'a> {
    rest: &'a [u8],
}

impl<'a> TagList<'a> {
    pub(crate) fn new(value: &'a [u8]) -> TagList<'a> {
        TagList { rest: value }
    }
}

impl<'a> Iterator for TagList<'a> {
    type Item = ListedTag<'a>;

    fn next(&mut self) -> Option<ListedTag<'a>> {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        if let Some((tag, rest)) = entity_tag(self.rest)
            && let None | Some(b',') = rest.iter().find(|&&b| !grammar::is_ows(b))
        {
            self.rest = rest;
            return Some(ListedTag::Tag(tag));
        }
        let end = self.rest.iter().position(|&b| b == b',').unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        Some(ListedTag::Invalid)
    }
}

/// `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE`, and what follows it.
fn entity_tag(value: &[u8]) -> Option<(EntityTagRef<'_>, &[u8])> {
    let unmarked = value.strip_prefix(b"W/");
    let inner = unmarked.unwrap_or(value).strip_prefix(b"\"")?;
    let end = inner.iter().position(|&b| !is_etagc(b))?;
    let (opaque, rest) = inner.split_at(end);
    Some((EntityTagRef { weak: unmarked.is_some(), opaque }, rest.strip_prefix(b"\"")?))
}

/// `etagc = %x21 / %x23-7E / obs-text`
fn is_etagc(b: u8) -> bool {
    matches!(b, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_written_with_quotes_and_weakness() {
        let strong = EntityTag::strong(b"xyzzy").unwrap();
        let weak = EntityTag::weak(b"xyzzy").unwrap();
        assert_eq!((strong.as_bytes(), weak.as_bytes()), (&b"\"xyzzy\""[..], &b"W/\"xyzzy\""[..]));
        assert_eq!((strong.to_string(), weak.to_string()), ("\"xyzzy\"".into(), weak.to_string()));
        assert_eq!(EntityTag::strong(b"").unwrap().as_bytes(), b"\"\"");
        assert_eq!(EntityTag::weak(b"").unwrap().as_bytes(), b"W/\"\"");
        assert_eq!(format!("{strong:?}"), "EntityTag(\"xyzzy\")");
    }

    #[test]
    fn an_owned_tag_reads_back_what_it_was_made_of() {
        for opaque in [&b""[..], b"a", b"W", b"W/", b"\\", b"a,b", b"\x80\xff", b"*"] {
            let strong = EntityTag::strong(opaque).unwrap();
            let weak = EntityTag::weak(opaque).unwrap();
            assert_eq!((strong.to_ref().opaque(), strong.to_ref().is_weak()), (opaque, false));
            assert_eq!((weak.to_ref().opaque(), weak.to_ref().is_weak()), (opaque, true));
            assert_eq!(
                (strong.into_weak(), weak.clone().into_weak()),
                (weak.clone(), weak.clone())
            );
            let parsed = EntityTagRef::parse(weak.as_bytes()).unwrap();
            assert_eq!((parsed.opaque(), parsed.is_weak()), (opaque, true));
        }
    }

    #[test]
    fn exactly_etagc_octets_make_a_tag() {
        for b in 0..=255u8 {
            let allowed = b > b' ' && b != b'"' && b != 0x7f;
            assert_eq!(EntityTag::strong(&[b]).is_some(), allowed, "{b:#04x}");
            assert_eq!(EntityTag::weak(&[b'a', b]).is_some(), allowed, "{b:#04x}");
            assert_eq!(EntityTagRef::parse(&[b'"', b, b'"']).is_some(), allowed, "{b:#04x}");
        }
    }

    #[test]
    fn one_tag_and_nothing_else_is_parsed() {
        for (value, expected) in [
            (r#""a""#, Some((false, "a"))),
            (r#""""#, Some((false, ""))),
            (r#"W/"a""#, Some((true, "a"))),
            (r#"W/"""#, Some((true, ""))),
            (r#""\""#, Some((false, r"\"))),
            (r#""a\"b""#, None),
            (r#"w/"a""#, None),
            (r#"W/ "a""#, None),
            (r#"W"a""#, None),
            (r#"W/W/"a""#, None),
            ("W/a", None),
            ("W/", None),
            ("W", None),
            ("a", None),
            ("'a'", None),
            ("*", None),
            ("", None),
            (r#"""#, None),
            (r#""a"#, None),
            (r#"a""#, None),
            (r#""a b""#, None),
            (r#""a" "#, None),
            (r#" "a""#, None),
            (r#""a","b""#, None),
            (r#""a"b"#, None),
        ] {
            let parsed = EntityTagRef::parse(value.as_bytes());
            let expected = expected.map(|(weak, opaque)| (weak, opaque.as_bytes()));
            assert_eq!(parsed.map(|tag| (tag.is_weak(), tag.opaque())), expected, "{value}");
        }
    }

    #[test]
    fn comparisons_are_those_of_table_3() {
        for (a, b, strongly, weakly) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#"W/"1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
            (r#""1""#, r#""2""#, false, false),
            (r#""a""#, r#""A""#, false, false),
            (r#""""#, r#""""#, true, true),
            (r#""1""#, r#""11""#, false, false),
        ] {
            let a = EntityTagRef::parse(a.as_bytes()).unwrap();
            let b = EntityTagRef::parse(b.as_bytes()).unwrap();
            assert_eq!(a.equals_strongly(b), strongly, "{a:?} {b:?}");
            assert_eq!(a.equals_weakly(b), weakly, "{a:?} {b:?}");
        }
    }

    /// The elements in one word each: the opaque part, `~` before a weak one, `?` for no tag.
    fn elements(value: &str) -> String {
        let shown = |element| match element {
            ListedTag::Tag(tag) => {
                let opaque = String::from_utf8_lossy(tag.opaque());
                format!("{}{opaque}", if tag.is_weak() { "~" } else { "" })
            }
            ListedTag::Invalid => "?".to_string(),
        };
        TagList::new(value.as_bytes()).map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_list_is_read_tag_by_tag() {
        for (value, expected) in [
            ("", ""),
            (" \t", ""),
            (",", ""),
            (", ,\t,", ""),
            (r#""a""#, "a"),
            (r#""a","b""#, "a b"),
            (r#""a" , W/"b"	,"c""#, "a ~b c"),
            (r#",, "a",,"b" , ,"#, "a b"),
            (r#" "a" "#, "a"),
            (r#""a,b","c""#, "a,b c"),
            (r#""a\","b""#, r"a\ b"),
            (r#""*""#, "*"),
        ] {
            assert_eq!(elements(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_tag_ends_at_the_next_comma() {
        for (value, expected) in [
            ("*", "?"),
            (r#"*, "a""#, "? a"),
            (r#""a", *"#, "a ?"),
            ("a, b", "? ?"),
            (r#"a, "b""#, "? b"),
            (r#""a" "b""#, "?"),
            (r#""a""b", "c""#, "? c"),
            (r#""a"; q=1, "b""#, "? b"),
            (r#"w/"a", "b""#, "? b"),
            (r#""a b", "c""#, "? c"),
            (r#""a, b", "c""#, "? ? c"),
            (r#""a"#, "?"),
            (r#""a, "b""#, "? b"),
            (r#"""", "a""#, "? a"),
        ] {
            assert_eq!(elements(value), expected, "{value}");
        }
    }

    #[test]
    fn a_hostile_list_ends() {
        let value = r#""x,"#.repeat(4096);
        assert_eq!(TagList::new(value.as_bytes()).count(), 4096);
        assert_eq!(TagList::new(",".repeat(16_384).as_bytes()).count(), 0);
    }
}
