//! What the tests share: a server on a free port, a session made of closures, patient clients.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tcp_core::{Input, Limits, Now, Output, Running, Server, Service, Session, Stopper, Wait};

/// Longer than anything takes on a busy machine: who waits this long has found a bug.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// One worker, so that every connection shares it; a short drain, so that a failure ends soon.
pub(crate) fn limits() -> Limits {
    Limits { workers: 1, pool: 2, drain: Duration::from_secs(3), ..Limits::default() }
}

/// More input, with a deadline that no test reaches.
pub(crate) fn read(now: Now) -> Wait {
    Wait::Read { deadline: now.instant + 2 * LONG }
}

/// Sends back what comes, until the peer or the server has had enough.
pub(crate) fn echo(now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
    output.tail().extend_from_slice(input.bytes());
    input.consume(input.bytes().len());
    if input.is_end() || now.stopping { Wait::Close } else { read(now) }
}

type Advance = dyn FnMut(Now, &mut Input<'_>, &mut Output) -> Wait + Send;
type Expire = dyn FnMut(Now, &mut Output) -> Wait + Send;

/// A session made of closures; each one but `advance` may be left out.
pub(crate) struct Script {
    advance: Box<Advance>,
    block: Box<dyn FnMut() + Send>,
    expire: Box<Expire>,
    closed: Box<dyn FnMut(u64) + Send>,
}

pub(crate) fn script(
    advance: impl FnMut(Now, &mut Input<'_>, &mut Output) -> Wait + Send + 'static,
) -> Script {
    Script {
        advance: Box::new(advance),
        block: Box::new(|| {}),
        expire: Box::new(|_, _| Wait::Close),
        closed: Box::new(|_| {}),
    }
}

impl Script {
    pub(crate) fn on_block(self, block: impl FnMut() + Send + 'static) -> Script {
        Script { block: Box::new(block), ..self }
    }

    pub(crate) fn on_expire(
        self,
        expire: impl FnMut(Now, &mut Output) -> Wait + Send + 'static,
    ) -> Script {
        Script { expire: Box::new(expire), ..self }
    }

    pub(crate) fn on_closed(self, closed: impl FnMut(u64) + Send + 'static) -> Script {
        Script { closed: Box::new(closed), ..self }
    }
}

impl Session for Script {
    fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
        (self.advance)(now, input, output)
    }

    fn block(&mut self) {
        (self.block)();
    }

    fn expire(&mut self, now: Now, output: &mut Output) -> Wait {
        (self.expire)(now, output)
    }

    fn closed(&mut self, _: Now, unsent: u64) {
        (self.closed)(unsent);
    }
}

/// Whether `attempt` succeeds with one of these times, as with the first unless the machine is busy
/// with something else: a fault is one however long they are.
pub(crate) fn with_longer_times(attempt: impl FnMut(Duration) -> bool) -> bool {
    [1, 2, 4, 8, 16].map(Duration::from_secs).into_iter().any(attempt)
}

/// A running server that is stopped and joined when the test is over.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    running: Option<Running>,
}

pub(crate) fn serve<S: Service>(limits: Limits, service: S) -> Serving {
    start(bind(limits), service)
}

pub(crate) fn bind(limits: Limits) -> Server {
    Server::bind(([127, 0, 0, 1], 0).into(), limits).expect("a free port")
}

pub(crate) fn start<S: Service>(server: Server, service: S) -> Serving {
    let address = server.addresses()[0];
    Serving { address, running: Some(server.start(service).expect("threads")) }
}

impl Serving {
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// A client whose kernel takes in little that the client does not read.
    pub(crate) fn connect_narrow(&self) -> TcpStream {
        self.connect_with_buffer(16 * 1024)
    }

    /// A client whose kernel takes in as little as it can.
    pub(crate) fn connect_tiny(&self) -> TcpStream {
        self.connect_with_buffer(1)
    }

    fn connect_with_buffer(&self, octets: usize) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(octets).expect("a small buffer");
        socket.connect(&self.address.into()).expect("the server listens");
        patient(socket.into())
    }

    /// Waits until the kernel has no socket any more for the server's end of a connection.
    pub(crate) fn forgets(&self, client: &TcpStream) {
        let theirs = client.local_addr().expect("connected").port();
        let entry = format!(":{:04X} 0100007F:{theirs:04X} ", self.address.port());
        eventually("the kernel forgets it", || {
            !std::fs::read_to_string("/proc/net/tcp").expect("Linux").contains(&entry)
        });
    }

    pub(crate) fn stopper(&self) -> Stopper {
        self.running.as_ref().expect("still running").stopper()
    }

    pub(crate) fn join(&mut self) {
        self.ended().expect("it could go on until it was stopped");
    }

    /// Waits for the end, and says whether it was one that somebody has asked for.
    pub(crate) fn ended(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), Running::join)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stopper().stop();
            self.join();
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(address).expect("the server listens"))
}

fn patient(client: TcpStream) -> TcpStream {
    client.set_read_timeout(Some(LONG)).expect("a timeout");
    client.set_write_timeout(Some(LONG)).expect("a timeout");
    client.set_nodelay(true).expect("no delay");
    client
}

/// Reads `count` bytes; fewer are a failure.
pub(crate) fn read_exactly(client: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).expect("as many bytes as were owed");
    bytes
}

/// Reads up to the server's regular close; a reset is a failure.
pub(crate) fn read_all(client: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).expect("a regular close");
    bytes
}

/// Reads up to the reset, which must come; says how many bytes came before.
pub(crate) fn read_until_reset(client: &mut TcpStream) -> usize {
    let mut buffer = vec![0; 64 * 1024];
    let mut count = 0;
    loop {
        match client.read(&mut buffer) {
            Ok(0) => panic!("a regular close after {count} bytes, not a reset"),
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return count,
            Err(error) => panic!("no reset but: {error}"),
        }
    }
}

/// Bytes that do not repeat within any power of two.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at / 251 % 241) as u8).collect()
}

/// Waits for something that happens on another thread.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The address space of a thread's stack in [`alone`].
pub(crate) const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs `body` in a process of its own, for what belongs to the whole process (descriptors,
/// memory, threads): the test of this `name` starts itself again.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    const VARIABLE: &str = "TCP_CORE_TEST_ALONE";
    if std::env::var(VARIABLE).is_ok_and(|value| value == name) {
        return body();
    }
    let output = Command::new(std::env::current_exe().expect("this test's program"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        // What memory a thread takes is known then.
        .env("RUST_MIN_STACK", STACK_BYTES.to_string())
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .expect("a child process");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} alone failed\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "{name} is not the name of one test\n{said}");
}

/// How many entries a directory of /proc has.
pub(crate) fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("a directory of /proc").count()
}

/// Allows as many descriptors as the system permits: some tests hold two for each of many
/// connections.
pub(crate) fn many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit is always allowed");
}
