# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP: conversations, sizes, fragments, errors (RFC 768, 4787, 5722)."""
import select
import struct
import time

import pytest

from rig import pkt
from rig.flows import one_processor, pattern, wait_for
from rig.wait import PATIENCE


def server(net, fam, port=0, addr=None):
    return net.remote.udp(addr or fam.remote, port)


def too_big(g):
    return [f for f in g.q if f.icmp and f.icmp.type == 2]


def ask(g, fam, s, sport, data, dst=None):
    """The guest sends, the server receives: where it came from."""
    to = dst or s.getsockname()[0], s.getsockname()[1]
    g.udp(fam.guest, to[0], sport, to[1], data)
    if len(data) > 1400 and g.mtu > 1500 and fam.v == 6:
        # an IPv6 packet may be too big for the host's own link: like any
        # stack, send it in fragments when told
        wait_for(lambda: g.poll(0.01) and too_big(g) or
                 select.select([s], [], [], 0)[0])
        for f in too_big(g):
            g.q.remove(f)
            mtu, g.mtu = g.mtu, f.icmp.id << 16 | f.icmp.seq
            assert g.mtu == 1500
            g.udp(fam.guest, to[0], sport, to[1], data)
            g.mtu = mtu
            break
    got, peer = s.recvfrom(70000)
    assert got == data
    return peer


def test_conversation(guest, net, fam):
    s = server(net, fam)
    for i in range(5):
        peer = ask(guest, fam, s, 5000, b"q%d" % i)
        assert peer[0] == fam.host
        s.sendto(b"a%d" % i, peer)
        f = guest.expect_udp()
        assert (f.ip.src, f.ip.dst) == (fam.remote, fam.guest)
        assert (f.udp.sport, f.udp.dport) == (s.getsockname()[1], 5000)
        assert f.udp.data == b"a%d" % i


def test_source_port_kept(guest, net, fam):
    """RFC 4787 REQ-1: the guest's port, where it is free."""
    s = server(net, fam)
    s2 = server(net, fam, addr=fam.remote2)
    assert ask(guest, fam, s, 5001, b"x")[1] == 5001
    assert ask(guest, fam, s2, 5001, b"y")[1] == 5001


def test_source_port_taken(guest, net, fam):
    other = net.host.udp(fam.any, 5002)
    s = server(net, fam)
    peer = ask(guest, fam, s, 5002, b"x")
    assert peer[1] != 5002
    s.sendto(b"reply", peer)
    assert guest.expect_udp().udp.dport == 5002
    other.close()


def test_reply_only_from_destination(guest, net, fam):
    """Nobody else can send to the guest through a conversation."""
    s = server(net, fam)
    peer = ask(guest, fam, s, 5003, b"x")
    stranger = server(net, fam, addr=fam.remote2)
    stranger.sendto(b"evil", peer)
    same_host = server(net, fam)
    same_host.sendto(b"evil", peer)
    guest.expect_none(lambda f: f.udp and f.udp.data == b"evil")
    s.sendto(b"good", peer)
    assert guest.expect_udp().udp.data == b"good"


def test_two_destinations_one_port(guest, net, fam):
    a, b = server(net, fam), server(net, fam, addr=fam.remote2)
    pa = ask(guest, fam, a, 5004, b"to a")
    pb = ask(guest, fam, b, 5004, b"to b")
    a.sendto(b"from a", pa)
    b.sendto(b"from b", pb)
    got = {guest.expect_udp().ip.src for _ in range(2)}
    assert got == {fam.remote, fam.remote2}


@pytest.mark.parametrize("mtu", [1280, 1500, 65520])
@pytest.mark.parametrize("size", [0, 1, 1000, 1472, 1473, 4000, 9001, 65507])
def test_sizes(daemon, net, fam, mtu, size):
    """Any size each way; what exceeds the guest's MTU comes in fragments."""
    g = daemon("--mtu", str(mtu)).connect(mtu=mtu)
    s = server(net, fam)
    data = pattern(size)
    peer = ask(g, fam, s, 5005, data)
    s.sendto(data, peer)
    f = g.expect_udp()
    assert f.udp.data == data
    assert (f.ip.src, f.udp.dport) == (fam.remote, 5005)


