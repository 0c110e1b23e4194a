# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest finds when it configures itself, with clients of others'.

DHCP by busybox, DHCPv6 by ISC's dhclient, router advertisements by the kernel
and by rdisc6 (the guest's net-up).
"""
import ipaddress
import re

import pytest

import vm


def words(text):
    return dict(line.split("=", 1) for line in text.splitlines()
                if "=" in line)


def test_boots(machine):
    assert "Linux" in machine.guest.run("uname -a")


def test_dhcp_lease(machine):
    lease = words(machine.guest.run("cat /tmp/lease4"))
    assert lease["ip"] == vm.HOST4
    assert lease["mask"] == "24"
    assert lease["subnet"] == "255.255.255.0"
    assert lease["router"] == vm.GATEWAY4
    assert lease["dns"] == vm.DNS4
    assert lease["mtu"] == "65520"
    assert lease["search"] == "test.example lab.example"


def test_mtu_applies(machine):
    assert machine.guest.run("cat /sys/class/net/eth0/mtu") == "65520\n"


def test_dhcpv6_lease(machine):
    lease = words(machine.guest.run("cat /tmp/lease6"))
    assert lease["new_ip6_address"] == vm.HOST6
    assert lease["new_dhcp6_name_servers"] == vm.DNS6
    assert lease["new_dhcp6_domain_search"].split() == \
        ["test.example.", "lab.example."]


def test_router_advertisement(machine):
    ra = machine.guest.run("cat /tmp/ra.log")
    assert re.search(r"Prefix +: 2001:db8:1::/64\n", ra), ra
    assert re.search(r"MTU +: +65520 bytes \(valid\)", ra), ra
    assert re.search(rf"Recursive DNS server +: {vm.DNS6}\n", ra), ra
    assert re.search(r"DNS search list +: test.example lab.example", ra), ra
    assert re.search(r"Router lifetime +: +[1-9]", ra), ra


def inet6(guest):
    """[(address, prefix length, flags)] of eth0."""
    found = []
    for line in guest.run("cat /proc/net/if_inet6").splitlines():
        address, _, length, _, flags, name = line.split()
        if name == "eth0":
            found.append((ipaddress.ip_address(bytes.fromhex(address)),
                          int(length, 16), int(flags, 16)))
    return found


def test_autoconfiguration(machine):
    """The kernel took an address from the prefix and a default route."""
    prefix = ipaddress.ip_network("2001:db8:1::/64")
    own = [a for a, length, _ in inet6(machine.guest)
           if a in prefix and length == 64]
    assert own
    assert re.search(r"^default via fe80::",
                     machine.guest.run("ip -6 route"), re.M)


def test_duplicate_detection_is_left_in_peace(machine):
    tentative, failed = 0x40, 0x08
    addresses = inet6(machine.guest)
    assert len(addresses) >= 3
    for address, _, flags in addresses:
        assert not flags & (tentative | failed), address


def test_resolver_is_configured(machine):
    assert machine.guest.run("cat /etc/resolv.conf") == \
        f"nameserver {vm.DNS4}\n"


@pytest.mark.parametrize("command, host, size", [
    ("ping", vm.REMOTE4, 56), ("ping6", vm.REMOTE6, 56),
    ("ping", vm.REMOTE4, 8000), ("ping6", vm.REMOTE6, 8000),
    ("ping", vm.GATEWAY4, 56), ("ping6", vm.GATEWAY6, 56)])
def test_ping(machine, command, host, size):
    text = machine.guest.run(f"{command} -c 3 -i 0.1 -W 20 -s {size} {host}")
    assert "3 packets received, 0% packet loss" in text


def test_ping_of_nobody_is_not_answered(machine):
    """What answers is the host asked, not the daemon."""
    text = machine.guest.run("ping -c 2 -i 0.1 -W 1 198.51.100.99",
                             check=False)
    assert ", 0 packets received" in text
