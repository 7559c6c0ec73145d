//! What an HTTP-date means, and how one is written: whole seconds, UTC, three spellings read and
//! one sent (RFC 9110 §5.6.7).

use std::fmt;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::grammar;

/// A moment as HTTP can say it: whole seconds, from 1970 to 9999.
///
/// Compare these rather than two `SystemTime`s: a file's time has a fraction that the client was
/// never told, and next to it every date the client sends back would look too early.
///
/// A moment outside the range becomes the nearest inside. In particular a valid date before 1970
/// is read as 1970 and not refused, because a condition with a refused date is dropped
/// (RFC 9110 §13.1.4) and the write that it was to stop would go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpDate {
    seconds: u64,
}

impl HttpDate {
    /// The first moment, `Thu, 01 Jan 1970 00:00:00 GMT`.
    pub const MIN: HttpDate = HttpDate { seconds: 0 };

    /// The last moment, `Fri, 31 Dec 9999 23:59:59 GMT`: a year has four digits.
    pub const MAX: HttpDate = HttpDate { seconds: 253_402_300_799 };

    /// Reads a date in any of the three formats; `None` when it is none of them.
    ///
    /// `value` comes without white space around it, as [`Fields`](crate::Fields) gives it. `now`
    /// says which century a two-digit year belongs to. The date and the time must exist; a leap
    /// second (23:59:60) is the first second of the next day. The name of the day must be a name,
    /// but need not be the day's: the date is complete without it, and the rule for two-digit
    /// years moves dates into years where the name no longer fits.
    pub fn parse(value: &[u8], now: SystemTime) -> Option<HttpDate> {
        imf_fixdate(value).or_else(|| rfc850_date(value, now)).or_else(|| asctime_date(value))
    }

    /// The date as IMF-fixdate, the one format that is sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn imf_fixdate(self) -> [u8; 29] {
        let mut text = [0; 29];
        // `httpdate` panics outside 1970 to 9999, where no `HttpDate` is.
        write!(&mut text[..], "{}", httpdate::HttpDate::from(SystemTime::from(self)))
            .expect("an IMF-fixdate has 29 octets");
        text
    }

    fn new(seconds: u64) -> HttpDate {
        HttpDate { seconds: seconds.min(HttpDate::MAX.seconds) }
    }

    fn year(self) -> u64 {
        grammar::digits(&self.imf_fixdate()[12..16]).unwrap_or_default()
    }
}

