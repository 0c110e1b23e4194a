# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's virtual machine, started as it stands there, by an ordinary user,
with QEMU's own defaults."""
import os
import shlex
import sys

import pytest

import vm

sys.path.insert(0, vm.ROOT + "/test/lib")
from rig import daemon as rd  # noqa: E402
from rig.readme import Place, block  # noqa: E402

# So that no SSH server is needed: connects where it is told to
SSH = """#!/bin/sh
[ "$1" = -p ] && exec busybox nc -w 5 "$3" "$2" </dev/null
"""


@pytest.fixture
def here(net):
    """Where the reader is, on the host, with a disk and a kernel."""
    p = Place(net.inside(net.host), os.path.dirname(vm.PASST), rd.as_user)
    vm.example_disk(p.path("/tmp/here"))
    p.write("bin/ssh", SSH)
    yield p
    p.close()


def machine(here, text):
    here.start(text)
    guest = vm.Started(here.path("/tmp"))
    guest.net_up()
    return guest


def test_a_guest(net, here):
    """It has the host's address, reaches the host by its gateway, and takes
    the daemon along when it ends."""
    guest = machine(here, block("QEMU"))
    assert f"inet {vm.HOST4}/24" in guest.run("ip addr show eth0")
    here.write("page", "page of the host\n")
    here.start("busybox httpd -f -p 127.0.0.1:8000")
    vm.wait_for(lambda: ":8000 " in net.run(net.host, "ss", "-Hltn"))
    command = block("Reach the host from the guest")
    assert guest.run(command.replace(":8000/", ":8000/page")) == \
        "page of the host\n"
    here.end("busybox")
    here.end("/usr/bin/qemu-system-x86_64")
    vm.wait_for(lambda: not here.running())


def test_reach_the_guest(net, here):
    """With another line before QEMU's, as the README has it."""
    qemu = block("QEMU").split("&&\n")[1]
    guest = machine(here, block("Reach the guest") + qemu)
    guest.run("mkdir -p /www; echo page of the guest >/www/index.html; "
              "(while :; do echo ssh of the guest | nc -l -p 22; done) "
              ">/dev/null 2>&1 </dev/null & "
              "busybox httpd -h /www -p 80")
    ways = block("From the host").splitlines()
    said = [vm.wait_for(lambda w=w: here.run(w)) for w in ways]
    assert said == ["ssh of the guest\n", "page of the guest\n"]
    # from the host alone
    assert "page" not in net.run(net.remote, "busybox", "nc", "-w", "1",
                                 vm.HOST4, "8080", stdin=-3, check=False)
    assert shlex.split(ways[0])[1:3] == ["-p", "2222"]
