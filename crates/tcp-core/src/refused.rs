//! Connections that have been told why they are not served, and are kept for a moment.

use std::collections::VecDeque;
use std::io::{IoSlice, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::limits::REFUSED_MAX;

/// How long a refused connection is kept so that it can read why.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// As many fit into what the smallest server has to spare.
const REFUSED_MIN: usize = 8;

/// The refused, oldest first.
pub(crate) struct Refused {
    sockets: VecDeque<(TcpStream, Instant)>,
    most: usize,
}

impl Refused {
    /// Room for as many as a server of so many `connections` has descriptors to spare for.
    pub(crate) fn new(connections: usize) -> Refused {
        Refused {
            sockets: VecDeque::new(),
            most: (connections / 8).clamp(REFUSED_MIN, REFUSED_MAX),
        }
    }

    /// Tells a connection why, and keeps it for a moment: closed at once, its unread request would
    /// turn the close into a reset, which can overtake the answer.
    pub(crate) fn push(&mut self, socket: TcpStream, why: &[u8], now: Instant) {
        let _ = crate::sys::send(&socket, &[IoSlice::new(why)], false);
        let _ = socket.shutdown(Shutdown::Write);
        if self.sockets.len() == self.most
            && let Some((socket, _)) = self.sockets.pop_front()
        {
            close(socket);
        }
        self.sockets.push_back((socket, now + REFUSED_FOR));
    }

    /// Lets go of those that have had their moment.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.sockets.front().is_some_and(|(_, until)| *until <= now)
            && let Some((socket, _)) = self.sockets.pop_front()
        {
            close(socket);
        }
    }

    /// Lets go of all.
    pub(crate) fn clear(&mut self) {
        self.sockets.drain(..).for_each(|(socket, _)| close(socket));
    }

    /// How long until [`expire`](Self::expire) is due, at most; `None` for ever.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        (!self.sockets.is_empty()).then_some(REFUSED_FOR)
    }
}

impl Drop for Refused {
    /// A stop does not wait for them, and lets them read why all the same.
    fn drop(&mut self) {
        self.clear();
    }
}

/// Closes a connection once what has come is read, since a close that leaves it unread is a reset.
fn close(mut socket: TcpStream) {
    // As much as a head may have; who sends more is not listening.
    let _ = socket.read(&mut [0; 16 * 1024]);
}
