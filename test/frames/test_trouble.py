# SPDX-License-Identifier: GPL-2.0-or-later
"""Trouble around the daemon: interface and addresses that go and come, name
servers, full disks, clocks, and a daemon that is stopped. RIG_SOAK=1 takes
longer."""
import os
import re
import signal
import struct
import tempfile
import time

import pytest

from rig import daemon as rd
from rig.fault import LIBRARY, Faults
from rig.flows import Reader, Writer, accept, outbound, pattern, read_all
from rig.net import HostNet, V4
from rig.tcp import Bulk, Conn
from rig.wait import PATIENCE

SOAK = bool(os.environ.get("RIG_SOAK"))


@pytest.fixture
def own():
    """A network of the test's own, to be spoilt, with a daemon in it."""
    n = HostNet()
    n.daemon = rd.Daemon(n, "-q", "-t", "7001")
    yield n
    try:
        n.daemon.stop()
    finally:
        n.close()


def answered(g, net, sport=5000):
    """A datagram to the remote, and its answer."""
    u = net.remote.udp(V4.remote)
    g.udp(V4.guest, V4.remote, sport, u.getsockname()[1], b"ask")
    data, peer = u.recvfrom(100)
    assert data == b"ask"
    u.sendto(b"told", peer)
    g.expect_udp(dport=sport, data=b"told")
    u.close()
    return peer[0]


def said(d, most):
    """Each kind of message at most so often."""
    kinds = {}
    for line in d.stderr.splitlines():
        line = re.sub(r"\d+", "N", re.sub(r" \(\d+ similar.*", "", line))
        kinds[line] = kinds.get(line, 0) + 1
    for line, n in kinds.items():
        assert n <= most, "%d times: %s" % (n, line)


def test_interface_down_and_up(own):
    """What is under way waits and goes on, what is new is told; and with the
    interface all comes back."""
    d = own.daemon
    g = d.connect()
    g.hello(V4)
    c, s = outbound(g, own, V4, mss=1400, ws=7)
    c.send(b"before")
    assert read_all(s, 6) == b"before"
    own.host.sh("ip link set eth0 down")
    c.send(b"meanwhile")
    c.expect_ack()
    for i in range(20):
        g.udp(V4.guest, V4.remote, 5100 + i, 9, b"lost")
        g.echo(V4.guest, V4.remote, 5100 + i, 1, b"lost")
    g.expect(lambda f: f.icmp and f.icmp.type == 3, what="unreachable")
    x = Conn(g, V4.remote, 9, src=V4.guest)
    x.syn()
    x.none(1, lambda t: not t.R)
    g.drain(0.3)
    own.host.sh("ip link set eth0 up; "
                "ip route add default via 192.0.2.1 dev eth0")
    assert read_all(s, 9) == b"meanwhile"
    s.sendall(b"after")
    assert c.read(5) == b"after"
    answered(g, own)
    x, y = outbound(g, own, V4)
    y.sendall(b"new")
    assert x.read(3) == b"new"
    z = own.remote.connect(V4.host, 7001, src=V4.remote)
    accept(g).answer()
    z.close()
    said(d, 3)


def test_address_changed(own):
    """New flows leave from, and come to, the new one."""
    d = own.daemon
    g = d.connect()
    g.hello(V4)
    c, s = outbound(g, own, V4, mss=1400, ws=7)
    assert answered(g, own) == V4.host
    own.host.sh("ip addr flush dev eth0 scope global; "
                "ip addr add 192.0.2.50/24 dev eth0; "
                "ip route replace default via 192.0.2.1 dev eth0")
    c.send(b"to nowhere")
    assert answered(g, own, 5001) == "192.0.2.50"
    x, y = outbound(g, own, V4)
    assert y.getpeername()[0] == "192.0.2.50"
    y.sendall(b"new")
    assert x.read(3) == b"new"
    z = own.remote.connect("192.0.2.50", 7001, src=V4.remote)
    accept(g).answer()
    z.close()
    s.close()
    said(d, 3)


def test_name_server_gone(daemon, net):
    """Nobody there: told at once; somebody again: answered."""
    d = daemon("-q", "--dns-forward", "192.0.2.88", "--dns-host",
               "198.51.100.53")
    g = d.connect()
    g.hello(V4)
    for i in range(3):
        g.udp(V4.guest, "192.0.2.88", 5300, 53, b"who")
        f = g.expect(lambda f: f.icmp and f.icmp.type == 3,
                     what="unreachable")
        assert f.icmp.code == 3 and f.ip.src == "192.0.2.88"
    u = net.remote.udp("198.51.100.53", 53)
    for i in range(2):
        g.udp(V4.guest, "192.0.2.88", 5300, 53, b"who %d" % i)
        data, peer = u.recvfrom(100)
        u.sendto(b"me", peer)
        g.expect_udp(src="192.0.2.88", sport=53, dport=5300, data=b"me")
    u.close()
    said(d, 2)


