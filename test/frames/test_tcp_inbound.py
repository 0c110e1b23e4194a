# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP towards the guest: -t, the SYN, addresses and ports."""
import socket

import pytest

from rig import pkt
from rig.flows import (accept, inbound, is_reset, pattern, read_all, wait_for)
from rig.wait import PATIENCE, Stopwatch


@pytest.fixture
def served(daemon, fam):
    d = daemon("-t", "7001")
    g = d.connect()
    g.hello(fam)
    return d, g


def test_echo(served, net, fam):
    _, g = served
    c, s = inbound(g, net, fam, 7001)
    assert (c.src, c.sport) == (fam.guest, 7001)
    assert (c.dst, c.dport) == (fam.remote, s.getsockname()[1])
    s.sendall(b"question")
    assert c.read(8) == b"question"
    c.send(b"answer")
    c.expect_ack()
    assert s.recv(10) == b"answer"
    s.close()
    c.expect_fin()
    c.fin()
    c.expect_ack()


def test_syn_fields(served, net, fam):
    _, g = served
    net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    t = c.all[0].tcp
    assert t.letters == "S" and t.ack == 0 and t.win > 0 and not t.data
    assert t.mss and 536 <= t.mss <= 65535 - fam.hdr
    assert t.ws is None or t.ws <= 14


def test_guest_speaks_first(served, net, fam):
    _, g = served
    c, s = inbound(g, net, fam, 7001)
    c.send(b"220 hello")
    c.expect_ack()
    assert s.recv(20) == b"220 hello"


def test_data_before_handshake(served, net, fam):
    """What the client sent before the guest answered arrives after."""
    _, g = served
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    s.sendall(b"GET /")
    c = accept(g)
    c.none(0.2, lambda t: t.data)
    c.answer()
    assert c.read(5) == b"GET /"


def test_guest_refuses(served, net, fam):
    d, g = served
    base = d.fds()
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    c.seg("RA", seq=0)
    assert is_reset(s)
    wait_for(lambda: d.fds() <= base, what="socket closed")


