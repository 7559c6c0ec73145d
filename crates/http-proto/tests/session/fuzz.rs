//! Conversations put together and spoilt at random: as many records as answers, alike at every
//! split.

use crate::talk::Talk;

/// Requests to put together, good and bad.
const PARTS: [&str; 16] = [
    "GET /now HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /pool HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /file HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /none HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    "PUT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "PUT /put HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "POST /full HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n\
     0\r\n\r\n",
    "PUT /deny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "DELETE /put HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "GET /same HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n",
    "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /now HTTP/1.1\r\n\r\n",
    "GET /bulky HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n",
];

const ITERATIONS: usize = 4_000;

/// Xorshift (Marsaglia 2003): enough chance for a test, and the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    fn conversation(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        for _ in 0..=self.below(6) {
            octets.extend_from_slice(PARTS[self.below(PARTS.len())].as_bytes());
        }
        for _ in 0..self.below(3) {
            let at = self.below(octets.len());
            match self.below(3) {
                0 => octets[at] ^= 1 << self.below(8),
                1 => drop(octets.remove(at)),
                _ => octets.insert(at, b"\r\n :,0\0"[self.below(7)]),
            }
            if octets.is_empty() {
                return octets;
            }
        }
        octets
    }
}

/// What a whole conversation comes to: answers, records, and whether it is over.
fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>, hang_up: bool) -> (String, String, bool) {
    let mut talk = Talk::new();
    for piece in pieces {
        talk.say(piece);
    }
    if hang_up {
        talk.hang_up();
    }
    talk.cut(0);
    let notes = talk.notes();
    // Where a record and the end of an upload stand beside each other does not matter.
    let records = notes.split(" | ").filter(|note| *note != "forgotten").map(without_line);
    (talk.answers(), records.collect::<Vec<_>>().join(" | "), talk.is_over())
}

/// A record without the line of a refused head: as much of that is noted as had come by then.
fn without_line(record: &str) -> &str {
    match record.strip_prefix("? ") {
        Some(refused) => refused.rmatch_indices(' ').nth(2).map_or("", |(at, _)| &refused[at..]),
        None => record,
    }
}

#[test]
fn every_answer_has_one_record_and_no_split_makes_a_difference() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut refused = 0;
    for round in 0..ITERATIONS {
        let octets = chance.conversation();
        let hang_up = chance.below(2) == 0;
        let size = 1 + chance.below(30);
        let whole = play(std::iter::once(&octets[..]), hang_up);
        let split = play(octets.chunks(size), hang_up);
        assert_eq!(split, whole, "round {round}, by {size}: {}", octets.escape_ascii());

        let (answers, records, _) = whole;
        let count = |text: &str| text.split(" | ").filter(|t| !t.is_empty() && *t != "100").count();
        assert_eq!(count(&answers), count(&records), "round {round}: {}", octets.escape_ascii());
        // Who is told that the connection closes is told nothing more.
        let closes = answers.split(" | ").position(|answer| answer.contains(" close"));
        let all = answers.split(" | ").count();
        assert!(closes.is_none_or(|at| at + 1 == all), "round {round}: {answers}");
        refused += usize::from(answers.contains("400 close"));
    }
    assert!(refused > ITERATIONS / 10 && refused < ITERATIONS * 9 / 10, "{refused}");
}
