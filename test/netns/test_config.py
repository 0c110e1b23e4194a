# SPDX-License-Identifier: GPL-2.0-or-later
"""What the namespace is given: --config-net against the host's own addresses
and routes, on hosts of all kinds, and DHCP, DHCPv6 and SLAAC without it."""
import re
import subprocess

import pytest

from rig import pasta as rp
from rig.flows import wait_for

ETH = ("ip link add {0} type veth peer name {0}p; ip link set {0}p up; "
       "ip link set {0} up; ")


def addresses(ns, dev):
    """Global addresses of an interface: {(address, length, peer)}."""
    (link,) = ns_ip(ns, "addr", "show", "dev", dev)
    return {(a["local"], a["prefixlen"], a.get("address"))
            for a in link["addr_info"] if a["scope"] != "link"}


def ns_ip(ns, *args):
    return rp.ip(ns, *args)


def hop(h, dev):
    via = h.get("via", {}).get("host")
    return h.get("gateway", via), h.get("dev", dev), h.get("weight", 1)


def routes(ns, dev):
    """Routes over an interface, those the kernel makes of addresses too; the
    kernel's own multicast and link-local ones excepted."""
    found = set()
    for v in "-4", "-6":
        for r in ns_ip(ns, v, "route", "show", "table", "main"):
            hops = [hop(h, r.get("dev")) for h in r.get("nexthops", [r])]
            hops = tuple(sorted(h for h in hops if h[1] == dev))
            if hops and not r["dst"].startswith("fe80::/"):
                found.add((v, r["dst"], r.get("metric", 0),
                           r.get("prefsrc"), hops))
    return found


def compare(host, ns, dev="eth7", inside=None):
    inside = inside or dev
    assert addresses(ns, inside) == addresses(host, dev)
    want = {(v, d, m, s, tuple((g, inside, w) for g, _, w in h))
            for v, d, m, s, h in routes(host, dev)}
    assert routes(ns, inside) == want


SIMPLE = ETH.format("eth7") + """
    ip addr add 192.0.2.2/24 dev eth7
    ip addr add 2001:db8:1::2/64 dev eth7
    ip route add default via 192.0.2.1
    ip route add default via fe80::1 dev eth7
    """