@pytest.mark.parametrize("code", [
    (3, 4),     # port unreachable: iptables's, ip6tables's REJECT
    (10, 1),    # administratively prohibited: firewalld's
], ids=("port", "prohibited"))
def test_guest_rejects(served, net, fam, code):
    """A firewall in the guest that rejects is heard at once (RFC 5461 4)."""
    d, g = served
    base = d.fds()
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    t = c.all[0].tcp

    def quote(seq):
        return bytes(4) + pkt.ip(fam.remote, fam.guest, pkt.TCP, pkt.tcp(
            fam.remote, fam.guest, t.sport, t.dport, seq, 0, "S"))

    kind = 3 if fam.v == 4 else 1
    code = code[fam.v == 6]
    g.icmp(fam.guest, fam.remote, kind, code, quote(t.seq + 1))
    g.icmp(fam.guest, fam.remote, kind, code, quote(t.seq)[:fam.hdr // 2])
    g.echo(fam.guest, fam.remote, 1, 1)
    g.expect(lambda f: f.icmp and f.icmp.type in (0, 129), what="echo reply")
    s.setblocking(False)
    with pytest.raises(BlockingIOError):
        s.recv(1)
    watch = Stopwatch(d.pid)
    g.icmp(fam.guest, fam.remote, kind, code, quote(t.seq))
    assert is_reset(s) and watch.took() < 1
    wait_for(lambda: d.fds() <= base + 1, what="socket closed")


def test_wrong_rst_in_syn_sent(served, net, fam):
    """A RST without the right ACK is dropped (3.10.7.3)."""
    _, g = served
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    c.seg("R", seq=0)
    c.strict = False
    c.seg("RA", seq=0, ack=c.rcv_nxt + 77)
    c.clear(0.1)
    c.answer()
    s.sendall(b"alive")
    assert c.read(5) == b"alive"


def test_wrong_ack_in_syn_sent(served, net, fam):
    """An ACK of something else draws <SEQ=SEG.ACK><CTL=RST> (3.10.7.3)."""
    _, g = served
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    for flags in ("A", "SA"):
        c.seg(flags, seq=c.isn, ack=c.rcv_nxt + 1000)
        t = c.expect(lambda t: t.R)
        assert t.seq == c.rcv_nxt + 1000 & 0xffffffff
    c.answer()
    s.sendall(b"alive")
    assert c.read(5) == b"alive"


def test_syn_ack_again(served, net, fam):
    """A retransmitted SYN-ACK is acknowledged again."""
    _, g = served
    c, s = inbound(g, net, fam, 7001)
    c.clear(0.05)
    c.seg("SA", seq=c.isn)
    t = c.expect(lambda t: True)
    assert t.letters == "A" and t.ack == c.isn + 1 & 0xffffffff
    s.sendall(b"ok")
    assert c.read(2) == b"ok"


@pytest.mark.parametrize("kw", [{}, {"mss": 1000}, {"ws": 7},
                                {"mss": 1000, "ws": 7}],
                         ids=lambda k: "+".join(k) or "none")
def test_guest_options(served, net, fam, kw):
    """Scaling counts only where both sides offered it."""
    _, g = served
    c, s = inbound(g, net, fam, 7001, **kw)
    s.sendall(pattern(30000))
    assert c.read(30000) == pattern(30000)
    for off in range(0, 30000, 500):
        c.send(pattern(30000)[off:off + 500])
    c.insist(pattern(30000))
    got = b""
    while len(got) < 30000:
        got += s.recv(1 << 16)
    assert got == pattern(30000)


def test_client_gone_before_handshake(served, net, fam):
    """The client gives up: the guest hears of it, and nothing is left."""
    d, g = served
    base = d.fds()
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    t = c.recv(0.5)
    if not t or not t.R:
        c.seg("SA", seq=c.isn)
        c.snd_nxt = c.isn + 1
        c.expect(lambda t: t.R)
    wait_for(lambda: d.fds() <= base, what="socket closed")


def test_client_closed_before_handshake(served, net, fam):
    """Data and FIN from the client, all before the guest's SYN-ACK."""
    _, g = served
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    s.sendall(b"fire and forget")
    s.shutdown(socket.SHUT_WR)
    c = accept(g)
    c.answer()
    assert c.read(15) == b"fire and forget"
    if c.fin_at is None:
        c.expect_fin()
    assert c.fin_at == c.irs + 16 & 0xffffffff


def test_from_loopback(served, net, fam):
    """From the host's loopback: the source becomes the gateway's address."""
    _, g = served
    s = net.host.connect(fam.lo, 7001)
    c = accept(g)
    assert c.dst == fam.gw
    assert c.src == (fam.guest if fam.v == 4 else g.lladdr)
    c.answer()
    s.sendall(b"local")
    assert c.read(5) == b"local"


def test_from_shared_address(served, net, fam):
    """From the address that the guest holds too: likewise."""
    _, g = served
    s = net.host.connect(fam.host, 7001, src=fam.host)
    c = accept(g)
    assert c.dst == fam.gw
    c.answer()
    s.sendall(b"local")
    assert c.read(5) == b"local"


def test_from_loopback_mapped(daemon, net, fam):
    g = daemon("-t", "7001", "--map-host-loopback", fam.mapped).connect()
    g.hello(fam)
    s = net.host.connect(fam.lo, 7001)
    c = accept(g)
    assert c.dst == fam.mapped
    c.answer()
    s.sendall(b"local")
    assert c.read(5) == b"local"


@pytest.mark.parametrize("opts", [["--no-map-gw"],
                                  ["--map-host-loopback", "none"]],
                         ids=["no-map-gw", "none"])
@pytest.mark.parametrize("src", ["lo", "host"])
def test_from_host_unmapped(daemon, net, fam, opts, src):
    """No name of the host that the guest could use: the gateway stands in."""
    g = daemon("-t", "7001", *opts).connect()
    g.hello(fam)
    s = net.host.connect(getattr(fam, src), 7001)
    c = accept(g)
    assert c.dst == fam.gw
    c.answer()
    s.sendall(b"local")
    assert c.read(5) == b"local"


def test_address_last_seen(served, net, fam):
    """Inbound flows go to the address last seen of the guest."""
    _, g = served
    g.hello(fam, fam.other)
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    assert c.src == fam.other
    c.answer()
    s.sendall(b"hi")
    assert c.read(2) == b"hi"


def test_address_before_any_seen(daemon, net, fam):
    """Before the guest said a word: configured address, broadcast MAC."""
    g = daemon("-t", "7001").connect()
    g.sock.send(b"")
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    assert c.src == fam.guest
    assert c.all[0].dst == pkt.BCAST
    c.answer()
    s.sendall(b"hi")
    assert c.read(2) == b"hi"
    assert c.all[-1].dst == g.mac


@pytest.mark.parametrize("junk", ["multicast", "loopback", "unspecified",
                                  "broadcast"])
def test_not_learned_from(daemon, net, fam, junk):
    """Sources that no guest has are not learned."""
    g = daemon("-t", "7001").connect()
    g.hello(fam)
    src = {"multicast": ("224.0.0.9", "ff02::9"),
           "loopback": ("127.0.0.1", "::1"),
           "unspecified": ("0.0.0.0", "::"),
           "broadcast": ("255.255.255.255", "ff02::1")}[junk][fam.v == 6]
    g.udp(src, fam.remote, 1, 2, b"x")
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    assert c.src == fam.guest
    assert s


@pytest.mark.parametrize("spec,host,to", [
    ("7002:80", 7002, 80), ("7010-7012:90-92", 7011, 91),
    ("7020,7030:31", 7030, 31), ("7020-7022,~7021", 7022, 7022)])
def test_port_translation(daemon, net, fam, spec, host, to):
    g = daemon("-t", spec).connect()
    g.hello(fam)
    c, s = inbound(g, net, fam, host)
    assert c.sport == to
    s.sendall(b"hi")
    assert c.read(2) == b"hi"


def test_many_clients_same_port(served, net, fam):
    _, g = served
    pairs = [inbound(g, net, fam, 7001) for _ in range(20)]
    for i, (c, s) in enumerate(pairs):
        s.sendall(b"%02d" % i)
        assert c.read(2) == b"%02d" % i
    for c, s in pairs:
        c.fin()
        assert read_all(s) == b""


def test_no_guest_no_answer(daemon, net, fam):
    """No client on the stream yet: connections are closed, not kept."""
    d = daemon("-t", "7001")
    d.socket().close()
    s = None
    try:
        s = net.remote.connect(fam.host, 7001, src=fam.remote)
    except (ConnectionRefusedError, ConnectionResetError):
        return
    s.settimeout(PATIENCE)
    try:
        assert s.recv(1) == b""
    except ConnectionResetError:
        pass
