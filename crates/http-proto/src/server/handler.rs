//! What an application brings to the session: a function from requests to responses.

use std::net::SocketAddr;
use std::time::SystemTime;

use tcp_core::Tick;

use super::{Exchange, Response};
use crate::RequestHead;

/// One request whose head is complete and well-formed.
pub struct Request<'a> {
    /// The head, borrowed from the connection's input.
    pub head: &'a RequestHead<'a>,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address the client connected to.
    pub local: SocketAddr,
    /// Index of the worker that serves the connection, for what is kept per worker.
    pub worker: usize,
    /// Wall-clock time of this wake-up.
    pub now: SystemTime,
    /// A tick of that worker by which the request's first octet had come: see [`Tick`]. Known, as a
    /// rule, where an answer is [recalled](Handler::recall), and else not.
    pub arrived: Option<Tick>,
}

/// Answers requests. One handler serves all connections, from all threads.
pub trait Handler: Send + Sync + 'static {
    /// Answers at once, on the worker's own thread, or says `None`: then [`answer`](Self::answer)
    /// is called where it may block. Must not block: every connection of the worker would wait.
    fn recall(&self, request: &Request<'_>) -> Option<Response> {
        let _ = request;
        None
    }

    /// Answers on a pool thread, where blocking is allowed.
    fn answer(&self, request: &Request<'_>) -> Answer;

    /// Whether to answer may take long, as it does to wait until a disk has written something. Such
    /// answers do not keep short ones waiting for a thread: see [`tcp_core::Wait::LongPool`].
    fn may_take_long(&self, request: &Request<'_>) -> bool {
        let _ = request;
        false
    }

    /// Takes note of an exchange that has ended; the place for an access log. Must not block.
    fn record(&self, exchange: &Exchange<'_>) {
        let _ = exchange;
    }
}

/// What [`Handler::answer`] decides.
pub enum Answer {
    /// The response is ready. Content of the request that has not come yet is discarded.
    Respond(Response),
    /// The response depends on the request's content, which goes to this receiver first. Only
    /// POST, PUT, PATCH and methods that this crate does not know have content to receive; with the
    /// others, as without content, the receiver is just asked to finish.
    Receive(Box<dyn Receiver>),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer::Respond(response)
    }
}

/// Takes in the content of one request. Dropped before `finish` when the content never came whole:
/// what was taken in is then to be forgotten.
pub trait Receiver: Send {
    /// Takes the next octets, in order, on a pool thread. An `Err` is the final answer; the rest of
    /// the content is not asked for.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Response>;

    /// The content is complete, as its framing said; called on a pool thread. `request` is the one
    /// that the receiver was made for: what it asks for may have to be judged again, since its
    /// content can have taken long to come.
    fn finish(self: Box<Self>, request: &Request<'_>) -> Response;
}
