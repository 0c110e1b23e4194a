# SPDX-License-Identifier: GPL-2.0-or-later
"""Each system call of the daemon fails once, and for a while.

A short life of a guest (class Life) is lived again and again; each time the
next of the calls that it makes fails, as that call may (ERRORS). Whatever
happens, what was acknowledged arrives or the connection is reset, the
descriptors come back, nothing spins, and the next guest is served. Over the
vhost-user link a shorter life, with the set-up of its device.

With RIG_SOAK over IPv6, too.
"""
import errno
import os
import re
import socket
import time

import pytest

from rig import daemon as rd
from rig import dhcp, pkt, vhost
from rig.fault import FOR_EVER, Faults
from rig.flows import pattern, reset, wait_for
from rig.net import V4, V6, af
from rig.tcp import Bulk, Conn
from rig.wait import PATIENCE

SOAK = bool(os.environ.get("RIG_SOAK"))
MEMORY = (errno.ENOMEM, errno.ENOBUFS)
TABLE = (errno.EMFILE, errno.ENFILE)
AWAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED)

# What fails in the loop. EINTR and EAGAIN only once: for ever they are no fault
ERRORS = {
    "socket": TABLE + MEMORY + (errno.EACCES,),
    "connect": AWAY + MEMORY + (errno.EADDRNOTAVAIL, errno.EPERM,
                                errno.EAGAIN, errno.ETIMEDOUT),
    "bind": MEMORY[:1] + (errno.EADDRINUSE, errno.EACCES,
                          errno.EADDRNOTAVAIL),
    "accept4": TABLE + MEMORY + (errno.ECONNABORTED, errno.EINTR,
                                 errno.EAGAIN, errno.EPERM),
    "getsockopt": MEMORY,
    "setsockopt": MEMORY + (errno.EPERM, errno.ENOPROTOOPT),
    "getsockname": MEMORY[1:],
    "sendmsg": MEMORY + AWAY + (errno.EAGAIN, errno.EINTR, errno.EPERM,
                                errno.EPIPE, errno.EMSGSIZE),
    "sendmmsg": MEMORY + AWAY + (errno.EAGAIN, errno.EINTR, errno.EPERM),
    "recvmsg": MEMORY[:1] + (errno.EINTR, errno.ECONNRESET,
                             errno.ETIMEDOUT, errno.EHOSTUNREACH),
    "recvmmsg": MEMORY[:1] + (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED),
    "recv": MEMORY[:1] + (errno.EAGAIN, errno.EINTR, errno.ECONNRESET),
    "recvfrom": MEMORY[:1] + (errno.EAGAIN, errno.EINTR),
    "epoll_ctl": (errno.ENOMEM, errno.ENOSPC),
    "epoll_wait": (errno.EINTR,),
    "shutdown": (errno.ENOTCONN,),
    "ioctl": (errno.ENOMEM,),
}
# Over vhost-user: what that link does besides, and a few of the others
VHOST = {
    "accept4": TABLE[:1] + MEMORY[:1],
    "recvmsg": MEMORY[:1] + (errno.EINTR,),
    "send": MEMORY + (errno.EAGAIN,),
    "read": (errno.EAGAIN, errno.EINTR),
    "mmap": MEMORY[:1],
    "fstat": MEMORY[:1],
    "fcntl": MEMORY[:1],
    "epoll_ctl": MEMORY[:1],
    "epoll_wait": (errno.EINTR,),
    "recvmmsg": MEMORY[:1] + (errno.EAGAIN, errno.EINTR),
    "sendmmsg": MEMORY[1:] + (errno.EAGAIN,),
    "sendmsg": MEMORY[1:] + (errno.EAGAIN,),
}
# Of the device's set-up, whose front-end is then left
SETUP = ("accept4", "recvmsg", "send", "mmap", "fstat", "fcntl", "epoll_ctl")
# Not for a while: what the next call is free of, as of the network's errors,
# which a socket tells once; and what reads only, for which the kernel needs no
# memory
ONCE = (errno.EINTR, errno.EAGAIN, errno.ECONNABORTED)
RECEIVES = ("recvmmsg", "recvfrom")
READS = ("recv", "recvmsg", "epoll_wait")
PORT = 7001


