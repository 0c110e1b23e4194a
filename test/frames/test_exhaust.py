# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is used up, by the guest or from outside: a connection that behaves
has its answers in time meanwhile, and afterwards all is as before.

To be run with nothing beside it (`make check-exhaust`): round trips are
measured. RIG_SOAK, seconds, is how long a guest does not read, and makes the
floods larger.
"""
import os
import re
import socket
import statistics
import struct
import threading
import time

import pytest

from rig import pkt
from rig.daemon import ROOT
from rig.flows import (Writer, accept, is_reset, outbound, pattern, read_all, reset,
                       wait_for)
from rig.net import V4
from rig.tcp import Conn
from rig.wait import PATIENCE

SOAK = float(os.environ.get("RIG_SOAK", "0"))
SYNS = 1000000 if SOAK else 100000
FEW = os.path.join(ROOT, "build", "few", "passt")
# Round trips take less; seconds that we and the daemon had a processor, or needed
# none
LIMIT = 0.05


class Echo(threading.Thread):
    """Sends back what a socket receives, until its end."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock = sock
        sock.settimeout(None)
        self.start()

    def run(self):
        try:
            while True:
                b = self.sock.recv(4096)
                if not b:
                    break
                self.sock.sendall(b)
        except OSError:
            pass
        self.sock.close()


class Probe:
    """The connection that behaves, with an echo at its other end."""

    def __init__(self, g, net):
        self.g = g
        self.c, s = outbound(g, net, V4, mss=1400, ws=7)
        self.echo = Echo(s)
        self.times = []

    def ask(self):
        """One round trip; what else comes meanwhile stays where it is."""
        c, watch = self.c, self.g.stopwatch()
        c.send(b"question")
        assert c.read(8) == b"question"
        self.times.append(watch.took())
        for old in c.q, c.all, c.got:
            old.clear()

    def judge(self, least=20):
        """Fails if the answers came late."""
        t = sorted(self.times)
        assert len(t) >= least, "only %d round trips" % len(t)
        late = [x for x in t if x > LIMIT]
        text = "%d round trips: median %.1f ms, most %.1f ms, %d late" % (
            len(t), statistics.median(t) * 1000, t[-1] * 1000, len(late))
        print(text)
        if os.environ.get("RIG_TELL"):
            print([(i, round(x * 1000)) for i, x in enumerate(self.times)
                   if x > LIMIT / 2])
        assert not late, text
        self.times.clear()


def calm(d, seconds=0.5):
    """The daemon sleeps."""
    d.sleeps(seconds, 20 + 20 * seconds, 0.02 + seconds / 20)


def warnings(d):
    """Lines said of trouble, by kind."""
    out = {}
    for line in d.stderr.splitlines():
        line = re.sub(r"\d+", "N", re.sub(r" \(\d+ similar.*", "", line))
        out[line] = out.get(line, 0) + 1
    return out


def said(d, seconds):
    """Each kind at most once a second."""
    for line, n in warnings(d).items():
        assert n <= seconds + 2, "%d times: %s" % (n, line)


def patched(frame, n):
    """n copies of a TCP frame, each with another source port; every 20,000
    the destination port moves on. The sequence number makes up for it, so
    that the checksum stays right."""
    raw = bytearray(frame)
    sport, dport = struct.unpack_from("!HH", raw, 34)
    seq = struct.unpack_from("!H", raw, 40)[0]
    total = sport + dport + seq
    prefix = struct.pack("!I", len(raw))
    for i in range(n):
        sp, dp = 10000 + i % 20000, dport + i // 20000
        struct.pack_into("!HH", raw, 34, sp, dp)
        left = (total - sp - dp) % 0xffff
        struct.pack_into("!H", raw, 40, left)
        yield prefix + raw


def chunks(frames, size=100):
    out = []
    for f in frames:
        out.append(f)
        if len(out) == size:
            yield b"".join(out)
            out = []
    if out:
        yield b"".join(out)


def syn_frame(g, dst, flags="S"):
    return g.eth(pkt.ip4(V4.guest, dst, pkt.TCP, pkt.tcp(
        V4.guest, dst, 10000, 1000, 0x12345678, 0, flags)))


