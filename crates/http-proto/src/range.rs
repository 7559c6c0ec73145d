//! Decides which bytes of a representation a Range field asks for.
//!
//! Every doubt ends in the whole representation, which is always a right answer: a server may
//! ignore Range (RFC 9110 §14.2). Only ranges that are understood and all lie beyond the end are
//! told so.

use std::ops::Range;

use crate::grammar;

/// What a Range field asks of a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// The field is to be ignored: 200 with everything.
    Whole,
    /// One part, never empty: 206 with Content-Range (RFC 9110 §15.3.7.1).
    Single(Range<u64>),
    /// Two parts or more, none empty, none overlapping, in the order asked: 206 as
    /// multipart/byteranges (RFC 9110 §15.3.7.2).
    Many(Vec<Range<u64>>),
    /// All parts lie beyond the end: 416 with [`unsatisfied`] (RFC 9110 §15.5.17).
    Unsatisfiable,
}

/// Reads the Range field value of a GET against a representation of `len` bytes.
///
/// For the caller to see to: Range means something on GET only, after the preconditions and
/// [`if_range`](crate::precondition::if_range), and a repeated Range field is invalid
/// ([`Fields::single`](crate::Fields::single)).
///
/// - An unknown unit must be ignored (RFC 9110 §14.2), anything off the grammar may be, a
///   range-spec whose last position is before its first included (§14.1.1): `Whole`.
/// - So may a costly set (§14.2, §17.15): more than `ranges_max` range-specs, or two that
///   overlap. Ranges that do not overlap are together no longer than the representation.
/// - Unsatisfiable range-specs next to satisfiable ones are left out.
/// - A number beyond `u64` means `u64::MAX`, which is beyond the end like itself (§14.1.2).
/// - Of nothing, only a suffix can be had (§14.1.2), but Content-Range cannot say "no bytes": for
///   `len` 0 a non-zero suffix is `Whole`, which is empty, and anything else `Unsatisfiable`.
///
/// Time grows with the length of `value`; memory is allocated for two ranges or more, and for no
/// more than `ranges_max`.
pub fn resolve(value: &[u8], len: u64, ranges_max: usize) -> RangeRequest {
    let Some(specs) = byte_range_set(value) else { return RangeRequest::Whole };
    let mut request = RangeRequest::Unsatisfiable;
    let mut count = 0;
    for spec in specs.split(|&b| b == b',').map(grammar::trim_ows) {
        // RFC 9110 §5.6.1.2: empty elements are ignored and not counted.
        if spec.is_empty() {
            continue;
        }
        count += 1;
        let Some(spec) = Spec::parse(spec) else { return RangeRequest::Whole };
        if count > ranges_max {
            return RangeRequest::Whole;
        }
        if let Some(range) = spec.within(len) {
            request = request.and(range);
        }
    }
    let nothing_asked = count == 0;
    let empty = len == 0 && request != RangeRequest::Unsatisfiable;
    if nothing_asked || empty || request.overlaps() { RangeRequest::Whole } else { request }
}

/// The Content-Range value of a part (RFC 9110 §14.4): `bytes 0-499/1234`.
///
/// `range` is not empty and within `len`, as [`resolve`] gives it.
pub fn content_range(range: &Range<u64>, len: u64) -> String {
    debug_assert!(range.start < range.end && range.end <= len, "a part has bytes, and all exist");
    format!("bytes {}-{}/{len}", range.start, range.end.saturating_sub(1))
}

/// The Content-Range value of a 416 (RFC 9110 §14.4): `bytes */1234`.
pub fn unsatisfied(len: u64) -> String {
    format!("bytes */{len}")
}

impl RangeRequest {
    fn and(self, range: Range<u64>) -> RangeRequest {
        match self {
            RangeRequest::Whole => RangeRequest::Whole,
            RangeRequest::Unsatisfiable => RangeRequest::Single(range),
            RangeRequest::Single(first) => RangeRequest::Many(vec![first, range]),
            RangeRequest::Many(mut ranges) => {
                ranges.push(range);
                RangeRequest::Many(ranges)
            }
        }
    }

    fn overlaps(&self) -> bool {
        let RangeRequest::Many(ranges) = self else { return false };
        let mut sorted = ranges.clone();
        sorted.sort_unstable_by_key(|range| range.start);
        sorted.windows(2).any(|pair| pair[1].start < pair[0].end)
    }
}