impl From<SystemTime> for HttpDate {
    /// The second that `time` lies in.
    fn from(time: SystemTime) -> HttpDate {
        HttpDate::new(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl From<HttpDate> for SystemTime {
    fn from(date: HttpDate) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(date.seconds)
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        httpdate::HttpDate::from(SystemTime::from(*self)).fmt(f)
    }
}

const DAY_NAMES: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const LONG_DAY_NAMES: [&[u8]; 7] =
    [b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday"];
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// `IMF-fixdate = day-name "," SP day SP month SP year SP time-of-day SP GMT`
fn imf_fixdate(value: &[u8]) -> Option<HttpDate> {
    let mut rest = Rest(value);
    rest.one_of(&DAY_NAMES)?;
    rest.literal(b", ")?;
    let day = rest.number(2)?;
    rest.literal(b" ")?;
    let month = rest.one_of(&MONTHS)?;
    rest.literal(b" ")?;
    let year = rest.number(4)?;
    rest.literal(b" ")?;
    let second = rest.time_of_day()?;
    rest.literal(b" GMT")?;
    rest.end()?;
    moment(year, month, day, second)
}

/// `rfc850-date = day-name-l "," SP day "-" month "-" 2DIGIT SP time-of-day SP GMT`
fn rfc850_date(value: &[u8], now: SystemTime) -> Option<HttpDate> {
    let mut rest = Rest(value);
    rest.one_of(&LONG_DAY_NAMES)?;
    rest.literal(b", ")?;
    let day = rest.number(2)?;
    rest.literal(b"-")?;
    let month = rest.one_of(&MONTHS)?;
    rest.literal(b"-")?;
    let two_digits = rest.number(2)?;
    rest.literal(b" ")?;
    let second = rest.time_of_day()?;
    rest.literal(b" GMT")?;
    rest.end()?;

    // RFC 9110 §5.6.7: what appears to be more than 50 years ahead lies in the past. So the year
    // is the latest with these two digits that is not: from the next century, this or the last.
    // Fifty years are calendar years: the date is too far ahead when, put 50 years earlier, it
    // is still to come.
    let now = HttpDate::from(now);
    let mut year = now.year() / 100 * 100 + 100 + two_digits;
    while seconds(year - 50, month, day, second) > now.seconds {
        year -= 100;
    }
    moment(year, month, day, second)
}

/// `asctime-date = day-name SP month SP ( 2DIGIT / ( SP 1DIGIT )) SP time-of-day SP year`
fn asctime_date(value: &[u8]) -> Option<HttpDate> {
    let mut rest = Rest(value);
    rest.one_of(&DAY_NAMES)?;
    rest.literal(b" ")?;
    let month = rest.one_of(&MONTHS)?;
    rest.literal(b" ")?;
    let day = if rest.literal(b" ").is_some() { rest.number(1)? } else { rest.number(2)? };
    rest.literal(b" ")?;
    let second = rest.time_of_day()?;
    rest.literal(b" ")?;
    let year = rest.number(4)?;
    rest.end()?;
    moment(year, month, day, second)
}

/// What is left to read of a date.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Which of `names` comes next. They are case-sensitive (RFC 9110 §5.6.7).
    fn one_of(&mut self, names: &[&[u8]]) -> Option<usize> {
        let index = names.iter().position(|name| self.0.starts_with(name))?;
        self.literal(names[index])?;
        Some(index)
    }

    /// Exactly `count` digits.
    fn number(&mut self, count: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        grammar::digits(number)
    }

    /// `time-of-day = hour ":" minute ":" second`, as the second of the day.
    fn time_of_day(&mut self) -> Option<u64> {
        let hour = self.number(2)?;
        self.literal(b":")?;
        let minute = self.number(2)?;
        self.literal(b":")?;
        let second = self.number(2)?;
        // 00:00:00 - 23:59:60: only the last minute of a day can have a leap second.
        let leap = (hour, minute, second) == (23, 59, 60);
        let exists = hour < 24 && minute < 60 && (second < 60 || leap);
        exists.then_some((hour * 60 + minute) * 60 + second)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The moment, if the month has that day. `month` counts from 0, `day` from 1.
fn moment(year: u64, month: usize, day: u64, second: u64) -> Option<HttpDate> {
    const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = LENGTHS[month] + u64::from(month == 1 && is_leap(year));
    (1..=length).contains(&day).then(|| HttpDate::new(seconds(year, month, day, second)))
}

/// Seconds since the epoch, 0 for any time before it.
fn seconds(year: u64, month: usize, day: u64, second: u64) -> u64 {
    /// Days before each month of a common year.
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    /// Days from 1 January of the year 1 to 1 January 1970.
    const EPOCH: u64 = 719_162;
    let Some(years) = year.checked_sub(1) else { return 0 };
    let days = years * 365 + years / 4 - years / 100
        + years / 400
        + BEFORE[month]
        + u64::from(month > 1 && is_leap(year))
        + day;
    match days.checked_sub(EPOCH + 1) {
        Some(days) => days * 86_400 + second,
        None => 0,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the RFC's example.
    const EXAMPLE: u64 = 784_111_777;
    /// Thu, 15 Jan 2026 12:00:00 GMT.
    const NOW: u64 = 1_768_478_400;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn parse(value: &str) -> Option<u64> {
        HttpDate::parse(value.as_bytes(), at(NOW)).map(|date| date.seconds)
    }

    /// What the date says when it is written again.
    fn rewritten(value: &str, now: SystemTime) -> String {
        HttpDate::parse(value.as_bytes(), now).map_or("invalid".into(), |date| date.to_string())
    }

    #[test]
    fn the_three_formats_say_the_same() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(EXAMPLE));
        assert_eq!(parse("Sunday, 06-Nov-94 08:49:37 GMT"), Some(EXAMPLE));
        assert_eq!(parse("Sun Nov  6 08:49:37 1994"), Some(EXAMPLE));
        assert_eq!(parse("Sun Nov 06 08:49:37 1994"), Some(EXAMPLE));
        assert_eq!(parse("Wed Nov 16 08:49:37 1994"), Some(EXAMPLE + 10 * 86_400));
    }

    #[test]
    fn dates_at_the_edges_of_the_calendar() {
        for (value, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:01 GMT", 1),
            ("Wed, 31 Dec 1969 23:59:59 GMT", 0),
            ("Mon, 01 Jan 1900 00:00:00 GMT", 0),
            ("Sat, 01 Jan 0001 00:00:00 GMT", 0),
            ("Sat, 01 Jan 0000 00:00:00 GMT", 0),
            ("Sat, 29 Feb 0000 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Fri, 31 Dec 9999 23:59:60 GMT", 253_402_300_799),
        ] {
            assert_eq!(parse(value), Some(seconds), "{value}");
        }
    }

    #[test]
    fn a_leap_second_is_the_next_day_s_first() {
        assert_eq!(parse("Sat, 31 Dec 2016 23:59:60 GMT"), Some(1_483_228_800));
        assert_eq!(parse("Saturday, 31-Dec-16 23:59:60 GMT"), Some(1_483_228_800));
        assert_eq!(parse("Sat Dec 31 23:59:60 2016"), Some(1_483_228_800));
    }

    #[test]
    fn a_wrong_name_of_the_day_is_no_reason_to_drop_a_condition() {
        assert_eq!(parse("Mon, 06 Nov 1994 08:49:37 GMT"), Some(EXAMPLE));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for value in [
            "",
            "0",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, 29 Feb 2023 08:49:37 GMT",
            "Sun, 30 Feb 2024 08:49:37 GMT",
            "Sun, 32 Jan 2024 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Nov 1994 22:59:60 GMT",
            "Sun, 06 Nov 1994 23:58:60 GMT",
            "Sun, 06 Nov 1994 23:59:61 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov -994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06 Nov 94 08:49:37 GMT",
            "Sunday, 29-Feb-23 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  0 08:49:37 1994",
            "Sun Nov   6 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov 31 08:49:37 1994",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
        assert_eq!(HttpDate::parse(b"Sun, 06 Nov 1994 08:49:37 \xff\xff\xff", at(NOW)), None);
    }

    #[test]
    fn every_cut_of_a_date_is_refused() {
        for whole in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            for end in 0..whole.len() {
                assert_eq!(parse(&whole[..end]), None, "{}", &whole[..end]);
            }
        }
    }

    #[test]
    fn two_digits_are_the_latest_year_at_most_fifty_ahead() {
        for (now, value, expected) in [
            (NOW, "15-Jan-26 12:00:00", "Thu, 15 Jan 2026 12:00:00 GMT"),
            (NOW, "01-Jan-00 00:00:00", "Sat, 01 Jan 2000 00:00:00 GMT"),
            (NOW, "15-Jan-76 12:00:00", "Wed, 15 Jan 2076 12:00:00 GMT"),
            (NOW, "15-Jan-76 12:00:01", "Thu, 15 Jan 1976 12:00:01 GMT"),
            (NOW, "16-Jan-76 00:00:00", "Fri, 16 Jan 1976 00:00:00 GMT"),
            (NOW, "01-Jan-77 00:00:00", "Sat, 01 Jan 1977 00:00:00 GMT"),
            (NOW, "31-Dec-99 23:59:59", "Fri, 31 Dec 1999 23:59:59 GMT"),
            (NOW, "29-Feb-00 00:00:00", "Tue, 29 Feb 2000 00:00:00 GMT"),
            // 1 Jan 2095: 06 is eleven years ahead, 45 fifty, 46 forty-nine back.
            (3_944_678_400, "01-Jan-06 00:00:00", "Fri, 01 Jan 2106 00:00:00 GMT"),
            (3_944_678_400, "01-Jan-45 00:00:00", "Fri, 01 Jan 2145 00:00:00 GMT"),
            (3_944_678_400, "01-Jan-46 00:00:00", "Mon, 01 Jan 2046 00:00:00 GMT"),
            // 2100 has no 29 February, though 2000 had one.
            (3_944_678_400, "29-Feb-00 00:00:00", "invalid"),
            // A clock that was never set.
            (0, "01-Jan-20 00:00:00", "Wed, 01 Jan 2020 00:00:00 GMT"),
            (0, "01-Jan-21 00:00:00", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let value = format!("Monday, {value} GMT");
            assert_eq!(rewritten(&value, at(now)), expected, "{value} read at {now}");
        }
    }

    #[test]
    fn a_two_digit_year_is_read_under_any_clock() {
        let value = "Monday, 31-Dec-99 23:59:59 GMT";
        assert_eq!(
            rewritten(value, at(HttpDate::MAX.seconds + 1)),
            "Fri, 31 Dec 9999 23:59:59 GMT"
        );
        let before = UNIX_EPOCH - Duration::from_secs(9);
        assert_eq!(rewritten(value, before), "Fri, 31 Dec 1999 23:59:59 GMT");
    }

    #[test]
    fn a_moment_is_cut_to_its_second_and_to_the_range() {
        let from = |time: SystemTime| HttpDate::from(time).seconds;
        assert_eq!(from(UNIX_EPOCH), 0);
        assert_eq!(from(UNIX_EPOCH + Duration::from_millis(1_999)), 1);
        assert_eq!(from(UNIX_EPOCH - Duration::from_millis(1)), 0);
        assert_eq!(from(UNIX_EPOCH - Duration::from_secs(86_400)), 0);
        assert_eq!(from(at(253_402_300_799)), 253_402_300_799);
        assert_eq!(from(at(253_402_300_800)), 253_402_300_799);
        assert_eq!(SystemTime::from(HttpDate::from(at(EXAMPLE))), at(EXAMPLE));
    }

    #[test]
    fn what_is_written_is_imf_fixdate_and_reads_back() {
        let example = HttpDate::from(at(EXAMPLE));
        assert_eq!(&example.imf_fixdate(), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(example.to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&HttpDate::MIN.imf_fixdate(), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&HttpDate::MAX.imf_fixdate(), b"Fri, 31 Dec 9999 23:59:59 GMT");
        // A step that is prime meets every month, leap years and odd times of day.
        for seconds in (0..=HttpDate::MAX.seconds).step_by(7_654_321) {
            let text = HttpDate::from(at(seconds)).imf_fixdate();
            assert_eq!(HttpDate::parse(&text, at(NOW)).map(|date| date.seconds), Some(seconds));
        }
    }
}
