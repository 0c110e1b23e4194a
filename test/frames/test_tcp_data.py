# SPDX-License-Identifier: GPL-2.0-or-later
"""Data from and to the guest in all orders; odd and hostile segments.

RFC 9293 3.8 and 3.10.7.4, RFC 5961, RFC 1122 4.2.
"""
import socket
import time

import pytest

from rig import pkt
from rig.flows import Writer, inbound, outbound, pattern, read_all
from rig.tcp import Conn, diff
from rig.wait import PATIENCE, undisturbed

M = 0xffffffff
SOON = 0.2      # an immediate answer takes no longer, of processors at least


@pytest.fixture(params=["out", "in"])
def connect(request, daemon, net, fam):
    """Makes connections, opened by either side: Conn and the host's socket."""
    g = daemon("-t", "7001").connect()
    if request.param == "in":
        g.hello(fam)
    made = []

    def one():
        if request.param == "out":
            made.append(outbound(g, net, fam, mss=1400, sack=True))
        else:
            made.append(inbound(g, net, fam, 7001, mss=1400))
        return made[-1]
    one.pid = g.pid
    yield one
    for _, s in made:
        s.close()


@pytest.fixture
def pair(connect):
    return connect()


@pytest.fixture
def out(daemon, net, fam):
    """A connection opened by the guest."""
    c, s = outbound(daemon().connect(), net, fam, mss=1400)
    yield c, s
    s.close()


def prompt(c):
    """The next segment, which has to be an immediate answer."""
    watch = c.g.stopwatch()
    t = c.expect(lambda t: True)
    assert watch.took() < SOON
    return t


def alive(c, s):
    """The connection still works, both ways."""
    c.send(b"ping")
    c.expect_ack()
    got = b""
    while not got.endswith(b"ping"):
        b = s.recv(100)
        assert b, "closed"
        got += b
    c.clear()
    s.sendall(b"pong")
    assert c.read(4) == b"pong"
    return got[:-4]


# -- order ------------------------------------------------------------------

def test_gap_is_acknowledged_at_once(out):
    """RFC 5681 4.2: a duplicate ACK for what is out of order."""
    c, s = out
    c.seg("A", b"b" * 100, seq=c.snd_nxt + 100)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and not t.data
    c.send(b"a" * 100)
    t = c.expect(lambda t: diff(t.ack, c.snd_nxt) >= 0)
    c.snd_nxt = c.snd_nxt + 100 & M
    if t.ack != c.snd_nxt:
        c.seg("A", b"b" * 100, seq=c.snd_nxt - 100)
        c.expect_ack()
    assert read_n(s, 200) == b"a" * 100 + b"b" * 100


def test_gap_is_told_and_kept(daemon, net, fam):
    """RFC 2018: only what is missing need be sent again."""
    c, s = outbound(daemon().connect(), net, fam, mss=1400, sack=True)
    una, data = c.snd_nxt, pattern(1000)

    def ahead(a, b):
        c.seg("A", data[a:b], seq=una + a & M)
        t = prompt(c)
        assert t.letters == "A" and not t.data
        return [(diff(i, una), diff(j, una)) for i, j in t.sack]
    assert ahead(200, 300) == [(200, 300)]
    assert ahead(500, 600) == [(500, 600), (200, 300)]
    assert ahead(300, 400) == [(200, 400), (500, 600)]
    assert ahead(700, 800) == [(700, 800), (200, 400), (500, 600)]
    assert ahead(350, 550) == [(200, 600), (700, 800)]
    c.send(data[:200])
    c.expect_ack(una + 600)
    assert read_n(s, 600) == data[:600]
    c.seg("A", data[600:700], seq=una + 600 & M)
    c.expect_ack(una + 800)
    c.snd_nxt = una + 800 & M
    c.send(data[800:])
    t = c.expect_ack()
    assert not t.sack
    assert read_n(s, 400) == data[600:]


def read_n(s, n):
    out = b""
    while len(out) < n:
        b = s.recv(n - len(out))
        assert b, "closed after %d" % len(out)
        out += b
    return out


