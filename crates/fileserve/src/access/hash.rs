//! Decides whether a password is the one that a hash was made of, and which hashes will do.

use std::io;

use argon2::password_hash::phc;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use sha_crypt::ShaCrypt;

use super::credentials::PASSWORD_BYTES_MAX;

/// The most memory for a hash, in KiB: four times what RFC 9106 §4 advises where memory is scarce.
/// As many hashes are computed at once as there are cores.
const ARGON2_KIB_MAX: u32 = 256 * 1024;

/// The most KiB that one hash may go over, counted each time: some four seconds of work.
const ARGON2_KIB_PASSES_MAX: u64 = 4 * 1024 * 1024;

/// The highest cost of bcrypt: that of `htpasswd`, some seven seconds of work.
const BCRYPT_COST_MAX: u32 = 17;

/// How much of a password bcrypt looks at, in octets.
const BCRYPT_BYTES_MAX: usize = 72;

/// The most rounds of sha-crypt: about a second of work.
const SHA_CRYPT_ROUNDS_MAX: u32 = 1_000_000;

/// The salt of a new hash, in octets: RFC 9106 §4.
const SALT_BYTES: usize = 16;

/// A hash of a password, of a scheme that can be checked. Never shown: it has no `Debug`.
pub(super) enum PasswordHash {
    /// `$argon2id$`
    Argon2(Box<phc::PasswordHash>),
    /// `$2y$`, `$2b$` or `$2a$`
    Bcrypt(Box<str>),
    /// `$5$` or `$6$`
    ShaCrypt(Box<str>),
}

