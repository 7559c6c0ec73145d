//! Entity tags: read exactly where the grammar has one, written as read, compared by table.

use http_proto::{EntityTag, EntityTagRef};

/// `data` is two field values with a line feed between them; each may be an entity tag.
pub fn check(data: &[u8]) {
    let mut values = data.splitn(2, |&b| b == b'\n');
    let one = values.next().unwrap_or_default();
    let other = values.next().unwrap_or_default();
    for value in [one, other] {
        check_value(value);
        check_opaque(value);
    }
    if let (Some(a), Some(b)) = (EntityTagRef::parse(one), EntityTagRef::parse(other)) {
        check_comparison(a, b);
        check_comparison(b, a);
        check_comparison(a, a);
    }
}

/// `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE`
fn check_value(value: &[u8]) {
    let (weak, quoted) = match value.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, value),
    };
    let opaque = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let expected = opaque.filter(|opaque| opaque.iter().all(|&b| is_etagc(b)));

    let parsed = EntityTagRef::parse(value);
    assert_eq!(parsed.map(|tag| (tag.is_weak(), tag.opaque())), expected.map(|o| (weak, o)));
    if let Some(tag) = parsed {
        let made = if weak { EntityTag::weak } else { EntityTag::strong };
        let owned = made(tag.opaque()).expect("what was read can be written");
        assert_eq!(owned.as_bytes(), value);
        assert_eq!(owned.to_string(), String::from_utf8_lossy(value));
    }
}

/// Whatever is between the quotes: a tag is made of it, and reads back, or it is none.
fn check_opaque(opaque: &[u8]) {
    let allowed = opaque.iter().all(|&b| is_etagc(b));
    for (made, weak) in [(EntityTag::strong(opaque), false), (EntityTag::weak(opaque), true)] {
        assert_eq!(made.is_some(), allowed);
        let Some(tag) = made else { continue };
        let read = EntityTagRef::parse(tag.as_bytes()).expect("what was written can be read");
        assert_eq!((read.is_weak(), read.opaque()), (weak, opaque));
        assert!(read.equals_weakly(tag.to_ref()));
        assert_eq!(read.equals_strongly(tag.to_ref()), !weak);
        assert_eq!(EntityTag::strong(opaque).as_ref() == Some(&tag), !weak);
    }
}

/// RFC 9110 §8.8.3.2, table 3.
fn check_comparison(a: EntityTagRef<'_>, b: EntityTagRef<'_>) {
    let alike = a.opaque() == b.opaque();
    assert_eq!(a.equals_weakly(b), alike);
    assert_eq!(a.equals_strongly(b), alike && !a.is_weak() && !b.is_weak());
}

/// Neither a blank nor a control octet, nor the quote that ends a tag.
fn is_etagc(b: u8) -> bool {
    !(b <= b' ' || b == b'"' || b == 0x7f)
}
