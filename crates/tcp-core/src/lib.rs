//! A TCP server with a fixed pool of worker threads: accept, read, write, wait, stop.
//!
//! Each worker runs a readiness loop of its own over the connections that it alone owns, and runs
//! a [`Session`], the protocol, on each. The first one also accepts connections, between the turns
//! of those that it has, and deals them to all workers over bounded channels. Work that may block
//! is done on a second pool: the connection itself moves there over a channel, and back. One more
//! thread closes big files, and one those that may keep it waiting.
//!
//! ```text
//!             bounded channels        one readiness loop each
//!  acceptor ----------------------> worker 0 ... worker N-1      <-> sockets
//!  (worker 0)                          |  ^
//!                       a connection   v  |  comes back
//!                                   pool thread 0 ... M-1         <-> disks
//! ```
//!
//! In scope: sockets, threads, deadlines, backpressure, sending memory and files, the stop.
//! Out of scope: what the bytes mean. Nothing in this crate looks at a byte that it carries.
//!
//! The principal types are [`Server`] (bind and start), [`Service`] (makes a session for each
//! connection), [`Session`] with [`Input`], [`Output`] and [`Wait`] (the contract with a
//! protocol), and [`Limits`] (every bound, with its reason).
//!
//! # Example: a server that sends back what it is sent
//! ```
//! use std::io::{Read, Write};
//! use std::time::Duration;
//! use tcp_core::{Accepted, Input, Limits, Now, Output, Server, Session, Wait};
//!
//! struct Echo;
//!
//! impl Session for Echo {
//!     fn advance(&mut self, now: Now, input: &mut Input<'_>, output: &mut Output) -> Wait {
//!         output.tail().extend_from_slice(input.bytes());
//!         input.consume(input.bytes().len());
//!         if input.is_end() || now.stopping {
//!             return Wait::Close;
//!         }
//!         Wait::Read { deadline: now.instant + Duration::from_secs(60) }
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default())?;
//! let address = server.addresses()[0];
//! let running = server.start(|_: &Accepted| Echo)?;
//!
//! let mut client = std::net::TcpStream::connect(address)?;
//! client.write_all(b"hello")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello");
//!
//! running.stopper().stop();
//! running.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Trade-offs
//! A connection is dealt to the worker that has the fewest and stays with it, so one worker can be
//! busier than another; in return no connection is ever shared, locked or handed over while it is
//! served. Connections are accepted at the pace of the first worker: while its own keep it busy,
//! new ones wait, also for others that are not. A full server gives up the connection that has been
//! idle longest for a new one, which may have nothing to ask either. Workers never block, so a
//! session must not either; whatever might goes to the pool and pays two hand-overs, about 10 us.

mod acceptor;
mod addresses;
mod closer;
mod connection;
mod crowd;
mod dealer;
mod errands;
mod input;
mod limits;
mod output;
mod pool;
mod refused;
mod room;
mod server;
mod session;
mod slots;
mod spares;
mod stop;
mod sync;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use input::{Input, Tick};
pub use limits::{Limits, Pace};
pub use output::Output;
pub use server::{Running, Server, Stopper};
pub use session::{Accepted, NoRoom, Now, Service, Session, Wait, network_of};
