# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds and takes apart Ethernet frames.

Builders return bytes, and let the caller override any field that they would
otherwise compute. parse() returns a Frame, and raises Bad on anything that a
correct sender never sends: wrong lengths, checksums, reserved bits.
Addresses are text ("192.0.2.2"), MAC addresses too.
"""
import socket
import struct

ARP, IP4, IP6 = 0x0806, 0x0800, 0x86dd
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
FRAG6 = 44
BCAST = "ff:ff:ff:ff:ff:ff"

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
LETTERS = "FSRPAUEC"


class Bad(Exception):
    """A frame that no correct sender sends."""


def need(cond, what):
    if not cond:
        raise Bad(what)


def mac2b(mac):
    return bytes.fromhex(mac.replace(":", ""))


def b2mac(b):
    return b.hex(":")


def addr2b(addr):
    return socket.inet_pton(
        socket.AF_INET6 if ":" in addr else socket.AF_INET, addr)


def b2addr(b):
    return socket.inet_ntop(
        socket.AF_INET6 if len(b) == 16 else socket.AF_INET, bytes(b))


def lladdr(mac):
    """The link-local address of a MAC address (RFC 4291 app. A)."""
    m = bytearray(mac2b(mac))
    m[0] ^= 2
    return b2addr(b"\xfe\x80" + bytes(6) + bytes(m[:3]) + b"\xff\xfe" +
                  bytes(m[3:]))


def solicited(addr):
    """The solicited-node multicast address of an IPv6 address."""
    return b2addr(addr2b("ff02::1:ff00:0")[:13] + addr2b(addr)[13:])


def multicast_mac(addr):
    b = addr2b(addr)
    if len(b) == 16:
        return b2mac(b"\x33\x33" + b[12:])
    return b2mac(b"\x01\x00\x5e" + bytes([b[1] & 0x7f]) + b[2:])


def ones(b):
    """The ones' complement sum of b, folded to 16 bits."""
    if len(b) & 1:
        b = bytes(b) + b"\0"
    n = int.from_bytes(b, "big")
    return n % 0xffff or (0xffff if n else 0)


def csum(b):
    return ones(b) ^ 0xffff


def pseudo(src, dst, proto, length):
    s, d = addr2b(src), addr2b(dst)
    if len(s) == 16:
        return s + d + struct.pack("!IHBB", length, 0, 0, proto)
    return s + d + struct.pack("!BBH", 0, proto, length)


# -- builders ---------------------------------------------------------------

def eth(dst, src, kind, payload):
    return mac2b(dst) + mac2b(src) + struct.pack("!H", kind) + payload


def ip4(src, dst, proto, payload, ttl=64, ident=0, df=False, mf=False, off=0,
        tos=0, opts=b"", ver=4, ihl=None, length=None, check=None, evil=False):
    opts += bytes(-len(opts) % 4)
    if ihl is None:
        ihl = 5 + len(opts) // 4
    if length is None:
        length = 20 + len(opts) + len(payload)
    frag = (0x8000 if evil else 0) | (0x4000 if df else 0) | \
        (0x2000 if mf else 0) | (off // 8)
    head = struct.pack("!BBHHHBBH4s4s", ver << 4 | ihl, tos, length & 0xffff,
                       ident, frag, ttl, proto, 0, addr2b(src), addr2b(dst))
    head += opts
    if check is None:
        check = csum(head)
    return head[:10] + struct.pack("!H", check) + head[12:] + payload


def ip6(src, dst, proto, payload, ttl=64, tos=0, flow=0, ver=6, length=None):
    if length is None:
        length = len(payload)
    return struct.pack("!IHBB16s16s", ver << 28 | tos << 20 | flow,
                       length & 0xffff, proto, ttl, addr2b(src),
                       addr2b(dst)) + payload


def ip(src, dst, proto, payload, **kw):
    return (ip6 if ":" in src else ip4)(src, dst, proto, payload, **kw)


def frag6(proto, payload, off, more, ident):
    """An IPv6 fragment header and its part of the payload."""
    return struct.pack("!BBHI", proto, 0, off | (1 if more else 0),
                       ident) + payload


def fragments(src, dst, proto, payload, size, ident=0x4711):
    """The IP packets that carry payload in fragments of size bytes."""
    size &= ~7
    out = []
    for off in range(0, len(payload), size):
        part = payload[off:off + size]
        more = off + size < len(payload)
        if ":" in src:
            out.append(ip6(src, dst, FRAG6,
                           frag6(proto, part, off, more, ident)))
        else:
            out.append(ip4(src, dst, proto, part, ident=ident & 0xffff,
                           mf=more, off=off))
    return out


def flagbits(flags):
    if isinstance(flags, int):
        return flags
    return sum(1 << LETTERS.index(c) for c in flags)


def tcp(src, dst, sport, dport, seq, ack, flags, win=65535, opts=b"",
        payload=b"", urg=0, doff=None, check=None):
    opts += bytes(-len(opts) % 4)
    if doff is None:
        doff = 5 + len(opts) // 4
    seg = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff,
                      ack & 0xffffffff, doff << 4, flagbits(flags), win, 0,
                      urg) + opts + payload
    if check is None:
        check = csum(pseudo(src, dst, TCP, len(seg)) + seg)
    return seg[:16] + struct.pack("!H", check) + seg[18:]


