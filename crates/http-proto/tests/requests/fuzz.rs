//! Conversations spoilt at random: nothing panics, and no split makes a difference.

use http_proto::Limits;

use crate::check::replay;

/// Conversations to start from; between them they reach every state of the parser.
const SEEDS: [&str; 8] = [
    "GET /a?b HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nRange: bytes=0-1,-2\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\r\nGET / HTTP/1.1\r\n\
     Host: a\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\
     X: y\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3, 3\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n",
    "\r\nCONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "DELETE /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n00\r\n\r\n\
     GET / HTTP/1.1\r\n\r\n",
];

/// Octets and words that mean something somewhere.
const SPICE: [&str; 24] = [
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\"",
    "\u{e9}",
    "0",
    "f",
    "ffffffffffffffff",
    "-",
    "/",
    "Host: a\r\n",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "HTTP/1.1",
    "chunked",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

const ITERATIONS: usize = 20_000;

/// Xorshift (Marsaglia 2003): enough chance for a test, and the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    fn spoil(&mut self, octets: &mut Vec<u8>) {
        let at = self.below(octets.len() + 1);
        let end = at + self.below(octets.len() - at + 1).min(20);
        match self.below(6) {
            0 => octets[at..end].reverse(),
            1 => drop(octets.drain(at..end)),
            2 => {
                let again = octets[at..end].to_vec();
                octets.splice(at..at, again);
            }
            3 if at < octets.len() => octets[at] ^= 1 << self.below(8),
            4 => octets.truncate(at.max(1)),
            _ => {
                let word = SPICE[self.below(SPICE.len())];
                octets.splice(at..at, word.bytes());
            }
        }
    }

    fn split<'a>(&mut self, mut octets: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !octets.is_empty() {
            let (piece, rest) = octets.split_at(1 + self.below(octets.len().min(40)));
            pieces.push(piece);
            octets = rest;
        }
        pieces
    }
}

#[test]
fn spoilt_conversations_are_read_alike_however_they_are_split() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let small =
        Limits { request_line_bytes: 60, head_bytes: 120, field_lines: 5, content_bytes: 40 };
    let (mut refused, mut ended) = (0, 0);
    for round in 0..ITERATIONS {
        let mut octets = SEEDS[chance.below(SEEDS.len())].as_bytes().to_vec();
        if chance.below(4) == 0 {
            octets.extend_from_slice(SEEDS[chance.below(SEEDS.len())].as_bytes());
        }
        for _ in 0..=chance.below(4) {
            chance.spoil(&mut octets);
        }
        let limits = if chance.below(3) == 0 { small.clone() } else { Limits::default() };
        // `replay` itself asserts that nothing but `Closed` follows a refusal.
        let whole = replay(&limits, &[&octets]);
        let split = replay(&limits, &chance.split(&octets));
        assert_eq!(split, whole, "round {round}: {}", octets.escape_ascii());
        refused += usize::from(whole.contains("reject"));
        ended += usize::from(whole.contains("end"));
    }
    // A mutation that spoils everything, or nothing, tests nothing.
    assert!(refused > ITERATIONS / 10 && ended > ITERATIONS / 10, "{refused} {ended}");
}
