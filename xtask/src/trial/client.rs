//! The least of a client: one connection, one GET after the other, the content counted or kept.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// No read or write waits longer.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The most that a response head may take.
const HEAD_BYTES_MAX: usize = 4096;
/// The most content that is taken in at once.
const CONTENT_BYTES_MAX: u64 = 1 << 20;

/// A connection that is kept between requests. It owns no buffer, so ten thousand cost little.
pub(crate) struct Client(TcpStream);

/// The connection ended, or gave nothing in time, before an octet of the answer.
#[derive(Debug)]
pub(crate) struct Unanswered(String);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no octet of an answer: {}", self.0)
    }
}

impl std::error::Error for Unanswered {}

/// The head of a response.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) length: u64,
    text: String,
}

impl Head {
    /// The value of the field `name`, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect_timeout(&addr, WAIT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Client(stream))
    }

    /// Sends octets as they are.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Result<()> {
        Ok(self.0.write_all(octets)?)
    }

    /// Asks for `path`; `fields` are whole field lines.
    ///
    /// # Errors
    /// [`Unanswered`] when no octet of an answer came.
    pub(crate) fn ask(&mut self, path: &str, fields: &str) -> Result<Head> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        // An answer may have come before the request, and the connection's end behind it.
        let _ = self.send(request.as_bytes());
        self.head()
    }

    /// Asks for `path`, of which the content is not long.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let (head, content) = self.answer_to(path)?;
        ensure!(head.status == 200, "GET {path} was answered {}", head.status);
        Ok(content)
    }

    /// Asks for `path`, and returns whatever the answer is, of which the content is not long.
    pub(crate) fn answer_to(&mut self, path: &str) -> Result<(Head, Vec<u8>)> {
        let head = self.ask(path, "")?;
        ensure!(head.length <= CONTENT_BYTES_MAX, "GET {path}: {} octets", head.length);
        let mut content = vec![0; head.length as usize];
        self.0.read_exact(&mut content)?;
        Ok((head, content))
    }

    /// Asks for `path` and checks that its content is `expected`.
    pub(crate) fn fetch(&mut self, path: &str, expected: &[u8]) -> Result<()> {
        let content = self.get(path)?;
        ensure!(content == expected, "GET {path}: the content differs");
        Ok(())
    }

    /// Uploads `content` to `path`, which is there already.
    pub(crate) fn replace(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let length = content.len();
        let head =
            format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        self.send(head.as_bytes())?;
        self.send(content)?;
        let head = self.head()?;
        ensure!(head.status == 204, "PUT {path} was answered {}", head.status);
        Ok(())
    }

    /// Reads until `buffer` is full.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        Ok(self.0.read_exact(buffer)?)
    }

    /// Reads `length` octets, all of which must be zero, and forgets them.
    pub(crate) fn read_zeros(&mut self, length: u64) -> Result<()> {
        const STEP: usize = 1 << 20;
        let (zeros, mut buffer) = (vec![0; STEP], vec![0; STEP]);
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(STEP).min(STEP);
            let count = self.0.read(&mut buffer[..most]).context("while reading the content")?;
            ensure!(count > 0, "the connection was closed {left} octets short of the length");
            ensure!(buffer[..count] == zeros[..count], "an octet is not zero, {left} from the end");
            left -= count as u64;
        }
        Ok(())
    }

    /// Reads to the end of the connection, at most `most` octets, and says how many came.
    pub(crate) fn count_to_end(&mut self, most: u64) -> Result<u64> {
        Ok(io::copy(&mut (&self.0).take(most), &mut io::sink())?)
    }

    /// Whether the request that was sent is answered with 200.
    pub(crate) fn answer(&mut self) -> bool {
        self.head().is_ok_and(|head| head.status == 200)
    }

    /// Reads a head without taking an octet of what follows it.
    fn head(&mut self) -> Result<Head> {
        let mut buffer = [0; HEAD_BYTES_MAX];
        let mut taken = 0;
        let length = loop {
            let seen = match self.0.peek(&mut buffer[taken..]) {
                Ok(0) if taken == 0 => bail!(Unanswered("the connection was closed".to_owned())),
                Err(error) if taken == 0 => bail!(Unanswered(error.to_string())),
                Ok(0) => bail!("closed after {taken} octets of a head"),
                found => {
                    taken + found.with_context(|| format!("after {taken} octets of a head"))?
                }
            };
            let end = buffer[..seen].windows(4).position(|part| part == b"\r\n\r\n");
            let of_head = end.map_or(seen, |at| at + 4);
            self.0.read_exact(&mut buffer[taken..of_head])?;
            match end {
                Some(_) => break of_head,
                None if seen == HEAD_BYTES_MAX => bail!("a head longer than {seen} octets"),
                None => taken = seen,
            }
        };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no status in {text:?}"))?;
        let mut head = Head { status, length: 0, text };
        // RFC 9110 §8.6: a 204 has none.
        if status != 204 {
            let length =
                head.field("Content-Length").context("an answer without Content-Length")?;
            head.length = length.parse()?;
        }
        Ok(head)
    }
}
