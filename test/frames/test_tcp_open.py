# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP opened by the guest: handshake and options (RFC 9293 3.5, 3.7.1)."""
import socket
import time

import pytest

from rig import pkt
from rig.flows import (Writer, is_reset, outbound, pattern, read_all, wait_for)
from rig.tcp import Conn
from rig.wait import PATIENCE, undisturbed


def syn_to(g, fam, dst, dport=80, **kw):
    c = Conn(g, dst, dport, src=fam.guest, **kw)
    c.syn()
    c.snd_nxt = c.isn + 1
    return c


def test_echo(guest, net, fam):
    c, s = outbound(guest, net, fam)
    assert c.peer[0] == fam.host
    c.send(b"hello")
    c.expect_ack()
    assert s.recv(100) == b"hello"
    s.sendall(b"world!")
    assert c.read(6) == b"world!"
    c.fin()
    assert s.recv(1) == b""
    s.close()
    c.expect_fin()


def test_syn_ack_fields(guest, net, fam):
    c, _ = outbound(guest, net, fam)
    t = c.all[0].tcp
    assert t.letters == "SA" and t.ack == c.snd_nxt
    assert t.win > 0 and not t.data


def test_not_answered_before_host(guest, fam):
    c = syn_to(guest, fam, fam.blackhole)
    c.none(1.0)
    c.syn()                     # retransmitted: still nothing to say
    c.none(0.5)


def test_full_backlog_not_answered(guest, net, fam):
    """The host's kernel, not the daemon, decides that a server is there."""
    ls = net.remote.listen(fam.remote, backlog=0)
    port = ls.getsockname()[1]
    keep = [net.host.connect(fam.remote, port)]
    try:
        for _ in range(3):
            keep.append(net.host.connect(fam.remote, port, timeout=0.2))
    except TimeoutError:
        pass
    c = syn_to(guest, fam, fam.remote, port)
    c.none(0.5)
    for _ in keep:
        try:
            ls.accept()
        except TimeoutError:
            break
    c.expect("SA")


def test_refused(guest, net, fam):
    """Refused on the host: RST as from a closed port (3.10.7.1)."""
    c = syn_to(guest, fam, fam.remote, 9)
    t = c.expect("RA")
    assert (t.seq, t.ack) == (0, c.isn + 1 & 0xffffffff)


def test_refused_repeatedly(guest, net, fam):
    """The tuple is free again after a refusal."""
    c = syn_to(guest, fam, fam.remote, 9)
    c.expect("RA")
    ls = net.remote.listen(fam.remote, 9)
    c.syn()
    c.expect("SA")
    ls.close()


@pytest.mark.parametrize("kind", ["unreach", "prohibit"])
def test_unreachable(guest, fam, kind):
    """RST, or ICMP unreachable about our SYN (RFC 5461)."""
    dst = getattr(fam, kind)
    c = syn_to(guest, fam, dst)

    def wanted(f):
        return f.icmp and f.icmp.type == (3 if fam.v == 4 else 1)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:       # the kernel may need a second SYN
        t = c.recv(0.05)
        if t:
            assert t.letters == "RA" and t.ack == c.isn + 1 & 0xffffffff
            return
        for f in guest.q:
            if wanted(f):
                q = pkt.b2addr(f.icmp.data[16:20] if fam.v == 4
                               else f.icmp.data[24:40])
                assert q == dst
                return
    pytest.fail("no word of it")


@pytest.mark.parametrize("kw", [{}, {"mss": 1400}, {"mss": 1400, "ws": 7},
                                {"ws": 0}, {"ws": 14},
                                {"mss": 1400, "ts": True},
                                {"mss": 1400, "ws": 7, "ts": True},
                                {"sack": True},
                                {"mss": 1400, "ws": 7, "sack": True}],
                         ids=lambda k: "+".join(
                             "%s%s" % i for i in k.items()) or "none")
def test_options_only_where_asked(guest, net, fam, kw):
    """RFC 7323 2.2, 3.2, RFC 2018 2: scale, timestamps and SACK only where the
    SYN had them."""
    c, s = outbound(guest, net, fam, **kw)
    t = c.all[0].tcp
    if "ws" not in kw:
        assert 3 not in t.opts
    elif t.ws is not None:
        assert t.ws <= 14
    if "ts" not in kw:
        assert 8 not in t.opts
    assert (4 in t.opts) == kw.get("sack", False)
    assert not set(t.opts) - {2, 3, 4, 8}
    c.send(b"x" * 100)
    c.expect_ack()
    s.sendall(b"y" * 3000)
    assert c.read(3000) == b"y" * 3000


def test_unknown_options_ignored(guest, net, fam):
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest, mss=1000)
    c.seg("S", seq=c.isn, opts=b"\xfe\x06abcd" + pkt.opt_mss(1000) +
          b"\x1e\x04ab")
    c.snd_nxt = c.isn + 1
    c.expect("SA")
    c.seg("A", opts=b"\xfd\x04zz")
    c.send(b"fine", opts=b"\xfd\x04zz")
    c.expect_ack()


