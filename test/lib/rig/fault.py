# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes system calls of the daemon fail: the test's side of test/lib/fault.c.

    with Faults() as f:         # f.env goes to the daemon
        f.fail("recvmsg", 3, errno.ENOMEM)      # the third from now on
        f.fail("socket", 1, errno.EMFILE, FOR_EVER)
        f.none()
        f.seen()["recvmsg"]     # calls since the last fail(), none()
"""
import mmap
import os
import struct
import tempfile

from .daemon import ROOT

LIBRARY = os.path.join(ROOT, "build", "fault.so")
SIZE, SEEN_AT, NAMES_AT = 8192, 128, 1024
NONE = FOR_EVER = 0xffffffff
FORKS_ONLY = 2


class Faults:
    def __init__(self):
        fd, self.path = tempfile.mkstemp(prefix="rig-fault-")
        os.fchmod(fd, 0o666)
        os.ftruncate(fd, SIZE)
        self.page = mmap.mmap(fd, SIZE)
        os.close(fd)
        self.env = {
            "LD_PRELOAD": LIBRARY, "RIG_FAULT": self.path,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0") +
            ":verify_asan_link_order=0"}
        self.which = self.names = None
        self.none()

    def close(self):
        self.page.close()
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def learn(self):
        """The names of the calls, once a daemon has written them."""
        if not self.names:
            text = self.page[NAMES_AT:].split(b"\0")[0].decode()
            self.names = text.split()
        return self.names

    def put(self, which, nth, times, error, forks, inet):
        self.page[:4] = struct.pack("=I", NONE)     # none meanwhile
        self.page[SEEN_AT:NAMES_AT] = bytes(NAMES_AT - SEEN_AT)
        self.page[4:24] = struct.pack("=IIIII", nth, times, error, forks, 0)
        self.page[28:32] = struct.pack("=I", inet)
        self.page[:4] = struct.pack("=I", which)

    def fail(self, call, nth, error, times=1, forks=False, inet=False):
        """From the nth call on, `times` fail. With forks: of child processes,
        too, or (FORKS_ONLY) of those alone; with inet: on Internet sockets
        only."""
        self.put(self.learn().index(call), nth, times, error, forks, inet)

    def none(self, forks=False):
        self.put(NONE, 0, 0, 0, forks, False)

    def shift(self, seconds):
        """Set the daemon's CLOCK_REALTIME wrong."""
        self.page[32:36] = struct.pack("=i", seconds)

    def keep(self):
        """None fail from now on; hits() and seen() stay."""
        self.page[:4] = struct.pack("=I", NONE)

    def hits(self):
        """How many calls have failed since the last fail()."""
        return struct.unpack("=I", self.page[20:24])[0]

    def seen(self):
        """Calls since the last fail() or none(), by name."""
        names = self.learn()
        counts = struct.unpack(
            "=%dI" % len(names),
            self.page[SEEN_AT:SEEN_AT + 4 * len(names)])
        return {n: c for n, c in zip(names, counts) if c}
