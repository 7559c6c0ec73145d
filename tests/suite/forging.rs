//! That no client forges a line of a log or of a form: each request is one line of the log, in
//! printable ASCII, and each form one line of JSON, whatever names and values hold.

use std::fs;

use conformance::client::Client;
use conformance::server::{Server, ServerOptions, Signal};
use serde_json::Value;

use crate::lifecycle::SOON;

/// Line ends, quotes, backslashes, a field separator, what moves a terminal's cursor (in ASCII, as
/// a C1 octet, in UTF-8), octets that are no UTF-8, and what some take for a line end.
const EVIL: &[u8] =
    b"a\r\nb\nc\rd\" 200 1 \"-\" \"\\\\x22\t\x1b[2J\x07\x7f\x9b31m\xc2\x9b2J\xff\xfe\
                      \xe2\x80\xa8\xc2\x85{}%0d%0a\x01\x08\x0b";

/// The same without what no field may hold.
const FIELD: &[u8] =
    b"a\" 200 1 \"-\" \"\\\\x22\t\\\" \x9b31m\xc2\x9b2J\xff\xfe\xe2\x80\xa8\xc2\x85%0d%0a";

fn request(line: &[u8], fields: &[u8], content: &[u8]) -> Vec<u8> {
    let head =
        format!("\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n", content.len());
    [line, b" HTTP/1.1", head.as_bytes(), fields, b"\r\n", content].concat()
}

fn percent_encoded(octets: &[u8]) -> Vec<u8> {
    octets.iter().flat_map(|octet| format!("%{octet:02X}").into_bytes()).collect()
}

/// A form that names `octets` as a browser does, and as others do, beside a field of that name.
fn form_data(octets: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    for (octet, escape) in [(b'"', "%22"), (b'"', "\\\"")] {
        let name: Vec<u8> = (octets.iter())
            .filter(|&&b| b == b'\r' || b == b'\n' || b >= b' ' && b != 0x7f)
            .flat_map(|&b| match b {
                b'\r' => b"%0D".to_vec(),
                b'\n' => b"%0A".to_vec(),
                b if b == octet => escape.as_bytes().to_vec(),
                b => vec![b],
            })
            .collect();
        let head = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"";
        content.extend([&head[..], &name, b"\"\r\n\r\nx\r\n"].concat());
    }
    content.extend(b"--b--\r\n");
    content
}

/// What must be one line each: first what is done, then what is refused.
fn requests() -> Vec<Vec<u8>> {
    let escaped = percent_encoded(EVIL);
    let agent = [b"User-Agent: ", FIELD, b"\r\nReferer: ", FIELD, b"\r\n"].concat();
    let multipart = [&agent[..], b"Content-Type: multipart/form-data; boundary=b\r\n"].concat();
    let to = |method: &str, path: &[u8]| [method.as_bytes(), b" /", path].concat();
    vec![
        request(&to("PUT", &escaped), &agent, b"x"),
        request(&to("GET", &escaped), &agent, b""),
        request(&to("DELETE", &escaped), &agent, b""),
        request(&to("PUT", b"%5C%22'?%0d%0a=%22"), &agent, b"x"),
        request(&to("POST", b"drop/"), &multipart, &form_data(EVIL)),
        request(&to("POST", b"drop/"), &multipart, &form_data(b"..\\..\\\r\nforged\" 200")),
        // Refused: as no request, and still one line each.
        request(&to("GET", b"\xff\x9b31m"), &agent, b""),
        request(&to("GET", b"\x1b[2J\x07"), &agent, b""),
        request(&to("GET", b"a\rb"), &agent, b""),
        request(&to("GET", b"\"\\x22"), &agent, b""),
        request(b"FROB\"\\ /", &agent, b""),
        request(b"GET http://te\"st\x1b/", &agent, b""),
        request(b"GET /a", b"User-Agent: \x1b[2J\r\n", b""),
        request(b"GET /a", b"Referer: a\rb\r\n", b""),
        request(b"GET /a", b"Referer: a\0b\r\n", b""),
        request(b"GET /a", b"\x1b[2J: a\r\n", b""),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\"\r\n\r\n".to_vec(),
        [&b"GET /"[..], &b"\x1b\"\\"[..].repeat(3000), b" HTTP/1.1\r\n\r\n"].concat(),
    ]
}

