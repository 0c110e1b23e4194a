# SPDX-License-Identifier: GPL-2.0-or-later
"""Each system call of the daemon's start fails, once: it says in one line what
it cannot do, status 1, and leaves nothing behind; or does without."""
import errno
import os
import signal
import subprocess
import tempfile
import time

import pytest

from rig import daemon as rd
from rig.fault import Faults
from rig.flows import wait_for

# As the calls may fail; ENOMEM all the others
ERRORS = {
    "socket": errno.EMFILE, "open": errno.EMFILE, "pipe2": errno.EMFILE,
    "epoll_create1": errno.EMFILE, "timerfd_create": errno.ENFILE,
    "signalfd": errno.ENFILE, "fork": errno.EAGAIN, "unshare": errno.EPERM,
    "mount": errno.EPERM, "umount2": errno.EINVAL, "chdir": errno.EACCES,
    "prctl": errno.EPERM, "syscall": errno.EPERM, "bind": errno.EADDRINUSE,
    "connect": errno.EACCES, "setsockopt": errno.ENOPROTOOPT,
    "write": errno.ENOSPC, "read": errno.EIO, "ftruncate": errno.EIO,
    "listen": errno.EADDRINUSE, "getrandom": errno.EINTR, "dup3": errno.EBUSY,
    "epoll_ctl": errno.ENOSPC, "sendmsg": errno.EPERM,
}
# What of the end alone; and of the loop, which waits
NOT_OF_START = ("unlinkat", "epoll_wait")


class Start:
    """Starts in the background, in a directory of its own."""

    def __init__(self, net):
        self.net, self.f = net, Faults()
        self.tmp = tempfile.TemporaryDirectory(prefix="rig-")
        self.dir = self.tmp.name
        os.chmod(self.dir, 0o777)

    def close(self):
        self.f.close()
        self.tmp.cleanup()

    def file(self, name):
        return os.path.join(self.dir, name)

    def left(self):
        """PIDs of processes with our environment that have not ended."""
        word = ("RIG_FAULT=" + self.f.path).encode()
        out = []
        for pid in os.listdir("/proc"):
            try:
                with open("/proc/%s/environ" % pid, "rb") as f:
                    if word in f.read().split(b"\0"):
                        out.append(int(pid))
            except (OSError, ValueError):
                pass
        return out

    def run(self, *opts):
        """Status and stderr; what runs then is ended, and looked at."""
        argv = rd.as_user(
            rd.binary(), "-q", "-s", self.file("s"), "-P", self.file("pid"),
            "-p", self.file("pcap"), "-t", "7001", "-u", "7001", *opts)
        with open(self.file("err"), "w+b") as err:
            rc = subprocess.run(
                self.net.host.cmd(*argv), stdin=subprocess.DEVNULL,
                stdout=err, stderr=err, timeout=60, check=False,
                env=dict(rd.environ(), **self.f.env)).returncode
            self.f.keep()
            if rc:
                wait_for(lambda: not self.left(), what="a failed start")
            pids = self.left()
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            if pids:
                wait_for(lambda: not self.left(), what="the daemon's end")
            err.seek(0)
            text = err.read().decode(errors="replace")
        names = sorted(os.listdir(self.dir))
        for name in names:
            os.unlink(self.file(name))
        assert not rd.SANITIZER.search(text), text[:3000]
        return rc, bool(pids), text, [n for n in names
                                      if n not in ("err", "pcap")]


@pytest.fixture
def start(net):
    s = Start(net)
    yield s
    for pid in s.left():
        os.kill(pid, signal.SIGKILL)
    s.close()


def test_start_fails_cleanly(start):
    start.f.none(forks=True)
    assert start.run() == (0, True, "", []), "a start without faults"
    todo = [(call, nth) for call, n in start.f.seen().items()
            for nth in range(1, n + 1) if call not in NOT_OF_START]
    wrong, died = [], 0
    for call, nth in todo:
        start.f.fail(call, nth, ERRORS.get(call, errno.ENOMEM), forks=True)
        began = time.monotonic()
        where = "%s %d" % (call, nth)
        try:
            rc, ran, text, left = start.run()
            if os.environ.get("RIG_TELL"):
                print(where, rc, ran, repr(text), left,
                      "%.2f" % (time.monotonic() - began))
            assert rc in (0, 1), "status %d" % rc
            assert len(text.splitlines()) <= 1, text
            assert not rc or text, "failed without a word"
            assert not left, "left behind: %s" % left
            died += rc
        except AssertionError as e:
            wrong.append("%s: %s" % (where, str(e)[:500]))
    assert not wrong, "\n".join(wrong)
    assert died > 20, "hardly any fault was met"


def test_chroot_fallback(start):
    """Where pivot_root() cannot work it is an error, which names the option;
    with that, an empty root is had by chroot()."""
    start.f.none(forks=True)
    assert start.run() == (0, True, "", []), "a start without faults"
    for nth in range(1, 20):
        start.f.fail("syscall", nth, errno.EINVAL, forks=True)
        rc, _, text, left = start.run()
        if "--chroot-fallback" in text:
            break
    else:
        pytest.fail("never told")
    assert rc == 1 and len(text.splitlines()) == 1 and not left
    start.f.fail("syscall", nth, errno.EINVAL, forks=True)
    assert start.run("--chroot-fallback") == (0, True, "", [])
    assert start.f.hits() == 1
