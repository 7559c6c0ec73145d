//! Which rule holds for a path and a user.

use super::*;

/// Checks rows of path, user (`-` for none) and right.
fn check(rules: &str, rows: &[(&str, &str, &str)]) {
    let access = access(&format!("{ALICE}\n{BOB}\n{rules}"));
    for (at, user, expected) in rows {
        let user = Some(*user).filter(|user| *user != "-");
        let right = access.right_of(user, &path(at));
        assert_eq!(right.name(), *expected, "{at} for {user:?}");
    }
}

#[test]
fn without_a_rule_users_may_everything_and_others_nothing() {
    check("", &[("/", "alice", "write"), ("/a/b", "bob", "write"), ("/", "-", "none")]);
    check("", &[("/", "nobody", "none")]);
}

#[test]
fn the_longest_prefix_counts_in_whole_segments() {
    check(
        "/ * read\n/a/ * none\n/a/b alice write\n/a/b/c * read\n/d%20e/%66 * write",
        &[
            ("/", "-", "read"),
            ("/x", "-", "read"),
            ("/x", "alice", "read"),
            ("/a", "-", "none"),
            ("/a/", "-", "none"),
            ("/a/x/y", "alice", "none"),
            ("/ab", "-", "read"),
            ("/a/b", "-", "none"),
            ("/a/b", "alice", "write"),
            ("/a/b/", "alice", "write"),
            ("/a/b/x/y", "alice", "write"),
            ("/a/bc", "alice", "none"),
            ("/a/b", "bob", "none"),
            ("/a/b/c/d", "alice", "read"),
            ("/a/b/c/d", "-", "read"),
            ("/d%20e/f", "-", "write"),
            ("/d%20e/f/g", "bob", "write"),
            ("/%61/x", "-", "none"),
            ("/x/../a", "-", "none"),
            ("//a//b/", "alice", "write"),
        ],
    );
}

#[test]
fn at_one_prefix_the_users_own_rule_counts() {
    check(
        "/ * none\n/ alice read\n/a * read\n/a/b alice none\n/a/b * none\n/a bob write",
        &[
            ("/", "alice", "read"),
            ("/", "bob", "none"),
            ("/a", "alice", "read"),
            ("/a", "bob", "write"),
            ("/a/b", "bob", "none"),
            ("/a/b", "alice", "none"),
        ],
    );
}

#[test]
fn a_user_may_be_kept_from_what_users_may() {
    check(
        "/a bob none",
        &[("/a", "bob", "none"), ("/a", "alice", "write"), ("/b", "bob", "write")],
    );
}

#[test]
fn another_case_never_gives_more() {
    let rules = "/ * read\n/Private * none\n/private/open * read\n/B alice write\n/b * none";
    check(
        rules,
        &[
            ("/Private/x", "-", "none"),
            ("/private/x", "-", "none"),
            ("/PRIVATE/x", "-", "none"),
            ("/private/open", "-", "read"),
            // Beneath a rule as it is written, but not beneath the one for what is open.
            ("/Private/OPEN", "-", "none"),
            // Wherever it leads to, there is a rule that lets her.
            ("/B", "alice", "write"),
            ("/b", "alice", "none"),
            ("/B", "-", "none"),
        ],
    );
    // Letters beyond ASCII have no other case here.
    check("/ * read\n/%C3%89 * none", &[("/%C3%89", "-", "none"), ("/%C3%A9", "-", "read")]);
}

#[test]
fn a_user_has_at_least_what_anyone_has() {
    // Folding brings the two rules together.
    check("/A alice none\n/a * read", &[("/a", "-", "read"), ("/a", "alice", "read")]);
}

#[test]
fn the_least_that_anyone_has_everywhere() {
    for (rules, expected) in [
        ("", Right::None),
        ("/ * read", Right::Read),
        ("/ * write", Right::Write),
        ("/a * read", Right::None),
        ("/ * write\n/a/b * read", Right::Read),
        ("/ * read\n/a * none\n/a/b * write", Right::None),
        ("/ * read\n/a alice write", Right::Read),
    ] {
        assert_eq!(access(&format!("{ALICE}\n{rules}")).everywhere(), expected, "{rules}");
    }
}

#[test]
fn a_long_path_costs_no_more_than_its_rules() {
    let rules = access("/a/b * read");
    let deep = path(&"/a/b".repeat(1000));
    assert_eq!(rules.right_of(None, &deep), Right::Read);
}
