# SPDX-License-Identifier: GPL-2.0-or-later
"""A synthetic guest on the daemon's stream socket, or on a vhost.Port.

Every frame from the daemon is checked (pkt.parse, the MAC addresses, the
MTU); faults are collected and fail the test in the end, those of the frame
awaited at once. TCP segments of a known connection (tcp.Conn) go to it, all
other frames to the queue that recv() and expect() read.
"""
import collections
import random
import select
import struct
import time

from . import pkt
from .wait import PATIENCE, Stopwatch

OUR_MAC = "9a:55:9a:55:9a:55"
GUEST_MAC = "52:54:00:12:34:56"


class Lossy:
    """Loses and reorders frames, both ways: put() returns what goes on."""

    def __init__(self, loss=0.01, reorder=0.01, depth=3, seed=1):
        self.rng = random.Random(seed)
        self.loss, self.reorder, self.depth = loss, reorder, depth
        self.held = []
        self.lost = self.moved = 0

    def put(self, frame):
        out = []
        for h in self.held:
            h[0] -= 1
        if self.rng.random() < self.loss:
            self.lost += 1
        elif self.rng.random() < self.reorder:
            self.moved += 1
            self.held.append([self.depth, frame])
        else:
            out.append(frame)
        return out + self.flush(1)

    def flush(self, below=1 << 30):
        """What was held back long enough."""
        out = [h[1] for h in self.held if h[0] < below]
        self.held = [h for h in self.held if h[0] >= below]
        return out


