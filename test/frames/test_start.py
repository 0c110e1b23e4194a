# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and end of the daemon: what it holds on to, what it leaves behind,
and what it makes of hosts of all kinds."""
import os
import pwd
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from rig import daemon as rd
from rig.flows import wait_for
from rig.guest import Guest
from rig.net import V4
from rig.wait import PATIENCE

NAMESPACES = ("user", "mnt", "ipc", "uts")
LOW_PORT = "Permission denied, see the sysctl " \
    "net.ipv4.ip_unprivileged_port_start"


@pytest.fixture
def place():
    """A directory that the tests' user may write to."""
    with tempfile.TemporaryDirectory(prefix="rig-") as d:
        os.chmod(d, 0o777)
        yield d
        # what a failed test left running
        try:
            with open(d + "/pid", encoding="ascii") as f:
                os.kill(int(f.read()), signal.SIGKILL)
        except (OSError, ValueError):
            pass


def status(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def gone(pid):
    """Ended, although whoever adopted it may not have noticed yet."""
    try:
        return status(pid)["State"].startswith("Z")
    except OSError:
        return True


def end(pid, sock):
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: gone(pid))
    assert not os.path.exists(sock)


def background(net, place, *opts, user=True):
    """Start in the background; its PID."""
    sock, pid = place + "/s", place + "/pid"
    r = rd.run(net, "-s", sock, "-P", pid, *opts, user=user)
    assert r.returncode == 0, r.stderr
    # the start has returned: all is there, nothing to wait for
    socket.socket(socket.AF_UNIX).connect(sock)
    with open(pid, encoding="ascii") as f:
        return int(f.read())


def confined(pid, owner=0):
    s = status(pid)
    assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1"
    for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[cap], 16) == 0, cap
    for ns in NAMESPACES:
        assert os.readlink("/proc/%d/ns/%s" % (pid, ns)) != \
            os.readlink("/proc/self/ns/" + ns), ns
    assert os.listdir("/proc/%d/root/" % pid) == []
    with open("/proc/%d/mounts" % pid, encoding="ascii") as f:
        mounts = f.read().splitlines()
    assert len(mounts) == 1 and mounts[0].split()[3].startswith("ro,")
    # not dumpable: its files in /proc belong to its namespace's root
    assert os.stat("/proc/%d/environ" % pid).st_uid == owner
    return s


def test_confined_foreground(daemon):
    d = daemon()
    d.connect().hello(V4)
    s = confined(d.pid)
    assert s["Uid"].split()[0] != "0"


def test_confined_background(net, place):
    pid = background(net, place)
    confined(pid)
    assert os.readlink("/proc/%d/ns/pid" % pid) != \
        os.readlink("/proc/self/ns/pid")
    # the start returns a moment before that
    for fd in "012":
        wait_for(lambda fd=fd: os.readlink("/proc/%d/fd/%s" % (pid, fd)) ==
                 "/dev/null")
    end(pid, place + "/s")
    assert not os.path.exists(place + "/pid")


@pytest.mark.parametrize("runas,uid,gid", [
    ((), "65534", "65534"), (("--runas", "1234"), "1234", "1234"),
    (("--runas", "1234:56"), "1234", "56")])
def test_root_becomes_somebody(net, place, runas, uid, gid):
    pid = background(net, place, *runas, user=False)
    s = confined(pid)
    assert s["Uid"].split() == [uid] * 4 and s["Gid"].split() == [gid] * 4
    assert s["Groups"].strip() == ""
    end(pid, place + "/s")


def test_root_without_capabilities(net, place):
    """As in a container that dropped them all: UID 0 is all it can stay."""
    weak = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", rd.binary(),
            "-s", place + "/s", "-P", place + "/pid", "-q")
    r = subprocess.run(net.host.cmd(*weak), stderr=subprocess.PIPE, text=True,
                       env=rd.environ(), timeout=PATIENCE, check=False)
    assert r.returncode == 1 and r.stderr.startswith("--runas: cannot ")
    r = subprocess.run(net.host.cmd(*weak, "--runas", "0"), text=True,
                       env=rd.environ(), stderr=subprocess.PIPE,
                       timeout=PATIENCE, check=False)
    assert r.returncode == 0, r.stderr
    with open(place + "/pid", encoding="ascii") as f:
        pid = int(f.read())
    s = status(pid)
    assert s["Uid"].split() == ["0"] * 4 and s["Seccomp"] == "2"
    end(pid, place + "/s")


