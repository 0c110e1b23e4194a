# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways a TCP connection ends (RFC 9293 3.6, 3.10.7.4)."""
import signal
import socket
import threading
import time

import pytest

from rig.flows import (inbound, is_reset, outbound, pattern, read_all, reset,
                       wait_for)
from rig.tcp import RTO_MIN, Bulk, Conn
from rig.wait import PATIENCE


@pytest.fixture(params=["out", "in"])
def pair(request, daemon, net, fam):
    """A connection, opened by either side: daemon, Conn, host's socket."""
    d = daemon("-t", "7001")
    g = d.connect()
    g.hello(fam)
    base = d.fds()
    if request.param == "out":
        c, s = outbound(g, net, fam, mss=1400)
    else:
        c, s = inbound(g, net, fam, 7001, mss=1400)
    c.base = base
    yield d, c, s
    s.close()


def gone(d, c):
    wait_for(lambda: d.fds() <= c.base, what="descriptor closed")


def test_guest_closes_first(pair):
    d, c, s = pair
    c.send(b"last words")
    c.fin()
    c.expect_ack()
    assert read_all(s) == b"last words"
    s.sendall(pattern(20000))           # the other half still works
    assert c.read(20000) == pattern(20000)
    s.close()
    c.expect_fin()
    gone(d, c)


def test_host_closes_first(pair):
    d, c, s = pair
    s.sendall(b"bye")
    s.shutdown(socket.SHUT_WR)
    assert c.read(3) == b"bye"
    c.expect_fin()
    for i in range(5):
        c.send(pattern(1000, i))
        c.expect_ack()
    c.fin()
    c.expect_ack()
    assert read_all(s) == b"".join(pattern(1000, i) for i in range(5))
    s.close()
    gone(d, c)


def test_both_close(pair):
    """Both FINs cross."""
    d, c, s = pair
    s.shutdown(socket.SHUT_WR)
    t = c.expect(lambda t: t.F)
    c.fin()                             # does not acknowledge theirs yet
    c.expect_ack()
    c.rcv_nxt = t.end
    c.ack()
    assert read_all(s) == b""
    s.close()
    gone(d, c)


def test_fin_with_data(pair):
    d, c, s = pair
    c.seg("FPA", b"data and fin")
    c.snd_nxt += 13
    c.expect_ack()
    assert read_all(s) == b"data and fin"


def test_fin_from_host_with_data(pair):
    d, c, s = pair
    s.sendall(pattern(50000))
    s.shutdown(socket.SHUT_WR)
    assert c.read(50000) == pattern(50000)
    if c.fin_at is None or c.rcv_nxt == c.fin_at:
        t = next((f.tcp for f in c.all if f.tcp.F), None) or \
            c.expect(lambda t: t.F)
        assert t.end == c.rcv_nxt + 1 & 0xffffffff


def test_host_resets(pair):
    d, c, s = pair
    c.send(b"x")
    c.expect_ack()
    reset(s)
    t = c.expect(lambda t: t.R)
    assert t.seq == c.rcv_nxt
    gone(d, c)


def test_guest_resets(pair):
    d, c, s = pair
    c.send(b"x")
    c.expect_ack()
    assert s.recv(1) == b"x"
    c.rst()
    assert is_reset(s)
    gone(d, c)


def test_guest_resets_half_closed(pair):
    d, c, s = pair
    s.shutdown(socket.SHUT_WR)
    c.expect_fin()
    c.rst()
    gone(d, c)
    assert is_reset(s)


def test_host_resets_after_guest_fin(pair):
    d, c, s = pair
    c.fin()
    c.expect_ack()
    assert s.recv(1) == b""
    reset(s)
    c.expect(lambda t: t.R)
    gone(d, c)


def test_repeated_fin(pair):
    """A FIN again is acknowledged again."""
    d, c, s = pair
    c.fin()
    c.expect_ack()
    for _ in range(3):
        c.clear()
        c.seg("FA", seq=c.snd_nxt - 1)
        c.expect_ack()


def test_repeated_fin_in_time_wait(pair):
    """The daemon closed first and waits 2 MSL (MUST-13): it answers."""
    d, c, s = pair
    s.shutdown(socket.SHUT_WR)
    c.expect_fin()
    c.fin()
    c.expect_ack()
    read_all(s)
    s.close()
    c.clear(0.1)
    c.seg("FA", seq=c.snd_nxt - 1)
    t = c.expect(lambda t: True)
    assert t.letters == "A" and t.ack == c.snd_nxt


def test_old_data_after_fin(pair):
    d, c, s = pair
    c.send(b"0123456789")
    c.fin()
    c.expect_ack()
    c.clear()
    c.seg("PA", b"0123456789", seq=c.snd_nxt - 11)
    c.expect_ack()
    assert read_all(s) == b"0123456789"


def test_data_after_own_fin(pair):
    """Bytes past a FIN do not exist."""
    d, c, s = pair
    c.send(b"end")
    c.fin()
    c.expect_ack()
    c.strict = False
    c.seg("PA", b"ghost")
    assert read_all(s) == b"end"
    c.none(0.3, lambda t: not t.R and t.ack != c.snd_nxt)


def test_fin_ahead_of_data(pair):
    """A FIN out of order takes effect only once the gap is filled."""
    d, c, s = pair
    c.seg("FA", seq=c.snd_nxt + 100)
    c.expect_ack()
    s.settimeout(0.3)
    with pytest.raises(TimeoutError):
        s.recv(1)
    s.settimeout(PATIENCE)
    c.send(b"g" * 100)
    t = c.expect(lambda t: t.A and t.ack in (c.snd_nxt, c.snd_nxt + 1))
    if t.ack == c.snd_nxt:
        c.fin()
        c.expect_ack()
    assert read_all(s) == b"g" * 100


