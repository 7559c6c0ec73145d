//! Dates of log lines, in UTC, written once per second and remembered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::format::decimal;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last second of the year 9999: a clock beyond it is broken, and years stay four digits.
const LAST_SECOND: u64 = 253_402_300_799;

/// A second of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    year: u64,
    /// From 0.
    month: usize,
    /// From 1.
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// The text of the last second asked for. One memo serves one notation.
#[derive(Default)]
pub(super) struct DateMemo {
    second: Option<u64>,
    text: Vec<u8>,
}

impl DateMemo {
    /// The text of the second that `since_epoch` lies in, which `write` gives in full.
    pub(super) fn text(
        &mut self,
        since_epoch: Duration,
        write: fn(Calendar, &mut Vec<u8>),
    ) -> &[u8] {
        let second = since_epoch.as_secs().min(LAST_SECOND);
        if self.second != Some(second) {
            self.text.clear();
            write(Calendar::of(second), &mut self.text);
            self.second = Some(second);
        }
        &self.text
    }
}

/// The time since 1970; none at all for a clock that is earlier, and therefore wrong.
pub(super) fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `22/Nov/2026:18:13:46 +0000`
pub(super) fn apache(at: Calendar, out: &mut Vec<u8>) {
    two_digits(out, at.day);
    out.push(b'/');
    out.extend_from_slice(MONTHS[at.month].as_bytes());
    out.push(b'/');
    four_digits(out, at.year);
    out.push(b':');
    time_of_day(at, out);
    out.extend_from_slice(b" +0000");
}

/// `2026-11-22 18:13:46`
pub(super) fn plain(at: Calendar, out: &mut Vec<u8>) {
    day(at, out);
    out.push(b' ');
    time_of_day(at, out);
}

/// `2026-11-22T18:13:46`, to which the caller adds the fraction and the zone (RFC 3339 §5.6).
pub(super) fn rfc3339(at: Calendar, out: &mut Vec<u8>) {
    day(at, out);
    out.push(b'T');
    time_of_day(at, out);
}

/// `.123`
pub(super) fn milliseconds(since_epoch: Duration, out: &mut Vec<u8>) {
    let milliseconds = u64::from(since_epoch.subsec_millis());
    out.extend_from_slice(&[b'.', digit(milliseconds / 100)]);
    two_digits(out, milliseconds % 100);
}

fn day(at: Calendar, out: &mut Vec<u8>) {
    four_digits(out, at.year);
    out.push(b'-');
    two_digits(out, at.month as u64 + 1);
    out.push(b'-');
    two_digits(out, at.day);
}

fn time_of_day(at: Calendar, out: &mut Vec<u8>) {
    two_digits(out, at.hour);
    out.push(b':');
    two_digits(out, at.minute);
    out.push(b':');
    two_digits(out, at.second);
}

fn four_digits(out: &mut Vec<u8>, number: u64) {
    // From 1970 to 9999: four digits by themselves.
    decimal(out, number);
}

fn two_digits(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}

fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

impl Calendar {
    /// Counts years and months off one by one: it is done once a second, and easy to believe.
    fn of(second: u64) -> Calendar {
        let (mut days, rest) = (second / 86_400, second % 86_400);
        let mut year = 1970;
        while days >= days_in_year(year) {
            days -= days_in_year(year);
            year += 1;
        }
        let mut month = 0;
        while days >= days_in_month(year, month) {
            days -= days_in_month(year, month);
            month += 1;
        }
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        Calendar { year, month, day: days + 1, hour, minute, second }
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: u64, month: usize) -> u64 {
    match month {
        1 if is_leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_their_dates() {
        for (second, expected) in [
            (0, "1970-01-01 00:00:00"),
            (86_399, "1970-01-01 23:59:59"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_709_164_800, "2024-02-29 00:00:00"),
            (1_795_371_226, "2026-11-22 18:13:46"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (LAST_SECOND, "9999-12-31 23:59:59"),
            (u64::MAX, "9999-12-31 23:59:59"),
        ] {
            let mut memo = DateMemo::default();
            let text = memo.text(Duration::from_secs(second), plain);
            assert_eq!(String::from_utf8_lossy(text), expected, "{second}");
        }
    }

    #[test]
    fn the_memo_forgets_when_the_second_changes() {
        let mut memo = DateMemo::default();
        for (milliseconds, expected) in [
            (5, "01/Jan/1970:00:00:00 +0000"),
            (999, "01/Jan/1970:00:00:00 +0000"),
            (1000, "01/Jan/1970:00:00:01 +0000"),
            (0, "01/Jan/1970:00:00:00 +0000"),
        ] {
            let text = memo.text(Duration::from_millis(milliseconds), apache);
            assert_eq!(String::from_utf8_lossy(text), expected);
        }
    }

    #[test]
    fn a_clock_before_1970_is_taken_for_1970() {
        assert_eq!(since_epoch(UNIX_EPOCH - Duration::from_secs(1)), Duration::ZERO);
    }
}