@pytest.mark.parametrize("forbid", [False, True])
def test_root_of_another_user_namespace(place, forbid):
    """UID 0 there is kept; where it may make no further one, it says so."""
    script = "ip link set lo up; "
    if forbid:
        script += "echo 0 >/proc/sys/user/max_user_namespaces; "
    user = pwd.getpwnam(rd.USER).pw_uid
    argv = rd.as_user("unshare", "-Urn", "sh", "-ec", script + 'exec "$@"',
                      "sh", rd.binary(), "-s", place + "/s", "-P",
                      place + "/pid", "-q")
    r = subprocess.run(argv, env=rd.environ(), stderr=subprocess.PIPE,
                       text=True, timeout=PATIENCE, check=False)
    assert r.returncode == 0, r.stderr
    assert ("No user namespace" in r.stderr) == forbid
    with open(place + "/pid", encoding="ascii") as f:
        pid = int(f.read())
    if forbid:
        s = status(pid)
        assert s["Seccomp"] == "2" and int(s["CapEff"], 16) == 0
    else:
        s = confined(pid, owner=user)
    assert s["Uid"].split() == [str(user)] * 4
    end(pid, place + "/s")


def test_second_instance(net, place):
    """Neither socket nor PID file nor log of the first are touched."""
    pid = background(net, place)
    for opt in (("-f",), ()):
        r = rd.run(net, *opt, "-s", place + "/s", "-P", place + "/pid")
        assert r.returncode == 1
        assert len(r.stderr.splitlines()) == 1 and place + "/s" in r.stderr
        with open(place + "/pid", encoding="ascii") as f:
            assert f.read() == "%d\n" % pid
    socket.socket(socket.AF_UNIX).connect(place + "/s")
    end(pid, place + "/s")


def test_stale_pid_file_is_replaced(net, place):
    with open(place + "/pid", "w", encoding="ascii") as f:
        f.write("123456789\n" * 10)
    os.chmod(place + "/pid", 0o666)
    pid = background(net, place)
    assert status(pid)
    end(pid, place + "/s")
    assert not os.path.exists(place + "/pid")


# What can be wrong with the host, not with the words: option, value, why.
# Ports are taken or not allowed; @ is a directory that may not be written to
WRONG = [
    ("--log-file", "@/x", "Permission denied"),
    ("--pcap", "@/x", "Permission denied"),
    ("--pid", "@/x", "Permission denied"),
    ("--socket", "@/x", "Permission denied"),
    ("--log-file", "/no/such/x", "No such file or directory"),
    ("--pcap", "/no/such/x", "No such file or directory"),
    ("--pid", "/no/such/x", "No such file or directory"),
    ("--socket", "/no/such/x", "No such file or directory"),
    ("--log-file", "@", "Is a directory"),
    ("--pcap", "@", "Is a directory"),
    ("--pid", "@", "Is a directory"),
    ("--socket", "@", "Address already in use"),
    ("--tcp-ports", "7105", "Address already in use"),
    ("--udp-ports", "7105", "Address already in use"),
    ("--tcp-ports", "127.0.0.1/7105", "Address already in use"),
    ("--tcp-ports", "80", LOW_PORT),
    ("--interface", "nosuch0", "no such interface"),
    ("--outbound-if4", "nosuch0", "no such interface"),
    ("--outbound-if6", "nosuch0", "no such interface"),
    ("--outbound", "203.0.113.77", "not an address of this host"),
    ("--tcp-ports", "%nosuch0/7106", "no such interface"),
    ("--runas", "no-such-user", "no such user"),
    ("--runas", "nobody:no-such-group", "no such group"),
]


