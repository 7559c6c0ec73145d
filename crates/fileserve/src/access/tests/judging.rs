//! What becomes of a request: allowed, asked who it is from, refused, or put off.

use std::thread;

use super::*;

const RULES: &str = "/ * read\n/drop alice write\n/private * none\n/private alice read";

fn served() -> Access {
    access(&format!("{ALICE}\n{BOB}\n{RULES}"))
}

#[test]
fn rights_and_credentials_decide() {
    let none = |asked| asked;
    let alice = |asked: Asked| asked.by("alice", GOOD);
    let bob = |asked: Asked| asked.by("bob", GOOD);
    let wrong = |asked: Asked| asked.by("alice", "wrong");
    let unknown = |asked: Asked| asked.by("eve", GOOD);
    let rows: [(Asked, &str); 14] = [
        (none(Asked::read("/")), "-"),
        (none(Asked::read("/private/x")), "unauthorized"),
        (none(Asked::write("/drop/x")), "unauthorized"),
        (alice(Asked::read("/private/x")), "alice"),
        (alice(Asked::write("/private/x")), "no-right"),
        (alice(Asked::write("/drop/x")), "alice"),
        (alice(Asked::write("/x")), "no-right"),
        (bob(Asked::read("/private/x")), "no-right"),
        (bob(Asked::write("/drop/x")), "no-right"),
        (wrong(Asked::read("/private/x")), "unauthorized"),
        (wrong(Asked::read("/x")), "-"),
        (unknown(Asked::read("/private/x")), "unauthorized"),
        (unknown(Asked::read("/x")), "-"),
        (bob(Asked::read("/x")), "-"),
    ];
    for (row, (asked, expected)) in rows.into_iter().enumerate() {
        // Each with an address and a memory of its own.
        assert_eq!(asked.on_disk(&served()), expected, "row {row}");
    }
}

#[test]
fn a_password_is_hashed_once_and_only_on_a_pool_thread() {
    let access = served();
    let asked = Asked::read("/private/x").by("alice", GOOD);
    let public = Asked::read("/x").by("alice", GOOD);
    assert_eq!(asked.in_memory(&access), "would-block");
    assert_eq!((public.in_memory(&access), public.logged(&access)), ("-".into(), None));
    assert_eq!(asked.on_disk(&access), "alice");
    // From now on it is known.
    let _all: Vec<_> = std::iter::from_fn(|| access.places.take()).collect();
    assert_eq!(asked.in_memory(&access), "alice");
    assert_eq!(public.in_memory(&access), "alice");
    assert_eq!(public.logged(&access).as_deref(), Some("alice"));
    let wrong = Asked::read("/private/x").by("alice", "wrong");
    assert_eq!((wrong.in_memory(&access), wrong.logged(&access)), ("would-block".into(), None));
    assert_eq!(wrong.on_disk(&access), "busy", "all places are taken");
}

#[test]
fn a_name_that_is_nobodys_costs_as_much_and_is_never_good() {
    // Whoever stands in for it has this password, too.
    let access = access(ALICE);
    let asked = Asked::read("/").by("eve", GOOD);
    let known = Asked::read("/").by("alice", GOOD);
    assert_eq!(known.on_disk(&access), "alice");
    assert_eq!(asked.in_memory(&access), "would-block");
    {
        let _all: Vec<_> = std::iter::from_fn(|| access.places.take()).collect();
        assert_eq!(asked.on_disk(&access), "busy", "it would be hashed");
    }
    assert_eq!((asked.on_disk(&access), asked.logged(&access)), ("unauthorized".into(), None));
}

#[test]
fn without_users_nobody_is_good() {
    let asked = Asked::read("/").by("eve", GOOD);
    assert_eq!(asked.in_memory(&access("/a * read")), "unauthorized");
    assert_eq!(asked.in_memory(&access("/ * read")), "-");
}

#[test]
fn who_stands_in_stays_the_same_and_is_everybody_in_turn() {
    let text: String = ["a", "b", "c"].iter().map(|n| format!("{n}{}\n", &BOB[3..])).collect();
    let (one, other) = (access(&text), access(&text));
    let stands_in = |access: &Access, name: &str| {
        Asked::read("/").by(name, "x").with_fields(|fields| {
            let mut buffer = BUFFER;
            let sent = Encoded::of(fields).expect("credentials");
            let credentials = Credentials::read(sent, &mut buffer).expect("good ones");
            access.users.claim(&credentials).expect("there are users").user()
        })
    };
    let mut counts = [0; 3];
    for number in 0..300 {
        let name = format!("nobody{number}");
        assert_eq!(stands_in(&one, &name), stands_in(&other, &name), "after the next start");
        counts[stands_in(&one, &name)] += 1;
    }
    assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
}

#[test]
fn failures_are_slowed_but_not_for_who_is_known() {
    let access = served();
    let good = |ms| Asked::read("/private/").by("alice", GOOD).at(time(ms));
    let wrong = |ms| Asked::read("/private/").by("bob", "wrong").at(time(ms));
    assert_eq!(good(0).on_disk(&access), "alice");
    assert_eq!(wrong(0).on_disk(&access), "unauthorized");
    for asked in [wrong(100), wrong(249), Asked::read("/private/").by("bob", GOOD)] {
        assert_eq!(asked.on_disk(&access), "too-many-failures");
        assert_eq!(asked.in_memory(&access), "too-many-failures", "no thread is held");
    }
    assert_eq!(good(100).in_memory(&access), "alice");
    assert_eq!(Asked::read("/").by("bob", "wrong").in_memory(&access), "-", "for anyone");
    assert_eq!(Asked::read("/private/").on_disk(&access), "unauthorized", "without any");
    let elsewhere = wrong(100).from("192.0.2.8".parse().expect("an address"));
    assert_eq!(elsewhere.on_disk(&access), "unauthorized");
    assert_eq!(wrong(250).in_memory(&access), "would-block");
    assert_eq!(wrong(250).on_disk(&access), "unauthorized");
    assert_eq!(wrong(700).on_disk(&access), "too-many-failures");
}

#[test]
fn what_was_not_hashed_is_no_failure() {
    let access = served();
    let wrong = Asked::read("/private/").by("bob", "wrong");
    {
        let _all: Vec<_> = std::iter::from_fn(|| access.places.take()).collect();
        assert_eq!(wrong.on_disk(&access), "busy");
    }
    assert_eq!(wrong.on_disk(&access), "unauthorized", "not put off");
}

#[test]
fn of_guesses_at_once_from_one_address_one_is_tried() {
    let access = served();
    let outcomes: Vec<String> = thread::scope(|scope| {
        let guess = |number| {
            let access = &access;
            scope.spawn(move || {
                Asked::read("/private/").by("bob", &format!("wrong{number}")).on_disk(access)
            })
        };
        let guesses: Vec<_> = (0..16).map(guess).collect();
        guesses.into_iter().map(|guess| guess.join().expect("no panic")).collect()
    });
    let tried = outcomes.iter().filter(|outcome| *outcome == "unauthorized").count();
    assert_eq!(tried, 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|o| ["unauthorized", "too-many-failures", "busy"].contains(&&**o)));
}