@pytest.mark.parametrize("seed", range(6))
def test_random_order(out, seed):
    """Pieces in random order, overlapping and twice: byte-exact."""
    import random
    c, s = out
    rng = random.Random(seed)
    data = pattern(20000, seed)
    base = c.snd_nxt
    pieces = []
    for off in range(0, 20000, 500):
        a = max(0, off - rng.randrange(300))
        pieces.append((a, off + 500 + rng.randrange(300)))
    pieces += rng.sample(pieces, 10)
    rng.shuffle(pieces)
    for a, b in pieces:
        c.seg("A", data[a:b], seq=base + a)
    c.snd_nxt = base + 20000 & M
    c.insist(data)
    assert read_n(s, 20000) == data
    alive(c, s)


def test_one_write_many_segments(out):
    """A run of segments in one write to the stream."""
    c, s = out
    data = pattern(60 * 1000)
    frames = [c.frame("A", data[i:i + 1000], seq=c.snd_nxt + i)
              for i in range(0, len(data), 1000)]
    c.g.send(*frames)
    c.snd_nxt = c.snd_nxt + len(data) & M
    c.insist(data)
    assert read_n(s, len(data)) == data


def test_overlap_right(out):
    c, s = out
    c.seg("A", b"0123456789")
    c.seg("A", b"56789abcde", seq=c.snd_nxt + 5)
    c.snd_nxt += 15
    c.expect_ack()
    assert read_n(s, 15) == b"0123456789abcde"


def test_overlap_left(out):
    """A segment that starts before RCV.NXT is trimmed."""
    c, s = out
    c.send(b"0123456789")
    c.expect_ack()
    c.seg("A", b"23456789xyz", seq=c.snd_nxt - 8)
    c.snd_nxt += 3
    c.expect_ack()
    assert read_n(s, 13) == b"0123456789xyz"


def test_old_segment_acknowledged(pair):
    """All old: the ACK again, at once (3.10.7.4)."""
    c, s = pair
    c.send(b"0123456789")
    c.expect_ack()
    c.clear(0.05)
    for n in range(1, 4):
        c.seg("A", b"0123456789"[-n:], seq=c.snd_nxt - n)
        t = prompt(c)
        assert t.letters == "A" and t.ack == c.snd_nxt and not t.data
    assert alive(c, s) == b"0123456789"


def test_beyond_window(pair):
    """Beyond the window: an ACK, and nothing of it is kept."""
    c, s = pair
    c.send(b"x")
    c.expect_ack()
    c.clear(0.05)
    c.strict = False
    c.seg("A", b"far", seq=c.snd_edge + 1000)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b"x"


def test_far_behind(pair):
    """Half the sequence space away."""
    c, s = pair
    c.clear(0.05)
    c.seg("A", b"far", seq=c.snd_nxt - (1 << 30))
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b""


@pytest.mark.parametrize("isn", [0xffffffff, 0xfffffffe, 0xffffffff - 700,
                                 0xffffffff - 9000, 0x7ffffff0, 0])
def test_guest_sequence_wraps(daemon, net, fam, isn):
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, isn=isn)
    data = pattern(20000)
    for off in range(0, len(data), 1000):
        c.send(data[off:off + 1000])
    c.insist(data)
    # and out of order across the wrap
    c.seg("A", b"B" * 50, seq=c.snd_nxt + 50)
    c.seg("A", b"A" * 50)
    c.snd_nxt = c.snd_nxt + 100 & M
    c.insist(b"A" * 50 + b"B" * 50)
    assert read_n(s, 20100) == data + b"A" * 50 + b"B" * 50
    s.sendall(b"back")
    assert c.read(4) == b"back"
    c.fin()
    c.expect_ack()
    assert read_all(s) == b""


def test_one_byte_segments(out):
    c, s = out
    data = pattern(1000)
    for i in range(1000):
        c.send(data[i:i + 1])
    c.insist(data)
    assert read_n(s, 1000) == data


def test_acknowledged_in_time(out):
    """RFC 1122 4.2.3.2: an ACK within half a second, without more data."""
    c, s = out
    for n in (1, 100, 1400):
        watch = c.g.stopwatch()
        c.send(b"d" * n)
        c.expect_ack()
        assert watch.took() < 0.5
    assert len(read_n(s, 1501)) == 1501


