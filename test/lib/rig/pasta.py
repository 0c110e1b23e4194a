# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts pasta in a host network (net.py), and reaches into the namespace
that it serves.

The binary is ./pasta in the repository's root, or $PASTA. It runs as the
tests' ordinary user. What it and its command start is known by a word in the
environment, so that nothing left behind is missed.
"""
import json
import os
import pwd
import signal
import subprocess
import tempfile
import time
import uuid

from . import daemon as rd
from .net import Netns
from .wait import PATIENCE, wait_for

MARK = "RIG_MARK"
# Set to 1 where the binary is not ours: what it does not promise is let pass
FOREIGN = os.environ.get("RIG_FOREIGN") == "1"
AVX2 = "Can't run AVX2 build, using non-AVX2 version: " \
       "No such file or directory\n"
# A command that says that it runs, and stays until its stdin ends
STAY = ("sh", "-c", "echo ready; exec cat")


def binary():
    return os.environ.get("PASTA", os.path.join(rd.ROOT, "pasta"))


def uid():
    return pwd.getpwnam(rd.USER).pw_uid


def marked(mark):
    """PIDs of living processes that have the mark in their environment."""
    found = []
    word = ("%s=%s" % (MARK, mark)).encode()
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if word in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def wait_gone(mark, timeout=PATIENCE):
    """Wait until no process with the mark is left; those that are."""
    end = time.monotonic() + timeout
    while True:
        left = marked(mark)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def alive(pid):
    """Neither ended nor a zombie."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ns_of(pid, kind="net"):
    return os.readlink("/proc/%s/ns/%s" % (pid, kind))


class Marked:
    """An environment with a mark of its own."""

    def __init__(self):
        self.mark = uuid.uuid4().hex
        self.env = dict(rd.environ(), **{MARK: self.mark})


def run(net, *argv, timeout=2 * PATIENCE, prefix=(), text=None, env=None,
        drop=True, **kw):
    """Run pasta with these arguments to its end. CompletedProcess, with
    `left`: the command lines of what it left behind (killed by now).
    net is a HostNet or a Netns; prefix stands before pasta."""
    host = getattr(net, "host", net)
    m = Marked()
    m.env.update(env or {})
    argv = [*prefix, binary(), *argv]
    argv = host.cmd(*(rd.as_user(*argv) if drop else argv))
    if text is None and "stdin" not in kw:
        kw["stdin"] = subprocess.DEVNULL
    try:
        r = subprocess.run(argv, stdout=subprocess.PIPE, input=text,
                           stderr=subprocess.PIPE, text=True,
                           timeout=timeout, env=m.env, check=False,
                           errors="replace", **kw)
    finally:
        left = wait_gone(m.mark)
        names = [cmdline(p) for p in left]
        kill(left)
    r.left = names
    if FOREIGN:     # Debian's, under a loader that is not the system's
        r.stderr = r.stderr.replace(AVX2, "")
    fault = rd.SANITIZER.search(r.stderr)
    assert not fault, r.stderr[fault.start():][:4000]
    return r


