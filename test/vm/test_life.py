# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that are reset, that leave, that come back."""
import sys

import pytest

import vm

sys.path.insert(0, vm.ROOT + "/test/lib")
from rig.wait import Stopwatch  # noqa: E402


def connections(net, port):
    """How many connections the world has open with the host on this port."""
    text = net.run(net.remote, "ss", "-tnH", "state", "established",
                   f"( sport = :{port} or dport = :{port} )")
    return len(text.splitlines())


def configure(guest):
    """Give a guest its addresses at once, without asking anybody."""
    guest.run(f"ip link set eth0 up; ip addr add {vm.HOST4}/24 dev eth0; "
              f"ip route add default via {vm.GATEWAY4}")


@pytest.fixture(params=[12])
def idle(own_machine, net, servers, request):
    """A machine with short sweeps, and an idle connection each way, for so
    many seconds; then there is one more exchange."""
    m = own_machine("--keepalive-interval", "2", "-t", "8032")
    servers(net.remote, "echo", 9002)
    m.guest.start("xfer echo 8032").expect("ready")
    m.many = m.guest.start(f"xfer many {vm.REMOTE4} 9002 1 {request.param}")
    m.many.expect("answered=1 ")
    m.inward = net.spawn(net.remote, vm.XFER, "many", vm.HOST4, "8032", "1",
                         str(request.param))
    assert "answered=1 " in m.inward.stdout.readline()
    assert connections(net, 9002) == 1 and connections(net, 8032) == 1
    yield m
    net.end(m.inward)


def test_probes_leave_a_live_connection_alone(idle):
    assert idle.many.wait() == 0, idle.many.text
    assert "again=1\n" in idle.many.text
    assert idle.inward.wait(vm.PATIENCE) == 0
    assert "again=1\n" in idle.inward.stdout.read()


@pytest.mark.parametrize("idle", [600], indirect=True, ids=["long"])
def test_system_reset(idle, net):
    """The guest has forgotten: the host's peer learns it in two intervals."""
    idle.guest.reset()
    idle.guest.booted()
    # A guest without a network does not answer the probes: nothing changes
    assert connections(net, 9002) == 1 and connections(net, 8032) == 1
    configure(idle.guest)
    watch = Stopwatch(idle.daemon.pid, idle.guest.proc.pid)
    watch.within(lambda: not connections(net, 9002) and
                 not connections(net, 8032), 2 * 2 + 1)
    out = net.run(net.remote, vm.XFER, "rr", vm.HOST4, "8032", "1",
                  check=False)
    assert "median_us" not in out       # nobody listens there any more
    assert idle.guest.run(f"ping -c 1 -W 20 {vm.REMOTE4}")


def test_guest_leaves_and_another_comes(own_machine, net, servers):
    m = own_machine("-t", "8032")
    servers(net.remote, "echo", 9002)
    m.guest.start(f"xfer many {vm.REMOTE4} 9002 50 600").expect("answered=50 ")
    assert connections(net, 9002) == 50
    m.guest.close()
    vm.wait_for(lambda: not connections(net, 9002))
    m.start_guest()
    assert m.guest.xfer("rr", vm.REMOTE4, 9002, 5)["median_us"] > 0


def test_driver_unbinds_and_binds(own_machine, net, servers):
    """The device is reset, and set up again by a driver that knows nothing."""
    m = own_machine()
    servers(net.remote, "echo", 9002)
    driver = "/sys/bus/virtio/drivers/virtio_net"
    for _ in range(2):
        m.guest.run(f"cd {driver}; for d in virtio*; do echo $d >/tmp/d; "
                    "echo $d >unbind; done; sleep 0.2; "
                    f"echo $(cat /tmp/d) >{driver}/bind")
        vm.wait_for(lambda: "eth0" in m.guest.run("ls /sys/class/net"))
        configure(m.guest)
        assert m.guest.xfer("rr", vm.REMOTE4, 9002, 5)["median_us"] > 0


def test_one_off_ends_with_its_guest(own_machine):
    m = own_machine("--one-off")
    m.daemon.ended = True
    m.guest.close()
    assert m.daemon.proc.wait(30) == 0
    assert not m.daemon.listening()
