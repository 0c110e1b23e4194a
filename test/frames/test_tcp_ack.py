# SPDX-License-Identifier: GPL-2.0-or-later
"""Delayed acknowledgements: they ride on answers, and do not wait for long
where none comes (RFC 9293 3.8.6.3)."""
from rig.flows import outbound

SOON = 0.2      # what a guest waits before it sends again


def test_after_a_dialogue(daemon, net, fam):
    """A message that stays unanswered is acknowledged in time, however many
    were answered before."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400)
    for _ in range(3):
        for _ in range(40):
            c.send(b"?")
            assert s.recv(1) == b"?"
            s.sendall(b"!")
            assert c.read(1, ack=False) == b"!"
        c.clear()
        watch = g.stopwatch()
        c.send(b".")
        c.expect_ack()
        assert watch.took() < SOON
        assert s.recv(1) == b"."
    s.close()