def udp(src, dst, sport, dport, payload=b"", length=None, check=None):
    if length is None:
        length = 8 + len(payload)
    d = struct.pack("!HHHH", sport, dport, length & 0xffff, 0) + payload
    if check is None:
        check = csum(pseudo(src, dst, UDP, len(d)) + d) or 0xffff
    return d[:6] + struct.pack("!H", check) + d[8:]


def icmp(src, dst, kind, code, body, check=None):
    m = struct.pack("!BBH", kind, code, 0) + body
    if check is None:
        pre = pseudo(src, dst, ICMP6, len(m)) if ":" in src else b""
        check = csum(pre + m)
    return m[:2] + struct.pack("!H", check) + m[4:]


def icmp_proto(addr):
    return ICMP6 if ":" in addr else ICMP


def arp(op, sha, spa, tha, tpa):
    return struct.pack("!HHBBH6s4s6s4s", 1, IP4, 6, 4, op, mac2b(sha),
                       addr2b(spa), mac2b(tha), addr2b(tpa))


def opt_mss(n):
    return struct.pack("!BBH", 2, 4, n)


def opt_ws(n):
    return struct.pack("!BBBB", 1, 3, 3, n)


def opt_ts(val, ecr=0):
    return struct.pack("!BBBBII", 1, 1, 8, 10, val & 0xffffffff,
                       ecr & 0xffffffff)


OPT_SACKOK = b"\x01\x01\x04\x02"


# -- parser -----------------------------------------------------------------

class Part:
    """A bag of fields."""

    def __init__(self, **kw):
        self.__dict__.update(kw)

    def __repr__(self):
        def show(v):
            if isinstance(v, (bytes, bytearray)) and len(v) > 24:
                return "%d bytes %s..." % (len(v), v[:8].hex())
            return repr(v)
        return "(%s)" % " ".join("%s=%s" % (k, show(v))
                                 for k, v in self.__dict__.items())


class Frame:
    """One parsed frame: eth fields, and arp, ip, tcp, udp, icmp or None."""

    def __init__(self, raw):
        self.raw = raw
        self.at = 0.0
        self.arp = self.ip = self.tcp = self.udp = self.icmp = None

    def __repr__(self):
        if self.tcp:
            t = self.tcp
            return ("<%.3f %s.%d > %s.%d %s seq %d ack %d win %d len %d%s>" %
                    (self.at, self.ip.src, t.sport, self.ip.dst, t.dport,
                     t.letters, t.seq, t.ack, t.win, len(t.data),
                     " opts %r" % t.opts if t.opts else ""))
        return "<%.3f %s>" % (self.at, " ".join(
            "%s=%r" % (k, v) for k, v in self.__dict__.items()
            if k not in ("raw", "at") and v is not None))


