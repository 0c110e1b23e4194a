# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole transfers, byte-exact, by a small TCP in the guest; and many
connections at once."""
import hashlib
import resource
import socket
import threading
import time

import pytest

from rig.flows import (Reader, Writer, accept, inbound, outbound, pattern,
                       wait_for)
from rig.guest import Lossy
from rig.tcp import Bulk, Conn
from rig.wait import PATIENCE

AGAIN = 6       # segments that a stall of the guest has sent again, at most
MB = 1 << 20


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_slow_transfer_is_no_stall():
    """A server goes on as long as its data moves, however long that takes
    altogether: what stalls a download is the daemon's fault, then."""
    a, b = socket.socketpair()
    a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    a.settimeout(1)
    b.settimeout(PATIENCE)
    w = Writer(a, bytes(1 << 16), fin=True)
    got = 0
    while got < 1 << 16:
        try:
            got += len(b.recv(4096))
        except socket.timeout:
            pytest.fail("stuck after %d bytes: %s" % (got, w.error))
        time.sleep(0.1)
    assert not b.recv(1)
    a.close()
    b.close()


@pytest.mark.parametrize("mtu,ws", [(65520, 7), (1500, 7), (1500, None)],
                         ids=["jumbo", "1500", "1500-unscaled"])
def test_upload(daemon, net, fam, mtu, ws):
    g = daemon("--mtu", str(mtu)).connect(mtu=mtu)
    c, s = outbound(g, net, fam, mss=mtu - fam.hdr - 20, ws=ws)
    data = pattern((16 if mtu > 9000 else 8) * MB)
    r = Reader(s)
    b = Bulk(c, data, fin=True).run()
    assert r.digest() == sha(data)
    assert b.timeouts == 0 or b.lag.worst > b.RTO / 2, \
        "nothing was lost, and yet the RTO ran out"


@pytest.mark.parametrize("mtu,ws", [(65520, 7), (1500, 7), (1500, None)],
                         ids=["jumbo", "1500", "1500-unscaled"])
def test_download(daemon, net, fam, mtu, ws):
    g = daemon("--mtu", str(mtu)).connect(mtu=mtu)
    c, s = outbound(g, net, fam, mss=mtu - fam.hdr - 20, ws=ws)
    data = pattern((16 if mtu > 9000 else 8) * MB)
    h = hashlib.sha256()
    Writer(s, data, fin=True)
    b = Bulk(c, want=len(data), sink=h.update).run()
    assert h.hexdigest() == sha(data)
    sent = sum(len(f.tcp.data) for f in c.all)
    assert sent <= len(data) * 1.01 + b.lag.stalls * AGAIN * c.mss, \
        "needless retransmission"


def test_download_of_a_guest_that_stalls(daemon, net, fam):
    """No processor for longer than the timeout: what the guest had not
    acknowledged meanwhile it has, and is not sent again, but for a little."""
    g = daemon("--mtu", "1500").connect(mtu=1500)
    c, s = outbound(g, net, fam, mss=1460 - fam.hdr, ws=7)
    data = pattern(4 * MB)
    h = hashlib.sha256()
    slept = []

    def take(part):
        h.update(part)
        if b.received >= len(slept) * MB + MB // 2:
            slept.append(time.sleep(0.5))
    Writer(s, data, fin=True)
    b = Bulk(c, want=len(data), sink=take)
    b.run()
    assert h.hexdigest() == sha(data)
    sent = sum(len(f.tcp.data) for f in c.all)
    assert b.lag.stalls >= len(slept) >= 3
    assert sent <= len(data) * 1.01 + b.lag.stalls * AGAIN * c.mss, \
        "needless retransmission: %d, %d stalls" % (sent - len(data),
                                                    b.lag.stalls)


def test_both_ways_at_once(daemon, net, fam):
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    up, down = pattern(4 * MB, 1), pattern(4 * MB, 2)
    h = hashlib.sha256()
    r = Reader(s, len(up))
    Writer(s, down)
    Bulk(c, up, want=len(down), sink=h.update).run()
    assert r.digest() == sha(up) and h.hexdigest() == sha(down)


def test_inbound_both_ways(daemon, net, fam):
    g = daemon("-t", "7001").connect()
    g.hello(fam)
    c, s = inbound(g, net, fam, 7001, mss=1400, ws=7)
    up, down = pattern(2 * MB, 1), pattern(2 * MB, 2)
    h = hashlib.sha256()
    r = Reader(s, len(up))
    Writer(s, down)
    Bulk(c, up, want=len(down), sink=h.update).run()
    assert r.digest() == sha(up) and h.hexdigest() == sha(down)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("way", ["up", "down"])
def test_loss_and_reordering(daemon, net, fam, way, seed):
    """1 % lost and 1 % reordered, in each direction: byte-exact."""
    g = daemon("--mtu", "1500").connect(mtu=1500)
    c, s = outbound(g, net, fam, mss=1400, ws=7, sack=seed == 2)
    data = pattern(3 * MB, seed)
    g.lossy_in, g.lossy_out = Lossy(seed=seed), Lossy(seed=seed + 100)
    c.strict = False            # what comes late looks like a step back
    if way == "up":
        r = Reader(s, len(data))
        Bulk(c, data).run()
        assert r.digest() == sha(data)
    else:
        h = hashlib.sha256()
        Writer(s, data)
        Bulk(c, want=len(data), sink=h.update).run()
        assert h.hexdigest() == sha(data)
    assert g.lossy_in.lost + g.lossy_out.lost > 10


