# SPDX-License-Identifier: GPL-2.0-or-later
"""Forwarded ports, both ways: by number, automatic, by the bypass and by the
tap, and what the server inside, or the one on the host, sees of it."""
import os
import socket
import time

import pytest

from rig import pasta as rp
from rig.flows import is_reset, pattern, read_all, reset, wait_for
from rig.net import V4, V6
from rig.pasta import learn
from rig.wait import PATIENCE, Stopwatch

NONE = ("-t", "none", "-u", "none", "-T", "none", "-U", "none")


def address(s):
    return s.getpeername()[0]


def exchange(c, s, n=3000):
    """Both ways, then half-closed: the end arrives, the rest still flows."""
    data = pattern(n)
    c.sendall(data)
    assert read_all(s, n) == data
    s.sendall(data[::-1])
    c.shutdown(socket.SHUT_WR)
    assert read_all(s) == b""
    s.sendall(b"late")
    s.close()
    assert read_all(c) == data[::-1] + b"late"
    c.close()


def leads(client, addr, at, server, to):
    """Who connects to one port there is served at the other one."""
    ls = server.listen(addr, to)
    c = client.connect(addr, at)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    ls.close()


def refused(ns, addr, port):
    try:
        ns.connect(addr, port).close()
        return False
    except ConnectionRefusedError:
        return True


# -- by number ------------------------------------------------------------------

def test_tcp_from_the_remote(net, pasta, fam):
    """By the tap: the guest sees who it is."""
    p = pasta("--config-net", *NONE, "-t", "7401:7402")
    ls = p.ns.listen(fam.any, 7402)
    before = p.ns.traffic()
    c = net.remote.connect(fam.host, 7401, src=fam.remote)
    s, _ = ls.accept()
    assert address(s) == fam.remote
    exchange(c, s)
    assert p.ns.traffic() - before > 6000


def test_tcp_from_host_loopback(net, pasta, fam):
    """By the bypass: from the guest's own public address, to it."""
    p = pasta("--config-net", *NONE, "-t", "7403")
    ls = p.ns.listen(fam.any, 7403)
    before = p.ns.traffic()
    c = net.host.connect(fam.lo, 7403)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    assert address(s) == s.getsockname()[0] == fam.guest
    exchange(c, s, 300000)
    assert p.ns.traffic() - before < 6000