/// Why a hash will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// One that is computed so fast that passwords can be tried by the billion.
    #[error("is hashed with {0}, which is guessed too fast")]
    Weak(&'static str),
    /// Perhaps none at all.
    #[error("is there as plain text, or hashed with the old crypt, which is guessed too fast")]
    Plain,
    /// A scheme that is not known here.
    #[error("is hashed in a way that is not known here")]
    Unknown,
    /// Not what the scheme makes.
    #[error("has a hash that is damaged ({0})")]
    Damaged(&'static str),
    /// One whose check would hold up everybody else.
    #[error("has a hash that takes too much time or memory ({0})")]
    Costly(&'static str),
}

/// A hash could not be computed for want of memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfMemory;

impl PasswordHash {
    /// Reads a hash as `htpasswd`, `argon2` or [`hash_password`] write it.
    pub(super) fn parse(text: &str) -> Result<PasswordHash, HashFault> {
        // Behind the dollar sign in front, up to the next one.
        match text.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
            Some(("argon2id", _)) => parse_argon2(text),
            Some(("2y" | "2b" | "2a", _)) => parse_bcrypt(text),
            Some(("5", rest)) => parse_sha_crypt(text, rest, 43),
            Some(("6", rest)) => parse_sha_crypt(text, rest, 86),
            Some(("apr1" | "1", _)) => Err(HashFault::Weak("MD5")),
            Some(_) => Err(HashFault::Unknown),
            None if text.starts_with("{SHA}") || text.starts_with("{SSHA}") => {
                Err(HashFault::Weak("SHA-1"))
            }
            None if text.starts_with(['$', '{']) => Err(HashFault::Unknown),
            None => Err(HashFault::Plain),
        }
    }

    /// Whether the hash is that of `password`. Takes milliseconds to seconds, as it should, and up
    /// to [`ARGON2_KIB_MAX`].
    pub(super) fn is_of(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        let verified = match self {
            PasswordHash::Argon2(hash) => Argon2::default().verify_password(password, &**hash),
            PasswordHash::Bcrypt(hash) => {
                // All that begin alike would be good. Hashed nevertheless, so that the time it
                // takes says nothing of the scheme.
                let fits = password.len() <= BCRYPT_BYTES_MAX;
                return Ok(bcrypt::verify(password, hash).is_ok_and(|is_same| is_same && fits));
            }
            PasswordHash::ShaCrypt(hash) => ShaCrypt::default().verify_password(password, &**hash),
        };
        match verified {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            // The hash has been read before, so that nothing else can be wrong with it.
            Err(_) => Err(OutOfMemory),
        }
    }
}

fn parse_argon2(text: &str) -> Result<PasswordHash, HashFault> {
    let damaged = HashFault::Damaged("argon2id");
    let hash = phc::PasswordHash::new(text).map_err(|_| damaged)?;
    let params = Params::try_from(&hash).map_err(|_| damaged)?;
    if hash.salt.is_none() || hash.hash.is_none() || !matches!(hash.version, Some(16 | 19)) {
        return Err(damaged);
    }
    let kib_passes = u64::from(params.m_cost()) * u64::from(params.t_cost());
    match params.m_cost() <= ARGON2_KIB_MAX && kib_passes <= ARGON2_KIB_PASSES_MAX {
        true => Ok(PasswordHash::Argon2(Box::new(hash))),
        false => Err(HashFault::Costly("argon2id")),
    }
}

fn parse_bcrypt(text: &str) -> Result<PasswordHash, HashFault> {
    let damaged = HashFault::Damaged("bcrypt");
    match text.parse::<bcrypt::HashParts>().map_err(|_| damaged)?.get_cost() {
        4..=BCRYPT_COST_MAX => Ok(PasswordHash::Bcrypt(text.into())),
        18..=31 => Err(HashFault::Costly("bcrypt")),
        _ => Err(damaged),
    }
}

/// `rest` is what follows the scheme: `[rounds=N$]SALT$HASH`, with a HASH of `hash_len`.
fn parse_sha_crypt(text: &str, rest: &str, hash_len: usize) -> Result<PasswordHash, HashFault> {
    let damaged = HashFault::Damaged("sha-crypt");
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (digits, rest) = rest.split_once('$').ok_or(damaged)?;
            (digits.parse().map_err(|_| damaged)?, rest)
        }
        None => (sha_crypt::Params::RECOMMENDED_ROUNDS, rest),
    };
    let (salt, hash) = rest.split_once('$').ok_or(damaged)?;
    let is_whole = (1..=16).contains(&salt.len())
        && salt.bytes().all(is_base64)
        && hash.len() == hash_len
        && hash.bytes().all(is_base64)
        && rounds >= sha_crypt::Params::ROUNDS_MIN;
    match is_whole {
        true if rounds > SHA_CRYPT_ROUNDS_MAX => Err(HashFault::Costly("sha-crypt")),
        true if sha_crypt::PasswordHashRef::new(text).is_ok() => {
            Ok(PasswordHash::ShaCrypt(text.into()))
        }
        _ => Err(damaged),
    }
}

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitPassword {
    /// Then it would be none.
    #[error("the password is empty")]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// One that no client could send (RFC 7617 §2).
    #[error("the password holds a control character")]
    ControlCharacter,
    /// The system's fault.
    #[error("the password cannot be hashed: {0}")]
    System(io::Error),
}

/// Hashes `password` for a line of the file that [`Access`](super::Access) reads: Argon2id with
/// 19 MiB and two passes, as OWASP advises for passwords, and a salt from the system.
///
/// # Errors
/// When no client could send it, or there is no memory or no randomness.
pub fn hash_password(password: &[u8]) -> Result<String, UnfitPassword> {
    match password.len() {
        0 => return Err(UnfitPassword::Empty),
        1..=PASSWORD_BYTES_MAX => {}
        _ => return Err(UnfitPassword::TooLong),
    }
    if password.iter().any(u8::is_ascii_control) {
        return Err(UnfitPassword::ControlCharacter);
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| UnfitPassword::System(error.into()))?;
    let hash = Argon2::default().hash_password_with_salt(password, &salt);
    let hash = hash.map_err(|error| UnfitPassword::System(io::Error::other(error)))?;
    Ok(hash.to_string())
}