def test_largest_ipv6(daemon, net):
    from rig.net import V6
    g = daemon("--mtu", "1500").connect(mtu=1500)
    s = server(net, V6)
    data = pattern(65527)
    peer = ask(g, V6, s, 5006, data)
    s.sendto(data, peer)
    assert g.expect_udp().udp.data == data


def test_burst(guest, net, fam):
    """Many datagrams in one write; all arrive, and in order."""
    with one_processor(guest.pid):
        s = server(net, fam)
        s.setsockopt(1, 33, 8 << 20)        # SO_RCVBUFFORCE
        n = 150     # what a socket buffer of the usual size holds
        guest.send(*[guest.eth(pkt.ip(fam.guest, fam.remote, pkt.UDP, pkt.udp(
            fam.guest, fam.remote, 5007, s.getsockname()[1], b"%04d" % i)))
            for i in range(n)])
        got = [s.recvfrom(100) for _ in range(n)]
        assert [d for d, _ in got] == [b"%04d" % i for i in range(n)]
        for i in range(n):
            s.sendto(b"%04d" % i, got[0][1])
        back = [guest.expect_udp().udp.data for _ in range(n)]
        assert back == [b"%04d" % i for i in range(n)]


def test_stream_wakes_seldom(daemon, net, fam):
    """Datagrams that come in a stream, and that nobody answers, wait for each
    other: all arrive in order, and a question in between is answered soon."""
    d = daemon()
    g = d.connect()
    s = server(net, fam)
    s.setsockopt(1, 33, 8 << 20)
    ask(g, fam, s, 5007, b"first")
    n = 4000
    frames = [g.eth(pkt.ip(fam.guest, fam.remote, pkt.UDP, pkt.udp(
        fam.guest, fam.remote, 5007, s.getsockname()[1], b"%04d" % i)))
        for i in range(n)]

    def wakeups():
        before, due = d.wakeups(), time.monotonic()
        for f in frames:
            due += 50e-6
            while time.monotonic() < due:
                pass
            g.send(f)
        assert [s.recv(100) for _ in frames] == [b"%04d" % i
                                                 for i in range(n)]
        return d.wakeups() - before

    # A busy machine does not keep the pace
    wait_for(lambda: wakeups() < n / 4)
    watch = g.stopwatch()
    g.hello(fam)
    assert watch.took() < 0.1


@pytest.fixture
def slow_host(net):
    """The host's network is slower than its guest: what is sent has to wait."""
    net.host.sh("tc qdisc add dev eth0 root tbf rate 100mbit burst 16k limit 2m")
    yield
    net.host.sh("tc qdisc del dev eth0 root")


@pytest.mark.parametrize("sizes", [(1400,), (1400, 1300)], ids=["one", "two"])
def test_burst_faster_than_the_host(guest, net, fam, slow_host, sizes):
    """It waits in the socket, for which a guest cannot wait as others do."""
    with one_processor(guest.pid):
        s = server(net, fam)
        s.setsockopt(1, 33, 8 << 20)
        n = 160
        data = [pattern(sizes[i % len(sizes)], i) for i in range(n)]
        guest.send(*[guest.eth(pkt.ip(fam.guest, fam.remote, pkt.UDP, pkt.udp(
            fam.guest, fam.remote, 5009, s.getsockname()[1], x)))
            for x in data])
        for i, x in enumerate(data):
            assert s.recv(2000) == x, i


