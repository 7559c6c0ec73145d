//! Shows a moment as date and time of day in UTC, as RFC 3339 writes them.

use std::fmt;
use std::time::SystemTime;

use http_proto::HttpDate;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A moment as HTTP can say it, from 1970 to 9999. `{}` shows it as `2026-11-22 18:13:46`, `{:#}`
/// as `2026-11-22T18:13:46Z`.
///
/// The calendar is that of IMF-fixdate, whose parts stand at fixed places
/// (`Sun, 06 Nov 1994 08:49:37 GMT`, RFC 9110 §5.6.7) and are only put in another order here.
pub(crate) struct Timestamp([u8; 29]);

impl Timestamp {
    /// A moment outside the range becomes the nearest inside.
    pub(crate) fn new(time: SystemTime) -> Timestamp {
        Timestamp(HttpDate::from(time).imf_fixdate())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
        let month = MONTHS.iter().position(|name| **name == self.0[8..11]).unwrap_or_default() + 1;
        let (day, year, clock) =
            (text(&self.0[5..7]), text(&self.0[12..16]), text(&self.0[17..25]));
        let (between, zone) = if f.alternate() { ("T", "Z") } else { (" ", "") };
        write!(f, "{year}-{month:02}-{day}{between}{clock}{zone}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn moments_of_the_calendar() {
        let table = [
            (0, "1970-01-01 00:00:00"),
            (784_111_777, "1994-11-06 08:49:37"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_735_689_599, "2024-12-31 23:59:59"),
            (253_402_300_799, "9999-12-31 23:59:59"),
            (253_402_300_800, "9999-12-31 23:59:59"),
        ];
        for (seconds, expected) in table {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(Timestamp::new(time).to_string(), expected);
        }
        let before = Timestamp::new(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(format!("{before:#}"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn every_month_has_its_number() {
        for month in 0..12u64 {
            // The 15th or so of each month of 1970.
            let time = UNIX_EPOCH + Duration::from_secs((14 + month * 30 + month / 2) * 86_400);
            let shown = Timestamp::new(time).to_string();
            assert!(shown.starts_with(&format!("1970-{:02}-", month + 1)), "{shown}");
        }
    }
}
