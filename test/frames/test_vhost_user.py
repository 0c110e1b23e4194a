# SPDX-License-Identifier: GPL-2.0-or-later
"""The vhost-user link, driven descriptor by descriptor: each feature, and each
way to break the protocol's or the queues' rules."""
import os
import random
import signal
import struct
import time

import pytest

from rig import pkt, vhost
from rig.flows import (Reader, Writer, inbound, is_reset, outbound, pattern,
                       read_all, wait_for)
from rig.net import V4
from rig.wait import PATIENCE

MAC = "52:54:00:12:34:56"
ARPING = pkt.eth(pkt.BCAST, MAC, pkt.ARP, pkt.arp(
    1, MAC, V4.guest, "00:00:00:00:00:00", V4.gw))
HDR = bytes(12)
G = vhost.GUEST


@pytest.fixture
def vdaemon(daemon):
    """A daemon with --vhost-user."""
    return lambda *opts, **kw: daemon(*opts, vhost_user=True, **kw)


@pytest.fixture
def front(vdaemon):
    """A front-end that has started its device; front(features, ...)."""
    made = []

    def start(features=vhost.PLAIN, d=None, setup=True, **kw):
        f = vhost.FrontEnd((d or vdaemon()).socket(), **kw)
        made.append(f)
        if setup:
            f.start(features)
        return f
    yield start
    for f in made:
        f.close()


def buffers(f, n=64, size=2048):
    """Offer n receive buffers; their offsets."""
    rx = f.rings[0]
    at = [f.alloc(size) for _ in range(n)]
    for i, off in enumerate(at):
        rx.set_desc(i, G + off, size, vhost.WRITE)
        rx.offer(i)
    f.notify(0)
    return at


def put(f, data):
    off = f.alloc(len(data))
    f.mem[off:off + len(data)] = data
    return off


def arp_replies(f, at, n=1, timeout=PATIENCE):
    """Wait for n ARP replies in buffers at these offsets, one each; where."""
    out = []
    end = time.monotonic() + timeout
    while len(out) < n:
        for head, size in f.rings[0].reap():
            frame = pkt.parse(bytes(f.mem[at[head] + 12:at[head] + size]))
            if frame.arp:
                assert frame.arp.op == 2
                out.append(at[head])
        assert time.monotonic() < end, "%d replies of %d" % (len(out), n)
        time.sleep(0.001)
    assert len(out) == n
    return out


def ended(s, writer=None):
    """Whether the connection was reset; which one of both is told of it."""
    if is_reset(s):
        return True
    if writer:
        # the one told of it may not have had the processor since
        writer.join(PATIENCE)
        return isinstance(writer.error, ConnectionResetError)
    return False


def drained(f, n):
    """Wait until all n chains sent came back."""
    wait_for(lambda: f.rings[1].used_idx() == n, what="chains back")


# -- features ---------------------------------------------------------------


def test_offered(front):
    f = front(setup=False)
    want = vhost.PLAIN | vhost.EVENT_IDX | vhost.INDIRECT | \
        vhost.ANY_LAYOUT | vhost.OFFLOADS | vhost.MTU | vhost.LOG_ALL | \
        vhost.GUEST_ANNOUNCE
    assert f.ask_u64(vhost.GET_FEATURES) == want
    assert f.ask_u64(vhost.GET_PROTOCOL_FEATURES) == \
        vhost.P_LOG | vhost.P_RARP | vhost.P_ACK | \
        vhost.P_MTU | vhost.P_RESET | vhost.P_SLOTS
    assert f.ask_u64(vhost.GET_QUEUE_NUM) == 2
    assert f.ask_u64(vhost.GET_MAX_MEM_SLOTS) >= 8


@pytest.mark.parametrize("protocol", [0, vhost.P_ACK, vhost.P_SLOTS,
                                      vhost.P_ACK | vhost.P_SLOTS])
def test_protocol_features(front, protocol):
    f = front(setup=False)
    f.start(protocol=protocol)
    at = buffers(f)
    f.rings[1].set_desc(0, G + put(f, HDR + ARPING), 12 + len(ARPING))
    f.rings[1].offer(0)
    f.notify(1)
    arp_replies(f, at)