def test_burst_mixed_sizes(guest, net, fam):
    """Neighbours of unlike size stay datagrams of their own."""
    with one_processor(guest.pid):
        s = server(net, fam)
        s.setsockopt(1, 33, 8 << 20)
        sizes = [100, 100, 100, 50, 0, 1400, 1400, 7, 1400, 0, 0, 100]
        guest.send(*[guest.eth(pkt.ip(fam.guest, fam.remote, pkt.UDP, pkt.udp(
            fam.guest, fam.remote, 5008, s.getsockname()[1], pattern(n, i))))
            for i, n in enumerate(sizes)])
        for i, n in enumerate(sizes):
            data, peer = s.recvfrom(70000)
            assert data == pattern(n, i)
        for i, n in enumerate(sizes + [3000]):
            s.sendto(pattern(n, i), peer)
        for i, n in enumerate(sizes + [3000]):
            assert guest.expect_udp().udp.data == pattern(n, i)


def test_many_conversations(guest, net, fam):
    s = server(net, fam)
    peers = {}
    for i in range(200):
        peers[i] = ask(guest, fam, s, 6000 + i, b"%d" % i)
    for i, p in peers.items():
        s.sendto(b"r%d" % i, p)
    for _ in range(200):
        f = guest.expect_udp()
        assert f.udp.data == b"r%d" % (f.udp.dport - 6000)


# -- checks -----------------------------------------------------------------

def raw_udp(g, fam, s, **kw):
    ipkw = kw.pop("ip", {})
    g.ip(fam.guest, fam.remote, pkt.UDP,
         pkt.udp(fam.guest, fam.remote, 5010, s.getsockname()[1], b"data",
                 **kw), **ipkw)


def arrives(s):
    s.settimeout(PATIENCE)
    return s.recv(70000)


def silence(s):
    """Nothing arrives."""
    s.settimeout(0.25)
    try:
        s.recv(70000)
        return False
    except TimeoutError:
        return True


@pytest.mark.parametrize("kw", [
    dict(check=0x1111), dict(length=7), dict(length=0), dict(length=13),
    dict(length=65535)], ids=str)
def test_broken_dropped(guest, net, fam, kw):
    s = server(net, fam)
    raw_udp(guest, fam, s, **kw)
    assert silence(s)
    raw_udp(guest, fam, s)
    assert arrives(s) == b"data"


def test_no_checksum(guest, net, fam):
    """Fine in IPv4, forbidden in IPv6 (RFC 8200 8.1)."""
    s = server(net, fam)
    raw_udp(guest, fam, s, check=0)
    assert arrives(s) == b"data" if fam.v == 4 else silence(s)


def test_trailing_bytes(guest, net, fam):
    """What follows the IP packet in the frame is not part of it."""
    s = server(net, fam)
    d = pkt.udp(fam.guest, fam.remote, 5010, s.getsockname()[1], b"data")
    guest.send(guest.eth(pkt.ip(fam.guest, fam.remote, pkt.UDP, d)) +
               b"\xee" * 18)
    assert arrives(s) == b"data"


@pytest.mark.parametrize("kw", [
    dict(check=0x1111), dict(ver=5), dict(ihl=4), dict(ihl=15),
    dict(length=19), dict(length=20), dict(length=2000), dict(evil=True)],
    ids=str)
def test_broken_ipv4_dropped(guest, net, kw):
    from rig.net import V4
    s = server(net, V4)
    raw_udp(guest, V4, s, ip=kw)
    if kw != dict(evil=True):
        assert silence(s)
    raw_udp(guest, V4, s)
    assert arrives(s) == b"data"


@pytest.mark.parametrize("kw", [dict(ver=4), dict(ver=7), dict(length=0),
                                dict(length=5), dict(length=60000)], ids=str)
def test_broken_ipv6_dropped(guest, net, kw):
    from rig.net import V6
    s = server(net, V6)
    guest.send(guest.eth(pkt.ip6(V6.guest, V6.remote, pkt.UDP, pkt.udp(
        V6.guest, V6.remote, 5010, s.getsockname()[1], b"data"), **kw),
        kind=pkt.IP6))
    assert silence(s)
    raw_udp(guest, V6, s)
    assert arrives(s) == b"data"


def test_ipv4_options_accepted(guest, net):
    from rig.net import V4
    s = server(net, V4)
    raw_udp(guest, V4, s, ip=dict(opts=b"\x01\x01\x01\x00"))
    assert arrives(s) == b"data"


