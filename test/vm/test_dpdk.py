# SPDX-License-Identifier: GPL-2.0-or-later
"""A front-end that is not QEMU: DPDK's testpmd with virtio-user, which passes
frames on to a kernel tap in a namespace of its own. No virtual machine."""
import os
import shutil
import subprocess
import time

import pytest

import vm

MAC = "52:54:00:12:34:56"

pytestmark = pytest.mark.skipif(not shutil.which("dpdk-testpmd"),
                                reason="without Debian's dpdk-dev")


class Pmd:
    """testpmd on a daemon's socket, and the namespace behind it."""

    def __init__(self, net, daemon):
        self.net, self.daemon = net, daemon
        self.ns = f"pt-d{os.getpid()}"
        self.proc = self.log = None
        vm.run("ip", "netns", "add", self.ns)
        # Addresses come from the tests alone, and can be used at once
        net.run(self.ns, "sysctl", "-qw", "net.ipv6.conf.default.accept_ra=0",
                "net.ipv6.conf.default.accept_dad=0")
        self.start()

    def start(self):
        cpu = os.cpu_count() - 1
        self.log = open(self.daemon.dir + "/testpmd", "w")
        self.proc = subprocess.Popen(self.net.inside(
            self.ns, "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci",
            f"--lcores=0@0,1@{cpu}", f"--file-prefix={self.ns}",
            # testpmd drops what does not fit a ring: long ones
            f"--vdev=virtio_user0,path={self.daemon.socket},mac={MAC},"
            "queue_size=1024",
            "--vdev=net_tap0,iface=dtap0", "--", "-i", "--auto-start",
            "--forward-mode=io", "--txd=1024", "--rxd=1024",
            "--total-num-mbufs=16384"),
            stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
            text=True)
        vm.wait_for(lambda: "state UNKNOWN" in self.run(
            "ip", "link", "show", "dtap0", check=False), 30)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "dtap0", "address", MAC, "up")

    def configure(self):
        self.run("ip", "addr", "add", vm.HOST4 + "/24", "dev", "dtap0")
        self.run("ip", "route", "add", "default", "via", vm.GATEWAY4)
        self.run("ip", "addr", "add", vm.HOST6 + "/64", "dev", "dtap0",
                 "nodad")
        self.run("ip", "route", "add", "default", "via", vm.GATEWAY6)

    def run(self, *cmd, **kw):
        return self.net.run(self.ns, *cmd, **kw)

    def stop(self):
        self.proc.stdin.close()     # the end of its commands ends it
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.log.close()

    def close(self):
        self.stop()
        vm.run("ip", "netns", "del", self.ns, check=False)


@pytest.fixture(scope="module")
def pmd(net):
    daemon = vm.Daemon(net, "--vhost-user", "-t", "8042")
    p = Pmd(net, daemon)
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
    text = pmd.run("ping", "-c", "3", "-i", "0.2", "-W", "3", "-s", "1400",
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
            "( sport = :9002 )").strip(), 5)
        net.end(many)
        time.sleep(0.2)
        pmd.start()
        pmd.configure()
        assert vm.results(pmd.run(vm.XFER, "rr", vm.REMOTE4, "9002", "5"))
