# SPDX-License-Identifier: GPL-2.0-or-later
"""The stream link: framing, clients that come and go, back-pressure."""
import itertools
import os
import socket
import struct
import time

import pytest

from rig import daemon as rig_daemon, pkt
from rig.flows import Writer, one_processor, outbound, pattern, wait_for
from rig.guest import Guest
from rig.net import V4
from rig.tcp import RTO_MIN
from rig.wait import PATIENCE, Lag

ARPING = pkt.eth(pkt.BCAST, "52:54:00:12:34:56", pkt.ARP, pkt.arp(
    1, "52:54:00:12:34:56", V4.guest, "00:00:00:00:00:00", V4.gw))


pytestmark = pytest.mark.skipif(
    rig_daemon.VHOST, reason="about the stream link alone")


def framed(f):
    return struct.pack("!I", len(f)) + f


def replies(g, n):
    for _ in range(n):
        g.expect(lambda f: f.arp)


def test_byte_by_byte(guest):
    for b in framed(ARPING) * 3:
        guest.sock.send(bytes([b]))
        time.sleep(0.0005)
    replies(guest, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 45, 46, 47, 91])
def test_split_anywhere(guest, size):
    data = framed(ARPING) * 20
    for off in range(0, len(data), size):
        guest.send_raw(data[off:off + size])
    replies(guest, 20)


def test_many_in_one_write(guest):
    guest.send_raw(framed(ARPING) * 2000)
    replies(guest, 2000)


def test_large_and_small_mixed(guest, net, fam):
    """Frames of all sizes across the buffer's end, split at odd places."""
    with one_processor(guest.pid):
        s = net.remote.udp(fam.remote)
        s.setsockopt(1, 33, 32 << 20)
        sizes = [(i * 7919) % 1400 for i in range(800)]
        stream = b"".join(framed(guest.eth(pkt.ip(
            fam.guest, fam.remote, pkt.UDP, pkt.udp(
                fam.guest, fam.remote, 5060, s.getsockname()[1],
                struct.pack("!I", i) + pattern(n)))))
            for i, n in enumerate(sizes))
        ends = list(itertools.accumulate(
            4 + 14 + fam.hdr + 8 + 4 + n for n in sizes))
        assert ends[-1] == len(stream)
        got = 0
        for off in range(0, len(stream), 50021):
            guest.send_raw(stream[off:off + 50021])
            # as many at a time as the buffers of sockets on the way hold
            while got < 800 and ends[got] <= off + 50021:
                assert s.recv(3000) == struct.pack("!I", got) + pattern(sizes[got])
                got += 1
        assert got == 800


def test_largest_frame(guest, net):
    """A frame of the whole MTU."""
    s = net.remote.udp(V4.remote)
    data = pattern(65520 - 28)
    guest.udp(V4.guest, V4.remote, 5061, s.getsockname()[1], data)
    assert s.recv(70000) == data


@pytest.mark.parametrize("n", [0, 1, 13])
def test_too_short(guest, n):
    """No room for a header: dropped, and the stream goes on."""
    guest.send_raw(framed(b"\xff" * n) + framed(ARPING))
    replies(guest, 1)


@pytest.mark.parametrize("n", [1 << 17, 1 << 20, 0x7fffffff, 0x80000000,
                               0xffffffff])