def served(g, net, port=None):
    """New flows of all kinds work."""
    g.q.clear()
    c, s = outbound(g, net, V4, mss=1400, ws=7)
    s.sendall(b"hello")
    assert c.read(5) == b"hello"
    c.send(b"back")
    assert read_all(s, 4) == b"back"
    reset(s)
    c.expect(lambda t: t.R)
    c.forget()
    u = net.remote.udp(V4.remote)
    g.udp(V4.guest, V4.remote, 4999, u.getsockname()[1], b"ask")
    data, peer = u.recvfrom(100)
    u.sendto(data, peer)
    g.expect_udp(dport=4999)
    u.close()
    g.echo(V4.guest, V4.remote, 4999, 1, b"x")
    g.expect(lambda f: f.icmp and f.icmp.type == 0)
    if port:
        s = net.remote.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        s.connect_ex((V4.host, port))
        sport = s.getsockname()[1]
        c = accept(g, lambda f: f.tcp.sport == sport)
        c.answer()
        s.settimeout(PATIENCE)
        s.sendall(b"in")
        assert c.read(2) == b"in"
        s.close()
        c.forget()


def test_syn_flood_of_guest(daemon, net):
    """100,000 connections to where nobody answers, as fast as can be."""
    d = daemon("-q")
    g = d.connect()
    g.hello(V4)
    p, start = Probe(g, net), time.monotonic()
    base, fds = d.rss(), d.fds()
    for chunk in chunks(patched(syn_frame(g, V4.blackhole), SYNS)):
        g.send_raw(chunk)
        p.ask()
        g.q.clear()
    took = time.monotonic() - start
    print("%d SYNs in %.1f s, %d descriptors, %.0f MiB more" % (
        SYNS, took, d.fds(), (d.rss() - base) / (1 << 20)))
    p.judge(500)
    said(d, took)
    for chunk in chunks(patched(syn_frame(g, V4.blackhole, "R"), SYNS)):
        g.send_raw(chunk)
        p.ask()
    wait_for(lambda: d.fds() == fds, what="all forgotten")
    served(g, net)
    calm(d)


def test_flow_table_full(daemon, net):
    """What is new is refused, from both sides, and said; what stands goes
    on; and once there is room, all is as before."""
    d = daemon("-q", "-t", "7001", "-u", "7001", program=FEW)
    g = d.connect()
    g.hello(V4)
    p, start, fds = Probe(g, net), time.monotonic(), d.fds()
    for chunk in chunks(patched(syn_frame(g, V4.blackhole), 6000)):
        g.send_raw(chunk)
        p.ask()
    d.wait_log("Flow table full")
    assert 4000 < d.fds() - fds < 4096
    for i in range(30):
        g.udp(V4.guest, V4.remote, 7100 + i, 9, b"x")
        g.echo(V4.guest, V4.remote, 7100 + i, 1, b"x")
        s = net.remote.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(PATIENCE)
        try:
            s.connect((V4.host, 7001))
            assert is_reset(s), "a client that nobody serves"
        except ConnectionResetError:
            pass
        s.close()
        p.ask()
    p.judge(80)
    said(d, time.monotonic() - start)
    for chunk in chunks(patched(syn_frame(g, V4.blackhole, "R"), 6000)):
        g.send_raw(chunk)
        p.ask()
    wait_for(lambda: d.fds() == fds, what="all forgotten")
    served(g, net, 7001)
    calm(d)


def test_descriptors_used_up(daemon, net):
    """No socket for the guest, none for a client: no busy loop, and what
    stands goes on; once there are some again, all is as before."""
    d = daemon("-q", "-t", "7001", "-u", "7001",
               prefix=("prlimit", "--nofile=80:80"))
    g = d.connect()
    g.hello(V4)
    p, before, start = Probe(g, net), d.stderr, time.monotonic()
    syns = [Conn(g, V4.blackhole, 9, src=V4.guest) for _ in range(80)]
    for c in syns * 2:
        c.syn()
    p.ask()
    assert d.fds() == 80
    u = net.remote.udp(V4.remote)
    for i in range(60):
        g.udp(V4.guest, V4.remote, 6000 + i, u.getsockname()[1], b"x")
        g.echo(V4.guest, V4.remote, 6000 + i, 1, b"x")
        Conn(g, V4.blackhole, 10, src=V4.guest, sport=6000 + i).syn()
        p.ask()
    clients = [net.remote.socket(socket.AF_INET, socket.SOCK_STREAM)
               for _ in range(20)]
    for c in clients:
        c.setblocking(False)
        c.connect_ex((V4.host, 7001))
    v = net.remote.udp(V4.remote)
    v.sendto(b"x", (V4.host, 7001))
    cpu, wakeups, asked = d.cpu(), d.wakeups(), len(p.times)
    for _ in range(50):
        p.ask()
        time.sleep(0.01)
    assert d.cpu() - cpu < 0.15 and d.wakeups() - wakeups < 600
    assert len(p.times) > asked
    p.judge(100)
    took = time.monotonic() - start
    assert len(d.stderr) > len(before), "said nothing"
    said(d, took)
    for c in syns:
        c.rst(seq=c.isn)
    for c in clients:
        reset(c)
    u.close()
    v.close()
    g.drain(0.3)
    served(g, net, 7001)
    calm(d)


