# SPDX-License-Identifier: GPL-2.0-or-later
"""Each system call of a running pasta fails, once and for a while: past the
link (spliced connections and conversations), by the tap, and in the helper
that hands over sockets of the namespace.

A short time with clients and servers on both sides (class Life) is lived again
and again; each time the next of the calls fails, as it may (ERRORS). Whatever
happens, a connection is whole or reset, what comes after is served, nothing
spins, and no descriptor is left. See test/lib/fault.c. Of calls that are made
often, MOST of them fail in turn; with RIG_SOAK each, and over IPv6, too.

timerfd_settime() is not among them: of a descriptor and a time that are right
it has no error. What reads only needs no memory, but for long lists of buffers.
"""
import errno
import functools
import itertools
import os
import re
import select
import socket
import time

import pytest

from rig.fault import FOR_EVER, FORKS_ONLY, LIBRARY, Faults
from rig.flows import pattern
from rig.net import V4, V6, af
from rig.wait import PATIENCE, wait_for

SOAK = bool(os.environ.get("RIG_SOAK"))
MEMORY = (errno.ENOMEM, errno.ENOBUFS)
TABLE = (errno.EMFILE, errno.ENFILE)
AGAIN = (errno.EAGAIN, errno.EINTR)

# What may fail in the loop
ERRORS = {
    "socket": TABLE[:1] + MEMORY,
    "connect": MEMORY[1:] + (errno.EADDRNOTAVAIL, errno.ECONNREFUSED),
    "bind": MEMORY[:1] + (errno.EADDRINUSE,),
    "accept4": TABLE[:1] + MEMORY + AGAIN + (errno.ECONNABORTED,),
    "getsockopt": MEMORY[1:],
    "setsockopt": MEMORY[:1],
    "getsockname": MEMORY[1:],
    "send": MEMORY[1:] + AGAIN + (errno.EPIPE,),
    "sendmsg": MEMORY + AGAIN,
    "sendmmsg": MEMORY + AGAIN,
    "recv": AGAIN[1:] + (errno.ECONNRESET,),
    "recvmsg": MEMORY[:1] + AGAIN[1:],
    "recvmmsg": MEMORY[:1] + AGAIN,
    "splice": MEMORY[:1] + AGAIN + (errno.EPIPE,),
    "read": AGAIN + (errno.EINVAL,),
    "write": MEMORY + AGAIN + (errno.EIO,),
    "pipe2": TABLE,
    "fcntl": MEMORY[:1] + (errno.EPERM,),
    "shutdown": (errno.ENOTCONN,),
    "ioctl": MEMORY[:1],
    "epoll_ctl": (errno.ENOMEM, errno.ENOSPC),
    "epoll_wait": AGAIN[1:],
}
# and in the helper
HELPER = {
    "socket": TABLE[:1] + MEMORY,
    "sendmsg": MEMORY + AGAIN + (errno.ETOOMANYREFS,),
    "recvmsg": MEMORY[:1] + AGAIN[1:],
}
# What the next call is free of is no fault for a while
ONCE = AGAIN + (errno.ECONNABORTED,)
READS = ("recv", "recvmsg", "epoll_wait", "read")
IN, OUT = 7601, 7602
# Of how many calls each fails; a step through them where there are more
MOST = 1 << 30 if SOAK else 12
SIZE = 120000
pytestmark = pytest.mark.skipif(not os.path.exists(LIBRARY),
                                reason="no build/fault.so")


class End:
    """One end of a connection: what it has to send, and what came."""

    def __init__(self, sock, data):
        self.sock, self.left, self.got = sock, memoryview(data), b""
        self.over = False       # by an end of data, or
        self.error = None       # by this
        self.shut = False
        sock.setblocking(False)

    def events(self):
        return (0 if self.over else select.POLLIN) | \
            (0 if self.shut or self.error else select.POLLOUT)

    def go(self, events):
        try:
            if events & ~select.POLLIN and not self.shut:
                self.write()
            if events & ~select.POLLOUT and not self.over:
                self.read()
        except BlockingIOError:
            pass
        except OSError as e:
            self.error, self.over = e.errno, True

    def write(self):
        while self.left:
            self.left = self.left[self.sock.send(self.left):]
        self.sock.shutdown(socket.SHUT_WR)
        self.shut = True

    def read(self):
        part = self.sock.recv(1 << 16)
        self.got += part
        self.over = not part