def test_oversized_prefix(daemon, n):
    """No frame is that long: the client is dropped, or all of it skipped;
    the next one is served."""
    d = daemon()
    g = d.connect()
    g.hello(V4)
    try:
        g.send_raw(struct.pack("!I", n) + b"x" * 100000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    g.close()
    d.guests.clear()
    d.connect().hello(V4)


def test_client_leaves_mid_frame(daemon):
    d = daemon()
    for cut in (1, 3, 4, 5, 20, 45):
        s = d.socket()
        s.send(framed(ARPING)[:cut])
        s.close()
        g = d.connect()
        g.hello(V4)
        g.close()


def test_client_leaves_with_output_pending(daemon, net, fam):
    """The daemon still has frames for a client that is gone."""
    d = daemon()
    for _ in range(3):
        g = d.connect()
        c, s = outbound(g, net, fam, mss=1400, ws=7)
        Writer(s, pattern(1 << 20))
        time.sleep(0.05)
        g.close()
    d.connect().hello(fam)


def test_second_client_closed(daemon):
    d = daemon()
    g = d.connect()
    g.hello(V4)
    for _ in range(3):
        s = d.socket()
        s.settimeout(PATIENCE)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
        s.close()
    g.hello(V4)


def test_next_client_served(daemon, fam):
    d = daemon()
    base = None
    for _ in range(10):
        g = d.connect()
        g.hello(fam)
        base = base or d.fds()
        assert d.fds() == base
        g.close()


def test_one_off(daemon):
    d = daemon("--one-off")
    g = d.connect()
    g.hello(V4)
    g.close()
    assert d.wait() == 0
    assert not os.path.exists(d.path)


def test_fd(daemon):
    """--fd: a connected socket instead of --socket; implies --one-off."""
    ours, theirs = socket.socketpair()
    d = daemon("--fd", str(theirs.fileno()), socket_opt=False,
               pass_fds=(theirs.fileno(),))
    theirs.close()
    # the first advertisement, and not that and the second, seconds later
    ours.settimeout(PATIENCE)
    first = ours.recv(1 << 16)
    assert len(first) == 4 + int.from_bytes(first[:4], "big")
    g = Guest(ours)
    d.guests.append(g)
    g.hello(V4)
    g.close()
    assert d.wait() == 0


def test_half_closed_stream(daemon):
    """A client that shuts its writing side has left."""
    d = daemon()
    g = d.connect()
    g.hello(V4)
    g.sock.shutdown(socket.SHUT_WR)
    wait_for(lambda: g.poll(0) and g.closed or g.closed)
    d.connect().hello(V4)


def test_socket_mode(daemon):
    """The guest's link is no business of other users."""
    d = daemon()
    d.connect()
    assert os.stat(d.path).st_mode & 0o077 == 0


def test_back_pressure_tcp(daemon, net, fam):
    """A guest that does not read loses no TCP data."""
    d = daemon()
    g = d.connect()
    conns = [outbound(g, net, fam, mss=1400, ws=7) for _ in range(8)]
    data = pattern(400000)
    for _, s in conns:
        Writer(s, data)
    time.sleep(1.5)                     # nobody reads the stream
    lag = Lag(d.pid)
    while any(len(c.stream) < len(data) for c, _ in conns):
        assert g.poll(PATIENCE), g.story()
        lag.look()
        for c, _ in conns:
            if c.q:
                c.q.clear()
                c.rcv_nxt = c.irs + 1 + len(c.stream) & 0xffffffff
                c.ack()
    assert all(c.stream == data for c, _ in conns)
    sent = sum(len(f.tcp.data) for c, _ in conns for f in c.all)
    # what comes again, as a busy machine has us acknowledge it late, is no loss
    assert sent < 8 * len(data) * 1.5 or lag.worst > RTO_MIN / 2


def test_stalled_guest_no_wakeups(daemon, net, fam):
    """The link is full, data waits: the daemon sleeps."""
    d = daemon()
    g = d.connect()
    conns = [outbound(g, net, fam, mss=1400, ws=7) for _ in range(4)]
    for _, s in conns:
        Writer(s, pattern(2000000))
    time.sleep(1)
    d.sleeps(2, 25, 0.1)


def test_flood_without_reading(daemon, fam):
    """A guest that only asks and never reads: bounded, and no deadlock."""
    d = daemon()
    g = d.connect()
    before = d.rss()
    end = time.monotonic() + 1.5
    chunk = framed(ARPING) * 500
    pending = b""
    while time.monotonic() < end:
        pending = pending or chunk
        try:
            pending = pending[g.sock.send(pending):]
        except BlockingIOError:
            time.sleep(0.001)
    assert d.rss() - before < 16 << 20
    if pending:
        g.send_raw(pending)
    g.drain(0.2)
    g.hello(fam)
