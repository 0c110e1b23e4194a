# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP (RFC 2131, 2132, 3397, 3442, 4039, 4702)."""
import struct

import pytest

from rig import dhcp, pkt
from rig.dhcp import (ACK, DECLINE, DISCOVER, INFORM, NAK, OFFER, RELEASE,
                      REQUEST, ask, is_reply, opt, send)

GUEST, GW = "192.0.2.2", "192.0.2.1"


def lease(daemon, *opts, more=b"", kind=DISCOVER):
    return ask(daemon(*opts).connect(), kind, more)


def test_discover(guest):
    r = ask(guest, DISCOVER)
    assert r.type == OFFER and r.yiaddr == GUEST
    assert r.ciaddr == "0.0.0.0" and r.giaddr == "0.0.0.0"
    o = r.opts
    assert o[1] == pkt.addr2b("255.255.255.0")
    assert o[3] == pkt.addr2b(GW)
    assert o[6] == pkt.addr2b("198.51.100.53")
    assert struct.unpack("!H", o[26])[0] == 65520
    assert struct.unpack("!I", o[51])[0] >= 3600
    assert pkt.b2addr(o[54]) == r.frame.ip.src
    assert dhcp.names(o[119]) == ["example.org", "lab.example.org"]
    assert 12 not in o and 81 not in o and 121 not in o and 80 not in o


def test_whole_exchange(guest):
    r = ask(guest, DISCOVER)
    a = ask(guest, REQUEST, opt(50, pkt.addr2b(r.yiaddr)) +
            opt(54, r.opts[54]))
    assert a.type == ACK and a.yiaddr == GUEST
    assert {k: v for k, v in a.opts.items() if k != 53} == \
        {k: v for k, v in r.opts.items() if k != 53}


@pytest.mark.parametrize("flags", [0, 0x8000])
def test_broadcast_flag(guest, flags):
    """RFC 2131 4.1: broadcast where asked for, else unicast to yiaddr."""
    r = ask(guest, DISCOVER, flags=flags)
    ip, eth = r.frame.ip, r.frame
    if flags:
        assert ip.dst == "255.255.255.255" and eth.dst == pkt.BCAST
    else:
        assert (ip.dst, eth.dst) == (GUEST, guest.mac)
    assert r.flags == flags


def test_renew_unicast(guest):
    r = ask(guest, DISCOVER)
    server = pkt.b2addr(r.opts[54])
    a = ask(guest, REQUEST, src=GUEST, dst=server, ciaddr=GUEST)
    assert a.type == ACK and a.yiaddr == GUEST
    assert a.frame.ip.dst == GUEST


def test_client_of_another_port(guest):
    """Answered, on port 68: only where to is laid down (RFC 2131 4.1)."""
    assert ask(guest, DISCOVER, sport=40000).type == OFFER
    a = ask(guest, REQUEST, opt(50, pkt.addr2b(GUEST)), sport=40000)
    assert a.type == ACK and a.frame.udp.dport == 68


def test_rebind_broadcast(guest):
    a = ask(guest, REQUEST, src=GUEST, ciaddr=GUEST)
    assert a.type == ACK and a.yiaddr == GUEST


def test_init_reboot(guest):
    a = ask(guest, REQUEST, opt(50, pkt.addr2b(GUEST)))
    assert a.type == ACK


@pytest.mark.parametrize("wrong", ["192.0.2.9", "10.1.2.3"])
def test_request_wrong_address(guest, wrong):
    """DHCPNAK, broadcast (RFC 2131 4.3.2)."""
    a = ask(guest, REQUEST, opt(50, pkt.addr2b(wrong)))
    assert a.type == NAK and a.yiaddr == "0.0.0.0"
    assert a.frame.ip.dst == "255.255.255.255"
    assert 51 not in a.opts and 54 in a.opts


def test_request_for_another_server(guest):
    """The client chose someone else: silence."""
    send(guest, REQUEST, opt(50, pkt.addr2b(GUEST)) +
         opt(54, pkt.addr2b("192.0.2.200")))
    guest.expect_none(is_reply)


def test_inform(guest):
    """Settings without a lease (RFC 2131 4.3.5)."""
    a = ask(guest, INFORM, src="192.0.2.50", ciaddr="192.0.2.50")
    assert a.type == ACK and a.yiaddr == "0.0.0.0"
    assert 51 not in a.opts
    assert a.opts[6] == pkt.addr2b("198.51.100.53")
    assert a.frame.ip.dst == "192.0.2.50"


@pytest.mark.parametrize("kind", [DECLINE, RELEASE])
def test_no_answer(guest, kind):
    send(guest, kind, opt(50, pkt.addr2b(GUEST)) +
         opt(54, pkt.addr2b(GW)))
    guest.expect_none(is_reply)
    assert ask(guest, DISCOVER).type == OFFER


def test_rapid_commit(guest):
    r = ask(guest, DISCOVER, opt(80, b""))
    assert r.type == ACK and r.opts[80] == b"" and r.yiaddr == GUEST


@pytest.mark.parametrize("mtu", [576, 1500, 9000, 65520])
def test_mtu(daemon, mtu):
    r = lease(daemon, "--mtu", str(mtu))
    assert struct.unpack("!H", r.opts[26])[0] == mtu


def test_mtu_none(daemon):
    assert 26 not in lease(daemon, "--mtu", "0").opts


