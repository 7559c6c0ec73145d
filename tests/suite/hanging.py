"""Runs a program beside a file system that hangs when it is told to.

Usage: hanging.py PROGRAM ARGUMENT... ROOT, where ROOT gets a directory `distant`, seen by the program
alone. In it are
  direct  8 MiB, of which the kernel keeps nothing,
  cached  8 MiB, of which it keeps what was read, until somebody opens it again,
  close   500,000 octets that it keeps; whoever closes it waits for ever.
As long as there is a file `hang` beside ROOT, nothing is read of the first two, and the first one to
wait for that is told of in a file `hanging`. Ends with status 77 where no such file system can be.

It is spoken to as fuse(4) and the kernel's include/uapi/linux/fuse.h have it.
"""

import ctypes
import os
import select
import struct
import sys

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT = 1, 2, 3, 14, 15, 18, 25, 26
OPENDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 27, 29, 36, 42
ENOENT, ENOSYS = 2, 38
FOPEN_DIRECT_IO = 1
MIB = 1 << 20
# Names, and by their inode numbers: lengths.
FILES = {b"direct": 2, b"cached": 3, b"close": 4}
LENGTHS = {2: 8 * MIB, 3: 8 * MIB, 4: 500_000}
# For how long the kernel need not ask again what a name or a file is.
LONG = 3600


def call(name, *arguments):
    """Makes a call of the C library."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def mount(directory):
    """Mounts it where nobody else sees it, so that nothing is left; gives the way to the kernel."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    device = os.open("/dev/fuse", os.O_RDWR)
    os.mkdir(directory)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    call("mount", b"fuse", os.fsencode(directory), b"fuse", 0, options.encode())
    return device


def attributes(node):
    mode = 0o100644 if node in LENGTHS else 0o40755
    length = LENGTHS.get(node, 0)
    return struct.pack("<6Q10I", node, length, length // 512, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def content(offset, count):
    """The octets of every file: each that of its place, modulo 251."""
    cycle = bytes(range(251))
    start = offset % 251
    return (cycle * (count // 251 + 2))[start : start + count]


def is_over(process):
    """Whether a process has ended, be it that some of its threads still wait for this file system."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Disk:
    """Answers the kernel."""

    def __init__(self, device, beside):
        self.device = device
        self.hang, self.hanging = os.path.join(beside, "hang"), os.path.join(beside, "hanging")
        # What is not answered yet.
        self.waiting = []

    def answer(self, unique, body=b"", error=0):
        os.write(self.device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)

    def run(self, program):
        """Goes on as long as the program; with the end of this, nobody waits for it any more."""
        while not is_over(program):
            ready, _, _ = select.select([self.device], [], [], 0.05)
            if self.waiting and not os.path.exists(self.hang):
                for unique, offset, count in self.waiting:
                    self.answer(unique, content(offset, count))
                self.waiting = []
            if ready:
                request = os.read(self.device, MIB)
                _, what, unique, node = struct.unpack("<IIQQ", request[:24])
                self.serve(what, unique, node, request[40:])

    def serve(self, what, unique, node, body):
        if what == INIT:
            # Version 7.31, read ahead 128 KiB.
            answer = struct.pack("<4I2HI", 7, 31, 128 << 10, 0, 12, 9, 128 << 10)
            self.answer(unique, answer + struct.pack("<I2H8I", 1, 0, 0, *[0] * 8))
        elif what == LOOKUP and body.rstrip(b"\0") in FILES:
            found = FILES[body.rstrip(b"\0")]
            entry = struct.pack("<4Q2I", found, 0, LONG, LONG, 0, 0)
            self.answer(unique, entry + attributes(found))
        elif what == LOOKUP:
            self.answer(unique, error=ENOENT)
        elif what == GETATTR:
            self.answer(unique, struct.pack("<Q2I", LONG, 0, 0) + attributes(node))
        elif what in (OPEN, OPENDIR):
            how = FOPEN_DIRECT_IO if node == FILES[b"direct"] else 0
            self.answer(unique, struct.pack("<Q2I", 1, how, 0))
        elif what == READ:
            offset, count = struct.unpack("<QI", body[8:20])
            count = max(0, min(count, LENGTHS[node] - offset))
            if node != FILES[b"close"] and os.path.exists(self.hang):
                self.waiting.append((unique, offset, count))
                open(self.hanging, "w").close()
            else:
                self.answer(unique, content(offset, count))
        elif what == FLUSH and node == FILES[b"close"]:
            open(self.hanging, "w").close()
        elif what in (FLUSH, RELEASE, RELEASEDIR):
            self.answer(unique)
        elif what not in (FORGET, BATCH_FORGET, INTERRUPT):
            self.answer(unique, error=ENOSYS)


def main():
    root = os.path.abspath(sys.argv[-1])
    try:
        device = mount(os.path.join(root, "distant"))
    except OSError as error:
        print(f"no file system of one's own here: {error}", file=sys.stderr)
        sys.exit(77)
    os.set_inheritable(device, False)
    program = os.getpid()
    if os.fork() != 0:
        os.execv(sys.argv[1], sys.argv[1:])
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    Disk(device, os.path.dirname(root)).run(program)


main()