@pytest.mark.parametrize("mode", [(), ("-f",)], ids=["back", "fore"])
@pytest.mark.parametrize("opt,value,why", WRONG, ids=lambda v: v)
def test_failed_start(net, place, mode, opt, value, why):
    """One line that names option and value, status 1, and nothing left of all
    that it makes: socket, PID file, log, capture, process."""
    os.mkdir(place + "/read-only")
    value = value.replace("@", place + "/read-only")
    argv = ["--socket", place + "/s", "--pid", place + "/pid", "--log-file",
            place + "/log", "--pcap", place + "/pcap", opt, value]
    taken = net.host.listen("0.0.0.0", 7105), net.host.udp("0.0.0.0", 7105)
    try:
        r = rd.run(net, *mode, *argv)
    finally:
        for s in taken:
            s.close()
    assert r.returncode == 1
    assert r.stderr == "%s %s: %s\n" % (opt, value, why) and not r.stdout
    assert os.listdir(place) == ["read-only"]
    assert os.listdir(place + "/read-only") == []
    # whoever was to be the daemon may be on the way out still
    wait_for(lambda: place.encode() not in b"".join(map(command_line, pids())))


@pytest.mark.parametrize("items", [("127.0.0.1/7107", "7107"),
                                   ("7107", "127.0.0.1/7107")], ids="-".join)
def test_port_at_all_addresses_and_at_one(net, place, items):
    """It is not somebody else who has it."""
    opts = [x for i in items for x in ("-t", i)]
    r = rd.run(net, "-f", "-s", place + "/s", *opts)
    assert r.returncode == 1
    assert r.stderr == ("--tcp-ports %s: Address already in use, by another "
                        "address of this option\n" % items[1])


def pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def command_line(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read()
    except OSError:
        return b""


@pytest.mark.parametrize("mode", [(), ("-f",)], ids=["back", "fore"])
def test_failed_start_of_root_leaves_nothing(net, place, mode):
    """Although by then it is somebody who may not write there."""
    os.chmod(place, 0o755)
    r = rd.run(net, *mode, "-s", place + "/s", "-P", place + "/pid",
               "-l", place + "/log", "-p", place + "/pcap", "-t", "80",
               user=False)
    assert r.returncode == 1
    assert r.stderr == "--tcp-ports 80: %s\n" % LOW_PORT
    assert os.listdir(place) == []


def test_failed_start_keeps_files_that_were_there(net, place):
    """What was in them, too."""
    for name in "log", "pid":
        with open(place + "/" + name, "w", encoding="ascii") as f:
            f.write("before\n")
        os.chmod(place + "/" + name, 0o666)
    r = rd.run(net, "-s", place + "/s", "-P", place + "/pid",
               "-l", place + "/log", "-t", "80")
    assert r.returncode == 1
    assert sorted(os.listdir(place)) == ["log", "pid"]
    with open(place + "/pid", encoding="ascii") as f:
        assert f.read() == "before\n"
    with open(place + "/log", encoding="ascii") as f:
        assert re.fullmatch(r"before\n\S+ --tcp-ports 80: %s\n" % LOW_PORT,
                            f.read())


def test_socket_in_a_directory_of_root(net, place):
    """As in /run, by a system service: the socket is root's then."""
    os.chmod(place, 0o755)
    for _ in range(2):      # the second time in place of the first one's
        pid = background(net, place, user=False)
        confined(pid)
        assert status(pid)["Uid"].split() == ["65534"] * 4
        st = os.stat(place + "/s")
        assert (st.st_uid, st.st_mode & 0o777) == (0, 0o600)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: gone(pid))


@pytest.fixture
def fifo(place):
    os.mkfifo(place + "/fifo")
    os.chmod(place + "/fifo", 0o666)
    return place + "/fifo"


def starting(net, place, *opts):
    """In the background; its signals are set up by now."""
    argv = rd.as_user(rd.binary(), "-s", place + "/s", *opts)
    p = subprocess.Popen(net.host.cmd(*argv), env=rd.environ(), text=True,
                         stderr=subprocess.PIPE)
    wait_for(lambda: int(status(p.pid)["SigIgn"], 16) >>
             (signal.SIGXFSZ - 1) & 1)
    return p


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_while_it_starts(net, place, fifo, sig):
    """Held up by who is to read its PID: no daemon stays behind."""
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"\n" * (1 << 20))
    p = starting(net, place, "-P", fifo)
    p.send_signal(sig)
    pid = b""
    while not re.search(rb"\d\n", pid):
        assert select.select([fd], [], [], PATIENCE)[0]
        pid += os.read(fd, 1 << 20)
    os.close(fd)
    with open(place + "/pid", "wb") as left:
        left.write(pid.strip())
    assert p.wait(PATIENCE) == -sig
    p.stderr.close()
    wait_for(lambda: gone(int(pid)))
    assert not os.path.exists(place + "/s")


