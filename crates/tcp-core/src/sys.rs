//! The calls that only Linux has, each behind one plain function: what a port replaces.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};

/// Whether part of a file can be sent without waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Residence {
    /// It is in the page cache (or is the end of the file, which needs no page).
    Memory,
    /// It is not, or the file system cannot tell.
    Disk,
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

/// Looks whether the page with octet `offset` of a file is in memory, by a read that is not
/// allowed to wait (`RWF_NOWAIT`, Linux 4.14).
pub(crate) fn residence(file: &File, offset: u64) -> Residence {
    let mut octet = [0];
    let parts = &mut [IoSliceMut::new(&mut octet)];
    match rustix::io::preadv2(file, parts, offset, ReadWriteFlags::NOWAIT) {
        Ok(_) => Residence::Memory,
        // Whatever else is wrong with the file shows on the pool thread that reads it.
        Err(Errno::AGAIN | _) => Residence::Disk,
    }
}
