# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP in the guest's hands.

Conn is one end of a connection whose every segment the test chooses. It does
nothing by itself, but holds each segment of the daemon against what no
correct TCP does (take()). Bulk, on top, is a small complete TCP for
transfers: cumulative ACKs, reassembly, fast retransmit, go-back-N.
"""
import collections
import random
import time

from . import pkt
from .wait import PATIENCE, Lag

M = 0xffffffff
RTO_MIN = 0.2   # the daemon's, seconds
PORTS = iter(range(20000, 64000))


def diff(a, b):
    """a - b in sequence space, signed."""
    return ((a - b + (1 << 31)) & M) - (1 << 31)


class Conn:
    """One connection of guest g, with src.sport, to dst.dport."""

    def __init__(self, g, dst, dport, src=None, sport=None, isn=None, mss=None,
                 ws=None, ts=False, sack=False, win=65535):
        self.g = g
        self.dst, self.dport = dst, dport
        self.src, self.sport = src, sport or next(PORTS)
        self.isn = random.getrandbits(32) if isn is None else isn
        self.mss, self.ws, self.ts, self.win = mss, ws, ts, win
        self.sack = sack
        self.snd_nxt = self.snd_una = self.snd_max = self.isn
        self.snd_wnd = 0        # as last advertised by the daemon
        self.snd_edge = None    # the furthest right edge it ever advertised
        self.peer_ws = 0
        self.irs = None
        self.rcv_nxt = 0        # what we acknowledge by default
        self.edge = None        # the furthest right edge we advertised
        self.got = {}           # offset from IRS + 1 to byte strings received
        self.syn_opts = None    # options of the daemon's SYN
        self.fin_at = None      # sequence number of the daemon's FIN
        self.q = collections.deque()
        self.all = []
        self.strict = True
        g.conns[(self.src, self.sport, dst, dport)] = self

    @classmethod
    def accept(cls, g, f, **kw):
        """The passive end for the SYN in f; its SYN-ACK is not sent yet."""
        c = cls(g, f.ip.src, f.tcp.sport, src=f.ip.dst, sport=f.tcp.dport,
                **kw)
        c.take(f)
        c.q.clear()
        return c

    def forget(self):
        """Let the guest's end know nothing of the connection any more."""
        self.g.conns.pop((self.src, self.sport, self.dst, self.dport), None)

    # -- out ----------------------------------------------------------------

    def syn_options(self):
        o = b""
        if self.mss is not None:
            o += pkt.opt_mss(self.mss)
        if self.ws is not None:
            o += pkt.opt_ws(self.ws)
        if self.sack:
            o += pkt.OPT_SACKOK
        if self.ts:
            o += pkt.opt_ts(1, 0)
        return o

    def frame(self, flags, data=b"", seq=None, ack=None, win=None, opts=b"",
              urg=0, **kw):
        """The frame of a segment, from the defaults of this connection."""
        bits = pkt.flagbits(flags)
        if seq is None:
            seq = self.snd_nxt
        if ack is None:
            ack = self.rcv_nxt if bits & pkt.ACK else 0
        if win is None:
            win = self.win
        seg = pkt.tcp(self.src, self.dst, self.sport, self.dport, seq, ack,
                      bits, win, opts, data, urg, **kw)
        end = seq + len(data) + (bits & 1) + (bits >> 1 & 1) & M
        if diff(end, self.snd_max) > 0 and not bits & pkt.RST:
            self.snd_max = end
        if bits & pkt.ACK:
            edge = ack + (win << (0 if bits & pkt.SYN else self.ws or 0)) & M
            if self.edge is None or diff(edge, self.edge) > 0:
                self.edge = edge
        return self.g.eth(pkt.ip(self.src, self.dst, pkt.TCP, seg))

    def seg(self, flags, data=b"", **kw):
        """Send one segment; changes nothing in this end's state."""
        self.g.send(self.frame(flags, data, **kw))

    def syn(self, **kw):
        self.seg("S", seq=self.isn, opts=self.syn_options(), **kw)

    def ack(self, **kw):
        self.seg("A", **kw)

    def send(self, data, flags="PA", **kw):
        """Send data in one segment and move on past it."""
        self.seg(flags, data, **kw)
        self.snd_nxt = self.snd_nxt + len(data) & M

    def fin(self, **kw):
        self.seg("FA", **kw)
        self.snd_nxt = self.snd_nxt + 1 & M

    def rst(self, **kw):
        self.seg("R", **kw)

    def open(self, timeout=PATIENCE):
        """The whole handshake, from the guest; the SYN-ACK."""
        self.syn()
        self.snd_nxt = self.isn + 1 & M
        f = self.expect("SA", timeout)
        self.ack()
        return f

    def answer(self, timeout=PATIENCE):
        """The rest of an inbound handshake: SYN-ACK, and await the ACK."""
        self.seg("SA", seq=self.isn, opts=self.syn_options())
        self.snd_nxt = self.isn + 1 & M
        return self.expect(lambda t: t.A and t.ack == self.snd_nxt, timeout)

    # -- in -----------------------------------------------------------------

    def take(self, f):
        """Note a segment of the daemon, and what is wrong with it."""
        self.q.append(f)
        self.all.append(f)
        try:
            if self.strict:
                self.check(f.tcp)
            self.note(f.tcp)
        except pkt.Bad as e:
            self.g.faults.append("bad segment: %s: %r" % (e, f))

    def check(self, t):
        need = pkt.need
        need(not (t.S and (t.F or t.R)), "SYN together with FIN or RST")
        need(not t.U, "URG")
        if t.R:
            return
        need(t.A or t.S, "neither ACK nor SYN")
        if t.A:
            need(diff(t.ack, self.snd_max) <= 0, "ACK of data never sent")
        if t.S:
            need(not t.data, "data on SYN")
            need(not t.A or self.sack or 4 not in t.opts,
                 "SACK-permitted, which was not offered")
            return
        need(self.irs is not None, "segment before SYN")
        need(2 not in t.opts and 3 not in t.opts and 4 not in t.opts,
             "option that belongs on SYN")
        need((8 in t.opts) == bool(self.ts and self.syn_opts and
                                   8 in self.syn_opts), "timestamps")
        self.check_sack(t)
        if self.edge is not None and t.data:
            over = diff(t.seq + len(t.data) & M, self.edge)
            need(over <= 0 or (over == 1 and len(t.data) == 1),
                 "data beyond the window by %d" % over)
        if self.mss is not None:
            need(len(t.data) <= max(self.mss, 536), "larger than the MSS")
        wnd_edge = t.ack + (t.win << self.peer_ws) & M
        need(self.snd_edge is None or diff(wnd_edge, self.snd_edge) >= 0,
             "the window's right edge moves left by %s" %
             (self.snd_edge is not None and diff(self.snd_edge, wnd_edge)))
        need(diff(t.ack, self.snd_una) >= 0, "ACK moves back")
        if self.fin_at is not None:
            need(diff(t.end, self.fin_at) <= 1, "data after FIN")

    def check_sack(self, t):
        """RFC 2018 3: blocks of what we sent, apart from each other and from
        what is acknowledged."""
        need = pkt.need
        need(not t.sack or self.sack, "SACK, which was not agreed on")
        edges = [(diff(a, t.ack), diff(b, t.ack)) for a, b in t.sack]
        last = 0
        for a, b in sorted(edges):
            need(last < a < b <= diff(self.snd_max, t.ack), "SACK %r" % edges)
            last = b

    def note(self, t):
        if t.R:
            return
        if t.S:
            if self.irs is not None:
                pkt.need(self.irs == t.seq, "SYN with another ISN")
            self.irs, self.rcv_nxt = t.seq, t.end
            self.syn_opts = t.opts
            if t.ws is not None and self.ws is not None:
                self.peer_ws = min(t.ws, 14)
            self.snd_wnd = t.win
            if t.A:
                self.snd_edge = t.ack + t.win & M
        else:
            self.snd_wnd = t.win << self.peer_ws
            self.snd_edge = t.ack + self.snd_wnd & M
        if t.A and diff(t.ack, self.snd_una) > 0:
            self.snd_una = t.ack
        if t.F:
            self.fin_at = t.end - 1 & M
        if t.data and self.irs is not None:
            self.keep(diff(t.seq, self.irs) - 1, t.data)

    def keep(self, off, data):
        """Bytes of the stream, which may never change."""
        old = self.got.get(off)
        if old is not None:
            n = min(len(old), len(data))
            pkt.need(old[:n] == data[:n], "retransmission of other bytes")
        if old is None or len(old) < len(data):
            self.got[off] = data

    def recv(self, timeout=1.0):
        """The next segment of this connection, or None."""
        end = time.monotonic() + timeout
        while not self.q:
            left = end - time.monotonic()
            if left < 0 or self.g.closed:
                return None
            self.g.poll(min(left + 0.001, 0.05))
        return self.q.popleft().tcp

    def expect(self, want, timeout=PATIENCE):
        """The next segment with these flags (PSH apart), or that want holds
        for; what came before it is passed over."""
        pred = want
        if isinstance(want, str):
            bits = pkt.flagbits(want) & ~pkt.PSH
            def pred(t):
                return t.flags & ~pkt.PSH == bits
        end = time.monotonic() + timeout
        while True:
            t = self.recv(max(0, end - time.monotonic()))
            if t is None:
                raise AssertionError("no such segment %s; %s" % (
                    want if isinstance(want, str) else "", self.g.story()))
            if pred(t):
                return t

    def expect_ack(self, ack=None, timeout=PATIENCE):
        """Await the acknowledgement of all we sent (or up to ack)."""
        ack = self.snd_nxt if ack is None else ack
        return self.expect(
            lambda t: t.A and not t.R and t.ack == ack & M, timeout)

    def insist(self, data):
        """Await the acknowledgement of data, which was sent last; send again
        what is not: a socket of the host's may have been full."""
        base, stop = self.snd_nxt - len(data) & M, time.monotonic() + PATIENCE
        while True:
            self.clear(0.02)
            done = max(0, diff(self.snd_una, base))
            if done >= len(data):
                break
            assert time.monotonic() < stop, "%d of %d acknowledged; %s" % (
                done, len(data), self.g.story())
            self.seg("A", data[done:][:1400], seq=base + done & M)

    def none(self, timeout=0.3, pred=lambda t: True, since=None):
        """Assert that no segment (that pred holds for) comes. Where we are
        slow, one may, as the daemon's retransmission timer runs: since then
        (time.monotonic()), at the earliest."""
        end = time.monotonic() + timeout
        while True:
            t = self.recv(max(0, end - time.monotonic()))
            if t is None or (since is not None and
                             time.monotonic() - since >= RTO_MIN):
                return
            assert not pred(t), "unwanted segment %s seq+%d ack+%d len %d" % (
                t.letters, diff(t.seq, self.irs or 0),
                diff(t.ack, self.isn), len(t.data))

    def clear(self, timeout=0.0):
        self.g.poll(timeout)
        while self.g.poll(0):
            pass
        self.q.clear()

    def read(self, n, timeout=2 * PATIENCE, ack=True):
        """n bytes of the stream, in order, acknowledged as they come."""
        out, end = b"", time.monotonic() + timeout
        while len(out) < n:
            t = self.recv(max(0, end - time.monotonic()))
            assert t is not None, "%d of %d bytes; %s" % (
                len(out), n, self.g.story())
            assert not t.R, "reset after %d of %d bytes" % (len(out), n)
            skip = diff(self.rcv_nxt, t.seq)
            if not t.data or not 0 <= skip < len(t.data):
                continue
            out += t.data[skip:]
            self.rcv_nxt = t.seq + len(t.data) & M
            if ack:
                self.ack()
        return out

    def expect_fin(self, timeout=PATIENCE, ack=True):
        """Await the daemon's FIN, in order; acknowledge it."""
        t = self.expect(lambda t: t.F, timeout)
        assert t.end == self.rcv_nxt + 1 & M, "FIN out of order"
        self.rcv_nxt = t.end
        if ack:
            self.ack()
        return t

    @property
    def stream(self):
        """What the daemon has sent, from its first byte to the first gap."""
        out = bytearray()
        for off in sorted(self.got):
            if off > len(out):
                break
            out += self.got[off][len(out) - off:]
        return bytes(out)