HOSTS = {
    "simple": SIMPLE,
    "ipv4": ETH.format("eth7") + """
        ip addr add 192.0.2.2/25 dev eth7
        ip route add default via 192.0.2.1
        """,
    "ipv6": ETH.format("eth7") + """
        ip addr add 2001:db8:1::2/60 dev eth7
        ip route add default via fe80::7 dev eth7
        """,
    "no-default": ETH.format("eth7") + """
        ip addr add 192.0.2.2/24 dev eth7
        ip addr add 2001:db8:1::2/64 dev eth7
        ip route add 198.51.100.0/24 via 192.0.2.9
        ip route add 2001:db8:2::/48 via 2001:db8:1::9
        """,
    "addresses": SIMPLE + """
        ip addr add 192.0.2.3/24 dev eth7
        ip addr add 192.0.2.200/32 dev eth7
        ip addr add 10.1.2.3/16 dev eth7
        ip addr add 10.9.9.1 peer 10.9.9.2 dev eth7
        ip addr add 2001:db8:1::3/64 dev eth7
        ip addr add 2001:db8:9::1/128 dev eth7
        ip addr add fd00:9::1/56 dev eth7
        """,
    "routes": SIMPLE + """
        ip route add 10.0.0.0/8 via 192.0.2.1 metric 50
        ip route add 10.0.0.0/8 via 192.0.2.7 metric 60
        ip route add 10.5.0.0/16 dev eth7 scope link
        ip route add default via 192.0.2.7 metric 700
        ip route add 203.0.113.7/32 via 192.0.2.1 src 192.0.2.2
        ip route add 2001:db8:7::/48 via 2001:db8:1::7 metric 77
        ip route add 2001:db8:7::/48 via fe80::77 dev eth7 metric 78
        ip route add 2001:db8:8::/48 dev eth7
        """,
    "onlink": ETH.format("eth7") + """
        ip addr add 192.0.2.2/32 dev eth7
        ip addr add 2001:db8:1::2/128 dev eth7
        ip route add 198.51.100.1 dev eth7
        ip route add default via 198.51.100.1
        ip route add 10.0.0.0/8 via 203.0.113.1 dev eth7 onlink
        ip route add default via 2001:db8:ffff::1 dev eth7 onlink
        """,
    "order": ETH.format("eth7") + """
        ip addr add 192.0.2.2/32 dev eth7
        ip route add 203.0.113.1 dev eth7
        ip route add 10.0.0.1 via 203.0.113.1
        ip route add default via 203.0.113.1
        """,
    "device": ETH.format("eth7") + """
        ip addr add 192.0.2.2 peer 192.0.2.3 dev eth7
        ip route add default dev eth7
        """,
    "multipath": SIMPLE + """
        ip route add 10.0.0.0/8 nexthop via 192.0.2.1 weight 1 \
            nexthop via 192.0.2.9 weight 5
        ip route add 2001:db8:5::/48 nexthop via 2001:db8:1::1 dev eth7 \
            nexthop via fe80::9 dev eth7
        """,
    "multipath-default": ETH.format("eth7") + """
        ip addr add 192.0.2.2/24 dev eth7
        ip route add default nexthop via 192.0.2.1 weight 3 \
            nexthop via 192.0.2.9 weight 2
        """,
    "ipv4-over-ipv6": ETH.format("eth7") + """
        ip addr add 192.0.2.2/32 dev eth7
        ip addr add 2001:db8:1::2/64 dev eth7
        ip -4 route add default via inet6 fe80::1 dev eth7
        ip route add default via fe80::1 dev eth7
        """,
}


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_copies_the_host(host, pasta, name):
    h = host(HOSTS[name])
    p = pasta("--config-net", on=h)
    compare(h, p.ns)
    # usable at once: nothing is tentative
    (link,) = p.ns.ip("addr", "show", "dev", "eth7")
    for a in link["addr_info"]:
        assert not a.get("tentative") or a["scope"] == "link"
    assert "UP" in link["flags"] and "LOWER_UP" in link["flags"]
    assert link["mtu"] == 65520


def test_many_of_each(host, pasta):
    """More than fits in one message of the kernel's."""
    h = host(SIMPLE + """
        for i in $(seq 1 40); do
            ip addr add 10.4.$i.1/24 dev eth7
            ip addr add 2001:db8:4:$i::1/64 dev eth7
            for j in 1 2 3 4 5; do
                echo "route add 172.16.$i.$j/32 via 192.0.2.$i"
            done
        done | ip -batch -
        """)
    compare(h, pasta("--config-net", on=h).ns)


def test_joined_namespace_is_configured(host, pasta, held):
    h = host(HOSTS["routes"])
    t = held(on=h)
    pasta("--config-net", target=[t.pid], ns=t.ns, on=h)
    compare(h, t.ns)
    # which had lo down
    (lo,) = t.ns.ip("link", "show", "dev", "lo")
    assert "UP" in lo["flags"]


TWO = ETH.format("eth7") + ETH.format("eth8") + """
    ip addr add 192.0.2.2/24 dev eth7
    ip addr add 198.51.100.2/24 dev eth8
    ip addr add 198.51.100.9/24 dev eth8
    ip addr add 2001:db8:8::2/64 dev eth8
    ip route add default via 192.0.2.1 metric 200
    ip route add default via 198.51.100.1 metric 100
    ip route add default via fe80::8 dev eth8
    """


