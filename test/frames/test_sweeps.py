# SPDX-License-Identifier: GPL-2.0-or-later
"""The two sweeps: guest-side keepalives and the end of idle connections.

A probe has SEQ = SND.NXT - 1 and comes after one to two intervals of the
guest's silence. An idle connection ends after one to two timeouts.
"""
import socket
import time

import pytest

from rig.flows import accept, inbound, outbound, pattern, wait_for
from rig.tcp import RTO_MIN, Conn
from rig.wait import PATIENCE, undisturbed

M = 0xffffffff
SLACK = 0.4     # where nobody had to wait for a processor
KA1 = ("--keepalive-interval", "1")
NEVER = ("--inactivity-timeout", "0")


def is_probe(c):
    """The last segment is a keepalive of the daemon."""
    def pred(t):
        return t.letters == "A" and len(t.data) <= 1 and \
            t.seq == c.rcv_nxt - 1 & M
    return pred


@pytest.fixture(params=["out", "in"])
def connect(request, daemon, net, fam):
    """Makes connections, opened by either side: connect() -> Conn, socket."""
    d = daemon("-t", "7001", *KA1, *NEVER)
    g = d.connect()
    if request.param == "in":
        g.hello(fam)
    made = []

    def one():
        if request.param == "out":
            c, s = outbound(g, net, fam, mss=1000)
        else:
            c, s = inbound(g, net, fam, 7001, mss=1000)
        c.daemon = d
        made.append(s)
        return c, s
    one.pid = d.pid
    yield one
    for s in made:
        s.close()


@pytest.fixture
def pair(connect):
    return connect()


def silence(c):
    """One byte from the guest, acknowledged; from here on it is silent."""
    watch = c.g.stopwatch()
    c.send(b"!")
    c.expect_ack()
    c.clear(0.02)
    return watch


def test_probe_after_one_to_two_intervals(pair):
    c, _ = pair
    watch = silence(c)
    t = c.expect(lambda t: True)
    assert watch.took() <= 2 + SLACK
    assert is_probe(c)(t), t
    assert t.ack == c.snd_nxt and not t.data
    assert 1 - 0.05 <= c.all[-1].at - watch.start


def test_answered_probe(pair):
    """Answered probes: no retransmission, no duplicate, and it lives on."""
    c, s = pair
    s.sendall(b"greeting")
    assert c.read(8) == b"greeting"
    silence(c)
    assert s.recv(1) == b"!"
    for _ in range(3):
        t = c.expect(lambda t: True)
        assert is_probe(c)(t), t
        c.ack()
    c.none(0.5, lambda t: t.data)
    s.sendall(b"data")
    assert c.read(4) == b"data"
    c.send(b"back")
    c.expect_ack()
    assert s.recv(4) == b"back"


def test_reply_is_no_duplicate_ack(connect):
    """Data right behind the probe: the reply to the probe is not one of the
    three duplicates that cause a retransmission."""
    def attempt():
        c, s = connect()
        silence(c)
        c.expect(is_probe(c))
        s.sendall(pattern(5000))
        while len(c.stream) < 5000:
            assert c.recv(PATIENCE)
        c.clear()
        c.ack()                     # the reply to the probe
        c.ack()
        c.ack()
        c.none(0.1, lambda t: t.data)
        c.ack()                     # the third true duplicate
        t = c.expect(lambda t: t.data, RTO_MIN / 4)
        assert t.seq == c.rcv_nxt
        c.rcv_nxt = c.irs + 1 + 5000 & M
        c.ack()
    undisturbed(attempt, connect.pid)


def test_data_behind_probe_not_retransmitted(connect):
    def attempt():
        c, s = connect()
        silence(c)
        c.expect(is_probe(c))
        s.sendall(b"right behind")
        c.ack()
        t = c.expect(lambda t: t.data)
        c.rcv_nxt = t.end
        c.ack()
        c.none(0.9, lambda t: t.data)
    undisturbed(attempt, connect.pid)


def test_reset_as_answer(pair):
    """A guest that has forgotten answers RST: the peer hears of it."""
    c, s = pair
    silence(c)
    assert s.recv(1) == b"!"
    t = c.expect(is_probe(c))
    c.seg("R", seq=t.ack)
    with pytest.raises(ConnectionResetError):
        s.recv(1)