def test_every_second_segment(out):
    """RFC 5681 4.2: at least every second full-sized segment at once."""
    c, s = out
    for _ in range(20):
        c.clear()
        watch = c.g.stopwatch()
        c.send(b"d" * 1400, "A")
        c.send(b"d" * 1400, "A")
        c.expect_ack()
        assert watch.took() < 0.1


# -- keepalives, urgent data ------------------------------------------------

@pytest.mark.parametrize("garbage", [b"", b"\0"], ids=["empty", "byte"])
def test_keepalive_answered(pair, garbage):
    """A probe at SND.NXT - 1 is answered (RFC 9293 3.8.4)."""
    c, s = pair
    c.send(b"hello")
    c.expect_ack()
    for _ in range(3):
        c.clear(0.05)
        c.seg("A", garbage, seq=c.snd_nxt - 1)
        t = prompt(c)
        assert t.letters == "A" and not t.data
        assert t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b"hello"


def test_keepalive_before_data(pair):
    c, s = pair
    c.seg("A", seq=c.snd_nxt - 1)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt
    alive(c, s)


def test_urgent_data_in_line(out):
    """No byte is lost for being urgent."""
    c, s = out
    s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    c.send(b"normal")
    c.send(b"URGENT!", "PAU", urg=7)
    c.send(b"after")
    c.expect_ack()
    assert read_n(s, 18) == b"normalURGENT!after"


def test_urgent_pointer_beyond_data(out):
    c, s = out
    s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    c.send(b"abc", "AU", urg=60000)
    c.expect_ack()
    c.seg("AU", urg=0)
    c.send(b"def")
    c.expect_ack()
    assert read_n(s, 6) == b"abcdef"


# -- hostile and odd peers --------------------------------------------------

def test_ack_of_data_never_sent(pair):
    """Answered by an ACK and dropped (3.10.7.4, fifth)."""
    c, s = pair
    s.sendall(b"0123456789")
    assert c.read(10) == b"0123456789"
    c.clear(0.05)
    c.seg("A", b"drop me", ack=c.rcv_nxt + 5000)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b""


def test_ack_of_data_never_sent_is_not_believed(pair):
    """Data sent afterwards still is retransmitted until acknowledged."""
    c, s = pair
    c.seg("A", ack=c.rcv_nxt + 100)
    c.clear(0.1)
    s.sendall(pattern(100))
    c.expect(lambda t: len(t.data) == 100)
    c.expect(lambda t: len(t.data) == 100)
    c.rcv_nxt = c.rcv_nxt + 100 & M
    c.ack()
    alive(c, s)


def test_very_old_ack(pair):
    """An ACK older than SND.UNA - MAX.SND.WND: challenged (RFC 5961 5)."""
    c, s = pair
    c.clear(0.05)
    c.seg("A", b"blind", ack=c.rcv_nxt - 0x40000000)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b""


def test_slightly_old_ack(pair):
    """A duplicate ACK field (SEG.ACK < SND.UNA): ignored, data taken."""
    c, s = pair
    s.sendall(b"0123456789")
    assert c.read(10) == b"0123456789"
    c.send(b"taken", ack=c.rcv_nxt - 10 & M)
    c.expect_ack()
    assert alive(c, s) == b"taken"


@pytest.mark.parametrize("off", [1, 2, 100, 10000])
def test_rst_in_window(pair, off):
    """Not at RCV.NXT: a challenge ACK (RFC 5961 3.2)."""
    c, s = pair
    c.send(b"x")
    c.expect_ack()
    c.clear(0.05)
    c.strict = False
    c.rst(seq=c.snd_nxt + off)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b"x"


@pytest.mark.parametrize("off", [-1, -1000, -(1 << 30), 1 << 30])
def test_rst_outside_window(pair, off):
    """Ignored."""
    c, s = pair
    c.send(b"x")
    c.expect_ack()
    c.clear(0.05)
    c.rst(seq=c.snd_nxt + off)
    c.none(0.2)
    assert alive(c, s) == b"x"


def test_rst_with_ack_closes(out):
    c, s = out
    c.send(b"x")
    c.expect_ack()
    c.seg("RA")
    assert s.recv(1) == b"x"
    with pytest.raises(ConnectionResetError):
        s.recv(1)


