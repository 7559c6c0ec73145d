//! Many clients on one thread: sockets that are looked at in turn and never waited for.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// How many addresses of 127.0.0.0/8 a crowd comes from: each has 28,000 ports as a rule, and a
/// port rests for a minute after its connection.
const SOURCES: u32 = 32;
/// No connect waits longer.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Octets read in one look at a member.
const READ_MAX: usize = 64 * 1024;

/// What a look at a socket finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Octets came or went.
    Moved(usize),
    /// Nothing to read, or no room to write.
    Nothing,
    /// The other side has ended the connection in order.
    Ended,
    /// The connection is broken, by a reset as a rule.
    Broken,
}

/// One client of a crowd. It owns no buffer.
pub(crate) struct Member {
    stream: TcpStream,
    pub(crate) opened: Instant,
    /// When the other side was seen to have ended it.
    pub(crate) gone: Option<Instant>,
}

/// What a member asks the kernel for before it connects, 0 for its defaults.
#[derive(Clone, Copy, Default)]
pub(crate) struct Line {
    /// The receive buffer in octets, which the kernel doubles.
    pub(crate) receive_bytes: usize,
    /// The segment size in octets; loopback has 64 KiB, a line of the world 1,448.
    pub(crate) segment_bytes: u32,
}

impl Member {
    /// Connects the `number`th of a crowd, from an address of loopback that follows from that.
    pub(crate) fn connect(addr: SocketAddr, number: usize, line: Line) -> Result<Member> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let number = u32::try_from(number).unwrap_or(0) % SOURCES;
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + number);
        socket.bind(&SocketAddrV4::new(source, 0).into())?;
        if line.receive_bytes > 0 {
            socket.set_recv_buffer_size(line.receive_bytes)?;
        }
        if line.segment_bytes > 0 {
            socket.set_tcp_mss(line.segment_bytes)?;
        }
        socket.connect_timeout(&addr.into(), CONNECT_MAX).context("connect")?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Member { stream: socket.into(), opened: Instant::now(), gone: None })
    }

    /// Sends what there is room for.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Seen {
        let result = (&self.stream).write(octets);
        self.note(result, false)
    }

    /// Reads at most `most` octets, and says how many came; `buffer` takes them.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Seen {
        let result = (&self.stream).read(buffer);
        self.note(result, true)
    }

    /// Reads and forgets all that is there.
    pub(crate) fn drain(&mut self) -> Seen {
        let mut buffer = [0; READ_MAX];
        let mut all = 0;
        loop {
            match self.read(&mut buffer) {
                Seen::Moved(count) => all += count,
                Seen::Nothing if all > 0 => return Seen::Moved(all),
                seen => return seen,
            }
        }
    }

    /// Whether the other side has ended it, as far as anyone has looked.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Looks whether the other side has reset the connection, past what is there to be read.
    pub(crate) fn note_reset(&mut self) {
        if !matches!(self.stream.take_error(), Ok(None)) {
            self.gone.get_or_insert_with(Instant::now);
        }
    }

    /// Ends the connection with a reset, so that the port is free at once.
    pub(crate) fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    fn note(&mut self, result: io::Result<usize>, reading: bool) -> Seen {
        let seen = match result {
            Ok(0) if reading => Seen::Ended,
            Ok(count) => Seen::Moved(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Seen::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Seen::Nothing,
            Err(_) => Seen::Broken,
        };
        if matches!(seen, Seen::Ended | Seen::Broken) {
            self.gone.get_or_insert_with(Instant::now);
        }
        seen
    }
}

/// When members went, as seen: how long after they had come, in seconds.
pub(crate) struct Departures {
    pub(crate) gone: usize,
    pub(crate) first: f64,
    pub(crate) last: f64,
}

/// Counts who of a crowd has gone.
pub(crate) fn departures(members: &[Member]) -> Departures {
    let stayed = |member: &Member| Some(member.gone?.duration_since(member.opened).as_secs_f64());
    let times: Vec<f64> = members.iter().filter_map(stayed).collect();
    Departures {
        gone: times.len(),
        first: times.iter().copied().reduce(f64::min).unwrap_or(f64::NAN),
        last: times.iter().copied().reduce(f64::max).unwrap_or(f64::NAN),
    }
}
