# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutated frames: whatever the guest sends, the daemon lives.

RIG_FUZZ frames in all (200,000 unless told otherwise), in pieces of a seed
each. Half of the mutated frames get right checksums and lengths again, so
that they reach what lies behind these checks. Meant for a build with
sanitizers; the daemon fixture finds their reports.
"""
import os
import random
import struct

import pytest

from rig import dhcp, pkt
from rig.flows import accept, outbound
from rig.net import V4, V6
from rig.tcp import Conn

PIECES = 8
FRAMES = int(os.environ.get("RIG_FUZZ", "200000")) // PIECES
EDGES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 20, 40, 60, 63, 64, 127, 128, 254,
         255)


def corpus(g, net, conns):
    """Valid frames of every kind that the daemon looks into."""
    out = [
        pkt.eth(pkt.BCAST, g.mac, pkt.ARP, pkt.arp(
            1, g.mac, V4.guest, "00:00:00:00:00:00", V4.gw))]
    full = dhcp.opt(50, pkt.addr2b(V4.guest)) + dhcp.opt(55, bytes(
        [1, 3, 6, 12, 26, 51, 54, 81, 119, 121])) + dhcp.opt(80, b"") + \
        dhcp.opt(81, b"\4\0\0\3abc\0") + dhcp.opt(57, b"\5\xdc") + \
        dhcp.opt(61, b"\1" + pkt.mac2b(g.mac))
    for kind in range(1, 9):
        m = dhcp.bootp(g, dhcp.opt(53, bytes([kind])) + full + b"\xff", 99)
        out.append(g.eth(pkt.ip4("0.0.0.0", "255.255.255.255", pkt.UDP,
                                 pkt.udp("0.0.0.0", "255.255.255.255", 68, 67,
                                         m)), dst=pkt.BCAST))
    for kind in range(1, 12):
        m = bytes([kind]) + b"xid" + dhcp.opt6(1, dhcp.duid(g)) + \
            dhcp.ia_na(7, V6.guest) + dhcp.opt6(6, b"\0\x17\0\x18\0\x27") + \
            dhcp.opt6(8, b"\0\0") + dhcp.opt6(39, b"\0\3abc\0")
        out.append(g.eth(pkt.ip6(g.lladdr, "ff02::1:2", pkt.UDP, pkt.udp(
            g.lladdr, "ff02::1:2", 546, 547, m))))
    for kind, dst, body in (
            (133, "ff02::2", b"\x01\x01" + pkt.mac2b(g.mac)),
            (135, pkt.solicited(V6.gw), pkt.addr2b(V6.gw) + b"\x01\x01" +
             pkt.mac2b(g.mac)),
            (136, V6.gw, pkt.addr2b(V6.guest) + b"\x02\x01" +
             pkt.mac2b(g.mac))):
        out.append(g.eth(pkt.ip6(g.lladdr, dst, pkt.ICMP6, pkt.icmp(
            g.lladdr, dst, kind, 0, bytes(4) + body), ttl=255)))
    for fam in (V4, V6):
        out += protocol_frames(g, fam)
    for c in conns:
        for flags, data in (("A", b""), ("PA", b"data" * 30), ("FA", b""),
                            ("R", b""), ("S", b""), ("SA", b""),
                            ("PAU", b"u")):
            out.append(c.frame(flags, data, opts=pkt.opt_mss(1400) +
                               pkt.opt_ws(7) + pkt.opt_ts(1, 2)))
            out.append(c.frame(flags, data))
    return out


def protocol_frames(g, fam):
    a, b = fam.guest, fam.remote
    echo = 128 if fam.v == 6 else 8
    out = [g.eth(pkt.ip(a, b, pkt.UDP, pkt.udp(a, b, 5, port, b"x" * n)))
           for port, n in ((53, 40), (7, 0), (7000, 1400), (67, 300))]
    out.append(g.eth(pkt.ip(a, b, pkt.icmp_proto(a), pkt.icmp(
        a, b, echo, 0, b"\0\1\0\1" + b"ping" * 10))))
    d = pkt.udp(a, b, 6, 7001, bytes(range(256)) * 8)
    out += map(g.eth, pkt.fragments(a, b, pkt.UDP, d, 800))
    for port in (80, 9, 7001):
        out.append(g.eth(pkt.ip(a, b, pkt.TCP, pkt.tcp(
            a, b, 40000, port, 1, 0, "S",
            opts=pkt.opt_mss(1460) + pkt.OPT_SACKOK + pkt.opt_ts(1) +
            pkt.opt_ws(7)))))
    inner = pkt.ip(b, a, pkt.UDP, pkt.udp(b, a, 7, 5, b"x"))
    kind = 1 if fam.v == 6 else 3
    out.append(g.eth(pkt.ip(a, b, pkt.icmp_proto(a), pkt.icmp(
        a, b, kind, 4, bytes(4) + inner))))
    if fam.v == 6:
        out.append(g.eth(pkt.ip6(a, b, 0, b"\x3c\0\1\4\0\0\0\0" +
                                 b"\x2b\0\1\4\0\0\0\0" + b"\x11\0" + bytes(6) +
                                 pkt.udp(a, b, 5, 7, b"x"))))
    else:
        out.append(g.eth(pkt.ip4(a, b, pkt.UDP, pkt.udp(a, b, 5, 7, b"x"),
                                 opts=b"\x07\x07\x04\0\0\0\0\0")))
    return out


def repair(f):
    """Right lengths and checksums for a mutated frame."""
    kind, p = f[12:14], bytearray(f[14:])
    if kind == b"\x08\0" and len(p) >= 28:
        ihl = (p[0] & 15) * 4
        if p[0] >> 4 != 4 or not 20 <= ihl <= len(p) - 8:
            return f
        struct.pack_into("!H", p, 2, len(p) & 0xffff)
        p[10:12] = b"\0\0"
        struct.pack_into("!H", p, 10, pkt.csum(bytes(p[:ihl])))
        pre = bytes(p[12:20]) + struct.pack("!BBH", 0, p[9], len(p) - ihl)
        off, proto = ihl, p[9]
        if struct.unpack_from("!H", p, 6)[0] & 0x3fff:
            return f[:14] + bytes(p)
    elif kind == b"\x86\xdd" and len(p) >= 48:
        struct.pack_into("!H", p, 4, (len(p) - 40) & 0xffff)
        off, proto = 40, p[6]
        pre = bytes(p[8:40]) + struct.pack("!IHBB", len(p) - 40, 0, 0, proto)
    else:
        return f
    at = {pkt.TCP: 16, pkt.UDP: 6, pkt.ICMP: 2, pkt.ICMP6: 2}.get(proto)
    if at is None or len(p) < off + at + 2:
        return f[:14] + bytes(p)
    if proto == pkt.UDP:
        struct.pack_into("!H", p, off + 4, (len(p) - off) & 0xffff)
    struct.pack_into("!H", p, off + at, 0)
    body = bytes(p[off:])
    if proto == pkt.ICMP:
        pre = b""
    struct.pack_into("!H", p, off + at, pkt.csum(pre + body))
    return f[:14] + bytes(p)


def mutate(rng, seeds):
    f = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        n = len(f)
        how = rng.randrange(8)
        if n < 15:
            break
        i = rng.randrange(12, min(n, 100)) if how < 6 else rng.randrange(n)
        if how <= 1:
            f[i] ^= 1 << rng.randrange(8)
        elif how <= 3:
            f[i] = rng.choice(EDGES)
        elif how == 4:
            f[i] = rng.randrange(256)
        elif how == 5:
            f[i:i + 2] = rng.randbytes(2)
        elif how == 6:
            if rng.random() < 0.5:
                del f[i:]
            else:
                f += rng.randbytes(rng.choice((1, 8, 100, 1500)))
        else:
            g = rng.choice(seeds)
            f[i:] = g[min(i, len(g)):]
    f = bytes(f)
    return repair(f) if rng.random() < 0.5 else f


class Sink:
    """Sends batches and throws away what comes back."""

    def __init__(self, g):
        self.g = g

    def send(self, data):
        view = memoryview(data)
        while view:
            try:
                view = view[self.g.sock.send(view):]
            except BlockingIOError:
                self.g.poller.poll(1)
            self.drain()

    def drain(self):
        try:
            while True:
                if not self.g.sock.recv(1 << 20):
                    raise AssertionError("the daemon closed the stream")
        except BlockingIOError:
            pass


def alive(d, net):
    """A new client is served as ever."""
    g = d.connect()
    for fam in (V4, V6):
        g.hello(fam)
    c, s = outbound(g, net, V4)
    c.send(b"alive")
    c.expect_ack()
    assert s.recv(10) == b"alive"
    g.close()


@pytest.mark.parametrize("seed", range(PIECES))
def test_mutated_frames(daemon, net, seed):
    rng = random.Random(seed)
    d = daemon("-t", "7001", "-u", "7001", "--keepalive-interval", "1")
    g = d.connect()
    done = 0
    while done < FRAMES:
        # new ones: what mutants connect to is never accepted, and fills them
        ls, ls6 = (net.remote.listen(x.remote) for x in (V4, V6))
        for fam in (V4, V6):
            g.hello(fam)
        conns = []
        keep = []
        for fam, srv in ((V4, ls), (V6, ls6)):
            for _ in range(3):
                c = Conn(g, fam.remote, srv.getsockname()[1], src=fam.guest,
                         ws=7, mss=1400)
                c.open()
                conns.append(c)
                keep.append(srv.accept()[0])
            keep.append(net.remote.connect(fam.host, 7001, src=fam.remote))
            c = accept(g, lambda f, fam=fam: f.ip.src == fam.remote)
            c.answer()
            conns.append(c)
        seeds = corpus(g, net, conns)
        for _ in range(0, min(FRAMES, 5000), 250):
            batch = [mutate(rng, seeds) for _ in range(250)]
            Sink(g).send(b"".join(struct.pack("!I", len(f)) + f
                                  for f in batch))
            done += 250
        for s in (*keep, ls, ls6):
            s.close()
        g.close()
        assert d.proc.poll() is None, d.stderr
        d.guests.clear()
        g = d.connect()
    g.close()
    d.guests.clear()
    alive(d, net)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_stream(daemon, net, seed):
    """The length prefixes lie, too."""
    rng = random.Random(1000 + seed)
    d = daemon()
    seeds = corpus(d.connect(), net, [])
    d.guests.pop().close()
    for _ in range(60):
        g = d.connect()
        data = bytearray()
        for _ in range(40):
            f = mutate(rng, seeds)
            n = len(f)
            if rng.random() < 0.05:
                n = rng.choice((0, 1, 13, 14, n - 1, n + 1, 65535, 65536,
                                1 << 20, 0xffffffff))
            data += struct.pack("!I", n & 0xffffffff) + f
        try:
            off = 0
            while off < len(data):
                step = rng.choice((1, 3, 100, 5000))
                Sink(g).send(data[off:off + step])
                off += step
        except (BrokenPipeError, ConnectionResetError, AssertionError):
            pass
        g.close()
        d.guests.clear()
    alive(d, net)