def test_rst_after_unacknowledged_gap(out):
    """RCV.NXT does not move for data out of order; RST behind it does not
    close."""
    c, s = out
    c.seg("A", b"later", seq=c.snd_nxt + 10)
    c.clear(0.1)
    c.rst(seq=c.snd_nxt + 15)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt
    c.send(b"0123456789")
    c.expect(lambda t: diff(t.ack, c.snd_nxt) >= 0)


@pytest.mark.parametrize("off", [0, 1, 100, -1, -1000, 1 << 30])
def test_syn_in_connection(pair, off):
    """SYN in a synchronised state: challenge ACK (RFC 5961 4.2)."""
    c, s = pair
    c.send(b"x")
    c.expect_ack()
    c.clear(0.05)
    c.strict = False
    c.seg("S", seq=c.snd_nxt + off, ack=0)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b"x"


def test_syn_ack_in_connection(pair):
    c, s = pair
    c.send(b"x")
    c.expect_ack()
    c.clear(0.05)
    c.seg("SA", seq=c.isn)
    t = prompt(c)
    assert t.letters == "A" and t.ack == c.snd_nxt and t.seq == c.rcv_nxt
    assert alive(c, s) == b"x"


def test_no_ack_flag(pair):
    """A segment without ACK is dropped (3.10.7.4, fifth)."""
    c, s = pair
    c.seg("P", b"no ack flag")
    c.clear(0.1)
    assert alive(c, s) == b""


def test_rebooted_guest(out):
    """A guest that reboots uses the tuple again: challenge, RST, new SYN."""
    c, s = out
    c.send(b"old")
    c.expect_ack()
    c.clear(0.05)
    n = Conn(c.g, c.dst, c.dport, src=c.src, sport=c.sport,
             isn=c.snd_nxt + 500000)
    n.strict = False
    n.syn()
    t = n.expect("A")
    n.seg("R", seq=t.ack)
    assert s.recv(10) == b"old"
    with pytest.raises(ConnectionResetError):
        s.recv(1)


@pytest.mark.parametrize("bad", [dict(check=0x1234), dict(doff=4),
                                 dict(doff=15)],
                         ids=["checksum", "offset4", "offset15"])
def test_broken_segment(pair, bad):
    c, s = pair
    c.send(b"good")
    c.expect_ack()
    c.g.send(c.frame("PA", b"evil", **bad))
    c.clear(0.1)
    assert alive(c, s) == b"good"


def test_all_flags(pair):
    """Every combination of flags within the window: no harm beyond the
    connection."""
    c, s = pair
    c.strict = False
    for bits in range(256):
        c.seg(bits, seq=c.snd_nxt, ack=c.rcv_nxt)
    c.clear(0.1)
    c.g.faults.clear()
    n = Conn(c.g, c.dst, 9, src=c.src)
    n.syn()
    n.expect(lambda t: t.R)


# -- windows: the daemon's --------------------------------------------------

def fill(c, limit=40 << 20):
    """Send until the window is closed; the bytes that were acknowledged."""
    base, sent = c.snd_nxt, 0
    quiet = 0
    while quiet < 8:
        room = diff(c.snd_edge, c.snd_nxt)
        assert sent < limit
        if room > 0:
            n = min(room, 1400)
            c.send(pattern(1 << 16)[:n], "A")
            sent += n
            quiet = 0
        elif not c.g.poll(0.15):
            quiet += 1
            if diff(c.snd_nxt, c.snd_una) > 0:      # bounced: resend
                c.snd_nxt = c.snd_una
                quiet = 0 if room > 0 else quiet
        c.q.clear()
    return diff(c.snd_una, base)


