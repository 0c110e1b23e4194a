# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts, watches and ends the daemon under test.

The binary is ./passt in the repository's root, or $PASST. It runs as an
ordinary user ($RIG_USER) inside a host network (net.py), in the foreground,
its stderr in a file. stop() ends it and finds fault with what it left behind.
"""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from . import vhost
from .guest import Guest
from .wait import PATIENCE

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
# Which link the guests have where a test does not choose
LINK = os.environ.get("RIG_LINK", "stream")
VHOST = LINK != "stream"
USER = os.environ.get("RIG_USER", "passt-test")
SANITIZER = re.compile(r"(Address|UndefinedBehavior|Leak|Thread)Sanitizer"
                       r"|runtime error:|Assertion .* failed")


def binary():
    return os.environ.get("PASST", os.path.join(ROOT, "passt"))


def as_user(*argv):
    """The command line that runs argv as the tests' ordinary user."""
    return ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups",
            "--inh-caps=-all"] + list(argv)


def environ():
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    return env


def cpu_of(pid):
    """CPU seconds that a process has used so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(net, *opts, timeout=PATIENCE, user=True, env=None):
    """Run the binary to its end; CompletedProcess with text output."""
    argv = [binary()] + list(opts)
    return subprocess.run(net.host.cmd(*(as_user(*argv) if user else argv)),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout,
                          env=dict(environ(), **(env or {})), check=False,
                          errors="replace")


class Daemon:
    """A running daemon. opts are its options besides -f and --socket."""

    def __init__(self, net, *opts, socket_opt=True, pass_fds=(), debug=False,
                 vhost_user=None, env=None, prefix=(), program=None):
        self.net = net
        self.tmp = tempfile.TemporaryDirectory(prefix="rig-")
        self.dir = self.tmp.name
        os.chmod(self.dir, 0o777)
        self.path = os.path.join(self.dir, "s")
        self.errname = os.path.join(self.dir, "stderr")
        self.guests = []
        self.ended = False
        self.may_die = False
        argv = [*prefix, program or binary(), "-f"]
        if socket_opt:
            argv += ["--socket", self.path]
        self.ready_file = None
        if "-P" not in opts and not os.environ.get("RIG_NO_READY"):
            self.ready_file = os.path.join(self.dir, "ready")
            argv += ["-P", self.ready_file]
        if debug:
            argv += ["--debug"]
        self.vhost = VHOST if vhost_user is None else vhost_user
        # the socket; and what each of two queues is kicked, called by
        self.client_fds = 7 if self.vhost else 1
        if self.vhost:
            argv += ["--vhost-user"]
        argv += os.environ.get("RIG_EXTRA", "").split()
        argv += [o.replace("@DIR@", self.dir) for o in opts]
        with open(self.errname, "wb") as err:
            self.proc = subprocess.Popen(
                net.host.cmd(*as_user(*argv)), stdin=subprocess.DEVNULL,
                stdout=err, stderr=err, env=dict(environ(), **(env or {})),
                pass_fds=pass_fds, cwd="/")

    @property
    def stderr(self):
        with open(self.errname, encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def pid(self):
        return self.proc.pid

    def file(self, name):
        return os.path.join(self.dir, name)

    def ready(self, timeout=PATIENCE):
        """Wait until the daemon says that it is ready: its PID is written."""
        end = time.monotonic() + timeout
        name = self.ready_file or self.file("pid")
        while not (os.path.exists(name) and os.path.getsize(name)):
            assert self.proc.poll() is None, \
                "daemon ended at start:\n" + self.stderr
            assert time.monotonic() < end, "not ready:\n" + self.stderr
            time.sleep(0.005)

    def socket(self, timeout=PATIENCE, early=False):
        """A raw stream connected to the daemon, once it is ready (early:
        once it listens)."""
        end = time.monotonic() + timeout
        if self.ready_file and not early and not self.ended:
            self.ready(timeout)
        while True:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(self.path)
                return s
            except (FileNotFoundError, ConnectionRefusedError):
                s.close()
                assert self.proc.poll() is None, \
                    "daemon ended at start:\n" + self.stderr
                assert time.monotonic() < end, "no socket:\n" + self.stderr
                time.sleep(0.005)

    def connect(self, features=None, port=None, **kw):
        """A guest; over vhost-user with these features, and as port says."""
        s = self.socket()
        if self.vhost:
            usual = vhost.PLAIN | vhost.EVENT_IDX | vhost.INDIRECT
            if LINK == "vhost-offload":
                usual |= vhost.OFFLOADS
            try:
                s = vhost.Port(s, features or usual, **(port or {}))
            except BaseException:
                s.close()
                raise
        g = Guest(s, **kw)
        g.pid = self.pid
        self.guests.append(g)
        return g

    def wait(self, timeout=PATIENCE):
        """Wait for the daemon to end by itself; its exit status."""
        self.ended = True
        return self.proc.wait(timeout)

    def wait_log(self, pattern, timeout=PATIENCE):
        """Wait until stderr has a line that matches."""
        end = time.monotonic() + timeout
        while not re.search(pattern, self.stderr, re.M):
            assert time.monotonic() < end, "no %r in stderr:\n%s" % (
                pattern, self.stderr)
            time.sleep(0.02)

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def rss(self):
        """Resident bytes."""
        with open("/proc/%d/statm" % self.pid, encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def wakeups(self):
        """How often the daemon's thread gave up the CPU to wait."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)",
                                 f.read(), re.M).group(1))

    def cpu(self):
        return cpu_of(self.pid)

    def sleeps(self, seconds, wakeups, cpu):
        """Wait for a while of so many seconds in which it wakes up hardly and
        does nothing: what went before may not be over yet."""
        end = time.monotonic() + PATIENCE
        while True:
            before, busy = self.wakeups(), self.cpu()
            time.sleep(seconds)
            before, busy = self.wakeups() - before, self.cpu() - busy
            if before <= wakeups and busy <= cpu:
                return
            assert time.monotonic() < end, "%d wake-ups and %.2f s in %g s" % (
                before, busy, seconds)

    def stop(self):
        """End the daemon; raise AssertionError if anything is amiss."""
        faults = [x for g in self.guests for x in g.faults]
        try:
            if not self.ended:
                faults += self.terminate()
        finally:
            if self.proc.poll() is None:
                self.proc.kill()
                self.proc.wait()
            for g in self.guests:
                g.close()
            text = self.stderr
            self.tmp.cleanup()
        m = SANITIZER.search(text)
        if m:
            faults.append("stderr: " + text[m.start():][:4000])
        assert not faults, "\n".join(faults) + "\nstderr:\n" + text[-3000:]

    def terminate(self):
        """SIGTERM, and what is wrong with the way it ends."""
        if self.proc.poll() is not None:
            if self.may_die:
                return []
            return ["daemon died with %d" % self.proc.returncode]
        self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return ["SIGTERM does not end the daemon"]
        faults = []
        if status:
            faults.append("exit status %d after SIGTERM" % status)
        if os.path.exists(self.path):
            faults.append("socket left behind")
        return faults
