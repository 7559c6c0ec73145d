//! Decides whether a conditional request goes ahead, and whether its Range still applies.
//!
//! The conditions are three-valued - absent, true, false - and combined in one function, in the
//! order of RFC 9110 §13.2.2.

use std::time::{Duration, SystemTime};

use crate::etag::{EntityTag, EntityTagRef, ListedTag, TagList};
use crate::{Fields, HttpDate, Method};

/// What a representation can be recognised by (RFC 9110 §8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag, the same that the ETag field says.
    pub etag: Option<EntityTag>,
    /// When the content last changed, with whatever precision is known and not yet replaced by
    /// Date when it lies ahead. Conditions look at its whole second only, as clients do.
    pub modified: Option<SystemTime>,
}

/// What the preconditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Perform the request.
    Proceed,
    /// The client has it already: 304 (RFC 9110 §15.4.5). Only for GET and HEAD.
    NotModified,
    /// Leave everything as it is: 412 (RFC 9110 §15.5.13).
    Failed,
}

/// What one condition field says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Not sent, or to be ignored.
    Absent,
    True,
    False,
}

impl From<bool> for Condition {
    fn from(holds: bool) -> Condition {
        if holds { Condition::True } else { Condition::False }
    }
}

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since.
///
/// `current` is the representation that the request selects, `None` when there is none (a PUT
/// that would create). Call it after the normal checks and right before the action: what would be
/// refused or redirected anyway is, whatever the conditions say (RFC 9110 §13.2.1). `now` is
/// needed for two-digit years.
///
/// A doubtful If-Match fails, so that no write passes that the client wanted guarded. In
/// If-None-Match an element that is no tag matches nothing: §13.1.2 calls the condition true
/// where it is neither `*` alone nor a list with a match. A date that is invalid or repeated is
/// ignored, as §13.1.3 and §13.1.4 demand.
pub fn evaluate(
    method: Method<'_>,
    fields: &Fields<'_>,
    current: Option<&Validators>,
    now: SystemTime,
) -> Verdict {
    // RFC 9110 §13.2.1: these neither select nor modify a representation.
    if let Method::Connect | Method::Options | Method::Trace = method {
        return Verdict::Proceed;
    }
    let reads = matches!(method, Method::Get | Method::Head);

    // Steps 1 and 2. A date counts only where the tag field is absent altogether.
    let unchanged = match if_match(fields, current) {
        Condition::Absent => if_unmodified_since(fields, current, now),
        said => said,
    };
    if unchanged == Condition::False {
        return Verdict::Failed;
    }

    // Steps 3 and 4.
    let changed = match if_none_match(fields, current) {
        Condition::Absent if reads => if_modified_since(fields, current, now),
        said => said,
    };
    match changed {
        Condition::False if reads => Verdict::NotModified,
        Condition::False => Verdict::Failed,
        Condition::True | Condition::Absent => Verdict::Proceed,
    }
}

/// Whether the Range of a GET applies to the representation (RFC 9110 §13.1.5, step 5 of
/// §13.2.2); if not, the whole of it is the answer.
///
/// True without If-Range. Without Range there is nothing to apply and If-Range is ignored, so true
/// again. False for an If-Range that is repeated or neither a tag nor a date.
///
/// A date must be that of the last change, and strong (§8.8.2.2): a whole second must have passed
/// since, in which a second change under the same date would have shown. That the client's copy is
/// not from within that second is the client's to know, from the Date it came with.
pub fn if_range(fields: &Fields<'_>, current: &Validators, now: SystemTime) -> bool {
    if fields.first("range").is_none() || fields.first("if-range").is_none() {
        return true;
    }
    let Some(value) = fields.single("if-range") else { return false };
    if let Some(tag) = EntityTagRef::parse(value) {
        return current.etag.as_ref().is_some_and(|etag| etag.to_ref().equals_strongly(tag));
    }
    match (HttpDate::parse(value, now), current.modified) {
        (Some(date), Some(modified)) => {
            let settled =
                now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1));
            settled && date == HttpDate::from(modified)
        }
        _ => false,
    }
}

/// `If-Match = "*" / #entity-tag` (RFC 9110 §13.1.1), strong comparison.
fn if_match(fields: &Fields<'_>, current: Option<&Validators>) -> Condition {
    if fields.first("if-match").is_none() {
        return Condition::Absent;
    }
    if is_any(fields, "if-match") {
        return current.is_some().into();
    }
    let Some(etag) = etag_of(current) else { return Condition::False };
    let mut matched = false;
    for element in fields.all("if-match").flat_map(TagList::new) {
        match element {
            ListedTag::Tag(tag) => matched |= etag.equals_strongly(tag),
            // Not a list of tags, so neither of the two forms that can make it true.
            ListedTag::Invalid => return Condition::False,
        }
    }
    matched.into()
}

