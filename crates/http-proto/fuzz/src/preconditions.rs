//! Conditional requests: the verdict is that of the steps of RFC 9110 §13.2.2, taken one by one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_proto::precondition::{Verdict, evaluate, if_range};
use http_proto::{
    EntityTag, EntityTagRef, Fields, HttpDate, Limits, Method, RequestHead, Validators,
};

/// When the file changed: Sun, 06 Nov 1994 08:49:37 GMT, and a fraction that no client is told.
const CHANGED: Duration = Duration::from_millis(784_111_777_600);
/// Two seconds later, and long after.
const NOWS: [Duration; 3] =
    [CHANGED, Duration::from_secs(784_111_780), Duration::from_secs(1_768_478_400)];

/// `data` is field lines as they stand in a head.
pub fn check(data: &[u8]) {
    let end: &[u8] = if data.is_empty() || data.ends_with(b"\r\n") { b"\r\n" } else { b"\r\n\r\n" };
    let octets = [b"GET / HTTP/1.1\r\nHost: a\r\n", data, end].concat();
    let Ok(head) = RequestHead::parse(&octets, &Limits::default()) else { return };
    let modified = Some(UNIX_EPOCH + CHANGED);
    for current in [
        None,
        Some(Validators { etag: EntityTag::strong(b"a"), modified }),
        Some(Validators { etag: EntityTag::weak(b"a"), modified }),
        Some(Validators { etag: EntityTag::strong(b"a"), modified: None }),
        Some(Validators { etag: None, modified }),
        Some(Validators::default()),
    ] {
        for now in NOWS {
            check_with(&head.fields, current.as_ref(), UNIX_EPOCH + now);
        }
    }
}

fn check_with(fields: &Fields<'_>, current: Option<&Validators>, now: SystemTime) {
    for method in [Method::Get, Method::Head, Method::Put, Method::Delete, Method::Other("MOVE")] {
        let verdict = evaluate(method, fields, current, now);
        let expected = expected(method, fields, current, now);
        assert_eq!(verdict, expected, "{method:?} {fields:?} of {current:?} at {now:?}");
    }
    for method in [Method::Options, Method::Trace, Method::Connect] {
        assert_eq!(evaluate(method, fields, current, now), Verdict::Proceed);
    }
    if let Some(current) = current {
        let applies = range_applies(fields, current, now);
        assert_eq!(if_range(fields, current, now), applies, "{fields:?} of {current:?} at {now:?}");
    }
}

/// Steps 1 to 4.
fn expected(
    method: Method<'_>,
    fields: &Fields<'_>,
    current: Option<&Validators>,
    now: SystemTime,
) -> Verdict {
    let reads = method == Method::Get || method == Method::Head;
    let etag = current.and_then(|current| current.etag.as_ref());
    let modified = current.and_then(|current| current.modified).map(HttpDate::from);
    let date = |name: &str| HttpDate::parse(fields.single(name)?, now);

    if !all(fields, "if-match").is_empty() {
        if !matches_strongly(&all(fields, "if-match"), current.is_some(), etag) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date("if-unmodified-since"), modified)
        && modified > since
    {
        return Verdict::Failed;
    }

    if !all(fields, "if-none-match").is_empty() {
        match matches_weakly(&all(fields, "if-none-match"), current.is_some(), etag) {
            true if reads => Verdict::NotModified,
            true => Verdict::Failed,
            false => Verdict::Proceed,
        }
    } else if let (true, Some(since), Some(modified)) = (reads, date("if-modified-since"), modified)
        && modified <= since
    {
        Verdict::NotModified
    } else {
        Verdict::Proceed
    }
}

fn all<'a>(fields: &Fields<'a>, name: &str) -> Vec<&'a [u8]> {
    fields.all(name).collect()
}

/// If-Match holds: `*` and there is something, or nothing but tags, of which one is ours.
fn matches_strongly(values: &[&[u8]], exists: bool, etag: Option<&EntityTag>) -> bool {
    if values == [b"*"] {
        return exists;
    }
    let Some(tags) = values.iter().map(|value| tags(value)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    etag.is_some_and(|etag| {
        let strong = etag.as_bytes().starts_with(b"\"");
        strong && tags.concat().contains(&etag.as_bytes())
    })
}

/// The tags of a value that is a list of tags and nothing else.
fn tags(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut tags = Vec::new();
    let mut rest = value;
    loop {
        let blanks = rest.iter().take_while(|b| b" \t,".contains(b)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Some(tags);
        }
        if !tags.is_empty() && !ends_with_comma(&value[..value.len() - rest.len()]) {
            return None;
        }
        let mut quotes = rest.iter().enumerate().filter(|(_, b)| **b == b'"').map(|(at, _)| at);
        quotes.next()?;
        let (tag, behind) = rest.split_at(quotes.next()? + 1);
        EntityTagRef::parse(tag)?;
        tags.push(tag);
        rest = behind;
    }
}

/// Whether a comma comes last, white space apart.
fn ends_with_comma(value: &[u8]) -> bool {
    value.iter().rev().find(|b| !b" \t".contains(b)) == Some(&b',')
}

/// If-None-Match is false: `*` and there is something, or our tag stands as an element somewhere.
fn matches_weakly(values: &[&[u8]], exists: bool, etag: Option<&EntityTag>) -> bool {
    if values == [b"*"] {
        return exists;
    }
    let Some(etag) = etag else { return false };
    let opaque = etag.to_ref().opaque();
    let strong = [b"\"", opaque, b"\""].concat();
    let weak = [b"W/", &strong[..]].concat();
    let stands_in = |value: &[u8], tag: &[u8]| {
        // A quote ends every tag, so that what looks like ours between two commas is ours.
        value.windows(tag.len()).enumerate().any(|(at, window)| {
            let (before, behind) = (&value[..at], &value[at + tag.len()..]);
            let is_edge = |b: Option<&u8>| b.is_none_or(|&b| b == b',');
            window == tag
                && is_edge(before.iter().rev().find(|b| !b" \t".contains(b)))
                && is_edge(behind.iter().find(|b| !b" \t".contains(b)))
        })
    };
    values.iter().any(|value| stands_in(value, &strong) || stands_in(value, &weak))
}

/// Step 5: If-Range is absent, or exactly our strong validator.
fn range_applies(fields: &Fields<'_>, current: &Validators, now: SystemTime) -> bool {
    let asked = all(fields, "if-range");
    if asked.is_empty() || all(fields, "range").is_empty() {
        return true;
    }
    let &[value] = &asked[..] else { return false };
    let is_our_tag = current
        .etag
        .as_ref()
        .is_some_and(|etag| etag.as_bytes().starts_with(b"\"") && etag.as_bytes() == value);
    let is_our_date = current.modified.is_some_and(|modified| {
        modified + Duration::from_secs(1) <= now
            && HttpDate::parse(value, now) == Some(HttpDate::from(modified))
    });
    is_our_tag || is_our_date
}
