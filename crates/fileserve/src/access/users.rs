//! Decides who a user is, and remembers whose password was good.
//!
//! A good password is remembered as a keyed digest, once for each user: there is only one that is
//! good, since the file is read once and no scheme here takes two. So a [`OnceLock`] for each user
//! is all it takes: reading it is one load, nothing is ever locked or replaced, and the file bounds
//! how many there are.

use std::io;
use std::sync::OnceLock;

use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::credentials::Credentials;
use super::hash::{OutOfMemory, PasswordHash};

type Keyed = Hmac<Sha256>;

/// The users of a file.
pub(super) struct Users {
    /// In the order of their names.
    users: Vec<User>,
    /// Over credentials that were good. The key is the process's own, so that what is kept in
    /// memory is worth nothing elsewhere.
    digests: Keyed,
    /// Chooses whose hash is computed for a name that is nobody's. The key stands for the file, so
    /// that a name has the same one after the next start as well.
    decoys: Keyed,
}

/// A line of the file that stands for a user.
pub(super) struct User {
    /// As it is sent.
    pub(super) name: Box<str>,
    /// Of the password.
    pub(super) hash: PasswordHash,
    good: OnceLock<CtOutput<Keyed>>,
}

impl User {
    pub(super) fn new(name: &str, hash: PasswordHash) -> User {
        User { name: name.into(), hash, good: OnceLock::new() }
    }
}

/// Who somebody says they are, which may be true.
pub(super) struct Claim {
    /// Their place, or, if the name is nobody's, that of the user who stands in.
    user: usize,
    /// Whether the name is somebody's.
    is_known: bool,
    digest: CtOutput<Keyed>,
}

impl Claim {
    /// The user's place, once the claim has been found to be true.
    pub(super) fn user(&self) -> usize {
        self.user
    }
}

impl Users {
    /// `users` in the order of their names, no two alike; `text` is the file they are from.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn new(users: Vec<User>, text: &[u8]) -> io::Result<Users> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Users { users, digests: keyed(&key), decoys: keyed(&Sha256::digest(text)) })
    }

    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// The place of the user called `name`.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.users.binary_search_by(|user| (*user.name).cmp(name)).ok()
    }

    /// The name of the user at a place.
    pub(super) fn name(&self, user: usize) -> &str {
        self.users.get(user).map_or("", |user| &user.name)
    }

    /// What `credentials` say; `None` where there is no user at all.
    pub(super) fn claim(&self, credentials: &Credentials<'_>) -> Option<Claim> {
        let found = self.find(credentials.name);
        let user = found.or_else(|| self.decoy(credentials.name))?;
        let digest = self.digests.clone().chain_update(credentials.whole).finalize();
        Some(Claim { user, is_known: found.is_some(), digest })
    }

    /// Whether it is known to be true, without a password being hashed.
    pub(super) fn is_good(&self, claim: &Claim) -> bool {
        let good = self.users.get(claim.user).and_then(|user| user.good.get());
        // In constant time.
        good.is_some_and(|good| *good == claim.digest) && claim.is_known
    }

    /// Finds out whether it is true, by hashing the `password` that came with it. A name that is
    /// nobody's costs the hash of somebody: it takes as long as if it were a user's, and of what
    /// scheme that user's is tells nothing.
    pub(super) fn check(&self, claim: &Claim, password: &[u8]) -> Result<bool, OutOfMemory> {
        let Some(user) = self.users.get(claim.user) else { return Ok(false) };
        let is_good = user.hash.is_of(password)? && claim.is_known;
        if is_good {
            // Someone else may have done so meanwhile, with the same password.
            let _ = user.good.set(claim.digest.clone());
        }
        Ok(is_good)
    }

    /// Whoever stands in for a name that is nobody's: always the same for a name, and nobody more
    /// often than another. Were it the costliest to check, cheaper hashes would show who exists.
    fn decoy(&self, name: &str) -> Option<usize> {
        let digest = self.decoys.clone().chain_update(name).finalize().into_bytes();
        let number = digest.iter().take(8).fold(0, |number, &b| number << 8 | u64::from(b));
        let count = u64::try_from(self.users.len()).ok()?;
        usize::try_from(number.checked_rem(count)?).ok()
    }
}

fn keyed(key: &[u8]) -> Keyed {
    Keyed::new_from_slice(key).expect("HMAC takes a key of any length")
}
