# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's examples for namespaces, and those of QEMU's that are about the
daemon alone, run as they stand there, by an ordinary user of a host."""
import os
import re
import socket

import pytest

from rig import daemon as rd
from rig import dhcp
from rig import pasta as rp
from rig.flows import wait_for
from rig.guest import Guest
from rig.net import V4, V6
from rig.readme import Place, block

NAMES = ("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
         "--conf-file=/dev/null", "--user=root", "--bind-interfaces",
         "--pid-file=", "--listen-address=198.51.100.53",
         "--host-record=www.example.org,198.51.100.1,2001:db8:2::1")


@pytest.fixture
def here(net):
    """Where the reader is, on the host."""
    p = Place(net.host.cmd(), os.path.dirname(os.path.realpath(rp.binary())),
              rd.as_user)
    yield p
    p.close()


@pytest.fixture
def web(net, spawn, place):
    """www.example.org: a page for whoever asks."""
    spawn(net.remote, *NAMES, udp=53)
    with open(place + "/index.html", "w", encoding="ascii") as f:
        f.write("page of www\n")
    spawn(net.remote, "/usr/bin/python3", "-m", "http.server", "--bind", "::",
          "-d", place, "80", tcp=80)


def open_at(ns, port):
    wait_for(lambda: rp.listening(ns, "tcp", port))


def test_first_glance(here, web):
    """A shell, in which we type, and a command."""
    out = here.run(block("passt and pasta"), "id -u; ip -br addr\n")
    assert out.startswith("0\n")
    assert V4.guest + "/24" in out and V6.guest + "/64" in out
    assert out.endswith("page of www\n")


def test_command_and_what_listens(net, here):
    here.start(block("A command, or a shell"))
    open_at(net.host, 8000)
    assert "Directory listing" in here.run(block("Find what listens"))
    here.end("./pasta")
    wait_for(lambda: not here.running())


def test_only_what_is_asked_for(net, here):
    here.write("index.html", "page inside\n")
    here.start(block("Only what you ask for"))
    open_at(net.host, 8080)
    assert net.remote.sh("curl -sS http://%s:8080/" % V4.host) == \
        "page inside\n"
    assert ["busybox", "httpd", "-f", "-p", "80"] in here.running().values()
    assert not rp.listening(net.host, "udp", 8080)


def test_join_a_process(net, here, web):
    shell = here.start(block("Join the namespace of a process"))
    pid = shell.stdout.readline().strip()
    here.run(block("Join the namespace of a process", 1).replace("12345", pid))
    shell.stdin.write("ip -br addr show dev eth0; "
                      "curl -sS http://www.example.org/; exit\n")
    shell.stdin.close()
    out = shell.stdout.read()
    assert V4.guest in out and out.endswith("page of www\n")
    wait_for(lambda: not here.running())


def test_join_a_name(here, web):
    out = here.run(block("Join a namespace that has a name"), root=True)
    assert out.endswith("page of www\n")
    wait_for(lambda: len(here.running()) == 2)
    here.run("ip netns del blue", root=True)
    wait_for(lambda: not here.running())


def test_addresses_of_its_own(here):
    out = here.run(block("Addresses of its own"))
    (eth0,) = re.findall(r"^\d+: eth0: .*\n(?: .*\n)*", out, re.M)
    assert "mtu 1500" in eth0 and "inet 10.0.2.15/24" in eth0
    assert "inet6 2001" not in eth0


# -- passt, with a guest of ours at its socket --------------------------------

@pytest.fixture
def client(here):
    """What connects to the daemon of an example, as soon as it listens."""
    made = []

    def attempt():
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(here.path("/tmp/p.sock"))
        except OSError:
            s.close()
            return False
        made.append(Guest(s))
        return True

    def connect():
        wait_for(attempt)
        return made[-1]
    yield connect
    for g in made:
        g.close()


def test_away_from_the_host(here, client):
    here.run(block("Keep the guest away from the host's loopback"))
    g = client()
    g.hello(V4)
    g.close()
    wait_for(lambda: not here.running())


def test_other_addresses(here, client):
    here.run(block("Other addresses than the host's"))
    r = dhcp.ask(client(), dhcp.DISCOVER)
    assert r.yiaddr == "10.0.2.15" and r.opts[12] == b"guest1"
    assert socket.inet_ntoa(r.opts[3]) == "10.0.2.2"


def test_see_what_happens(here, client):
    p = here.start(block("See what happens"), stderr=-2)
    client().hello(V4)
    wait_for(lambda: "192.0.2.2" in here.run(block("Read the frames")))
    here.end("./passt")
    wait_for(lambda: not here.running())
    assert re.search(r"^\d+\.\d+ ", p.stdout.read(), re.M)


def test_ping_group(host):
    h = host("sysctl -qw net.ipv4.ping_group_range='1 0'")
    h.sh(block("Let the guest ping"))
    assert h.sh("sysctl -n net.ipv4.ping_group_range") == "0\t2147483647\n"


def test_a_daemon_that_stays(here, client):
    here.run(block("A daemon that stays"))
    for _ in range(2):
        g = client()
        g.hello(V4)
        g.close()
    assert len(here.running()) == 1
    here.run(block("Until it is told to end"))
    wait_for(lambda: not here.running())
    assert sorted(os.listdir(here.path("/tmp"))) == ["here", "p.log"]
