# SPDX-License-Identifier: GPL-2.0-or-later
"""What a daemon that was taken over can do: next to nothing.

attempt.c is the daemon with one thing more: from inside its loop it tries what
it is told to. With the filter that is the end of it. Without the filter, all
but what only the filter holds is refused by one of the other layers.

Beside that, what /proc tells of the running product, in each of its modes.
"""
import ctypes
import errno
import os
import pwd
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from rig import daemon as rd
from rig import pasta as rp
from rig.flows import wait_for
from rig.net import V4
from rig.wait import PATIENCE

ATTEMPT = os.environ.get("GUARD_ATTEMPT",
                         os.path.join(rd.ROOT, "build/normal/attempt"))
SIGSYS = signal.SIGSYS
NAMES = subprocess.run([ATTEMPT], env={"GUARD_TRY": "list"}, check=True,
                       stdout=subprocess.PIPE, text=True).stdout.split()
MODES = ("passt", "vhost-user", "pasta", "helper")
E = errno
LANDLOCK_VERSION = ctypes.CDLL(None).syscall(444, None, 0, 1)
# Without the filter: refused by whom, and how
HELD = {
    "open": (E.ENOENT, E.EACCES), "open_root": (E.EACCES,),
    "create": (E.EACCES, E.ENOENT, E.EROFS), "mkdir": (E.EROFS, E.EACCES),
    "create_beside": (E.EACCES,), "open_above": (E.EACCES,),
    "remove_above": (E.EACCES,), "remove_dir": (E.ENOENT, E.EROFS, E.EACCES),
    "exec": (E.ENOENT, E.EACCES), "fexec": (E.EACCES,),
    "fork": (E.EAGAIN,), "clone3": (E.EAGAIN,), "thread": (E.EAGAIN,),
    "ptrace": (E.EPERM,), "read_process": (E.EPERM,),
    "kill": (E.EPERM,), "tgkill": (E.EPERM,),
    "raw": (E.EPERM,), "packet": (E.EPERM,), "abstract": (E.EPERM,),
    "mount": (E.EPERM,), "remount": (E.EPERM,),
    "chroot": (E.EPERM, E.EACCES), "setuid": (E.EINVAL, E.EPERM),
    "capability": (E.EPERM,), "bpf": (E.EPERM,), "hostname": (E.EPERM,),
    "reboot": (E.EPERM,), "module": (E.EPERM, E.ENOSYS),
}
# The helper has no descriptor of a directory, and another network
HELD_HELPER = {"create_beside": (E.EBADF,), "open_above": (E.EBADF,),
               "remove_above": (E.EBADF,), "fexec": (E.EBADF,),
               "abstract": (E.ECONNREFUSED, E.EPERM)}
# What Landlock alone holds, and since when
SINCE = {"create_beside": 1, "open_above": 1, "remove_above": 1, "fexec": 1,
         "open_root": 1, "abstract": 6}
# What the mode's table has, as the daemon removes its files in the end
ALLOWED = [("remove_above", m) for m in MODES if m != "helper"]


@pytest.fixture
def victim(net):
    """A name to connect to in the host's network, that nobody should."""
    s = net.host.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind("\0guard-victim")
    s.listen()
    yield s
    s.close()


class Result:
    """How an attempt ended: by a signal, or with an errno."""

    def __init__(self, status, stderr):
        self.signal = -status if status < 0 else 0
        self.errno = status if status > 0 else 0
        self.stderr = stderr

    def __repr__(self):
        return "signal %d, errno %s, stderr: %s" % (
            self.signal, E.errorcode.get(self.errno, self.errno), self.stderr)


def attempt(net, place, mode, name, *opts, off=None):
    """Try something in a mode."""
    env = dict(rd.environ(), GUARD_TRY=name,
               GUARD_WHERE="helper" if mode == "helper" else "daemon")
    if off:
        env["GUARD_OFF"] = off
    if mode in ("passt", "vhost-user"):
        argv = ["-f", "-s", place + "/s", "-P", place + "/pid", *opts]
        if mode == "vhost-user":
            argv.append("--vhost-user")
        argv = [ATTEMPT, *argv]
    else:
        pasta = os.path.join(os.path.dirname(ATTEMPT), "pasta")
        argv = [pasta, "-P", place + "/pid", *opts, "--", "sh", "-c",
                "sleep 0.2; exit 0"]
    r = subprocess.run(net.host.cmd(*rd.as_user(*argv)), env=env,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, check=False,
                       timeout=2 * PATIENCE)
    if mode != "helper":
        return Result(r.returncode, r.stderr)
    m = re.findall(r"ended: (status|signal) (\d+)", r.stderr)
    assert m, r.stderr
    word, number = m[0]
    return Result(int(number) * (-1 if word == "signal" else 1), r.stderr)


