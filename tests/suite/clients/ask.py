"""Conversations of Python's http.client with the server, each of which checks itself.

Usage: ask.py CONVERSATION PORT ROOT
"""

import http.client
import os
import sys


def connect():
    return http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=60)


def on_disk(name):
    with open(os.path.join(sys.argv[3], name), "rb") as file:
        return file.read()


def ask(connection, *request, **more):
    connection.request(*request, **more)
    response = connection.getresponse()
    return response, response.read()


def equal(found, expected):
    if found != expected:
        sys.exit(f"{found!r:.200} should be {expected!r:.200}")


def keep_alive():
    """A hundred requests, each with the next of the contents, on one connection."""
    connection, addresses = connect(), set()
    names = ["small", "large", "missing"]
    for number in range(100):
        name = names[number % 3]
        response, content = ask(connection, "GET", "/" + name)
        equal(response.will_close, False)
        addresses.add(connection.sock.getsockname())
        equal(response.status, 404 if name == "missing" else 200)
        if name != "missing":
            equal(content, on_disk(name))
    equal(len(addresses), 1)


def head():
    """HEAD and GET in turn: content behind a HEAD would be taken for the next answer."""
    connection = connect()
    for _ in range(3):
        response, content = ask(connection, "HEAD", "/large")
        equal((response.status, content), (200, b""))
        told = dict(response.getheaders())
        response, content = ask(connection, "GET", "/large")
        equal(content, on_disk("large"))
        for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified"):
            equal(told[name], response.getheader(name))
    response, content = ask(connection, "HEAD", "/missing")
    equal((response.status, content), (404, b""))
    response, content = ask(connection, "GET", "/large")
    equal(content, on_disk("large"))


def ranges():
    """All of a file by ranges that adjoin, and by one from the end."""
    connection, expected = connect(), on_disk("large")
    together = b""
    while len(together) < len(expected):
        first = len(together)
        value = f"bytes={first}-{first + 65_432}"
        response, content = ask(connection, "GET", "/large", headers={"Range": value})
        equal(response.status, 206)
        last = first + len(content) - 1
        equal(response.getheader("Content-Range"), f"bytes {first}-{last}/{len(expected)}")
        together += content
    equal(together, expected)
    response, content = ask(connection, "GET", "/large", headers={"Range": "bytes=-7"})
    equal((response.status, content), (206, expected[-7:]))
    beyond = {"Range": f"bytes={len(expected)}-"}
    response, content = ask(connection, "GET", "/large", headers=beyond)
    equal(response.status, 416)
    equal(response.getheader("Content-Range"), f"bytes */{len(expected)}")


def upload():
    """Chunked uploads of contents of several lengths, read again on the same connection."""
    connection = connect()
    parts = [bytes([number]) * (number * 257 + 1) for number in range(64)]
    for count, status in ((0, 201), (1, 204), (64, 204)):
        chunks = iter(parts[:count])
        response, _ = ask(connection, "PUT", "/up", body=chunks, encode_chunked=False)
        equal(response.status, status)
        expected = b"".join(parts[:count])
        equal(on_disk("up"), expected)
        response, content = ask(connection, "GET", "/up")
        equal((response.status, content), (200, expected))
    response, _ = ask(connection, "DELETE", "/up")
    equal(response.status // 100, 2)
    response, _ = ask(connection, "GET", "/up")
    equal(response.status, 404)


{act.__name__: act for act in (keep_alive, head, ranges, upload)}[sys.argv[1]]()
