# SPDX-License-Identifier: GPL-2.0-or-later
"""pasta as Podman starts it: the same words, in user and mount namespaces of
an ordinary user, for a network namespace that is held by a mounted file. It
waits until the process and all who have its output are gone, and what it said
is a warning: the network has to work by then, without a word."""
import subprocess

import pytest

from rig import pasta as rp
from rig.flows import read_all, wait_for
from rig.net import V4, V6
from rig.wait import PATIENCE, Stopwatch

DNS, HOST = "169.254.1.1", "169.254.1.2"
NETNS = "/run/user/1000/netns/netns-0c3c8b61"


def line(*ports):
    """Podman's words (libnetwork/pasta), and for published ports."""
    return ["--config-net", *ports, "--dns-forward", DNS,
            *(x for o in ("-t", "-u") if o not in ports for x in (o, "none")),
            "-T", "none", "-U", "none", "--no-map-gw", "--quiet",
            "--netns", NETNS, "--map-guest-addr", HOST]


class Container:
    """The namespace of one, without a process in it."""

    def __init__(self, outer):
        self.outer = outer
        outer.sh("mkdir -p $(dirname {0}); touch {0}; unshare --net={0} true"
                 .format(NETNS))
        # it is there as long as it is mounted: this is for looking at it
        self.init = subprocess.Popen(
            outer.host.cmd(*rp.rd.as_user(*outer.enter(
                "nsenter", "--net=" + NETNS, *rp.STAY))),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.init.stdout.readline() == b"ready\n"
        self.ns = rp.Inside(outer.host, self.init.pid)
        self.mark = rp.Marked()

    def start(self, *ports):
        """As an engine does; the line has to be silent, and the daemon, which
        has the network namespace of whoever started it, is found by a mark."""
        argv = rp.rd.as_user(*self.outer.enter(rp.binary(), *line(*ports)))
        r = subprocess.run(self.outer.host.cmd(*argv), env=self.mark.env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False,
                           timeout=2 * PATIENCE)
        return r

    def processes(self):
        return rp.marked(self.mark.mark)

    def remove(self):
        """The container's processes end; then its namespace is unmounted."""
        self.init.kill()
        self.init.communicate()
        self.outer.sh("umount {0}; rm {0}".format(NETNS))

    def close(self):
        self.init.kill()
        self.init.communicate()
        self.ns.close()
        rp.kill(self.processes())


@pytest.fixture
def container(held, net):
    """A factory: container(PORT OPTION..., on=HOST) -> Container, connected."""
    made = []

    def start(*ports, on=net):
        made.append(Container(held(net=False, on=on)))
        r = made[-1].start(*ports)
        assert (r.returncode, r.stdout) == (0, "")
        return made[-1]
    yield start
    for c in made:
        c.close()



def serve(spawn, ns, addr, port, answer):
    """A server that says one word to whoever asks."""
    v = 6 if ":" in addr else 4
    spawn(ns, "socat", "TCP%d-LISTEN:%d,fork,reuseaddr,bind=%s" % (
        v, port, "[%s]" % addr if v == 6 else addr),
          "SYSTEM:echo " + answer, tcp=port)


def ask(ns, addr, port):
    """The word, or an OSError."""
    with ns.connect(addr, port) as s:
        return read_all(s).decode()


def ask_udp(ns, addr, port, server, wait=PATIENCE):
    """A datagram, and its answer by a server of ours; or an OSError."""
    with ns.udp("::" if ":" in addr else "0.0.0.0") as s:
        server.settimeout(wait)
        s.connect((addr, port))
        s.send(b"word")
        data, peer = server.recvfrom(100)
        server.sendto(data[::-1], peer)
        assert s.recv(100) == b"drow"


def test_network_works_at_once(net, container, spawn, fam):
    """The first that the container does is to connect."""
    serve(spawn, net.remote, fam.remote, 7701, "world")
    c = container()
    assert ask(c.ns, fam.remote, 7701) == "world\n"
    addresses = [a["local"] for i in c.ns.ip("addr show dev eth0")
                 for a in i["addr_info"]]
    assert {V4.guest, V6.guest} < set(addresses)


RESOLVER = ("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
            "--conf-file=/dev/null", "--user=root", "--bind-interfaces",
            "--pid-file=", "--host-record=web.example.org,198.51.100.1")


@pytest.mark.parametrize("where", ["network", "loopback"])
def test_name_server(net, container, host, spawn, place, where):
    """169.254.1.1 answers for the host's resolver: one in its network, or one
    on its loopback as systemd-resolved is."""
    if where == "network":
        on = net
        spawn(net.remote, *RESOLVER, "--listen-address=198.51.100.53", udp=53)
    else:
        with open(place + "/resolv.conf", "w", encoding="ascii") as f:
            f.write("nameserver 127.0.0.53\n")
        on = host("ip link add eth0 type veth peer name peer0\n"
                  "ip addr add 192.0.2.2/24 dev eth0\n"
                  "ip link set eth0 up; ip link set peer0 up\n"
                  "ip route add default via 192.0.2.1\n",
                  place + "/resolv.conf")
        spawn(on, *RESOLVER, "--listen-address=127.0.0.53", udp=53)
    c = container(on=on)
    for tcp in "", "+tcp":
        assert c.ns.sh("dig +time=15 +tries=1 +short %s @%s web.example.org" % (
            tcp, DNS)) == "198.51.100.1\n"


def test_host_containers_internal(net, container, spawn):
    """169.254.1.2 is the host by its own address, which the container has
    as well; the gateway and the loopback are not the host."""
    serve(spawn, net.host, V4.host, 7702, "host")
    serve(spawn, net.host, "127.0.0.1", 7703, "loopback")
    udp = net.host.udp(V4.host, 7702), net.host.udp("127.0.0.1", 7703)
    c = container()
    assert ask(c.ns, HOST, 7702) == "host\n"
    ask_udp(c.ns, HOST, 7702, udp[0])
    for addr in HOST, V4.gw, "127.0.0.1":
        with pytest.raises(OSError):
            ask(c.ns, addr, 7703)
        with pytest.raises(OSError):
            ask_udp(c.ns, addr, 7703, udp[1], 0.3)
    for s in udp:
        s.close()


PUBLISHED = ("-t", "7710-7710:80-80", "-t", "127.0.0.1/7711-7711:80-80",
             "-u", "7712-7712:81-81", "-t", "7713-7715:83-85")


def test_published_ports(net, container, spawn, fam):
    """From the host by loopback and by its address, and from elsewhere; a range;
    one that is for the host alone."""
    c = container(*PUBLISHED)
    serve(spawn, c.ns, fam.any, 80, "tcp")
    udp = c.ns.udp(fam.guest, 81)
    serve(spawn, c.ns, fam.any, 84, "range")
    for ns, addr in ((net.host, fam.lo), (net.host, fam.host),
                     (net.remote, fam.host)):
        if (ns, fam.v) == (net.host, 6) and addr == fam.host:
            continue    # --map-guest-addr is an IPv4 address: no way back
        assert ask(ns, addr, 7710) == "tcp\n"
        ask_udp(ns, addr, 7712, udp)
        assert ask(ns, addr, 7714) == "range\n"
    if fam.v == 4:
        assert ask(net.host, fam.lo, 7711) == "tcp\n"
    with pytest.raises(OSError):
        ask(net.remote, fam.host, 7711)
    udp.close()
    # nothing else is forwarded, either way
    assert not rp.listening(c.ns, "tcp", 7710)
    assert not rp.listening(net.host, "udp", 7710)


def test_ends_with_the_namespace(container):
    """Engines unmount it and look no further; no device keeps it alive."""
    c = container(*PUBLISHED)
    assert len(c.processes()) == 2
    watch = Stopwatch(*c.processes())
    c.remove()
    watch.within(lambda: not c.processes(), 3)
    assert not rp.listening(c.outer.host, "tcp", 7710)


def test_many_containers(net, container, spawn):
    """Each with the same line and a port of its own; one goes, others stay."""
    serve(spawn, net.remote, V4.remote, 7704, "world")
    some = [container("-t", "%d-%d:80-80" % (n, n)) for n in (7720, 7721)]
    for c, port in zip(some, (7720, 7721)):
        serve(spawn, c.ns, "0.0.0.0", 80, "port-%d" % port)
        assert ask(net.remote, V4.host, port) == "port-%d\n" % port
    some[0].remove()
    wait_for(lambda: not some[0].processes())
    assert ask(some[1].ns, V4.remote, 7704) == "world\n"
    assert ask(net.remote, V4.host, 7721) == "port-7721\n"


def test_port_in_use(net, held):
    """Podman shows what was said, and starts nothing."""
    s = net.host.listen("0.0.0.0", 7710)
    c = Container(held(net=False))
    try:
        r = c.start(*PUBLISHED)
        assert r.returncode == 1
        assert r.stdout == "--tcp-ports 7710: Address already in use\n"
        wait_for(lambda: not c.processes())
        # a process has no environment any more before its files are closed
        wait_for(lambda: [i["ifname"] for i in c.ns.ip("link")] == ["lo"])
    finally:
        s.close()
        c.close()
