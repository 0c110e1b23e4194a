# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes and connections between the guest and the world."""
import os
import sys

import pytest

import vm

sys.path.insert(0, vm.ROOT + "/test/lib")
from rig.wait import Stopwatch  # noqa: E402

GIB = int(os.environ.get("VM_BYTES", 1 << 30))


def test_a_gibibyte_each_way(machine, net, servers):
    """At the same time; both ends hash every byte they send or receive."""
    up = servers(net.remote, "sink", 9000)
    down = servers(net.remote, "source", 9001, GIB, 2, "sha256")
    put = machine.guest.start(f"xfer put {vm.REMOTE4} 9000 {GIB} 1")
    get = machine.guest.start(f"xfer get {vm.REMOTE6} 9001")
    assert put.wait(900) == 0, put.text
    assert get.wait(900) == 0, get.text
    for inside, outside in (put, up), (get, down):
        a, b = vm.results(inside.text), vm.results(outside.stdout.read())
        assert a["bytes"] == b["bytes"] == GIB
        assert len(a["sha256"]) == 64
        assert a["sha256"] == b["sha256"]
    assert vm.results(put.text)["sha256"] != vm.results(get.text)["sha256"]


@pytest.mark.parametrize("cc", ["reno", "cubic", "bbr"])
@pytest.mark.parametrize("host", [vm.REMOTE4, vm.REMOTE6])
def test_congestion_control(machine, net, servers, cc, host):
    """Whatever the guest's is, its upload is whole and not crawling."""
    s = servers(net.remote, "sink", 9000, "check:5")
    watch = Stopwatch(machine.daemon.pid, machine.guest.proc.pid)
    r = machine.guest.xfer("-c", cc, "put", host, 9000, 64 << 20, 5,
                           "check:5")
    waited = watch.waited()
    far = vm.results(s.stdout.read())
    assert far["bytes"] == 64 << 20 and far["match"] == "yes"
    assert r["seconds"] - waited < (64 << 20) * 8e-6 / 50, (r, waited)


@pytest.mark.parametrize("size", [0, 1, 1400, 1473, 9000, 65000])
@pytest.mark.parametrize("host", [vm.REMOTE4, vm.REMOTE6])
def test_udp(machine, net, servers, host, size):
    """Two beforehand may be lost to the discovery of the path's MTU."""
    servers(net.remote, "echo", 9002)
    machine.guest.run(f"xfer udp {host} 9002 2 {size}", check=False)
    assert machine.guest.xfer("udp", host, 9002, 10, size) == {"echoed": 10}


@pytest.mark.parametrize("host", [vm.HOST4, vm.HOST6])
def test_forwarded_port(machine, net, host):
    echo = machine.guest.start("xfer echo 8022")
    echo.expect("ready")
    try:
        rr = net.run(net.remote, vm.XFER, "rr", host, "8022", "20")
        assert "median_us" in vm.results(rr)
        udp = net.run(net.remote, vm.XFER, "udp", host, "8022", "20", "1200")
        assert vm.results(udp) == {"echoed": 20}
    finally:
        echo.kill()
        echo.wait()


def test_forwarded_port_without_a_listener(machine, net):
    text = net.run(net.remote, vm.XFER, "rr", vm.HOST4, "8023", "1",
                   check=False)
    assert "Connection re" in text      # refused, or reset


def test_gateway_is_the_hosts_loopback(machine, net, servers):
    servers(net.host, "-b", "127.0.0.1", "echo", 9003)
    assert machine.guest.xfer("rr", vm.GATEWAY4, 9003, 5)["median_us"] > 0


def test_refused(machine):
    text = machine.guest.run(f"xfer get {vm.REMOTE4} 1",
                             check=False)
    assert "Connection refused" in text


def test_2000_connections_from_the_guest(machine, net, servers):
    """All answered, twice; one descriptor and little memory for each."""
    servers(net.remote, "echo", 9002)
    before, rss = machine.daemon.fds(), vm.status(machine.daemon.pid)["VmRSS"]
    c = machine.guest.start(f"xfer many {vm.REMOTE4} 9002 2000 3")
    c.expect("answered=")
    fds, now = machine.daemon.fds(), vm.status(machine.daemon.pid)["VmRSS"]
    assert c.wait() == 0, c.text
    assert "answered=2000 " in c.text and "again=2000\n" in c.text
    assert 2000 <= fds - before <= 2010
    assert now - rss < 8 << 10
    vm.wait_for(lambda: machine.daemon.fds() <= before + 10)


def test_resident_memory(machine):
    """As the daemon was before its guest came (sanitizers cost more)."""
    if b"__asan_init" in open(vm.PASST, "rb").read():
        pytest.skip("a build with sanitizers")
    assert machine.fresh < 8 << 10


def test_500_connections_to_the_guest(machine, net):
    echo = machine.guest.start("xfer echo 8022")
    echo.expect("ready")
    try:
        r = net.run(net.remote, vm.XFER, "many", vm.HOST4, "8022", "500", "1")
        assert "answered=500 " in r and "again=500\n" in r
    finally:
        echo.kill()
        echo.wait()


@pytest.mark.parametrize("options, size", [
    ([], 24 << 20), (["--mtu", "1500"], 4 << 20)])
def test_bad_cable(own_machine, net, link, servers, options, size, tmp_path):
    """1 % loss and 1 % reordering, both ways, between QEMU and the daemon."""
    if link != "stream":
        pytest.skip("the cable is a stream of frames")
    os.chmod(tmp_path, 0o755)
    path = str(tmp_path / "cable")
    m = own_machine(*options, guest=False)
    relay = net.spawn(net.host, vm.BUILD + "/relay", path, m.daemon.socket,
                      "10", "10", "1")
    assert relay.stdout.readline() == "ready\n"
    m.start_guest(path)
    s = servers(net.remote, "sink", 9000, "check:7")
    r = m.guest.xfer("put", vm.REMOTE4, 9000, size, 7, "check:7", timeout=600)
    far = vm.results(s.stdout.read())
    assert far["bytes"] == r["bytes"] == size and far["match"] == "yes", far
    s = servers(net.remote, "source", 9001, size, 8, "check:8")
    r = m.guest.xfer("get", vm.REMOTE6, 9001, "check:8", timeout=600)
    assert r["bytes"] == size and r["match"] == "yes", (r, s.poll())
    m.guest.kill()
    seen = vm.results(relay.communicate(timeout=60)[0])
    assert seen["lost"] > 3 and seen["reordered"] > 3, seen
