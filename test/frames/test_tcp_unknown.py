# SPDX-License-Identifier: GPL-2.0-or-later
"""Segments of no known connection draw resets by RFC 9293 3.5.2."""
import pytest

from rig.tcp import Conn


@pytest.fixture
def stray(guest, fam):
    c = Conn(guest, fam.remote, 4444, src=fam.guest)
    c.strict = False
    return c


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "FPA", "SA", "UA", "SFA"])
def test_with_ack(stray, flags):
    """<SEQ=SEG.ACK><CTL=RST>"""
    stray.seg(flags, b"" if "S" in flags else b"data", seq=1000, ack=77777)
    t = stray.expect(lambda t: True)
    assert t.letters == "R" and t.seq == 77777 and not t.data
    stray.none(0.1)


@pytest.mark.parametrize("flags,data,more", [
    ("", b"", 0), ("F", b"", 1), ("P", b"abc", 3), ("FP", b"abc", 4),
    ("U", b"z", 1)])
def test_without_ack(stray, flags, data, more):
    """<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"""
    stray.seg(flags, data, seq=0xfffffffe)
    t = stray.expect(lambda t: True)
    assert t.letters == "RA"
    assert (t.seq, t.ack) == (0, (0xfffffffe + more) & 0xffffffff)


@pytest.mark.parametrize("flags", ["R", "RA", "RS", "RFA"])
def test_reset_draws_nothing(stray, flags):
    stray.seg(flags, seq=1000, ack=5)
    stray.none(0.3)


def test_no_reset_to_broken(stray):
    stray.g.send(stray.frame("A", seq=1000, ack=5, check=0xdead))
    stray.none(0.3)