@pytest.mark.parametrize("cuts", [
    (54,), (12, 42), (1, 53), (11, 1, 42), (13, 41), (12, 14, 28),
    (1,) * 54, (0, 12, 0, 42, 0)])
@pytest.mark.parametrize("indirect", [False, True])
def test_any_layout(front, cuts, indirect):
    """A frame and its header in pieces of all kinds."""
    f = front(vhost.PLAIN | vhost.INDIRECT)
    at = buffers(f)
    tx, off = f.rings[1], put(f, HDR + ARPING)
    table = f.alloc(16 * len(cuts)) if indirect else None
    base = 0 if indirect else 5
    for i, n in enumerate(cuts):
        tx.set_desc(base + i, G + off, n,
                    vhost.NEXT if i + 1 < len(cuts) else 0, base + i + 1,
                    table)
        off += n
    if indirect:
        tx.set_desc(5, G + table, 16 * len(cuts), vhost.IS_INDIRECT)
    tx.offer(5)
    f.notify(1)
    arp_replies(f, at)
    drained(f, 1)
    assert tx.reap() == [(5, 0)]


def test_not_before_the_kick(front):
    """What comes after a queue was looked at waits for a kick."""
    f = front()
    at = buffers(f)
    f.sync()
    tx = f.rings[1]
    tx.set_desc(0, G + put(f, HDR + ARPING), 12 + len(ARPING))
    tx.offer(0)
    f.sync()
    time.sleep(0.1)
    assert tx.used_idx() == 0
    f.notify(1)
    arp_replies(f, at)


def test_disabled_queue_discards(front):
    f = front()
    at = buffers(f)
    assert f.state(vhost.SET_VRING_ENABLE, 1, 0) == 0
    tx = f.rings[1]
    tx.set_desc(0, G + put(f, HDR + ARPING), 12 + len(ARPING))
    tx.offer(0)
    f.notify(1)
    drained(f, 1)
    time.sleep(0.1)
    with pytest.raises(AssertionError):
        arp_replies(f, at, 1, 0.1)
    assert f.state(vhost.SET_VRING_ENABLE, 1, 1) == 0
    tx.offer(0)
    f.notify(1)
    arp_replies(f, at)


@pytest.mark.parametrize("event_idx", [0, vhost.EVENT_IDX])
def test_one_notification_for_many(front, event_idx):
    f = front(vhost.PLAIN | event_idx)
    at = buffers(f, 200)
    f.notify(1)
    f.sync()
    tx, off = f.rings[1], put(f, HDR + ARPING)
    for i in range(100):
        tx.set_desc(i, G + off, 12 + len(ARPING))
        tx.offer(i, publish=False)
    f.called(0, 0.1)
    f.rings[0].used_event(f.rings[0].used_idx() + 99)
    tx.used_event(99)
    tx.publish()
    assert tx.wants_kick(0, event_idx)
    f.notify(1)
    assert f.called(0)
    arp_replies(f, at, 100)
    assert not f.called(0, 0.1)
    assert f.called(1)
    assert not f.called(1, 0.1)
    # not where it is not asked for
    tx.used_event(90)
    tx.avail_flags(1)
    tx.offer(0)
    f.notify(1)
    drained(f, 101)
    assert not f.called(1, 0.1)


def test_checksums_left_to_us(vdaemon, net, fam):
    """Frames with a partial checksum are taken; what is wrong without one is
    dropped."""
    d = vdaemon()
    g = d.connect(features=vhost.PLAIN | vhost.CSUM)
    s = net.remote.udp(fam.remote)
    g.hello(fam)
    port = g.sock
    whole = g.eth(pkt.ip(fam.guest, fam.remote, pkt.UDP, pkt.udp(
        fam.guest, fam.remote, 5060, s.getsockname()[1], b"hello")))
    l4 = len(whole) - 13
    wrong = whole[:l4 + 6] + b"\x12\x34" + whole[l4 + 8:]

    def send(frame, header):
        i = port.tx_free.pop()
        at = port.tx_buf[i]
        port.f.mem[at:at + 12 + len(frame)] = header + frame
        port.tx.set_desc(i, G + at, 12 + len(frame))
        port.tx.offer(i)
        port.f.notify(1)
    send(wrong, HDR)
    send(wrong, struct.pack("<BBHHHHH", 1, 0, 0, 0, l4, 6, 0))
    assert s.recv(100) == b"hello"
    send(wrong, struct.pack("<BBHHHHH", 1, 0, 0, 0, 60000, 6, 0))
    send(whole, HDR)
    assert s.recv(100) == b"hello"
    s.settimeout(0.2)
    with pytest.raises(TimeoutError):
        s.recv(100)


