//! Decides how much the kernel may hold unsent for one peer: little, until the peer has shown that
//! it takes a long file fast.
//!
//! Little is [`Limits::unsent_bytes`](crate::Limits): a slow reader of a big file costs no more
//! memory than that. A fast one is served in larger strides with what the system allows, which
//! halves the processor time of a large download, until it takes less than a fast one would. One
//! that takes nothing more at all is cut by its [`Pace`](crate::Pace).

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crate::limits::{FAST_BYTES, FAST_WITHIN, WIDE_MAX};
use crate::sys::{set_cork, set_unsent_limit};

/// The room of one connection.
#[derive(Default)]
pub(crate) struct Room {
    /// How the peer takes the file that is being sent: since when, how many octets.
    window: Option<(Instant, u64)>,
    /// The peer is fast: one of a bounded number.
    permit: Option<Permit>,
}

/// The right to be served in large strides. Counted by its clones, so that it ends with the
/// connection, wherever that is.
pub(crate) type Permit = Arc<()>;

impl Room {
    /// Whether the peer is served in large strides.
    pub(crate) fn is_wide(&self) -> bool {
        self.permit.is_some()
    }

    /// Notes that the peer has made room for `octets` more of a file. `permits` is the worker's.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(crate) fn note(
        &mut self,
        socket: impl AsFd,
        octets: u64,
        now: Instant,
        permits: &Permit,
        narrow: u32,
    ) -> io::Result<()> {
        let (start, so_far) = self.window.get_or_insert((now, 0));
        *so_far += octets;
        let is_slow = now.duration_since(*start) > FAST_WITHIN;
        let is_fast = !is_slow && *so_far >= FAST_BYTES;
        if is_slow || is_fast {
            (*start, *so_far) = (now, 0);
        }
        match self.is_wide() {
            true if is_slow => self.narrow(socket, narrow),
            false if is_fast && Arc::strong_count(permits) <= WIDE_MAX => {
                self.widen(socket, permits)
            }
            _ => Ok(()),
        }
    }

    /// All has been sent: the next file begins in a small way again.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(crate) fn end(&mut self, socket: impl AsFd, narrow: u32) -> io::Result<()> {
        self.window = None;
        match self.is_wide() {
            true => self.narrow(socket, narrow),
            false => Ok(()),
        }
    }

    fn widen(&mut self, socket: impl AsFd, permits: &Permit) -> io::Result<()> {
        set_unsent_limit(&socket, None)?;
        // Steps do not end where packets do, and without this each would end with a short one.
        set_cork(&socket, true)?;
        self.permit = Some(Arc::clone(permits));
        Ok(())
    }

    fn narrow(&mut self, socket: impl AsFd, narrow: u32) -> io::Result<()> {
        self.permit = None;
        set_unsent_limit(&socket, Some(narrow))?;
        set_cork(&socket, false)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    const NARROW: u32 = 128 * 1024;

    fn socket() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens")
    }

    fn unsent_limit(socket: &TcpStream) -> u32 {
        socket2::SockRef::from(socket).tcp_notsent_lowat().expect("an option of every socket")
    }

    #[test]
    fn a_peer_that_takes_a_long_file_fast_gets_room_until_it_slows_down_or_has_it_all() {
        let (socket, permits, start) = (socket(), Permit::default(), Instant::now());
        let mut room = Room::default();
        let note = |room: &mut Room, octets, at| {
            room.note(&socket, octets, start + at, &permits, NARROW).expect("the socket is well");
            room.is_wide()
        };
        let soon = FAST_WITHIN / 2;
        assert!(!note(&mut room, FAST_BYTES - 1, Duration::ZERO));
        assert!(note(&mut room, 1, soon));
        assert_eq!(unsent_limit(&socket), 0);
        // Still fast, then slow, whatever little it takes, then fast again.
        assert!(note(&mut room, FAST_BYTES, soon * 2));
        assert!(!note(&mut room, 1, soon * 5));
        assert_eq!(unsent_limit(&socket), NARROW);
        assert!(!note(&mut room, FAST_BYTES, soon * 8), "too slowly");
        assert!(note(&mut room, FAST_BYTES, soon * 9));
        room.end(&socket, NARROW).expect("the socket is well");
        assert!(!room.is_wide());
        assert_eq!(unsent_limit(&socket), NARROW);
        assert!(!note(&mut room, FAST_BYTES - 1, soon * 10));
    }

    #[test]
    fn only_so_many_get_room_at_a_time() {
        let (socket, permits, now) = (socket(), Permit::default(), Instant::now());
        let mut rooms: Vec<Room> = (0..WIDE_MAX + 1).map(|_| Room::default()).collect();
        for room in &mut rooms {
            room.note(&socket, FAST_BYTES, now, &permits, NARROW).expect("the socket is well");
        }
        let (last, others) = rooms.split_last().expect("there are some");
        assert!(others.iter().all(Room::is_wide) && !last.is_wide());
        rooms.pop();
        rooms.pop();
        let mut next = Room::default();
        next.note(&socket, FAST_BYTES, now, &permits, NARROW).expect("the socket is well");
        assert!(next.is_wide());
    }
}