@pytest.fixture
def place():
    """A directory of the tests' user, in one in which a file can be lost."""
    u = pwd.getpwnam(rd.USER)
    with tempfile.TemporaryDirectory(prefix="rig-") as d:
        os.chmod(d, 0o777)
        p = os.path.join(d, "own")
        os.mkdir(p)
        with open(d + "/guard-victim", "w", encoding="ascii"):
            pass
        for x in p, d + "/guard-victim":
            os.chown(x, u.pw_uid, u.pw_gid)
        yield p
        assert os.path.exists(d + "/guard-victim")


@pytest.mark.parametrize(
    "name,mode", [(n, m) for n in NAMES for m in MODES
                  if (n, m) not in ALLOWED])
def test_filter(net, place, mode, name):
    """All of it ends the process, in every mode."""
    r = attempt(net, place, mode, name)
    assert r.signal == SIGSYS, r


@pytest.mark.parametrize(
    "name,mode", [(n, m) for n in HELD for m in MODES
                  if SINCE.get(n, 0) <= LANDLOCK_VERSION])
def test_other_layers(net, place, victim, mode, name):
    """Without the filter."""
    r = attempt(net, place, mode, name, off="seccomp")
    held = HELD_HELPER.get(name) if mode == "helper" else None
    assert r.signal == 0 and r.errno in (held or HELD[name]), r


@pytest.mark.parametrize("mode", MODES[:3])
def test_call_is_named(net, place, mode):
    """With --debug by us, in one line, and the end is the same."""
    r = attempt(net, place, mode, "unix", "--debug")
    assert r.signal == SIGSYS, r
    lines = [x for x in r.stderr.splitlines() if "not allowed" in x]
    assert len(lines) == 1 and "socket(), is not allowed" in lines[0], r
    assert "not allowed" not in attempt(net, place, mode, "unix").stderr


def kernel_log():
    """The kernel's records of such an end, by number."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True,
                         check=False).stdout
    return log, set(re.findall(r"audit\((\S+)\): .*comm=\"attempt\" .*"
                               r"syscall=425 ", log))


def test_call_is_named_by_the_kernel(net, place):
    """By its number in the audit log; without an audit daemon that is the
    kernel's own, which leaves out some of many lines at a time."""
    log, before = kernel_log()
    if not log:
        pytest.skip("no kernel log to be read here")

    def logged():
        assert attempt(net, place, "passt", "io_uring").signal == SIGSYS
        time.sleep(0.1)
        return kernel_log()[1] - before
    wait_for(logged, 3 * PATIENCE)


# -- a kernel that has less -------------------------------------------------

def start(net, place, *opts, off=None, userns=True):
    """The daemon in the foreground, ready."""
    script = "" if userns else "echo 0 >/proc/sys/user/max_user_namespaces; "
    argv = ["unshare", "-Urn", "sh", "-ec", script + 'exec "$@"', "sh",
            ATTEMPT, "-f", "-s", place + "/s", "-P", place + "/pid", *opts]
    env = dict(rd.environ(), GUARD_OFF=off or "")
    p = subprocess.Popen(rd.as_user(*argv), env=env, stderr=subprocess.PIPE,
                         text=True)
    wait_for(lambda: p.poll() is not None or
             (os.path.exists(place + "/pid") and
              os.path.getsize(place + "/pid")))
    return p


@pytest.mark.parametrize("off,userns,stay,words", [
    (None, True, False, ()),
    ("landlock", True, False, ("No Landlock",)),
    (None, False, False, ("No user namespace",)),
    ("landlock", False, True, ("No user namespace", "stay behind")),
], ids=("all", "no-landlock", "no-userns", "neither"))
def test_what_cannot_be_had(place, off, userns, stay, words):
    """It is said, a line each; files are removed only where that cannot be
    turned against the user's others."""
    p = start(None, place, off=off, userns=userns)
    held = files(p.pid)
    p.terminate()
    err = p.communicate(timeout=PATIENCE)[1]
    assert (place in held) != stay
    assert p.returncode == 0, err
    for word in "No Landlock", "No user namespace", "stay behind":
        assert sum(word in x for x in err.splitlines()) == \
            (word in words or (word == "No Landlock" and
                               "stay behind" in words)), err
    assert os.path.exists(place + "/s") == stay
    assert os.path.exists(place + "/pid") == stay


# -- the product, looked at from outside ------------------------------------

NAMESPACES = ("mnt", "ipc", "uts", "cgroup", "user")
NONE = ("core file size", "processes", "locked memory", "file locks",
        "msgqueue size", "nice priority", "realtime priority")


def read(pid, name):
    with open("/proc/%d/%s" % (pid, name), encoding="ascii") as f:
        return f.read()


