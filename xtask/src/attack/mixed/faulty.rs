//! The faulty clients: killed in the middle of everything, or never honest to begin with.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use crate::attack::exchange::Talk;

/// How long each rests after a misdeed.
const REST: Duration = Duration::from_millis(15);
/// Longest that a misdeed waits for anything.
const PATIENCE: Duration = Duration::from_secs(2);
const GET: &[u8] = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Numbers that look random and are the same for each seed (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    /// Below `most`, which is not 0.
    fn roll(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// Does one misdeed after the other; returns how many.
pub(super) fn misbehave(addr: SocketAddr, seed: u64, over: &AtomicBool) -> usize {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed + 1));
    let mut misdeeds = 0;
    while !over.load(Ordering::Relaxed) {
        // What becomes of it is nobody's business: the others judge.
        let _ = misdeed(addr, &mut dice);
        misdeeds += 1;
        std::thread::sleep(REST);
    }
    misdeeds
}

fn misdeed(addr: SocketAddr, dice: &mut Dice) -> Result<()> {
    let mut talk = Talk::open_for(addr, PATIENCE)?;
    let stream = talk.stream();
    match dice.roll(7) {
        // Goes away in the middle of a file.
        0 => {
            stream.write_all(GET)?;
            let mut buffer = vec![0; 1 + dice.roll(1 << 20)];
            stream.read_exact(&mut buffer)?;
        }
        // Goes away in the middle of a head.
        1 => stream.write_all(&GET[..dice.roll(GET.len())])?,
        // Goes away in the middle of an upload.
        2 => {
            let head = "PUT /aborted HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600000\r\n\r\n";
            stream.write_all(head.as_bytes())?;
            stream.write_all(&vec![b'a'; dice.roll(599_999)])?;
        }
        // Says nothing that anybody understands.
        3 => {
            let noise: Vec<u8> = (0..dice.roll(3_000)).map(|_| dice.roll(256) as u8).collect();
            stream.write_all(&noise)?;
            let _ = stream.read(&mut [0; 512])?;
        }
        // Asks for much at once, and does not stay.
        4 => {
            stream.write_all(&GET.repeat(1 + dice.roll(16)))?;
            let _ = stream.read(&mut [0; 9_000])?;
        }
        // Says that it has no more to say, and listens for a while.
        5 => {
            stream.write_all(GET)?;
            stream.shutdown(Shutdown::Write)?;
            let mut buffer = vec![0; 1 + dice.roll(8 << 20)];
            stream.read_exact(&mut buffer)?;
        }
        // Lists, a form that breaks off, a range that is none.
        _ => {
            let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\
                        Content-Type: multipart/form-data; boundary=x\r\n\r\n\
                        --x\r\nContent-Disposition: form-data; name=f; filename=aborted\r\n\r\nabc";
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            stream
                .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\nRange: bytes=9-1\r\n\r\n")?;
            stream.write_all(head.as_bytes())?;
        }
    }
    if dice.roll(2) == 0 {
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}
