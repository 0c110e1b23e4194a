# SPDX-License-Identifier: GPL-2.0-or-later
"""A vhost-user front-end: a hypervisor and a virtio network driver in one.

FrontEnd sets a device up by the protocol (QEMU's docs/interop/vhost-user.rst)
and holds the guest's memory; Ring is the driver's side of a split virtqueue
(virtio 1.2, 2.7), of which a test may write any byte. Port puts a stream's
face on both, so that guest.Guest works over it unchanged.
"""
import array
import mmap
import os
import select
import socket
import struct
import threading
import time

from .wait import PATIENCE

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
 SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE,
 GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU) = range(1, 21)
RESET_DEVICE, GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG = 34, 36, 37, 38

CSUM, GUEST_CSUM, MTU = 1 << 0, 1 << 1, 1 << 3
GUEST_TSO4, GUEST_TSO6 = 1 << 7, 1 << 8
HOST_TSO4, HOST_TSO6 = 1 << 11, 1 << 12
MRG_RXBUF, GUEST_ANNOUNCE = 1 << 15, 1 << 21
LOG_ALL, ANY_LAYOUT, INDIRECT, EVENT_IDX = 1 << 26, 1 << 27, 1 << 28, 1 << 29
PROTOCOL, VERSION_1 = 1 << 30, 1 << 32
GUEST_USO4, GUEST_USO6, HOST_USO = 1 << 54, 1 << 55, 1 << 56

P_LOG, P_RARP, P_ACK, P_MTU = 2, 4, 8, 16
P_RESET, P_SLOTS = 1 << 13, 1 << 15

NEXT, WRITE, IS_INDIRECT = 1, 2, 4
NEED_REPLY = 8

GUEST = 0x40000000          # guest-physical address of the memory
USER = 0x7e0000000000       # and its address in the "hypervisor"
PLAIN = VERSION_1 | MRG_RXBUF | PROTOCOL


OFFLOADS = CSUM | GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | HOST_TSO4 | \
    HOST_TSO6 | GUEST_USO4 | GUEST_USO6 | HOST_USO
NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 = 0, 1, 4, 5