def settled(d):
    """Wait until the daemon's memory stays as it is."""
    last = [0]

    def same():
        time.sleep(0.3)
        last.append(d.rss())
        return last[-1] == last[-2]
    time.sleep(0.7)
    wait_for(same)


def test_guest_never_reads(daemon, net):
    """The host's side stalls, memory stays, nothing spins; then all of it
    arrives. With RIG_SOAK for so long."""
    d = daemon("-q", "-u", "7001")
    g = d.connect()
    g.hello(V4)
    conns = [outbound(g, net, V4, mss=1400, ws=7) for _ in range(20)]
    data = pattern(1 << 20)
    for _, s in conns:
        s.settimeout(None)
        Writer(s, data)
    u = net.remote.udp(V4.remote)
    stop = threading.Event()

    def noise():
        while not stop.wait(0.001):
            u.sendto(b"x" * 1000, (V4.host, 7001))
    t = threading.Thread(target=noise, daemon=True)
    t.start()
    settled(d)
    rss, fds, cpu, start = d.rss(), d.fds(), d.cpu(), time.monotonic()
    time.sleep(SOAK or 1.5)
    took = time.monotonic() - start
    assert d.rss() - rss < 1 << 20, "grows by %d" % (d.rss() - rss)
    assert d.fds() == fds
    assert d.cpu() - cpu < 0.05 + took / 10
    said(d, took)
    stop.set()
    t.join()
    u.close()
    for c, s in conns:
        assert c.read(len(data)) == data
        s.close()
    g.drain(0.1)
    served(g, net)


def test_guest_acknowledges_nothing(daemon, net):
    """A hundred connections whose data is never acknowledged: sent again
    ever more seldom, no more memory, and the probe's answers are in time."""
    d = daemon("-q")
    g = d.connect()
    g.hello(V4)
    p = Probe(g, net)
    conns = [outbound(g, net, V4, mss=1400, ws=7) for _ in range(100)]
    for _, s in conns:
        s.setblocking(False)
        s.send(pattern(1 << 20))
    for c, _ in conns:
        c.strict = False
    g.drain(0.5)
    rss, cpu, start = d.rss(), d.cpu(), time.monotonic()
    while time.monotonic() - start < 3 or len(p.times) < 80:
        p.ask()
        time.sleep(0.02)
    p.judge(80)
    assert d.rss() - rss < 1 << 20
    assert d.cpu() - cpu < 0.2 * (time.monotonic() - start)
    for _, s in conns:
        reset(s)
    fds = d.fds()
    wait_for(lambda: g.drain(0.1) or d.fds() <= fds - 100 or
             all(any(f.tcp.R for f in c.all) for c, _ in conns))
    served(g, net)
    calm(d)


def storm(net, n, probe):
    """So many connect to the forwarded port at once; the guest, which asks
    meanwhile, answers none. Return their sockets."""
    clients = []
    for i in range(n):
        s = net.remote.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        s.connect_ex((V4.host, 7001))
        clients.append(s)
        if not i % 20:
            probe.ask()
            probe.g.q.clear()
    return clients


def test_accept_storm(daemon, net):
    """Thousands of clients at once, of whom the guest answers none."""
    n = 4000
    d = daemon("-q", "-t", "7001")
    g = d.connect()
    g.hello(V4)
    p, start, fds = Probe(g, net), time.monotonic(), d.fds()
    clients = storm(net, n, p)
    for _ in range(50):
        p.ask()
        g.q.clear()
        time.sleep(0.01)
    p.judge(200)
    wait_for(lambda: d.fds() > fds + n / 2)
    for s in clients:
        reset(s)
    wait_for(lambda: g.drain(0.05) or d.fds() == fds,
             what="all closed")
    said(d, time.monotonic() - start)
    served(g, net, 7001)
    calm(d)


def raw_frames(net, frames):
    """Ethernet frames onto the wire between remote and host."""
    with net.remote:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("eth0", 0))
    for f in frames:
        s.send(f)
    s.close()


def macs(net):
    return [ns.sh("cat /sys/class/net/eth0/address").strip()
            for ns in (net.host, net.remote)]


