# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP and DHCPv6 clients, message by message (RFC 2131, 8415)."""
import random
import struct

from . import pkt
from .wait import PATIENCE

COOKIE = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)


def opt(code, value):
    return bytes([code, len(value)]) + value


def bootp(g, opts, xid, op=1, htype=1, hlen=6, flags=0, ciaddr="0.0.0.0",
          cookie=COOKIE, chaddr=None):
    return struct.pack("!BBBBIHH4s4s4s4s", op, htype, hlen, 0, xid, 0, flags,
                       pkt.addr2b(ciaddr), bytes(4), bytes(4), bytes(4)) + \
        (chaddr or pkt.mac2b(g.mac)).ljust(16, b"\0") + bytes(192) + \
        cookie + opts


class Reply:
    """A DHCP reply, taken apart and checked."""

    def __init__(self, f):
        self.frame = f
        b = f.udp.data
        assert len(b) >= 240, "shorter than BOOTP"
        (self.op, htype, hlen, hops, self.xid, _, self.flags, ci, yi, si, gi
         ) = struct.unpack("!BBBBIHH4s4s4s4s", b[:28])
        assert (self.op, htype, hlen, hops) == (2, 1, 6, 0)
        self.ciaddr, self.yiaddr = pkt.b2addr(ci), pkt.b2addr(yi)
        self.siaddr, self.giaddr = pkt.b2addr(si), pkt.b2addr(gi)
        self.chaddr = b[28:34]
        assert b[236:240] == COOKIE
        self.opts = {}
        i = 240
        while True:
            assert i < len(b), "no end option"
            if b[i] == 255:
                break
            if b[i] == 0:
                i += 1
                continue
            n = b[i + 1]
            assert i + 2 + n <= len(b), "option cut"
            # the same option again continues it (RFC 3396)
            self.opts[b[i]] = self.opts.get(b[i], b"") + b[i + 2:i + 2 + n]
            i += 2 + n
        assert not any(b[i + 1:]), "bytes behind the end"
        self.type = self.opts[53][0]


def send(g, kind, opts=b"", src="0.0.0.0", dst="255.255.255.255", mac=None,
         raw=None, sport=68, **kw):
    """Send one message; its transaction id."""
    xid = kw.pop("xid", None) or random.getrandbits(32)
    m = raw or bootp(g, (opt(53, bytes([kind])) if kind else b"") + opts +
                     b"\xff", xid, **kw)
    g.send(g.eth(pkt.ip4(src, dst, pkt.UDP, pkt.udp(src, dst, sport, 67, m)),
                 dst=mac or (pkt.BCAST if dst.startswith("255") else None)))
    return xid


def is_reply(f):
    return f.udp and f.ip.v == 4 and f.udp.dport == 68


def ask(g, kind, opts=b"", timeout=PATIENCE, **kw):
    xid = send(g, kind, opts, **kw)
    r = Reply(g.expect(lambda f: is_reply(f) and f.udp.data[4:8] ==
                       struct.pack("!I", xid), timeout, "DHCP reply"))
    assert r.chaddr == pkt.mac2b(g.mac)
    assert r.frame.udp.sport == 67
    return r


def names(b):
    """Domain names with compression (RFC 3397, RFC 1035 4.1.4)."""
    out, i = [], 0

    def name(i, depth=0):
        labels = []
        while True:
            assert depth < 20 and i < len(b), "name cut or looping"
            n = b[i]
            if n == 0:
                return labels, i + 1
            if n & 0xc0 == 0xc0:
                to = (n & 0x3f) << 8 | b[i + 1]
                assert to < i
                return labels + name(to, depth + 1)[0], i + 2
            assert n < 64
            labels.append(b[i + 1:i + 1 + n].decode())
            i += 1 + n
    while i < len(b):
        labels, i = name(i)
        out.append(".".join(labels))
    return out


# -- DHCPv6 -----------------------------------------------------------------

(SOLICIT6, ADVERTISE6, REQUEST6, CONFIRM6, RENEW6, REBIND6, REPLY6, RELEASE6,
 DECLINE6, RECONF6, INFO6) = range(1, 12)


def opt6(code, value):
    return struct.pack("!HH", code, len(value)) + value


def duid(g):
    return b"\0\3\0\1" + pkt.mac2b(g.mac)


def ia_na(iaid=1, addr=None, valid=0):
    body = struct.pack("!III", iaid, 0, 0)
    if addr:
        body += opt6(5, pkt.addr2b(addr) + struct.pack("!II", valid, valid))
    return opt6(3, body)


def parse6(b):
    """Options as a list of (code, value)."""
    out = []
    while b:
        assert len(b) >= 4, "option header cut"
        code, n = struct.unpack("!HH", b[:4])
        assert 4 + n <= len(b), "option cut"
        out.append((code, b[4:4 + n]))
        b = b[4 + n:]
    return out


class Reply6:
    def __init__(self, f):
        self.frame = f
        b = f.udp.data
        self.type, self.xid = b[0], b[1:4]
        self.opts = {}
        for code, v in parse6(b[4:]):
            assert code not in self.opts, "option %d twice" % code
            self.opts[code] = v
        self.addrs = []
        self.ia_status = None
        if 3 in self.opts:
            v = self.opts[3]
            self.iaid, self.t1, self.t2 = struct.unpack("!III", v[:12])
            for code, w in parse6(v[12:]):
                if code == 5:
                    pref, valid = struct.unpack("!II", w[16:24])
                    assert pref <= valid
                    self.addrs.append((pkt.b2addr(w[:16]), valid))
                elif code == 13:
                    self.ia_status = struct.unpack("!H", w[:2])[0]
        self.status = struct.unpack("!H", self.opts[13][:2])[0] \
            if 13 in self.opts else None


def send6(g, kind, opts=b"", src=None, dst="ff02::1:2", cid=True):
    xid = random.randbytes(3)
    src = src or g.lladdr
    m = bytes([kind]) + xid + (opt6(1, duid(g)) if cid else b"") + opts
    g.send(g.eth(pkt.ip6(src, dst, pkt.UDP, pkt.udp(src, dst, 546, 547, m)),
                 dst=pkt.multicast_mac(dst) if dst.startswith("ff") else None))
    return xid


def is_reply6(f):
    return f.udp and f.ip.v == 6 and f.udp.dport == 546


def ask6(g, kind, opts=b"", timeout=PATIENCE, cid=True, **kw):
    xid = send6(g, kind, opts, cid=cid, **kw)
    r = Reply6(g.expect(lambda f: is_reply6(f) and f.udp.data[1:4] == xid,
                        timeout, "DHCPv6 reply"))
    assert r.frame.udp.sport == 547
    assert r.frame.ip.src.startswith("fe80:") and r.frame.ip.dst == g.lladdr
    assert 2 in r.opts, "no server identifier"
    if cid:
        assert r.opts[1] == duid(g)
    return r