@pytest.mark.parametrize("head,kind", [(b"\x01\x04\0\0\0\0", 60),
                                       (b"\x01\x04\0\0\0\0", 0)],
                         ids=["destination", "hop-by-hop"])
def test_ipv6_extension_headers(guest, net, head, kind):
    """Headers with nothing in them are passed over (RFC 8200 4)."""
    from rig.net import V6
    s = server(net, V6)
    d = pkt.udp(V6.guest, V6.remote, 5010, s.getsockname()[1], b"data")
    guest.ip(V6.guest, V6.remote, kind, bytes([pkt.UDP, 0]) + head + d)
    assert arrives(s) == b"data"


# -- fragments in -----------------------------------------------------------

def parts(fam, s, data, size=600, ident=77):
    d = pkt.udp(fam.guest, fam.remote, 5011, s.getsockname()[1], data)
    return pkt.fragments(fam.guest, fam.remote, pkt.UDP, d, size, ident)


@pytest.mark.parametrize("order", ["forward", "backward", "middle", "twice"])
def test_fragment_order(guest, net, fam, order):
    s = server(net, fam)
    data = pattern(3000)
    p = parts(fam, s, data)
    if order == "backward":
        p.reverse()
    elif order == "middle":
        p = p[2:] + p[:2]
    elif order == "twice":
        p = p[:3] + p[1:]
    for x in p:
        guest.send(guest.eth(x))
    if order != "twice":
        assert arrives(s) == data
        return
    # exact duplicates may drop it (RFC 5722) or be passed over
    s.settimeout(0.25)
    try:
        assert s.recv(70000) == data
    except TimeoutError:
        pass


def test_fragments_interleaved(guest, net, fam):
    s = server(net, fam)
    a, b = pattern(3000, 1), pattern(3000, 2)
    for x, y in zip(parts(fam, s, a, ident=1), parts(fam, s, b, ident=2)):
        guest.send(guest.eth(x), guest.eth(y))
    assert {s.recv(5000), s.recv(5000)} == {a, b}


def frag(fam, payload, off, more, ident):
    if fam.v == 4:
        return pkt.ip4(fam.guest, fam.remote, pkt.UDP, payload, ident=ident,
                       mf=more, off=off)
    return pkt.ip6(fam.guest, fam.remote, pkt.FRAG6,
                   pkt.frag6(pkt.UDP, payload, off, more, ident))


@pytest.mark.parametrize("off", [8, 400, 592])
def test_overlapping_fragments_dropped(guest, net, fam, off):
    """The whole datagram is dropped (RFC 5722; RFC 1858 for IPv4)."""
    s = server(net, fam)
    d = pkt.udp(fam.guest, fam.remote, 5011, s.getsockname()[1],
                pattern(1192))
    guest.send(guest.eth(frag(fam, d[:600], 0, True, 5)),
               guest.eth(frag(fam, b"\xbb" * 16, off, True, 5)),
               guest.eth(frag(fam, d[600:], 600, False, 5)))
    assert silence(s)
    guest.send(*map(guest.eth, parts(fam, s, pattern(1192), ident=6)))
    assert arrives(s) == pattern(1192)


def test_fragments_incomplete(guest, net, fam):
    """Incomplete ones do not stand in the way of others, however many."""
    s = server(net, fam)
    d = pattern(600)
    for i in range(3000):
        guest.send(guest.eth(frag(fam, d[:64], 0, True, 10000 + i)))
    guest.send(*map(guest.eth, parts(fam, s, pattern(2000), ident=9)))
    assert arrives(s) == pattern(2000)


def test_fragment_beyond_64k(guest, net, fam):
    s = server(net, fam)
    d = pattern(1400)
    for off in range(0, 65528, 1400):
        guest.send(guest.eth(frag(fam, d, off, True, 12)))
    guest.send(guest.eth(frag(fam, d, 65528, False, 12)))
    assert silence(s)
    guest.send(*map(guest.eth, parts(fam, s, pattern(2000), ident=13)))
    assert arrives(s) == pattern(2000)