def parse_opts(b):
    """TCP options as a dict, kind to value bytes; order is lost."""
    opts, i = {}, 0
    while i < len(b):
        kind = b[i]
        if kind == 0:
            need(not any(b[i:]), "TCP: options after the end of options")
            break
        if kind == 1:
            i += 1
            continue
        need(i + 1 < len(b), "TCP: option without length")
        n = b[i + 1]
        need(2 <= n <= len(b) - i, "TCP: option of bad length")
        need(kind not in opts, "TCP: option twice")
        opts[kind] = bytes(b[i + 2:i + n])
        i += n
    return opts


def parse_tcp(b):
    need(len(b) >= 20, "TCP: short header")
    sport, dport, seq, ack, off, flags, win, _, urg = \
        struct.unpack("!HHIIBBHHH", b[:20])
    doff = (off >> 4) * 4
    need(20 <= doff <= len(b), "TCP: data offset")
    need(not off & 0x0f, "TCP: reserved bits")
    opts = parse_opts(b[20:doff])
    t = Part(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, win=win,
             urg=urg, opts=opts, data=bytes(b[doff:]))
    t.letters = "".join(c for i, c in enumerate(LETTERS) if flags >> i & 1)
    for i, c in enumerate(LETTERS):
        setattr(t, c, bool(flags >> i & 1))
    t.mss = struct.unpack("!H", opts[2])[0] if 2 in opts else None
    t.ws = opts[3][0] if 3 in opts else None
    sack = opts.get(5, b"")
    need(len(sack) % 8 == 0 and (sack or 5 not in opts), "TCP: SACK option")
    t.sack = [struct.unpack_from("!II", sack, i)
              for i in range(0, len(sack), 8)]
    t.ts = struct.unpack("!II", opts[8]) if 8 in opts else None
    t.len = len(t.data) + (flags & 1) + (flags >> 1 & 1)
    t.end = (seq + t.len) & 0xffffffff
    return t


def parse_udp(b):
    need(len(b) >= 8, "UDP: short header")
    sport, dport, length, check = struct.unpack("!HHHH", b[:8])
    need(length == len(b), "UDP: length %d of %d" % (length, len(b)))
    return Part(sport=sport, dport=dport, check=check, data=bytes(b[8:]))


def parse_icmp(b):
    need(len(b) >= 8, "ICMP: short header")
    kind, code = b[:2]
    return Part(type=kind, code=code, body=bytes(b[4:]),
                id=struct.unpack("!H", b[4:6])[0],
                seq=struct.unpack("!H", b[6:8])[0], data=bytes(b[8:]))


def parse_ip(b):
    """IP header at the start of b; Part with the payload, checked."""
    ver = b[0] >> 4 if b else 0
    if ver == 4:
        need(len(b) >= 20, "IPv4: short header")
        vi, tos, length, ident, frag, ttl, proto, _, src, dst = \
            struct.unpack("!BBHHHBBH4s4s", b[:20])
        ihl = (vi & 15) * 4
        need(20 <= ihl <= length <= len(b), "IPv4: lengths")
        need(ones(b[:ihl]) == 0xffff, "IPv4: header checksum")
        need(not frag & 0x8000, "IPv4: reserved flag")
        need(ttl, "IPv4: TTL 0")
        return Part(v=4, src=b2addr(src), dst=b2addr(dst), proto=proto,
                    ttl=ttl, tos=tos, ident=ident, df=bool(frag & 0x4000),
                    mf=bool(frag & 0x2000), off=(frag & 0x1fff) * 8,
                    hlen=ihl, length=length, payload=bytes(b[ihl:length]))
    need(ver == 6, "IP: version")
    need(len(b) >= 40, "IPv6: short header")
    vtf, plen, nh, ttl, src, dst = struct.unpack("!IHBB16s16s", b[:40])
    need(40 + plen <= len(b), "IPv6: payload length")
    need(ttl, "IPv6: hop limit 0")
    p = Part(v=6, src=b2addr(src), dst=b2addr(dst), proto=nh, ttl=ttl,
             tos=vtf >> 20 & 255, flow=vtf & 0xfffff, ident=0, df=True,
             mf=False, off=0, hlen=40, length=40 + plen,
             payload=bytes(b[40:40 + plen]))
    if nh == FRAG6:
        need(plen > 8, "IPv6: empty fragment")
        p.proto, res, off, p.ident = struct.unpack("!BBHI", p.payload[:8])
        need(not res and not off & 6, "IPv6: fragment header's reserved bits")
        p.off, p.mf, p.payload = off & ~7, bool(off & 1), p.payload[8:]
    return p


