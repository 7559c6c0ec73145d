"""Fetches files through a server and compares them with those on disk.

Usage: fetch.py PORT ROOT < LIST, where LIST has one path below ROOT on each line.
"""

import email.utils
import http.client
import os
import sys
import threading
import urllib.parse

THREADS = 4
TYPES = {
    b".css": {"text/css; charset=utf-8"},
    b".html": {"text/html; charset=utf-8"},
    b".jpeg": {"image/jpeg"},
    b".jpg": {"image/jpeg"},
    b".js": {"text/javascript; charset=utf-8"},
    b".md": {"text/markdown; charset=utf-8"},
    b".png": {"image/png"},
    b".svg": {"image/svg+xml", "image/svg+xml; charset=utf-8"},
    b".txt": {"text/plain; charset=utf-8"},
    b".woff2": {"font/woff2"},
}


class Tally:
    """What the threads have found together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.files = self.octets = self.connections = 0
        self.differ = []

    def add(self, octets, complaint):
        with self.lock:
            self.files += 1
            self.octets += octets
            if complaint:
                self.differ.append(complaint)

    def connect(self):
        with self.lock:
            self.connections += 1


def judge(root, path, response, body):
    """Says what is wrong with an answer, or nothing."""
    if response.status != 200:
        return f"status {response.status}"
    file = os.path.join(root, path)
    with open(file, "rb") as opened:
        if opened.read() != body:
            return "content"
    length = response.getheader("Content-Length")
    if length != str(len(body)):
        return f"Content-Length {length} of {len(body)}"
    expected = TYPES.get(os.path.splitext(path)[1])
    found = response.getheader("Content-Type")
    if expected and (found or "").lower() not in expected:
        return f"Content-Type {found}"
    modified = email.utils.formatdate(os.stat(file).st_mtime_ns // 10**9, usegmt=True)
    found = response.getheader("Last-Modified")
    return None if found == modified else f"Last-Modified {found} of {modified}"


def fetch(port, root, paths, tally):
    """Fetches all paths, on one connection as long as the server keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for path in paths:
        if connection.sock is None:
            tally.connect()
        octets = 0
        try:
            connection.request("GET", "/" + urllib.parse.quote(path, safe="/"))
            response = connection.getresponse()
            body = response.read()
            octets = len(body)
            complaint = judge(root, path, response, body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            complaint = repr(error)
        tally.add(octets, complaint and f"{os.fsdecode(path)}: {complaint}")


def main():
    port, root = int(sys.argv[1]), os.fsencode(sys.argv[2])
    paths = sys.stdin.buffer.read().splitlines()
    tally = Tally()
    threads = [
        threading.Thread(target=fetch, args=(port, root, paths[start::THREADS], tally))
        for start in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for complaint in tally.differ[:20]:
        print(complaint)
    print(f"{tally.octets} octets on {tally.connections} connections")
    print(f"{tally.files} files, {len(tally.differ)} differ")
    kept = tally.connections <= THREADS
    sys.exit(0 if kept and tally.files == len(paths) and not tally.differ else 1)


main()