@pytest.mark.parametrize("opts,dev", [
    ((), "eth8"), (("-i", "eth7"), "eth7"),
    (("--outbound-if4", "eth7", "-4"), "eth7"),
], ids=lambda v: " ".join(v) or "default" if isinstance(v, tuple) else v)
def test_two_interfaces(host, pasta, opts, dev):
    h = host(TWO)
    compare(h, pasta("--config-net", *opts, on=h).ns, dev)


def test_multipath_over_two_interfaces(host, pasta):
    """What leads over the other interface cannot be had inside."""
    h = host(TWO + """
        ip route del default metric 200; ip route del default metric 100
        ip route add default nexthop via 192.0.2.1 weight 1 \
            nexthop via 198.51.100.1 weight 5
        """)
    ns = pasta("--config-net", on=h).ns
    assert addresses(ns, "eth8") == addresses(h, "eth8")
    (default,) = [r for r in routes(ns, "eth8")
                  if r[:2] == ("-4", "default")]
    assert [x[0] for x in default[4]] == ["198.51.100.1"]


@pytest.mark.parametrize("opts", [("-4",), ("-6",)], ids=" ".join)
def test_one_family_only(host, pasta, opts):
    h = host(SIMPLE)
    ns = pasta("--config-net", *opts, on=h).ns
    want = {a for a in addresses(h, "eth7")
            if (":" in a[0]) == (opts[0] == "-6")}
    assert addresses(ns, "eth7") == want
    assert {r[0] for r in routes(ns, "eth7")} == set(opts)


def test_host_without_network(host, pasta, spawn):
    """The fallback: an IPv4 address, and the host's loopback by the gateway.
    """
    h = host()
    spawn(h, "socat", "TCP4-LISTEN:7300,bind=127.0.0.1,fork", "SYSTEM:echo hi",
          tcp=7300)
    ns = pasta("--config-net", on=h).ns
    assert addresses(ns, "tap0") == {("169.254.2.1", 16, None)}
    assert ("-4", "default", 0, None, (("169.254.2.2", "tap0", 1),)) in \
        routes(ns, "tap0")
    assert ns.sh("socat -u TCP4:169.254.2.2:7300,connect-timeout=20 -") == \
        "hi\n"


def test_host_with_loopback_down(pasta, host):
    h = host("ip link set lo down")
    ns = pasta("--config-net", on=h).ns
    (lo,) = ns.ip("link", "show", "dev", "lo")
    assert "UP" in lo["flags"]


def test_host_without_ipv6(host, pasta):
    h = host("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
             "net.ipv6.conf.default.disable_ipv6=1\n" + HOSTS["ipv4"])
    compare(h, pasta("--config-net", on=h).ns)


def test_given_addresses(host, pasta):
    h = host(SIMPLE)
    ns = pasta("--config-net", "-a", "10.5.0.7/20", "-g", "10.5.0.1", "-a",
               "2001:db8:77::7", "-g", "fe80::77", on=h).ns
    got = {(a, n) for a, n, _ in addresses(ns, "eth7")}
    assert ("10.5.0.7", 20) in got
    assert "2001:db8:77::7" in {a for a, _ in got}
    assert {a for a, _ in got} == {"10.5.0.7", "2001:db8:77::7"}
    gateways = {r[4][0][0] for r in routes(ns, "eth7") if r[1] == "default"}
    assert gateways == {"10.5.0.1", "fe80::77"}


def test_single_address_and_route(host, pasta):
    """--no-copy-routes --no-copy-addrs: only the default gateway, only one
    address of each family."""
    h = host(HOSTS["addresses"] + "ip route add 10.77.0.0/16 via 192.0.2.1\n")
    ns = pasta("--config-net", "--no-copy-routes", "--no-copy-addrs",
               on=h).ns
    got = addresses(ns, "eth7")
    assert got < addresses(h, "eth7")
    assert sorted(":" in a[0] for a in got) == [False, True]
    r = {x[1]: x[4][0][0] for x in routes(ns, "eth7")}
    assert r["default"] and "10.77.0.0/16" not in r


# -- the interface --------------------------------------------------------------