/// `If-None-Match = "*" / #entity-tag` (RFC 9110 §13.1.2), weak comparison.
fn if_none_match(fields: &Fields<'_>, current: Option<&Validators>) -> Condition {
    if fields.first("if-none-match").is_none() {
        return Condition::Absent;
    }
    if is_any(fields, "if-none-match") {
        return current.is_none().into();
    }
    let Some(etag) = etag_of(current) else { return Condition::True };
    let matched = fields.all("if-none-match").flat_map(TagList::new).any(|element| match element {
        ListedTag::Tag(tag) => etag.equals_weakly(tag),
        ListedTag::Invalid => false,
    });
    (!matched).into()
}

/// RFC 9110 §13.1.3: false when the last change is not after the date.
fn if_modified_since(
    fields: &Fields<'_>,
    current: Option<&Validators>,
    now: SystemTime,
) -> Condition {
    match dates(fields, "if-modified-since", current, now) {
        Some((modified, since)) => (modified > since).into(),
        None => Condition::Absent,
    }
}

/// RFC 9110 §13.1.4: true when the last change is not after the date.
fn if_unmodified_since(
    fields: &Fields<'_>,
    current: Option<&Validators>,
    now: SystemTime,
) -> Condition {
    match dates(fields, "if-unmodified-since", current, now) {
        Some((modified, since)) => (modified <= since).into(),
        None => Condition::Absent,
    }
}

/// The date of the last change and the one that the field `name` says, if there are both.
fn dates(
    fields: &Fields<'_>,
    name: &str,
    current: Option<&Validators>,
    now: SystemTime,
) -> Option<(HttpDate, HttpDate)> {
    let since = HttpDate::parse(fields.single(name)?, now)?;
    Some((HttpDate::from(current?.modified?), since))
}

/// Whether the field is `*`; next to anything else a `*` is invalid (RFC 9110 §13.1.1, §13.1.2).
fn is_any(fields: &Fields<'_>, name: &str) -> bool {
    fields.single(name) == Some(b"*")
}