def test_fin_retransmitted(pair):
    d, c, s = pair
    start = time.monotonic()
    s.shutdown(socket.SHUT_WR)
    a = c.expect(lambda t: t.F)
    b = c.expect(lambda t: t.F)
    assert a.seq == b.seq
    assert c.all[-1].at - start >= RTO_MIN
    c.rcv_nxt = b.end
    c.ack()
    c.none(2.5, lambda t: t.F)


def test_reuse_after_guest_closed(daemon, net, fam):
    """The same tuple again, after an orderly end: a new connection."""
    g = daemon().connect()
    ls = net.remote.listen(fam.remote)
    c = None
    for i in range(3):
        old = c
        c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest,
                 sport=5555, isn=None if old is None else old.snd_nxt + 99999)
        c.open()
        s, _ = ls.accept()
        c.send(b"%d" % i)
        c.expect_ack()
        c.fin()
        c.expect_ack()
        assert read_all(s) == b"%d" % i
        s.close()
        c.expect_fin()


def test_reuse_after_host_closed(daemon, net, fam):
    """A new SYN for a tuple in TIME-WAIT (RFC 9293 MAY-2, RFC 6191)."""
    g = daemon().connect()
    ls = net.remote.listen(fam.remote)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest, sport=5556)
    c.open()
    s, _ = ls.accept()
    s.shutdown(socket.SHUT_WR)
    c.expect_fin()
    c.fin()
    c.expect_ack()
    s.close()
    c.clear(0.1)
    n = Conn(g, fam.remote, c.dport, src=fam.guest, sport=5556,
             isn=c.snd_nxt + 100000)
    n.strict = False
    n.syn()
    n.snd_nxt = n.isn + 1
    t = n.recv(PATIENCE)
    assert t, "no answer"
    if not t.S:                 # a challenge ACK: RST as it asks for
        n.seg("R", seq=t.ack)
        n.irs = None
        n.syn()
        t = n.expect("SA")
    assert t.ack == n.snd_nxt & 0xffffffff
    n.ack()
    s, _ = ls.accept()
    n.send(b"new")
    assert s.recv(3) == b"new"


def test_reuse_after_reset(daemon, net, fam):
    g = daemon().connect()
    ls = net.remote.listen(fam.remote)
    for _ in range(5):
        c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest, sport=5557)
        c.open()
        s, _ = ls.accept()
        c.rst()
        assert is_reset(s)


class SlowReader(threading.Thread):
    """Reads a little at a time; before so many bytes are left, not until
    the event `go`. To the end; .data"""

    def __init__(self, sock, until):
        super().__init__(daemon=True)
        self.sock, self.data, self.error = sock, b"", None
        self.until, self.go = until, threading.Event()
        self.start()

    def run(self):
        try:
            while True:
                if len(self.data) > self.until:
                    self.go.wait()
                b = self.sock.recv(2048)
                if not b:
                    break
                self.data += b
                time.sleep(0.01)
        except OSError as e:
            self.error = e


def upload_then(daemon, net, fam, end, unread=b""):
    """FIN acknowledged, then end(): the slow reader must get every byte."""
    d = daemon()
    g = d.connect()
    c, s = outbound(g, net, fam, mss=1400, ws=7, rcvbuf=4096)
    s.sendall(unread)
    data = pattern(200000)
    r = SlowReader(s, len(data) - 20000)
    Bulk(c, data, fin=True).run()
    assert len(r.data) < len(data), "the reader was not slow"
    end(d, g)
    r.go.set()
    r.join(2 * PATIENCE)
    assert not r.error, r.error
    assert r.data == data


def test_guest_leaves_after_fin(daemon, net, fam):
    upload_then(daemon, net, fam, lambda d, g: g.close())


def test_daemon_ends_after_fin(daemon, net, fam):
    def end(d, g):
        d.proc.send_signal(signal.SIGTERM)
        assert d.wait() == 0
    upload_then(daemon, net, fam, end)


def test_guest_leaves_with_unread_data(daemon, net, fam):
    """Unread data from the host must not turn the close into a reset."""
    upload_then(daemon, net, fam, lambda d, g: g.close(),
                unread=b"never acknowledged by the guest")


def test_guest_leaves_open_connection(daemon, net, fam):
    """Not FIN'd: the host's peer is told by RST, at once."""
    d = daemon()
    g = d.connect()
    c, s = outbound(g, net, fam)
    c.send(b"x")
    c.expect_ack()
    assert s.recv(1) == b"x"
    g.close()
    assert is_reset(s)


def test_guest_leaves_while_connecting(daemon, fam):
    d = daemon()
    g = d.connect()
    g.hello(fam)
    base = d.fds()
    c = Conn(g, fam.blackhole, 80, src=fam.guest)
    c.syn()
    wait_for(lambda: d.fds() == base + 1)
    g.close()
    wait_for(lambda: d.fds() == base - d.client_fds)


def test_next_guest_knows_nothing(daemon, net, fam):
    """Connections of the guest before are unknown to the next."""
    d = daemon()
    g = d.connect()
    c, s = outbound(g, net, fam)
    g.close()
    g = d.connect()
    n = Conn(g, fam.remote, c.dport, src=fam.guest, sport=c.sport)
    n.strict = False
    n.seg("A", seq=c.snd_nxt, ack=c.rcv_nxt)
    t = n.expect("R")
    assert t.seq == c.rcv_nxt