def link(ns):
    (found,) = [i for i in ns.ip("-d", "link") if i["ifname"] != "lo"]
    return found


@pytest.mark.parametrize("configured", [True, False])
def test_name_and_mac(pasta, configured):
    opts = ["--config-net"] * configured
    i = link(pasta(*opts, "-I", "guest0", "--ns-mac-addr",
                   "02:00:5e:00:53:07").ns)
    assert i["ifname"] == "guest0"
    assert i["address"] == "02:00:5e:00:53:07"


def test_mac_is_random(pasta):
    macs = [link(pasta("--config-net", "-t", "none").ns)["address"]
            for _ in range(3)]
    assert len(set(macs)) == 3
    for m in macs:      # locally administered, unicast
        assert int(m[:2], 16) & 3 == 2


@pytest.mark.parametrize("mtu", [1280, 1500, 9000, 65521])
def test_mtu(pasta, mtu):
    assert link(pasta("--config-net", "--mtu", str(mtu)).ns)["mtu"] == mtu


def test_queue(pasta):
    """Room for the SYNs of thousands of connections opened at once: Linux'
    own 1000 would have most of them wait for a second or more."""
    assert link(pasta("--config-net").ns)["txqlen"] == 10000
    assert link(pasta().ns)["txqlen"] == 10000


def test_offloads(pasta):
    """The device has them: frames of 64 KiB at MTU 1500, no checksums."""
    i = link(pasta("--config-net", "--mtu", "1500").ns)
    assert i["linkinfo"]["info_data"]["vnet_hdr"]
    assert i["linkinfo"]["info_data"]["type"] == "tap"


def test_not_configured(pasta):
    """Only lo is up."""
    ns = pasta().ns
    (lo, eth) = ns.ip("addr")
    assert lo["ifname"] == "lo" and "UP" in lo["flags"]
    assert eth["ifname"] == "eth0" and "UP" not in eth["flags"]
    assert eth["addr_info"] == []
    assert ns.ip("route") == []


# -- without --config-net: the guest asks ----------------------------------------

SCRIPT = """#!/bin/sh
case $1$reason in
bound|renew|BOUND|BOUND6)
    env
    [ -z "$mtu$new_interface_mtu" ] ||
        ip link set $interface mtu $mtu$new_interface_mtu
    [ -z "$new_ip6_address" ] || ip -6 addr add \\
        $new_ip6_address/$new_ip6_prefixlen dev $interface
    [ -z "$ip$new_ip_address" ] || {
        ip addr add $ip$new_ip_address/$mask$new_subnet_mask dev $interface
        ip route add default via $router$new_routers
    }
    touch ${0%/*}/done
esac
exit 0
"""


@pytest.fixture
def script(place):
    with open(place + "/script", "w", encoding="ascii") as f:
        f.write(SCRIPT)
    subprocess.run(["chmod", "755", place + "/script"], check=True)
    return place + "/script"


def variables(text):
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.M))


def test_udhcpc(net, pasta, spawn, script, place):
    """Busybox's: address, router, MTU, and the network works with them."""
    p = pasta("--dhcp-dns", "--dhcp-search")
    p.ns.sh("ip link set eth0 up")
    v = variables(p.ns.sh("busybox udhcpc -i eth0 -f -n -q -t 10 -T 2 "
                          "-s " + script))
    assert (v["ip"], v["mask"], v["router"]) == ("192.0.2.2", "24",
                                                 "192.0.2.1")
    assert v["mtu"] == "65520" and v["dns"] == "198.51.100.53"
    assert v["search"] == "example.org lab.example.org"
    spawn(net.remote, "socat", "TCP4-LISTEN:7301,fork", "SYSTEM:echo hi",
          tcp=7301)
    assert p.ns.sh("socat -u TCP4:198.51.100.1:7301 -") == "hi\n"


