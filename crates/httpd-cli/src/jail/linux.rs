//! What only Linux has: landlock, by which a thread gives up what it may open.
//!
//! Another system answers [`Jailed::Unavailable`], unless it has something like `unveil`.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, PathFdError,
    RestrictSelf, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};

use super::{Jailed, Rules, Use};

/// The last extent of landlock whose rights have been looked at, one by one, for what a running
/// server needs of them. An older kernel enforces those that it knows.
const KNOWN: ABI = ABI::V10;

/// Forbids the calling thread to open anything but what the rules allow, and what else there is to
/// forbid.
pub(super) fn restrict(rules: &Rules) -> Jailed<u32> {
    let abi = match extent() {
        Ok(LandlockStatus::Available { effective_abi, .. }) => effective_abi,
        Ok(LandlockStatus::NotEnabled) => {
            return Jailed::Unavailable("landlock is turned off in this kernel");
        }
        // ENOSYS, or whatever else a filter of system calls answers; EPERM is usual.
        Ok(LandlockStatus::NotImplemented) => {
            return Jailed::Unavailable("this kernel has no landlock, or a container forbids it");
        }
        Err(error) => return Jailed::Failed(error.to_string()),
    };
    let moves = rules.all().any(|(_, what)| what == Use::Write { directories: true });
    if abi < ABI::V2 && moves {
        // An upload is finished before the directories above it are made, and then moved there.
        return Jailed::Unavailable(
            "this kernel's landlock (ABI 1) has no moves between directories (--directories)",
        );
    }
    match enforce(rules) {
        Ok(RulesetStatus::NotEnforced) => Jailed::Failed("nothing is enforced".to_owned()),
        Ok(_) => Jailed::Inside(abi as u32),
        Err(why) => Jailed::Failed(why),
    }
}

/// What the kernel has, without asking for any of it.
fn extent() -> Result<LandlockStatus, RulesetError> {
    Ok(RestrictSelf::default().no_new_privs(false).apply()?.landlock)
}

/// All is forbidden that can be, but for the rules; or why it is not.
fn enforce(rules: &Rules) -> Result<RulesetStatus, String> {
    let mut ruleset = forbid().map_err(in_words)?;
    for (path, what) in rules.all() {
        ruleset = allow(ruleset, path, what)?;
    }
    Ok(ruleset.restrict_self().map_err(in_words)?.ruleset)
}

fn forbid() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        // What is listened at is bound already, and to accept takes no right.
        .handle_access(AccessNet::from_all(KNOWN))?
        // Abstract sockets of others, and signals to them.
        .scope(Scope::from_all(KNOWN))?
        .create()
}

fn allow(rules: RulesetCreated, path: &Path, what: Use) -> Result<RulesetCreated, String> {
    let opened = match PathFd::new(path) {
        Ok(opened) => opened,
        // What is not there, or may not be passed, is told of by whoever opens it.
        Err(PathFdError::OpenCall { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
        {
            return Ok(rules);
        }
        // Or nothing there could be opened for good, for want of a descriptor now.
        Err(error) => return Err(in_words(error)),
    };
    // A pipe or a socket is on no file system: nothing forbids it, and nothing can allow it.
    let is_elsewhere = what == Use::KeepOne && path.canonicalize().is_err();
    match is_elsewhere {
        true => Ok(rules),
        false => rules.add_rule(PathBeneath::new(opened, rights(what))).map_err(in_words),
    }
}

fn in_words(error: impl Display) -> String {
    error.to_string()
}

fn rights(what: Use) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Devices, FIFOs and sockets are never made, and nothing is run. Nor is a link made; but a file
    // that replaces one changes places with it, which landlock takes for making it.
    let write = AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::MakeSym
        | AccessFs::RemoveFile
        | AccessFs::Refer
        | AccessFs::Truncate;
    match what {
        Use::Read => read,
        Use::Write { directories: false } => read | write,
        Use::Write { directories: true } => read | write | AccessFs::MakeDir | AccessFs::RemoveDir,
        // Half a line that a full disk has taken is cut off again.
        Use::Keep => read | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::Truncate,
        // The log's last line is looked at.
        Use::KeepOne => AccessFs::ReadFile | AccessFs::WriteFile,
    }
}