def confined(pid, caps=0, same_user=False):
    """What /proc tells of a process in any mode."""
    s = dict(x.split(":\t", 1) for x in read(pid, "status").splitlines()
             if ":\t" in x)
    assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1"
    assert s["Threads"] == "1"
    for name in "CapEff", "CapPrm", "CapBnd":
        assert int(s[name], 16) == caps, (name, s[name])
    for name in "CapInh", "CapAmb":
        assert int(s[name], 16) == 0, (name, s[name])
    assert s["Uid"].split()[0] != "0"
    for ns in NAMESPACES:
        if ns != "cgroup" or os.path.exists("/proc/self/ns/cgroup"):
            assert rp.ns_of(pid, ns) != rp.ns_of(os.getpid(), ns), ns
    assert os.listdir("/proc/%d/root/" % pid) == []
    (mount,) = read(pid, "mounts").splitlines()
    assert mount.split()[3].startswith("ro,"), mount
    # not dumpable: its files in /proc are root's
    assert os.stat("/proc/%d/environ" % pid).st_uid == 0
    limits = {x[4:26].strip(): x[26:].split()[:2]
              for x in read(pid, "limits").splitlines()[1:]}
    for name in NONE:
        assert limits[name] == ["0", "0"], (name, limits[name])


def files(pid):
    """What its descriptors are."""
    d = "/proc/%d/fd/" % pid
    return sorted(re.sub(r":\[\d+\]$", "", os.readlink(d + fd))
                  for fd in os.listdir(d))


@pytest.fixture
def inherited(place):
    """A file that is handed down, and its name; 40 times."""
    name = place + "/inherited"
    fds = [os.open(name, os.O_RDWR | os.O_CREAT)]
    fds += [os.dup(fds[0]) for _ in range(39)]
    yield fds, name
    for fd in fds:
        os.close(fd)


PASST_FILES = ["anon_inode:[eventpoll]", "anon_inode:[signalfd]",
               "anon_inode:[timerfd]"]


@pytest.mark.parametrize("vhost_user", [False, True])
def test_passt(daemon, inherited, vhost_user):
    d = daemon(pass_fds=inherited[0], vhost_user=vhost_user)
    d.connect().hello(V4)
    confined(d.pid)
    held = files(d.pid)
    assert inherited[1] not in held
    known = PASST_FILES + ["/dev/null", d.dir, d.errname, "anon_inode:[event"
                           "fd]", "socket", d.dir + "/ready"]
    assert [x for x in held if x not in known and "memfd" not in x] == []


@pytest.mark.parametrize("opts", [(), ("--vhost-user",)])
def test_passt_in_the_background(net, place, inherited, opts):
    sock, pid = place + "/s", place + "/pid"
    argv = rd.as_user(rd.binary(), "-s", sock, "-P", pid, *opts)
    r = subprocess.run(net.host.cmd(*argv), env=rd.environ(), timeout=PATIENCE,
                       stderr=subprocess.PIPE, check=False,
                       pass_fds=inherited[0])
    assert r.returncode == 0, r.stderr
    with open(pid, encoding="ascii") as f:
        n = int(f.read())
    confined(n)
    assert rp.ns_of(n, "pid") != rp.ns_of(os.getpid(), "pid")
    # the start returns a moment before that
    wait_for(lambda: files(n).count("/dev/null") == 3)
    held = files(n)
    known = PASST_FILES + ["/dev/null", place, "socket"]
    assert [x for x in held if x not in known] == []
    os.kill(n, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(sock))


def test_pasta_and_its_helper(net, place, inherited):
    """What pasta was started with goes to its command, and stays with neither
    itself nor the helper."""
    m = rp.Marked()
    argv = rd.as_user(rp.binary(), "-P", place + "/pid", "--", *rp.STAY)
    p = subprocess.Popen(net.host.cmd(*argv), env=m.env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, pass_fds=inherited[0])
    try:
        assert p.stdout.readline() == b"ready\n"
        init = [x for x in rp.marked(m.mark)
                if rp.ns_of(x, "pid") != rp.ns_of(os.getpid(), "pid")]
        helper, = [x for x in rp.marked(m.mark)
                   if x not in init and x != p.pid]
        confined(p.pid)
        confined(helper, 1 << 10)       # CAP_NET_BIND_SERVICE
        assert rp.ns_of(helper, "user") == rp.ns_of(init[0], "user")
        assert rp.ns_of(helper, "net") == rp.ns_of(init[0], "net")
        assert rp.ns_of(p.pid, "net") != rp.ns_of(init[0], "net")
        assert files(helper) == ["/dev/null"] * 3 + ["socket"]
        assert inherited[1] not in files(p.pid)
        assert any(inherited[1] in files(x) for x in init)
        known = PASST_FILES + ["/dev/null", "/dev/net/tun", "pipe",
                               "anon_inode:[pidfd]", "socket", place]
        assert [x for x in files(p.pid) if x not in known] == []
    finally:
        p.communicate(timeout=PATIENCE)
    assert rp.wait_gone(m.mark) == []
