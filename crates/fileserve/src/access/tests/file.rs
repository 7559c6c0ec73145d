//! What a file says, and what is wrong with one.

use std::io::{Seek, Write};

use super::*;

/// What is told of a file that will not do.
fn told(text: &[u8]) -> String {
    Access::parse(text).map(|_| ()).expect_err("something is wrong").to_string()
}

#[test]
fn lines_are_users_rights_and_remarks() {
    let text = format!("# users\n\n  {ALICE}\t\r\n{BOB}:a remark\n/ * read\r\n \t/a \t bob  write");
    let access = access(&text);
    assert_eq!((access.users(), access.rules()), (2, 2));
    assert_eq!(access.right_of(Some("bob"), &path("/a")), Right::Write);
    assert_eq!(access.right_of(None, &path("/a")), Right::Read);
    assert_eq!((super::access("").users(), super::access("\u{feff}/ * read").rules()), (0, 1));
}

#[test]
fn a_name_may_hold_spaces_and_signs() {
    let text = format!("J\u{f6}rg  de Vries{}\n/ J\u{f6}rg  de Vries read", &ALICE[5..]);
    let access = access(&text);
    assert_eq!(access.right_of(Some("J\u{f6}rg  de Vries"), &path("/")), Right::Read);
}

#[test]
fn a_mistake_is_told_with_its_line_and_a_way_out() {
    let anew = "make the line anew: httpd hash-password NAME";
    let weak = |how| {
        format!(
            "line 1: the password of \"a\" is hashed with {how}, which is guessed \
                              too fast - {anew}"
        )
    };
    let plain = format!(
        "line 1: the password of \"a\" is there as plain text, or hashed with the \
                         old crypt, which is guessed too fast - {anew}"
    );
    let unknown =
        format!("line 1: the password of \"a\" is hashed in a way that is not known here - {anew}");
    let neither = "line 2: this is neither a user, NAME:HASH, nor a right, PATH WHO \
                   none|read|write - make a user with: httpd hash-password NAME";
    let three = "line 1: a right takes three words - write: PATH WHO none|read|write, a space in \
                 PATH as %20";
    for (text, expected) in [
        ("a:$apr1$SECRET$wzH7BWsR8hfFStJQiIeg.1", weak("MD5")),
        ("a:$1$SECRET$wzH7BWsR8hfFStJQiIeg.1", weak("MD5")),
        ("a:{SHA}SECRETsUqKYSrqv18O1FlA3hcIHI=", weak("SHA-1")),
        ("a:SECRET", plain.clone()),
        ("a:rnSECRETzxQvc", plain.clone()),
        ("a:", plain),
        ("a:$y$j9T$SECRET$x", unknown.clone()),
        ("a:$argon2i$v=19$m=64,t=1,p=1$SECRET$x", unknown.clone()),
        ("a:$SECRET", unknown.clone()),
        ("a:{PBKDF2}SECRET", unknown),
        ("#\nSECRET", neither.into()),
        (":SECRET", "line 1: the name is empty - choose another one".into()),
        ("*:SECRET", "line 1: the name * stands for anyone - choose another one".into()),
        (
            "a :SECRET",
            "line 1: a name cannot start with / or # or a space, nor end in a space - choose \
             another one"
                .into(),
        ),
        ("a\tb:SECRET", "line 1: the name holds a control character - choose another one".into()),
        ("/", three.into()),
        ("/ *", three.into()),
        ("/ read", three.into()),
        ("\n/ * rite", "line 2: the last word is no right - write none, read or write".into()),
        ("/ * read # all", "line 1: the last word is no right - write none, read or write".into()),
        (
            "/a% * read",
            "line 1: the path holds an invalid percent-escape - write the path as in a URL: a \
             space as %20, a percent sign as %25"
                .into(),
        ),
        (
            "/a/../../b * read",
            "line 1: the path leads out of the root - write the path as in a URL: a space as %20, \
             a percent sign as %25"
                .into(),
        ),
        (
            "/ eve read",
            "line 1: there is no user \"eve\" - add a line for them: httpd hash-password NAME"
                .into(),
        ),
        (
            "/a/ * read\n\n/%61 * none",
            "line 3: line 1 says so, or otherwise, already - remove one of the two".into(),
        ),
    ] {
        let told = told(text.as_bytes());
        assert_eq!(told, expected, "{text}");
        assert!(!told.contains("SECRET"), "what may be a password is not shown: {told}");
    }
}

