# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCPv6 (RFC 8415, 3646, 4704)."""
import pytest

from rig import pkt
from rig.dhcp import (ADVERTISE6, CONFIRM6, DECLINE6, INFO6, REBIND6,
                      RELEASE6, RENEW6, REPLY6, REQUEST6, SOLICIT6, ask6,
                      duid, ia_na, is_reply6, names, opt6, parse6, send6)

ADDR, WRONG = "2001:db8:1::2", "2001:db8:99::1"
NO_BINDING, NOT_ON_LINK = 3, 4


def server_id(g):
    return opt6(2, ask6(g, SOLICIT6, ia_na()).opts[2])


def good(r):
    return [a for a, valid in r.addrs if valid > 0]


def test_solicit(guest):
    r = ask6(guest, SOLICIT6, ia_na(0x11223344))
    assert r.type == ADVERTISE6 and r.iaid == 0x11223344
    assert good(r) == [ADDR] and not r.status
    assert r.opts[23] == pkt.addr2b("2001:db8:2::53")
    assert names(r.opts[24]) == ["example.org", "lab.example.org"]
    assert 39 not in r.opts and 14 not in r.opts
    assert r.t1 <= r.t2


def test_request(guest):
    r = ask6(guest, REQUEST6, server_id(guest) + ia_na(7, ADDR))
    assert r.type == REPLY6 and r.iaid == 7 and good(r) == [ADDR]
    assert not r.status and not r.ia_status
    assert r.opts[23] and r.opts[24]


def test_rapid_commit(guest):
    """Committed at once with option 14, or advertised without."""
    r = ask6(guest, SOLICIT6, ia_na() + opt6(14, b""))
    assert (r.type == REPLY6) == (14 in r.opts)
    assert r.type in (REPLY6, ADVERTISE6)
    assert good(r) == [ADDR]


@pytest.mark.parametrize("kind", [RENEW6, REBIND6])
def test_renew(guest, kind):
    sid = server_id(guest) if kind == RENEW6 else b""
    r = ask6(guest, kind, sid + ia_na(7, ADDR))
    assert r.type == REPLY6 and good(r) == [ADDR] and not r.ia_status


@pytest.mark.parametrize("kind", [RENEW6, REBIND6, REQUEST6])
def test_wrong_address(guest, kind):
    """Not to be used: NotOnLink, NoBinding or lifetimes of zero."""
    sid = server_id(guest) if kind != REBIND6 else b""
    r = ask6(guest, kind, sid + ia_na(7, WRONG))
    assert r.type == REPLY6
    assert WRONG not in good(r)
    assert r.status in (NOT_ON_LINK, NO_BINDING) or \
        r.ia_status in (NOT_ON_LINK, NO_BINDING) or (WRONG, 0) in r.addrs
    if kind == REQUEST6:
        assert NOT_ON_LINK in (r.status, r.ia_status)


def test_confirm(guest):
    r = ask6(guest, CONFIRM6, ia_na(7, ADDR))
    assert r.type == REPLY6 and r.status == 0


def test_confirm_wrong(guest):
    r = ask6(guest, CONFIRM6, ia_na(7, WRONG))
    assert r.type == REPLY6 and r.status == NOT_ON_LINK


def test_confirm_empty(guest):
    """No address in it: no answer (RFC 8415 18.3.3)."""
    send6(guest, CONFIRM6, ia_na(7))
    guest.expect_none(is_reply6)


def test_release(guest):
    r = ask6(guest, RELEASE6, server_id(guest) + ia_na(7, ADDR))
    assert r.type == REPLY6 and r.status == 0


def test_information_request(guest):
    r = ask6(guest, INFO6, opt6(6, b"\0\x17\0\x18"))
    assert r.type == REPLY6 and 3 not in r.opts
    assert r.opts[23] == pkt.addr2b("2001:db8:2::53")
    assert names(r.opts[24]) == ["example.org", "lab.example.org"]


def test_information_request_anonymous(guest):
    """The client identifier is optional there (RFC 8415 18.2.6)."""
    r = ask6(guest, INFO6, cid=False)
    assert r.type == REPLY6 and 1 not in r.opts


