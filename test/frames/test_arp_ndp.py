# SPDX-License-Identifier: GPL-2.0-or-later
"""ARP (RFC 826, 5227), neighbour and router discovery (RFC 4861, 8106)."""
import struct

import pytest

from rig import pkt
from rig.net import V4, V6

ZERO = "00:00:00:00:00:00"


# -- ARP --------------------------------------------------------------------

def is_arp(f):
    return f.arp


@pytest.mark.parametrize("target", [V4.gw, "192.0.2.55", "192.0.2.254"])
def test_arp_request(guest, target):
    guest.arp(1, V4.guest, target)
    f = guest.expect(is_arp)
    a = f.arp
    assert f.dst == guest.mac
    assert (a.op, a.sha, a.spa) == (2, guest.dmac, target)
    assert (a.tha, a.tpa) == (guest.mac, V4.guest)


def test_arp_unicast_request(guest):
    """A cache being refreshed asks by unicast."""
    guest.arp(1, V4.guest, V4.gw, tha=guest.dmac, dst=guest.dmac)
    assert guest.expect(is_arp).arp.spa == V4.gw


@pytest.mark.parametrize("spa,tpa", [
    ("0.0.0.0", V4.guest), (V4.guest, V4.guest), (V4.other, V4.guest),
    ("0.0.0.0", V4.other), (V4.other, V4.other)],
    ids=["probe", "announcement", "own", "probe-other", "announce-other"])
def test_arp_left_in_peace(guest, spa, tpa):
    """Probes, announcements and requests for the guest's own address."""
    guest.arp(1, spa, tpa)
    guest.expect_none(is_arp)


def test_arp_reply_not_answered(guest):
    guest.arp(2, V4.guest, V4.gw, tha=guest.dmac)
    guest.expect_none(is_arp)


@pytest.mark.parametrize("mangle", [
    lambda b: b[:27], lambda b: b[:8], lambda b: b"",
    lambda b: b"\0\6" + b[2:], lambda b: b[:2] + b"\x86\xdd" + b[4:],
    lambda b: b[:4] + b"\x08\4" + b[6:], lambda b: b[:4] + b"\6\x10" + b[6:],
    lambda b: b[:6] + b"\0\x09" + b[8:]],
    ids=["27", "8", "0", "hardware", "protocol", "hlen", "plen", "op"])
def test_arp_malformed(guest, mangle):
    b = pkt.arp(1, guest.mac, V4.guest, ZERO, V4.gw)
    guest.send(pkt.eth(pkt.BCAST, guest.mac, pkt.ARP, mangle(b)))
    guest.expect_none(is_arp)
    guest.arp(1, V4.guest, V4.gw)
    guest.expect(is_arp)


def test_arp_padded(guest):
    """Padding to the Ethernet minimum is passed over."""
    b = pkt.arp(1, guest.mac, V4.guest, ZERO, V4.gw)
    guest.send(pkt.eth(pkt.BCAST, guest.mac, pkt.ARP, b + bytes(18)))
    guest.expect(is_arp)


# -- neighbours -------------------------------------------------------------

def is_na(f):
    return f.icmp and f.icmp.type == 136


@pytest.mark.parametrize("target", [V6.gw, V6.neigh, "2001:db8:1::1234"])
def test_ns(guest, target):
    guest.ns(guest.lladdr, target)
    f = guest.expect(is_na)
    assert (f.ip.dst, f.ip.ttl) == (guest.lladdr, 255)
    assert f.icmp.code == 0
    flags = f.icmp.body[0]
    assert flags & 0x40, "solicited"
    assert f.icmp.body[4:20] == pkt.addr2b(target)
    assert f.icmp.body[20:28] == b"\x02\x01" + pkt.mac2b(guest.dmac)


def test_ns_unicast(guest):
    """Reachability is confirmed by unicast, without an option."""
    guest.ns(guest.lladdr, V6.gw, dst=V6.gw, option=False)
    f = guest.expect(is_na)
    assert f.icmp.body[4:20] == pkt.addr2b(V6.gw)


def test_ns_from_global(guest):
    guest.ns(V6.guest, V6.gw)
    assert guest.expect(is_na).ip.dst == V6.guest


@pytest.mark.parametrize("target", ["lladdr", V6.guest, V6.other])
def test_dad_left_in_peace(guest, target):
    """Duplicate address detection finds nobody (RFC 4862 5.4)."""
    target = guest.lladdr if target == "lladdr" else target
    guest.ns("::", target, option=False)
    guest.expect_none(is_na)


