//! Ranges: within the length, in the order asked, apart from each other, and those that were meant.

use std::ops::Range;

use http_proto::RangeRequest;
use http_proto::range::{content_range, resolve, unsatisfied};

/// More ranges than this are compared with nothing: the comparison takes the square of it.
const RANGES_MAX: usize = 64;

/// `data` is the value of a Range field.
pub fn check(data: &[u8]) {
    for len in [0, 1, 10, 1234, 1 << 40, u64::MAX] {
        for ranges_max in [0, 1, 2, 16, RANGES_MAX] {
            let request = resolve(data, len, ranges_max);
            check_sense(&request, len, ranges_max);
            assert_eq!(request, expected(data, len, ranges_max), "of {len}, at most {ranges_max}");
        }
        check_sense(&resolve(data, len, usize::MAX), len, usize::MAX);
    }
}

/// What the documentation of the variants promises.
fn check_sense(request: &RangeRequest, len: u64, ranges_max: usize) {
    match request {
        RangeRequest::Whole => {}
        RangeRequest::Unsatisfiable => assert_eq!(unsatisfied(len), format!("bytes */{len}")),
        RangeRequest::Single(range) => check_part(range, len),
        RangeRequest::Many(ranges) => {
            assert!((2..=ranges_max).contains(&ranges.len()), "{} ranges", ranges.len());
            for range in ranges {
                check_part(range, len);
            }
            let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            assert!(total <= len, "parts that do not overlap are no longer than the whole");
        }
    }
}

fn check_part(range: &Range<u64>, len: u64) {
    assert!(range.start < range.end && range.end <= len, "{range:?} of {len}");
    let last = range.end - 1;
    assert_eq!(content_range(range, len), format!("bytes {}-{last}/{len}", range.start));
}

/// The same judgement, reached by comparing every range with every other.
fn expected(value: &[u8], len: u64, ranges_max: usize) -> RangeRequest {
    let Some(specs) = specs(value) else { return RangeRequest::Whole };
    if specs.is_empty() || specs.len() > ranges_max {
        return RangeRequest::Whole;
    }
    let ranges: Vec<Range<u64>> = specs.iter().filter_map(|spec| spec.part_of(len)).collect();
    // Content-Range cannot say "nothing of nothing".
    let suffix_of_nothing = len == 0 && specs.iter().any(|spec| spec.asks_for_some_suffix());
    let overlap =
        |i: usize, j: usize| ranges[i].start < ranges[j].end && ranges[j].start < ranges[i].end;
    let apart = (0..ranges.len()).all(|j| (0..j).all(|i| !overlap(i, j)));
    match ranges.len() {
        _ if suffix_of_nothing || !apart => RangeRequest::Whole,
        0 => RangeRequest::Unsatisfiable,
        1 => RangeRequest::Single(ranges[0].clone()),
        _ => RangeRequest::Many(ranges),
    }
}

/// `( first "-" [ last ] ) / ( "-" suffix )`
struct Spec {
    first: Option<u128>,
    last: Option<u128>,
}

/// The range-specs of `bytes=...`; `None` where the grammar of RFC 9110 §14.1.2 has no such value.
fn specs(value: &[u8]) -> Option<Vec<Spec>> {
    let text = std::str::from_utf8(value).ok()?;
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let elements = set.split(',').map(|element| element.trim_matches([' ', '\t']));
    elements.filter(|element| !element.is_empty()).map(spec).collect()
}

fn spec(text: &str) -> Option<Spec> {
    let (first, last) = text.split_once('-')?;
    let number = |digits: &str| match digits {
        "" => Some(None),
        _ if digits.bytes().all(|b| b.is_ascii_digit()) => Some(Some(capped(digits))),
        _ => None,
    };
    let spec = Spec { first: number(first)?, last: number(last)? };
    match (spec.first, spec.last) {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        _ => Some(spec),
    }
}

/// The number; one that is longer than any length is `u64::MAX`, as documented.
fn capped(digits: &str) -> u128 {
    let most = u128::from(u64::MAX);
    match digits.trim_start_matches('0') {
        "" => 0,
        digits if digits.len() > 20 => most,
        digits => digits.parse().map_or(most, |number: u128| number.min(most)),
    }
}

impl Spec {
    /// The bytes of a representation of `len` that are meant, unless there are none.
    fn part_of(&self, len: u64) -> Option<Range<u64>> {
        let wide = u128::from(len);
        let (start, end) = match (self.first, self.last) {
            (Some(first), None) => (first, wide),
            (Some(first), Some(last)) => (first, wide.min(last + 1)),
            (None, Some(suffix)) => (wide.saturating_sub(suffix), wide),
            (None, None) => return None,
        };
        let narrow = |n: u128| u64::try_from(n).ok();
        (start < end).then_some(narrow(start)?..narrow(end)?)
    }

    fn asks_for_some_suffix(&self) -> bool {
        self.first.is_none() && self.last.is_some_and(|suffix| suffix > 0)
    }
}
