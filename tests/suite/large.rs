//! Files that are big, and files that change while they are being sent.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use conformance::client::Client;
use conformance::server::{Server, ServerOptions};

use crate::download::{Download, UNSENDABLE, assert_same, noise};

const GIB: u64 = 1 << 30;
const MIB: usize = 1 << 20;
/// More than 32 bits can count.
const SPARSE_BYTES: u64 = 4 * GIB + 7;

/// A server with `/sparse`: zeros, but for a mark of one MiB at each of the `marks`.
fn serve_sparse(marks: &[u64]) -> (Server, Vec<u8>) {
    let server = Server::start(ServerOptions::new());
    let file = File::create(server.root().join("sparse")).expect("a file can be made");
    file.set_len(SPARSE_BYTES).expect("a file can be sparse");
    let mark = noise(2, MIB);
    for &at in marks {
        file.write_all_at(&mark, at).expect("a mark can be written");
    }
    (server, mark)
}

#[test]
fn a_length_beyond_32_bits_is_told_by_head() {
    let (server, _) = serve_sparse(&[]);
    let mut client = Client::connect(server.addr()).unwrap();
    client.send(b"HEAD /sparse HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let response = client.response_to(true).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.field("Content-Length"), Some(SPARSE_BYTES.to_string()));
    client.send(b"HEAD /sparse HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    client.response_to(true).unwrap();
    client.closed().unwrap();
}

#[test]
fn the_last_part_of_a_file_beyond_4_gib_comes_by_range() {
    let last = SPARSE_BYTES - MIB as u64;
    let (server, mark) = serve_sparse(&[last]);
    let end = SPARSE_BYTES - 1;
    for range in [format!("{last}-{end}"), format!("{last}-"), format!("-{MIB}")] {
        let fields = format!("Range: bytes={range}\r\nConnection: close\r\n");
        let download = Download::start(server.addr(), "/sparse", &fields);
        assert_eq!(download.status(), 206, "{range}");
        assert_eq!(download.field("Content-Range"), format!("bytes {last}-{end}/{SPARSE_BYTES}"));
        assert_eq!(download.length(), MIB as u64);
        assert_same(&download.rest(), &mark);
    }
}

#[test]
fn a_download_is_resumed_behind_each_power_of_two() {
    let breaks = [GIB, 2 * GIB - 1, 4 * GIB - MIB as u64];
    let (server, mark) = serve_sparse(&breaks);
    for at in breaks {
        let fields = format!("Range: bytes={at}-\r\n");
        let mut download = Download::start(server.addr(), "/sparse", &fields);
        let expected = format!("bytes {at}-{}/{SPARSE_BYTES}", SPARSE_BYTES - 1);
        assert_eq!((download.status(), download.field("Content-Range")), (206, expected));
        assert_eq!(download.length(), SPARSE_BYTES - at);
        assert_same(&download.take(MIB), &mark);
    }
}

#[test]
fn sixty_four_random_mib_arrive_as_they_are() {
    let server = Server::start(ServerOptions::new());
    let content = noise(3, 64 * MIB);
    fs::write(server.root().join("file"), &content).unwrap();
    let download = Download::start(server.addr(), "/file", "Connection: close\r\n");
    assert_eq!((download.status(), download.length()), (200, content.len() as u64));
    assert_same(&download.rest(), &content);
}

#[test]
fn a_file_cut_short_while_it_is_sent_ends_the_connection() {
    let server = Server::start(ServerOptions::new());
    let file = File::create(server.root().join("file")).unwrap();
    file.set_len(UNSENDABLE as u64).unwrap();
    // A second request waits behind the first: its answer would be taken for missing content.
    let second = "\r\nGET /file HTTP/1.1\r\nHost: test\r\n";
    let mut download = Download::start(server.addr(), "/file", second);
    assert_eq!((download.status(), download.length()), (200, UNSENDABLE as u64));
    download.take(MIB);
    file.set_len(MIB as u64).unwrap();
    let rest = download.rest();
    assert!(MIB + rest.len() < UNSENDABLE, "all of it was sent");
    assert_eq!(rest.iter().find(|octet| **octet != 0), None, "something else follows");

    file.set_len(5).unwrap();
    let download = Download::start(server.addr(), "/file", "Connection: close\r\n");
    assert_eq!((download.status(), download.rest().len()), (200, 5), "the server goes on");
}

#[test]
fn a_file_replaced_while_it_is_sent_completes_with_the_old_octets() {
    let server = Server::start(ServerOptions::new());
    let (old, new) = (noise(4, UNSENDABLE), noise(5, MIB));
    let path = server.root().join("file");
    fs::write(&path, &old).unwrap();
    let mut download = Download::start(server.addr(), "/file", "Connection: close\r\n");
    let mut received = download.take(MIB);
    fs::write(server.dir().join("new"), &new).unwrap();
    fs::rename(server.dir().join("new"), &path).unwrap();
    let fresh = Download::start(server.addr(), "/file", "Connection: close\r\n");
    assert_same(&fresh.rest(), &new);
    received.extend(download.rest());
    assert_same(&received, &old);
}
