# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP from the guest: the handshake, data, and the ways to end (RFC 9293)."""
import pytest

from rig import pkt
from rig.tcp import Conn


def connect(g, net, fam, **kw):
    """An open connection to a server in the remote; (Conn, its socket)."""
    ls = net.remote.listen(fam.remote)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest, **kw)
    c.open()
    s, peer = ls.accept()
    s.settimeout(5)
    c.peer = peer
    ls.close()
    return c, s


def test_syn_answered(guest, net, fam):
    c, s = connect(guest, net, fam)
    assert c.peer[0] == fam.host
    c.send(b"hello")
    c.expect_ack()
    assert s.recv(100) == b"hello"
    s.sendall(b"world!")
    assert c.read(6) == b"world!"
    c.close()
    assert s.recv(1) == b""