@pytest.mark.parametrize("opts,code,value", [
    (["-H", "vm1"], 12, b"vm1"),
    (["--hostname", "a.b"], 12, b"a.b"),
    (["-a", "10.9.8.7/16"], 1, bytes([255, 255, 0, 0])),
    (["-a", "10.9.8.7", "-n", "255.255.254.0"], 1, bytes([255, 255, 254, 0])),
    (["-a", "10.9.8.7", "-n", "22"], 1, bytes([255, 255, 252, 0])),
    (["-n", "20"], 1, bytes([255, 255, 240, 0])),
    (["-g", "192.0.2.99"], 3, bytes([192, 0, 2, 99])),
    (["-D", "9.9.9.9", "-D", "8.8.8.8"], 6, bytes([9] * 4 + [8] * 4)),
    (["-D", "9.9.9.9", "-D", "2001:db8::9"], 6, bytes([9] * 4))], ids=str)
def test_option(daemon, opts, code, value):
    assert lease(daemon, *opts).opts[code] == value


def test_fqdn(daemon):
    """Option 81 (RFC 4702): flags, two codes, the name."""
    v = lease(daemon, "--fqdn", "vm1.example.org",
              more=opt(81, b"\x04\0\0" + b"\3abc\0")).opts[81]
    assert v[3:].rstrip(b"\0") in (b"\3vm1\7example\3org", b"vm1.example.org")


@pytest.mark.parametrize("opts,code", [
    (["-D", "none"], 6), (["--no-dhcp-dns"], 6), (["-S", "none"], 119),
    (["--no-dhcp-search"], 119)], ids=str)
def test_option_absent(daemon, opts, code):
    assert code not in lease(daemon, *opts).opts


def test_search_list(daemon):
    r = lease(daemon, "-S", "one.example two.example sub.two.example")
    assert dhcp.names(r.opts[119]) == ["one.example", "two.example",
                                       "sub.two.example"]


def test_long_search_list(daemon):
    """Longer than one option can hold (RFC 3396), where the client takes
    long messages; never longer than what it takes (RFC 2131 2)."""
    want = ["host%d.%s.example" % (i, "x%d" % i * 15) for i in range(8)]
    g = daemon("-S", " ".join(want)).connect()
    r = ask(g, DISCOVER, opt(57, struct.pack("!H", 1500)))
    assert dhcp.names(r.opts[119]) == want
    r = ask(g, DISCOVER)
    assert r.frame.ip.length <= 576
    got = dhcp.names(r.opts.get(119, b""))
    assert got == want[:len(got)]


def test_search_without_servers(daemon):
    r = lease(daemon, "-D", "none")
    assert dhcp.names(r.opts[119]) == ["example.org", "lab.example.org"]


def routes(v):
    out = []
    while v:
        plen, n = v[0], (v[0] + 7) // 8
        out.append(("%s/%d" % (pkt.b2addr(v[1:1 + n].ljust(4, b"\0")), plen),
                    pkt.b2addr(v[1 + n:5 + n])))
        v = v[5 + n:]
    return out


@pytest.mark.parametrize("opts,gw", [
    (["-a", "192.0.2.2/32"], GW),
    (["-g", "10.0.0.1"], "10.0.0.1")], ids=str)
def test_gateway_outside_subnet(daemon, opts, gw):
    """Classless routes: the gateway on-link, then the default by it."""
    r = routes(lease(daemon, *opts).opts[121])
    assert (gw + "/32", "0.0.0.0") in r
    assert ("0.0.0.0/0", gw) in r
    assert r.index((gw + "/32", "0.0.0.0")) < r.index(("0.0.0.0/0", gw))


def test_address_option(daemon):
    r = lease(daemon, "-a", "10.9.8.7/16", "-g", "10.9.0.1")
    assert r.yiaddr == "10.9.8.7" and r.opts[3] == pkt.addr2b("10.9.0.1")
    assert 121 not in r.opts


@pytest.mark.parametrize("opts", [["--no-dhcp"], ["-6"]], ids=str)
def test_off(daemon, opts):
    g = daemon(*opts).connect()
    send(g, DISCOVER)
    g.expect_none(is_reply)


@pytest.mark.parametrize("kw", [
    dict(op=2), dict(hlen=5), dict(hlen=16),
    dict(hlen=255), dict(htype=6)], ids=str)
def test_malformed_header(guest, kw):
    send(guest, DISCOVER, **kw)
    guest.expect_none(is_reply)
    assert ask(guest, DISCOVER).type == OFFER


@pytest.mark.parametrize("raw", ["short", "nocookie", "optcut", "noend",
                                 "emptytype", "longtype"])
def test_malformed_options(guest, raw):
    head = dhcp.bootp(guest, b"", 0x1234)
    raw = {"short": head[:200], "nocookie": head[:236],
           "optcut": head + b"\x35\x05\x01", "noend": head + b"\x35",
           "emptytype": head + b"\x35\x00\xff",
           "longtype": head + b"\x35\x40\x01\xff"}[raw]
    send(guest, 0, raw=raw)
    guest.expect_none(is_reply)
    assert ask(guest, DISCOVER).type == OFFER


@pytest.mark.parametrize("how", ["notype", "zeros", "cookie"])
def test_bootp(guest, how):
    """No message type: BOOTP, to be answered as such (RFC 1534) or not."""
    head = dhcp.bootp(guest, b"", 0x1234)
    send(guest, 0, raw={"notype": head + b"\xff", "zeros": head + bytes(300),
                        "cookie": head[:236] + bytes(300)}[how])
    guest.poll(0.2)
    for f in guest.q:
        if is_reply(f):
            b = f.udp.data
            assert b[0] == 2 and b[240:241] != b"\x35"


@pytest.mark.parametrize("kind", [OFFER, ACK, NAK, 9, 0xff])
def test_wrong_type(guest, kind):
    send(guest, kind)
    guest.expect_none(is_reply)


def test_offer_fits(guest):
    """No reply exceeds what any client must take: 576 bytes."""
    r = ask(guest, DISCOVER)
    assert r.frame.ip.length <= 576