def test_own_address_not_claimed(guest):
    guest.hello(V6)
    guest.ns(guest.lladdr, V6.guest)
    guest.ns(V6.guest, guest.lladdr)
    guest.expect_none(is_na)


def ns_packet(g, ttl=255, body=None, code=0, src=None, check=None, dst=None):
    src = src or g.lladdr
    dst = dst or pkt.solicited(V6.gw)
    if body is None:
        body = bytes(4) + pkt.addr2b(V6.gw) + b"\x01\x01" + pkt.mac2b(g.mac)
    return g.eth(pkt.ip6(src, dst, pkt.ICMP6, pkt.icmp(
        src, dst, 135, code, body, check=check), ttl=ttl))


@pytest.mark.parametrize("kw", [
    dict(ttl=254), dict(ttl=64), dict(code=1), dict(check=0x1234),
    dict(body=bytes(4) + pkt.addr2b(V6.gw)[:15]),
    dict(body=bytes(4) + pkt.addr2b(V6.gw) + b"\x01\x00" + bytes(6)),
    dict(body=bytes(4) + pkt.addr2b(V6.gw) + b"\x01\x02" + bytes(6)),
    dict(body=bytes(4) + pkt.addr2b("ff02::1") + b"\x01\x01" + bytes(6)),
    dict(body=bytes(4) + pkt.addr2b(V6.gw) + b"\x01")],
    ids=["hops254", "hops64", "code", "checksum", "short", "optlen0",
         "optlen2", "multicast", "optcut"])
def test_ns_invalid(guest, kw):
    """RFC 4861 7.1.1: silently discarded."""
    guest.send(ns_packet(guest, **kw))
    guest.expect_none(is_na)
    guest.send(ns_packet(guest))
    guest.expect(is_na)


# -- routers ----------------------------------------------------------------

def is_ra(f):
    return f.icmp and f.icmp.type == 134


def solicit(g, src=None, option=True):
    src = src or g.lladdr
    body = bytes(4) + (b"\x01\x01" + pkt.mac2b(g.mac) if option else b"")
    g.send(g.eth(pkt.ip6(src, "ff02::2", pkt.ICMP6, pkt.icmp(
        src, "ff02::2", 133, 0, body), ttl=255),
        dst=pkt.multicast_mac("ff02::2")))


def options(f):
    """The options of an RA: {type: [value, ...]}; each whole."""
    assert f.ip.ttl == 255 and f.icmp.code == 0
    assert f.ip.src.startswith("fe80:")
    b, out = f.icmp.body[12:], {}
    while b:
        n = b[1] * 8
        assert n and n <= len(b), "option cut or of length zero"
        out.setdefault(b[0], []).append(b[2:n])
        b = b[n:]
    return out


def advertisement(daemon, *opts):
    g = daemon(*opts).connect()
    g.expect(is_ra)
    solicit(g)
    return g.expect(is_ra)


def search(value):
    """The domains of a DNSSL option (RFC 8106 5.2)."""
    names, labels, b = [], [], value[6:]
    while b:
        n = b[0]
        if n == 0:
            if not labels:
                assert not any(b)
                break
            names.append(".".join(labels))
            labels = []
        else:
            labels.append(b[1:1 + n].decode())
        b = b[1 + n:]
    assert not labels
    return names


def test_rs_answered(daemon):
    g = daemon().connect()
    g.expect(is_ra)
    solicit(g)
    f = g.expect(is_ra)
    assert f.ip.dst in (g.lladdr, "ff02::1")


def test_rs_from_unspecified(daemon):
    """Answered to all nodes (RFC 4861 6.2.6)."""
    g = daemon().connect()
    g.expect(is_ra)
    solicit(g, "::", option=False)
    assert g.expect(is_ra).ip.dst == "ff02::1"


def test_rs_unspecified_with_option(daemon):
    """Invalid by RFC 4861 6.1.1."""
    g = daemon().connect()
    g.expect(is_ra)
    solicit(g, "::", option=True)
    g.expect_none(is_ra)


def test_ra_fields(daemon):
    f = advertisement(daemon)
    hops, flags, lifetime = struct.unpack("!BBH", f.icmp.body[:4])
    assert lifetime > 0
    assert flags & 0xc0, "DHCPv6 is there, so say so (RFC 4861 4.2)"
    o = options(f)
    assert set(o) <= {1, 3, 5, 25, 31}
    assert o[1] == [pkt.mac2b("9a:55:9a:55:9a:55")]
    assert hops == 0 or hops >= 64


