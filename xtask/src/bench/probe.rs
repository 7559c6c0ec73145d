//! Asks a server one thing with a raw request: whether it answers right, with which tag and date,
//! and how long its answer is. Holds idle connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::servers::Kind;
use super::workloads::{Condition, Workload};

/// No read or write waits longer.
const WAIT_MAX: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 8192;
/// What the floor answers to everything.
const FLOOR_BYTES: u64 = 1024;

/// What was answered.
pub(super) struct Answer {
    status: u16,
    head: String,
    /// Octets of the content that came.
    length: u64,
}

impl Answer {
    /// The value of the field `name`, in any case.
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Octets of the head and the content.
    pub(super) fn bytes(&self) -> u64 {
        self.head.len() as u64 + self.length
    }
}

/// Asks for `path` over a fresh connection, with whole field lines.
///
/// # Errors
/// When there is no answer, or one without a length.
pub(super) fn ask<'a>(
    addr: SocketAddr,
    path: &str,
    fields: impl Iterator<Item = &'a str>,
) -> Result<Answer> {
    let mut stream = connect(addr)?;
    exchange(&mut stream, addr, path, fields)
}

fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, WAIT_MAX)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    Ok(stream)
}

fn exchange<'a>(
    stream: &mut TcpStream,
    addr: SocketAddr,
    path: &str,
    fields: impl Iterator<Item = &'a str>,
) -> Result<Answer> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n");
    for field in fields {
        request = request + field + "\r\n";
    }
    stream.write_all((request + "\r\n").as_bytes())?;
    let mut seen = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let head_end = loop {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the connection was closed instead of an answer");
        seen.extend_from_slice(&buffer[..count]);
        if let Some(at) = seen.windows(4).position(|part| part == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(seen.len() < HEAD_BYTES_MAX, "a head of more than {HEAD_BYTES_MAX} octets");
    };
    let head = String::from_utf8_lossy(&seen[..head_end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("no status in {head:?}"))?;
    let mut answer = Answer { status, head, length: 0 };
    if status != 304 {
        let length = answer.field("Content-Length").context("an answer without a length")?;
        answer.length = length.parse()?;
        let mut left = answer.length.saturating_sub((seen.len() - head_end) as u64);
        while left > 0 {
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "the connection was closed {left} octets short of the length");
            left = left.saturating_sub(count as u64);
        }
    }
    Ok(answer)
}

/// The field lines of the workload that only this server can tell.
///
/// # Errors
/// When it gives no tag or no date.
pub(super) fn own_fields(addr: SocketAddr, workload: &Workload) -> Result<Vec<String>> {
    let (asked, told) = match workload.condition {
        Condition::None => return Ok(Vec::new()),
        Condition::Tag => ("If-None-Match", "ETag"),
        Condition::Date => ("If-Modified-Since", "Last-Modified"),
    };
    let answer = ask(addr, workload.path, workload.fields.iter().copied())?;
    let value = answer.field(told).with_context(|| format!("it gives no {told}"))?;
    Ok(vec![format!("{asked}: {value}")])
}

/// Asks what the workload asks, checks the answer, and returns its length.
///
/// # Errors
/// When it is not the answer that the workload wants.
pub(super) fn check(
    kind: Kind,
    addr: SocketAddr,
    workload: &Workload,
    own: &[String],
) -> Result<u64> {
    let fields = workload.fields.iter().copied().chain(own.iter().map(String::as_str));
    let answer = ask(addr, workload.path, fields)?;
    let is_floor = kind == Kind::Floor;
    let (status, length) = match is_floor {
        true => (200, Some(FLOOR_BYTES)),
        false => (workload.status, workload.length),
    };
    ensure!(answer.status == status, "it answers {} and not {status}", answer.status);
    if let Some(length) = length {
        ensure!(answer.length == length, "it sends {} octets and not {length}", answer.length);
    }
    if workload.is_gzip() && answer.field("Content-Encoding") != Some("gzip") {
        bail!("it does not send the copy in gzip");
    }
    Ok(answer.bytes())
}

/// Opens connections that stay silent after one answer.
///
/// # Errors
/// When one is not answered.
pub(super) fn hold(addr: SocketAddr, count: usize, path: &str) -> Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let connected = connect(addr).and_then(|mut stream| {
            exchange(&mut stream, addr, path, std::iter::empty())?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        held.push(connected.with_context(|| format!("idle connection {number} of {count}"))?);
    }
    Ok(held)
}

/// How many of the connections the server has closed.
pub(super) fn closed(held: &[TcpStream]) -> usize {
    let is_closed = |stream: &&TcpStream| match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    held.iter().filter(is_closed).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The answer to one request, from a server that says `answer` and closes.
    fn told(answer: &'static str) -> Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let answer = ask(addr, "/", std::iter::empty());
        thread.join().unwrap();
        answer
    }

    #[test]
    fn an_answer_has_a_status_fields_and_a_length() {
        let answer = told("HTTP/1.1 200 OK\r\netag: \"a\"\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert_eq!((answer.status, answer.length), (200, 2));
        assert_eq!(answer.field("ETag"), Some("\"a\""));
        assert_eq!(answer.bytes(), 51);
        let answer = told("HTTP/1.1 304 Not Modified\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.length), (304, 0));
    }

    #[test]
    fn half_an_answer_is_none() {
        for said in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"] {
            assert!(told(said).is_err(), "{said}");
        }
    }
}