def test_syn_flood_from_outside(daemon, net):
    """100,000 SYNs of nobody to a forwarded port."""
    d = daemon("-q", "-t", "7001")
    g = d.connect()
    g.hello(V4)
    p, start = Probe(g, net), time.monotonic()
    host, remote = macs(net)
    base = pkt.eth(host, remote, pkt.IP4, pkt.ip4(
        V4.blackhole, V4.host, pkt.TCP, pkt.tcp(
            V4.blackhole, V4.host, 10000, 7001, 0x12345678, 0, "S")))

    def flood():
        def same_port():
            raw, total = bytearray(base), sum(
                struct.unpack_from("!HxxxxH", base, 34))
            for i in range(SYNS):
                struct.pack_into("!H", raw, 34, 10000 + i % 50000)
                struct.pack_into("!H", raw, 40, (
                    total - 10000 - i % 50000) % 0xffff)
                yield raw
        raw_frames(net, same_port())
    t = threading.Thread(target=flood, daemon=True)
    t.start()
    while t.is_alive():
        p.ask()
        g.q.clear()
        time.sleep(0.005)
    p.judge(20)
    said(d, time.monotonic() - start)
    served(g, net, 7001)
    calm(d)


def strangers(net, n):
    """Datagrams to port 7001, each from another port of nobody's."""
    host, remote = macs(net)
    base = pkt.eth(host, remote, pkt.IP4, pkt.ip4(
        V4.blackhole, V4.host, pkt.UDP, pkt.udp(
            V4.blackhole, V4.host, 0, 7001, b"?", check=0)))
    raw = bytearray(base)
    for i in range(n):
        struct.pack_into("!H", raw, 34, 10000 + i)
        yield raw


def test_udp_flood_from_outside(daemon, net):
    """More clients of a forwarded port than the table has room for, and all of
    them lies: they take each other's place, and neither the guest's, nor that of
    a client who is there."""
    d = daemon("-q", "-t", "7002", "-u", "7001:7003", program=FEW)
    g = d.connect()
    g.hello(V4)
    p, start, fds = Probe(g, net), time.monotonic(), d.fds()
    u = net.remote.udp(V4.remote)
    u.connect((V4.host, 7001))

    def spoken_to(answer):
        u.send(b"hi")
        g.expect_udp(dport=7003, sport=u.getsockname()[1])
        g.udp(V4.guest, V4.remote, 7003, u.getsockname()[1], answer)
        assert u.recv(100) == answer
    spoken_to(b"one")
    spoken_to(b"two")
    frames = strangers(net, 6000)
    for _ in range(300):
        raw_frames(net, [bytes(next(frames)) for _ in range(20)])
        p.ask()
    wait_for(lambda: p.ask() or d.fds() - fds > 3000, what="as many as may be")
    assert d.fds() - fds < 3100
    p.judge(300)
    g.drain(0.1)
    spoken_to(b"three")
    # by the flow that there was: one of the guest's would come from elsewhere
    g.udp(V4.guest, V4.remote, 7003, u.getsockname()[1], b"four")
    assert u.recv(100) == b"four"
    u.close()
    served(g, net, 7002)
    assert "Flow table full" not in d.stderr
    said(d, time.monotonic() - start)
    calm(d)


def test_clients_leave_the_guest_its_own(daemon, net):
    """More connections to a forwarded port than the table has room for: those
    beyond their share are reset, and the guest opens what it likes."""
    d = daemon("-q", "-t", "7001", program=FEW)
    g = d.connect()
    g.hello(V4)
    p, start, fds = Probe(g, net), time.monotonic(), d.fds()
    clients = storm(net, 4300, p)
    d.wait_log("have their share")
    assert d.fds() - fds < 3100
    p.judge(100)
    served(g, net)
    for s in clients:
        reset(s)
    wait_for(lambda: g.drain(0.05) or d.fds() < fds + 10, what="all closed")
    said(d, time.monotonic() - start)
    served(g, net, 7001)
    calm(d)


def test_udp_port_scan(daemon, net):
    """Of the guest, 10,000 ports of a host that refuses each; and of the
    forwarded ports from outside."""
    d = daemon("-q", "-u", "8000-8499")
    g = d.connect()
    g.hello(V4)
    p, start = Probe(g, net), time.monotonic()
    for i in range(0, 10000, 50):
        g.send(*[g.eth(pkt.ip(V4.guest, V4.remote2, pkt.UDP, pkt.udp(
            V4.guest, V4.remote2, 5000, 10000 + i + k, b"?")))
            for k in range(50)])
        p.ask()
        g.q.clear()
    s = net.remote.udp(V4.remote)
    for i in range(5000):
        s.sendto(b"?", (V4.host, 8000 + i % 500))
        if not i % 50:
            p.ask()
            g.q.clear()
    s.close()
    p.judge(200)
    said(d, time.monotonic() - start)
    served(g, net)
    calm(d)
