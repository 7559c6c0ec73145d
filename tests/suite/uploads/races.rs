//! A hundred clients for one name: conditions are judged when the content gets its place, so that
//! exactly one of them wins (RFC 9110 §13.1.1, §13.1.2: no update is lost).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use conformance::client::Client;
use conformance::response::Response;
use conformance::server::Server;

use super::{
    Meeting, SOON, Versions, ask, assert_only, connect, get, head, put, put_head, wait_until,
    writable,
};

const RACERS: usize = 100;
/// Names that are raced for in turn, so that luck has to hold for long.
const RACES: usize = 3;

/// How a race is started.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// All send their requests whole at the same time.
    Whole,
    /// All have sent all but the last octet before the first sends its last one: each request was
    /// found fit when its head came.
    LastOctet,
}

/// One request for each racer, and what each was answered.
#[track_caller]
fn race(server: &Server, start: Start, requests: &[Vec<u8>]) -> Vec<Response> {
    let (connected, begun) = (Meeting::of(requests.len()), Meeting::of(requests.len()));
    thread::scope(|scope| {
        let (connected, begun) = (&connected, &begun);
        let run = |request: &Vec<u8>| -> Result<Response, String> {
            let mut client = connect(server);
            let held_back = match start {
                Start::Whole => request.len(),
                Start::LastOctet => 1,
            };
            let (early, late) = request.split_at(request.len() - held_back);
            connected.wait();
            client.send(early).map_err(|e| e.to_string())?;
            if matches!(start, Start::LastOctet) {
                wait_taken(&mut client, early);
            }
            begun.wait();
            client.send(late).map_err(|e| e.to_string())?;
            client.response()
        };
        let racers: Vec<_> =
            requests.iter().map(|request| scope.spawn(move || run(request))).collect();
        let answers = racers.into_iter().map(|racer| racer.join().expect("no racer panics"));
        answers.map(|answer| answer.expect("an answer")).collect()
    })
}

/// Waits until the server has asked for the content that `early` announces, so has judged the head.
fn wait_taken(client: &mut Client, early: &[u8]) {
    if early.windows(12).any(|part| part == b"100-continue") {
        let interim = client.response().expect("an interim answer");
        assert_eq!(interim.status, 100);
    }
}

fn contents() -> Versions {
    Versions::new(1 << 10..=8 << 10)
}

/// A PUT of each version from 1, on the condition in `fields`.
fn puts(start: Start, path: &str, fields: &str) -> Vec<Vec<u8>> {
    let expect = match start {
        Start::Whole => "",
        Start::LastOctet => "Expect: 100-continue\r\n",
    };
    let versions = contents();
    let request = |version: usize| {
        let content = versions.content(version as u32);
        let head = put_head(path, &format!("{fields}{expect}"), content.len());
        [head.as_bytes(), &content].concat()
    };
    (1..=RACERS).map(request).collect()
}

/// That exactly one was answered `won` and all others `lost`; which one it was, counted from 1.
#[track_caller]
fn winner(answers: &[Response], won: u16, lost: u16, what: &str) -> u32 {
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    let counts = [(won, count(won)), (lost, count(lost))];
    assert_eq!(counts, [(won, 1), (lost, answers.len() - 1)], "{what}");
    let place = answers.iter().position(|answer| answer.status == won);
    place.expect("there is one") as u32 + 1
}

/// That `/path` holds the winner's content, under the tag that the winner was told.
#[track_caller]
fn assert_holds(server: &Server, path: &str, answers: &[Response], won: u32, what: &str) {
    let (content, tag) = settled(&mut connect(server), path);
    assert_eq!(contents().read(&content), Ok(won), "{what}");
    assert_eq!(answers[won as usize - 1].field("ETag"), Some(tag), "{what}");
}