@pytest.mark.parametrize("opts", [b"\x02\x00\x00\x00", b"\x02\x01\x00\x00",
                                  b"\x02\x28\x05\xb4", b"\x03\xff\x00\x00",
                                  b"\x01\x01\x01\x02", b"\x08\x0a\x00\x00"],
                         ids=lambda b: b.hex())
def test_malformed_options(guest, net, fam, opts):
    """Broken options: the segment is dropped or they are ignored."""
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.seg("S", seq=c.isn, opts=opts)
    t = c.recv(0.3)
    if t:
        assert t.letters in ("SA", "RA")
    c2 = Conn(guest, fam.remote, c.dport, src=fam.guest)
    c2.open()


def test_scaled_window_counts(guest, net, fam):
    """With scale 8, a window of 5 means 1280 bytes: room for a segment."""
    c, s = outbound(guest, net, fam, mss=1000, ws=8, win=5)
    Writer(s, pattern(20000))
    assert c.read(20000) == pattern(20000)
    assert max(len(f.tcp.data) for f in c.all) == 1000


def test_unscaled_syn_window(guest, net, fam):
    """The windows of SYN and SYN-ACK are never scaled (RFC 7323 2.2)."""
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest, mss=1000,
             ws=10, win=2000)
    c.syn()
    c.snd_nxt = c.isn + 1
    c.expect("SA")
    s, _ = ls.accept()
    # the handshake's ACK is not sent yet: nothing may come
    s.sendall(b"z" * 10000)
    c.none(0.3, lambda t: t.data)
    c.ack(win=1)                # 1 << 10
    wait_for(lambda: guest.poll(0.01) and len(c.stream) >= 1000)
    c.clear(0.3)
    assert 1000 <= len(c.stream) <= 1025


def test_duplicate_syn(guest, net, fam):
    """A retransmitted SYN draws the same SYN-ACK again."""
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    first = c.expect("SA")
    c.syn()
    second = c.expect("SA")
    assert (first.seq, first.ack) == (second.seq, second.ack)
    c.snd_nxt = c.isn + 1
    c.ack()
    s, _ = ls.accept()
    c.send(b"one")
    assert s.recv(10) == b"one"
    ls.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ls.accept()


def test_duplicate_syn_while_connecting(daemon, fam):
    d = daemon()
    g = d.connect()
    g.hello(fam)
    base = d.fds()
    c = syn_to(g, fam, fam.blackhole)
    for _ in range(5):
        c.syn()
    g.hello(fam)
    assert d.fds() == base + 1


def test_syn_ack_retransmitted(guest, net, fam):
    """No ACK to the SYN-ACK: the same again, with back-off."""
    ls = net.remote.listen(fam.remote)

    def attempt():
        c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
        c.syn()
        for _ in range(3):
            c.expect("SA")
        a, b, z = c.all[:3]
        assert a.tcp.seq == b.tcp.seq == z.tcp.seq
        assert a.tcp.opts == b.tcp.opts
        assert 0.2 <= b.at - a.at <= 3.5
        assert z.at - b.at >= 1.5 * (b.at - a.at)
    undisturbed(attempt, guest.pid)


def test_bad_ack_in_handshake(guest, net, fam):
    """3.10.7.4, SYN-RECEIVED: an unacceptable ACK draws its RST only."""
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    c.snd_nxt = c.isn + 1
    c.expect("SA")
    c.seg("A", ack=c.rcv_nxt + 1000)
    t = c.expect(lambda t: t.R)
    assert t.seq == c.rcv_nxt + 1000 & 0xffffffff
    c.ack()
    c.send(b"still here")
    c.expect_ack()


def test_rst_in_handshake(daemon, net, fam):
    d = daemon()
    g = d.connect()
    g.hello(fam)
    base = d.fds()
    ls = net.remote.listen(fam.remote)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    c.expect("SA")
    s, _ = ls.accept()
    c.rst(seq=c.isn + 1)
    assert is_reset(s)
    wait_for(lambda: d.fds() <= base, what="socket closed")


def test_rst_while_connecting(daemon, fam):
    """A guest that gives up its connect() costs nothing afterwards."""
    d = daemon()
    g = d.connect()
    g.hello(fam)
    base = d.fds()
    c = syn_to(g, fam, fam.blackhole)
    wait_for(lambda: d.fds() == base + 1, what="socket opened")
    c.rst()
    wait_for(lambda: d.fds() == base, what="socket closed")


def test_data_with_last_ack(guest, net, fam):
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    c.snd_nxt = c.isn + 1
    c.expect("SA")
    c.send(b"early")
    c.expect_ack()
    assert ls.accept()[0].recv(10) == b"early"


def test_data_and_fin_with_last_ack(guest, net, fam):
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    c.snd_nxt = c.isn + 1
    c.expect("SA")
    c.seg("FPA", b"all of it")
    c.snd_nxt += 10
    c.expect_ack()
    assert read_all(ls.accept()[0]) == b"all of it"


def test_data_on_syn(guest, net, fam):
    """Data on a SYN is taken or not, but never twice and never half."""
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.seg("S", b"abc", seq=c.isn)
    t = c.expect("SA")
    took = t.ack - c.isn - 1 & 0xffffffff
    assert took in (0, 3)
    c.snd_nxt = t.ack
    c.send(b"abcdef"[took:])
    c.expect_ack()
    c.fin()
    assert read_all(ls.accept()[0]) == b"abcdef"


