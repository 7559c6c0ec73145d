//! Users, passwords and rights as a request meets them.

mod file;
mod hashes;
mod judging;
mod rights;

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_proto::{Limits, RequestHead};

use super::*;

/// `correct horse`, by argon2-cffi, with the least memory that it takes.
const ALICE: &str = "alice:$argon2id$v=19$m=64,t=1,p=1$GOHzMvh/W9F5hDFeFSRnRQ$\
    d1eBVh+l3/qa4j0TMfeSJ4pZzX6hDanaCokXHOQscPA";

/// `correct horse`, by `htpasswd -B -C 4`.
const BOB: &str = "bob:$2y$04$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Ydy";

const GOOD: &str = "correct horse";

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn access(text: &str) -> Access {
    Access::parse(text.as_bytes()).expect(text)
}

fn path(path: &str) -> RelPath {
    RelPath::parse(path, true).expect(path)
}

/// 2026-11-22 and so many milliseconds.
fn time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_371_226) + Duration::from_millis(milliseconds)
}

/// A request for a path, with or without credentials.
struct Asked {
    head: String,
    path: RelPath,
    wanted: Right,
    peer: IpAddr,
    now: SystemTime,
}

impl Asked {
    /// To read `at`, from [`PEER`], without credentials.
    fn read(at: &str) -> Asked {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
        Asked { head, path: path(at), wanted: Right::Read, peer: PEER, now: time(0) }
    }

    fn write(at: &str) -> Asked {
        Asked { wanted: Right::Write, ..Asked::read(at) }
    }

    fn by(mut self, name: &str, password: &str) -> Asked {
        let credentials = STANDARD.encode(format!("{name}:{password}"));
        self.head.push_str(&format!("Authorization: Basic {credentials}\r\n"));
        self
    }

    fn from(self, peer: IpAddr) -> Asked {
        Asked { peer, ..self }
    }

    fn at(self, now: SystemTime) -> Asked {
        Asked { now, ..self }
    }

    fn with_fields<T>(&self, then: impl FnOnce(&Fields<'_>) -> T) -> T {
        let head = format!("{}\r\n", self.head);
        let head = RequestHead::parse(head.as_bytes(), &Limits::default()).expect("a good head");
        then(&head.fields)
    }

    /// The user for whom it is allowed (`-` for who is not known), or why not, in a word.
    fn judged(&self, access: &Access, reach: Reach) -> String {
        let judged = self.with_fields(|fields| {
            let user = access.judge(fields, self.peer, &self.path, self.wanted, reach, self.now);
            user.map(|user| user.unwrap_or("-").to_owned())
        });
        match judged {
            Ok(user) => user,
            Err(Stop::WouldBlock) => "would-block".to_owned(),
            Err(Stop::Refused(refusal)) => refusal.reason().to_owned(),
        }
    }

    /// The same on a pool thread, where a password may be hashed.
    fn on_disk(&self, access: &Access) -> String {
        self.judged(access, Reach::Disk)
    }

    fn in_memory(&self, access: &Access) -> String {
        self.judged(access, Reach::Memory)
    }

    /// Whom the log would name.
    fn logged(&self, access: &Access) -> Option<String> {
        self.with_fields(|fields| access.user_of(fields).map(str::to_owned))
    }
}
