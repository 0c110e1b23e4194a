# SPDX-License-Identifier: GPL-2.0-or-later
"""Which host address a guest's packet reaches: mappings, DNS, switches."""
import pytest

from rig import pkt
from rig.flows import read_all
from rig.net import V4, V6
from rig.tcp import Conn
from rig.wait import PATIENCE


def both(g, ns, fam, to, at, port=7100, src=None, tcp_at=None):
    """The guest talks to `to`; a server in ns at address `at` must get it,
    by TCP and by UDP, and its replies must come from `to`."""
    src = src or fam.guest
    u = ns.udp(at, port)
    g.udp(src, to, 5050, port, b"question")
    data, peer = u.recvfrom(100)
    assert data == b"question"
    u.sendto(b"answer", peer)
    f = g.expect_udp()
    assert (f.ip.src, f.udp.sport, f.udp.data) == (to, port, b"answer")
    u.close()
    ls = ns.listen(at, port)
    c = Conn(g, to, port, src=src)
    c.open()
    s, _ = ls.accept()
    ls.close()
    c.send(b"question")
    c.expect_ack()
    assert s.recv(100) == b"question"
    s.sendall(b"answer")
    assert c.read(6) == b"answer"
    c.fin()
    assert read_all(s) == b""
    s.close()


def test_gateway_is_loopback(guest, net, fam):
    src = fam.guest if fam.v == 4 else guest.lladdr
    both(guest, net.host, fam, fam.gw, fam.lo, src=src)


def test_map_host_loopback(daemon, net, fam):
    g = daemon("--map-host-loopback", fam.mapped).connect()
    both(g, net.host, fam, fam.mapped, fam.lo)


def test_map_host_loopback_frees_gateway(daemon, net):
    g = daemon("--map-host-loopback", V4.mapped).connect()
    both(g, net.remote, V4, V4.gw, V4.gw)


@pytest.mark.parametrize("opts", [["--no-map-gw"],
                                  ["--map-host-loopback", "none"]],
                         ids=["no-map-gw", "none"])
def test_gateway_itself(daemon, net, fam, opts):
    g = daemon(*opts).connect()
    if fam.v == 4:
        both(g, net.remote, V4, V4.gw, V4.gw)
    else:
        u = net.remote.socket(10, 2)
        u.settimeout(PATIENCE)
        u.bind(("fe80::1", 7100, 0, 2))
        g.udp(g.lladdr, fam.gw, 5050, 7100, b"question")
        data, peer = u.recvfrom(100)
        assert data == b"question"
        u.sendto(b"answer", peer)
        f = g.expect_udp()
        assert f.ip.src == fam.gw and f.udp.data == b"answer"


def test_map_guest_addr(daemon, net, fam):
    """--map-guest-addr: the address the guest shares with the host."""
    g = daemon("--map-guest-addr", fam.mapped).connect()
    both(g, net.host, fam, fam.mapped, fam.host)


def test_map_guest_addr_none(daemon, net, fam):
    g = daemon("--map-guest-addr", "none").connect()
    both(g, net.remote, fam, fam.neigh if fam.v == 6 else fam.remote,
         fam.neigh if fam.v == 6 else fam.remote)


# -- DNS --------------------------------------------------------------------

RESOLVER = {4: "198.51.100.153", 6: "2001:db8:2::153"}
FORWARD = {4: "192.0.2.53", 6: "2001:db8:1::53"}


@pytest.mark.parametrize("port", [53, 853])
def test_dns_forward(daemon, net, fam, port):
    g = daemon("--dns-forward", FORWARD[fam.v],
               "--dns-host", RESOLVER[fam.v]).connect()
    both(g, net.remote, fam, FORWARD[fam.v], RESOLVER[fam.v], port)


def test_dns_forward_default_host(daemon, net, fam):
    """Without --dns-host: the first of the family in resolv.conf."""
    g = daemon("--dns-forward", FORWARD[fam.v]).connect()
    both(g, net.remote, fam, FORWARD[fam.v],
         "198.51.100.53" if fam.v == 4 else "2001:db8:2::53", 53)


