//! Decides what a file of users and rights says.
//!
//! ```text
//! # NAME:HASH, as htpasswd writes them, or PATH WHO none|read|write
//! alice:$argon2id$v=19$m=19456,t=2,p=1$...
//! /         *      read
//! /drop/    alice  write
//! ```

use std::collections::{BTreeMap, HashMap};

use super::fault::{AccessError, Fault, check_name};
use super::hash::PasswordHash;
use super::rights::{Right, Rights, Who};
use super::users::User;
use crate::path::RelPath;

/// The longest file, in octets: room for [`USERS_MAX`] users with Argon2 hashes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The most users. More want a database.
pub const USERS_MAX: usize = 10_000;

/// The most rules.
pub const RULES_MAX: usize = 10_000;

/// Users in the order of their names, and what they may do.
pub(super) struct Contents {
    pub(super) users: Vec<User>,
    pub(super) rights: Rights,
}

/// What the lines say, taken apart: users by their names, with the numbers of their lines.
type Lines<'t> = (BTreeMap<&'t str, (usize, User)>, Vec<Rule<'t>>);

/// A rule as it stands there, with the number of its line.
type Rule<'t> = (usize, RelPath, &'t str, Right);

/// Reads the file.
pub(super) fn parse(text: &[u8]) -> Result<Contents, AccessError> {
    let (users, rules) = lines(text)?;
    if let Some((line, ..)) = rules.get(RULES_MAX) {
        return Err(at(*line, Fault::TooManyRules));
    }
    let users: Vec<User> = users.into_values().map(|(_, user)| user).collect();
    let rights = rights(&users, &rules)?;
    Ok(Contents { users, rights })
}

fn at(line: usize, fault: impl Into<Fault>) -> AccessError {
    AccessError::Line { line, fault: fault.into() }
}

/// Takes the lines apart. What users there are is only known at the end.
fn lines(text: &[u8]) -> Result<Lines<'_>, AccessError> {
    let (mut users, mut rules) = (BTreeMap::new(), Vec::new());
    // Editors of another system put a mark in front.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if let Some(kept) = text.get(..FILE_BYTES_MAX).filter(|_| text.len() > FILE_BYTES_MAX) {
        let line = kept.split(|&b| b == b'\n').count();
        return Err(at(line, Fault::FileTooLong));
    }
    for (octets, line) in text.split(|&b| b == b'\n').zip(1..) {
        let said = std::str::from_utf8(octets).map_err(|_| at(line, Fault::NotText))?.trim();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        if said.starts_with('/') {
            let (path, who, right) = rule(said).map_err(|fault| at(line, fault))?;
            rules.push((line, path, who, right));
            continue;
        }
        let user = user(said).map_err(|fault| at(line, fault))?;
        let (name, _) = said.split_once(':').unwrap_or_default();
        if let Some((first, _)) = users.insert(name, (line, user)) {
            return Err(at(line, Fault::DuplicateUser { name: name.to_owned(), first }));
        }
        if users.len() > USERS_MAX {
            return Err(at(line, Fault::TooManyUsers));
        }
    }
    Ok((users, rules))
}

/// `NAME:HASH`, perhaps with a colon and a remark behind it, which Apache ignores as well.
fn user(said: &str) -> Result<User, Fault> {
    let (name, rest) = said.split_once(':').ok_or(Fault::Neither)?;
    check_name(name)?;
    let hash = rest.split(':').next().unwrap_or_default();
    let hash =
        PasswordHash::parse(hash).map_err(|fault| Fault::Hash { name: name.to_owned(), fault })?;
    Ok(User::new(name, hash))
}

/// `PATH WHO RIGHT`; there may be spaces inside a name.
fn rule(said: &str) -> Result<(RelPath, &str, Right), Fault> {
    let (path, rest) = said.split_once(char::is_whitespace).ok_or(Fault::NoRight)?;
    let (who, right) = rest.trim().rsplit_once(char::is_whitespace).ok_or(Fault::NoRight)?;
    let right = [Right::None, Right::Read, Right::Write].into_iter().find(|r| r.name() == right);
    // With every name, since `--hidden` may show them.
    let path = RelPath::parse(path, true).map_err(Fault::Path)?;
    Ok((path, who.trim(), right.ok_or(Fault::UnknownRight)?))
}

/// Gives the rules to those whom they are for. `users` is in the order of the names.
fn rights(users: &[User], rules: &[Rule<'_>]) -> Result<Rights, AccessError> {
    let mut rights = Rights::new();
    let mut said = HashMap::new();
    let mut of_users = Vec::new();
    for (line, path, name, right) in rules {
        let who = match *name {
            "*" => Who::Anyone,
            name => {
                check_name(name).map_err(|unfit| at(*line, unfit))?;
                let found = users.binary_search_by(|user| (*user.name).cmp(name));
                Who::User(found.map_err(|_| at(*line, Fault::UnknownUser(name.to_owned())))?)
            }
        };
        // `/a` and `/a/` are the same.
        if let Some(first) = said.insert((path.as_bytes(), who), *line) {
            return Err(at(*line, Fault::DuplicateRule { first }));
        }
        rights.add(path, who, *right);
        of_users.push((line, path, who, *name));
    }
    for (line, path, who, name) in of_users {
        if let Some(anyone) = rights.in_vain(who, path) {
            let (name, path) = (name.to_owned(), path.to_url_path());
            return Err(at(*line, Fault::Vain { name, anyone: anyone.name(), path }));
        }
    }
    Ok(rights)
}