@pytest.mark.parametrize("how", ["data", "ack", "keepalive"])
def test_active_guest_is_not_probed(connect, how):
    def attempt():
        c, _ = connect()
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            if how == "data":
                c.send(b"x")
            elif how == "keepalive":
                c.seg("A", seq=c.snd_nxt - 1)
            else:
                c.ack()
            t = c.recv(0.3)
            while t:
                assert not is_probe(c)(t)
                t = c.recv(0)
    undisturbed(attempt, connect.pid)


def test_acks_of_data_are_activity(connect):
    def attempt():
        c, s = connect()
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            s.sendall(b"tick")
            assert c.read(4) == b"tick"
            t = c.recv(0.3)
            assert not t or not is_probe(c)(t)
    undisturbed(attempt, connect.pid)


def test_half_closed_by_guest(pair):
    c, s = pair
    c.fin()
    c.expect_ack()
    assert s.recv(1) == b""
    c.clear(0.02)
    t = c.expect(lambda t: True)
    assert is_probe(c)(t), t
    c.ack()
    s.sendall(b"still open")
    assert c.read(10) == b"still open"


def test_half_closed_by_host(pair):
    c, s = pair
    s.shutdown(socket.SHUT_WR)
    c.expect_fin()
    c.clear(0.02)
    t = c.expect(lambda t: not t.F)
    assert is_probe(c)(t), t
    c.ack()
    c.send(b"still open")
    c.expect_ack()
    assert s.recv(20) == b"still open"


def test_half_closed_by_host_forgotten(pair):
    """FIN_WAIT_2 died in the guest: RST frees the flow."""
    c, s = pair
    base = c.daemon.fds()
    s.shutdown(socket.SHUT_WR)
    c.expect_fin()
    t = c.expect(is_probe(c))
    c.seg("R", seq=t.ack)
    wait_for(lambda: c.daemon.fds() == base - 1)


def test_unanswered_probes_change_nothing(pair):
    """A paused guest keeps its connections."""
    c, s = pair
    silence(c)
    end = time.monotonic() + 6
    n = 0
    while time.monotonic() < end:
        t = c.recv(0.5)
        if t:
            assert is_probe(c)(t), t
            n += 1
    assert n >= 2
    s.sendall(b"awake?")
    assert c.read(6) == b"awake?"
    c.send(b"yes")
    c.expect_ack()


def test_nothing_in_flight(pair):
    """Data in flight is its own probe."""
    c, s = pair
    silence(c)
    s.sendall(b"unacknowledged")
    c.expect(lambda t: t.data)
    end = time.monotonic() + 4.5
    while time.monotonic() < end:
        t = c.recv(0.5)
        assert not t or t.data, "probe beside data in flight"


def test_fin_in_flight(pair):
    c, s = pair
    silence(c)
    s.shutdown(socket.SHUT_WR)
    c.expect(lambda t: t.F)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        t = c.recv(0.5)
        assert not t or t.F, "probe beside FIN in flight"


def test_not_before_handshake_out(daemon, net, fam):
    """SYN-RECEIVED is no synchronised state for this purpose."""
    g = daemon(*KA1, *NEVER).connect()
    ls = net.remote.listen(fam.remote)
    c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest)
    c.syn()
    c.expect("SA")
    end = time.monotonic() + 4
    while time.monotonic() < end:
        t = c.recv(0.5)
        assert not t or t.letters == "SA"


def test_not_while_connecting(daemon, fam):
    g = daemon(*KA1, *NEVER).connect()
    c = Conn(g, fam.blackhole, 80, src=fam.guest)
    c.syn()
    c.none(3.5)


def test_not_before_handshake_in(daemon, net, fam):
    g = daemon("-t", "7001", *KA1, *NEVER).connect()
    g.hello(fam)
    s = net.remote.connect(fam.host, 7001, src=fam.remote)
    c = accept(g)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        t = c.recv(0.5)
        assert not t or t.letters == "S"
    c.answer()
    s.sendall(b"ok")
    assert c.read(2) == b"ok"


def test_interval_zero(daemon, net, fam):
    g = daemon("--keepalive-interval", "0", *NEVER).connect()
    c, _ = outbound(g, net, fam)
    silence(c)
    c.none(3.5)


def test_message(daemon, net, fam):
    d = daemon(*KA1, *NEVER, debug=True)
    c, _ = outbound(d.connect(), net, fam)
    silence(c)
    c.expect(is_probe(c))
    d.wait_log("No tap activity for at least 1s, send keepalive")


def test_longer_interval(daemon, net, fam):
    g = daemon("--keepalive-interval", "2", *NEVER).connect()
    c, _ = outbound(g, net, fam)
    watch = silence(c)
    c.expect(is_probe(c))
    assert watch.took() <= 4 + SLACK
    assert 2 - 0.05 <= c.all[-1].at - watch.start