@functools.lru_cache
def data_of(size):
    """What goes up, and less of other bytes that goes down."""
    return pattern(size, 1), pattern(size // 3, 2)


class Exchange:
    """Both ends of a connection, with something to say each."""

    def __init__(self, way, c, s, size):
        self.way, self.socks = way, (c, s)
        self.up, self.down = data_of(size)
        self.ends = End(c, self.up), End(s, self.down)

    def pump(self, timeout):
        """Go on until both have come to an end; whether they have."""
        limit = time.monotonic() + timeout
        while not all(e.over for e in self.ends):
            left = limit - time.monotonic()
            if left <= 0:
                return False
            p, by_fd = select.poll(), {}
            for e in self.ends:
                if e.events():
                    p.register(e.sock, e.events())
                    by_fd[e.sock.fileno()] = e
            for fd, events in p.poll(left * 1000):
                by_fd[fd].go(events)
        return True

    def finish(self):
        """Go on to the end, and say whether all came; else it was reset."""
        try:
            assert self.pump(PATIENCE), "%s: hangs: %s" % (self.way, [
                (len(e.left), len(e.got), e.over, e.error)
                for e in self.ends])
        finally:
            for s in self.socks:
                s.close()
        for end, want in zip(self.ends, (self.down, self.up)):
            if not want.startswith(end.got):
                raise AssertionError(self.way + ": other bytes")
            assert end.error or end.got == want, \
                "%s: %d of %d bytes, then a clean end" % (
                    self.way, len(end.got), len(want))
        return not any(e.error for e in self.ends)


class Life:
    """Clients and servers around a pasta p."""

    def __init__(self, p, net, faults, fam):
        self.p, self.net, self.f, self.fam = p, net, faults, fam
        self.udp_flows, self.words = 0, itertools.count()
        small = {"rcvbuf": 16384}
        self.tcp = {"in": p.ns.listen(fam.any, IN, **small),
                    "out": net.host.listen(fam.lo, OUT, **small),
                    "tap": net.remote.listen(fam.remote, **small)}
        self.udp = {"in": p.ns.udp(fam.any, IN),
                    "out": net.host.udp(fam.lo, OUT),
                    "tap": net.remote.udp(fam.remote)}
        for s in (*self.tcp.values(), *self.udp.values()):
            s.setblocking(False)
        # where clients are, where they connect to, and the server there
        remote = net.remote
        self.ways = {
            "spliced in": (net.host, fam.lo, IN, "in"),
            "spliced out": (p.ns, fam.lo, OUT, "out"),
            "tap out": (p.ns, fam.remote, None, "tap"),
            "tap in": (remote, fam.host, IN, "in"),
        }

    def close(self):
        for s in (*self.tcp.values(), *self.udp.values()):
            s.close()

    def run(self, ways=None, tries=4):
        for way in ways or self.ways:
            self.talk(way)
            self.connection(way, tries)

    def hand_over(self):
        """More than what is kept of the namespace's sockets at hand."""
        for _ in range(36):
            self.connection("spliced in", 4, 1000)

    def place(self, way, servers):
        """The clients' namespace, address to connect to, and the server."""
        ns, addr, port, name = self.ways[way]
        return ns, (addr, port or servers[name].getsockname()[1]), \
            servers[name]

    # -- conversations --------------------------------------------------------

    def talk(self, way):
        """A datagram and its answer; asked again until there is one."""
        ns, to, server = self.place(way, self.udp)
        c = ns.socket(af(to[0]), socket.SOCK_DGRAM)
        c.setblocking(False)
        self.udp_flows += 1
        try:
            for _ in range(2):
                self.ask(way, c, to, server)
        finally:
            c.close()

    def ask(self, way, c, to, server):
        for i in range(100):
            word = b"ask %d" % i
            try:
                c.sendto(word, to)
            except ConnectionRefusedError:
                pass
            end = time.monotonic() + 0.05 + 0.15 * (i > 2)
            while time.monotonic() < end:
                select.select([c, server], [], [], 0.01)
                try:
                    data, peer = server.recvfrom(100)
                    server.sendto(data, peer)
                except OSError:
                    pass
                try:
                    if c.recv(100) == word:
                        return
                except OSError:
                    pass
        raise AssertionError("%s, UDP: no answer" % way)

    # -- connections ----------------------------------------------------------

    def many(self):
        """More connections with something in their pipes than pipes are kept:
        nobody reads at first."""
        all_of = []
        for _ in range(20):
            c, server = self.begin("spliced in")
            s = self.accepted(c, server)
            if not s:
                assert self.f.hits(), "refused, and nothing failed"
                c.close()
                continue
            x = Exchange("spliced in", c, s, 1500000)
            x.ends[0].go(select.POLLOUT)
            all_of.append(x)
        for x in all_of:
            assert x.finish() or self.f.hits(), "reset, and nothing failed"

    def connection(self, way, tries, size=SIZE):
        """One that is whole; those that are refused or reset only where
        something fails."""
        for _ in range(tries):
            if self.attempt(way, size):
                return
            assert self.f.hits(), way + ": reset, and nothing failed"
        raise AssertionError(way + ": reset again and again")

    def begin(self, way):
        ns, to, server = self.place(way, self.tcp)
        c = ns.socket(af(to[0]), socket.SOCK_STREAM)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        c.setblocking(False)
        c.connect_ex(to)
        return c, server

    def accepted(self, c, server):
        """The server's end of c, or None where c is refused."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                s, _ = server.accept()
            except BlockingIOError:
                s = None
            p = select.poll()
            p.register(c, 0)
            if p.poll(0):
                if s:
                    s.close()
                return None
            if s:
                return s
            assert time.monotonic() < end, "no end of connect()"
            select.select([server], [], [], 0.005)

    def attempt(self, way, size):
        c, server = self.begin(way)
        s = self.greeted(way, c, server)
        return bool(s) and Exchange(way, c, s, size).finish()

    def greeted(self, way, c, server):
        """The server's end, after a word each way, before there is anything
        else. None: refused, or reset."""
        s, word = self.accepted(c, server), b"%08d" % next(self.words)
        try:
            c.settimeout(PATIENCE)
            if s:
                c.send(word)
            while s and not self.heard(s, word):
                s.close()           # of a client that was given up before
                s = self.accepted(c, server)
            if s:
                s.send(word)
                assert c.recv(8) == word, way + ": ends without a word"
                return s
        except socket.timeout:
            raise AssertionError(way + ": a word is stuck") from None
        except OSError:
            s.close()
        c.close()
        return None

    @staticmethod
    def heard(s, word):
        s.settimeout(PATIENCE)
        try:
            return s.recv(8) == word
        except ConnectionResetError:
            return False

    # -- everything at once ---------------------------------------------------

    def storm(self, call, error, forks, seconds=0.2):
        """A connection of each way that stood before, and new ones, while the
        call fails for a while."""
        old = []
        for way in self.ways:
            c, server = self.begin(way)
            s = self.greeted(way, c, server)
            assert s, way + ": refused, and nothing failed"
            old.append(Exchange(way, c, s, SIZE))
        self.f.fail(call, 1, error, FOR_EVER, forks=forks)
        end = time.monotonic() + seconds
        new = [self.begin(way)[0] for way in self.ways for _ in range(20)] + \
            [self.speak(way) for way in self.ways for _ in range(20)]
        for x in old:
            x.pump(0.03)
        time.sleep(max(0, end - time.monotonic()))
        self.f.keep()
        for x in old:
            x.finish()
        for c in new:
            c.close()

    def speak(self, way):
        """A datagram of which nothing is expected."""
        ns, to, _ = self.place(way, self.udp)
        self.udp_flows += 1
        c = ns.socket(af(to[0]), socket.SOCK_DGRAM)
        c.setblocking(False)
        try:
            c.sendto(b"storm", to)
        except OSError:
            pass
        return c

    def forget(self):
        """Close, and take out, what has come to the servers."""
        for server in self.tcp.values():
            try:
                while True:
                    server.accept()[0].close()
            except BlockingIOError:
                pass
        for server in self.udp.values():
            try:
                while True:
                    server.recv(100)
            except OSError:
                pass


def inodes(pid, kind):
    """{inode: state} of the sockets of its namespace's table."""
    with open("/proc/%d/net/%s" % (pid, kind), encoding="ascii") as f:
        lines = [line.split() for line in f.readlines()[1:]]
    return {w[9]: w[3] for w in lines}


def census(p, net):
    """What the daemon's descriptors are: connections, bound UDP sockets, unused
    sockets, pipes' ends, others."""
    tcp, udp = {}, {}
    for pid in net.host.proc.pid, p.ns.pid:
        for v in "", "6":
            tcp.update(inodes(pid, "tcp" + v))
            udp.update(inodes(pid, "udp" + v))
    out = dict.fromkeys(("tcp", "listen", "udp", "idle", "pipe", "other"), 0)
    base = "/proc/%d/fd" % p.pid
    for fd in os.listdir(base):
        try:
            what = os.readlink(os.path.join(base, fd))
        except FileNotFoundError:
            continue
        m = re.match(r"socket:\[(\d+)\]", what)
        if not m:
            out["pipe" if what.startswith("pipe") else "other"] += 1
        elif m.group(1) in tcp:
            out["listen" if tcp[m.group(1)] == "0A" else "tcp"] += 1
        else:
            out["udp" if m.group(1) in udp else "idle"] += 1
    return out


def cpu(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kinds(text):
    out = {}
    for line in text.splitlines():
        line = re.sub(r"\d+", "N", re.sub(r" \(\d+ similar.*", "", line))
        out[line] = out.get(line, 0) + 1
    return out


class Trial:
    """A pasta, its faults, and what is found wrong."""

    def __init__(self, net, pasta, fam):
        self.net, self.f = net, Faults()
        self.p = pasta("--config-net", "-q", "-t", str(IN), "-u", str(IN),
                       "-T", str(OUT), "-U", str(OUT), env=self.f.env)
        gw = "via %s" % fam.gw
        self.p.ns.sh("ip -%d route change default %s dev eth0 rto_min 20ms" % (
            fam.v, gw))
        self.life = Life(self.p, net, self.f, fam)
        try:
            for _ in range(2):
                self.life.run()
            self.base = census(self.p, net)
        except BaseException:
            self.close()
            raise
        self.flows = self.life.udp_flows

    def close(self):
        self.life.close()
        self.f.close()

    def clean(self):
        """No connection is left, at most a conversation for each that was
        begun, and what is kept at hand."""
        want, now = self.base, {}
        flows = self.life.udp_flows - self.flows

        def test():
            self.life.forget()
            now.update(census(self.p, self.net))
            return now["udp"] <= want["udp"] + flows and \
                now["tcp"] == 0 and now["listen"] == want["listen"] and \
                now["other"] == want["other"] and now["pipe"] <= 32 and \
                now["idle"] <= want["idle"] + 4 * 32
        try:
            wait_for(test)
        except AssertionError:
            raise AssertionError("descriptors: %s, then %s, %d flows" % (
                want, now, flows)) from None

    def count(self, call, live, forks):
        self.f.none(forks=forks)
        live()
        return self.f.seen().get(call, 0)

    def judged(self, live, most=0.1):
        """Live; nothing spins, and each kind of thing is said once a second."""
        said, at = self.p.stderr, cpu(self.p.pid)
        start = time.monotonic()
        live()
        took, used = time.monotonic() - start, cpu(self.p.pid) - at
        # of spliced conversations and of others, each by itself
        for line, n in kinds(self.p.stderr[len(said):]).items():
            assert n <= 2 + int(took), "said %d times: %s" % (n, line)
        assert used < most + took / 2, "%.2f of %.2f s CPU" % (used, took)
        self.f.none()
        self.clean()
        return took


@pytest.fixture(params=[V4, V6] if SOAK else [V4], ids=repr)
def trial(net, pasta, request):
    t = Trial(net, pasta, request.param)
    yield t
    t.close()


CASES = [(c, ERRORS[c], False) for c in ERRORS] + \
    [(c, HELPER[c], FORKS_ONLY) for c in HELPER]
NAMES = [c if not forks else "helper-" + c for c, _, forks in CASES]


@pytest.mark.parametrize("call,errors,forks", CASES, ids=NAMES)
def test_nth_call_fails(trial, call, errors, forks):
    t, wrong = trial, []
    live = t.life.hand_over if forks else \
        t.life.many if call in ("pipe2", "fcntl", "ioctl") else t.life.run
    n = t.count(call, live, forks)
    assert n, "not called at all"
    for error in errors:
        for nth in range(1, n + 1, 1 + n // MOST):
            t.f.fail(call, nth, error, forks=forks)
            where = "%s %d of %d: %s" % (call, nth, n, errno.errorcode[error])
            try:
                took = t.judged(live)
                if os.environ.get("RIG_TELL"):
                    print(where, "%.2f" % took)
            except AssertionError as e:
                wrong.append("%s: %s" % (where, str(e)[:300]))
                t.f.none()
                assert t.p.proc.poll() is None, "\n".join(wrong)
                if len(wrong) > 20:
                    break
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call,errors,forks", [
    c for c in CASES if c[0] not in READS], ids=[
        n for n, c in zip(NAMES, CASES) if c[0] not in READS])
def test_call_fails_for_a_while(trial, call, errors, forks):
    """A fifth of a second, all of its calls: no busy loop, and no trace."""
    t, wrong = trial, []
    for error in errors:
        # no memory for what a socket is to send looks like a full one
        if error in ONCE and (call, error) not in (
                ("send", errno.EAGAIN), ("splice", errno.EAGAIN)):
            continue
        try:
            t.judged(lambda: t.life.storm(call, error, forks), 0.03)
            t.life.run()
            t.clean()
        except AssertionError as e:
            wrong.append("%s: %s: %s" % (call, errno.errorcode[error],
                                         str(e)[:300]))
            t.f.none()
            assert t.p.proc.poll() is None, "\n".join(wrong)
    assert not wrong, "\n".join(wrong)