def test_tcp_from_host_loopback_to_loopback(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-t", "7404", "--host-lo-to-ns-lo")
    ls = p.ns.listen(fam.lo, 7404)
    c = net.host.connect(fam.lo, 7404)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    assert address(s) == fam.lo
    exchange(c, s)


def test_tcp_no_splice(net, pasta, fam):
    """By the tap, from the address that stands for the host's loopback."""
    p = pasta("--config-net", *NONE, "-t", "7405", "--no-splice")
    ls = p.ns.listen(fam.any, 7405)
    before = p.ns.traffic()
    c = net.host.connect(fam.lo, 7405)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    assert address(s).split("%")[0] == fam.gw
    exchange(c, s)
    assert p.ns.traffic() - before > 6000


def test_no_splice_leaves_the_way_out(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-T", "7406", "--no-splice")
    ls = net.host.listen(fam.lo, 7406)
    before = p.ns.traffic()
    c = p.ns.connect(fam.lo, 7406)
    s, _ = ls.accept()
    assert address(s) == fam.lo
    exchange(c, s)
    ls.close()
    assert p.ns.traffic() - before < 3000


def test_splice_only(net, pasta, fam):
    """No device at all; the bypass leads both ways."""
    p = pasta(*NONE, "-t", "7407", "-T", "7408", "-u", "7407", "--splice-only",
              "--host-lo-to-ns-lo")
    assert [i["ifname"] for i in p.ns.ip("link")] == ["lo"]
    leads(net.host, fam.lo, 7407, p.ns, 7407)
    leads(p.ns, fam.lo, 7408, net.host, 7408)
    u = p.ns.udp(fam.lo, 7407)
    c = net.host.udp(fam.lo)
    c.sendto(b"x", (fam.lo, 7407))
    assert u.recv(10) == b"x"


def test_tcp_to_the_host(net, pasta, fam):
    """-T with another number: the host's loopback from the namespace's."""
    p = pasta("--config-net", *NONE, "-T", "7409:7410")
    ls = net.host.listen(fam.lo, 7410)
    before = p.ns.traffic()
    c = p.ns.connect(fam.lo, 7409)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    assert address(s) == fam.lo
    exchange(c, s, 300000)
    ls.close()
    assert p.ns.traffic() - before < 6000


def test_privileged_port_in_the_namespace(net, pasta, fam):
    """-T 80: the namespace's root may, although we are ordinary."""
    ls = net.host.listen(fam.lo, 80)
    p = pasta("--config-net", *NONE, "-T", "80")
    c = p.ns.connect(fam.lo, 80)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    ls.close()


def test_privileged_port_on_the_host(run, net):
    r = run("-q", *NONE, "-t", "81", "true")
    assert r.returncode == 1 and "81" in r.stderr and r.left == []


@pytest.mark.parametrize("way", ["in", "out"])
def test_nobody_listens(net, pasta, fam, way):
    """The other side's refusal becomes an end, not a silence."""
    p = pasta("--config-net", *NONE, "-t", "7411", "-T", "7412")
    ns, port = (net.host, 7411) if way == "in" else (p.ns, 7412)
    try:
        c = ns.connect(fam.lo, port)
        assert c.recv(1) == b""
        c.close()
    except (ConnectionResetError, ConnectionRefusedError):
        pass


@pytest.mark.parametrize("opts", [
    (), ("--host-lo-to-ns-lo",), ("--splice-only",)])
def test_by_number_never_loops(net, pasta, opts):
    """A port that is listened on both ways, and nobody else listens: the
    client is told so, and nothing goes in a circle."""
    p = pasta(*(opts if "--splice-only" in opts else ("--config-net", *opts)),
              "-t", "7491-7492:7492-7493", "-T", "7492-7493:7491-7492",
              "-u", "7491-7492:7492-7493", "-U", "7492-7493:7491-7492")
    for ns, port in (net.host, 7491), (p.ns, 7492):
        for f in V4, V6:
            assert reset_at_once(ns, port, f.lo)
            c = ns.udp(f.lo)
            c.sendto(b"x", (f.lo, port))
            c.close()
    time.sleep(0.3)
    # a hundred wait for connections to come
    assert descriptors(p) < 300


def test_by_number_there_and_back(net, pasta, fam):
    """From here to there and back to another port is no circle."""
    p = pasta("--config-net", *NONE, "-t", "7494:7495", "-T", "7495:7496",
              "-u", "7494:7495", "-U", "7495:7496", "--host-lo-to-ns-lo")
    leads(net.host, fam.lo, 7494, net.host, 7496)
    s = net.host.udp(fam.lo, 7496)
    udp_exchange(net.host.udp(fam.lo), s, (fam.lo, 7494), (10,))
    assert p.stderr == ""


def descriptors(p):
    return sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in p.processes())


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize("who", ["client", "server"])
def test_reset_by_the_bypass(net, pasta, fam, way, who):
    p = pasta("--config-net", *NONE, "-t", "7413", "-T", "7414")
    a, b, port = (net.host, p.ns, 7413) if way == "in" else \
        (p.ns, net.host, 7414)
    ls = b.listen(fam.any, port)
    c = a.connect(fam.lo, port)
    s, _ = ls.accept()
    ls.close()
    one, other = (c, s) if who == "client" else (s, c)
    one.sendall(b"x")
    assert other.recv(1) == b"x"
    reset(one)
    assert is_reset(other)
    other.close()


@pytest.mark.parametrize("spec,port,ok", [
    ("127.0.0.1/7420", 7420, "v4"), ("[::1]/7421", 7421, "v6"),
    ("7422-7424,~7423", 7424, "both"), ("7422-7424,~7423", 7423, "none"),
    ("7425-7426:7427-7428", 7426, "both"), ("%lo/7429", 7429, "both")])
def test_specification(net, pasta, spec, port, ok):
    p = pasta("--config-net", *NONE, "-t", spec)
    inner = 7428 if port == 7426 else port
    ls = p.ns.listen("::", inner)
    for f in V4, V6:
        works = ok == "both" or ok == repr(f)
        if not works:
            assert refused(net.host, f.lo, port)
            continue
        c = net.host.connect(f.lo, port)
        s, _ = ls.accept()
        s.settimeout(PATIENCE)
        exchange(c, s)
    # nor from outside, where bound to loopback
    if "/" in spec:
        assert refused(net.remote, V4.host, port)


def test_all_ports(host, pasta):
    """All that is not ephemeral; what is taken is let be."""
    h = host("sysctl -qw net.ipv4.ip_local_port_range='9000 65535'")
    taken = h.listen("0.0.0.0", 7430)
    p = pasta("--config-net", *NONE, "-t", "all", on=h)
    ls = p.ns.listen("0.0.0.0", 7431)
    c = h.connect("127.0.0.1", 7431)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    assert refused(h, "127.0.0.1", 9001)
    c = h.connect("127.0.0.1", 7430)
    taken.accept()[0].close()
    c.close()
    taken.close()


def udp_exchange(a, b, to, sizes=(1, 1472, 9000, 65507)):
    """Datagrams from a to b at `to`, each answered; who b saw."""
    seen = set()
    for n in sizes:
        data = pattern(n, n)
        a.sendto(data, to)
        got, peer = b.recvfrom(70000)
        assert got == data
        seen.add(peer)
        b.sendto(data[::-1], peer)
        got, back = a.recvfrom(70000)
        assert got == data[::-1]
        assert back[:2] == to[:2]
    assert len(seen) == 1
    return seen.pop()


def test_udp_from_the_remote(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-u", "7440:7441")
    s = p.ns.udp(fam.guest, 7441)
    c = net.remote.udp(fam.remote)
    learn(p.ns, fam)
    before = p.ns.traffic()
    peer = udp_exchange(c, s, (fam.host, 7440))
    assert peer[:2] == c.getsockname()[:2]
    assert p.ns.traffic() - before > 70000


def test_udp_from_host_loopback(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-u", "7442")
    s = p.ns.udp(fam.guest, 7442)
    c = net.host.udp(fam.lo)
    before = p.ns.traffic()
    assert udp_exchange(c, s, (fam.lo, 7442))[0] == fam.guest
    assert p.ns.traffic() - before < 6000


def test_udp_from_host_loopback_to_loopback(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-u", "7443", "--host-lo-to-ns-lo")
    s = p.ns.udp(fam.lo, 7443)
    c = net.host.udp(fam.lo)
    assert udp_exchange(c, s, (fam.lo, 7443))[0] == fam.lo


def test_udp_to_the_host(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-U", "7444:7445")
    s = net.host.udp(fam.lo, 7445)
    c = p.ns.udp(fam.lo)
    before = p.ns.traffic()
    assert udp_exchange(c, s, (fam.lo, 7444))[0] == fam.lo
    assert p.ns.traffic() - before < 6000


def test_udp_no_splice(net, pasta, fam):
    p = pasta("--config-net", *NONE, "-u", "7446", "--no-splice")
    s = p.ns.udp(fam.any, 7446)
    c = net.host.udp(fam.lo)
    peer = udp_exchange(c, s, (fam.lo, 7446), (1, 1472, 9000))
    assert peer[0].split("%")[0] == fam.gw


def test_udp_many_clients_by_the_bypass(net, pasta, fam):
    """Each has a conversation of its own."""
    p = pasta("--config-net", *NONE, "-u", "7447", "-U", "7448")
    for a, b, port in (net.host, p.ns, 7447), (p.ns, net.host, 7448):
        s = b.udp(fam.any, port)
        clients = [a.udp(fam.lo) for _ in range(50)]
        for i, c in enumerate(clients):
            c.sendto(b"%d" % i, (fam.lo, port))
        for _ in clients:
            data, peer = s.recvfrom(100)
            s.sendto(b"re:" + data, peer)
        for i, c in enumerate(clients):
            assert c.recv(100) == b"re:%d" % i
            c.close()
        s.close()


def test_udp_follows_tcp(net, pasta, fam):
    """-t forwards UDP of the same number, unless -u says otherwise."""
    p = pasta("--config-net", "-t", "7449")
    s = p.ns.udp(fam.any, 7449)
    until(p, lambda: rp.listening(net.host, "udp", 7449))
    c = net.host.udp(fam.lo)
    udp_exchange(c, s, (fam.lo, 7449), (10,))


# -- automatic ------------------------------------------------------------------

SOON = 1.0      # what is promised
SLACK = 0.5     # where nobody had to wait for a processor


def until(p, what, limit=SOON + SLACK):
    """pasta p has done it, in time."""
    Stopwatch(*p.processes()).within(what, limit)


def sides(net, p, way):
    """Where a server is, and where its port is to appear."""
    return (p.ns, net.host) if way == "in" else (net.host, p.ns)


@pytest.mark.parametrize("way", ["in", "out"])
def test_auto_tcp(net, pasta, fam, way):
    """Appears, works, goes; three times over."""
    p = pasta("--config-net")
    server, client = sides(net, p, way)
    for _ in range(3):
        assert not rp.listening(client, "tcp", 7450)
        ls = server.listen(fam.any, 7450)
        until(p, lambda: rp.listening(client, "tcp", 7450))
        c = client.connect(fam.lo, 7450)
        s, _ = ls.accept()
        s.settimeout(PATIENCE)
        exchange(c, s)
        ls.close()
        until(p, lambda: not rp.listening(client, "tcp", 7450))
        assert refused(client, fam.lo, 7450)


@pytest.mark.parametrize("way", ["in", "out"])
def test_auto_udp(net, pasta, fam, way):
    p = pasta("--config-net")
    server, client = sides(net, p, way)
    for _ in range(2):
        assert not rp.listening(client, "udp", 7451)
        s = server.udp(fam.any, 7451)
        until(p, lambda: rp.listening(client, "udp", 7451))
        c = client.udp(fam.lo)
        udp_exchange(c, s, (fam.lo, 7451), (10, 9000))
        s.close()
        c.close()
        until(p, lambda: not rp.listening(client, "udp", 7451))


@pytest.mark.parametrize("way", ["in", "out"])
def test_auto_port_there_from_the_start(net, pasta, held, way, fam):
    """No second has to pass before what listens already is forwarded."""
    h = held()
    server, client = (h.ns, net.host) if way == "in" else (net.host, h.ns)
    ls = server.listen(fam.any, 7452)
    pasta("--config-net", target=[h.pid], ns=h.ns)
    assert rp.listening(client, "tcp", 7452)
    c = client.connect(fam.lo, 7452)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    ls.close()


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_auto_never_loops(net, pasta, proto):
    """What pasta opens on one side is not what it is to follow."""
    p = pasta("--config-net")
    make = "listen" if proto == "tcp" else "udp"
    for server, client in sides(net, p, "in"), sides(net, p, "out"):
        s = getattr(server, make)("0.0.0.0", 7453)
        until(p, lambda: rp.listening(client, proto, 7453))
        count = sockets(server, proto, 7453)
        assert count == 1
        time.sleep(2.2)         # two more looks
        assert sockets(server, proto, 7453) == 1
        s.close()
        until(p, lambda: not rp.listening(client, proto, 7453))
        time.sleep(1.2)
        assert not rp.listening(server, proto, 7453)


def sockets(ns, proto, port):
    """Sockets that listen at, or are bound to, this port there."""
    n = 0
    for v in "", "6":
        with open(rp.proc_net(ns, proto + v), encoding="ascii") as f:
            n += sum(int(x.split()[1].split(":")[1], 16) == port and
                     x.split()[3] in ("07", "0A") for x in f.readlines()[1:])
    return n


def test_auto_loopback_inside(net, pasta, fam):
    """What only its loopback reaches is forwarded where that is where the
    bypass leads; else nobody would answer."""
    p = pasta("--config-net", *NONE, "-t", "auto", "--host-lo-to-ns-lo")
    ls = p.ns.listen(fam.lo, 7457)
    until(p, lambda: rp.listening(net.host, "tcp", 7457))
    c = net.host.connect(fam.lo, 7457)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    ls.close()


def test_auto_both_sides_have_it(net, pasta, fam):
    """Each side's own server stays its own."""
    p = pasta("--config-net")
    a, b = net.host.listen(fam.any, 7454), p.ns.listen(fam.any, 7454)
    time.sleep(1.5)
    for ns, ls in (net.host, a), (p.ns, b):
        c = ns.connect(fam.lo, 7454)
        s, _ = ls.accept()
        s.settimeout(PATIENCE)
        exchange(c, s)
    # one goes: the other's appears in its place
    a.close()
    until(p, lambda: rp.listening(net.host, "tcp", 7454), 2.5)
    c = net.host.connect(fam.lo, 7454)
    s, _ = b.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)


@pytest.mark.parametrize("opts,there", [
    ((), True),
    (("--splice-only",), True),
    (("-4",), False),
], ids=["usual", "splice-only", "ipv4-only"])
def test_auto_loopback_without_routes(host, pasta, opts, there):
    """What listens on ::1 of a host that has no other IPv6, as a development
    server does for "localhost"; and the other way, where that is for loopback."""
    h = host("""
        ip link add eth7 type veth peer name peer7
        ip link set eth7 up
        sysctl -qw net.ipv6.conf.eth7.disable_ipv6=1
        ip addr add 198.51.100.2/24 dev eth7""")
    back = [] if opts else ["--host-lo-to-ns-lo"]
    conf = [] if "--splice-only" in opts else ["--config-net"]
    p = pasta(*conf, *opts, *back, on=h)
    a, b = h.listen("::1", 7458), p.ns.listen("::1", 7459)
    v4 = h.listen("127.0.0.1", 7460)
    until(p, lambda: rp.listening(p.ns, "tcp", 7460))
    for client, port, ls in (p.ns, 7458, a), (h, 7459, b):
        if not there:
            assert refused(client, "::1", port)
            continue
        until(p, lambda: rp.listening(client, "tcp", port))
        c = client.connect("::1", port)
        s, _ = ls.accept()
        s.settimeout(PATIENCE)
        assert address(s) == "::1"
        exchange(c, s)
    v4.close()


def test_auto_two_namespaces(net, pasta):
    """A server in one is reached from the other, by the host, without a
    circle when it goes."""
    a, b = pasta("--config-net"), pasta("--config-net")
    ls = a.ns.listen("0.0.0.0", 7455)
    wait_for(lambda: rp.listening(b.ns, "tcp", 7455))
    ls.close()
    wait_for(lambda: not rp.listening(net.host, "tcp", 7455))
    wait_for(lambda: not rp.listening(b.ns, "tcp", 7455))
    time.sleep(1.2)
    assert not any(rp.listening(n, "tcp", 7455)
                   for n in (net.host, a.ns, b.ns))


def test_auto_privileged(net, pasta, fam):
    """Out: as root of the namespace; in: not allowed, and no harm done."""
    p = pasta("--config-net")
    ls = net.host.listen(fam.any, 82)
    until(p, lambda: rp.listening(p.ns, "tcp", 82))
    c = p.ns.connect(fam.lo, 82)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    ls.close()
    low, high = p.ns.listen(fam.any, 83), p.ns.listen(fam.any, 7456)
    until(p, lambda: rp.listening(net.host, "tcp", 7456))
    assert not rp.listening(net.host, "tcp", 83)
    low.close()
    high.close()


def test_auto_many(net, pasta):
    """Some hundred at once."""
    p = pasta("--config-net")
    ports = range(7500, 7800)
    made = [p.ns.listen("0.0.0.0", n) for n in ports]
    until(p, lambda: rp.listening(net.host, "tcp", 7799) and
          all(rp.listening(net.host, "tcp", n) for n in (7500, 7650)), 2.5)
    for s in made:
        s.close()
    until(p, lambda: not any(rp.listening(net.host, "tcp", n)
                          for n in (7500, 7650, 7799)), 2.5)


def test_auto_with_excluded_and_range(net, pasta):
    p = pasta("--config-net", *NONE, "-t", "7460-7465,auto")
    made = [p.ns.listen("0.0.0.0", n) for n in (7461, 7467)]
    until(p, lambda: rp.listening(net.host, "tcp", 7461))
    time.sleep(1.2)
    assert not rp.listening(net.host, "tcp", 7467)
    for s in made:
        s.close()


def test_auto_for_one_address(net, pasta):
    p = pasta("--config-net", *NONE, "-t", "127.0.0.1/auto")
    ls = p.ns.listen("0.0.0.0", 7468)
    until(p, lambda: rp.listening(net.host, "tcp", 7468))
    assert refused(net.remote, V4.host, 7468)
    net.host.connect("127.0.0.1", 7468).close()
    ls.close()


def test_auto_for_a_link_local_address(net, pasta):
    """Its interface is known by name, which nobody may ask for later on."""
    host = net.host
    (dev,) = {r["dev"] for r in rp.ip(host, "route show default")}
    (ll,) = [a["local"] for i in rp.ip(host, "-6 addr show dev", dev)
             for a in i["addr_info"] if a["scope"] == "link"]
    p = pasta("--config-net", *NONE, "-t", "%s%%%s/auto" % (ll, dev))
    ls = p.ns.listen("::", 7469)
    until(p, lambda: rp.listening(host, "tcp", 7469))
    ls.close()
    until(p, lambda: not rp.listening(host, "tcp", 7469))


def test_auto_off(net, pasta):
    p = pasta("--config-net", *NONE)
    a, b = net.host.listen("0.0.0.0", 7469), p.ns.listen("0.0.0.0", 7470)
    time.sleep(1.5)
    assert not rp.listening(p.ns, "tcp", 7469)
    assert not rp.listening(net.host, "tcp", 7470)
    a.close()
    b.close()


def test_auto_families_apart(net, pasta):
    """A client that tries IPv6 first is refused there, and finds IPv4."""
    p = pasta("--config-net")
    for server, client in sides(net, p, "in"), sides(net, p, "out"):
        ls = server.listen("0.0.0.0", 7474)
        until(p, lambda: rp.listening(client, "tcp", 7474))
        assert refused(client, "::1", 7474)
        client.connect("127.0.0.1", 7474).close()
        # the other family comes later
        six = server.listen(V6.guest if server is p.ns else "::1", 7474)
        wait_for(lambda: not refused(client, "::1", 7474))
        client.connect("127.0.0.1", 7474).close()
        ls.close()
        six.close()
        wait_for(lambda: not rp.listening(client, "tcp", 7474))


def test_auto_out_of_reach(net, pasta):
    """What nobody could be led to is not in the way of others, either."""
    p = pasta("--config-net")
    a, b = p.ns.listen("127.0.0.1", 7475), net.host.listen(V4.host, 7476)
    seen = p.ns.listen("0.0.0.0", 7477)
    until(p, lambda: rp.listening(net.host, "tcp", 7477))
    assert not rp.listening(net.host, "tcp", 7475)
    assert not rp.listening(p.ns, "tcp", 7476)
    for s in a, b, seen:
        s.close()


def test_auto_leaves_dhcp_alone(net, pasta):
    """A client inside is to find its port free."""
    p = pasta("--config-net")
    a, b = net.host.udp("0.0.0.0", 68), net.host.udp("0.0.0.0", 7478)
    until(p, lambda: rp.listening(p.ns, "udp", 7478))
    assert not rp.listening(p.ns, "udp", 68)
    a.close()
    b.close()


def test_auto_ephemeral(net, pasta):
    """A TCP socket that listens is a service; a UDP socket is a client's,
    unless it is beside one."""
    p = pasta("--config-net")
    t, u = p.ns.listen("0.0.0.0", 40001), p.ns.udp("0.0.0.0", 40002)
    until(p, lambda: rp.listening(net.host, "tcp", 40001))
    until(p, lambda: rp.listening(net.host, "udp", 40001))
    assert not rp.listening(net.host, "udp", 40002)
    t.close()
    u.close()


def test_resolver_at_another_loopback_address(net, pasta):
    """As resolv.conf of many a host names it, inside as well."""
    ls, u = net.host.listen("127.0.0.53", 7479), net.host.udp("127.0.0.53",
                                                             7479)
    p = pasta("--config-net")
    c = p.ns.connect("127.0.0.53", 7479)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    exchange(c, s)
    assert reset_at_once(p.ns, 7479)
    c = p.ns.udp("127.0.0.1")
    udp_exchange(c, u, ("127.0.0.53", 7479), (10,))
    ls.close()
    u.close()


def reset_at_once(ns, port, addr="127.0.0.1"):
    """Accepted, since the port is forwarded, and then no more than that; or
    not even accepted."""
    try:
        c = ns.connect(addr, port)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    try:
        return c.recv(1) == b""
    except ConnectionResetError:
        return True
    finally:
        c.close()


def test_second_address_of_the_host(net, pasta, host, fam):
    """Copied to the guest: what comes from there is not its own doing."""
    h = host("""ip link add h0 type veth peer name h1
        ip link set h0 up; ip link set h1 up
        ip addr add 192.0.2.2/24 dev h0; ip addr add 192.0.2.7/24 dev h0
        ip addr add 2001:db8:1::2/64 dev h0 nodad
        ip addr add 2001:db8:1::7/64 dev h0 nodad
        ip route add default via 192.0.2.1
        ip -6 route add default via 2001:db8:1::1""")
    p = pasta("--config-net", *NONE, "-t", "7480", on=h)
    ls = p.ns.listen(fam.any, 7480)
    second, gw = ("192.0.2.7", "192.0.2.1") if fam is V4 else \
        ("2001:db8:1::7", "2001:db8:1::1")
    c = h.connect(second, 7480, src=second)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    assert address(s) == gw
    exchange(c, s)
    ls.close()


def test_open_connection_outlives_its_port(net, pasta, fam):
    """The server stops listening, not talking."""
    p = pasta("--config-net")
    ls = p.ns.listen(fam.any, 7471)
    until(p, lambda: rp.listening(net.host, "tcp", 7471))
    c = net.host.connect(fam.lo, 7471)
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    ls.close()
    until(p, lambda: not rp.listening(net.host, "tcp", 7471))
    exchange(c, s)


@pytest.mark.parametrize("way", ["in", "out"])
def test_udp_server_that_connects(net, pasta, fam, way):
    """As nc -ul does to its first client: it is there as long as it has the
    port, and no longer."""
    p = pasta("--config-net")
    server, client = sides(net, p, way)
    s, other = server.udp(fam.any, 7474), server.udp(fam.any, 7475)
    until(p, lambda: rp.listening(client, "udp", 7474))
    c = client.udp(fam.lo)
    c.connect((fam.lo, 7474))
    c.send(b"hi")
    data, peer = s.recvfrom(100)
    assert data == b"hi"
    s.connect(peer)
    # whatever is seen of the one that goes is seen of the other
    other.close()
    until(p, lambda: not rp.listening(client, "udp", 7475))
    s.send(b"ho")
    assert c.recv(100) == b"ho"
    c.send(b"hey")
    assert s.recv(100) == b"hey"
    s.close()
    until(p, lambda: not rp.listening(client, "udp", 7474))
    c.close()


def test_udp_clients_are_not_servers(net, pasta):
    """A connected socket's port is nobody's to forward."""
    p = pasta("--config-net")
    c = p.ns.udp("0.0.0.0", 7472)
    c.connect(("198.51.100.1", 9))
    server = p.ns.udp("0.0.0.0", 7473)
    until(p, lambda: rp.listening(net.host, "udp", 7473))
    assert not rp.listening(net.host, "udp", 7472)
    server.close()
    c.close()


def test_idle_costs_little(net, pasta):
    """Looking for ports is no work to speak of."""
    p = pasta("--config-net")

    def cpu():
        with open("/proc/%d/schedstat" % p.pid, encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9

    def idle():
        before = cpu()
        time.sleep(2)
        return cpu() - before < 0.02
    wait_for(idle)