fn etag_of(current: Option<&Validators>) -> Option<EntityTagRef<'_>> {
    current?.etag.as_ref().map(EntityTag::to_ref)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::Verdict::{Failed, NotModified, Proceed};
    use super::*;
    use crate::fields::FieldLine;

    /// When the file changed: Sun, 06 Nov 1994 08:49:37 GMT, and a fraction no client ever sees.
    const CHANGED: Duration = Duration::from_millis(784_111_777_600);
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    const IM: &str = "If-Match";
    const INM: &str = "If-None-Match";
    const IMS: &str = "If-Modified-Since";
    const IUS: &str = "If-Unmodified-Since";

    type Lines<'t> = &'t [(&'t str, &'t str)];

    /// Calls `judge` with the fields that `lines` spell.
    fn with_fields<T>(lines: Lines<'_>, judge: impl FnOnce(&Fields<'_>) -> T) -> T {
        let text: String = lines.iter().flat_map(|&(name, value)| [name, value]).collect();
        let mut fields = Fields::new(text.as_bytes());
        let mut end = 0u16;
        let mut place = |part: &str| {
            let start = end;
            end += part.len() as u16;
            (start, part.len() as u16)
        };
        for (name, value) in lines {
            let (name_start, name_len) = place(name);
            let (value_start, value_len) = place(value);
            fields.push(FieldLine { name_start, name_len, value_start, value_len });
        }
        judge(&fields)
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_768_478_400)
    }

    fn validators(etag: Option<EntityTag>) -> Validators {
        Validators { etag, modified: Some(UNIX_EPOCH + CHANGED) }
    }

    /// A file with the strong tag `"a"`.
    fn file() -> Option<Validators> {
        Some(validators(EntityTag::strong(b"a")))
    }

    fn judge(method: Method<'_>, lines: Lines<'_>, current: &Option<Validators>) -> Verdict {
        with_fields(lines, |fields| evaluate(method, fields, current.as_ref(), now()))
    }

    /// Rows of fields, the verdict for a reader and the one for a writer.
    fn check(current: Option<Validators>, rows: &[(Lines<'_>, Verdict, Verdict)]) {
        for &(lines, reading, writing) in rows {
            for method in [Method::Get, Method::Head] {
                assert_eq!(judge(method, lines, &current), reading, "{method:?} {lines:?}");
            }
            let writers = [Method::Put, Method::Delete, Method::Post, Method::Patch];
            for method in writers.into_iter().chain([Method::Other("MOVE")]) {
                assert_eq!(judge(method, lines, &current), writing, "{method:?} {lines:?}");
            }
        }
    }

    #[test]
    fn without_a_condition_every_request_goes_ahead() {
        let unrelated: Lines<'_> = &[("Host", "a"), ("Range", "bytes=0-"), ("If", "x")];
        check(file(), &[(&[], Proceed, Proceed), (unrelated, Proceed, Proceed)]);
        check(None, &[(&[], Proceed, Proceed), (unrelated, Proceed, Proceed)]);
    }

    #[test]
    fn if_match_needs_one_strong_equal() {
        check(
            file(),
            &[
                (&[(IM, "*")], Proceed, Proceed),
                (&[(IM, r#""a""#)], Proceed, Proceed),
                (&[("if-match", r#""a""#)], Proceed, Proceed),
                (&[(IM, r#""b", "a""#)], Proceed, Proceed),
                (&[(IM, r#"W/"a", "a""#)], Proceed, Proceed),
                (&[(IM, r#",, "a" ,"#)], Proceed, Proceed),
                (&[(IM, r#""b""#), (IM, r#""a""#)], Proceed, Proceed),
                (&[(IM, r#""b""#)], Failed, Failed),
                (&[(IM, r#"W/"a""#)], Failed, Failed),
                (&[(IM, r#""*""#)], Failed, Failed),
                (&[(IM, r#""A""#)], Failed, Failed),
            ],
        );
    }

    #[test]
    fn a_doubtful_if_match_lets_nothing_pass() {
        check(
            file(),
            &[
                (&[(IM, "")], Failed, Failed),
                (&[(IM, ",")], Failed, Failed),
                (&[(IM, "a")], Failed, Failed),
                (&[(IM, r#""a", b"#)], Failed, Failed),
                (&[(IM, r#"b, "a""#)], Failed, Failed),
                (&[(IM, r#""a" "b""#)], Failed, Failed),
                (&[(IM, r#""a""#), (IM, r#""b"#)], Failed, Failed),
                (&[(IM, r#"w/"b", "a""#)], Failed, Failed),
                (&[(IM, r#"*, "a""#)], Failed, Failed),
                (&[(IM, r#""a", *"#)], Failed, Failed),
                (&[(IM, r#"*"#), (IM, r#""a""#)], Failed, Failed),
                (&[(IM, "*"), (IM, "*")], Failed, Failed),
                (&[(IM, "*,")], Failed, Failed),
                (&[(IM, "**")], Failed, Failed),
            ],
        );
    }

    #[test]
    fn if_none_match_stops_on_one_weak_equal() {
        check(
            file(),
            &[
                (&[(INM, "*")], NotModified, Failed),
                (&[(INM, r#""a""#)], NotModified, Failed),
                (&[(INM, r#"W/"a""#)], NotModified, Failed),
                (&[("IF-NONE-MATCH", r#""a""#)], NotModified, Failed),
                (&[(INM, r#""b", W/"a""#)], NotModified, Failed),
                (&[(INM, r#",,"a",,"#)], NotModified, Failed),
                (&[(INM, r#""b""#), (INM, r#""a""#)], NotModified, Failed),
                (&[(INM, r#""b""#)], Proceed, Proceed),
                (&[(INM, r#""*""#)], Proceed, Proceed),
                (&[(INM, r#""A""#)], Proceed, Proceed),
            ],
        );
    }

    #[test]
    fn a_doubtful_element_of_if_none_match_matches_nothing() {
        check(
            file(),
            &[
                (&[(INM, "")], Proceed, Proceed),
                (&[(INM, "a")], Proceed, Proceed),
                (&[(INM, r#"w/"a""#)], Proceed, Proceed),
                (&[(INM, r#""a"x"#)], Proceed, Proceed),
                (&[(INM, "*, *")], Proceed, Proceed),
                (&[(INM, r#"*, "b""#)], Proceed, Proceed),
                (&[(INM, "*"), (INM, r#""b""#)], Proceed, Proceed),
                (&[(INM, r#"x, "a""#)], NotModified, Failed),
                (&[(INM, r#"*, "a""#)], NotModified, Failed),
                (&[(INM, r#""b c", "a""#)], NotModified, Failed),
            ],
        );
    }

    #[test]
    fn a_weak_tag_of_ours_serves_caches_and_guards_no_write() {
        check(
            Some(validators(EntityTag::weak(b"a"))),
            &[
                (&[(IM, r#""a""#)], Failed, Failed),
                (&[(IM, r#"W/"a""#)], Failed, Failed),
                (&[(IM, "*")], Proceed, Proceed),
                (&[(INM, r#""a""#)], NotModified, Failed),
                (&[(INM, r#"W/"a""#)], NotModified, Failed),
            ],
        );
    }

    #[test]
    fn where_nothing_exists_only_creating_goes_ahead() {
        check(
            None,
            &[
                (&[(IM, "*")], Failed, Failed),
                (&[(IM, r#""a""#)], Failed, Failed),
                (&[(IM, "")], Failed, Failed),
                (&[(INM, "*")], Proceed, Proceed),
                (&[(INM, r#""a""#)], Proceed, Proceed),
                (&[(IMS, AFTER)], Proceed, Proceed),
                (&[(IUS, BEFORE)], Proceed, Proceed),
            ],
        );
    }

    #[test]
    fn without_a_tag_of_ours_a_list_never_matches_and_any_still_does() {
        check(
            Some(validators(None)),
            &[
                (&[(IM, "*")], Proceed, Proceed),
                (&[(IM, r#""a""#)], Failed, Failed),
                (&[(INM, "*")], NotModified, Failed),
                (&[(INM, r#""a""#)], Proceed, Proceed),
                (&[(INM, r#""a""#), (IMS, AFTER)], Proceed, Proceed),
                (&[(IMS, SAME)], NotModified, Proceed),
                (&[(IUS, BEFORE)], Failed, Failed),
            ],
        );
    }

    #[test]
    fn dates_are_compared_by_whole_seconds() {
        check(
            file(),
            &[
                (&[(IMS, BEFORE)], Proceed, Proceed),
                (&[(IMS, SAME)], NotModified, Proceed),
                (&[(IMS, AFTER)], NotModified, Proceed),
                (&[(IMS, "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified, Proceed),
                (&[(IMS, "Sun Nov  6 08:49:37 1994")], NotModified, Proceed),
                (&[(IMS, "Fri, 31 Dec 9999 23:59:59 GMT")], NotModified, Proceed),
                (&[(IUS, BEFORE)], Failed, Failed),
                (&[(IUS, SAME)], Proceed, Proceed),
                (&[(IUS, AFTER)], Proceed, Proceed),
                (&[(IUS, "Sunday, 06-Nov-94 08:49:36 GMT")], Failed, Failed),
                (&[(IUS, "Sun Nov  6 08:49:36 1994")], Failed, Failed),
                (&[(IUS, "Mon, 01 Jan 1900 00:00:00 GMT")], Failed, Failed),
            ],
        );
    }

    #[test]
    fn a_date_that_is_invalid_or_repeated_is_ignored() {
        check(
            file(),
            &[
                (&[(IMS, "")], Proceed, Proceed),
                (&[(IMS, "yesterday")], Proceed, Proceed),
                (&[(IMS, "Sun, 06 Nov 1994 25:49:37 GMT")], Proceed, Proceed),
                (&[(IMS, AFTER), (IMS, AFTER)], Proceed, Proceed),
                (&[(IUS, "")], Proceed, Proceed),
                (&[(IUS, "yesterday")], Proceed, Proceed),
                (&[(IUS, BEFORE), (IUS, BEFORE)], Proceed, Proceed),
                (
                    &[(IUS, "Sun, 06 Nov 1994 08:49:36 GMT, Sun, 06 Nov 1994 08:49:36 GMT")],
                    Proceed,
                    Proceed,
                ),
            ],
        );
    }

    #[test]
    fn a_date_is_ignored_where_no_change_is_dated() {
        check(
            Some(Validators { etag: EntityTag::strong(b"a"), modified: None }),
            &[
                (&[(IMS, AFTER)], Proceed, Proceed),
                (&[(IUS, BEFORE)], Proceed, Proceed),
                (&[(INM, r#""a""#)], NotModified, Failed),
            ],
        );
    }

    #[test]
    fn a_tag_field_silences_its_date() {
        check(
            file(),
            &[
                (&[(INM, r#""b""#), (IMS, AFTER)], Proceed, Proceed),
                (&[(IMS, BEFORE), (INM, r#""a""#)], NotModified, Failed),
                (&[(INM, ""), (IMS, AFTER)], Proceed, Proceed),
                (&[(INM, "junk"), (IMS, AFTER)], Proceed, Proceed),
                (&[(IM, r#""a""#), (IUS, BEFORE)], Proceed, Proceed),
                (&[(IUS, AFTER), (IM, r#""b""#)], Failed, Failed),
                (&[(IM, "junk"), (IUS, AFTER)], Failed, Failed),
            ],
        );
    }

    #[test]
    fn the_guard_comes_before_the_cache() {
        check(
            file(),
            &[
                (&[(INM, r#""a""#), (IM, r#""b""#)], Failed, Failed),
                (&[(INM, r#""a""#), (IM, r#""a""#)], NotModified, Failed),
                (&[(INM, r#""b""#), (IM, r#""a""#)], Proceed, Proceed),
                (&[(IMS, SAME), (IM, r#""a""#)], NotModified, Proceed),
                (&[(IMS, SAME), (IUS, SAME)], NotModified, Proceed),
                (&[(IMS, BEFORE), (IUS, SAME)], Proceed, Proceed),
                (&[(IMS, SAME), (IUS, BEFORE)], Failed, Failed),
                (&[(INM, r#""a""#), (IUS, BEFORE)], Failed, Failed),
                (&[(INM, r#""a""#), (IUS, SAME)], NotModified, Failed),
            ],
        );
    }

    #[test]
    fn methods_without_a_representation_have_no_conditions() {
        for method in [Method::Connect, Method::Options, Method::Trace] {
            for lines in [&[(IM, r#""b""#)], &[(INM, "*")], &[(IUS, BEFORE)], &[(IMS, AFTER)]] {
                assert_eq!(judge(method, lines, &file()), Proceed, "{method:?} {lines:?}");
            }
            assert_eq!(judge(method, &[(IM, "*")], &None), Proceed, "{method:?}");
        }
    }

    fn range_applies(lines: Lines<'_>, current: &Validators, now: SystemTime) -> bool {
        with_fields(lines, |fields| if_range(fields, current, now))
    }

    #[test]
    fn if_range_wants_an_exact_strong_validator() {
        let strong = validators(EntityTag::strong(b"a"));
        let weak = validators(EntityTag::weak(b"a"));
        let none = Validators::default();
        for (value, expected) in [
            (r#""a""#, [true, false, false]),
            (r#"W/"a""#, [false, false, false]),
            (r#""b""#, [false, false, false]),
            (r#""a", "b""#, [false, false, false]),
            (r#""a"x"#, [false, false, false]),
            ("*", [false, false, false]),
            ("a", [false, false, false]),
            ("", [false, false, false]),
            (SAME, [true, true, false]),
            ("Sunday, 06-Nov-94 08:49:37 GMT", [true, true, false]),
            ("Sun Nov  6 08:49:37 1994", [true, true, false]),
            (BEFORE, [false, false, false]),
            (AFTER, [false, false, false]),
            ("Sun, 06 Nov 1994 08:49:37", [false, false, false]),
        ] {
            let lines = [("Range", "bytes=0-1"), ("If-Range", value)];
            let said = [&strong, &weak, &none].map(|current| range_applies(&lines, current, now()));
            assert_eq!(said, expected, "{value}");
        }
    }

    #[test]
    fn if_range_counts_once_and_next_to_range() {
        let file = validators(EntityTag::strong(b"a"));
        let range = ("Range", "bytes=0-1");
        for (lines, expected) in [
            (&[][..], true),
            (&[range], true),
            (&[("If-Range", r#""b""#)], true),
            (&[("If-Range", "junk")], true),
            (&[("if-range", r#""a""#), range], true),
            (&[range, ("If-Range", r#""a""#), ("If-Range", r#""a""#)], false),
        ] {
            assert_eq!(range_applies(lines, &file, now()), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_date_is_strong_once_its_second_has_passed() {
        let file = validators(None);
        let lines = [("Range", "bytes=0-1"), ("If-Range", SAME)];
        for (milliseconds, expected) in [(0, false), (999, false), (1_000, true), (1_001, true)] {
            let now = UNIX_EPOCH + CHANGED + Duration::from_millis(milliseconds);
            assert_eq!(range_applies(&lines, &file, now), expected, "{milliseconds} ms later");
        }
        // A change that lies ahead of the clock was never told the client as it is.
        let earlier = UNIX_EPOCH + CHANGED - Duration::from_secs(60);
        assert!(!range_applies(&lines, &file, earlier));
    }
}