def holds(pid, path):
    d = "/proc/%d/fd/" % pid
    return path in (os.readlink(d + fd) for fd in os.listdir(d))


@pytest.mark.parametrize("mode", [(), ("-f",)], ids=["back", "fore"])
def test_pid_file_goes_while_it_starts(net, place, fifo, mode):
    """The one before, told to end and not waited for, removes its file only
    now: it is made anew."""
    path = place + "/pid"
    with open(path, "w", encoding="ascii") as f:
        f.write("123456789\n")
    os.chmod(path, 0o666)
    # Held up by who is to read the capture
    p = starting(net, place, *mode, "-P", path, "-p", fifo)
    wait_for(lambda: holds(p.pid, path))
    os.unlink(path)
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    wait_for(lambda: os.path.exists(path) and os.stat(path).st_size)
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path, encoding="ascii") as f:
        pid = int(f.read())
    assert mode or p.wait(PATIENCE) == 0
    assert not mode or pid == p.pid
    end(pid, place + "/s")
    p.wait(PATIENCE)
    p.stderr.close()
    os.close(fd)
    assert not os.path.exists(path)


@pytest.mark.parametrize("opt", ["--pid", "--pcap"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_pipe_that_nobody_reads(net, place, fifo, opt, sig):
    """Waited for, until we are to end."""
    p = starting(net, place, "-l", place + "/log", opt, fifo)
    p.send_signal(sig)
    assert p.wait(PATIENCE) == 1
    assert p.stderr.read() == "%s %s: nobody reads it\n" % (opt, fifo)
    p.stderr.close()
    assert os.listdir(place) == ["fifo"]


def test_pid_to_a_device(net, place):
    r = rd.run(net, "-s", place + "/s", "-1", "-P", "/dev/null")
    assert r.returncode == 0, r.stderr
    # one client, and it leaves
    socket.socket(socket.AF_UNIX).connect(place + "/s")
    wait_for(lambda: not os.path.exists(place + "/s"))
    assert os.path.exists("/dev/null")


def test_closed_streams(net, place):
    """Nothing that is opened takes the place of a standard stream."""
    argv = rd.as_user(rd.binary(), "-s", place + "/s", "-P", place + "/pid")
    r = subprocess.run(net.host.cmd("sh", "-c", 'exec "$@" <&- >&- 2>&-',
                                    "sh", *argv),
                       env=rd.environ(), timeout=PATIENCE, check=False)
    assert r.returncode == 0
    with open(place + "/pid", encoding="ascii") as f:
        pid = int(f.read())
    s = socket.socket(socket.AF_UNIX)
    s.connect(place + "/s")
    g = Guest(s)
    g.hello(V4)
    g.close()
    for fd in "012":
        assert os.readlink("/proc/%d/fd/%s" % (pid, fd)) == "/dev/null"
    end(pid, place + "/s")
    assert not os.path.exists(place + "/pid")


def test_inherited_descriptors_are_closed(daemon):
    r, w = os.pipe()
    d = daemon(pass_fds=(w,))
    d.socket().close()
    os.close(w)
    assert os.read(r, 1) == b""
    os.close(r)


def test_fd(net):
    ours, theirs = socket.socketpair()
    argv = rd.as_user(rd.binary(), "-f", "--fd", str(theirs.fileno()))
    p = subprocess.Popen(net.host.cmd(*argv), pass_fds=(theirs.fileno(),),
                         env=rd.environ(), stderr=subprocess.PIPE)
    theirs.close()
    g = Guest(ours)
    g.hello(V4)
    g.close()
    assert p.wait(PATIENCE) == 0
    p.stderr.close()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_client_and_ports(daemon, sig):
    d = daemon("-t", "7110-7140", "-P", "@DIR@/pid", "-p", "@DIR@/pcap")
    d.connect().hello(V4)
    d.proc.send_signal(sig)
    assert d.wait() == 0
    assert not os.path.exists(d.path)
    assert not os.path.exists(d.file("pid"))


# -- hosts of all kinds -----------------------------------------------------

ETH = ("ip link add {0} type veth peer name {0}p; ip link set {0} up; "
       "ip link set {0}p up; ")


def tell(setup, *opts, rc=0):
    """What the daemon says of a host made by shell commands; or its error."""
    with tempfile.TemporaryDirectory(prefix="rig-") as place:
        os.chmod(place, 0o777)
        argv = rd.as_user(rd.binary(), "-f", "-1", "-s", place + "/s", *opts)
        p = subprocess.Popen(
            ["unshare", "-n", "sh", "-ec", "ip link set lo up\n" + setup +
             '\nexec "$@"', "sh"] + argv, env=rd.environ(),
            stderr=subprocess.PIPE, text=True)
        if rc == 0:
            stop = time.monotonic() + PATIENCE
            while p.poll() is None and time.monotonic() < stop:
                try:
                    socket.socket(socket.AF_UNIX).connect(place + "/s")
                    break
                except OSError:
                    time.sleep(0.01)
        err = p.communicate(timeout=PATIENCE)[1]
        assert p.returncode == rc, err
    return err


def lines(err):
    return [x for x in err.splitlines() if re.match(r"IPv[46]: ", x)]


def test_host_without_network():
    a, b = lines(tell(""))
    assert "169.254.2.1/16, gateway 169.254.2.2, interface none" in a
    assert "address none" in b and "gateway fe80::1" in b


def test_host_with_ipv4_alone():
    (a,) = lines(tell(ETH.format("eth7") +
                      "ip addr add 192.0.2.2/25 dev eth7; "
                      "ip route add default via 192.0.2.1"))
    assert "address 192.0.2.2/25, gateway 192.0.2.1, interface eth7" in a


def test_host_with_ipv6_alone():
    (a,) = lines(tell(ETH.format("eth7") +
                      "ip addr add 2001:db8::2/60 dev eth7; "
                      "ip route add default via fe80::7 dev eth7"))
    assert "address 2001:db8::2/60, gateway fe80::7, interface eth7" in a


def test_host_without_default_route():
    """An address and its link, no more: of use all the same."""
    (a,) = lines(tell(ETH.format("eth7") +
                      "ip addr add 192.0.2.2/24 dev eth7"))
    assert "address 192.0.2.2/24, gateway 169.254.2.2" in a
    (a,) = lines(tell(ETH.format("eth7") +
                      "ip addr add 192.0.2.2/24 dev eth7; "
                      "ip route add 198.51.100.0/24 via 192.0.2.9"))
    assert "gateway 192.0.2.9" in a


def test_host_point_to_point():
    (a,) = lines(tell(ETH.format("eth7") +
                      "ip addr add 192.0.2.2 peer 192.0.2.3 dev eth7; "
                      "ip route add default dev eth7"))
    assert "address 192.0.2.2/32, gateway none" in a


SEVERAL = ETH.format("eth7") + ETH.format("eth8") + (
    "ip addr add 192.0.2.2/24 dev eth7; "
    "ip addr add 198.51.100.2/24 dev eth8; "
    "ip addr add 198.51.100.9/24 dev eth8; "
    "ip addr add 2001:db8:8::2/64 dev eth8; "
    "ip route add default via 192.0.2.1 metric 200; "
    "ip route add default via 198.51.100.1 metric 100; "
    "ip route add default via fe80::8 dev eth8; ")


@pytest.mark.parametrize("opts,want", [
    ((), ("198.51.100.2/24, gateway 198.51.100.1, interface eth8",
          "2001:db8:8::2/64, gateway fe80::8, interface eth8")),
    (("-i", "eth7"), ("192.0.2.2/24, gateway 192.0.2.1, interface eth7",)),
    (("--outbound-if4", "eth7"),
     ("192.0.2.2/24, gateway 192.0.2.1, interface eth7",
      "2001:db8:8::2/64, gateway fe80::8, interface eth8")),
    (("--outbound-if4", "eth7", "-i", "eth8"),
     ("198.51.100.2/24, gateway 198.51.100.1, interface eth8",
      "2001:db8:8::2/64, gateway fe80::8, interface eth8")),
    (("--outbound-if6", "eth8", "-4"),
     ("198.51.100.2/24, gateway 198.51.100.1, interface eth8",)),
    (("-a", "192.0.2.50", "-g", "192.0.2.60", "-6", "-a", "::1"), None),
], ids=lambda v: " ".join(v or ()) if v and v[0][0] == "-" else "")
def test_host_with_several_interfaces(opts, want):
    if want is None:
        assert "::1" in tell(SEVERAL, *opts, rc=1)
        return
    got = lines(tell(SEVERAL, *opts))
    assert len(got) == len(want)
    for line, text in zip(got, want):
        assert text in line


def test_host_with_multipath_route():
    (a,) = lines(tell(ETH.format("eth7") + ETH.format("eth8") +
                      "ip addr add 192.0.2.2/24 dev eth7; "
                      "ip addr add 198.51.100.2/24 dev eth8; "
                      "ip route add default nexthop via 192.0.2.1 weight 1 "
                      "nexthop via 198.51.100.1 weight 5"))
    assert "198.51.100.2/24, gateway 198.51.100.1, interface eth8" in a


def test_host_without_ipv6(place):
    """The kernel has the family, but it is switched off everywhere."""
    (a,) = lines(tell("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
                      "net.ipv6.conf.default.disable_ipv6=1; " +
                      ETH.format("eth7") +
                      "ip addr add 192.0.2.2/24 dev eth7; "
                      "ip route add default via 192.0.2.1",
                      "-t", "7101"))
    assert a.startswith("IPv4")


# -- many ports -------------------------------------------------------------

# 7976 ports are not ephemeral then, nor privileged
EPHEMERAL = "9000 65535"


@pytest.fixture
def few(net):
    """A host where `all` fits within the hard limit of descriptors here."""
    net.host.sh("sysctl -qw net.ipv4.ip_local_port_range='%s'" % EPHEMERAL)
    yield net
    net.host.sh("sysctl -qw net.ipv4.ip_local_port_range='32768 60999'")


def cpu_of_children():
    """CPU seconds of all that ran and has ended."""
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def listeners(net, proto):
    return len(net.host.sh("ss -Hln" + proto).splitlines())


@pytest.mark.parametrize("opts,tcp,udp", [
    (("-t", "all"), 7976, 7976), (("-t", "all", "-u", "none"), 7976, 0),
    (("-u", "all"), 0, 7976), (("-t", "all", "-u", "all"), 7976, 7976),
    (("-t", "~5000-5099", "-u", "none"), 7876, 0),
    (("-t", "::1/all", "-u", "none"), 7976, 0),
    (("-t", "2000-8999"), 7000, 7000)],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_many_ports(few, place, opts, tcp, udp):
    """One socket a port and protocol, for both families, in well under a
    second for the whole range; the soft limit of descriptors is no bound."""
    args = rd.as_user(rd.binary(), "-s", place + "/s", "-P", place + "/pid",
                      "-q", *opts)
    used = cpu_of_children()
    r = subprocess.run(few.host.cmd("sh", "-c", 'ulimit -Sn 256; exec "$@"',
                                    "sh", *args),
                       stderr=subprocess.PIPE, env=rd.environ(), text=True,
                       timeout=PATIENCE, check=False)
    used = cpu_of_children() - used
    assert r.returncode == 0 and r.stderr == ""
    with open(place + "/pid", encoding="ascii") as f:
        pid = int(f.read())
    assert (listeners(few, "t"), listeners(few, "u")) == (tcp, udp)
    # the socket for clients, signals, time, the loop, standard streams, ...
    assert tcp + udp < len(os.listdir("/proc/%d/fd" % pid)) < tcp + udp + 16
    # what it did is all that took time; 16,000 take 0.14 s
    used += rd.cpu_of(pid)
    assert used < (3.2 if "/san/" in rd.binary() else 0.4)
    end(pid, place + "/s")


@pytest.mark.parametrize("opts", [("-t", "all"), ("-u", "all"),
                                  ("-t", "~22"), ("-t", "2000-8000")],
                         ids=" ".join)
def test_out_of_descriptors(few, place, opts):
    """The hard limit is in the way: told in one line, which says where."""
    argv = rd.as_user(rd.binary(), "-f", "-s", place + "/s", *opts)
    r = subprocess.run(few.host.cmd("sh", "-c", 'ulimit -n 1024; exec "$@"',
                                    "sh", *argv),
                       stderr=subprocess.PIPE, env=rd.environ(), text=True,
                       timeout=PATIENCE, check=False)
    assert r.returncode == 1
    name = {"-t": "tcp", "-u": "udp"}[opts[0]]
    assert re.fullmatch(r"--%s-ports \d+: Too many open files, raise "
                        r"RLIMIT_NOFILE \(ulimit -Hn\)\n" % name, r.stderr)
    assert os.listdir(place) == []