def test_fragment_odd_length(guest, net, fam):
    """Not a multiple of eight, and more to come: dropped."""
    s = server(net, fam)
    d = pkt.udp(fam.guest, fam.remote, 5011, s.getsockname()[1], pattern(100))
    guest.send(guest.eth(frag(fam, d[:61], 0, True, 14)),
               guest.eth(frag(fam, d[61:], 64, False, 14)))
    assert silence(s)


def test_fragment_lengths_disagree(guest, net, fam):
    """Two last fragments with different ends: dropped."""
    s = server(net, fam)
    d = pkt.udp(fam.guest, fam.remote, 5011, s.getsockname()[1],
                pattern(1192))
    guest.send(guest.eth(frag(fam, d[800:1200], 800, False, 15)),
               guest.eth(frag(fam, d[400:500], 400, False, 15)),
               guest.eth(frag(fam, d[:400], 0, True, 15)),
               guest.eth(frag(fam, d[400:800], 400, True, 15)))
    assert silence(s)


def test_atomic_fragment(guest, net):
    """A fragment header on a whole packet (RFC 6946)."""
    from rig.net import V6
    s = server(net, V6)
    d = pkt.udp(V6.guest, V6.remote, 5011, s.getsockname()[1], b"whole")
    guest.send(guest.eth(frag(V6, d, 0, False, 16)))
    assert arrives(s) == b"whole"


def test_tcp_in_fragments(guest, net, fam):
    """Reassembly is for every protocol."""
    from rig.flows import outbound
    c, s = outbound(guest, net, fam)
    seg = pkt.tcp(c.src, c.dst, c.sport, c.dport, c.snd_nxt, c.rcv_nxt, "PA",
                  payload=pattern(1000))
    c.snd_max = c.snd_nxt = c.snd_nxt + 1000 & 0xffffffff
    guest.send(*map(guest.eth, pkt.fragments(c.src, c.dst, pkt.TCP, seg,
                                             400)))
    c.expect_ack()
    assert s.recv(2000) == pattern(1000)


@pytest.mark.slow
def test_fragments_time_out(guest, net, fam):
    """RFC 8200 4.5: 60 s; RFC 791's are shorter."""
    s = server(net, fam)
    p = parts(fam, s, pattern(1000))
    guest.send(guest.eth(p[0]))
    time.sleep(65)
    guest.send(*map(guest.eth, p[1:]))
    assert silence(s)


# -- errors -----------------------------------------------------------------

def quoted(f, fam):
    """Addresses and ports of the packet that an ICMP error quotes."""
    q = f.icmp.body[4:]
    n = 20 if fam.v == 4 else 40
    a = (q[12:16], q[16:20]) if fam.v == 4 else (q[8:24], q[24:40])
    assert q[9 if fam.v == 4 else 6] == pkt.UDP
    return tuple(map(pkt.b2addr, a)) + struct.unpack("!HH", q[n:n + 4])


def is_error(fam, four, six):
    def pred(f):
        return f.icmp and (f.icmp.type, f.icmp.code) == \
            (four if fam.v == 4 else six)
    return pred


def told(g, pred, send):
    """The error that comes of what is sent, now and then."""
    def attempt():
        send()
        g.poll(0.1)
        return [f for f in g.q if pred(f)]
    return wait_for(attempt, what="an error")[0]


def test_port_unreachable(guest, fam):
    guest.udp(fam.guest, fam.remote, 5020, 9, b"anyone?")
    f = guest.expect(is_error(fam, (3, 3), (1, 4)))
    assert f.ip.dst == fam.guest
    assert quoted(f, fam) == (fam.guest, fam.remote, 5020, 9)


def test_port_unreachable_again(guest, net, fam):
    """An error does not end the conversation for good."""
    guest.udp(fam.guest, fam.remote, 5021, 4455, b"anyone?")
    guest.expect(is_error(fam, (3, 3), (1, 4)))
    s = server(net, fam, 4455)
    assert ask(guest, fam, s, 5021, b"now?")[0] == fam.host
    s.close()
    guest.udp(fam.guest, fam.remote, 5021, 4455, b"anyone?")
    guest.expect(is_error(fam, (3, 3), (1, 4)))