def inet_sum(data):
    """The Internet checksum's sum, folded, not complemented (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def complete(frame, start, off):
    """Complete a partial checksum, as hardware would."""
    f = bytearray(frame)
    csum = ~inet_sum(bytes(f[start:])) & 0xffff
    struct.pack_into("!H", f, start + off, csum or 0xffff)
    return bytes(f)


def segments(frame, kind, size, start, off):
    """Cut a frame that stands for many into those, with checksums."""
    v6 = frame[12:14] == b"\x86\xdd"
    udp = kind == GSO_UDP_L4
    hlen = start + (8 if udp else (frame[start + 12] >> 4) * 4)
    payload = frame[hlen:]
    # The partial sum is of the pseudo-header, its length included
    partial = struct.unpack_from("!H", frame, start + off)[0]
    whole = len(frame) - start
    out = []
    for at in range(0, len(payload), size):
        part = payload[at:at + size]
        h = bytearray(frame[:hlen])
        l4 = hlen - start + len(part)
        if v6:
            struct.pack_into("!H", h, 18, start - 54 + l4)
        else:
            ident = struct.unpack_from("!H", h, 18)[0]
            struct.pack_into("!HH", h, 16, start - 14 + l4,
                             ident + len(out) & 0xffff)
            struct.pack_into("!H", h, 24, 0)
            struct.pack_into("!H", h, 24, ~inet_sum(h[14:start]) & 0xffff)
        if udp:
            struct.pack_into("!H", h, start + 4, l4)
        else:
            seq = struct.unpack_from("!I", h, start + 4)[0]
            struct.pack_into("!I", h, start + 4, seq + at & 0xffffffff)
            if at + size < len(payload):
                h[start + 13] &= ~0x09          # FIN, PSH
        pseudo = inet_sum(struct.pack("!HHH", partial, ~whole & 0xffff, l4))
        struct.pack_into("!H", h, start + off, pseudo)
        out.append(complete(bytes(h) + part, start, off))
    return out


_lock = threading.Lock()


def fence():
    """A full memory barrier: what was written is seen before what is read."""
    with _lock:             # a locked instruction, which is one
        pass


class Closed(Exception):
    """The daemon has closed the connection."""


class Ring:
    """The driver's side of a queue of num descriptors, at off in memory."""

    def __init__(self, mem, off, num):
        self.mem, self.num, self.desc = mem, num, off
        self.half = memoryview(mem).cast("H")
        self.avail = off + 16 * num
        self.used = (self.avail + 6 + 2 * num + 4095) & ~4095
        self.end = self.used + 6 + 8 * num
        self.size = (self.end - off + 4095) & ~4095
        self.clear()

    def clear(self):
        self.mem[self.desc:self.end] = bytes(self.end - self.desc)
        self.idx = 0            # available
        self.seen = 0           # used

    def put(self, off, fmt, *values):
        struct.pack_into("<" + fmt, self.mem, off, *values)

    def put16(self, off, value):
        """What the device looks at meanwhile: in one piece, where pack_into()
        writes zeroes first."""
        self.half[off // 2] = value

    def get(self, off, fmt):
        return struct.unpack_from("<" + fmt, self.mem, off)

    def set_desc(self, i, addr, length, flags=0, nxt=0, table=None):
        self.put((self.desc if table is None else table) + 16 * i, "QIHH",
                 addr, length, flags, nxt)

    def offer(self, head, publish=True):
        self.put(self.avail + 4 + 2 * (self.idx % self.num), "H", head)
        self.idx = (self.idx + 1) & 0xffff
        if publish:
            self.publish()

    def publish(self, idx=None):
        self.put16(self.avail + 2, self.idx if idx is None else idx)

    def avail_flags(self, flags):
        self.put16(self.avail, flags)

    def used_event(self, idx):
        """With EVENT_IDX: to be told when that one has been used."""
        self.put16(self.avail + 4 + 2 * self.num, idx & 0xffff)

    def avail_event(self):
        return self.get(self.used + 4 + 8 * self.num, "H")[0]

    def used_flags(self):
        return self.get(self.used, "H")[0]

    def used_idx(self):
        return self.get(self.used + 2, "H")[0]

    def reap(self):
        """[(head, length)] of what was used since."""
        out = []
        idx = self.used_idx()
        while self.seen != idx:
            out.append(self.get(self.used + 4 + 8 * (self.seen % self.num),
                                "II"))
            self.seen = (self.seen + 1) & 0xffff
        return out

    def wants_kick(self, old, event_idx):
        """Whether the device asked for a kick, of what was offered since."""
        fence()
        if not event_idx:
            return not self.used_flags() & 1
        event = self.avail_event()
        return ((self.idx - event - 1) & 0xffff) < ((self.idx - old) & 0xffff)


class FrontEnd:
    """A connection, memory of that many bytes, and two rings in it."""

    def __init__(self, sock, size=64 << 20, num=256):
        self.sock = sock
        sock.setblocking(True)
        sock.settimeout(PATIENCE)
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, size)
        self.size = size
        self.mem = mmap.mmap(self.fd, size)
        self.protocol = self.features = 0
        self.kick = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.call = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.err = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.rings = []
        off = 0
        for _ in range(2):
            self.rings.append(Ring(self.mem, off, num))
            off += self.rings[-1].size
        self.free = off

    def close(self):
        self.sock.close()
        for fd in [self.fd] + self.kick + self.call + self.err:
            if fd >= 0:
                os.close(fd)
        self.fd, self.kick, self.call, self.err = -1, [], [], []

    def alloc(self, n, align=64):
        """Offset of n unused bytes."""
        off = (self.free + align - 1) // align * align
        self.free = off + n
        assert self.free <= self.size
        return off

    # -- messages -----------------------------------------------------------

    def raw(self, data, fds=()):
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], anc)

    def say(self, request, payload=b"", fds=(), flags=1):
        self.raw(struct.pack("=III", request, flags, len(payload)) + payload,
                 fds)

    def read(self, n):
        data = b""
        while len(data) < n:
            try:
                part = self.sock.recv(n - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed
            data += part
        return data

    def reply(self, request):
        got, flags, size = struct.unpack("=III", self.read(12))
        assert (got, flags) == (request, 5)
        return self.read(size)

    def ask(self, request, payload=b""):
        self.say(request, payload)
        return self.reply(request)

    def ask_u64(self, request):
        return struct.unpack("=Q", self.ask(request))[0]

    def do(self, request, payload=b"", fds=()):
        """With a reply where there can be one; its value, 0: done."""
        if not self.protocol & P_ACK:
            self.say(request, payload, fds)
            return 0
        self.say(request, payload, fds, 1 | NEED_REPLY)
        return struct.unpack("=Q", self.reply(request))[0]

    def sync(self):
        """All that was said before has been done."""
        self.ask_u64(GET_FEATURES)

    def is_closed(self, timeout=PATIENCE):
        self.sock.settimeout(timeout)
        try:
            return not self.sock.recv(1)
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    # -- set-up -------------------------------------------------------------

    def negotiate(self, features=PLAIN, protocol=None):
        offered = self.ask_u64(GET_FEATURES)
        assert offered & features == features, hex(features & ~offered)
        if features & PROTOCOL:
            self.protocol = self.ask_u64(GET_PROTOCOL_FEATURES) \
                if protocol is None else protocol
            self.say(SET_PROTOCOL_FEATURES,
                     struct.pack("=Q", self.protocol))
        self.say(SET_OWNER)
        self.features = features
        assert self.do(SET_FEATURES, struct.pack("=Q", features)) == 0

    def region(self, off=0, size=None):
        return struct.pack("=QQQQ", GUEST + off, size or self.size,
                           USER + off, off)

    def set_memory(self):
        if self.protocol & P_SLOTS:
            return self.do(ADD_MEM_REG, bytes(8) + self.region(), [self.fd])
        return self.do(SET_MEM_TABLE, struct.pack("=II", 1, 0) +
                       self.region(), [self.fd])

    def set_addr(self, q, flags=0, log=0):
        r = self.rings[q]
        return self.do(SET_VRING_ADDR, struct.pack(
            "=IIQQQQ", q, flags, USER + r.desc, USER + r.used,
            USER + r.avail, log))

    def state(self, request, q, value):
        return self.do(request, struct.pack("=II", q, value))

    def set_fd(self, request, q, fd):
        return self.do(request, struct.pack("=Q", q), [fd])

    def start_ring(self, q, base=0):
        assert self.state(SET_VRING_NUM, q, self.rings[q].num) == 0
        assert self.state(SET_VRING_BASE, q, base) == 0
        assert self.set_addr(q) == 0
        assert self.set_fd(SET_VRING_KICK, q, self.kick[q]) == 0
        assert self.set_fd(SET_VRING_CALL, q, self.call[q]) == 0
        assert self.set_fd(SET_VRING_ERR, q, self.err[q]) == 0
        if self.features & PROTOCOL:
            assert self.state(SET_VRING_ENABLE, q, 1) == 0

    def start(self, features=PLAIN, protocol=None):
        self.negotiate(features, protocol)
        assert self.set_memory() == 0
        for q in range(2):
            self.start_ring(q)

    def stop_ring(self, q):
        """Stop a queue; the index of its next chain."""
        got, base = struct.unpack("=II", self.ask(
            GET_VRING_BASE, struct.pack("=II", q, 0)))
        assert got == q
        return base

    def notify(self, q):
        os.eventfd_write(self.kick[q], 1)

    def called(self, q, timeout=PATIENCE):
        """Whether the device told of what it has used, in time."""
        if not select.select([self.call[q]], [], [], timeout)[0]:
            return False
        os.eventfd_read(self.call[q])
        return True

    def failed(self, timeout=PATIENCE):
        """Whether the device told of an error, in time."""
        return bool(select.select([self.err[0]], [], [], timeout)[0])


class Port:
    """A stream socket's face: frames with their length before each."""

    def __init__(self, sock, features=PLAIN | EVENT_IDX | INDIRECT, num=256,
                 rx_size=1526):
        self.f = FrontEnd(sock, num=num)
        self.f.start(features)
        self.features = features
        self.hlen = 12 if features & (VERSION_1 | MRG_RXBUF) else 10
        self.rx, self.tx = self.f.rings
        self.rx_size = rx_size
        self.rx_buf = [self.f.alloc(rx_size) for _ in range(num)]
        self.tx_buf = [self.f.alloc(65549 + 12) for _ in range(num)]
        self.tx_free = list(range(num))
        self.out = bytearray()
        self.merged = b""
        self.merging = 0
        self.header = b""
        self.last = []          # (header, frame length) as received
        self.gone = False
        self.epoll = select.epoll()
        for fd in self.f.call:
            self.epoll.register(fd, select.EPOLLIN)
        self.epoll.register(sock, select.EPOLLIN)
        for i in range(num):
            self.give(i)
        self.rx.publish()
        self.f.notify(0)

    def fileno(self):
        return self.epoll.fileno()

    def setblocking(self, on):
        """There is nothing that could block."""

    def close(self):
        self.epoll.close()
        self.f.close()

    def shutdown(self, how):
        self.f.sock.shutdown(how)

    def give(self, i):
        self.rx.set_desc(i, GUEST + self.rx_buf[i], self.rx_size, WRITE)
        self.rx.offer(i, publish=False)

    def __repr__(self):
        return "".join("queue %d: available %d, event %d, used %d, seen %d\n" %
                       (q, r.idx, r.avail_event(), r.used_idx(), r.seen)
                       for q, r in enumerate(self.f.rings)) + \
            "%d bytes waiting, %d buffers free%s" % (
                len(self.out), len(self.tx_free),
                ", device stopped" if self.f.failed(0) else "")

    def kick(self, q, ring, old):
        ring.publish()
        if ring.wants_kick(old, self.features & EVENT_IDX):
            self.f.notify(q)

    # -- poll.poll(), as far as it is used ------------------------------------

    def poll(self, ms=None):
        self.rx.used_event(self.rx.seen)
        self.tx.used_event(self.tx.seen if self.out else self.tx.seen - 1)
        fence()
        if self.rx.used_idx() != self.rx.seen or self.gone or \
                (self.out and self.tx.used_idx() != self.tx.seen):
            return True
        return bool(self.epoll.poll(None if ms is None else ms / 1000)) or \
            self.rx.used_idx() != self.rx.seen

    def unregister(self, sock):
        pass

    # -- socket ---------------------------------------------------------------

    def pump(self):
        """As many frames as there are whole ones, and room in the ring."""
        self.tx_free += [head for head, _ in self.tx.reap()]
        off, old = 0, self.tx.idx
        while len(self.out) - off >= 4 and self.tx_free:
            n = int.from_bytes(self.out[off:off + 4], "big")
            if len(self.out) - off - 4 < n:
                break
            i = self.tx_free.pop()
            at = self.tx_buf[i]
            self.f.mem[at:at + self.hlen] = bytes(self.hlen)
            self.f.mem[at + self.hlen:at + self.hlen + n] = \
                bytes(self.out[off + 4:off + 4 + n])
            self.tx.set_desc(i, GUEST + at, self.hlen + n)
            self.tx.offer(i, publish=False)
            off += 4 + n
        del self.out[:off]
        if off:
            self.kick(1, self.tx, old)

    def send(self, data):
        if len(self.out) > 1 << 20:
            self.pump()
            raise BlockingIOError
        self.out += data
        self.pump()
        # Nobody may call us again: what is sent is to arrive, as in a socket
        end = time.monotonic() + PATIENCE
        while self.out and not self.tx_free and time.monotonic() < end:
            time.sleep(0.0005)
            self.pump()
        return len(data)

    def frames(self):
        """What has been received, with what was left to us done."""
        flags, kind, _, size, start, off = struct.unpack_from(
            "<BBHHHH", self.header)
        self.last = self.last[-1000:] + [(self.header, len(self.merged))]
        if not flags & NEEDS_CSUM:
            assert kind == GSO_NONE, "segments without a checksum"
            return [self.merged]
        assert self.features & GUEST_CSUM, "checksum left to us"
        if kind == GSO_NONE:
            return [complete(self.merged, start, off)]
        assert self.features & {
            GSO_TCPV4: GUEST_TSO4, GSO_TCPV6: GUEST_TSO6,
            GSO_UDP_L4: GUEST_USO4}[kind], "segments left to us"
        return segments(self.merged, kind, size, start, off)

    def recv(self, size):
        for fd, _ in self.epoll.poll(0):
            if fd == self.f.sock.fileno():
                self.gone = True
            else:
                os.eventfd_read(fd)
        self.pump()
        out, old = [], self.rx.idx
        for head, n in self.rx.reap():
            at = self.rx_buf[head]
            data = bytes(self.f.mem[at:at + n])
            if not self.merging:
                self.merging = data[10] | data[11] << 8 \
                    if self.features & MRG_RXBUF else 1
                assert self.merging, "no number of buffers"
                self.header, data = data[:self.hlen], data[self.hlen:]
            self.merged += data
            self.merging -= 1
            if not self.merging:
                for f in self.frames():
                    out += [len(f).to_bytes(4, "big"), f]
                self.merged = b""
            self.give(head)
        if self.rx.idx != old:
            self.kick(0, self.rx, old)
        if not out and not self.gone:
            raise BlockingIOError
        return b"".join(out)