class Bulk:
    """Moves data over an open Conn, both ways at once.

    sent data comes from a bytes object; received bytes go to self.sink (any
    callable), in order. The connection's own window limits what is received.
    """

    RTO = 0.25

    def __init__(self, conn, data=b"", want=0, sink=None, mss=None, fin=False):
        self.c, self.data, self.want, self.sink = conn, data, want, sink
        self.mss = mss or min(conn.mss or 536,
                              conn.g.mtu - (60 if ":" in conn.dst else 40))
        self.fin = fin
        self.base = conn.snd_nxt        # sequence number of data[0]
        self.una = self.nxt = 0         # offsets in data
        self.total = len(data) + (1 if fin else 0)
        self.cwnd = 10 * self.mss
        self.ssthresh = 1 << 30
        self.dups = 0
        self.recover = -1
        self.due = None
        self.backoff = 1
        self.received = 0
        self.ahead = {}                 # received out of order
        self.pending = 0                # segments not acknowledged yet
        self.retransmits = self.timeouts = 0
        self.lag = Lag(conn.g.pid)

    def done(self):
        return self.una >= self.total and self.received >= self.want

    def run(self, timeout=6 * PATIENCE):
        end = time.monotonic() + timeout
        while not self.done():
            now = time.monotonic()
            self.lag.look()
            assert now < end, "stuck: %d of %d sent, %d of %d received; %s" % (
                self.una, self.total, self.received, self.want,
                self.c.g.story())
            self.output(now)
            wait = 0.05
            if self.due:
                wait = min(wait, max(0.001, self.due - now))
            self.c.g.poll(wait)
            while self.c.q:
                self.input(self.c.q.popleft().tcp)
            if self.pending:
                self.ack()
        self.c.snd_nxt = self.base + self.total & M
        return self

    def ack(self):
        self.c.snd_nxt = self.base + self.nxt & M
        self.c.ack()
        self.pending = 0

    def input(self, t):
        assert not t.R, "reset while moving data; " + self.c.g.story()
        off = diff(t.ack, self.base)
        if off > self.una:
            if self.dups >= 3 and off >= self.recover:
                self.cwnd = self.ssthresh
            elif self.cwnd < self.ssthresh:
                self.cwnd += off - self.una
            else:
                self.cwnd += self.mss * self.mss // self.cwnd + 1
            self.una, self.backoff = off, 1
            self.nxt = max(self.nxt, off)
            self.dups = 0
            self.due = None
            if off < self.recover:      # NewReno: the next hole
                self.emit(self.una)
                self.retransmits += 1
        elif off == self.una and not t.data and not t.F and \
                self.nxt > self.una and t.win << self.c.peer_ws == self.wnd:
            self.dups += 1
            if self.dups == 3:
                self.ssthresh = max((self.nxt - self.una) // 2, 2 * self.mss)
                self.cwnd = self.ssthresh
                self.recover = self.nxt
                self.emit(self.una)
                self.retransmits += 1
        self.wnd = t.win << self.c.peer_ws
        if t.data or t.F:
            self.reassemble(t)

    wnd = -1

    def reassemble(self, t):
        c = self.c
        skip = diff(c.rcv_nxt, t.seq)
        if skip < 0:
            self.ahead[t.seq] = t
            self.ack()
            return
        if skip >= t.len:
            self.ack()
            return
        while t is not None:
            skip = diff(c.rcv_nxt, t.seq)
            if 0 <= skip < t.len:
                part = t.data[skip:]
                if self.sink:
                    self.sink(part)
                self.received += len(part)
                c.rcv_nxt = t.end
            t = None
            for seq in list(self.ahead):
                if diff(seq, c.rcv_nxt) <= 0:
                    t = self.ahead.pop(seq)
                    break
        self.pending += 1
        if self.pending >= 2:
            self.ack()

    def emit(self, off):
        """Send what starts at offset off; its length."""
        c = self.c
        part = self.data[off:off + self.mss]
        last = off + len(part) >= len(self.data)
        fin = self.fin and last
        c.seg("FPA" if fin else "PA" if last else "A", part,
              seq=self.base + off & M)
        self.pending = 0
        return len(part) + (1 if fin else 0)

    def output(self, now):
        c = self.c
        wnd = c.snd_wnd
        if self.due and now >= self.due:
            self.timeouts += 1
            self.backoff = min(self.backoff * 2, 16)
            self.ssthresh = max((self.nxt - self.una) // 2, 2 * self.mss)
            self.cwnd = self.mss
            self.nxt = self.una         # go back
            self.dups, self.recover = 0, -1
            if not wnd:                 # a zero-window probe
                c.seg("A", self.data[self.una:self.una + 1],
                      seq=self.base + self.una & M)
            self.due = now + self.RTO * self.backoff
        room = diff(c.snd_una + min(wnd, self.cwnd) & M, self.base)
        burst = 0
        while self.nxt < self.total and burst < 64:
            size = min(self.mss, len(self.data) - self.nxt)
            if self.nxt + size > room or (not wnd):
                break
            self.nxt += self.emit(self.nxt)
            burst += 1
        if self.nxt == self.una and self.una < self.total and wnd:
            # less window than a segment: send what fits
            size = min(wnd, self.mss, len(self.data) - self.una)
            if 0 < size < self.mss:
                c.seg("PA", self.data[self.una:self.una + size],
                      seq=self.base + self.una & M)
                self.nxt += size
        if self.una < self.total:
            if self.due is None:
                self.due = now + self.RTO * self.backoff
        else:
            self.due = None
