//! Dates: what is read is the moment that a calendar says, and is read again as it is written.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_proto::HttpDate;

/// `data` is the value of a date field; its first octets are a moment as well.
pub fn check(data: &[u8]) {
    // 1970, 15 January 2026, 1 January 2095, and where four digits end.
    for now in [0, 1_768_478_400, 3_944_678_400, MAX, MAX + 1] {
        let parsed = HttpDate::parse(data, at(now));
        let expected = expected(data, now);
        assert_eq!(parsed.map(seconds), expected, "at {now}");
        if let Some(date) = parsed {
            check_written(date, now);
        }
    }
    if let Some(first) = data.first_chunk() {
        check_moment(u64::from_le_bytes(*first));
    }
}

/// Fri, 31 Dec 9999 23:59:59 GMT.
const MAX: u64 = 253_402_300_799;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn seconds(date: HttpDate) -> u64 {
    let since = SystemTime::from(date).duration_since(UNIX_EPOCH);
    since.expect("no date is before 1970").as_secs()
}

/// A date is within its bounds, and reads back as what it is under any clock.
fn check_written(date: HttpDate, now: u64) {
    assert!((HttpDate::MIN..=HttpDate::MAX).contains(&date));
    let text = date.imf_fixdate();
    assert_eq!(text, date.to_string().as_bytes());
    assert_eq!(HttpDate::parse(&text, at(now)), Some(date));
    assert_eq!(HttpDate::from(SystemTime::from(date)), date);
}

/// Any moment becomes the nearest one that can be said.
fn check_moment(any: u64) {
    for (sought, moment) in [
        (any.min(MAX), UNIX_EPOCH.checked_add(Duration::from_secs(any))),
        (any % MAX, Some(at(any % MAX) + Duration::from_nanos(any % 1_000_000_000))),
        (0, UNIX_EPOCH.checked_sub(Duration::from_nanos(any))),
    ] {
        let Some(moment) = moment else { continue };
        let date = HttpDate::from(moment);
        assert_eq!(seconds(date), sought);
        check_written(date, 0);
    }
}

/// What the value means, with the days counted one year after the other.
fn expected(value: &[u8], now: u64) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let words: Vec<&str> = text.split(' ').collect();
    let (day_name, names, day, month, year, time) = match words[..] {
        [day_name, day, month, year, time, "GMT"] => {
            let day_name = day_name.strip_suffix(',')?;
            (day_name, &SHORT, two(day)?, month, four(year)?, time)
        }
        [day_name, date, time, "GMT"] => {
            let [day, month, year] = date.split('-').collect::<Vec<_>>().try_into().ok()?;
            let (day, two_digits) = (two(day)?, two(year)?);
            let year = century(two_digits, day, month, time, now)?;
            (day_name.strip_suffix(',')?, &LONG, day, month, year, time)
        }
        [day_name, month, "", day, time, year] if day.len() == 1 => {
            (day_name, &SHORT, number(day)?, month, four(year)?, time)
        }
        [day_name, month, day, time, year] => {
            (day_name, &SHORT, two(day)?, month, four(year)?, time)
        }
        _ => return None,
    };
    let (month, second) = (month_of(month)?, time_of(time)?);
    if !names.contains(&day_name) || !(1..=days(year, month)).contains(&day) {
        return None;
    }
    let seconds = u64::try_from(moment(year, month, day, second)).unwrap_or(0);
    Some(seconds.min(MAX))
}

const SHORT: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn two(digits: &str) -> Option<i64> {
    number(digits).filter(|_| digits.len() == 2)
}

fn four(digits: &str) -> Option<i64> {
    number(digits).filter(|_| digits.len() == 4)
}

fn month_of(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (1..).zip(NAMES).find(|(_, each)| *each == name).map(|(month, _)| month)
}

/// `hh:mm:ss` as a second of the day, of which 23:59:60 is the first of the next.
fn time_of(text: &str) -> Option<i64> {
    let [hour, minute, second] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (hour, minute, second) = (two(hour)?, two(minute)?, two(second)?);
    let exists = hour < 24 && minute < 60 && second < 60 || text == "23:59:60";
    exists.then_some(hour * 3600 + minute * 60 + second)
}

/// The year that two digits mean: the first one that is not more than fifty years ahead, counting
/// down (RFC 9110 §5.6.7).
fn century(digits: i64, day: i64, month: &str, time: &str, now: u64) -> Option<i64> {
    let (month, second) = (month_of(month)?, time_of(time)?);
    let now = i64::try_from(now.min(MAX)).ok()?;
    let is_ahead = |year: i64| moment(year - 50, month, day, second) > now;
    (50..YEARS).rev().find(|year| year % 100 == digits && !is_ahead(*year))
}

/// Seconds since 1970, which are negative before.
fn moment(year: i64, month: i64, day: i64, second: i64) -> i64 {
    let start = |year: i64| STARTS[usize::try_from(year).expect("no year is before 0")];
    let months: i64 = (1..month).map(|month| days(year, month)).sum();
    (start(year) - start(1970) + months + day - 1) * 86_400 + second
}

/// Years from 0 that can be met: the last century with four digits, and one more.
const YEARS: i64 = 10_100;

/// The first day of each of them, in days since the first of the year 0.
static STARTS: LazyLock<Vec<i64>> = LazyLock::new(|| {
    let mut starts = vec![0];
    for year in 0..YEARS {
        let days_of_year: i64 = (1..=12).map(|month| days(year, month)).sum();
        starts.extend(starts.last().map(|start| start + days_of_year));
    }
    starts
});

fn days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