/// Forms for the page.
fn forms() -> Vec<Vec<u8>> {
    let encoded = percent_encoded(EVIL);
    let urlencoded = b"Content-Type: application/x-www-form-urlencoded\r\n";
    let multipart = b"Content-Type: multipart/form-data; boundary=b\r\n";
    let field = [
        &b"--b\r\nContent-Disposition: form-data; name=\"a%0D%0A%22b\xff\"\r\n\r\n"[..],
        EVIL,
        b"\r\n--b--",
    ]
    .concat();
    vec![
        request(b"POST /contact.html", urlencoded, &[&encoded[..], b"=", &encoded].concat()),
        request(b"POST /contact.html", urlencoded, b"a={\"time\":\"x\"}\n{\"page\":1}\r\n&=&a=%00"),
        request(b"POST /contact.html", multipart, &field),
    ]
}

/// Sends each on a connection of its own and waits for its answer and the end.
fn ask(server: &Server, requests: &[Vec<u8>]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for octets in requests {
        let mut client = Client::connect(server.addr()).expect("the server accepts");
        let _ = client.send(octets); // fails when it was refused before the end
        let response = client.response().unwrap_or_else(|why| panic!("{}: {why}", shown(octets)));
        client.closed().unwrap_or_else(|why| panic!("{}: {why}", shown(octets)));
        statuses.push(response.status);
    }
    statuses
}

fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

#[test]
fn each_request_is_one_line_of_the_log_and_each_form_one_of_its_page() {
    for format in ["combined", "common", "json", "plain"] {
        let files = "../kept/ directory\ndrop/ directory\ncontact.html text \"x\"";
        let arguments = ["--writable", "--forms", "kept", "--log-format", format];
        let mut server = Server::start(ServerOptions::new().args(arguments).files(files));
        let statuses = ask(&server, &requests());
        let (taken, refused) = statuses.split_at(6);
        assert_eq!(taken, [201, 200, 200, 201, 201, 201], "{format}");
        assert!(refused.iter().all(|status| (400..500).contains(status)), "{refused:?}");
        assert_eq!(ask(&server, &forms()), [200; 3], "{format}");
        server.signal(Signal::TERM);
        assert!(server.wait_exit(SOON).is_some_and(|status| status.success()));
        let log = fs::read(server.access_log()).expect("a log");
        check_log(format, &log, statuses.len() + forms().len());
        let kept = fs::read(server.dir().join("kept/contact.html.jsonl")).expect("the forms");
        check_kept(&kept);
        assert!(server.stderr().is_ascii(), "{}", server.stderr());
    }
}

#[track_caller]
fn check_log(format: &str, log: &[u8], requests: usize) {
    let text = std::str::from_utf8(log).expect("a log in ASCII");
    let is_printable = |b: u8| (b' '..=b'~').contains(&b) || b == b'\n';
    assert!(text.bytes().all(is_printable), "{format}: {}", shown(log));
    assert!(text.ends_with('\n'), "{format}: {text}");
    assert_eq!(text.lines().count(), requests, "{format}: {text}");
    for line in text.lines() {
        match format {
            // No quote but those around the fields: nothing in them ends one.
            "combined" => assert_eq!(line.matches('"').count(), 6, "{line}"),
            "common" => assert_eq!(line.matches('"').count(), 2, "{line}"),
            "json" => {
                let value: Value = serde_json::from_str(line).expect(line);
                assert_eq!(value["addr"], "127.0.0.1", "{line}");
                assert_eq!(value.as_object().map(|object| object.len()), Some(15), "{line}");
            }
            _ => {
                let page = line.split(" and page ").nth(1).expect(line);
                let (path, status) = page.split_once(" requested - ").expect(line);
                assert!(!path.contains(' '), "{line}");
                assert!(status.split(' ').count() <= 2, "{line}");
            }
        }
    }
}

#[track_caller]
fn check_kept(kept: &[u8]) {
    let text = std::str::from_utf8(kept).expect("JSON is UTF-8");
    assert!(text.ends_with('\n'), "{text:?}");
    let is_control = |b: u8| b < b' ' && b != b'\n';
    assert!(!text.bytes().any(is_control), "{text:?}");
    let lines: Vec<Value> = (text.split_terminator('\n'))
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(lines.len(), forms().len(), "{text:?}");
    for line in &lines {
        let mut keys: Vec<_> = line.as_object().expect("an object").keys().collect();
        keys.sort();
        assert_eq!(keys, ["fields", "page", "time"], "{line}");
        assert_eq!(line["page"], "/contact.html", "{line}");
    }
    let meant = String::from_utf8_lossy(EVIL);
    assert_eq!(lines[0]["fields"][meant.as_ref()], meant.as_ref());
    assert_eq!(lines[1]["fields"]["a"][0], "{\"time\":\"x\"}\n{\"page\":1}\r\n");
    assert_eq!(lines[2]["fields"]["a\r\n\"b\u{fffd}"], meant.as_ref());
}