def cmdline(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Inside(Netns):
    """The namespaces of a process: sockets and commands in them. Commands
    run as root of the user namespace, in the mounts of `host`."""

    def __init__(self, host, pid, user=True):
        # pylint: disable=super-init-not-called # made by somebody else
        self.host, self.pid, self.user = host, pid, user
        self.fd = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def close(self):
        os.close(self.fd)
        os.close(self.home)

    def cmd(self, *argv):
        enter = ["nsenter", "-t", str(self.pid), "-n"]
        if not self.user:
            return self.host.cmd(*enter, *argv)
        return self.host.cmd(*rd.as_user(
            *enter, "-U", "--preserve-credentials", *argv))

    def ip(self, *args):
        """What `ip -j ARGS` says there."""
        return ip(self, *args)

    def traffic(self):
        """Bytes that passed the namespace's interface, loopback apart."""
        return sum(i["stats64"][w]["bytes"] for i in self.ip("-s", "link")
                   if i["ifname"] != "lo" for w in ("rx", "tx"))


def ip(ns, *args):
    return json.loads(ns.sh("ip -j " + " ".join(args)) or "[]")


class Held:
    """User, network and mount namespaces of an ordinary user, without pasta,
    and the process that holds them: what PID and --netns join.

    net=False: no network namespace of its own (as `podman unshare`); then
    /run is a tmpfs there, for `ip netns add`."""

    def __init__(self, host, net=True, script=""):
        self.host = host
        if not net:
            script = "mount -t tmpfs tmpfs /run; " + script
        self.proc = subprocess.Popen(
            host.cmd(*rd.as_user("unshare", "-Ur" + "n" * net + "m",
                                 "sh", "-ec", script + STAY[2])),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=rd.environ())
        assert self.proc.stdout.readline() == b"ready\n", "no namespace"
        self.pid = self.proc.pid
        self.ns = Inside(host, self.pid)

    def enter(self, *argv):
        """The command line that runs argv in the user and mount namespace,
        but in the host's network."""
        return ["nsenter", "-t", str(self.pid), "-U", "-m",
                "--preserve-credentials", *argv]

    def sh(self, script):
        r = subprocess.run(
            self.host.cmd(*rd.as_user(*self.enter("sh", "-e"))),
            input=script, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        if r.returncode:
            raise RuntimeError("%s\n%s" % (script, r.stdout))
        return r.stdout

    def end(self):
        """End the process, and with it its namespaces."""
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()

    def close(self):
        self.end()
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.ns.close()


class Pasta:
    """A running pasta with the options opts.

    Without target its command holds the namespace until stop(); a target
    (PID, or words such as --netns PATH) is joined, in the foreground unless
    background. `ns` is the namespace served: Inside."""

    def __init__(self, net, *opts, target=None, ns=None, prefix=(),
                 background=False, env=None):
        self.host = getattr(net, "host", net)
        self.tmp = tempfile.TemporaryDirectory(prefix="rig-")
        self.dir = self.tmp.name
        os.chmod(self.dir, 0o777)
        self.m = Marked()
        self.m.env.update(env or {})
        self.background, self.ended, self.own = background, False, ns is None
        self.target, self.ns, self.pid = target, ns, None
        opts = [o.replace("@DIR@", self.dir) for o in opts]
        argv = [*prefix, binary(), "-P", self.file("pid"), *opts]
        if target is None:
            argv += ["--", *STAY]
        elif not background:
            argv += ["-f"]
        argv += [str(t) for t in target or ()]
        self.err = open(self.file("stderr"), "wb")
        self.proc = subprocess.Popen(
            self.host.cmd(*rd.as_user(*argv)), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.err, env=self.m.env, cwd="/")
        try:
            self.started()
        except BaseException:
            self.discard()
            raise

    def started(self):
        """Wait until it is ready."""
        if self.target is None:
            line = self.proc.stdout.readline()
            assert line == b"ready\n", "command not started:\n" + self.stderr
            self.ns = Inside(self.host, self.find_cat())
        elif self.background:
            rc = self.proc.wait(PATIENCE)
            assert rc == 0, "exit %d at start:\n%s" % (rc, self.stderr)
            self.pid = int(self.read("pid"))
        else:
            end = time.monotonic() + PATIENCE
            while not (os.path.exists(self.file("pid")) and self.read("pid")):
                assert self.proc.poll() is None, \
                    "ended at start:\n" + self.stderr
                assert time.monotonic() < end, "not ready:\n" + self.stderr
                time.sleep(0.005)
        self.pid = self.pid or self.proc.pid

    def find_cat(self):
        """The PID, as we see it, of what holds the namespace."""
        home = ns_of(self.host.proc.pid)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for pid in marked(self.m.mark):
                try:
                    with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                        if f.read() == "cat\n" and ns_of(pid) != home:
                            return pid
                except OSError:
                    pass
            time.sleep(0.005)
        raise AssertionError("no command in a namespace of its own:\n" +
                             self.stderr)

    def file(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.file(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def stderr(self):
        return self.read("stderr")

    def processes(self):
        return marked(self.m.mark)

    def wait(self, timeout=PATIENCE):
        """Wait for it to end by itself; its status (None in the background).
        """
        self.ended = True
        if not self.background:
            return self.proc.wait(timeout)
        end = time.monotonic() + timeout
        while alive(self.pid):
            assert time.monotonic() < end, "has not ended"
            time.sleep(0.02)
        return None

    def terminate(self):
        """End it as a user would, and say what is wrong with that."""
        if self.target is None:
            if self.proc.poll() is None:
                self.proc.stdin.close()
                want = "at the end of its command"
            else:
                return ["died with %d" % self.proc.returncode]
        else:
            if not alive(self.pid):
                return ["died"]
            os.kill(self.pid, signal.SIGTERM)
            want = "after SIGTERM"
        try:
            rc = self.wait()
        except (AssertionError, subprocess.TimeoutExpired):
            return ["has not ended " + want]
        return ["status %d %s" % (rc, want)] if rc else []

    def discard(self):
        kill(marked(self.m.mark))
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        for f in self.proc.stdin, self.proc.stdout, self.err:
            f.close()
        if self.ns and self.own:
            self.ns.close()
        self.tmp.cleanup()
        self.tmp = None

    def stop(self):
        """End it, once; AssertionError if anything is amiss."""
        if not self.tmp:
            return
        try:
            faults = [] if self.ended else self.terminate()
            left = wait_gone(self.m.mark)
            faults += ["left behind: %s" % cmdline(p) for p in left]
            if os.path.exists(self.file("pid")) and not FOREIGN:
                faults += ["PID file left behind"]
            text = self.stderr
            fault = rd.SANITIZER.search(text)
            if fault:
                faults.append(text[fault.start():][:4000])
        finally:
            self.discard()
        assert not faults, "\n".join(faults) + "\nstderr:\n" + text[-3000:]


def listening(ns, proto, port):
    """Whether a socket of the namespace listens at (UDP: is bound to) it."""
    state = "07" if proto == "udp" else "0A"
    for v in "", "6":
        with open(proc_net(ns, proto + v), encoding="ascii") as f:
            for line in f.readlines()[1:]:
                w = line.split()
                if w[3] == state and int(w[1].split(":")[1], 16) == port:
                    return True
    return False


def proc_net(ns, name):
    pid = ns.pid if isinstance(ns, Inside) else ns.proc.pid
    return "/proc/%d/net/%s" % (pid, name)


def learn(ns, fam):
    """Have the namespace's kernel learn that the path's MTU is the host's:
    its datagrams up to that of the device have DF set until then."""
    (mtu,) = [i["mtu"] for i in ns.ip("link") if i["ifname"] != "lo"]
    c = ns.udp(fam.any)
    c.connect((fam.remote, 9))
    c.send(b"x" * 2000)
    if fam.v == 4 and mtu > 1500:
        wait_for(lambda: "mtu 1500" in ns.sh("ip route get " + fam.remote))
    c.close()
