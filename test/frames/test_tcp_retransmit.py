# SPDX-License-Identifier: GPL-2.0-or-later
"""Retransmission: three duplicate ACKs, RTO, SYN (RFC 5681, 6298)."""
import socket
import time

import pytest

from rig.flows import inbound, outbound, pattern, accept
from rig.tcp import diff
from rig.wait import PATIENCE, undisturbed

M = 0xffffffff
AT_ONCE = 0.15      # well before any retransmission timeout


@pytest.fixture(params=["out", "in"])
def attempt(request, daemon, net, fam):
    """Does a test's function on a new connection, opened by either side; and
    again, if a busy machine may have made its milliseconds longer."""
    g = daemon("-t", "7001").connect()
    if request.param == "in":
        g.hello(fam)

    def once(what, *args):
        if request.param == "out":
            c, s = outbound(g, net, fam, mss=1000)
        else:
            c, s = inbound(g, net, fam, 7001, mss=1000)
        try:
            return what(c, s, *args)
        finally:
            s.close()
    return lambda *args: undisturbed(lambda: once(*args), g.pid)


def in_flight(c, s, n=10, first=1):
    """n segments sent, the first of them acknowledged, n - 1 in flight. The
    time from which on their retransmission timeout may run."""
    start = time.monotonic()
    s.sendall(pattern(n * 1000))
    while len(c.stream) < n * 1000:
        assert c.recv(PATIENCE), "not all was sent"
    c.rcv_nxt = c.irs + 1 + first * 1000 & M
    c.ack()
    c.clear()
    return start


def test_fast_retransmit(attempt):
    """Three duplicate ACKs: SND.UNA again, before the RTO."""
    def segments(c, s):
        in_flight(c, s)
        for _ in range(3):
            c.ack()
        t = c.expect(lambda t: t.data, AT_ONCE)
        assert t.seq == c.rcv_nxt and len(t.data) >= 500
    attempt(segments)


def test_two_duplicates_do_not(attempt):
    def segments(c, s):
        since = in_flight(c, s)
        c.ack()
        c.ack()
        c.none(AT_ONCE, lambda t: t.data, since)
    attempt(segments)


def test_duplicates_with_data_do_not(attempt):
    """With payload it is no duplicate ACK (RFC 5681 2 b)."""
    def segments(c, s):
        since = in_flight(c, s)
        for _ in range(6):
            c.send(b"payload")
        c.none(AT_ONCE, lambda t: t.data, since)
    attempt(segments)


@pytest.mark.parametrize("step", [1, -1], ids=["grow", "shrink"])
def test_window_updates_do_not(attempt, step):
    """Another window: no duplicate ACK (RFC 5681 2 e)."""
    def segments(c, s):
        c.win = 30000
        since = in_flight(c, s)
        for i in range(6):
            c.ack(win=c.win + (i + 1) * step)
        c.none(AT_ONCE, lambda t: t.data, since)
    attempt(segments)


def test_nothing_outstanding(attempt):
    """Nothing in flight: no duplicate ACK (RFC 5681 2 a)."""
    def segments(c, s):
        s.sendall(b"x" * 100)
        assert c.read(100) == b"x" * 100
        c.clear(0.05)
        for _ in range(6):
            c.ack()
        c.none(AT_ONCE)
        s.sendall(b"y" * 100)
        assert c.read(100) == b"y" * 100
    attempt(segments)


def test_duplicates_before_data(attempt):
    """ACKs from before the data was sent do not count for it."""
    def segments(c, s):
        for _ in range(2):
            c.ack()
        c.clear(0.05)
        # the ACK in there is a first duplicate
        since = in_flight(c, s, 5, 0)
        c.ack()
        c.none(AT_ONCE, lambda t: t.data, since)
    attempt(segments)


def test_progress_restarts_count(attempt):
    def segments(c, s):
        since = in_flight(c, s)
        for _ in range(4):
            c.ack()
            c.ack()
            c.rcv_nxt = c.rcv_nxt + 1000 & M
            c.ack()
        c.none(AT_ONCE, lambda t: t.data, since)
    attempt(segments)


def test_fast_retransmit_recovers(attempt):
    """One segment lost, the rest duplicates: all arrives without an RTO."""
    def segments(c, s):
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
            t = c.expect(lambda t: t.data and t.seq == c.rcv_nxt)
            c.rcv_nxt = t.end
        c.ack()
        assert c.stream == pattern(10000)
    attempt(segments)


@pytest.mark.parametrize("partial", [False, True])
def test_all_acknowledged_after_fast_retransmit(attempt, partial):
    """The ACK that ends the recovery: nothing is left to send again, least
    of all a FIN; what comes next flows."""
    def segments(c, s):
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
    attempt(segments)


def test_rto_backs_off(attempt):
    """No ACK at all: the first segment again, intervals doubling."""
    def segments(c, s):
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
    attempt(segments)