def test_segments_left_to_us(vdaemon, net, fam):
    """One frame of the guest's that stands for many."""
    d = vdaemon()
    g = d.connect(features=vhost.PLAIN | vhost.CSUM | vhost.HOST_TSO4 |
                  vhost.HOST_TSO6 | vhost.HOST_USO)
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(20000)
    frame = c.frame("PA", data)
    port = g.sock
    i = port.tx_free.pop()
    at = port.tx_buf[i]
    start = 34 if fam.v == 4 else 54
    port.f.mem[at:at + 12 + len(frame)] = struct.pack(
        "<BBHHHHH", 1, 1 if fam.v == 4 else 4, start + 20, 1400, start, 16,
        0) + frame
    port.tx.set_desc(i, G + at, 12 + len(frame))
    port.tx.offer(i)
    port.f.notify(1)
    assert read_all(s, 20000) == data


@pytest.mark.parametrize("features", [
    0, vhost.GUEST_CSUM,
    vhost.GUEST_CSUM | vhost.GUEST_TSO4 | vhost.GUEST_TSO6])
@pytest.mark.parametrize("size", [1526, 600, 4096, 66000])
def test_download(vdaemon, net, fam, features, size):
    """With offloads or not, into merged buffers of all sizes."""
    g = vdaemon().connect(features=vhost.PLAIN | features,
                          port={"rx_size": size, "num": 256})
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(1 << 20)
    Writer(s, data)
    assert c.read(len(data)) == data
    large = [n for h, n in g.sock.last if n > 1500]
    assert bool(large) == bool(features & vhost.GUEST_TSO4)


@pytest.mark.parametrize("features, size", [
    (vhost.VERSION_1, 1526), (0, 1524), (vhost.MRG_RXBUF, 1526),
    (vhost.VERSION_1 | vhost.GUEST_CSUM | vhost.GUEST_TSO4 |
     vhost.GUEST_TSO6, 65562)])
def test_buffers_not_merged(vdaemon, net, fam, features, size):
    """Also without virtio 1.0: a shorter header."""
    g = vdaemon("-m", "1500").connect(
        features=features | vhost.PROTOCOL, port={"rx_size": size}, mtu=1500)
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(300000)
    Writer(s, data)
    assert c.read(len(data)) == data
    c.send(data[:1400])
    assert read_all(s, 1400) == data[:1400]


@pytest.mark.parametrize("num", [4, 16])
def test_small_rings(vdaemon, net, fam, num):
    """Frames that the whole ring cannot hold are made smaller."""
    g = vdaemon().connect(port={"num": num})
    c, s = outbound(g, net, fam, ws=7)
    data = pattern(200000)
    Writer(s, data)
    assert c.read(len(data)) == data


def test_largest_ring(vdaemon, net, fam):
    g = vdaemon().connect(port={"num": 512})
    c, s = outbound(g, net, fam, ws=7)
    data = pattern(2 << 20)
    Writer(s, data)
    assert c.read(len(data)) == data


# -- stopping, starting, memory ----------------------------------------------


def test_stop_and_go_on(vdaemon, net, fam):
    """Queues stopped in the middle of transfers go on where they stood, as
    for a machine that is paused; connections stay."""
    g = vdaemon().connect()
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(400000)
    Writer(s, data)
    got = c.read(100000)
    port = g.sock
    for q, ring in enumerate(port.f.rings):
        base = port.f.stop_ring(q)
        assert (ring.idx - base) & 0xffff <= ring.num
        for fd in port.f.kick[q], port.f.call[q]:
            try:
                os.eventfd_read(fd)
            except BlockingIOError:
                pass
        port.f.start_ring(q, base)
        port.f.notify(q)
    got += c.read(len(data) - len(got))
    assert got == data