def test_window_closes_and_opens(daemon, net, fam):
    """Nobody reads: the window closes, without losing an acknowledged byte;
    someone reads: it opens again by itself (RFC 9293 3.8.6)."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, rcvbuf=16384)
    n = fill(c)
    assert n > 0
    assert c.snd_edge == c.snd_una, "window still open"
    c.clear(0.2)
    # probes are answered; the kernel may have grown its buffer meanwhile
    for _ in range(3):
        c.seg("A", b"", seq=c.snd_una - 1)
        t = prompt(c)
        assert t.letters == "A" and t.ack == c.snd_una
    c.snd_nxt = c.snd_una
    got = 0
    while got < n:
        got += len(s.recv(min(1 << 16, n - got)))
    if c.snd_edge == c.snd_nxt:
        t = c.expect(lambda t: t.win > 0)
        assert t.ack == c.snd_nxt
    c.send(b"tail")
    c.expect_ack()
    assert read_n(s, 4) == b"tail"


def test_silly_window_avoided(daemon, net, fam):
    """The window opens by a segment or half the buffer (3.8.6.2.2)."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, rcvbuf=16384)
    n = fill(c)
    c.clear(0.2)
    seen = []
    for _ in range(n // 100):
        assert s.recv(100)
        g.poll(0)
        while c.q:
            seen.append(c.q.popleft().tcp)
    for t in seen:
        assert t.win == 0 or diff(t.ack + t.win, c.snd_nxt) >= 536


def test_stalled_reader_costs_nothing(daemon, net, fam):
    """A closed window: no wake-ups while nothing changes."""
    d = daemon()
    g = d.connect()
    c, s = outbound(g, net, fam, mss=1400, rcvbuf=16384)
    fill(c)
    c.clear(0.5)
    d.sleeps(2, 12, 0.1)
    s.close()


# -- windows: the guest's ---------------------------------------------------

def test_small_window_respected(daemon, net, fam):
    """No more in flight than the guest's window; Conn checks each edge."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, win=1000)
    Writer(s, pattern(50000))
    assert c.read(50000) == pattern(50000)


def test_zero_window_probed(connect):
    """A closed window is probed, with back-off (3.8.6.1)."""
    undisturbed(lambda: probed(*connect()), connect.pid)


def probed(c, s):
    c.ack(win=0)
    c.clear(0.1)
    s.sendall(pattern(5000))
    probes = []
    end = time.monotonic() + 9
    while len(probes) < 3 and time.monotonic() < end:
        f = c.recv(1)
        if f:
            assert len(f.data) <= 1
            probes.append(c.all[-1].at)
            c.ack(win=0)
    assert len(probes) == 3, "probes at %r" % probes
    assert probes[1] - probes[0] >= 0.19
    assert probes[2] - probes[1] >= 1.5 * (probes[1] - probes[0])
    c.win = 65535
    c.ack()
    assert c.read(5000) == pattern(5000)


def test_window_reopens_at_once(pair):
    c, s = pair
    c.ack(win=0)
    c.clear(0.05)
    s.sendall(pattern(5000))
    c.clear(0.2)
    watch = c.g.stopwatch()
    c.ack()
    c.expect(lambda t: len(t.data) > 1)
    assert watch.took() < 0.3
    assert c.stream[:1000] == pattern(5000)[:1000]


def test_probed_until_opened(daemon, net, fam):
    """No answer to probes but window zero: the connection stays."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400)
    c.ack(win=0)
    c.clear(0.05)
    s.sendall(b"q" * 100)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        t = c.recv(0.2)
        if t:
            c.ack(win=0)
    c.ack()
    assert c.read(100) == b"q" * 100


def test_guest_shrinks_window(pair):
    """3.8.6: be robust against a right edge that moves left (MUST-34)."""
    c, s = pair
    s.sendall(pattern(3000))
    c.expect(lambda t: t.data)
    c.clear(0.1)
    c.ack(win=10)
    c.clear(0.2)
    c.ack(win=0)
    c.clear(0.2)
    c.ack()
    c.rcv_nxt = c.irs + 1 + len(c.stream) & M
    while len(c.stream) < 3000:
        c.ack()
        assert c.recv(PATIENCE) is not None
        c.rcv_nxt = c.irs + 1 + len(c.stream) & M
    assert c.stream == pattern(3000)
    c.ack()
    alive(c, s)


def test_window_update_from_old_segment(pair):
    """SND.WL1/WL2: an older segment does not change the window."""
    c, s = pair
    c.send(b"0123456789")
    c.expect_ack()
    c.seg("A", b"01", seq=c.snd_nxt - 10, win=0)    # old, window zero
    c.clear(0.1)
    s.sendall(b"answer")
    c.expect(lambda t: t.data == b"answer")


def test_half_open_window_scale(daemon, net, fam):
    """A window of 1 with scale 14 is 16 KiB."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, ws=14, win=1)
    Writer(s, pattern(40000))
    c.clear(0.5)
    assert len(c.stream) <= 16384 + 65535
    assert c.read(40000) == pattern(40000)