def dhclient(family, script, place):
    """Run it until the script has done all of it."""
    return "dhclient %s -1 -d -lf %s/l -pf %s/p -sf %s eth0 & d=$!; " \
        "for i in $(seq 200); do [ -e %s/done ] && break; sleep 0.1; done; " \
        "kill $d; wait" % (family, place, place, script, place)


def test_dhclient(pasta, script, place):
    """ISC's. By default pasta tells neither name servers nor domains."""
    p = pasta()
    p.ns.sh("ip link set eth0 up")
    v = variables(p.ns.sh(dhclient("-4", script, place)))
    assert (v["new_ip_address"], v["new_routers"]) == ("192.0.2.2",
                                                       "192.0.2.1")
    assert v["new_subnet_mask"] == "255.255.255.0"
    assert v["new_interface_mtu"] == "65520"
    assert "new_domain_name_servers" not in v
    assert "new_domain_search" not in v


def test_dhclient_ipv6(pasta, script, place):
    p = pasta("--dhcp-dns")
    p.ns.sh("sysctl -qw net.ipv6.conf.eth0.accept_dad=0; "
            "ip link set eth0 up")
    wait_for(lambda: "fe80::" in p.ns.sh("ip -6 addr show dev eth0 "
                                         "-tentative"))
    v = variables(p.ns.sh(dhclient("-6", script, place)))
    assert v["new_ip6_address"] == "2001:db8:1::2"
    assert "2001:db8:2::53" in v["new_dhcp6_name_servers"]


def test_slaac(net, pasta, spawn):
    """The kernel alone: an address of the prefix, a default route, and the
    network works with them."""
    p = pasta()
    p.ns.sh("sysctl -qw net.ipv6.conf.eth0.accept_ra=2 "
            "net.ipv6.conf.eth0.autoconf=1 net.ipv6.conf.eth0.accept_dad=0 "
            "net.ipv6.conf.eth0.router_solicitation_delay=0; "
            "ip link set eth0 up")
    wait_for(lambda: addresses(p.ns, "eth0") and
             p.ns.ip("-6", "route", "show", "default"), what="SLAAC")
    ((addr, plen, _),) = addresses(p.ns, "eth0")
    assert addr.startswith("2001:db8:1:0:") and plen == 64
    (r,) = p.ns.ip("-6", "route", "show", "default")
    assert r["protocol"] == "ra" and r["gateway"].startswith("fe80::")
    spawn(net.remote, "socat", "TCP6-LISTEN:7302,fork", "SYSTEM:echo hi",
          tcp=7302)
    assert p.ns.sh("socat -u TCP6:[2001:db8:2::1]:7302 -") == "hi\n"


def test_rdisc6(pasta):
    p = pasta("--dhcp-dns", "--mtu", "9000")
    p.ns.sh("sysctl -qw net.ipv6.conf.eth0.accept_dad=0; "
            "ip link set eth0 up")
    wait_for(lambda: "fe80::" in p.ns.sh("ip -6 addr show dev eth0 "
                                         "-tentative"))
    text = p.ns.sh("rdisc6 -1 -w 15000 eth0")
    assert re.search(r"Prefix\s+: 2001:db8:1::/64", text)
    assert re.search(r"MTU\s+:\s+9000 bytes", text)
    assert re.search(r"Recursive DNS server\s+: 2001:db8:2::53", text)


def test_parts_switched_off(pasta, script, place):
    p = pasta("--no-dhcp", "--no-ra")
    p.ns.sh("sysctl -qw net.ipv6.conf.eth0.accept_dad=0; "
            "ip link set eth0 up")
    wait_for(lambda: "fe80::" in p.ns.sh("ip -6 addr show dev eth0 "
                                         "-tentative"))
    r = p.ns.sh("busybox udhcpc -i eth0 -f -n -q -t 1 -T 1 -s %s 2>&1 || :; "
                "rdisc6 -1 -r 1 -w 1000 eth0 2>&1 || :" % script)
    assert "ip=" not in r and "Prefix" not in r
    assert "No response" in r or "Timed out" in r