def test_memory_comes_and_goes(vdaemon, net, fam):
    """A region is taken away and comes back, while in use."""
    g = vdaemon().connect()
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(400000)
    Writer(s, data)
    got = c.read(50000)
    f = g.sock.f
    for _ in range(3):
        assert f.do(vhost.REM_MEM_REG, bytes(8) + f.region()) == 0
        time.sleep(0.05)
        assert f.set_memory() == 0
        got += c.read(50000)
    got += c.read(len(data) - len(got))
    assert got == data


def test_two_regions(front):
    """Memory in two pieces, a frame across both."""
    f = front(setup=False)
    f.negotiate()
    half = f.size // 2
    assert f.do(vhost.SET_MEM_TABLE, struct.pack("=II", 2, 0) +
                f.region(0, half) + f.region(half, half), [f.fd, f.fd]) == 0
    for q in range(2):
        f.start_ring(q)
    at = buffers(f)
    frame = HDR + ARPING
    f.mem[half - 20:half - 20 + len(frame)] = frame
    f.rings[1].set_desc(0, G + half - 20, len(frame))
    f.rings[1].offer(0)
    f.notify(1)
    arp_replies(f, at)


def test_dirty_log(front):
    """What is written is marked: buffers, and the used rings if asked for."""
    f = front(setup=False)
    f.start()
    log = os.memfd_create("log")
    bits = (G + f.size) // 4096 // 8
    os.ftruncate(log, bits)
    f.say(vhost.SET_LOG_BASE, struct.pack("=QQ", bits, 0), [log])
    assert struct.unpack("=Q", f.reply(vhost.SET_LOG_BASE)) == (0,)
    assert f.do(vhost.SET_FEATURES, struct.pack(
        "=Q", f.features | vhost.LOG_ALL)) == 0
    assert f.set_addr(0, 1, G + f.rings[0].used) == 0
    at = buffers(f, size=8192)
    f.rings[1].set_desc(0, G + put(f, HDR + ARPING), 12 + len(ARPING))
    f.rings[1].offer(0)
    f.notify(1)
    where = arp_replies(f, at)[0]

    def dirty(off):
        page = (G + off) // 4096
        return os.pread(log, 1, page // 8)[0] >> page % 8 & 1
    assert dirty(where)
    assert dirty(f.rings[0].used)
    assert not dirty(at[50])
    assert not dirty(f.rings[1].used)
    os.close(log)


def test_device_reset(vdaemon, fam):
    g = vdaemon().connect()
    g.hello(fam)
    f = g.sock.f
    assert f.do(vhost.RESET_DEVICE) == 0
    assert f.do(vhost.RESET_OWNER) == 0
    assert f.do(vhost.SET_FEATURES, struct.pack("=Q", f.features)) == 0
    for q, ring in enumerate(f.rings):
        base = ring.used_idx()
        f.start_ring(q, base)
        f.notify(q)
    g.hello(fam)


def test_reconnection(vdaemon, net, fam):
    """A hypervisor that was killed: its guest's connections end, the next one
    is served."""
    d = vdaemon("-t", "8022")
    g = d.connect()
    g.hello(fam)
    fds = d.fds() - d.client_fds
    g.close()
    for _ in range(4):
        g = d.connect()
        c, s = outbound(g, net, fam, mss=1400, ws=7)
        _, i = inbound(g, net, fam, 8022, mss=1400)
        w = Writer(s, pattern(100000))
        c.read(30000)
        g.close()
        assert ended(s, w)
        assert is_reset(i)
        wait_for(lambda: d.fds() == fds)


def go_on(f, d):
    """Take what is left of the queues to another daemon, as QEMU does."""
    f.sock.close()
    f.sock = d.socket()
    f.sock.settimeout(5)
    f.negotiate()
    assert f.set_memory() == 0
    for q, r in enumerate(f.rings):
        f.start_ring(q, r.used_idx())
    f.notify(0)


def test_next_daemon(front, vdaemon):
    """A daemon that ends leaves its queues to the next one: the driver kicks as
    it is asked to, by the flag, and knows of no other daemon."""
    first = vdaemon()
    f = front(d=first)
    rx, tx = f.rings
    at = buffers(f, 8)
    frame = put(f, HDR + ARPING)

    def ask():
        old = tx.idx
        tx.set_desc(old % tx.num, G + frame, len(HDR + ARPING))
        tx.offer(old % tx.num)
        if tx.wants_kick(old, False):
            f.notify(1)
        arp_replies(f, at)

    ask()
    wait_for(rx.used_flags, 3, "kicks for buffers not asked for")
    first.proc.send_signal(signal.SIGTERM)
    assert first.wait() == 0
    assert [r.used_flags() for r in f.rings] == [0, 0]
    go_on(f, vdaemon())
    for _ in range(3):
        ask()


def test_next_daemon_after_a_kill(vdaemon, front, net):
    """One that is killed leaves a used index, and no more: datagrams before may
    have been shorter than their room, no buffer is lost or used twice."""
    first = vdaemon()
    f = front(d=first)
    rx, tx = f.rings
    at = buffers(f, 64, 1526)
    s = net.remote.udp(V4.remote)
    dgram = HDR + pkt.eth(pkt.BCAST, MAC, pkt.IP4, pkt.ip(
        V4.guest, V4.remote, pkt.UDP, pkt.udp(
            V4.guest, V4.remote, 5060, s.getsockname()[1], b"hello")))
    used = []

    def send(data):
        i = tx.idx % tx.num
        tx.set_desc(i, G + put(f, data), len(data))
        tx.offer(i)
        f.notify(1)

    def reaped(n):
        def enough():
            used.extend(head for head, _ in rx.reap())
            return len(used) >= n
        wait_for(enough, what="buffers used")

    send(dgram)
    data, peer = s.recvfrom(100)
    os.kill(first.pid, signal.SIGSTOP)
    for _ in range(8):
        s.sendto(data, peer)
    os.kill(first.pid, signal.SIGCONT)
    reaped(8)
    first.proc.kill()
    assert first.wait() == -signal.SIGKILL
    go_on(f, vdaemon())
    for n in range(len(used), len(at)):
        send(HDR + ARPING)
        reaped(n + 1)
    assert sorted(used) == list(range(len(at)))


# -- a hostile guest ---------------------------------------------------------


def bad_index(f):
    f.rings[1].publish(1000)


def back_index(f):
    f.rings[1].publish(0xffff)


def bad_head(f):
    f.rings[1].offer(f.rings[1].num)


def loop(f):
    f.rings[1].set_desc(0, G, 1, vhost.NEXT, 1)
    f.rings[1].set_desc(1, G, 1, vhost.NEXT, 0)
    f.rings[1].offer(0)


def empty_loop(f):
    f.rings[1].set_desc(0, G, 0, vhost.NEXT, 0)
    f.rings[1].offer(0)


def next_beyond(f):
    f.rings[1].set_desc(0, G, 1, vhost.NEXT, f.rings[1].num)
    f.rings[1].offer(0)


def outside(f):
    f.rings[1].set_desc(0, G + f.size - 10, 60)
    f.rings[1].offer(0)


def before(f):
    f.rings[1].set_desc(0, G - 1, 60)
    f.rings[1].offer(0)


def wraps(f):
    f.rings[1].set_desc(0, (1 << 64) - 30, 60)
    f.rings[1].offer(0)


def length(f):
    f.rings[1].set_desc(0, G, 0xffffffff)
    f.rings[1].offer(0)


def writable(f):
    f.rings[1].set_desc(0, G, 60, vhost.WRITE)
    f.rings[1].offer(0)


def mixed(f):
    f.rings[1].set_desc(0, G, 60, vhost.NEXT, 1)
    f.rings[1].set_desc(1, G, 60, vhost.WRITE)
    f.rings[1].offer(0)


def nested(f):
    t = f.alloc(32)
    f.rings[1].set_desc(0, G + t, 16, vhost.IS_INDIRECT, table=t)
    f.rings[1].set_desc(0, G + t, 32, vhost.IS_INDIRECT)
    f.rings[1].offer(0)


def odd_table(f):
    f.rings[1].set_desc(0, G + f.alloc(32), 17, vhost.IS_INDIRECT)
    f.rings[1].offer(0)


def table_outside(f):
    f.rings[1].set_desc(0, G + f.size - 16, 32, vhost.IS_INDIRECT)
    f.rings[1].offer(0)


def table_and_more(f):
    f.rings[1].set_desc(0, G + f.alloc(32), 32,
                        vhost.IS_INDIRECT | vhost.NEXT, 1)
    f.rings[1].offer(0)


def table_loop(f):
    t = f.alloc(32)
    f.rings[1].set_desc(0, G, 1, vhost.NEXT, 1, t)
    f.rings[1].set_desc(1, G, 1, vhost.NEXT, 0, t)
    f.rings[1].set_desc(0, G + t, 32, vhost.IS_INDIRECT)
    f.rings[1].offer(0)


def rx_of(change):
    """A receive queue whose next buffers are like that, and data for it."""
    def breaks(f):
        rx = f.rings[0]
        for i in range(rx.num):
            change(f, rx, i)
    breaks.__name__ = "rx_" + change.__name__
    breaks.rx = True
    return breaks


def read_only(f, rx, i):
    rx.set_desc(i, G + f.size // 2, 2048)


def nowhere(f, rx, i):
    rx.set_desc(i, G + f.size, 2048, vhost.WRITE)


def too_small(f, rx, i):
    rx.set_desc(i, G + f.size // 2, 5, vhost.WRITE)


def no_bytes(f, rx, i):
    rx.set_desc(i, G + f.size // 2, 0, vhost.WRITE)


def endless(f, rx, i):
    rx.set_desc(i, G + f.size // 2, 0, vhost.WRITE | vhost.NEXT, i)


BREAKS = [bad_index, back_index, bad_head, loop, empty_loop, next_beyond,
          outside, before, wraps, length, writable, mixed, nested, odd_table,
          table_outside, table_and_more, table_loop, rx_of(read_only),
          rx_of(nowhere), rx_of(too_small), rx_of(no_bytes), rx_of(endless)]


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda b: b.__name__)
def test_broken_queue(vdaemon, net, breaks):
    """The device is stopped with one message, its connections end; a driver
    that starts anew is served."""
    d = vdaemon()
    g = d.connect(features=vhost.PLAIN | vhost.INDIRECT)
    c, s = outbound(g, net, V4, mss=1400)
    f, w = g.sock.f, None
    breaks(f)
    if hasattr(breaks, "rx"):
        # enough that buffers not looked at yet are needed
        w = Writer(s, bytes(4 << 20))
        for _ in range(300):
            port = g.sock
            old = port.rx.idx
            for head, _n in port.rx.reap():
                port.rx.offer(head)
            if port.rx.idx != old:
                f.notify(0)
            if f.failed(0.01):
                break
    else:
        f.notify(1)
    assert f.failed()
    assert ended(s, w)
    for _ in range(5):
        f.notify(0)
        f.notify(1)
    f.sync()
    lines = [x for x in d.stderr.splitlines() if "queue" in x]
    assert len(lines) == 1 and "device stopped" in lines[0], d.stderr
    # a new driver, on the same connection
    for q, ring in enumerate(f.rings):
        f.stop_ring(q)
        ring.clear()
    for q in range(2):
        f.start_ring(q)
    at = buffers(f)
    f.rings[1].set_desc(0, G + put(f, HDR + ARPING), 12 + len(ARPING))
    f.rings[1].offer(0)
    f.notify(1)
    arp_replies(f, at)


def test_frames_no_frame_is(front):
    """Dropped one by one, the queue goes on."""
    f = front()
    at = buffers(f)
    tx, off = f.rings[1], put(f, HDR + ARPING)
    big = f.alloc(70000)
    for i, (addr, n) in enumerate([(off, 0), (off, 1), (off, 12), (off, 25),
                                   (big, 12 + 65550), (big, 70000)]):
        tx.set_desc(i, G + addr, n)
        tx.offer(i)
    f.notify(1)
    drained(f, 6)
    junk = put(f, b"\xff" * 12 + ARPING)
    tx.set_desc(6, G + junk, 12 + len(ARPING))
    tx.offer(6)
    tx.set_desc(7, G + off, 12 + len(ARPING))
    tx.offer(7)
    f.notify(1)
    arp_replies(f, at)
    drained(f, 8)


@pytest.mark.parametrize("seed", range(4))
def test_random_rings(vdaemon, net, seed):
    """Rings and descriptors of random bytes: the daemon lives, and serves the
    next driver."""
    d = vdaemon()
    rng = random.Random(seed)
    end = time.monotonic() + (4 if os.environ.get("RIG_FUZZ") else 1)
    f = vhost.FrontEnd(d.socket(), num=16)
    f.start(vhost.PLAIN | vhost.INDIRECT | rng.choice([0, vhost.EVENT_IDX]))
    s = net.remote.udp(V4.remote)
    while time.monotonic() < end:
        for q, ring in enumerate(f.rings):
            for _ in range(rng.randrange(8)):
                near = rng.choice([0, 0, 0, f.size - 100, f.size])
                ring.set_desc(rng.randrange(16), G + near +
                              rng.randrange(3000), rng.choice(
                                  [0, 1, 12, 16, 32, 60, 1600, 70000]),
                              rng.choice([0, 1, 2, 3, 4, 4]),
                              rng.randrange(18))
            for _ in range(rng.randrange(4)):
                ring.offer(rng.randrange(16))
            if rng.random() < 0.1:
                off = rng.randrange(ring.size)
                f.mem[ring.desc + off] = rng.randrange(256)
            f.notify(q)
        if f.failed(0):
            os.eventfd_read(f.err[0])
            for q, ring in enumerate(f.rings):
                f.stop_ring(q)
                ring.clear()
                f.start_ring(q)
    s.close()
    f.close()
    d.connect().hello(V4)


def test_memory_cut_short(vdaemon, net, fam):
    """The file shrinks under transfers both ways: the device stops, not the
    daemon."""
    d = vdaemon()
    g = d.connect()
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    w = Writer(s, pattern(8 << 20))
    c.read(100000)
    f = g.sock.f
    os.ftruncate(f.fd, 0)
    f.notify(0)
    f.notify(1)
    assert f.is_closed()
    assert ended(s, w)
    d.wait_log("cut short")
    d.guests.clear()
    d.connect().hello(fam)


def test_memory_cut_behind_the_rings(vdaemon, net, fam):
    """What is missing is found by a system call, or by us."""
    d = vdaemon()
    g = d.connect()
    _, s = outbound(g, net, fam, mss=1400, ws=7)
    f = g.sock.f
    os.ftruncate(f.fd, f.rings[1].desc + f.rings[1].size)
    w = Writer(s, pattern(8 << 20))
    f.notify(0)
    assert ended(s, w)
    d.guests.clear()
    g.sock.close()
    d.connect().hello(fam)


# -- a hostile hypervisor ----------------------------------------------------


def closes(request, payload=b"", fds=0, flags=1, size=None):
    return request, payload, fds, flags, size


@pytest.mark.parametrize("msg", [
    closes(1, flags=0), closes(1, flags=2), closes(1, flags=5),
    closes(1, size=0xffffffff), closes(1, size=4096),
    closes(vhost.SET_FEATURES, b"1234567"),
    closes(vhost.SET_FEATURES, b"\xff" * 8),
    closes(vhost.SET_PROTOCOL_FEATURES, b"\xff" * 8),
    closes(vhost.SET_OWNER, fds=1),
    closes(vhost.SET_MEM_TABLE, struct.pack("=II", 1, 0)),
    closes(vhost.SET_MEM_TABLE, struct.pack("=II", 0xffffffff, 0)),
    closes(vhost.SET_MEM_TABLE, struct.pack("=II", 8, 0) + bytes(256), 9),
    closes(vhost.SET_MEM_TABLE, struct.pack("=II", 8, 0) + bytes(256), 200),
    closes(vhost.SET_MEM_TABLE, struct.pack("=IIQQQQ", 1, 0, 0, 4096, 0, 0),
           1),
    closes(vhost.ADD_MEM_REG, struct.pack("=QQQQQ", 0, 0, 1 << 62, 0, 0), 1),
    closes(vhost.SET_VRING_NUM, struct.pack("=II", 0, 255)),
    closes(vhost.SET_VRING_NUM, struct.pack("=II", 2, 256)),
    closes(vhost.SET_VRING_NUM, struct.pack("=II", 0, 65536)),
    closes(vhost.SET_VRING_BASE, struct.pack("=II", 0, 65536)),
    closes(vhost.SET_VRING_ADDR, bytes(40)),
    closes(vhost.SET_VRING_KICK, struct.pack("=Q", 0)),
    closes(vhost.SET_VRING_KICK, struct.pack("=Q", 0), 1),
    closes(vhost.SET_VRING_KICK, struct.pack("=Q", 0x100)),
    closes(vhost.SET_VRING_CALL, struct.pack("=Q", 5), 1),
    closes(vhost.SET_VRING_CALL, struct.pack("=Q", 1 << 40)),
    closes(vhost.GET_VRING_BASE, struct.pack("=II", 7, 0)),
    closes(vhost.SET_LOG_BASE, struct.pack("=QQ", 1 << 40, 0), 1),
    closes(vhost.REM_MEM_REG, bytes(40)),
], ids=lambda m: "%d-%d-%d" % (m[0], len(m[1]), m[2]))
def test_message_that_closes(vdaemon, front, msg):
    request, payload, fds, flags, size = msg
    d = vdaemon()
    f = front(d=d, setup=False)
    null = os.open("/dev/null", os.O_RDWR)
    head = struct.pack("=III", request, flags,
                       len(payload) if size is None else size)
    try:
        f.raw(head + payload, [null] * fds)
    finally:
        os.close(null)
    assert f.is_closed()
    d.wait_log("closed")
    assert len([x for x in d.stderr.splitlines() if "closed" in x]) == 1
    d.connect().hello(V4)


def test_message_cut_short(vdaemon, front):
    d = vdaemon()
    data = struct.pack("=IIIQ", vhost.SET_FEATURES, 1, 8, vhost.PLAIN)
    for n in range(1, len(data)):
        f = front(d=d, setup=False)
        f.raw(data[:n])
        f.sock.close()
    g = d.connect()
    g.hello(V4)
    assert d.fds() < 40


def test_random_messages(vdaemon):
    d = vdaemon()
    rng = random.Random(5)
    null = os.open("/dev/null", os.O_RDWR)
    end = time.monotonic() + (5 if os.environ.get("RIG_FUZZ") else 1.5)
    while time.monotonic() < end:
        f = vhost.FrontEnd(d.socket())
        try:
            if rng.random() < 0.5:
                f.start()
            for _ in range(20):
                payload = rng.choice([
                    rng.randbytes(rng.randrange(60)),
                    struct.pack("=II", rng.randrange(3), rng.randrange(300)),
                    struct.pack("=Q", rng.randrange(512))])
                f.say(rng.choice(range(42)), payload,
                      rng.choice([[], [], [null], [f.fd], [f.kick[0]],
                                  [null] * 8]), rng.choice([1, 9]))
        except (vhost.Closed, OSError):
            pass
        f.close()
    os.close(null)
    d.connect().hello(V4)
    assert d.fds() < 40


def test_second_client_closed(vdaemon):
    d = vdaemon()
    g = d.connect()
    g.hello(V4)
    f = vhost.FrontEnd(d.socket())
    assert f.is_closed()
    f.close()
    g.hello(V4)


def test_one_off(vdaemon):
    d = vdaemon("--one-off")
    g = d.connect()
    g.hello(V4)
    g.close()
    d.guests.clear()
    assert d.wait() == 0


def test_idle_no_wakeups(vdaemon, net, fam):
    """The guest does not read: data waits, and the daemon sleeps."""
    d = vdaemon()
    g = d.connect()
    _, s = outbound(g, net, fam, mss=1400, ws=7)
    Writer(s, pattern(4 << 20))
    time.sleep(1)
    d.sleeps(2, 25, 0.1)


def test_upload_and_download_at_once(vdaemon, net, fam):
    d = vdaemon()
    g = d.connect(features=vhost.PLAIN | vhost.EVENT_IDX | vhost.OFFLOADS)
    c, s = outbound(g, net, fam, mss=1400, ws=7)
    data = pattern(500000)
    Writer(s, data)
    r = Reader(s, 14000)
    for i in range(10):
        c.send(data[i * 1400:(i + 1) * 1400])
    assert c.read(len(data)) == data
    c.insist(data[:14000])
    r.digest()