def test_dns_forward_other_ports(daemon, net, fam):
    """Other ports of that address are just that address."""
    g = daemon("--dns-forward", FORWARD[fam.v],
               "--dns-host", RESOLVER[fam.v]).connect()
    u = net.remote.udp(RESOLVER[fam.v], 54)
    u.settimeout(0.4)
    g.udp(fam.guest, FORWARD[fam.v], 5050, 54, b"q")
    with pytest.raises(TimeoutError):
        u.recv(10)


def test_gateway_as_resolver(daemon, net):
    """DNS to the mapped address reaches the host's resolver of that
    address, all else the loopback."""
    try:
        net.set_resolv("nameserver 192.0.2.1\n")
        g = daemon().connect()
        both(g, net.remote, V4, V4.gw, V4.gw, 53)
        both(g, net.host, V4, V4.gw, V4.lo)
    finally:
        net.set_resolv(net.RESOLV)


def test_own_address_as_resolver(daemon, net):
    """A host that is its own name server, at the address that the guest has
    too: the guest is told another, and reaches it there."""
    try:
        net.set_resolv("nameserver %s\n" % V4.guest)
        g = daemon().connect()
        both(g, net.host, V4, V4.gw, V4.guest, 53)
        both(g, net.host, V4, V4.gw, V4.lo)
    finally:
        net.set_resolv(net.RESOLV)


# -- switches ---------------------------------------------------------------

def test_no_tcp(daemon, net, fam):
    g = daemon("--no-tcp").connect()
    ls = net.remote.listen(fam.remote)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    c.none(0.5)


def test_no_udp(daemon, net, fam):
    g = daemon("--no-udp").connect()
    u = net.remote.udp(fam.remote, 7100)
    u.settimeout(0.4)
    g.udp(fam.guest, fam.remote, 5050, 7100, b"q")
    with pytest.raises(TimeoutError):
        u.recv(10)
    g.expect_none(lambda f: f.icmp and f.icmp.type in (1, 3), 0.1)


@pytest.mark.parametrize("only", [4, 6])
def test_one_family_only(daemon, net, only):
    g = daemon("-%d" % only).connect()
    for fam in (V4, V6):
        u = net.remote.udp(fam.remote, 7100)
        g.udp(fam.guest, fam.remote, 5050, 7100, b"q")
        if fam.v == only:
            assert u.recv(10) == b"q"
        else:
            u.settimeout(0.4)
            with pytest.raises(TimeoutError):
                u.recv(10)
        u.close()


def test_outbound_address(daemon, net, fam):
    """-o: the source address of outbound sockets."""
    g = daemon("--outbound", fam.host2).connect()
    u = net.remote.udp(fam.remote, 7100)
    g.udp(fam.guest, fam.remote, 5050, 7100, b"q")
    assert u.recvfrom(10)[1][0] == fam.host2
    ls = net.remote.listen(fam.remote)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.open()
    assert ls.accept()[1][0] == fam.host2


def test_outbound_interface(daemon, net, fam):
    g = daemon("--outbound-if%d" % fam.v, "eth0").connect()
    u = net.remote.udp(fam.remote, 7100)
    g.udp(fam.guest, fam.remote, 5050, 7100, b"q")
    assert u.recv(10) == b"q"


def test_mac_option(daemon, fam):
    g = daemon("--mac-addr", "02:00:5e:10:20:30").connect()
    g.dmac = "02:00:5e:10:20:30"
    g.hello(fam)


def test_odd_frames(guest, fam):
    """Other EtherTypes, runts, IP of no known protocol: no answer."""
    guest.send(pkt.eth(guest.dmac, guest.mac, 0x88cc, b"lldp"),
               pkt.eth(guest.dmac, guest.mac, 0x8100, b"\0\1\x08\0" + bytes(60)),
               b"\0" * 14, b"\0" * 13, b"\0", guest.mac.encode())
    for proto in (2, 4, 41, 47, 50, 132, 255):
        guest.ip(fam.guest, fam.remote, proto, b"\xa5" * 64)
    guest.expect_none(lambda f: not (f.icmp and f.icmp.type == 134))
    guest.hello(fam)