def test_heavy_loss(daemon, net, fam):
    """10 % each way: slow, but exact to the last byte and the FINs."""
    g = daemon("--mtu", "1500").connect(mtu=1500)
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(200000)
    g.lossy_in = Lossy(0.1, 0.05, seed=3)
    g.lossy_out = Lossy(0.1, 0.05, seed=4)
    c.strict = False
    r = Reader(s)
    Bulk(c, data, fin=True).run()
    assert r.digest() == sha(data)


def test_slow_reader(daemon, net, fam):
    """A reader slower than the guest: the window follows it; no byte lost,
    and the guest's timer hardly runs out."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, ws=7, rcvbuf=32768)
    data = pattern(3 * MB)
    got = hashlib.sha256()

    def read():
        n = 0
        while n < len(data):
            b = s.recv(65536)
            got.update(b)
            n += len(b)
            time.sleep(0.004)
    t = threading.Thread(target=read, daemon=True)
    t.start()
    b = Bulk(c, data).run()
    t.join(2 * PATIENCE)
    assert got.hexdigest() == sha(data)
    assert b.timeouts <= 5 or b.lag.worst > b.RTO / 2


def test_slow_guest(daemon, net, fam):
    """A guest that takes a window of 8 KiB, closes it, opens it."""
    g = daemon().connect()
    c, s = outbound(g, net, fam, mss=1400, win=8192)
    data = pattern(300000)
    Writer(s, data)
    have = 0
    while have < len(data):
        c.ack(win=0)
        c.clear(0.02)
        c.ack()
        wait_for(lambda: c.g.poll(0.01) and len(c.stream) > have)
        while c.g.poll(0.01):           # until the window is used up
            pass
        have = len(c.stream)
        c.rcv_nxt = c.irs + 1 + have & 0xffffffff
    assert c.stream == data
    c.ack()


def test_upload_grows_send_buffer(daemon, net):
    """Over a path of MTU 1500 the host's send buffer must be let to grow:
    the bytes in flight exceed what a stuck buffer would hold."""
    from rig.net import V4
    g = daemon().connect()
    c, s = outbound(g, net, V4, mss=65000, ws=7)
    s.setsockopt(1, 33, 32 << 20)
    r = Reader(s, 64 * MB)
    data = pattern(8 * MB) * 8
    watch = g.stopwatch()
    Bulk(c, data).run()
    took = watch.took()
    assert r.digest() == sha(data)
    assert took < 20


def test_daemon_sequence_wraps(daemon, net):
    """The daemon's sequence number passes 2^32 in a download."""
    from rig.net import V4
    g = daemon().connect()
    ls = net.remote.listen(V4.remote)
    span = 24 * MB
    for _ in range(3000):
        c = Conn(g, V4.remote, ls.getsockname()[1], src=V4.guest, mss=65000,
                 ws=7)
        c.open()
        s, _ = ls.accept()
        if c.irs > (1 << 32) - span:
            break
        c.rst()
        c.forget()
        s.close()
    else:
        pytest.skip("no initial sequence number near the end")
    n = (1 << 32) - c.irs + 100000
    data = pattern(n)
    h = hashlib.sha256()
    Writer(s, data)
    Bulk(c, want=n, sink=h.update).run()
    assert h.hexdigest() == sha(data)
    c.send(b"x")
    c.expect_ack()


# -- many -------------------------------------------------------------------

@pytest.fixture
def files():
    """Room for thousands of sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (min(max(soft, 10000), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_2000_connections_from_guest(files, daemon, net):
    """All answered, one descriptor each, below 8 MB more memory."""
    from rig.net import V4
    d = daemon()
    g = d.connect()
    g.hello(V4)
    fds, rss = d.fds(), d.rss()
    ls = net.remote.listen(V4.remote)
    port = ls.getsockname()[1]
    conns = [Conn(g, V4.remote, port, src=V4.guest, sport=10000 + i)
             for i in range(2000)]
    servers = []
    for i in range(0, 2000, 100):
        for c in conns[i:i + 100]:
            c.syn()
            c.snd_nxt = c.isn + 1
        for c in conns[i:i + 100]:
            c.expect("SA")
            c.send(b"%d" % c.sport)
        for _ in range(100):
            servers.append(ls.accept()[0])
    for s in servers:
        assert 10000 <= int(s.recv(10)) < 12000
        s.sendall(b"ok")
    for c in conns:
        assert c.read(2) == b"ok"
    assert d.fds() - fds == 2000
    assert d.rss() - rss < 8 << 20
    for c in conns:
        c.rst()
    wait_for(lambda: d.fds() == fds, what="all closed")
    for s in servers:
        s.close()


def test_slow_guest_takes_a_syn_once(daemon, net):
    """A guest so slow that SYNs come again before it has looked at any."""
    from rig.net import V6
    g = daemon("-t", "7001").connect()
    g.hello(V6)
    socks = [net.remote.connect(V6.host, 7001, src=V6.remote)]
    time.sleep(1.3)
    socks.append(net.remote.connect(V6.host, 7001, src=V6.remote))
    ports = set()
    for _ in socks:
        c = accept(g)
        c.answer()
        ports.add(c.dport)
    assert ports == {s.getsockname()[1] for s in socks}


def test_500_connections_to_guest(files, daemon, net):
    from rig.net import V6
    d = daemon("-t", "7001")
    g = d.connect()
    g.hello(V6)
    socks = [net.remote.connect(V6.host, 7001, src=V6.remote)
             for _ in range(500)]
    by_port = {s.getsockname()[1]: s for s in socks}
    for _ in range(500):
        c = accept(g)
        c.answer()
        c.send(b"%d" % c.dport)
        c.s = by_port[c.dport]
    for port, s in by_port.items():
        assert int(s.recv(10)) == port