def test_rto_recovers(attempt):
    def segments(c, s):
        s.sendall(pattern(20000))
        c.clear(0.3)
        c.g.drain()
        c.expect(lambda t: t.data and t.seq == c.rcv_nxt)
        start = time.monotonic()
        c.q.clear()
        end = c.irs + 1 + 20000 & M
        while diff(end, c.rcv_nxt) > 0:
            t = c.recv(PATIENCE)
            assert t, "stuck"
            have = c.irs + 1 + len(c.stream) & M
            if diff(have, c.rcv_nxt) > 0:
                c.rcv_nxt = have
            c.ack()
        assert c.stream == pattern(20000)
        assert time.monotonic() - start < 3
    attempt(segments)


def sent_again(c, start):
    """Where segments began that came again since there were start of all."""
    end = max(diff(f.tcp.end, c.irs) for f in c.all[:start])
    return {diff(f.tcp.seq, c.irs) - 1 for f in c.all[start:]
            if f.tcp.data and diff(f.tcp.seq, c.irs) < end}


def test_silent_guest_had_all(attempt):
    """No processor for longer than the timeout, nothing lost: a segment is
    sent again, and when that was acknowledged, one more at most; whatever
    else times out here meanwhile is one of them."""
    def segments(c, s):
        in_flight(c, s, 40, 0)
        start = len(c.all)
        c.expect(lambda t: t.data and t.seq == c.rcv_nxt)
        first = c.irs + 1 & M
        c.ack(ack=first + 1000 & M)
        c.expect(lambda t: t.data and t.seq != first)
        c.g.send(*(c.frame("A", ack=first + 1000 * (i + 1) & M)
                   for i in range(1, 40)))
        c.rcv_nxt = first + 40000 & M
        s.sendall(b"more")
        assert c.read(4) == b"more"
        assert len(sent_again(c, start)) <= 3
        assert c.stream == pattern(40000) + b"more"
    attempt(segments)


def test_silent_guest_lost_all(attempt):
    """Nothing of the window has arrived: all of it is sent again, and soon."""
    def segments(c, s):
        in_flight(c, s, 40, 0)
        c.got.clear()
        start, at = len(c.all), time.monotonic()
        while diff(c.irs + 1 + 40000 & M, c.rcv_nxt) > 0:
            t = c.recv(PATIENCE)
            assert t, "stuck"
            if t.seq == c.rcv_nxt:
                c.rcv_nxt = t.end
            c.ack()
        assert c.stream == pattern(40000)
        assert len(sent_again(c, start)) == 40
        assert time.monotonic() - at < 4
    attempt(segments)


def test_rto_stops_with_ack(attempt):
    def segments(c, s):
        s.sendall(b"data")
        assert c.read(4) == b"data"
        c.none(2.2)
    attempt(segments)


def test_partial_ack(attempt):
    """An ACK in the middle of a segment: the rest again, exactly."""
    def segments(c, s):
        s.sendall(pattern(1000))
        c.expect(lambda t: t.data)
        c.rcv_nxt = c.rcv_nxt + 300 & M
        c.ack()
        t = c.expect(lambda t: t.data)
        assert t.seq == c.rcv_nxt and t.data == pattern(1000)[300:]
        c.rcv_nxt = t.end
        c.ack()
        s.sendall(b"more")
        assert c.read(4) == b"more"
    attempt(segments)


def test_data_and_fin_retransmitted(attempt):
    def segments(c, s):
        s.sendall(pattern(3000))
        s.shutdown(socket.SHUT_WR)
        c.clear(0.3)
        c.expect(lambda t: t.data and t.seq == c.rcv_nxt)
        c.rcv_nxt = c.irs + 1 + 3000 & M
        c.ack()
        t = c.expect(lambda t: t.F)
        assert t.end == c.rcv_nxt + 1 & M
        assert c.stream == pattern(3000)
    attempt(segments)


def test_syn_backs_off(daemon, net, fam):
    """Inbound: the same SYN again after 1, 2 ... seconds."""
    g = daemon("-t", "7001").connect()
    g.hello(fam)

    def attempt():
        s = net.remote.connect(fam.host, 7001, src=fam.remote)
        c = accept(g)
        c.expect("S")
        c.expect("S")
        a, b, z = c.all[:3]
        assert a.tcp.seq == b.tcp.seq == z.tcp.seq
        assert a.tcp.opts == b.tcp.opts == z.tcp.opts
        assert 0.8 <= b.at - a.at <= 3.2
        assert z.at - b.at >= 1.7 * (b.at - a.at)
        c.answer()
        s.sendall(b"after all")
        assert c.read(9) == b"after all"
    undisturbed(attempt, g.pid)


def test_silent_guest_keeps_no_timer_busy(attempt):
    """A retransmission is one segment, not the whole window each time."""
    def segments(c, s):
        s.sendall(pattern(60000))
        c.clear(0.3)
        n = len(c.all)
        c.clear(0.01)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            c.recv(0.1)
        assert len(c.all) - n <= 60 * 2
    attempt(segments)
