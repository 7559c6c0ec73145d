//! Decides who may do what: users with passwords, and rights on paths, read from a file.
//!
//! ```text
//! request -> Credentials -> Users (is it known that they are good?)
//!                             |  no, and anyone may not: on a pool thread
//!                             v
//!                           Guesses (may this address try another?) -> Places -> a hash
//!         -> Rights (what this user, or anyone, may do with the path)
//! ```
//!
//! A request is judged by its path alone, before a file is looked up, so that a refusal never tells
//! whether there is one. What anyone may do takes no lock and no hash. A good password is hashed
//! once for as long as the process lives, on a pool thread; from then on it costs a digest.
//!
//! Trade-offs: rights go by the path that is asked for, so a symbolic link leads past the rules for
//! where it leads to. How often an address may guess is bounded, but not how many addresses there
//! are; behind a proxy all clients have one.

pub(crate) mod credentials;
mod fault;
mod file;
mod guesses;
mod hash;
mod places;
mod rights;
#[cfg(test)]
mod tests;
mod users;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use http_proto::Fields;

pub use self::credentials::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX};
pub use self::fault::{AccessError, Fault, UnfitName, check_name};
pub use self::file::{FILE_BYTES_MAX, RULES_MAX, USERS_MAX};
pub use self::hash::{HashFault, UnfitPassword, hash_password};
pub use self::rights::Right;

use self::credentials::{BUFFER, Credentials, Encoded};
use self::guesses::{Guesses, Turn};
use self::places::Places;
use self::rights::{Rights, Who};
use self::users::{Claim, Users};
use crate::files::{Reach, Stop};
use crate::path::RelPath;
use crate::refusal::Refusal;
use crate::root::FileId;

/// Who may do what.
///
/// # Example: everybody reads, one writes
/// ```
/// use fileserve::access::{Access, hash_password};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hash = hash_password(b"correct horse")?;
/// let access = Access::parse(format!("alice:{hash}\n/ * read\n/ alice write\n").as_bytes())?;
/// assert_eq!((access.users(), access.rules()), (1, 2));
/// # Ok(())
/// # }
/// ```
pub struct Access {
    users: Users,
    rights: Rights,
    guesses: Guesses,
    places: Places,
    identity: Option<FileId>,
    everywhere: Right,
}

