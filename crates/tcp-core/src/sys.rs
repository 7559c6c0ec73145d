//! The calls that only Linux has, each behind one plain function: what a port replaces.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::iter;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use rustix::event::EventfdFlags;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};

use crate::limits::PROBE_STEP;

/// Whether part of a file can be sent without waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Residence {
    /// It is in the page cache (or is the end of the file, which needs no page).
    Memory,
    /// It is not.
    Disk,
    /// The file system cannot tell, as on a network, or in memory itself: see [`is_in_memory`].
    Unknown,
}

// The calls themselves are in the macro: no safe crate has these options ready made.
sockopt_impl!(DeferAccept, SetOnly, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, i32);
sockopt_impl!(Info, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, TcpInfo);

/// The beginning of the kernel's `struct tcp_info`, as far as every Linux since 4.2 fills it in.
#[repr(C)]
#[expect(unreachable_pub, reason = "nix names it in a trait of its own, which is public")]
pub struct TcpInfo {
    state: u8,
    _states: [u8; 7],
    _timeouts: [u32; 2],
    segment_bytes: u32,
    _counts: [u32; 21],
    _pacing_rates: [u64; 2],
    acknowledged: u64,
}

/// `TCP_CLOSE` in the kernel's `enum` of states (`tcp_states.h`).
const CLOSED: u8 = 7;

/// How far a peer has come with what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Octets that it has acknowledged since the connection was made: those are with its kernel.
    pub(crate) acknowledged: u64,
    /// The most octets of a segment, over most lines some 1,400, on loopback up to 64 KiB. Its
    /// kernel does not tell of less room than that, unless it is half of what it has (RFC 9293,
    /// 3.8.6.2.2).
    pub(crate) segment_bytes: u64,
    /// The connection is no more: reset by the peer, or given up by the kernel.
    pub(crate) is_over: bool,
}

/// Asks the kernel how far the peer has come (`TCP_INFO`, tcp(7)).
pub(crate) fn taken(socket: &impl AsFd) -> io::Result<Taken> {
    let info = nix::sys::socket::getsockopt(socket, Info)?;
    Ok(Taken {
        acknowledged: info.acknowledged,
        segment_bytes: info.segment_bytes.into(),
        is_over: info.state == CLOSED,
    })
}

/// A descriptor that costs little and has no name that the process might not be allowed to open.
pub(crate) fn spare_descriptor() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?)
}

/// Has the kernel keep each new connection to itself until its first bytes have come, or for a
/// second or two if none do (`TCP_DEFER_ACCEPT`, tcp(7)).
pub(crate) fn defer_accept(listener: &impl AsFd) -> io::Result<()> {
    // The least that there is: after a second the kernel asks whether the peer is there.
    const SECONDS: i32 = 1;
    Ok(nix::sys::socket::setsockopt(listener, DeferAccept, &SECONDS)?)
}

/// Has the connections of `listener` send as fast as their peers take it, as the one kind of
/// congestion control does that every Linux has and lets everybody use (`TCP_CONGESTION`, tcp(7)).
///
/// It is for loopback, which has no queue to be kept short. Where the system's is bbr, a timer
/// paces what each connection sends: without it a file of 100 KiB takes 0.8 times the processor
/// time over loopback, and one of 100 MiB 0.4 times.
pub(crate) fn send_unpaced(listener: &impl AsFd) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_congestion(listener, "reno")?)
}

/// Bounds the octets that the kernel holds unsent for a socket (`TCP_NOTSENT_LOWAT`, Linux 3.12);
/// `None` for what the system allows.
pub(crate) fn set_unsent_limit(socket: &impl AsFd, bytes: Option<u32>) -> io::Result<()> {
    // No octet at all is how the kernel spells that there is no limit of the socket's own.
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(bytes.unwrap_or(0))
}

/// Has the kernel send full segments only (`TCP_CORK`), or no longer, which sends the rest.
pub(crate) fn set_cork(socket: &impl AsFd, is_corked: bool) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_cork(socket, is_corked)?)
}

/// Hands memory to the kernel; `more` says that further bytes follow at once, so that a
/// segment that is not full may wait for them (`MSG_MORE`).
pub(crate) fn send(socket: impl AsFd, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::MORE, more);
    let sent = match parts {
        [part] => rustix::net::send(socket, part, flags),
        parts => rustix::net::sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), flags),
    };
    Ok(sent?)
}

/// Hands up to `count` octets of a file, from `offset`, to the kernel without a copy.
/// `Ok(0)` says that the file ends there. Unlike [`send`] it raises SIGPIPE when the peer is gone,
/// which Rust's runtime ignores unless a program asks for it.
pub(crate) fn send_file(
    socket: impl AsFd,
    file: &File,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let mut offset = offset;
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), count)?)
}

/// Looks whether `range` of a file is in memory, by reads that are not allowed to wait
/// (`RWF_NOWAIT`, Linux 4.14): the first octet and one of every [`PROBE_STEP`], and the last one,
/// too, where nobody will look at what follows. A page missing between two of those is overlooked,
/// and whoever sends it waits for the disk.
pub(crate) fn residence(file: &File, range: Range<u64>, is_last: bool) -> Residence {
    let boundaries = (range.start / PROBE_STEP + 1) * PROBE_STEP..range.end;
    let offsets = iter::once(range.start)
        .chain(boundaries.step_by(PROBE_STEP as usize))
        .chain(is_last.then(|| range.end.saturating_sub(1)));
    let elsewhere = offsets.map(|at| residence_at(file, at)).find(|it| *it != Residence::Memory);
    elsewhere.unwrap_or(Residence::Memory)
}