def test_stopped_for_a_while(daemon, net):
    """SIGSTOP, a second (a minute) later SIGCONT: nothing is lost."""
    d = daemon("-q", "-t", "7001")
    g = d.connect()
    g.hello(V4)
    conns = [outbound(g, net, V4, mss=1400, ws=7) for _ in range(4)]
    up, down = pattern(200000, 1), pattern(200000, 2)
    os.kill(d.pid, signal.SIGSTOP)
    for _, s in conns:
        s.settimeout(None)
        Writer(s, down)
    readers = [Reader(s, len(up)) for _, s in conns]
    late = net.remote.connect(V4.host, 7001, src=V4.remote)
    time.sleep(60 if SOAK else 1)
    os.kill(d.pid, signal.SIGCONT)
    for (c, _), r in zip(conns, readers):
        got = []
        Bulk(c, up, want=len(down), sink=got.append).run()
        assert b"".join(got) == down
        r.join(2 * PATIENCE)
        assert r.count == len(up)
    c = accept(g)
    c.answer()
    late.sendall(b"late")
    assert c.read(4) == b"late"
    d.sleeps(0.5, 100, 0.05)
    said(d, 2)


@pytest.mark.skipif(not os.path.exists(LIBRARY), reason="no build/fault.so")
def test_clock_jumps(daemon, net):
    """CLOCK_REALTIME, a year ahead and a year back: it is in captures alone."""
    with Faults() as f:
        d = daemon("-q", "-p", "@DIR@/pcap", env=f.env)
        g = d.connect()
        g.hello(V4)
        c, s = outbound(g, net, V4, mss=1400, ws=7)
        year = 366 * 86400
        for shift in (0, year, -year, 0):
            f.shift(shift)
            s.sendall(b"tick")
            assert c.read(4) == b"tick"
            c.send(b"tock")
            assert read_all(s, 4) == b"tock"
            answered(g, net, 5000 + shift // 86400)
            # an ACK that was to come is not late
            watch = g.stopwatch()
            c.send(b"x")
            c.expect_ack()
            assert watch.took() < 0.5
            assert s.recv(1) == b"x"
        f.shift(year)
        d.sleeps(0.5, 20, 0.05)
        with open(d.file("pcap"), "rb") as p:
            times = [t for t, _ in records(p.read())]
        assert max(times) - min(times) > 1.9 * year


def records(b):
    """Time and bytes of each frame of a capture, which has to be whole."""
    assert struct.unpack_from("=I", b)[0] == 0xa1b2c3d4
    at = 24
    while at < len(b):
        sec, _, caught, length = struct.unpack_from("=IIII", b, at)
        assert caught == length and at + 16 + caught <= len(b), "cut"
        yield sec, b[at + 16:at + 16 + caught]
        at += 16 + caught


def test_disk_full(daemon, net):
    """Log and capture on a disk of 64 KiB: what fits is whole, it is told
    once, and the guest does not notice."""
    with tempfile.TemporaryDirectory(prefix="rig-full-") as place:
        net.host.sh("mount -t tmpfs -o size=64k,mode=777 tmpfs %s" % place)
        try:
            d = daemon("--debug", "-l", place + "/log", "-p", place + "/pcap")
            g = d.connect()
            g.hello(V4)
            c, s = outbound(g, net, V4, mss=1400, ws=7)
            data = pattern(200000)
            r = Reader(s)
            Bulk(c, data, fin=True).run()
            r.join(2 * PATIENCE)
            assert r.count == len(data)
            for i in range(200):
                answered(g, net, 6000 + i)
            inside = "/proc/%d/root%s/" % (net.host.proc.pid, place)
            with open(inside + "pcap", "rb") as f:
                frames = list(records(f.read()))
            with open(inside + "log", encoding="utf-8") as f:
                log = f.read()
            assert len(frames) > 10 and len(log) > 1000
            free = os.statvfs(inside)
            assert free.f_bavail == 0, "not full"
            told = [x for x in d.stderr.splitlines() if "pcap" in x or
                    "capture" in x]
            assert 1 <= len(told) <= 3, told
        finally:
            net.host.sh("umount -l %s" % place)