class Guest:
    """One client of the daemon."""

    def __init__(self, sock, mac=GUEST_MAC, mtu=65520, answer=True):
        self.sock = sock
        sock.setblocking(False)
        self.mac, self.dmac, self.mtu = mac, OUR_MAC, mtu
        self.lladdr = pkt.lladdr(mac)
        self.own = set()        # addresses that ARP and NS are answered for
        self.answer = answer
        self.buf = bytearray()
        self.q = collections.deque()
        self.conns = {}
        self.log = collections.deque(maxlen=40)
        self.faults = []
        self.closed = False     # the daemon closed the stream
        self.lossy_in = self.lossy_out = None
        if hasattr(sock, "poll"):
            self.poller = sock
        else:
            self.poller = select.poll()
            self.poller.register(sock, select.POLLIN)
        self.ident = 0
        self.pid = None         # the daemon's, where known

    def close(self):
        self.sock.close()

    def stopwatch(self):
        """The time that we and the daemon have from here on."""
        return Stopwatch(self.pid)

    # -- out ----------------------------------------------------------------

    def send(self, *frames):
        """Send frames, all in one write where the socket takes them."""
        if self.lossy_out:
            frames = [f for g in frames for f in self.lossy_out.put(g)]
        self.send_raw(b"".join(struct.pack("!I", len(f)) + f for f in frames))

    def send_raw(self, data):
        view = memoryview(data)
        end = time.monotonic() + PATIENCE
        while view:
            try:
                view = view[self.sock.send(view):]
            except BlockingIOError:
                assert time.monotonic() < end, "daemon reads no more"
                self.poll(0.001)

    def eth(self, payload, kind=None, dst=None, src=None):
        """A frame to the daemon around an IP packet (or kind's payload)."""
        if kind is None:
            kind = pkt.IP6 if payload[0] >> 4 == 6 else pkt.IP4
        return pkt.eth(dst or self.dmac, src or self.mac, kind, payload)

    def ip(self, src, dst, proto, payload, **kw):
        self.send(self.eth(pkt.ip(src, dst, proto, payload, **kw)))

    def udp(self, src, dst, sport, dport, data=b"", **kw):
        """A UDP datagram, in fragments where it is longer than the MTU."""
        d = pkt.udp(src, dst, sport, dport, data)
        room = self.mtu - (40 if ":" in src else 20)
        if len(d) <= room:
            self.ip(src, dst, pkt.UDP, d, **kw)
            return
        self.ident += 1
        self.send(*map(self.eth, pkt.fragments(
            src, dst, pkt.UDP, d, room - (8 if ":" in src else 0),
            ident=self.ident)))

    def icmp(self, src, dst, kind, code, body, **kw):
        self.ip(src, dst, pkt.icmp_proto(src),
                pkt.icmp(src, dst, kind, code, body), **kw)

    def echo(self, src, dst, ident, seq, data=b""):
        self.icmp(src, dst, 128 if ":" in src else 8, 0,
                  struct.pack("!HH", ident, seq) + data)

    def arp(self, op, spa, tpa, sha=None, tha="00:00:00:00:00:00", dst=None):
        self.send(pkt.eth(dst or pkt.BCAST, self.mac, pkt.ARP,
                          pkt.arp(op, sha or self.mac, spa, tha, tpa)))

    def ns(self, src, target, dst=None, option=True):
        """A neighbour solicitation (RFC 4861 4.3)."""
        dst = dst or pkt.solicited(target)
        body = bytes(4) + pkt.addr2b(target)
        if option:
            body += b"\x01\x01" + pkt.mac2b(self.mac)
        self.send(self.eth(
            pkt.ip6(src, dst, pkt.ICMP6,
                    pkt.icmp(src, dst, 135, 0, body), ttl=255),
            dst=pkt.multicast_mac(dst) if dst.startswith("ff") else None))

    def hello(self, fam, addr=None):
        """Let the daemon learn an address of this guest."""
        addr = addr or fam.guest
        self.own.add(addr)
        if fam.v == 4:
            self.arp(1, addr, fam.gw)
            self.expect(lambda f: f.arp and f.arp.op == 2)
        else:
            self.own.add(self.lladdr)
            self.ns(self.lladdr, fam.gw)
            self.expect(lambda f: f.icmp and f.icmp.type == 136)
            self.ns(addr, fam.gw)
            self.expect(lambda f: f.icmp and f.icmp.type == 136)

    # -- in -----------------------------------------------------------------

    def poll(self, timeout=0.0):
        """Read what there is, after waiting for it; False if nothing came."""
        if not self.poller.poll(timeout * 1000):
            if self.lossy_in:
                for raw in self.lossy_in.flush():
                    self.take(raw)
            if self.lossy_out and self.lossy_out.held:
                held = self.lossy_out.flush()
                self.send_raw(b"".join(
                    struct.pack("!I", len(f)) + f for f in held))
            return False
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            self.poller.unregister(self.sock)
            return False
        self.buf += data
        off, buf = 0, self.buf
        while len(buf) - off >= 4:
            n = int.from_bytes(buf[off:off + 4], "big")
            if len(buf) - off - 4 < n:
                break
            raw = bytes(buf[off + 4:off + 4 + n])
            off += 4 + n
            if self.lossy_in:
                for r in self.lossy_in.put(raw):
                    self.take(r)
            else:
                self.take(raw)
        del buf[:off]
        return True

    def take(self, raw):
        """Check one frame from the daemon and hand it to whom it concerns."""
        now = time.monotonic()
        try:
            f = pkt.parse(raw)
            f.at = now
            self.check(f)
        except pkt.Bad as e:
            self.faults.append("bad frame from the daemon: %s: %s" %
                               (e, raw[:80].hex()))
            return
        self.log.append(f)
        if f.tcp:
            key = f.ip.dst, f.tcp.dport, f.ip.src, f.tcp.sport
            c = self.conns.get(key)
            if c:
                c.take(f)
                return
        elif self.answer and self.respond(f):
            return
        self.q.append(f)

    def check(self, f):
        need = pkt.need
        need(f.src == self.dmac, "source MAC %s" % f.src)
        need(len(f.raw) - 14 <= self.mtu, "longer than the MTU")
        if f.ip and f.ip.v == 6 and f.ip.dst.startswith("ff"):
            need(f.dst == pkt.multicast_mac(f.ip.dst), "multicast MAC")
        else:
            need(f.dst in (self.mac, pkt.BCAST), "destination MAC")

    def respond(self, f):
        """Answer as a guest's stack would; True if f needs no more eyes."""
        if f.arp and f.arp.op == 1 and f.arp.tpa in self.own:
            self.arp(2, f.arp.tpa, f.arp.spa, tha=f.arp.sha, dst=f.src)
            return True
        if f.icmp and f.ip.v == 6 and f.icmp.type == 135:
            target = pkt.b2addr(f.icmp.data[:16])
            if target in self.own or target == self.lladdr:
                body = b"\x60\0\0\0" + pkt.addr2b(target) + b"\x02\x01" + \
                    pkt.mac2b(self.mac)
                self.ip(target, f.ip.src, pkt.ICMP6,
                        pkt.icmp(target, f.ip.src, 136, 0, body), ttl=255)
                return True
        return False

    def recv(self, timeout=1.0):
        """The next frame of no known connection, or None."""
        end = time.monotonic() + timeout
        while not self.q:
            left = end - time.monotonic()
            if left < 0 or self.closed:
                return None
            self.poll(min(left + 0.001, 0.05))
        return self.q.popleft()

    def expect(self, pred, timeout=PATIENCE, what=""):
        """The first frame that pred holds for; others stay in the queue."""
        skipped, end = [], time.monotonic() + timeout
        try:
            while True:
                f = self.recv(max(0, end - time.monotonic()))
                if f is None:
                    raise AssertionError(
                        "no such frame %s\n%s" % (what, self.story()))
                if pred(f):
                    return f
                skipped.append(f)
        finally:
            self.q.extendleft(reversed(skipped))

    def expect_none(self, pred, timeout=0.3, what=""):
        end = time.monotonic() + timeout
        while True:
            self.poll(max(0, end - time.monotonic()))
            for f in self.q:
                assert not pred(f), "unwanted %s: %r" % (what, f)
            if time.monotonic() >= end:
                return

    def drain(self, timeout=0.0):
        """Forget what has come so far (and within timeout)."""
        end = time.monotonic() + timeout
        while self.poll(max(0, end - time.monotonic())) or \
                time.monotonic() < end:
            if self.closed:
                break
        self.q.clear()

    def expect_udp(self, timeout=PATIENCE, whole=None, **want):
        """The next datagram, put together; want names fields it must have."""
        whole = whole or pkt.Reassembler()
        end = time.monotonic() + timeout
        while True:
            f = self.expect(lambda f: f.ip and f.ip.proto == pkt.UDP,
                            max(0, end - time.monotonic()), "UDP")
            f = whole.feed(f)
            if f and all(getattr(f.udp if k in ("sport", "dport", "data")
                                 else f.ip, k) == v
                         for k, v in want.items()):
                return f

    def story(self):
        return "last frames received:\n" + "\n".join(
            "  %r" % f for f in self.log) + \
            ("\nstream closed" if self.closed else "") + \
            ("\n%r" % self.sock if hasattr(self.sock, "poll") else "")