/// Where the page with octet `offset` is.
fn residence_at(file: &File, offset: u64) -> Residence {
    let mut octet = [0];
    let parts = &mut [IoSliceMut::new(&mut octet)];
    match rustix::io::preadv2(file, parts, offset, ReadWriteFlags::NOWAIT) {
        Ok(_) => Residence::Memory,
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Residence::Unknown,
        // Whatever is wrong with the file besides shows on the pool thread that reads it.
        Err(_) => Residence::Disk,
    }
}

/// Whether a file is in memory alone, on tmpfs or made by `memfd_create`: only such a file has
/// seals (`F_GET_SEALS`, fcntl(2)). Unlike `fstatfs`, this asks no file system, which could take
/// its time.
pub(crate) fn is_in_memory(file: &File) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok()
}

/// Lets the other threads of this process have the processor first. What the pool does for long is
/// waited for anyway; beside eight uploads the median of short answers was 2.7 times that without
/// them, and is 1.3 times since (`cargo xtask soak uploads`). On Linux niceness is a thread's own.
pub(crate) fn step_back() {
    const NICER_BY: i32 = 10;
    let now = rustix::process::getpriority_process(None).unwrap_or(0);
    // It can only fail to help.
    let _ = rustix::process::setpriority_process(None, now + NICER_BY);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::FileExt;

    use rustix::fs::{Advice, fadvise};

    use super::*;

    #[test]
    fn what_a_listener_accepts_is_unpaced_and_its_progress_known() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        send_unpaced(&listener).expect("every Linux has it");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (mut server, _) = listener.accept().expect("a client");
        assert_eq!(rustix::net::sockopt::tcp_congestion(&server), Ok("reno".to_owned()));
        let before = taken(&server).expect("a connection");
        assert!(before.segment_bytes >= 536, "{before:?}");
        server.write_all(&[0; 1000]).expect("a peer");
        let gone = (0..60_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            taken(&server).expect("a connection").acknowledged == before.acknowledged + 1000
        });
        assert!(gone);
        drop(client);
    }

    /// A step of a transfer.
    const STEP: u64 = 256 * 1024;
    /// What must not be overlooked, at any multiple of itself.
    const HOLE: u64 = 64 * 1024;

    #[test]
    fn a_hole_in_what_is_in_memory_is_seen_wherever_it_is() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        for _ in 0..STEP / 4096 {
            file.write_all(&[7; 4096]).expect("room on the disk");
        }
        file.sync_all().expect("written back");
        if residence(&file, 0..STEP, true) == Residence::Unknown {
            return; // A file system that lives in memory.
        }
        assert_eq!(residence(&file, 0..STEP, true), Residence::Memory);
        // No page but those that are read.
        fadvise(&file, 0, None, Advice::Random).expect("a hint");
        // To look at a page that is not there makes the kernel fetch it, so each look has a hole
        // of its own: all is read, since what is just being fetched cannot be dropped; then all is
        // dropped, and read again but for the hole.
        let leave_hole = |hole: Range<u64>| {
            file.read_exact_at(&mut vec![0; STEP as usize], 0).expect("it is there");
            fadvise(&file, 0, None, Advice::DontNeed).expect("a hint");
            for page in (0..STEP).step_by(4096).filter(|page| !hole.contains(page)) {
                file.read_exact_at(&mut [0; 4096], page).expect("it is there");
            }
        };
        leave_hole(0..STEP);
        if residence_at(&file, 0) == Residence::Memory {
            return; // One whose pages cannot be dropped.
        }
        for start in (0..STEP).step_by(HOLE as usize) {
            for (from, to) in [(0, STEP), (start, start + HOLE)] {
                // The kernel may keep a page that it is busy with, so a hole may take a few tries.
                let seen = (0..20).any(|_| {
                    leave_hole(start..start + HOLE);
                    residence(&file, from..to, false) == Residence::Disk
                });
                assert!(seen, "{start}: {from}..{to}");
            }
        }
        let last = STEP - 4096..STEP;
        let seen = (0..20).any(|_| {
            leave_hole(last.clone());
            residence(&file, 0..STEP, true) == Residence::Disk
        });
        assert!(seen, "the last page");
        leave_hole(0..0);
        assert_eq!(residence(&file, 0..STEP, true), Residence::Memory);
    }

    #[test]
    fn any_range_can_be_asked_for() {
        let file = tempfile::tempfile().expect("a temporary file");
        for range in [0..0, 0..1, 5..PROBE_STEP, PROBE_STEP..PROBE_STEP + 1] {
            assert_ne!(residence(&file, range, true), Residence::Disk);
        }
    }

    #[test]
    fn a_file_in_memory_alone_cannot_tell_and_is_no_disk() {
        let file = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC);
        let mut file = File::from(file.expect("every Linux has it"));
        file.write_all(&[7; 100]).expect("room");
        assert_ne!(residence(&file, 0..100, true), Residence::Disk);
    }
}