#[test]
fn of_a_hundred_puts_that_want_a_new_file_one_makes_it() {
    let server = writable();
    let mut names = Vec::new();
    for start in [Start::Whole, Start::LastOctet] {
        for number in 0..RACES {
            names.push(format!("{start:?}-{number}"));
            let path = format!("/{start:?}-{number}");
            let answers = race(&server, start, &puts(start, &path, "If-None-Match: *\r\n"));
            let won = winner(&answers, 201, 412, &path);
            assert_holds(&server, &path, &answers, won, &path);
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_only(server.root(), &names, "in the end");
}

#[test]
fn of_a_hundred_puts_over_the_version_that_all_have_seen_one_is_taken() {
    let server = writable();
    for start in [Start::Whole, Start::LastOctet] {
        for number in 0..RACES {
            let path = format!("/{start:?}-{number}");
            let tag = made(&server, &path);
            let answers = race(&server, start, &puts(start, &path, &if_match(&tag)));
            let won = winner(&answers, 204, 412, &path);
            assert_holds(&server, &path, &answers, won, &path);
        }
    }
}

#[test]
fn of_a_hundred_deletes_of_the_version_that_all_have_seen_one_does_it() {
    let server = writable();
    for number in 0..RACES {
        let path = format!("/{number}");
        let delete = head("DELETE", &path, &if_match(&made(&server, &path))).into_bytes();
        let answers = race(&server, Start::Whole, &vec![delete; RACERS]);
        let count = |of: &[u16]| answers.iter().filter(|a| of.contains(&a.status)).count();
        // To who comes later, the file is missing, which is a 404 before it is a 412.
        assert_eq!((count(&[200, 204]), count(&[404, 412])), (1, RACERS - 1), "{path}");
        assert_eq!(get(&server, &path), None, "{path}");
    }
    assert_only(server.root(), &[], "in the end");
}

#[test]
fn of_puts_and_deletes_of_one_version_one_has_its_way() {
    let server = writable();
    for start in [Start::Whole, Start::LastOctet] {
        for number in 0..RACES {
            let path = format!("/{start:?}-{number}");
            let condition = if_match(&made(&server, &path));
            let mut requests = puts(start, &path, &condition);
            // Every second one; it has no content to wait for, and sends what it has.
            for request in requests.iter_mut().skip(1).step_by(2) {
                *request = head("DELETE", &path, &condition).into_bytes();
            }
            let answers = race(&server, start, &requests);
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            let winners: Vec<usize> =
                (0..RACERS).filter(|place| matches!(statuses[*place], 200 | 204)).collect();
            let lost = statuses.iter().filter(|status| matches!(status, 404 | 412)).count();
            assert_eq!((winners.len(), lost), (1, RACERS - 1), "{path}: {statuses:?}");
            let (place, is_delete) = (winners[0] as u32, winners[0] % 2 == 1);
            match is_delete {
                true => assert_eq!(get(&server, &path), None, "{path}"),
                false => assert_holds(&server, &path, &answers, place + 1, &path),
            }
        }
    }
}

#[test]
fn a_number_in_a_file_that_many_count_up_loses_no_count() {
    const COUNTERS: usize = 8;
    const EACH: usize = 8;
    /// Each that fails was overtaken by one that did not, and of those there are so many.
    const TRIES_MAX: usize = COUNTERS * EACH;
    let server = writable();
    put(&mut connect(&server), "/count", "", b"0").unwrap();
    let overtaken = AtomicUsize::new(0);
    let count_up = || {
        let mut client = connect(&server);
        for _ in 0..EACH {
            let mut tries = 0;
            loop {
                tries += 1;
                assert!(tries <= TRIES_MAX, "overtaken by more than there are");
                let (count, tag) = settled(&mut client, "/count");
                let next = (number(&count) + 1).to_string();
                let answer = put(&mut client, "/count", &if_match(&tag), next.as_bytes());
                match answer.expect("an answer").status {
                    204 => break,
                    412 => overtaken.fetch_add(1, Ordering::Relaxed),
                    status => panic!("{status}"),
                };
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..COUNTERS {
            scope.spawn(count_up);
        }
    });
    let count = get(&server, "/count").expect("it is there");
    let overtaken = overtaken.into_inner();
    assert_eq!(number(&count), COUNTERS * EACH, "{overtaken} were told to try again");
}

fn number(content: &[u8]) -> usize {
    std::str::from_utf8(content).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// The content of a file, and its tag as soon as that is strong.
///
/// Of a file that has just been changed the tag is weak, with which If-Match never succeeds
/// (RFC 9110 §13.1.1).
#[track_caller]
fn settled(client: &mut Client, path: &str) -> (Vec<u8>, String) {
    let mut seen = None;
    let is_strong = || {
        let response = ask(client, "GET", path, "").expect("an answer");
        let tag = response.field("ETag").expect("a tag");
        let is_strong = !tag.starts_with("W/");
        seen = Some((response.body, tag));
        is_strong
    };
    assert!(wait_until(SOON, is_strong), "{path} is never left alone");
    seen.expect("it was read")
}

/// Makes a file and says its tag.
#[track_caller]
fn made(server: &Server, path: &str) -> String {
    let answer = put(&mut connect(server), path, "", &contents().content(0)).expect("an answer");
    assert_eq!(answer.status, 201, "{path}");
    answer.field("ETag").expect("a tag of what was stored")
}

fn if_match(tag: &str) -> String {
    format!("If-Match: {tag}\r\n")
}