def test_many_connections_probed(daemon, net, fam):
    """Every one of 300 idle connections is probed, each once a sweep."""
    g = daemon(*KA1, *NEVER).connect()
    ls = net.remote.listen(fam.remote)
    conns = []
    for _ in range(300):
        c = Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest)
        c.open()
        conns.append(c)
    start, watch = time.monotonic(), g.stopwatch()
    while g.poll(0):
        pass
    counts = [len(c.all) for c in conns]
    while any(len(c.all) == n for c, n in zip(conns, counts)):
        assert watch.took() <= 2 + SLACK
        g.poll(0.1)
    sweeps = int(time.monotonic() - start) + 1
    for c, n in zip(conns, counts):
        new = [f.tcp for f in c.all[n:]]
        assert 1 <= len(new) <= sweeps
        assert all(is_probe(c)(t) for t in new)


# -- inactivity -------------------------------------------------------------

def test_idle_connection_ends(daemon, net, fam):
    """Every probe answered, and yet: idle means reset, on both sides."""
    g = daemon(*KA1, "--inactivity-timeout", "2").connect()
    c, s = outbound(g, net, fam)
    watch = silence(c)
    assert s.recv(1) == b"!"
    while True:
        t = c.recv(PATIENCE)
        assert t, "never ended"
        if t.R:
            break
        assert is_probe(c)(t)
        c.ack()
    assert t.seq == c.rcv_nxt
    assert watch.took() <= 4 + SLACK
    assert 2 - 0.05 <= time.monotonic() - watch.start
    with pytest.raises(ConnectionResetError):
        s.recv(1)


def test_idle_inbound_ends(daemon, net, fam):
    g = daemon("-t", "7001", "--inactivity-timeout", "1").connect()
    g.hello(fam)
    watch = g.stopwatch()
    c, s = inbound(g, net, fam, 7001)
    c.expect(lambda t: t.R)
    assert watch.took() <= 2 + SLACK
    with pytest.raises(ConnectionResetError):
        s.recv(1)


@pytest.mark.parametrize("who", ["guest", "host"])
def test_activity_keeps(daemon, net, fam, who):
    g = daemon("--inactivity-timeout", "1").connect()

    def attempt():
        c, s = outbound(g, net, fam)
        for _ in range(8):
            if who == "guest":
                c.send(b"x")
                c.expect_ack()
            else:
                s.sendall(b"x")
                assert c.read(1) == b"x"
            time.sleep(0.45)
        assert c.recv(0) is None
    undisturbed(attempt, g.pid)


def test_remote_keepalives_keep(daemon, net, fam):
    """The remote's own keepalives show that it lives (tcpi_last_ack_recv)."""
    g = daemon("--inactivity-timeout", "2").connect()

    def attempt():
        c, s = outbound(g, net, fam)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        c.none(6, lambda t: t.R)
        s.sendall(b"alive")
        assert c.read(5) == b"alive"
    undisturbed(attempt, g.pid)


def test_guest_keepalives_keep(daemon, net, fam):
    """The guest's own keepalives are activity, and are no reply to ours."""
    g = daemon("--inactivity-timeout", "1").connect()

    def attempt():
        c, _ = outbound(g, net, fam)
        for _ in range(8):
            c.seg("A", seq=c.snd_nxt - 1)
            c.expect_ack()
            c.none(0.45, lambda t: t.R)
    undisturbed(attempt, g.pid)


def test_timeout_zero(daemon, net, fam):
    g = daemon("--inactivity-timeout", "0").connect()
    c, s = outbound(g, net, fam)
    c.none(2)
    s.sendall(b"alive")
    assert c.read(5) == b"alive"


def test_half_closed_idle_ends(daemon, net, fam):
    d = daemon("--inactivity-timeout", "1")
    g = d.connect()
    c, s = outbound(g, net, fam)
    s.shutdown(socket.SHUT_WR)
    c.expect_fin()
    watch = g.stopwatch()
    c.expect(lambda t: t.R)
    assert watch.took() <= 2 + SLACK


def test_idle_connections_cause_no_wakeups(daemon, net, fam):
    """Between the sweeps nothing happens."""
    d = daemon()
    g = d.connect()
    ls = net.remote.listen(fam.remote)
    for _ in range(50):
        Conn(g, fam.remote, ls.getsockname()[1], src=fam.guest).open()
    time.sleep(3)
    d.sleeps(2, 10, 0.1)
