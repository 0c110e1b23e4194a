# SPDX-License-Identifier: GPL-2.0-or-later
"""Ready-made connections, and small things that many tests wait for."""
import contextlib
import hashlib
import os
import random
import socket
import struct
import threading

from .tcp import Conn
from .wait import PATIENCE, wait_for    # noqa: F401 # for those who import it


def outbound(g, net, fam, rcvbuf=0, **kw):
    """An open connection guest to remote; its Conn and the server's socket."""
    ls = net.remote.listen(fam.remote, rcvbuf=rcvbuf)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest, **kw)
    c.open()
    s, c.peer = ls.accept()
    s.settimeout(PATIENCE)
    ls.close()
    return c, s


def inbound(g, net, fam, port, addr=None, **kw):
    """An open connection remote to guest; its Conn and the client's socket."""
    s = net.remote.connect(addr or fam.host, port, src=fam.remote)
    c = accept(g, lambda f: f.ip.src == fam.remote, **kw)
    c.answer()
    return c, s


def accept(g, pred=lambda f: True, timeout=PATIENCE, **kw):
    """Await a SYN from the daemon; its Conn, not yet answered. One that was
    sent again, since we were slow, is not another connection's."""
    f = g.expect(lambda f: f.tcp and f.tcp.letters.strip("EC") == "S" and
                 (f.ip.dst, f.tcp.dport, f.ip.src, f.tcp.sport) not in g.conns
                 and pred(f), timeout, "SYN")
    return Conn.accept(g, f, **kw)


def read_all(s, size=None):
    """All bytes a socket gives until its end (or size bytes)."""
    out = b""
    while size is None or len(out) < size:
        b = s.recv(1 << 16)
        if not b:
            break
        out += b
    return out


def reset(s):
    """Close a socket by RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def is_reset(s, timeout=PATIENCE):
    """True once the peer has reset the connection; False at its end."""
    s.settimeout(timeout)
    try:
        while s.recv(1 << 16):
            pass
        return False
    except ConnectionResetError:
        return True


@contextlib.contextmanager
def one_processor(*pids):
    """This thread and these processes share one processor. Each has a queue of
    what was sent on it, and of two of them, one may be served much later."""
    before = os.sched_getaffinity(0)
    for pid in (0, *pids):
        os.sched_setaffinity(pid, {min(before)})
    yield
    for pid in (0, *pids):
        os.sched_setaffinity(pid, before)


def pattern(n, seed=7):
    """n bytes that do not repeat in a way that could hide a fault."""
    return random.Random(seed).randbytes(n)


class Reader(threading.Thread):
    """Reads a socket to its end (or n bytes) in the background; .digest"""

    def __init__(self, sock, n=None):
        super().__init__(daemon=True)
        self.sock, self.n, self.count = sock, n, 0
        self.sha = hashlib.sha256()
        self.error = None
        self.start()

    def run(self):
        try:
            while self.n is None or self.count < self.n:
                b = self.sock.recv(1 << 18)
                if not b:
                    break
                self.sha.update(b)
                self.count += len(b)
        except OSError as e:
            self.error = e

    def digest(self, timeout=2 * PATIENCE):
        self.join(timeout)
        assert not self.is_alive(), "reader has only %d bytes" % self.count
        assert not self.error, self.error
        return self.sha.hexdigest()


class Writer(threading.Thread):
    """Writes data to a socket in the background, then FIN if asked to.

    Not by sendall(): a socket's timeout is for all of that, and a guest in
    Python on a busy machine takes longer for some MB."""

    def __init__(self, sock, data, fin=False):
        super().__init__(daemon=True)
        self.sock, self.data, self.fin = sock, data, fin
        self.error = None
        self.start()

    def run(self):
        try:
            rest = memoryview(self.data)
            while rest:
                rest = rest[self.sock.send(rest):]
            if self.fin:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.error = e
