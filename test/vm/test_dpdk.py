# SPDX-License-Identifier: GPL-2.0-or-later
"""A front-end that is not QEMU: DPDK's testpmd with virtio-user, which passes
frames on to a kernel tap in a namespace of its own. No virtual machine."""
import os
import shutil
import time

import pytest

import vm
from pmd import Pmd

pytestmark = pytest.mark.skipif(not shutil.which("dpdk-testpmd"),
                                reason="without Debian's dpdk-dev")


class Tapped(Pmd):
    """testpmd in a namespace of its own, with a kernel tap behind it."""

    def __init__(self, net, daemon):
        super().__init__(net, daemon, f"pt-d{os.getpid()}")
        vm.run("ip", "netns", "add", self.ns)
        # Addresses come from the tests alone, and can be used at once
        net.run(self.ns, "sysctl", "-qw", "net.ipv6.conf.default.accept_ra=0",
                "net.ipv6.conf.default.accept_dad=0")
        self.start()

    def configure(self):
        self.run("ip", "addr", "add", vm.HOST4 + "/24", "dev", "dtap0")
        self.run("ip", "route", "add", "default", "via", vm.GATEWAY4)
        self.run("ip", "addr", "add", vm.HOST6 + "/64", "dev", "dtap0",
                 "nodad")
        self.run("ip", "route", "add", "default", "via", vm.GATEWAY6)

    def close(self):
        self.stop()
        vm.run("ip", "netns", "del", self.ns, check=False)


@pytest.fixture(scope="module")
def pmd(net):
    daemon = vm.Daemon(net, "--vhost-user", "-t", "8042")
    p = Tapped(net, daemon)
    yield p
    p.close()
    alive, text = daemon.alive(), daemon.output()
    daemon.close()
    assert alive, text


def test_dhcp(pmd):
    text = pmd.run("busybox", "udhcpc", "-i", "dtap0", "-n", "-q", "-f", "-s",
                   "/bin/true")
    assert f"lease of {vm.HOST4} obtained" in text
    pmd.configure()


@pytest.mark.parametrize("host", [vm.REMOTE4, vm.REMOTE6, vm.GATEWAY4])
def test_ping(pmd, host):
    text = pmd.run("ping", "-c", "3", "-i", "0.2", "-W", "20", "-s", "1400",
                   host)
    assert " 0% packet loss" in text


@pytest.mark.parametrize("host", [vm.REMOTE4, vm.REMOTE6])
def test_transfers(pmd, net, servers, host):
    size = 16 << 20
    s = servers(net.remote, "sink", 9000, "check:4")
    put = vm.results(pmd.run(vm.XFER, "put", host, "9000", str(size), "4",
                             "check:4"))
    far = vm.results(s.stdout.read())
    assert far["bytes"] == put["bytes"] == size and far["match"] == "yes"
    servers(net.remote, "source", 9001, size, 5, "check:5")
    get = vm.results(pmd.run(vm.XFER, "get", host, "9001", "check:5"))
    assert get["bytes"] == size and get["match"] == "yes"


def test_udp(pmd, net, servers):
    servers(net.remote, "echo", 9003)
    pmd.run(vm.XFER, "udp", vm.REMOTE4, "9003", "50", "1400")


def test_forwarded_port(pmd, net, servers):
    servers(pmd.ns, "echo", 8042)
    r = vm.results(net.run(net.remote, vm.XFER, "rr", vm.HOST4, "8042", "20"))
    assert r["median_us"] > 0


def test_reconnection(pmd, net, servers):
    """Another front-end on the same socket; what the first had has ended."""
    servers(net.remote, "echo", 9002)
    for _ in range(2):
        many = net.spawn(pmd.ns, vm.XFER, "many", vm.REMOTE4, "9002", "5",
                         "60")
        assert "answered=5 " in many.stdout.readline()
        pmd.stop()
        vm.wait_for(lambda: not net.run(
            net.remote, "ss", "-tnH", "state", "established",
            "( sport = :9002 )").strip())
        net.end(many)
        time.sleep(0.2)
        pmd.start()
        pmd.configure()
        assert vm.results(pmd.run(vm.XFER, "rr", vm.REMOTE4, "9002", "5"))