@pytest.mark.parametrize("kind", ["unreach", "prohibit"])
def test_host_unreachable(guest, fam, kind):
    dst = getattr(fam, kind)
    # the first may only teach the kernel, which also limits such errors
    f = told(guest, lambda f: f.icmp and
             f.icmp.type == (3 if fam.v == 4 else 1),
             lambda: guest.udp(fam.guest, dst, 5022, 80, b"anyone?"))
    assert quoted(f, fam) == (fam.guest, dst, 5022, 80)


def test_df_beyond_host_mtu(guest, net):
    """DF and too large for the host's own link: fragmentation needed."""
    from rig.net import V4
    s = server(net, V4)
    d = pkt.udp(V4.guest, V4.remote, 5023, s.getsockname()[1], pattern(2000))
    guest.ip(V4.guest, V4.remote, pkt.UDP, d, df=True)
    f = guest.expect(is_error(V4, (3, 4), None))
    assert f.icmp.seq == 1500           # the next-hop MTU
    assert quoted(f, V4)[:2] == (V4.guest, V4.remote)
    assert silence(s)
    guest.ip(V4.guest, V4.remote, pkt.UDP, d)
    assert arrives(s) == pattern(2000)


def test_df_beyond_path_mtu(guest, net):
    """The same with a narrow link on the way (RFC 1191)."""
    from rig.net import V4
    net.flush()
    s = net.far.udp(V4.far)
    d = pkt.udp(V4.guest, V4.far, 5024, s.getsockname()[1], pattern(1440))
    f = told(guest, is_error(V4, (3, 4), None),
             lambda: guest.ip(V4.guest, V4.far, pkt.UDP, d, df=True))
    assert f.icmp.seq == 1400
    net.flush()


def test_beyond_path_mtu_ipv6(guest, net):
    """IPv6: packet too big, or the host's kernel fragments."""
    from rig.net import V6
    net.flush()
    s = net.far.udp(V6.far)
    d = pkt.udp(V6.guest, V6.far, 5024, s.getsockname()[1], pattern(1440))

    def attempt():
        guest.ip(V6.guest, V6.far, pkt.UDP, d)
        guest.poll(0.1)
        return too_big(guest) or select.select([s], [], [], 0)[0]
    wait_for(attempt)
    for f in too_big(guest):
        assert struct.unpack("!I", f.icmp.body[:4])[0] == 1400
        break
    else:
        assert arrives(s) == pattern(1440)
    net.flush()


# -- towards the guest ------------------------------------------------------

@pytest.fixture
def served(daemon, fam):
    g = daemon("-u", "7001,7005:5").connect()
    g.hello(fam)
    return g


def test_forwarded(served, net, fam):
    g = served
    s = server(net, fam)
    for i in range(3):
        s.sendto(b"q%d" % i, (fam.host, 7001))
        f = g.expect_udp()
        assert (f.ip.src, f.ip.dst) == (fam.remote, fam.guest)
        assert (f.udp.sport, f.udp.dport) == (s.getsockname()[1], 7001)
        assert f.udp.data == b"q%d" % i
        g.udp(fam.guest, fam.remote, 7001, f.udp.sport, b"a%d" % i)
        data, peer = s.recvfrom(100)
        assert data == b"a%d" % i and peer[:2] == (fam.host, 7001)


def test_forwarded_translated(served, net, fam):
    g = served
    s = server(net, fam)
    s.sendto(b"q", (fam.host, 7005))
    f = g.expect_udp()
    assert f.udp.dport == 5
    g.udp(fam.guest, fam.remote, 5, f.udp.sport, b"a")
    assert s.recvfrom(100)[1][1] == 7005


