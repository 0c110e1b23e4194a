# SPDX-License-Identifier: GPL-2.0-or-later
"""Retransmission: three duplicate ACKs, RTO, SYN (RFC 5681, 6298)."""
import socket
import time

import pytest

from rig.flows import inbound, outbound, pattern, accept
from rig.tcp import diff

M = 0xffffffff
AT_ONCE = 0.15      # well before any retransmission timeout


@pytest.fixture(params=["out", "in"])
def pair(request, daemon, net, fam):
    g = daemon("-t", "7001").connect()
    if request.param == "out":
        c, s = outbound(g, net, fam, mss=1000)
    else:
        g.hello(fam)
        c, s = inbound(g, net, fam, 7001, mss=1000)
    yield c, s
    s.close()


def in_flight(c, s, n=10, first=1):
    """n segments sent, the first of them acknowledged, n - 1 in flight."""
    s.sendall(pattern(n * 1000))
    end = time.monotonic() + 2
    while len(c.stream) < n * 1000:
        assert c.recv(max(0, end - time.monotonic())), "not all was sent"
    c.rcv_nxt = c.irs + 1 + first * 1000 & M
    c.ack()
    c.clear()


def test_fast_retransmit(pair):
    """Three duplicate ACKs: SND.UNA again, before the RTO."""
    c, s = pair
    in_flight(c, s)
    for _ in range(3):
        c.ack()
    t = c.expect(lambda t: t.data, AT_ONCE)
    assert t.seq == c.rcv_nxt and len(t.data) >= 500


def test_two_duplicates_do_not(pair):
    c, s = pair
    in_flight(c, s)
    c.ack()
    c.ack()
    c.none(AT_ONCE, lambda t: t.data)


def test_duplicates_with_data_do_not(pair):
    """With payload it is no duplicate ACK (RFC 5681 2 b)."""
    c, s = pair
    in_flight(c, s)
    for _ in range(6):
        c.send(b"payload")
    c.none(AT_ONCE, lambda t: t.data)


@pytest.mark.parametrize("step", [1, -1], ids=["grow", "shrink"])
def test_window_updates_do_not(pair, step):
    """Another window: no duplicate ACK (RFC 5681 2 e)."""
    c, s = pair
    c.win = 30000
    in_flight(c, s)
    for i in range(6):
        c.ack(win=c.win + (i + 1) * step)
    c.none(AT_ONCE, lambda t: t.data)


def test_nothing_outstanding(pair):
    """Nothing in flight: no duplicate ACK (RFC 5681 2 a)."""
    c, s = pair
    s.sendall(b"x" * 100)
    assert c.read(100) == b"x" * 100
    c.clear(0.05)
    for _ in range(6):
        c.ack()
    c.none(AT_ONCE)
    s.sendall(b"y" * 100)
    assert c.read(100) == b"y" * 100


def test_duplicates_before_data(pair):
    """ACKs from before the data was sent do not count for it."""
    c, s = pair
    for _ in range(2):
        c.ack()
    c.clear(0.05)
    in_flight(c, s, 5, 0)       # the ACK in there is a first duplicate
    c.ack()
    c.none(AT_ONCE, lambda t: t.data)


def test_progress_restarts_count(pair):
    c, s = pair
    in_flight(c, s)
    for _ in range(4):
        c.ack()
        c.ack()
        c.rcv_nxt = c.rcv_nxt + 1000 & M
        c.ack()
    c.none(AT_ONCE, lambda t: t.data)


def test_fast_retransmit_recovers(pair):
    """One segment lost, the rest duplicates: all arrives without an RTO."""
    c, s = pair
    start = time.monotonic()
    in_flight(c, s)
    for _ in range(8):
        c.ack()
    t = c.expect(lambda t: t.data and t.seq == c.rcv_nxt, AT_ONCE)
    c.rcv_nxt = c.rcv_nxt + len(t.data) & M
    assert time.monotonic() - start < 1
    end = c.irs + 1 + 10000 & M
    while diff(end, c.rcv_nxt) > 0:
        c.ack()
        t = c.expect(lambda t: t.data and t.seq == c.rcv_nxt, 4)
        c.rcv_nxt = t.end
    c.ack()
    assert c.stream == pattern(10000)


