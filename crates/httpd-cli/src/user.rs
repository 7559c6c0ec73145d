//! Decides whom the server runs as: who has started it, or, from root, a user with fewer rights.

use anyhow::{Context, Result, anyhow};
use nix::unistd::{
    Gid, Group, Uid, User, geteuid, getgroups, getresgid, getresuid, setgroups, setresgid,
    setresuid, setuid,
};

/// Root's own group.
const ROOT: Gid = Gid::from_raw(0);

/// Somebody to become, who is not root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: Uid,
    gid: Gid,
    /// As it was asked for.
    name: String,
}

/// Looks up who `NAME[:GROUP]` is, each a name or a number.
///
/// # Errors
/// When there is no such user or group, or it is root, or of root's group without its being named.
pub(crate) fn find(text: &str) -> Result<Identity> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let found = User::from_name(user).with_context(|| format!("cannot look up user '{user}'"))?;
    let (uid, own_group) = match (found, user.parse()) {
        (Some(found), _) => (found.uid, Some(found.gid)),
        (None, Ok(number)) => {
            let entry = User::from_uid(Uid::from_raw(number)).ok().flatten();
            (Uid::from_raw(number), entry.map(|entry| entry.gid))
        }
        (None, Err(_)) => {
            return Err(anyhow!("there is no user '{user}' - try: --user nobody"));
        }
    };
    if uid.is_root() {
        return Err(anyhow!("to run as root gives nothing up - try: --user nobody"));
    }
    let gid = choose(user, group.map(find_group).transpose()?, own_group)?;
    if gid == ROOT {
        log::warn!("--user {text}: files of root's group are open to this server");
    }
    Ok(Identity { uid, gid, name: text.to_owned() })
}

/// The group that was named, or else the user's own. Root's is only had by name: much can be
/// read, and now and then written, by it.
fn choose(user: &str, named: Option<Gid>, own: Option<Gid>) -> Result<Gid> {
    match (named, own) {
        (Some(gid), _) => Ok(gid),
        (None, Some(ROOT)) => Err(anyhow!(
            "the group of user {user} is root's - try: --user {user}:GROUP, with 0 if it is meant"
        )),
        (None, Some(gid)) => Ok(gid),
        (None, None) => {
            Err(anyhow!("user {user} has no group of its own - try: --user {user}:GROUP"))
        }
    }
}

fn find_group(group: &str) -> Result<Gid> {
    let found = Group::from_name(group).with_context(|| format!("cannot look up '{group}'"))?;
    match (found, group.parse()) {
        (Some(found), _) => Ok(found.gid),
        (None, Ok(number)) => Ok(Gid::from_raw(number)),
        (None, Err(_)) => Err(anyhow!("there is no group '{group}'")),
    }
}

impl Identity {
    /// Becomes that user for good, with that one group. All threads of the process do.
    ///
    /// # Errors
    /// When only root could, or when it could be undone.
    pub(crate) fn assume(&self) -> Result<()> {
        if !geteuid().is_root() {
            return Err(anyhow!(
                "only root can run as another user - try: sudo httpd, or leave out --user"
            ));
        }
        let failed = || format!("cannot run as {}", self.name);
        // Groups first: without root's rights they could not be given up any more.
        setgroups(&[self.gid]).with_context(failed)?;
        setresgid(self.gid, self.gid, self.gid).with_context(failed)?;
        setresuid(self.uid, self.uid, self.uid).with_context(failed)?;
        match self.is_final().with_context(failed)? {
            true => Ok(()),
            false => Err(anyhow!("cannot run as {}: root's rights could be had again", self.name)),
        }
    }

    /// Whether nothing of root is left, in any of the places where the kernel keeps it, but its
    /// group if that was asked for.
    fn is_final(&self) -> nix::Result<bool> {
        let (users, groups) = (getresuid()?, getresgid()?);
        let is_user = [users.real, users.effective, users.saved].iter().all(|uid| *uid == self.uid);
        let is_group =
            [groups.real, groups.effective, groups.saved].iter().all(|gid| *gid == self.gid);
        // Rights that a container was told to keep would let this succeed.
        let is_stuck = setuid(Uid::from_raw(0)).is_err();
        Ok(is_user && is_group && is_stuck && getgroups()?.iter().all(|gid| *gid == self.gid))
    }

    /// The user's and the group's number.
    pub(crate) fn ids(&self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (uid {}, gid {})", self.name, self.uid, self.gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number_with_a_group_or_without() {
        for (text, ids) in [
            ("4242:4343", (4242, 4343)),
            ("4242:root", (4242, 0)),
            // Debian and others give it different groups.
            ("65534:1", (65534, 1)),
        ] {
            assert_eq!(find(text).expect(text).ids(), ids, "{text}");
        }
    }

    #[test]
    fn who_cannot_be_told_from_root_or_is_not_there_is_refused() {
        for (text, expected) in [
            ("root", "to run as root gives nothing up - try: --user nobody"),
            ("0", "to run as root gives nothing up - try: --user nobody"),
            ("no-such-user", "there is no user 'no-such-user' - try: --user nobody"),
            ("", "there is no user '' - try: --user nobody"),
            ("-1", "there is no user '-1' - try: --user nobody"),
            ("4242:no-such-group", "there is no group 'no-such-group'"),
            ("4242424", "user 4242424 has no group of its own - try: --user 4242424:GROUP"),
        ] {
            assert_eq!(find(text).expect_err(text).to_string(), expected, "{text}");
        }
    }
    #[test]
    fn the_group_of_root_is_had_only_by_its_name() {
        let (other, root) = (Gid::from_raw(4343), ROOT);
        let chosen = |named, own| choose("eve", named, own).map_err(|error| error.to_string());
        assert_eq!(chosen(None, Some(other)), Ok(other));
        assert_eq!(chosen(Some(other), Some(root)), Ok(other));
        assert_eq!(chosen(Some(root), Some(other)), Ok(root));
        let expected =
            "the group of user eve is root's - try: --user eve:GROUP, with 0 if it is meant";
        assert_eq!(chosen(None, Some(root)), Err(expected.to_owned()));
    }
}