def test_forwarded_two_clients(served, net, fam):
    g = served
    a, b = server(net, fam), server(net, fam, addr=fam.remote2)
    for s in (a, b):
        s.sendto(b"hello", (fam.host, 7001))
    for _ in range(2):
        f = g.expect_udp()
        g.udp(fam.guest, f.ip.src, 7001, f.udp.sport, f.ip.src.encode())
    assert a.recv(100) == fam.remote.encode()
    assert b.recv(100) == fam.remote2.encode()


def test_forwarded_reply_address(served, net, fam):
    """A reply leaves from the address the datagram came to."""
    g = served
    s = server(net, fam)
    s.sendto(b"q", (fam.host2, 7001))
    f = g.expect_udp()
    g.udp(fam.guest, fam.remote, 7001, f.udp.sport, b"a")
    assert s.recvfrom(100)[1][:2] == (fam.host2, 7001)


def test_forwarded_from_loopback(served, net, fam):
    g = served
    s = net.host.udp(fam.lo)
    s.sendto(b"local", (fam.lo, 7001))
    f = g.expect_udp()
    assert f.ip.src == fam.gw
    g.udp(f.ip.dst, fam.gw, 7001, f.udp.sport, b"back")
    assert s.recvfrom(100)[1][:2] == (fam.lo, 7001)


def test_forwarded_sizes(served, net, fam):
    g = served
    s = server(net, fam)
    for n in (0, 1, 1472, 9000, 65000):
        s.sendto(pattern(n), (fam.host, 7001))
        f = g.expect_udp()
        assert f.udp.data == pattern(n)
        g.udp(fam.guest, fam.remote, 7001, f.udp.sport, pattern(n))
        assert s.recv(70000) == pattern(n)


def test_guest_source_port_beside_forward(served, net, fam):
    """The guest's port is kept beside a forwarded one of the same number."""
    g = served
    s = server(net, fam)
    assert ask(g, fam, s, 7001, b"out")[1] == 7001
    s.sendto(b"reply", (fam.host, 7001))
    assert g.expect_udp().udp.data == b"reply"


def test_forwarded_refused(served, net, fam):
    """The guest's ICMP error reaches nobody wrongly, and harms nothing."""
    g = served
    s = server(net, fam)
    s.sendto(b"q", (fam.host, 7001))
    f = g.expect_udp()
    body = bytes(4) + f.raw[14:14 + fam.hdr + 8]
    g.icmp(fam.guest, fam.remote, 3 if fam.v == 4 else 1,
           3 if fam.v == 4 else 4, body)
    s.sendto(b"again", (fam.host, 7001))
    assert g.expect_udp().udp.data == b"again"


def test_also_by_tcp_spec(daemon, net, fam):
    """UDP ports of forwarded TCP ports' numbers, without translation."""
    g = daemon("-t", "7001,7005:5").connect()
    g.hello(fam)
    s = server(net, fam)
    s.sendto(b"q", (fam.host, 7001))
    assert g.expect_udp().udp.dport == 7001


def test_not_by_tcp_spec(daemon, net, fam):
    g = daemon("-t", "7001", "-u", "none").connect()
    g.hello(fam)
    s = server(net, fam)
    s.sendto(b"q", (fam.host, 7001))
    g.expect_none(lambda f: f.udp)


# -- timeouts ---------------------------------------------------------------

@pytest.mark.slow
def test_unreplied_times_out(daemon, net, fam):
    d = daemon()
    g = d.connect()
    g.hello(fam)
    base = d.fds()
    s = server(net, fam)
    ask(g, fam, s, 5030, b"x")
    time.sleep(20)
    assert d.fds() == base + 1
    wait_for(lambda: d.fds() == base, 45)


@pytest.mark.slow
def test_stream_stays_longer(daemon, net, fam):
    d = daemon()
    g = d.connect()
    s = server(net, fam)
    for _ in range(3):
        peer = ask(g, fam, s, 5031, b"x")
        s.sendto(b"y", peer)
        g.expect_udp()
    time.sleep(100)
    s.sendto(b"late", peer)
    assert g.expect_udp().udp.data == b"late"
