//! What another program does between two calls for one request, where no seed is likely to meet it.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use fileserve::faults::{self, Call};
use fileserve::{AccessLog, Files, OnConflict, Options, Uploads};
use http_proto::server::{Answer, Handler, Request, Response};
use http_proto::{Limits, RequestHead};

/// Sends a form with a file `a`.
fn send(files: &Files) -> Response {
    let content = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n\
                   new\r\n--x--\r\n";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n",
        content.len()
    );
    let head = RequestHead::parse(head.as_bytes(), &Limits::default());
    let head = head.unwrap_or_else(|reject| panic!("{}", reject.reason()));
    let address = ([127, 0, 0, 1], 1).into();
    let now = SystemTime::now();
    let request =
        Request { head: &head, peer: address, local: address, worker: 0, now, arrived: None };
    let Answer::Receive(mut receiver) = files.answer(&request) else { panic!("it is refused") };
    match receiver.receive(content.as_bytes()) {
        Ok(()) => receiver.finish(&request),
        Err(response) => response,
    }
}

/// The name is taken when the new file is to get it, and free when the old one is to give way.
#[test]
fn a_file_that_goes_while_a_form_replaces_it_is_no_conflict() {
    // Before which of the calls that give names the file goes.
    for nth in 0..4 {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("a");
        fs::write(&file, "old").expect("room on the disk");
        let mut names = 0;
        let going = file.clone();
        let _plan = faults::install(move |asked| {
            if asked.call == Call::Name {
                // The first two are spent on finding out what the file system can do.
                if names == nth + 2 {
                    let _ = fs::remove_file(&going);
                }
                names += 1;
            }
            Ok(usize::MAX)
        });
        let uploads = Uploads { on_conflict: OnConflict::Replace, ..Uploads::default() };
        let options = Options { writable: true, uploads, ..Options::default() };
        let files = Files::new(home.path(), options, Arc::new(AccessLog::off()));
        let files = files.expect("it can be served");
        assert_eq!(send(&files).status().code(), 201, "{nth}");
        assert_eq!(fs::read(&file).expect("it is there"), b"new", "{nth}");
        let names: Vec<_> = fs::read_dir(home.path()).expect("a directory").collect();
        assert_eq!(names.len(), 1, "{nth}: nothing is left over");
    }
}