@pytest.mark.parametrize("partial", [False, True])
def test_all_acknowledged_after_fast_retransmit(pair, partial):
    """The ACK that ends the recovery: nothing is left to send again, least
    of all a FIN; what comes next flows."""
    c, s = pair
    in_flight(c, s)
    for _ in range(4):
        c.ack()
    c.expect(lambda t: t.data and t.seq == c.rcv_nxt, AT_ONCE)
    frames = [c.frame("A", ack=c.rcv_nxt + 3000)] if partial else []
    c.rcv_nxt = c.irs + 1 + 10000 & M
    c.g.send(*frames, c.frame("A"))     # in one write: one batch
    c.none(1.5, lambda t: t.F or t.seq == c.rcv_nxt)
    s.sendall(b"more")
    assert c.read(4) == b"more"


def test_rto_backs_off(pair):
    """No ACK at all: the first segment again, intervals doubling."""
    c, s = pair
    s.sendall(pattern(5000))
    c.expect(lambda t: t.data)
    c.clear(0.1)
    first = c.all[-1].at
    seen = []
    end = time.monotonic() + 12
    while len(seen) < 3 and time.monotonic() < end:
        n = len(c.all)
        t = c.recv(0.5)
        if t and t.data and t.seq == c.rcv_nxt and len(c.all) > n:
            seen.append(c.all[-1].at)
    assert len(seen) == 3
    gaps = [seen[0] - first, seen[1] - seen[0], seen[2] - seen[1]]
    assert 0.19 <= gaps[0] <= 3.2, gaps
    assert gaps[1] >= 1.6 * gaps[0] * 0.9, gaps
    assert gaps[2] >= 1.6 * gaps[1], gaps
    assert c.stream[:1000] == pattern(5000)[:1000]


def test_rto_recovers(pair):
    c, s = pair
    s.sendall(pattern(20000))
    c.clear(0.3)
    c.g.drain()
    c.expect(lambda t: t.data and t.seq == c.rcv_nxt, 4)
    start = time.monotonic()
    c.q.clear()
    end = c.irs + 1 + 20000 & M
    while diff(end, c.rcv_nxt) > 0:
        t = c.recv(3)
        assert t, "stuck"
        have = c.irs + 1 + len(c.stream) & M
        if diff(have, c.rcv_nxt) > 0:
            c.rcv_nxt = have
        c.ack()
    assert c.stream == pattern(20000)
    assert time.monotonic() - start < 3


def test_rto_stops_with_ack(pair):
    c, s = pair
    s.sendall(b"data")
    assert c.read(4) == b"data"
    c.none(2.2)


def test_partial_ack(pair):
    """An ACK in the middle of a segment: the rest again, exactly."""
    c, s = pair
    s.sendall(pattern(1000))
    c.expect(lambda t: t.data)
    c.rcv_nxt = c.rcv_nxt + 300 & M
    c.ack()
    t = c.expect(lambda t: t.data, 4)
    assert t.seq == c.rcv_nxt and t.data == pattern(1000)[300:]
    c.rcv_nxt = t.end
    c.ack()
    s.sendall(b"more")
    assert c.read(4) == b"more"


def test_data_and_fin_retransmitted(pair):
    c, s = pair
    s.sendall(pattern(3000))
    s.shutdown(socket.SHUT_WR)
    c.clear(0.3)
    c.expect(lambda t: t.data and t.seq == c.rcv_nxt, 4)
    c.rcv_nxt = c.irs + 1 + 3000 & M
    c.ack()
    t = c.expect(lambda t: t.F, 4)
    assert t.end == c.rcv_nxt + 1 & M
    assert c.stream == pattern(3000)


def test_syn_backs_off(daemon, net, fam):
    """Inbound: the same SYN again after 1, 2 ... seconds."""
    g = daemon("-t", "7001").connect()
    g.hello(fam)
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    c.expect("S", 4)
    c.expect("S", 6)
    a, b, z = c.all[:3]
    assert a.tcp.seq == b.tcp.seq == z.tcp.seq
    assert a.tcp.opts == b.tcp.opts == z.tcp.opts
    assert 0.8 <= b.at - a.at <= 3.2
    assert z.at - b.at >= 1.7 * (b.at - a.at)
    c.answer()
    s.sendall(b"after all")
    assert c.read(9) == b"after all"


def test_silent_guest_keeps_no_timer_busy(pair):
    """A retransmission is one segment, not the whole window each time."""
    c, s = pair
    s.sendall(pattern(60000))
    c.clear(0.3)
    n = len(c.all)
    c.clear(0.01)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        c.recv(0.1)
    assert len(c.all) - n <= 60 * 2
