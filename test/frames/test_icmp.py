# SPDX-License-Identifier: GPL-2.0-or-later
"""Echo over ping sockets (RFC 792, 4443)."""
import pytest

from rig import pkt
from rig.flows import pattern


def echo_reply(g, fam, ident, seq):
    whole = pkt.Reassembler()
    while True:
        f = g.expect(lambda f: f.ip and f.ip.proto == pkt.icmp_proto(
            fam.guest), what="echo reply")
        f = whole.feed(f)
        if f and f.icmp.type == (0 if fam.v == 4 else 129) and \
                (f.icmp.id, f.icmp.seq) == (ident, seq):
            return f


def test_echo(guest, fam):
    for seq in (1, 2, 3, 65535):
        guest.echo(fam.guest, fam.remote, 0x1234, seq, b"payload %d" % seq)
        f = echo_reply(guest, fam, 0x1234, seq)
        assert (f.ip.src, f.ip.dst) == (fam.remote, fam.guest)
        assert f.icmp.code == 0 and f.icmp.data == b"payload %d" % seq


@pytest.mark.parametrize("ident", [0, 1, 65535])
def test_identifier_kept(guest, fam, ident):
    guest.echo(fam.guest, fam.remote, ident, 7)
    echo_reply(guest, fam, ident, 7)


def test_same_identifier_two_targets(guest, fam):
    guest.echo(fam.guest, fam.remote, 5, 1, b"a")
    guest.echo(fam.guest, fam.remote2, 5, 1, b"b")
    got = {}
    for _ in range(2):
        f = echo_reply(guest, fam, 5, 1)
        got[f.ip.src] = f.icmp.data
    assert got == {fam.remote: b"a", fam.remote2: b"b"}


def test_many_identifiers(guest, fam):
    for i in range(100):
        guest.echo(fam.guest, fam.remote, i, 1, b"%d" % i)
    for i in range(100):
        assert echo_reply(guest, fam, i, 1).icmp.data == b"%d" % i


@pytest.mark.parametrize("size", [0, 1, 1000, 1472, 5000, 60000])
def test_sizes(daemon, fam, size):
    g = daemon("--mtu", "1500").connect(mtu=1500)
    body = pkt.icmp(fam.guest, fam.remote, 128 if fam.v == 6 else 8, 0,
                    b"\0\x09\0\x01" + pattern(size))
    g.send(*map(g.eth, pkt.fragments(
        fam.guest, fam.remote, pkt.icmp_proto(fam.guest), body, 1400)
        if size > 1400 else
        [pkt.ip(fam.guest, fam.remote, pkt.icmp_proto(fam.guest), body)]))
    assert echo_reply(g, fam, 9, 1).icmp.data == pattern(size)


def test_gateway_is_host(guest, net, fam):
    """The mapped address answers: it is the host's loopback."""
    src = fam.guest if fam.v == 4 else guest.lladdr
    guest.echo(src, fam.gw, 3, 1, b"x")
    f = echo_reply(guest, fam, 3, 1)
    assert (f.ip.src, f.ip.dst) == (fam.gw, src)


def test_no_answer_no_reply(guest, fam):
    guest.echo(fam.guest, fam.blackhole, 3, 1, b"x")
    guest.expect_none(lambda f: f.icmp and f.icmp.type in (0, 129))


def test_replies_are_not_forwarded(guest, fam):
    """Echo replies and unknown types from the guest: dropped."""
    for kind in (0, 129, 13, 200):
        guest.icmp(fam.guest, fam.remote, kind, 0, b"\0\1\0\1x")
    guest.expect_none(lambda f: f.icmp and f.icmp.type != 134)
    guest.echo(fam.guest, fam.remote, 3, 1)
    echo_reply(guest, fam, 3, 1)


def test_bad_checksum(guest, fam):
    kind = 128 if fam.v == 6 else 8
    guest.ip(fam.guest, fam.remote, pkt.icmp_proto(fam.guest),
             pkt.icmp(fam.guest, fam.remote, kind, 0, b"\0\1\0\1x",
                      check=0x4242))
    guest.expect_none(lambda f: f.icmp and f.icmp.type in (0, 129))


def test_switched_off(daemon, fam):
    g = daemon("--no-icmp").connect()
    g.echo(fam.guest, fam.remote, 3, 1)
    g.expect_none(lambda f: f.icmp and f.icmp.type in (0, 129))


def test_forbidden_warns_once(daemon, net, fam):
    """net.ipv4.ping_group_range forbids: one clear warning."""
    knob = "net.ipv4.ping_group_range"
    net.host.sh("sysctl -qw %s='1 0'" % knob)
    try:
        d = daemon()
        g = d.connect()
        for i in range(5):
            g.echo(fam.guest, fam.remote, 3 + i, 1)
        g.expect_none(lambda f: f.icmp and f.icmp.type in (0, 129))
        lines = [x for x in d.stderr.splitlines() if "ping_group_range" in x]
        assert len(lines) == 1, d.stderr
    finally:
        net.host.sh("sysctl -qw %s='0 2147483647'" % knob)