def parse_transport(f):
    """Fill in f.tcp, f.udp or f.icmp from f.ip's payload; checksums too."""
    p, b = f.ip, f.ip.payload
    pre = pseudo(p.src, p.dst, p.proto, len(b))
    if p.proto == TCP:
        need(ones(pre + b) == 0xffff, "TCP: checksum")
        f.tcp = parse_tcp(b)
    elif p.proto == UDP:
        f.udp = parse_udp(b)
        if p.v == 6 or f.udp.check:
            need(f.udp.check, "UDP: no checksum over IPv6")
            need(ones(pre + b) == 0xffff, "UDP: checksum")
    elif p.proto == (ICMP6 if p.v == 6 else ICMP):
        if p.v == 4:
            pre = b""
        need(ones(pre + b) == 0xffff, "ICMP: checksum")
        f.icmp = parse_icmp(b)
    else:
        raise Bad("IP: protocol %d" % p.proto)


def parse(raw):
    """Take a frame apart and check all that can be checked of it."""
    need(len(raw) >= 14, "Ethernet: short frame")
    f = Frame(raw)
    f.dst, f.src = b2mac(raw[:6]), b2mac(raw[6:12])
    f.type = struct.unpack("!H", raw[12:14])[0]
    need(not raw[6] & 1, "Ethernet: multicast source")
    b = raw[14:]
    if f.type == ARP:
        need(len(b) >= 28, "ARP: short")
        need(not any(b[28:]), "ARP: padding")
        ht, pt, hl, pl, op, sha, spa, tha, tpa = \
            struct.unpack("!HHBBH6s4s6s4s", b[:28])
        need((ht, pt, hl, pl) == (1, IP4, 6, 4), "ARP: types")
        f.arp = Part(op=op, sha=b2mac(sha), spa=b2addr(spa), tha=b2mac(tha),
                     tpa=b2addr(tpa))
        return f
    need(f.type in (IP4, IP6), "Ethernet: type %#x" % f.type)
    f.ip = parse_ip(b)
    need((f.ip.v == 4) == (f.type == IP4), "IP: version against type")
    pad = b[f.ip.length:]
    need(not pad or (len(raw) == 60 and not any(pad)), "IP: trailing bytes")
    need(f.ip.src != f.ip.dst, "IP: source is destination")
    if not (f.ip.mf or f.ip.off):
        parse_transport(f)
    return f


class Reassembler:
    """Puts fragments together; feed() returns the whole Frame, or None."""

    def __init__(self):
        self.parts = {}

    def feed(self, f):
        p = f.ip
        if not (p.mf or p.off):
            return f
        key = p.src, p.dst, p.proto, p.ident
        parts = self.parts.setdefault(key, {})
        need(not p.mf or len(p.payload) % 8 == 0, "IP: fragment's length")
        need(p.off not in parts, "IP: fragment twice")
        parts[p.off] = p
        whole, off = b"", 0
        while off in parts:
            q = parts[off]
            whole += q.payload
            off += len(q.payload)
            if not q.mf:
                del self.parts[key]
                g = Frame(f.raw)
                g.dst, g.src, g.type, g.at = f.dst, f.src, f.type, f.at
                g.ip = Part(**p.__dict__)
                g.ip.mf, g.ip.off, g.ip.payload = False, 0, whole
                parse_transport(g)
                return g
        return None