class Gone(Exception):
    """The daemon has closed the guest's link."""


class Life:
    """One guest's life with daemon d. `fault`: whether something was made to
    fail, so that a connection may end by a reset; never in between."""

    def __init__(self, d, net, faults, fam):
        self.d, self.net, self.f, self.fam = d, net, faults, fam
        self.g = None
        self.gone = 0
        self.steps = (self.hello, self.udp_out, self.udp_in, self.tcp_out,
                      self.tcp_in) if d.vhost else ()
        self.ls = net.remote.listen(self.fam.remote)
        self.us = net.remote.udp(self.fam.remote)
        for s in self.ls, self.us:
            s.setblocking(False)

    def close(self):
        self.ls.close()
        self.us.close()

    def faulty(self):
        return self.f.hits() > 0

    def pump(self, until, timeout=PATIENCE):
        """Wait until `until` holds; whether it does."""
        end = time.monotonic() + timeout
        while not until():
            if self.g.closed:
                raise Gone
            if time.monotonic() > end:
                return False
            self.g.poll(0.002)
        return True

    def try_again(self, what, ask, answered, wait=0.1):
        """What has no retransmission below: ask until answered."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ask()
            if self.pump(answered, wait):
                return
            wait *= 2
        raise AssertionError("%s: no answer\n%s" % (what, self.g.story()))

    def came(self, pred):
        def test():
            for f in self.g.q:
                if pred(f):
                    return True
            return False
        return test

    def run(self, *steps):
        """All of it, again where the link was closed."""
        for _ in range(3):
            try:
                self.g = self.connect()
                for step in steps or self.steps or (self.hello, self.dhcp, self.udp_out,
                                      self.udp_in, self.ping, self.tcp_out,
                                      self.tcp_in, self.reset):
                    step()
                return self
            except (Gone, BrokenPipeError):
                self.gone += 1
                self.leave()
        raise AssertionError("the link is closed again and again")

    def connect(self):
        try:
            return self.d.connect()
        except (AssertionError, vhost.Closed, OSError) as e:
            assert self.d.vhost and self.faulty(), \
                "no device, and nothing failed: %r" % e
            raise Gone from None

    def leave(self):
        if self.g:
            self.d.guests.remove(self.g)
            faults = self.g.faults
            self.g.close()
            self.g = None
            assert not faults, faults

    # -- steps ----------------------------------------------------------------

    def hello(self):
        g, fam = self.g, self.fam
        g.own.add(fam.guest)
        if fam.v == 4:
            self.try_again("ARP", lambda: g.arp(1, fam.guest, fam.gw),
                           self.came(lambda f: f.arp and f.arp.op == 2), 0.3)
        else:
            self.try_again("NS", lambda: g.ns(fam.guest, fam.gw), self.came(
                lambda f: f.icmp and f.icmp.type == 136), 0.3)

    def dhcp(self):
        self.try_again("DHCP", lambda: dhcp.send(self.g, dhcp.DISCOVER),
                       self.came(dhcp.is_reply), 0.3)

    def udp_out(self, sport=5001):
        def answered():
            try:
                data, peer = self.us.recvfrom(2000)
                self.us.sendto(data, peer)
            except BlockingIOError:
                pass
            return self.came(lambda f: f.udp and f.udp.dport == sport)()
        for _ in range(2):
            self.try_again("UDP", lambda: self.g.udp(
                self.fam.guest, self.fam.remote, sport, self.us.getsockname()[1],
                b"out"), answered, 0.04)
            self.g.q.clear()

    def udp_in(self):
        s = self.net.remote.udp(self.fam.remote)
        s.setblocking(False)
        port = s.getsockname()[1]

        def answered():
            for f in self.g.q:
                if f.udp and f.udp.dport == PORT:
                    self.g.udp(self.fam.guest, self.fam.remote, PORT, port, f.udp.data)
            self.g.q.clear()
            try:
                return s.recv(2000) == b"in"
            except BlockingIOError:
                return False
        try:
            for _ in range(2):
                self.try_again("UDP in", lambda: s.sendto(
                    b"in", (self.fam.host, PORT)), answered, 0.04)
        finally:
            s.close()

    def ping(self):
        for i in range(2):
            self.try_again("ping", lambda: self.g.echo(
                self.fam.guest, self.fam.remote, 77, i, b"ping"), self.came(
                    lambda f: f.icmp and f.icmp.type in (0, 129) and
                    f.icmp.seq == i), 0.04)

    def tcp_out(self):
        for _ in range(4):
            c = Conn(self.g, self.fam.remote, self.ls.getsockname()[1],
                     src=self.fam.guest, mss=1400, ws=7)
            try:
                if self.syn(c):
                    self.transfer(c, self.accepted())
                    return
                assert self.faulty(), "refused, and nothing failed"
            finally:
                c.forget()
        raise AssertionError("refused again and again")

    def reset(self):
        """The server sends, and resets: what it sent comes first."""
        c = Conn(self.g, self.fam.remote, self.ls.getsockname()[1],
                 src=self.fam.guest, mss=1400, ws=7)
        if self.syn(c):
            s = self.accepted()
            try:
                s.sendall(b"last words")
            except OSError:
                assert self.faulty(), "reset, and nothing failed"
            assert self.pump(lambda: c.q), "nothing of what was sent"
            reset(s)
            assert self.pump(lambda: c.q[-1].tcp.R), "no reset"
        else:
            assert self.faulty(), "refused, and nothing failed"
        c.forget()

    def syn(self, c):
        """Open as a guest does: again, if nothing comes. False: refused."""
        wait, end = 0.15, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            c.seg("S", seq=c.isn, opts=c.syn_options())
            c.snd_nxt = c.isn + 1 & 0xffffffff
            if self.pump(lambda: c.q or self.came(
                    lambda f: f.icmp and f.icmp.type in (1, 3))(), wait):
                break
            wait *= 2
        if not c.q:
            self.g.q.clear()
            return False
        t = c.q.popleft().tcp
        if t.R:
            return False
        assert t.letters == "SA", t.letters
        c.ack()
        return True

    def accepted(self):
        """What came of the SYN; older ones were reset before they began."""
        s = None
        def have():
            nonlocal s
            try:
                while True:
                    t = self.ls.accept()[0]
                    if s:
                        s.close()
                    s = t
            except BlockingIOError:
                return s
        assert self.pump(have), "open for the guest, not for the server"
        return s

    def tcp_in(self):
        for _ in range(4):
            s = self.net.remote.socket(af(self.fam.host), socket.SOCK_STREAM)
            s.setblocking(False)
            s.bind((self.fam.remote, 0))
            port = s.getsockname()[1]
            s.connect_ex((self.fam.host, PORT))
            over = False

            def came():
                nonlocal over
                over = over or bool(s.getsockopt(socket.SOL_SOCKET,
                                                 socket.SO_ERROR))
                return over or self.came(is_syn)()

            def is_syn(f):
                return f.tcp and f.tcp.S and f.tcp.sport == port
            assert self.pump(came), "nothing came of a client\n" + \
                self.g.story()
            if over:
                self.g.poll(0.02)
                if self.g.closed:
                    raise Gone
                assert self.faulty(), "client refused, and nothing failed"
                s.close()
                continue
            f = self.g.expect(is_syn, 0)
            c = Conn.accept(self.g, f, mss=1400, ws=7)
            try:
                c.seg("SA", seq=c.isn, opts=c.syn_options())
                c.snd_nxt = c.isn + 1 & 0xffffffff
                if not self.pump(lambda: c.q):
                    raise AssertionError("SYN-ACK not acknowledged")
                if c.q[0].tcp.R:
                    assert self.faulty(), "reset, and nothing failed"
                    s.close()
                    continue
                self.transfer(c, s)
                return
            finally:
                c.forget()
        raise AssertionError("clients refused again and again")

    def transfer(self, c, s, size=4000, storm=0):
        """Both ways and to the end; whole, or reset at both ends. What fails
        does so for the first `storm` seconds."""
        data = pattern(2 * size)
        up, down = data[:size], data[size:]
        s.settimeout(PATIENCE)
        got = []
        try:
            s.sendall(down)
            s.shutdown(socket.SHUT_WR)
            b = Bulk(c, up, want=size, sink=got.append, fin=True)
            b.RTO = 0.1
            whole = self.bulk(b, storm)
            read = self.read(s)
        except OSError:             # the kernel tells of a reset once
            assert self.faulty(), "reset, and nothing failed"
            whole, read = self.bulk(None, storm), None
        finally:
            s.close()
        got = b"".join(got)
        assert down.startswith(got), "other bytes for the guest"
        assert read in (None, up), "%d of %d bytes, then a clean end" % (
            len(read), len(up))
        if whole:
            assert got == down
        else:
            assert self.faulty(), "not whole, and nothing failed"

    def bulk(self, b, storm):
        """Whether all that the guest has to say and to hear went well."""
        try:
            if storm:
                try:
                    if b:
                        b.run(storm)
                except AssertionError:
                    pass
                self.pump(lambda: False, storm)
                self.calm()
            if b:
                b.run()
                assert self.pump(lambda: b.c.fin_at is not None or any(
                    f.tcp.R for f in b.c.q)), "no end for the guest"
            return bool(b)
        except AssertionError:
            if self.g.closed:
                raise Gone from None
            if not any(f.tcp.R for f in b.c.all):
                raise
            return False

    @staticmethod
    def read(s):
        read = b""
        while True:
            part = s.recv(1 << 16)
            if not part:
                return read
            read += part

    def calm(self):
        """The end of a storm: it was lived through without a busy loop."""
        self.f.keep()

    def storm(self, call, error, seconds=0.2):
        """Everything at once while the call fails, with a connection that
        stood before."""
        self.hello()
        c = Conn(self.g, self.fam.remote, self.ls.getsockname()[1], src=self.fam.guest,
                 mss=1400, ws=7)
        assert self.syn(c)
        s = self.accepted()
        # The network's errors are none of the guest's link
        self.f.fail(call, 1, error, FOR_EVER,
                    inet=call == "sendmsg" and error not in MEMORY)
        for i in range(3):
            self.g.udp(self.fam.guest, self.fam.remote, 5002 + i,
                       self.us.getsockname()[1], b"storm")
            self.g.echo(self.fam.guest, self.fam.remote, 80 + i, 1, b"storm")
            x = Conn(self.g, self.fam.remote, self.ls.getsockname()[1],
                     src=self.fam.guest)
            x.syn()
            x.forget()
        clients = [self.net.remote.socket(af(self.fam.host), k)
                   for k in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        for x in clients:
            x.setblocking(False)
            x.connect_ex((self.fam.host, PORT))
        clients[1].send(b"storm")
        try:
            self.transfer(c, s, 20000, seconds)
        finally:
            for x in clients:
                x.close()


def kinds(text):
    """Log lines that are told of a fault, without what is in numbers."""
    out = {}
    for line in text.splitlines():
        if re.search(r"Client (connected|left)", line):
            continue
        line = re.sub(r"\d+", "N", re.sub(r" \(\d+ similar.*", "", line))
        out[line] = out.get(line, 0) + 1
    return out


def name_of(e):
    return errno.errorcode[e]


class Trial:
    """A daemon, its faults, and what is found wrong."""

    def __init__(self, net, daemon, fam, vhost_user=False):
        self.net = net
        self.f = Faults()
        self.d = daemon("-t", str(PORT), "-u", str(PORT), "-q",
                        vhost_user=vhost_user, env=self.f.env)
        self.life = Life(self.d, net, self.f, fam)
        self.life.run()
        self.life.leave()
        self.base = self.settled()

    def close(self):
        self.life.close()
        self.f.close()

    def settled(self):
        """Descriptors, once they stay."""
        last = -1
        for _ in range(100):
            n = self.d.fds()
            if n == last:
                return n
            last = n
            time.sleep(0.01)
        return last

    def count(self, call):
        """How often the call is made in a life in which nothing fails."""
        self.f.none()
        self.life.run()
        self.life.leave()
        wait_for(lambda: self.d.fds() == self.base)
        return self.f.seen().get(call, 0)

    def one(self, call, nth, error, times=1):
        before, at = self.d.stderr, self.d.cpu()
        start = time.monotonic()
        self.f.fail(call, nth, error, times)
        gone = self.life.gone
        self.life.run()
        hits = self.f.hits()
        self.f.none()
        gone = self.life.gone - gone
        if error in MEMORY and call != "epoll_ctl" and not (
                self.d.vhost and call in SETUP):
            assert not gone, "the guest's link was closed"
        self.life.leave()
        wait_for(lambda: self.d.fds() == self.base, what="descriptors back")
        took = time.monotonic() - start
        said = kinds(self.d.stderr[len(before):])
        for line, n in said.items():
            assert n <= 1 + int(took), "said %d times: %s" % (n, line)
        assert self.d.cpu() - at < 0.1 + took / 2, "it spins"
        return hits, gone, took, said


@pytest.fixture(params=[V4, V6] if SOAK else [V4], ids=repr)
def trial(net, daemon, request):
    t = Trial(net, daemon, request.param)
    yield t
    t.close()


@pytest.fixture
def vhost_trial(net, daemon):
    t = Trial(net, daemon, V4, True)
    yield t
    t.close()


@pytest.mark.parametrize("call", ERRORS)
def test_nth_call_fails(trial, call):
    each_fails(trial, call, ERRORS[call])


@pytest.mark.parametrize("call", VHOST)
def test_nth_call_fails_over_vhost_user(vhost_trial, call):
    each_fails(vhost_trial, call, VHOST[call])


def each_fails(trial, call, errors):
    n = trial.count(call)
    assert n, "not called at all"
    wrong = []
    for error in errors:
        for nth in range(1, n + 1):
            where = "%s %d of %d: %s" % (call, nth, n, name_of(error))
            try:
                r = trial.one(call, nth, error)
                if os.environ.get("RIG_TELL"):
                    print(where, r)
            except AssertionError as e:
                wrong.append("%s: %s" % (where, str(e)[:200]))
                assert trial.d.proc.poll() is None, "\n".join(wrong) + \
                    "\n" + trial.d.stderr[-3000:]
                trial.f.none()
                trial.life.leave()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call", [c for c in ERRORS if c not in READS])
def test_call_fails_for_a_while(trial, call):
    """A fifth of a second, all of its calls: no busy loop, and no trace."""
    t, life = trial, trial.life
    wrong = []
    for error in ERRORS[call]:
        if error in ONCE or (call in RECEIVES and error not in MEMORY):
            continue
        try:
            said = t.d.stderr
            start, cpu = time.monotonic(), t.d.cpu()
            life.run(lambda: life.storm(call, error))
            took, cpu = time.monotonic() - start, t.d.cpu() - cpu
            life.leave()
            assert cpu < 0.03 + took / 4, "%.2f of %.2f s CPU" % (cpu, took)
            for line, n in kinds(t.d.stderr[len(said):]).items():
                assert n <= 1 + int(took + 1), "%d times: %s" % (n, line)
            t.f.none()
            life.run()
            life.leave()
            wait_for(lambda: t.d.fds() == t.base, what="descriptors back")
        except AssertionError as e:
            wrong.append("%s: %s: %s" % (call, name_of(error), str(e)[:200]))
            assert t.d.proc.poll() is None, "\n".join(wrong) + "\n" + \
                t.d.stderr[-3000:]
            t.f.none()
            life.leave()
    assert not wrong, "\n".join(wrong)