/// `"bytes" "=" range-set`: the range-set. The unit has no case (RFC 9110 §14.1).
fn byte_range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, rest) = value.split_at_checked(5)?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(rest)?.strip_prefix(b"=")
}

/// One range-spec of the unit bytes (RFC 9110 §14.1.2).
enum Spec {
    /// `int-range = first-pos "-" [ last-pos ]`; without last-pos, to the end.
    Positions { first: u64, last: u64 },
    /// `suffix-range = "-" suffix-length`
    Suffix { length: u64 },
}

impl Spec {
    fn parse(spec: &[u8]) -> Option<Spec> {
        let dash = spec.iter().position(|&b| b == b'-')?;
        let (before, after) = (&spec[..dash], &spec[dash + 1..]);
        if before.is_empty() {
            return Some(Spec::Suffix { length: saturating_digits(after)? });
        }
        let first = saturating_digits(before)?;
        let last = if after.is_empty() { u64::MAX } else { saturating_digits(after)? };
        (first <= last).then_some(Spec::Positions { first, last })
    }

    /// The bytes meant, cut at the end; `None` when the spec is unsatisfiable.
    fn within(&self, len: u64) -> Option<Range<u64>> {
        match *self {
            Spec::Positions { first, last } => {
                (first < len).then(|| first..last.saturating_add(1).min(len))
            }
            Spec::Suffix { length: 0 } => None,
            Spec::Suffix { length } => Some(len.saturating_sub(length)..len),
        }
    }
}