#[test]
fn mistakes_with_users() {
    assert_eq!(
        told(format!("{ALICE}\n{BOB}\n{ALICE}").as_bytes()),
        "line 3: \"alice\" has a password in line 1 already - remove one of the two"
    );
    assert_eq!(
        told(format!("{BOB}\n/ * read\n/a%20b bob none").as_bytes()),
        "line 3: \"bob\" would have less here than anyone, who may read, and need only not say \
         who they are - take it from anyone: /a%20b * none"
    );
    let sound = format!("{BOB}\n/ * read\n/a%20b bob none\n/a%20b * none");
    assert_eq!(access(&sound).right_of(Some("bob"), &path("/a%20b/c")), Right::None);
    let long = "n".repeat(NAME_BYTES_MAX);
    assert_eq!(access(&format!("{long}{}", &BOB[3..])).users(), 1);
    for text in [format!("{long}n{}", &BOB[3..]), format!("/ {long}n read")] {
        let expected = "line 1: the name is longer than 255 bytes - choose another one";
        assert_eq!(told(text.as_bytes()), expected);
    }
    assert_eq!(
        told(b"#\n/\xff * read"),
        "line 2: this is not UTF-8 - save the file as that, and write other bytes of a path as %FF"
    );
}

#[test]
fn the_file_has_bounds() {
    let rules = |count: usize| -> String { (0..count).map(|n| format!("/{n} * read\n")).collect() };
    assert_eq!(access(&rules(RULES_MAX)).rules(), RULES_MAX);
    let many = told(rules(RULES_MAX + 1).as_bytes());
    assert!(many.starts_with("line 10001: there are more than 10000 rights - "), "{many}");
    let users =
        |count: usize| -> String { (0..count).map(|n| format!("{n}{}\n", &BOB[3..])).collect() };
    assert_eq!(access(&users(USERS_MAX)).users(), USERS_MAX);
    let many = told(users(USERS_MAX + 1).as_bytes());
    assert!(many.starts_with("line 10001: there are more than 10000 users - "), "{many}");
    let remarks = "#\n".repeat(FILE_BYTES_MAX / 2);
    assert_eq!(access(&remarks).users(), 0);
    let long = told(format!("{remarks}#").as_bytes());
    assert!(long.contains("the file is longer than 1 MiB - "), "{long}");
}

#[test]
fn a_file_is_known_by_its_identity() {
    let mut file = tempfile::tempfile().expect("a file");
    writeln!(file, "{ALICE}\n/ * read").expect("written");
    file.rewind().expect("it can be read again");
    let access = Access::load(&file).expect("a good file");
    let facts = file.metadata().expect("facts");
    let identity = FileId { device: facts.dev(), inode: facts.ino() };
    assert_eq!((access.identity(), access.users()), (Some(identity), 1));
    let device = File::open("/dev/null").expect("it is there");
    assert_eq!(Access::load(&device).expect("an empty one").identity(), None);
    let endless = File::open("/dev/zero").expect("it is there");
    let told = Access::load(&endless).map(|_| ()).expect_err("it has no end").to_string();
    assert!(told.contains("longer than 1 MiB"), "{told}");
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?}", access(&format!("{ALICE}\n{BOB}\n/ * read")));
    assert_eq!(shown, "Access { users: 2, rules: 1, .. }");
}
