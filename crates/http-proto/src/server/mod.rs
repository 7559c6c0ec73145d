//! The session that runs a [`Handler`] over tcp-core: the one place where protocol meets sockets.
//!
//! # Example: answer every request with one line
//! ```
//! use http_proto::Status;
//! use http_proto::server::{Answer, Handler, Http, Request, Response};
//! use tcp_core::{Limits, Server};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn answer(&self, request: &Request<'_>) -> Answer {
//!         let path = request.head.target.path().unwrap_or("*");
//!         Response::text(Status::OK, format!("hello, {path}\n")).into()
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! # use std::io::{Read, Write};
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default())?;
//! let address = server.addresses()[0];
//! let running = server.start(Http::new(Hello))?;
//!
//! let mut client = std::net::TcpStream::connect(address)?;
//! client.write_all(b"GET /you HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.ends_with("hello, /you\n"));
//!
//! running.stopper().stop();
//! running.join()?;
//! # Ok(())
//! # }
//! ```

mod content;
mod exchange;
mod handler;
mod rates;
mod reply;
mod response;
mod service;
mod session;
mod stream;

pub use tcp_core::{Tick, network_of};

pub use exchange::Exchange;
pub use handler::{Answer, Handler, Receiver, Request};
pub use response::{Body, Produced, Response, Source};
pub use service::{Config, Http};
pub use session::HttpSession;