def test_ra_without_dhcpv6(daemon):
    assert not advertisement(daemon, "--no-dhcpv6").icmp.body[1] & 0xc0


def test_ra_prefix(daemon):
    (p,) = options(advertisement(daemon))[3]
    plen, flags, valid, preferred = struct.unpack("!BBII", p[:10])
    assert plen == 64 and flags & 0x40, "autonomous"
    assert valid >= preferred > 0
    assert pkt.b2addr(p[14:30]) == "2001:db8:1::"


def test_ra_prefix_of_option(daemon):
    """-a: its prefix, with the host bits zero."""
    (p,) = options(advertisement(daemon, "-a", "2001:db8:77:88:9::1/64"))[3]
    assert pkt.b2addr(p[14:30]) == "2001:db8:77:88::"


@pytest.mark.parametrize("opt,mtu", [([], 65520), (["-m", "1400"], 1400),
                                     (["-m", "0"], None)])
def test_ra_mtu(daemon, opt, mtu):
    o = options(advertisement(daemon, *opt))
    if mtu is None:
        assert 5 not in o
    else:
        assert o[5] == [b"\0\0" + struct.pack("!I", mtu)]


def test_ra_rdnss(daemon):
    (d,) = options(advertisement(daemon))[25]
    assert struct.unpack("!I", d[2:6])[0] > 0
    assert d[6:] == pkt.addr2b("2001:db8:2::53")


def test_ra_rdnss_several(daemon):
    (d,) = options(advertisement(
        daemon, "-D", "2001:db8::1", "-D", "2001:db8::2", "-D", "9.9.9.9"))[25]
    assert d[6:] == pkt.addr2b("2001:db8::1") + pkt.addr2b("2001:db8::2")


def test_ra_dnssl(daemon):
    (d,) = options(advertisement(daemon))[31]
    assert struct.unpack("!I", d[2:6])[0] > 0
    assert search(d) == ["example.org", "lab.example.org"]


def test_ra_dnssl_without_server(daemon):
    o = options(advertisement(daemon, "--dns", "none"))
    assert 25 not in o
    assert search(o[31][0]) == ["example.org", "lab.example.org"]


@pytest.mark.parametrize("opts,gone", [(["--no-dhcp-dns"], 25),
                                       (["--no-dhcp-search"], 31),
                                       (["-S", "none"], 31),
                                       (["-D", "none"], 25)])
def test_ra_without(daemon, opts, gone):
    assert gone not in options(advertisement(daemon, *opts))


def test_ra_long_search_list(daemon):
    names = ["d%d.some-long-domain-name.example.net" % i for i in range(6)]
    o = options(advertisement(daemon, "-S", " ".join(names)))
    assert search(o[31][0]) == names


def test_ra_unsolicited(daemon):
    """One comes to a new client by itself."""
    g = daemon().connect()
    f = g.expect(is_ra)
    assert f.ip.dst == "ff02::1"
    options(f)


@pytest.mark.parametrize("opts", [["--no-ra"], ["--no-ndp"], ["--no-icmp"],
                                  ["-4"]], ids=lambda o: o[0])
def test_ra_off(daemon, opts):
    g = daemon(*opts).connect()
    solicit(g)
    g.expect_none(is_ra, 0.5)


@pytest.mark.parametrize("ttl,code,body", [
    (64, 0, bytes(4)), (255, 1, bytes(4)), (255, 0, bytes(3)),
    (255, 0, bytes(4) + b"\x01\x00" + bytes(6)),
    (255, 0, bytes(4) + b"\x01\x05" + bytes(6))],
    ids=["hops", "code", "short", "optlen0", "optlen5"])
def test_rs_invalid(daemon, ttl, code, body):
    g = daemon().connect()
    g.expect(is_ra)
    g.send(g.eth(pkt.ip6(g.lladdr, "ff02::2", pkt.ICMP6, pkt.icmp(
        g.lladdr, "ff02::2", 133, code, body), ttl=ttl)))
    g.expect_none(is_ra)


def test_ndp_off(daemon):
    g = daemon("--no-ndp").connect()
    g.ns(g.lladdr, V6.gw)
    g.expect_none(is_na)


def test_gateway_option(daemon):
    """-g fe80::..: the router that the guest is told."""
    g = daemon("-g", "fe80::99").connect()
    solicit(g)
    assert g.expect(is_ra).ip.src == "fe80::99"
