//! The contract between this crate and a protocol: what a session is given, what it answers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Instant, SystemTime};

use crate::{Input, Output};

/// One connection's protocol: a state machine that is handed bytes and hands back bytes.
///
/// A session does no socket I/O, starts no thread and reads no clock. It is called on its
/// worker's thread (`advance`, `expire`, `closed`) and must not block there; what may block goes
/// into `block`, which a pool thread calls. `closed` comes from there too if the drain ends while
/// it is away. A session that panics costs its own connection and nothing else.
pub trait Session: Send + 'static {
    /// Takes what it can from `input`, puts what it owes into `output`, says what it waits for.
    ///
    /// Called first when the connection is new (perhaps with no input yet), then when what it
    /// waited for has come: more input, the end of the input, the output sent, `block` returned.
    /// Input that is not consumed is shown again, with more behind it.
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait;

    /// Does work that may block; called on a pool thread after [`Wait::Pool`] and
    /// [`Wait::LongPool`].
    fn block(&mut self) {}

    /// The deadline of the last [`Wait::Read`] or [`Wait::Idle`] has passed, and all input there is
    /// has been shown.
    fn expire(&mut self, now: Now, output: &mut Output) -> Wait {
        let _ = (now, output);
        Wait::Close
    }

    /// The connection has ended, for whatever reason; `unsent` octets of its output were never
    /// handed to the kernel. Called once, but not after a panic.
    fn closed(&mut self, now: Now, unsent: u64) {
        let _ = (now, unsent);
    }
}

/// What a session waits for. In every case the output is sent first, as far as the peer takes it;
/// a peer that takes it too slowly is cut by [`Limits::pace`](crate::Limits::pace).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// More input, or its end. `expire` is called when none has come at `deadline`.
    Read {
        /// Absolute, on the monotonic clock.
        deadline: Instant,
    },
    /// The same, of a session that has been asked nothing since it owes nothing. When the server
    /// is full, the connection that has been idle longest is closed, and a new one gets its place.
    Idle {
        /// Since when, at most the time of this wake-up.
        since: Instant,
        /// As of [`Wait::Read`].
        deadline: Instant,
    },
    /// All output sent: the kernel has taken every octet.
    Drain,
    /// `block`, on a pool thread.
    Pool,
    /// The same for work that may take long, as to wait until a disk has written something: some
    /// threads of the pool never do such work, so that who needs one for a moment gets one.
    LongPool,
    /// Nothing: close once the output is sent. For a peer that is known to send nothing more.
    Close,
    /// Nothing: once the output is sent, close the sending side, and read and discard what comes
    /// until the peer closes too or [`Limits::linger`](crate::Limits::linger) is over. Closing
    /// while the peer still sends would reset the connection, and the reset can overtake the last
    /// output.
    Linger,
    /// Nothing: drop the output and reset the connection, so that the peer cannot take what it
    /// has got for all there was.
    Abort,
}

/// The time of a wake-up: read once, passed down, the same for all that is done in it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For people.
    pub wall: SystemTime,
    /// The server is stopping: a session that owes nothing should close rather than wait.
    pub stopping: bool,
}

impl Now {
    /// The time as the clocks show it.
    pub(crate) fn read(stopping: bool) -> Now {
        Now { instant: Instant::now(), wall: SystemTime::now(), stopping }
    }
}

/// What is known of a connection when it is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// The peer's address.
    pub peer: SocketAddr,
    /// The address the peer connected to.
    pub local: SocketAddr,
    /// Index of the worker that owns the connection, from 0 up to
    /// [`Limits::workers`](crate::Limits).
    pub worker: usize,
}

impl Accepted {
    /// The [network](network_of) of the peer.
    pub fn network(&self) -> IpAddr {
        network_of(self.peer.ip())
    }
}

/// What counts as one client: an IPv4 address, or of IPv6 the 64 bits that a provider gives at
/// least to one customer, the others being zero.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

/// Why there is no room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// There are [`Limits::connections`](crate::Limits::connections), or no descriptor is left.
    Server,
    /// Its address has [`Limits::per_address`](crate::Limits::per_address).
    Address,
}

/// Makes a session for each connection.
///
/// Any `Fn(&Accepted) -> S` is a service.
pub trait Service: Send + Sync + 'static {
    /// The protocol spoken.
    type Session: Session;

    /// A session for a connection just accepted. Called on the worker's thread; must not block.
    fn open(&self, accepted: &Accepted) -> Self::Session;

    /// Whether a client sends something before it is sent anything. A connection is then accepted
    /// only when its first bytes have come, or when none have for a second or two: until then the
    /// kernel keeps it, and it costs nothing here. A connection that asks for one short thing is a
    /// third less work so. A silent one does not count against
    /// [`Limits::connections`](crate::Limits), and at a stop it is reset when it speaks.
    ///
    /// Default: no, lest a client wait for who waits for it.
    fn is_spoken_to_first(&self) -> bool {
        false
    }

    /// What a connection is told that cannot be served because there are too many, of which none is
    /// [idle](Wait::Idle). Sent as far as
    /// the kernel takes it at once. Called on the first worker's thread; must not block. No worker
    /// owns the connection: `accepted.worker` is 0.
    fn refusal(&self, accepted: &Accepted, why: NoRoom, now: Now) -> Vec<u8> {
        let _ = (accepted, why, now);
        Vec::new()
    }
}

impl<F, S> Service for F
where
    F: Fn(&Accepted) -> S + Send + Sync + 'static,
    S: Session,
{
    type Session = S;

    fn open(&self, accepted: &Accepted) -> S {
        self(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_64_bits() {
        for (peer, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
            let accepted = Accepted { peer, local: peer, worker: 0 };
            assert_eq!(accepted.network().to_string(), expected);
        }
    }
}