def test_isn_differs(guest, net, fam):
    """Initial sequence numbers are not to be guessed (RFC 6528)."""
    isns = set()
    for _ in range(20):
        c, s = outbound(guest, net, fam)
        isns.add(c.irs)
        c.rst()
    isns = sorted(isns)
    assert len(isns) == 20
    steps = {b - a for a, b in zip(isns, isns[1:])}
    assert len(steps) > 15
    assert isns[-1] - isns[0] > 1 << 28


@pytest.mark.parametrize("mss", [0, 1, 10])
def test_mss_floor(guest, net, fam, mss):
    """An absurd MSS is raised: no flood of tiny segments."""
    c, s = outbound(guest, net, fam, mss=mss)
    s.sendall(pattern(4000))
    assert c.read(4000) == pattern(4000)
    sizes = [len(f.tcp.data) for f in c.all if f.tcp.data]
    assert min(sizes[:-1] or [4000]) >= 48


@pytest.mark.parametrize("mss", [536, 700, 1400, 9000])
def test_mss_respected(guest, net, fam, mss):
    c, s = outbound(guest, net, fam, mss=mss)
    s.sendall(pattern(30000))
    assert c.read(30000) == pattern(30000)
    assert max(len(f.tcp.data) for f in c.all) <= mss


def test_mss_default(guest, net, fam):
    """No MSS option: 536 bytes, 1220 on IPv6 (RFC 9293 3.7.1, MUST-15)."""
    c, s = outbound(guest, net, fam)
    s.sendall(pattern(30000))
    assert c.read(30000) == pattern(30000)
    assert max(len(f.tcp.data) for f in c.all) <= (536 if fam.v == 4 else 1220)


@pytest.mark.parametrize("mtu", [1280, 1500, 9000])
def test_mss_told(daemon, net, fam, mtu):
    """The MSS that the daemon tells fits the guest's MTU."""
    g = daemon("--mtu", str(mtu)).connect(mtu=mtu)
    c, s = outbound(g, net, fam, mss=65000)
    mss = c.all[0].tcp.mss
    assert mss and 536 <= mss <= mtu - fam.hdr - 20
    s.sendall(pattern(100000))
    assert c.read(100000) == pattern(100000)


def test_ecn_syn(guest, net, fam):
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.seg("SEC", seq=c.isn)
    t = c.expect(lambda t: t.S)
    assert t.A


@pytest.mark.parametrize("dst4,dst6", [("224.0.0.1", "ff02::1"),
                                       ("255.255.255.255", "ff05::2"),
                                       ("0.0.0.0", "::")])
def test_syn_to_no_host(guest, fam, dst4, dst6):
    """A SYN to a multicast or broadcast address is discarded (3.10.7.2)."""
    dst = dst4 if fam.v == 4 else dst6
    c = Conn(guest, dst, 80, src=fam.guest)
    c.syn()
    c.none(0.3)


@pytest.mark.parametrize("src4,src6", [("224.0.0.1", "ff02::1"),
                                       ("255.255.255.255", "::"),
                                       ("0.0.0.0", "::1"),
                                       ("127.0.0.1", "ff0e::1")])
def test_syn_from_no_host(guest, net, fam, src4, src6):
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1],
             src=src4 if fam.v == 4 else src6)
    c.syn()
    guest.expect_none(lambda f: f.tcp)
    c.none(0.1)
    ls.settimeout(0.1)
    with pytest.raises(TimeoutError):
        ls.accept()


@pytest.mark.parametrize("bad", [dict(check=0x1234), dict(doff=4),
                                 dict(doff=0), dict(doff=15)],
                         ids=["checksum", "offset4", "offset0", "offset15"])
def test_broken_header_dropped(guest, net, fam, bad):
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    guest.send(c.frame("S", seq=c.isn, **bad))
    c.none(0.3)
    c.syn()
    c.expect("SA")


def test_fin_on_syn(guest, net, fam):
    """SYN and FIN together: a sane answer or none, and no harm."""
    ls = net.remote.listen(fam.remote)
    c = Conn(guest, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.seg("SF", seq=c.isn)
    t = c.recv(0.3)
    assert t is None or t.letters in ("SA", "RA")


def test_server_speaks_first(guest, net, fam):
    c, s = outbound(guest, net, fam)
    s.sendall(b"220 ready\r\n")
    assert c.read(11) == b"220 ready\r\n"


def test_host_connect_bound_to_daemon_address(guest, net, fam):
    c, s = outbound(guest, net, fam)
    assert s.getpeername()[0] == fam.host


def test_nodelay(guest, net, fam):
    """Small writes of the guest are not held back by the host's Nagle."""
    c, s = outbound(guest, net, fam)
    for i in range(10):
        watch = guest.stopwatch()
        c.send(bytes([i]))
        assert s.recv(10) == bytes([i])
        assert watch.took() < 0.15
    assert s.family in (socket.AF_INET, socket.AF_INET6)
