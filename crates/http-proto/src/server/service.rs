//! Makes a session for each connection, all of one handler and one configuration.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tcp_core::{Accepted, NoRoom, Now, Pace, Service};

use super::rates::Rates;
use super::session::HttpSession;
use super::{Exchange, Handler};
use crate::assembly::{Persistence, ResponseFraming, ResponseHead};
use crate::{FieldBlock, HttpDate, Limits, Status};

/// HTTP/1.1 over tcp-core: a [`tcp_core::Service`] that answers with a [`Handler`].
#[derive(Debug)]
pub struct Http<H> {
    shared: Arc<Shared<H>>,
}

/// What all sessions of a server have in common.
#[derive(Debug)]
pub(crate) struct Shared<H> {
    pub(crate) handler: H,
    pub(crate) config: Config,
    /// `None` where nobody counts.
    pub(crate) rates: Option<Rates>,
}

/// How long a session waits for what, and what it says of itself. `Config::default()` fits most.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bounds on requests.
    pub limits: Limits,
    /// From the first octet of a head to its last, however they drip; a new connection's first
    /// octet must come within it, too, counted from when the kernel hands the connection over: at
    /// once with that octet, after a second or two without. Beyond: 408, or just a close where
    /// nothing came. Default: 10 s.
    pub head_timeout: Duration,
    /// How long a connection may be idle between requests. Beyond: close. Default: 60 s.
    pub idle_timeout: Duration,
    /// How fast a request's content must come. Slower: 408.
    pub content_pace: Pace,
    /// How many requests a second an address may send on average, and five seconds' worth at once.
    /// Beyond: 429. Counted for each IPv4 address, and for each 64 bits of IPv6. Default: `None`,
    /// any number. A proxy in front has one address for all.
    pub rate_per_address: Option<NonZeroU32>,
    /// The Server field; empty for none. A product name without a version: RFC 9110 §10.2.4 warns
    /// of needless detail.
    pub server: &'static str,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            limits: Limits::default(),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            content_pace: Pace::default(),
            rate_per_address: None,
            server: "httpd",
        }
    }
}

impl<H: Handler> Http<H> {
    /// Serves `handler` with the default configuration.
    pub fn new(handler: H) -> Http<H> {
        Http::with_config(handler, Config::default())
    }

    /// Serves `handler` within the bounds of `config`.
    pub fn with_config(handler: H, config: Config) -> Http<H> {
        let rates = config.rate_per_address.map(Rates::new);
        Http { shared: Arc::new(Shared { handler, config, rates }) }
    }
}

impl<H: Handler> Service for Http<H> {
    type Session = HttpSession<H>;

    fn open(&self, accepted: &Accepted) -> HttpSession<H> {
        HttpSession::new(Arc::clone(&self.shared), *accepted)
    }

    fn is_spoken_to_first(&self) -> bool {
        true
    }

    /// 503 with Retry-After (RFC 9110 §15.6.4): the client may be luckier in a second. It is an
    /// answer like any other, and recorded like one.
    fn refusal(&self, accepted: &Accepted, why: NoRoom, now: Now) -> Vec<u8> {
        let page = crate::error_page::html(Status::SERVICE_UNAVAILABLE);
        let mut fields = FieldBlock::default();
        fields.push("Content-Type", crate::error_page::CONTENT_TYPE.as_bytes());
        fields.push("Retry-After", b"1");
        let mut out = Vec::new();
        let head = ResponseHead {
            status: Status::SERVICE_UNAVAILABLE,
            fields: &fields,
            framing: ResponseFraming::Length(page.len() as u64),
            persistence: Persistence::Close,
            date: HttpDate::from(now.wall),
            server: self.shared.config.server,
        };
        head.write(&mut out);
        out.extend_from_slice(&page);
        self.shared.handler.record(&Exchange {
            peer: accepted.peer,
            worker: accepted.worker,
            at: now.wall,
            duration: Duration::ZERO,
            line: b"",
            head: None,
            status: Status::SERVICE_UNAVAILABLE,
            sent: page.len() as u64,
            reason: Some(match why {
                NoRoom::Server => "full",
                NoRoom::Address => "address-full",
            }),
        });
        out
    }
}