/// `1*DIGIT` as a number, `u64::MAX` when it does not fit; `None` when it is something else.
fn saturating_digits(bytes: &[u8]) -> Option<u64> {
    let numeric = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    numeric.then(|| grammar::digits(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `value` comes to, in words: `whole`, `none`, or the ranges as `start..end`.
    fn resolved(value: &str, len: u64, ranges_max: usize) -> String {
        let shown = |range: &Range<u64>| format!("{}..{}", range.start, range.end);
        match resolve(value.as_bytes(), len, ranges_max) {
            RangeRequest::Whole => "whole".into(),
            RangeRequest::Unsatisfiable => "none".into(),
            RangeRequest::Single(range) => shown(&range),
            RangeRequest::Many(ranges) => ranges.iter().map(shown).collect::<Vec<_>>().join(" "),
        }
    }

    /// Rows of a value, a length, and what they come to; at most four ranges.
    fn check(rows: &[(&str, u64, &str)]) {
        for &(value, len, expected) in rows {
            assert_eq!(resolved(value, len, 4), expected, "{value} of {len}");
        }
    }

    #[test]
    fn the_examples_of_14_1_2() {
        check(&[
            ("bytes=0-499", 10_000, "0..500"),
            ("bytes=500-999", 10_000, "500..1000"),
            ("bytes=-500", 10_000, "9500..10000"),
            ("bytes=9500-", 10_000, "9500..10000"),
            ("bytes=0-0,-1", 10_000, "0..1 9999..10000"),
            ("bytes= 0-999, 4500-5499, -1000", 10_000, "0..1000 4500..5500 9000..10000"),
            ("bytes=500-600,601-999", 10_000, "500..601 601..1000"),
            ("bytes=500-700,601-999", 10_000, "whole"),
        ]);
    }

    #[test]
    fn one_range_is_cut_at_the_end() {
        check(&[
            ("bytes=0-", 10, "0..10"),
            ("bytes=0-0", 10, "0..1"),
            ("bytes=0-0", 1, "0..1"),
            ("bytes=0-8", 10, "0..9"),
            ("bytes=0-9", 10, "0..10"),
            ("bytes=0-10", 10, "0..10"),
            ("bytes=9-", 10, "9..10"),
            ("bytes=9-9", 10, "9..10"),
            ("bytes=9-99", 10, "9..10"),
            ("bytes=-1", 10, "9..10"),
            ("bytes=-9", 10, "1..10"),
            ("bytes=-10", 10, "0..10"),
            ("bytes=-11", 10, "0..10"),
            ("bytes=-1", 1, "0..1"),
            ("bytes=007-0008", 10, "7..9"),
            ("bytes=-003", 10, "7..10"),
        ]);
    }

    #[test]
    fn what_lies_beyond_the_end_is_unsatisfiable() {
        check(&[
            ("bytes=10-", 10, "none"),
            ("bytes=10-10", 10, "none"),
            ("bytes=11-20", 10, "none"),
            ("bytes=1-", 1, "none"),
            ("bytes=-0", 10, "none"),
            ("bytes=-000", 10, "none"),
            ("bytes=10-,-0,99-100", 10, "none"),
        ]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_beyond_the_end() {
        check(&[
            ("bytes=18446744073709551615-", 10, "none"),
            ("bytes=18446744073709551616-", 10, "none"),
            ("bytes=99999999999999999999999-99999999999999999999999", 10, "none"),
            ("bytes=0-18446744073709551614", 10, "0..10"),
            ("bytes=0-18446744073709551615", 10, "0..10"),
            ("bytes=0-18446744073709551616", 10, "0..10"),
            ("bytes=9-99999999999999999999999", 10, "9..10"),
            ("bytes=-18446744073709551615", 10, "0..10"),
            ("bytes=-18446744073709551616", 10, "0..10"),
            ("bytes=-99999999999999999999999", 10, "0..10"),
            ("bytes=99999999999999999999999-9", 10, "whole"),
            ("bytes=0-18446744073709551615", u64::MAX, "0..18446744073709551615"),
            ("bytes=18446744073709551614-", u64::MAX, "18446744073709551614..18446744073709551615"),
            ("bytes=18446744073709551615-", u64::MAX, "none"),
            ("bytes=-1", u64::MAX, "18446744073709551614..18446744073709551615"),
        ]);
    }

    #[test]
    fn of_nothing_only_a_suffix_can_be_had_and_it_is_the_whole() {
        check(&[
            ("bytes=-1", 0, "whole"),
            ("bytes=-99999999999999999999999", 0, "whole"),
            ("bytes=-1,-2", 0, "whole"),
            ("bytes=0-,-1", 0, "whole"),
            ("bytes=-0", 0, "none"),
            ("bytes=0-", 0, "none"),
            ("bytes=0-0", 0, "none"),
            ("bytes=0-0,1-1", 0, "none"),
            ("bytes=x", 0, "whole"),
        ]);
    }

    #[test]
    fn unknown_units_and_bad_syntax_are_ignored() {
        check(&[
            ("", 10, "whole"),
            ("bytes", 10, "whole"),
            ("bytes=", 10, "whole"),
            ("bytes= ", 10, "whole"),
            ("bytes=,", 10, "whole"),
            ("bytes=, ,", 10, "whole"),
            ("bytes=-", 10, "whole"),
            ("bytes=--1", 10, "whole"),
            ("bytes=-1-", 10, "whole"),
            ("bytes=1", 10, "whole"),
            ("bytes=1-2-3", 10, "whole"),
            ("bytes=a-b", 10, "whole"),
            ("bytes=1-b", 10, "whole"),
            ("bytes=a-1", 10, "whole"),
            ("bytes=+1-2", 10, "whole"),
            ("bytes=1-+2", 10, "whole"),
            ("bytes=0x1-2", 10, "whole"),
            ("bytes=1 -2", 10, "whole"),
            ("bytes=1- 2", 10, "whole"),
            ("bytes=- 2", 10, "whole"),
            ("bytes=1-2 3-4", 10, "whole"),
            ("bytes=1-2;3-4", 10, "whole"),
            ("bytes=\"1-2\"", 10, "whole"),
            ("bytes=*", 10, "whole"),
            ("bytes=2-1", 10, "whole"),
            ("bytes=99-98", 10, "whole"),
            ("bytes=0-0,x", 10, "whole"),
            ("bytes=x,0-0", 10, "whole"),
            ("bytes=0-0,3-2", 10, "whole"),
            ("bytes=99-,x", 10, "whole"),
            ("bytes =0-1", 10, "whole"),
            ("bytes 0-1", 10, "whole"),
            ("bytes 0-1/10", 10, "whole"),
            ("bytes:0-1", 10, "whole"),
            ("=0-1", 10, "whole"),
            ("0-1", 10, "whole"),
            ("byte=0-1", 10, "whole"),
            ("bytess=0-1", 10, "whole"),
            ("items=0-1", 10, "whole"),
            ("none=0-1", 10, "whole"),
            ("lines=99-", 10, "whole"),
        ]);
        assert_eq!(resolve(b"bytes=\xb2-\xff", 10, 4), RangeRequest::Whole);
    }

    #[test]
    fn the_unit_has_no_case_and_the_list_is_tolerant() {
        check(&[
            ("BYTES=0-1", 10, "0..2"),
            ("Bytes=-1", 10, "9..10"),
            ("bytes=\t0-1 ", 10, "0..2"),
            ("bytes=0-1,", 10, "0..2"),
            ("bytes=,0-1", 10, "0..2"),
            ("bytes=,, 0-1 ,\t,4-5,,", 10, "0..2 4..6"),
        ]);
    }

    #[test]
    fn several_ranges_keep_the_order_asked() {
        check(&[
            ("bytes=0-1,4-5", 10, "0..2 4..6"),
            ("bytes=4-5,0-1", 10, "4..6 0..2"),
            ("bytes=-1,0-0,5-5", 10, "9..10 0..1 5..6"),
            ("bytes=0-4,5-9", 10, "0..5 5..10"),
            ("bytes=5-,0-4", 10, "5..10 0..5"),
        ]);
    }

    #[test]
    fn unsatisfiable_ranges_among_others_are_left_out() {
        check(&[
            ("bytes=0-1,10-", 10, "0..2"),
            ("bytes=10-,0-1", 10, "0..2"),
            ("bytes=-0,0-1,-0", 10, "0..2"),
            ("bytes=0-1,99-,4-5", 10, "0..2 4..6"),
        ]);
    }

    #[test]
    fn any_two_that_overlap_are_the_whole() {
        check(&[
            ("bytes=0-1,1-2", 10, "whole"),
            ("bytes=1-2,0-1", 10, "whole"),
            ("bytes=0-0,0-0", 10, "whole"),
            ("bytes=0-9,3-4", 10, "whole"),
            ("bytes=3-4,0-9", 10, "whole"),
            ("bytes=0-,-1", 10, "whole"),
            ("bytes=0-5,-5", 10, "whole"),
            ("bytes=0-4,-5", 10, "0..5 5..10"),
            ("bytes=0-1,4-5,8-9,5-6", 10, "whole"),
            ("bytes=8-9,0-1,4-5,1-2", 10, "whole"),
            ("bytes=-20,-30", 10, "whole"),
        ]);
    }

    #[test]
    fn more_ranges_than_allowed_are_the_whole() {
        check(&[
            ("bytes=0-0,2-2,4-4,6-6", 10, "0..1 2..3 4..5 6..7"),
            ("bytes=0-0,2-2,4-4,6-6,8-8", 10, "whole"),
            // Empty elements are not counted, unsatisfiable ranges are.
            ("bytes=0-0,,,,,,2-2,", 10, "0..1 2..3"),
            ("bytes=0-0,20-,21-,22-,23-", 10, "whole"),
            ("bytes=20-,21-,22-,23-,24-", 10, "whole"),
        ]);
        assert_eq!(resolved("bytes=0-0", 10, 1), "0..1");
        assert_eq!(resolved("bytes=0-0,2-2", 10, 1), "whole");
        assert_eq!(resolved("bytes=0-0", 10, 0), "whole");
        assert_eq!(resolved("bytes=99-", 10, 0), "whole");
    }

    #[test]
    fn a_hostile_value_costs_no_more_than_its_length() {
        let many = format!("bytes={}", "0-,".repeat(100_000));
        assert_eq!(resolved(&many, 10, 16), "whole");
        assert_eq!(resolved(&many, 10, usize::MAX), "whole");
        let apart: String = (0..50_000).rev().map(|n| format!("{}-{},", n * 2, n * 2)).collect();
        let RangeRequest::Many(ranges) =
            resolve(format!("bytes={apart}").as_bytes(), 100_000, usize::MAX)
        else {
            panic!("ranges that do not touch are served")
        };
        assert_eq!((ranges.len(), ranges[0].clone()), (50_000, 99_998..99_999));
        assert_eq!(resolved(&format!("bytes={}", ",".repeat(100_000)), 10, 4), "whole");
        assert_eq!(resolved(&format!("bytes=0-{}", "9".repeat(100_000)), 10, 4), "0..10");
    }

    #[test]
    fn content_range_names_the_last_byte_and_the_length() {
        assert_eq!(content_range(&(0..500), 1234), "bytes 0-499/1234");
        assert_eq!(content_range(&(734..1234), 1234), "bytes 734-1233/1234");
        assert_eq!(content_range(&(0..1), 1), "bytes 0-0/1");
        let last = u64::MAX - 1;
        assert_eq!(
            content_range(&(last..u64::MAX), u64::MAX),
            format!("bytes {last}-{last}/{}", u64::MAX)
        );
        assert_eq!(unsatisfied(1234), "bytes */1234");
        assert_eq!(unsatisfied(0), "bytes */0");
    }
}
