# SPDX-License-Identifier: GPL-2.0-or-later
"""Against a host peer behind a path of MTU 1500, and sleep where it is due."""
import re
import subprocess
import sys
import time

import pytest

import vm

sys.path.insert(0, vm.ROOT + "/test/lib")
from rig.wait import Stopwatch  # noqa: E402


def send_buffer(net, port):
    """SO_SNDBUF of the daemon's connection to this port, 0 without one."""
    text = net.run(net.host, "ss", "-tmnH", "dport", "=", f":{port}")
    return max(map(int, re.findall(r",tb(\d+),", text)), default=0)


@pytest.fixture
def slow_path(net):
    """A path that is the bottleneck, with a queue: as on a real network, the
    guest can send more than it takes. Its Mbit/s."""
    rate, device = 60, ("dev", "eth0", "root")
    cc = net.run(net.host, "sysctl", "-n",
                 "net.ipv4.tcp_congestion_control").strip()
    net.sysctl("net.ipv4.tcp_congestion_control=reno")
    net.run(net.host, "tc", "qdisc", "add", *device, "tbf", "rate",
            f"{rate}mbit", "burst", "64k", "limit", "3m")
    yield rate
    net.run(net.host, "tc", "qdisc", "del", *device)
    net.sysctl(f"net.ipv4.tcp_congestion_control={cc}")


def test_upload_has_the_speed_of_a_host_process(machine, net, servers,
                                                slow_path):
    """Its send buffer grows as a process's own would, past 1 MB, and it moves
    what that process moves."""
    size = 24 << 20
    s = servers(net.remote, "sink", 9000, "none")
    net.run(net.host, vm.XFER, "put", vm.REMOTE4, "9000", str(size), "4",
            "none")
    process = vm.results(s.stdout.read())["mbps"]
    assert process > 0.9 * slow_path        # or the path is not the limit

    s = servers(net.remote, "sink", 9000, "check:4")
    watch = Stopwatch(machine.daemon.pid, machine.guest.proc.pid)
    put = machine.guest.start(
        f"xfer put {vm.REMOTE4} 9000 {size} 4 check:4")
    seen = []
    end = time.monotonic() + vm.PATIENCE
    while put.queue.empty() and time.monotonic() < end:
        seen.append(send_buffer(net, 9000))
        time.sleep(0.05)
    assert put.wait() == 0, put.text
    waited = watch.waited()
    far = vm.results(s.stdout.read())
    assert far["bytes"] == size and far["match"] == "yes"
    assert max(seen) > 1 << 20, seen
    speed = size * 8e-6 / (far["seconds"] - waited)
    assert speed > 0.9 * process, (far, waited, process)


def tcp_states(guest, port):
    """States, as numbers, of the guest's IPv4 connections to a port."""
    text = guest.run("cat /proc/net/tcp")
    return [int(w[3], 16) for w in map(str.split, text.splitlines()[1:])
            if int(w[2].split(":")[1], 16) == port]


@pytest.mark.parametrize("leaver", ["guest", "daemon"])
def test_leaving_after_fin_loses_nothing(own_machine, net, servers, leaver):
    """All was acknowledged: the host's kernel delivers it by itself."""
    fin_wait_2, size = 5, 2 << 20
    m = own_machine()
    s = servers(net.remote, "-w", "40", "-r", "16384", "sink", 9000,
                "check:6")
    put = m.guest.start(f"xfer put {vm.REMOTE4} 9000 {size} 6 check:6")
    vm.wait_for(lambda: tcp_states(m.guest, 9000) == [fin_wait_2])
    assert s.poll() is None     # or there was nothing left to lose
    if leaver == "guest":
        m.guest.kill()
    else:
        m.daemon.proc.terminate()
        m.daemon.proc.wait(20)
        m.daemon.ended = True
    left = time.monotonic()
    far = vm.results(s.stdout.read())
    assert time.monotonic() - left > 0.5, "the reader was done already"
    assert far["bytes"] == size
    assert far["match"] == "yes"
    assert far["end"] == "eof"
    assert put.code is None


def calls_in(pid, seconds, path):
    """How many system calls a process makes in that time."""
    with subprocess.Popen(["strace", "-f", "-o", path, "-p", str(pid)],
                          stderr=subprocess.PIPE) as s:
        s.stderr.readline()     # it is attached
        time.sleep(seconds)
        s.terminate()
        s.wait()
    with open(path) as f:
        return [line for line in f if "(" in line and "restart_" not in line]


def quiet(machine, tmp_path):
    """A few calls are fine: neighbours, probes of a window. A spin is not."""
    calls = calls_in(machine.daemon.pid, 4, tmp_path / "strace")
    assert len(calls) <= 40, "".join(calls[:60])


def test_stalled_guest(own_machine, net, servers, tmp_path):
    """It does not read: its window is shut, the host's socket full."""
    m = own_machine()
    s = servers(net.remote, "source", 9001, 1 << 30, 3, "none")
    get = m.guest.start(f"xfer -w 600000 get {vm.REMOTE4} 9001 none")
    vm.wait_for(lambda: any(int(n) > 30000 for n in re.findall(
        r"ESTAB +(\d+)", net.run(net.host, "ss", "-tnH"))))
    time.sleep(6)               # what the first probes of the window take
    assert s.poll() is None and get.code is None
    quiet(m, tmp_path)


def test_half_closed_by_the_guest(own_machine, net, servers, tmp_path):
    m = own_machine()
    servers(net.remote, "-k", "600", "sink", 9000, "none")
    put = m.guest.start(f"xfer put {vm.REMOTE4} 9000 100000 3 none")
    vm.wait_for(lambda: tcp_states(m.guest, 9000) == [5])
    time.sleep(3)
    quiet(m, tmp_path)
    assert put.code is None and tcp_states(m.guest, 9000) == [5]


def test_half_closed_by_the_host(own_machine, net, servers, tmp_path):
    close_wait = 8
    m = own_machine()
    servers(net.remote, "source", 9001, 100000, 3, "none")
    get = m.guest.start(f"xfer -k 600 get {vm.REMOTE4} 9001 none")
    vm.wait_for(lambda: tcp_states(m.guest, 9001) == [close_wait])
    time.sleep(3)
    quiet(m, tmp_path)
    assert get.code is None and tcp_states(m.guest, 9001) == [close_wait]
