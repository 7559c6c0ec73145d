//! Names everything that can be wrong with a file of users and rights, each with a way out.

use std::io;

use super::credentials::NAME_BYTES_MAX;
use super::file::{FILE_BYTES_MAX, RULES_MAX, USERS_MAX};
use super::hash::HashFault;
use super::rights::Right;
use crate::refusal::Refusal;

/// Why a file of users and rights cannot be used. What it says is one sentence and holds neither
/// hashes nor what might be a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Something is wrong with a line.
    #[error("line {line}: {fault}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        fault: Fault,
    },
    /// The file cannot be read, or the system has no randomness to give.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file goes on for too long.
    #[error("the file is longer than 1 MiB - leave out what is no user and no right")]
    FileTooLong,
    /// More than [`USERS_MAX`].
    #[error("there are more than {USERS_MAX} users - leave some out")]
    TooManyUsers,
    /// More than [`RULES_MAX`].
    #[error(
        "there are more than {RULES_MAX} rights - leave some out, or give them for a directory"
    )]
    TooManyRules,
    /// Octets that are no text.
    #[error("this is not UTF-8 - save the file as that, and write other bytes of a path as %FF")]
    NotText,
    /// No colon, and no slash in front.
    #[error(
        "this is neither a user, NAME:HASH, nor a right, PATH WHO none|read|write - make a user \
         with: httpd hash-password NAME"
    )]
    Neither,
    /// A name that no client could send, or that would mean something else.
    #[error("{0} - choose another one")]
    Name(#[from] UnfitName),
    /// A hash that will not do.
    #[error("the password of {name:?} {fault} - make the line anew: httpd hash-password NAME")]
    Hash {
        /// Whose.
        name: String,
        /// Why.
        fault: HashFault,
    },
    /// Two lines for a user.
    #[error("{name:?} has a password in line {first} already - remove one of the two")]
    DuplicateUser {
        /// Who.
        name: String,
        /// The other line.
        first: usize,
    },
    /// Not three words.
    #[error("a right takes three words - write: PATH WHO none|read|write, a space in PATH as %20")]
    NoRight,
    /// A third word that is none of the three.
    #[error("the last word is no right - write none, read or write")]
    UnknownRight,
    /// Not the path of a URL.
    #[error("{0} - write the path as in a URL: a space as %20, a percent sign as %25")]
    Path(Refusal),
    /// A right for nobody.
    #[error("there is no user {0:?} - add a line for them: httpd hash-password NAME")]
    UnknownUser(String),
    /// Two rights for the same user or for anyone, on the same path.
    #[error("line {first} says so, or otherwise, already - remove one of the two")]
    DuplicateRule {
        /// The other line.
        first: usize,
    },
    /// A user would have less than who is not known.
    #[error(
        "{name:?} would have less here than anyone, who may {anyone}, and need only not say who \
         they are - take it from anyone: {path} * none"
    )]
    Vain {
        /// Who.
        name: String,
        /// What anyone has: `read` or `write`.
        anyone: &'static str,
        /// Where, as in a URL.
        path: String,
    },
}

/// Why a name is no name for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitName {
    /// Nobody is called so.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("the name is longer than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// RFC 7617 §2: a colon ends the name.
    #[error("the name holds a colon")]
    Colon,
    /// RFC 7617 §2.
    #[error("the name holds a control character")]
    ControlCharacter,
    /// A line of the file would be read as something else.
    #[error("a name cannot start with / or # or a space, nor end in a space")]
    Edge,
    /// That is what anyone is called in a right.
    #[error("the name * stands for anyone")]
    Anyone,
}

/// Checks that a user can be called so: in the file, and by their browser.
///
/// # Errors
/// The reason why not.
pub fn check_name(name: &str) -> Result<(), UnfitName> {
    match name {
        "" => Err(UnfitName::Empty),
        "*" => Err(UnfitName::Anyone),
        _ if name.len() > NAME_BYTES_MAX => Err(UnfitName::TooLong),
        _ if name.contains(':') => Err(UnfitName::Colon),
        _ if name.contains(char::is_control) => Err(UnfitName::ControlCharacter),
        _ if name.starts_with(['/', '#']) || name.trim() != name => Err(UnfitName::Edge),
        _ => Ok(()),
    }
}

impl Right {
    /// The word for it in the file.
    pub fn name(self) -> &'static str {
        match self {
            Right::None => "none",
            Right::Read => "read",
            Right::Write => "write",
        }
    }
}

const _: () = assert!(FILE_BYTES_MAX == 1024 * 1024, "as the message says");
