# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt, as a user's own: domains with a passt interface."""
import itertools
import os
import re
import shutil
import sys

import pytest

from place import RUNTIME, TREE, vm

sys.path.insert(0, vm.ROOT + "/test/lib")
from rig.readme import block  # noqa: E402

DOMAIN = """<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>256</memory>
  {backing}
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>/vm/vmlinuz</kernel>
    <initrd>/vm/initrd</initrd>
    <cmdline>console=ttyS0 quiet panic=0 tsc=reliable no_timer_check \
mitigations=off audit=0 nokaslr</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='/tmp/console'/></serial>
    <channel type='unix'>
      <source mode='bind' path='/tmp/agent'/>
      <target type='virtio' name='agent'/>
    </channel>
    {interface}
    <memballoon model='none'/>
  </devices>
</domain>
"""
# Beside what the README has, which leads 2222 to 22
MORE = """<portForward proto='tcp'>
        <range start='8000' end='8010'/>
        <range start='8005' exclude='yes'/>
      </portForward>
      <portForward proto='udp'><range start='2223' to='23'/></portForward>
      """
# Both forms of a domain, by the kind of its interface
EXAMPLES = {"user": block("libvirt"),
            "vhostuser": block("libvirt over vhost-user")}
STATE = RUNTIME + "/libvirt/qemu/run/passt"


def write_domain(kind):
    """The domain with an example's interface, and what belongs to that."""
    backing, interface = re.fullmatch(
        r"(<memoryBacking>.*</memoryBacking>)?\s*(<interface .*</interface>)\s*",
        EXAMPLES[kind], re.S).groups()
    assert f"<interface type='{kind}'>" in interface
    with open(TREE + "/vm/domain.xml", "w") as f:
        f.write(DOMAIN.format(backing=backing or "", interface=interface.replace(
            "<model", MORE + "<model")))


def virsh(place, *words, **kw):
    return place.run("virsh", "-q", "-c", "qemu:///session", *words, **kw)


def qemus(place):
    return [w for w in place.processes().values() if "qemu-system" in w[0]]


@pytest.fixture
def domain(place, request):
    """Start a domain of a kind of interface, and see it gone at the end."""
    vm.image()
    os.makedirs(TREE + "/vm", exist_ok=True)
    for name in "vmlinuz", "initrd":
        shutil.copy(f"{vm.BUILD}/{name}", TREE + "/vm")
    write_domain(request.param)
    virsh(place, "create", "/vm/domain.xml")
    try:
        yield vm.Started(place.path("/tmp"))
    finally:
        virsh(place, "destroy", "guest", check=False)
    vm.wait_for(lambda: not place.networks() and not qemus(place))
    assert not os.listdir(place.path(STATE))


@pytest.mark.parametrize("domain", ["user", "vhostuser"], indirect=True)
def test_domain(place, domain):
    """A lease, the world, and a forwarded port; then nothing is left of it."""
    line = next(iter(place.networks().values()))
    assert ("--vhost-user" in line) == bool(
        [w for w in itertools.chain(*qemus(place)) if "vhost-user" in w])
    domain.net_up()
    addresses = domain.run("ip addr show eth0")
    assert f"inet {vm.HOST4}/24" in addresses
    assert f"inet6 {vm.HOST6}" in addresses
    server = place.net.server(place.net.remote, "echo", 9110)
    try:
        assert domain.run(f"echo out | nc -w 20 {vm.REMOTE4} 9110") == "out\n"
    finally:
        place.net.end(server)
    serving = domain.start("echo in | nc -l -p 22")
    assert vm.wait_for(lambda: place.net.run(
        place.net.host, "busybox", "nc", "-w", "20", "127.0.0.1", "2222",
        stdin=-3, check=False)) == "in\n"
    serving.wait()
    listening = place.net.run(place.net.host, "ss", "-Hltn")
    assert ":8004 " in listening and ":8006 " in listening
    assert ":8005 " not in listening


def test_a_port_in_use_is_told(place):
    held = place.net.server(place.net.host, "echo", 2222)
    try:
        write_domain("user")
        said = virsh(place, "create", "/vm/domain.xml", check=False)
        assert "2222" in said and "in use" in said, said
    finally:
        place.net.end(held)
    assert not os.listdir(place.path(STATE))