@pytest.mark.parametrize("kind", [REQUEST6, RENEW6, RELEASE6, DECLINE6])
def test_without_server_id(guest, kind):
    """RFC 8415 16: discarded."""
    send6(guest, kind, ia_na(7, ADDR))
    guest.expect_none(is_reply6)


@pytest.mark.parametrize("kind", [REQUEST6, RENEW6, RELEASE6, INFO6])
def test_wrong_server_id(guest, kind):
    send6(guest, kind, opt6(2, b"\0\3\0\1\2\2\2\2\2\2") +
          (b"" if kind == INFO6 else ia_na(7, ADDR)))
    guest.expect_none(is_reply6)


@pytest.mark.parametrize("kind", [SOLICIT6, CONFIRM6, REBIND6])
def test_unwanted_server_id(guest, kind):
    send6(guest, kind, server_id(guest) + ia_na(7, ADDR))
    guest.expect_none(is_reply6)


@pytest.mark.parametrize("kind", [SOLICIT6, REQUEST6, CONFIRM6, RENEW6,
                                  REBIND6, RELEASE6])
def test_without_client_id(guest, kind):
    sid = server_id(guest) if kind in (REQUEST6, RENEW6, RELEASE6) else b""
    send6(guest, kind, sid + ia_na(7, ADDR), cid=False)
    guest.expect_none(is_reply6)


@pytest.mark.parametrize("kind", [ADVERTISE6, REPLY6, 10, 12, 13, 0, 255])
def test_wrong_type(guest, kind):
    send6(guest, kind, ia_na())
    guest.expect_none(is_reply6)


@pytest.mark.parametrize("junk", [
    b"\0", b"\0\3\0", b"\0\3\0\xff\0", opt6(3, b"\0\0\0"),
    opt6(3, bytes(12) + b"\0\5\0\x18\0"), opt6(3, bytes(12) + b"\0\5\0\1\0"),
    b"\xff\xff\xff\xff"], ids=lambda b: b.hex()[:24])
def test_malformed(guest, junk):
    send6(guest, SOLICIT6, junk)
    guest.poll(0.1)
    guest.drain()
    assert ask6(guest, SOLICIT6, ia_na()).type == ADVERTISE6


def test_short(guest):
    for n in range(4):
        guest.udp(guest.lladdr, "ff02::1:2", 546, 547, bytes([1] * n))
    guest.expect_none(is_reply6)


def test_two_ias(guest):
    """Two associations: the reply is well-formed and has one of them."""
    send6(guest, SOLICIT6, ia_na(1) + ia_na(2))
    b = guest.expect(is_reply6).udp.data
    ias = [v for code, v in parse6(b[4:]) if code == 3]
    assert 1 <= len(ias) <= 2
    assert {v[:4] for v in ias} <= {b"\0\0\0\1", b"\0\0\0\2"}
    assert pkt.addr2b(ADDR) in b


def test_fqdn(daemon):
    g = daemon("--fqdn", "vm1.example.org").connect()
    r = ask6(g, SOLICIT6, ia_na() + opt6(39, b"\0\3abc\0"))
    assert r.opts[39][1:].rstrip(b"\0") == b"\3vm1\7example\3org"


@pytest.mark.parametrize("opts,gone", [
    (["-D", "none"], 23), (["--no-dhcp-dns"], 23), (["-S", "none"], 24),
    (["--no-dhcp-search"], 24)], ids=str)
def test_option_absent(daemon, opts, gone):
    g = daemon(*opts).connect()
    assert gone not in ask6(g, SOLICIT6, ia_na()).opts


def test_address_option(daemon):
    g = daemon("-a", "2001:db8:7::9").connect()
    assert good(ask6(g, SOLICIT6, ia_na())) == ["2001:db8:7::9"]


@pytest.mark.parametrize("opts", [["--no-dhcpv6"], ["-4"]], ids=str)
def test_off(daemon, opts):
    g = daemon(*opts).connect()
    send6(g, SOLICIT6, ia_na())
    g.expect_none(is_reply6)


def test_server_id_stable(guest):
    assert server_id(guest) == server_id(guest)
    assert duid(guest) not in server_id(guest)