impl Access {
    /// Reads users and rights from `text`, of which each line is one of
    ///
    /// - `NAME:HASH`, as `htpasswd` writes it with bcrypt (`$2y$`, `$2b$`, `$2a$`) or sha-crypt
    ///   (`$5$`, `$6$`), or with Argon2 (`$argon2id$`) as [`hash_password`] does;
    /// - `PATH WHO none|read|write`, where the path is that of a URL and covers what is beneath it,
    ///   and WHO is a user's name or `*` for anyone;
    /// - nothing, or a remark behind `#`.
    ///
    /// The rule of the longest path counts; of two for the same, the user's own. Without any, users
    /// may write and others nothing. A user may do what anyone may. Where names differ in the case
    /// of ASCII letters, the lower right of the two counts.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with the number of the line; or when the system has
    /// no randomness to give.
    pub fn parse(text: &[u8]) -> Result<Access, AccessError> {
        let file::Contents { users, rights } = file::parse(text)?;
        // A hash takes a core, or, if it waits for memory, nobody is served by another one.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Access {
            users: Users::new(users, text)?,
            // Two for each that is being tried, of the four threads that the pool has by default.
            guesses: Guesses::new(2 * cores),
            places: Places::new(cores, 2 * cores),
            identity: None,
            everywhere: rights.everywhere(),
            rights,
        })
    }

    /// [`parse`](Access::parse) for the content of `file`, which is from then on to be kept from
    /// clients: see [`identity`](Access::identity).
    ///
    /// # Errors
    /// As for `parse`, and when it cannot be read.
    pub fn load(file: &File) -> Result<Access, AccessError> {
        let mut text = Vec::new();
        // An octet more shows that it is too long; and no device goes on for ever.
        file.take(FILE_BYTES_MAX as u64 + 4).read_to_end(&mut text)?;
        let facts = file.metadata()?;
        // What else there is, as a pipe, has no name that could be served.
        let identity = FileId { device: facts.dev(), inode: facts.ino() };
        let identity = facts.is_file().then_some(identity);
        Ok(Access { identity, ..Access::parse(&text)? })
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// How many rules there are for paths.
    pub fn rules(&self) -> usize {
        self.rights.len()
    }

    /// The file that all this is from, if it was one: whoever could read it could guess at the
    /// passwords without being slowed.
    pub fn identity(&self) -> Option<FileId> {
        self.identity
    }

    /// The least that anyone may do, whatever the path. What does not take more need not be judged.
    pub fn everywhere(&self) -> Right {
        self.everywhere
    }

    /// Whether a request may do with `path` what takes the right `wanted`, and the name of the user
    /// that it is from, if that is known.
    ///
    /// What anyone may do is never refused, be there wrong credentials: browsers go on to send old
    /// ones. Nor are they hashed then, so that whose they are is only known if they were good
    /// before. `now` is the time of the request.
    ///
    /// # Errors
    /// `Unauthorized` without credentials, or with wrong ones; `NoRight` with good ones;
    /// `TooManyFailures` or `Busy` where they are not even looked at; and `WouldBlock` where that
    /// would take a hash, unless `reach` is the disk.
    pub(crate) fn judge(
        &self,
        fields: &Fields<'_>,
        peer: IpAddr,
        path: &RelPath,
        wanted: Right,
        reach: Reach,
        now: SystemTime,
    ) -> Result<Option<&str>, Stop> {
        let anyone_may = || self.rights.of(Who::Anyone, path) >= wanted;
        let mut buffer;
        let claimed = match Encoded::of(fields) {
            Some(sent) => {
                buffer = BUFFER;
                let credentials = Credentials::read(sent, &mut buffer);
                credentials
                    .and_then(|credentials| Some((self.users.claim(&credentials)?, credentials)))
            }
            None => None,
        };
        let user = match claimed {
            Some((claim, _)) if self.users.is_good(&claim) => claim.user(),
            _ if anyone_may() => return Ok(None),
            Some((claim, credentials)) => {
                self.check(&claim, credentials.password, peer, reach, now)?;
                claim.user()
            }
            None => return Err(Refusal::Unauthorized.into()),
        };
        match self.rights.of(Who::User(user), path) >= wanted {
            true => Ok(Some(self.users.name(user))),
            false => Err(Refusal::NoRight.into()),
        }
    }

    /// The user that a request is from, which may take a hash; nobody if that cannot be found out
    /// now, or the password is wrong.
    pub(crate) fn identify(
        &self,
        fields: &Fields<'_>,
        peer: IpAddr,
        now: SystemTime,
    ) -> Option<&str> {
        let sent = Encoded::of(fields)?;
        let mut buffer = BUFFER;
        let credentials = Credentials::read(sent, &mut buffer)?;
        let claim = self.users.claim(&credentials)?;
        let is_good = self.users.is_good(&claim)
            || self.check(&claim, credentials.password, peer, Reach::Disk, now).is_ok();
        is_good.then(|| self.users.name(claim.user()))
    }

    /// Whether a rule is for this very path, and not for one above it only.
    pub(crate) fn has_rule_at(&self, path: &RelPath) -> bool {
        self.rights.has_rule_at(path)
    }

    /// The user that a request is from, if that is known without a hash: for the log.
    pub(crate) fn user_of(&self, fields: &Fields<'_>) -> Option<&str> {
        let sent = Encoded::of(fields)?;
        let mut buffer = BUFFER;
        let claim = self.users.claim(&Credentials::read(sent, &mut buffer)?)?;
        self.users.is_good(&claim).then(|| self.users.name(claim.user()))
    }

    /// What `user`, or whoever is not known, may do with `path`.
    pub(crate) fn right_of(&self, user: Option<&str>, path: &RelPath) -> Right {
        let user = user.and_then(|name| self.users.find(name));
        self.rights.of(user.map_or(Who::Anyone, Who::User), path)
    }

    /// Whether there is a user who may write to `path`.
    pub(crate) fn is_writable(&self, path: &RelPath) -> bool {
        (0..self.users.len()).any(|user| self.rights.of(Who::User(user), path) >= Right::Write)
    }

    /// Finds out whether a claim is true, which takes a hash.
    fn check(
        &self,
        claim: &Claim,
        password: &[u8],
        peer: IpAddr,
        reach: Reach,
        now: SystemTime,
    ) -> Result<(), Stop> {
        let later = |seconds| Stop::from(Refusal::TooManyFailures { seconds });
        if reach == Reach::Memory {
            // Those who guess are told so at once, and hold no thread of the pool.
            return Err(self.guesses.pause(peer, now).map_or(Stop::WouldBlock, later));
        }
        let attempt = match self.guesses.turn(peer, now, || self.users.is_good(claim)) {
            Turn::Now(attempt) => attempt,
            Turn::Settled => return Ok(()),
            Turn::Later(seconds) => return Err(later(seconds)),
            Turn::Busy => return Err(Refusal::Busy.into()),
        };
        let Some(_place) = self.places.take() else { return Err(Refusal::Busy.into()) };
        match self.users.check(claim, password) {
            Ok(true) => Ok(()),
            Ok(false) => {
                attempt.failed();
                Err(Refusal::Unauthorized.into())
            }
            Err(hash::OutOfMemory) => Err(Refusal::OutOfMemory.into()),
        }
    }
}

/// Says how many there are of what, and nothing of it.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("users", &self.users())
            .field("rules", &self.rules())
            .finish_non_exhaustive()
    }
}
