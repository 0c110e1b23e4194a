# SPDX-License-Identifier: GPL-2.0-or-later
"""pasta PID, --netns, --userns, --netns-only: namespaces that exist already,
as container engines use it."""
import os
import re
import socket
import subprocess
import time

import pytest

from rig import daemon as rd
from rig import pasta as rp
from rig.flows import wait_for
from rig.net import V4
from rig.wait import Stopwatch

NAME = "rig-netns"


def hello(net, spawn, ns, fam, port=7210):
    """Fetch a word from the remote, at the first attempt."""
    if not rp.listening(net.remote, "tcp", port):
        spawn(net.remote, "socat", "TCP%d-LISTEN:%d,fork,reuseaddr" % (
            fam.v, port), "SYSTEM:'echo hello'", tcp=port)
    addr = "[%s]" % fam.remote if fam.v == 6 else fam.remote
    return ns.sh("socat -u TCP:%s:%d,connect-timeout=20 -" % (addr, port))


def forms(h):
    """The ways to name the namespaces of a process."""
    pid = str(h.pid)
    return {
        "pid": (pid,),
        "path": ("--userns", "/proc/%s/ns/user" % pid,
                 "--netns", "/proc/%s/ns/net" % pid)}


@pytest.mark.parametrize("form", ["pid", "path"])
@pytest.mark.parametrize("background", [True, False], ids=["back", "fore"])
def test_join(net, pasta, held, spawn, fam, form, background):
    h = held()
    p = pasta("--config-net", target=forms(h)[form], ns=h.ns,
              background=background)
    # its start has returned, or its PID file is there: all works by now
    assert hello(net, spawn, h.ns, fam) == "hello\n"
    if background:
        assert rp.ns_of(p.pid, "pid") != rp.ns_of("self", "pid")
        # the start returns a moment before that
        for fd in "012":
            wait_for(lambda fd=fd: os.readlink("/proc/%d/fd/%s" % (
                p.pid, fd)) == "/dev/null")
    else:
        assert int(p.read("pid")) == p.proc.pid
    p.stop()
    pasta_gone(h)


def test_command_in_a_user_namespace(run, held):
    """--userns with a command: it joins that one, and has a network of its own."""
    h = held()
    r = run("--userns", "/proc/%d/ns/user" % h.pid, "--config-net", "readlink",
            "/proc/self/ns/user", "/proc/self/ns/net")
    assert r.returncode == 0, r.stderr
    user, network = r.stdout.split()
    assert user == os.readlink("/proc/%d/ns/user" % h.pid)
    assert network not in (os.readlink("/proc/%d/ns/net" % h.pid),
                           os.readlink("/proc/self/ns/net"))


def test_no_process_left_for_it(run, held):
    """It says so, as wherever it cannot start."""
    h = held()
    r = run("--userns", "/proc/%d/ns/user" % h.pid, "true",
            prefix=("bash", "-c", 'ulimit -u 1; exec "$@"', "bash"))
    assert r.returncode == 1 and r.left == []
    assert r.stderr == ("Cannot make namespaces for the command: Resource "
                        "temporarily unavailable\n")


def pasta_gone(h):
    """The namespace is there still, and the tap device is not."""
    wait_for(lambda: [i["ifname"] for i in h.ns.ip("link")] == ["lo"])
    assert h.proc.poll() is None


@pytest.mark.parametrize("background", [True, False], ids=["back", "fore"])
def test_ends_with_the_process(pasta, held, background):
    h = held()
    p = pasta("--config-net", target=[h.pid], background=background,
              ns=h.ns)
    h.ns.close()            # our own hold on the namespace, too
    h.end()
    watch = Stopwatch(p.pid)
    watch.within(lambda: not rp.alive(p.pid), 2)
    assert p.wait() in (0, None)
    h.ns = rp.Inside(p.host, os.getpid())   # for close()


def test_stays_while_the_process_does(pasta, held):
    """It waits for the namespace, not for a while."""
    h = held()
    p = pasta("--config-net", target=[h.pid], ns=h.ns)
    time.sleep(2.5)
    assert rp.alive(p.pid)


def test_netns_only_pid(net, pasta, held, spawn, fam):
    """Another process of the same user namespace: only its network."""
    outer = held(net=False)
    inner = subprocess.Popen(
        outer.host.cmd(*rd.as_user(*outer.enter(
            "unshare", "-n", "sh", "-c", rp.STAY[2]))),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ns = None
    try:
        assert inner.stdout.readline() == b"ready\n"
        ns = rp.Inside(outer.host, inner.pid)
        p = pasta("--config-net", "--netns-only", target=[inner.pid], ns=ns,
                  prefix=outer.enter())
        assert hello(net, spawn, ns, fam) == "hello\n"
        p.stop()
        wait_for(lambda: [i["ifname"] for i in ns.ip("link")] == ["lo"])
    finally:
        inner.kill()
        inner.communicate()
        if ns:
            ns.close()


# -- named and bound namespaces, as in `podman unshare` -----------------------

class Named:
    """A network namespace with a name, in an ordinary user's /run/netns."""

    def __init__(self, held):
        self.outer = held(net=False)
        self.path = "/run/netns/" + NAME
        self.add(NAME)

    def add(self, name):
        """As `ip netns add`, which would have to go back to the host's."""
        self.outer.sh("mkdir -p /run/netns; cd /run/netns; touch %s; "
                      "unshare --net=%s ip link set lo up" % (name, name))

    def sh(self, script):
        return self.outer.sh("ip netns exec %s sh -ec %s" % (
            NAME, "'" + script.replace("'", "'\\''") + "'"))

    def delete(self):
        self.outer.sh("ip netns del " + NAME)

    def links(self):
        return re.findall(r"^\d+: (\w+)", self.sh("ip -o link"), re.M)


@pytest.mark.parametrize("how", ["name", "path"])
@pytest.mark.parametrize("background", [True, False], ids=["back", "fore"])
def test_netns(net, pasta, held, spawn, fam, how, background):
    n = Named(held)
    p = pasta("--config-net", target=["--netns",
                                      NAME if how == "name" else n.path],
              ns=n, background=background, prefix=n.outer.enter())
    assert hello(net, spawn, n, fam) == "hello\n"
    assert n.links() == ["lo", "eth0"]
    p.stop()
    wait_for(lambda: n.links() == ["lo"])


def test_quits_with_the_name(pasta, held):
    n = Named(held)
    p = pasta("--config-net", target=["--netns", NAME], ns=n,
              prefix=n.outer.enter())
    time.sleep(0.3)
    assert rp.alive(p.pid)
    n.delete()
    # at once, by inotify; Debian's looks about once a second
    watch = Stopwatch(p.pid)
    watch.within(lambda: not rp.alive(p.pid), 3 if rp.FOREIGN else 0.5)
    assert p.wait() == 0


def test_quits_when_other_names_stay(pasta, held):
    """Names that come and go beside it are not its own."""
    n = Named(held)
    n.add("other")
    n.outer.sh("touch /run/netns/file")
    p = pasta("--config-net", target=["--netns", n.path], ns=n,
              prefix=n.outer.enter())
    n.outer.sh("ip netns del other; rm /run/netns/file")
    n.add("third")
    time.sleep(0.5)
    assert rp.alive(p.pid)
    n.delete()
    assert p.wait() == 0


def test_name_that_leads_to_a_process(pasta, held):
    """`ln -s /proc/PID/ns/net /run/netns/NAME`, for ip-netns(8) to know a
    container by: served as long as the process lives, whatever goes on beside
    the link."""
    n = Named(held)
    holder = subprocess.Popen(
        n.outer.host.cmd(*rd.as_user(*n.outer.enter(
            "unshare", "--net", "sleep", "60"))))
    try:
        wait_for(lambda: rp.cmdline(holder.pid) == "sleep 60 ")
        ns = rp.Inside(n.outer.host, holder.pid)
        n.outer.sh("cd /run/netns; touch file; "
                   "ln -s /proc/%d/ns/net linked" % holder.pid)
        p = pasta("--config-net", target=["--netns", "linked"], ns=ns,
                  prefix=n.outer.enter())
        n.outer.sh("rm /run/netns/file")
        time.sleep(0.3)
        assert rp.alive(p.pid)
        ns.close()
        holder.kill()
        assert p.wait() == 0
    finally:
        holder.kill()
        holder.wait()


def test_no_netns_quit(pasta, held, fam, net, spawn):
    n = Named(held)
    holder = subprocess.Popen(
        n.outer.host.cmd(*rd.as_user(*n.outer.enter(
            "ip", "netns", "exec", NAME, "sleep", "60"))))
    try:
        wait_for(lambda: rp.cmdline(holder.pid) == "sleep 60 ")
        ns = rp.Inside(n.outer.host, holder.pid)
        p = pasta("--config-net", "--no-netns-quit",
                  target=["--netns", NAME], ns=ns, prefix=n.outer.enter())
        n.delete()
        time.sleep(1.5)
        assert rp.alive(p.pid)
        assert hello(net, spawn, ns, fam) == "hello\n"
        ns.close()
    finally:
        holder.kill()
        holder.wait()


def test_root_of_a_user_namespace(net, pasta, held, spawn, fam):
    """UID 0 there is no reason to become nobody; engines start us so."""
    n = Named(held)
    p = pasta("--config-net", target=["--netns", NAME], ns=n,
              prefix=n.outer.enter(), background=True)
    with open("/proc/%d/status" % p.pid, encoding="ascii") as f:
        assert re.search(r"^Uid:\t%d\t" % rp.uid(), f.read(), re.M)
    assert hello(net, spawn, n, fam) == "hello\n"


# A root that is no mount's, with all that the machine's has
CHROOT = """cd %s
for d in /*; do
	if [ -L $d ]; then cp -P $d .
	elif [ -d $d ]; then mkdir .$d; mount --rbind $d .$d; fi
done
chroot . "$@" -P $PWD/pid
nsenter -t %d -n ip -br addr
kill $(cat pid)"""


def test_root_in_a_chroot(run, held, place):
    """No user namespace can be made there, nor mounts kept from others."""
    h = held()
    r = run("--config-net", "--netns", "/proc/%d/ns/net" % h.pid, drop=False,
            prefix=("unshare", "-m", "sh", "-ec", CHROOT % (place, h.pid),
                    "sh"))
    assert r.returncode == 0, r.stderr
    assert V4.guest + "/24" in r.stdout and r.left == []


def test_two_for_two(net, pasta, held, spawn, fam):
    """Two namespaces of one user, a pasta each."""
    a, b = held(), held()
    for h in a, b:
        pasta("--config-net", "-t", "none", "-u", "none", target=[h.pid],
              ns=h.ns, background=True)
    for h in a, b:
        assert hello(net, spawn, h.ns, fam) == "hello\n"


# -- what is said, and where ---------------------------------------------------

LOGGER = """mount -t tmpfs tmpfs /dev; mkdir /dev/net
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/net/tun c 10 200
ip link add eth0 type veth peer name peer0; ip link set eth0 up
ip link set peer0 up; ip addr add 192.0.2.2/24 dev eth0
ip route add default via 192.0.2.1
"""


@pytest.mark.parametrize("opts,at_start,later", [
    ((), True, False), (("-d",), True, True), (("-q",), False, False),
    (("-l", "@/log"), False, False), (("-l", "@/log", "-d"), False, False)],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_syslog(host, held, pasta, place, opts, at_start, later):
    """In the background, messages go to the system logger, or to the log that
    was asked for, also those of later on; and not to the terminal any more."""
    h = host(LOGGER)
    logger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    logger.bind("/proc/%d/root/dev/log" % h.proc.pid)
    os.chmod("/proc/%d/root/dev/log" % h.proc.pid, 0o666)
    logger.settimeout(0.5)

    def said():
        text = b""
        try:
            while True:
                text += logger.recv(4096) + b"\n"
        except TimeoutError:
            return text.decode()
    t = held(on=h)
    p = pasta("--config-net", "-t", "none", *(o.replace("@", place)
                                              for o in opts),
              target=[t.pid], ns=t.ns, on=h, background=True)
    first, stderr = said(), p.stderr
    t.ns.sh("socat -u /dev/null TCP:192.0.2.2:9 2>/dev/null || :; "
            "socat -u /dev/null TCP:192.0.2.1:9 2>/dev/null || :")
    then = said()
    line = r"^<30>\w{3} [ \d]\d [\d:]{8} pasta: IPv4: address 192.0.2.2/24"
    assert bool(re.search(line, first, re.M)) == at_start
    assert bool(then) == later
    assert p.stderr == stderr and bool(stderr) == ("-q" not in opts)
    if "-l" in opts:
        with open(place + "/log", encoding="utf-8") as f:
            log = f.read()
        assert "IPv4: address 192.0.2.2/24" in log
        assert ("TCP" in log) == ("-d" in opts), log
    p.stop()
    logger.close()


# -- what cannot work ---------------------------------------------------------

def refused(r, *words):
    assert r.returncode == 1, (r.returncode, r.stderr)
    assert r.left == []
    errors = [x for x in r.stderr.splitlines() if x.strip()]
    if not rp.FOREIGN:
        assert len(errors) == 1, r.stderr
    for w in words:
        assert re.search(w, errors[0], re.I), (w, errors[0])


def test_pid_that_is_gone(run):
    p = subprocess.Popen(["true"])
    p.wait()
    for f in (), ("-f",):
        refused(run("-q", *f, str(p.pid)), str(p.pid),
                "no such|gone|not exist|no process")


def test_process_of_another_user(run, net):
    """Root's: neither namespace may be joined."""
    pid = net.remote.proc.pid
    refused(run("-q", str(pid)), str(pid), "denied|not permitted")


def test_our_own_namespace(run):
    """Of a process that has none of its own yet, say: by root, the host would
    get its addresses and routes twice."""
    refused(run("-q", "--netns", "/proc/self/ns/net"), "same network")
    refused(run("-q", "--config-net", "-I", "tap7", "--netns",
                "/proc/self/ns/net", prefix=("unshare", "-rn")),
            "same network")


def test_namespace_of_another_user(run, net, held):
    """A path that may be opened does not mean that it may be joined."""
    path = "/proc/%d/ns/net" % held().pid
    refused(run("-q", "--netns", path), path, "denied|not permitted")


@pytest.mark.parametrize("argv,words", [
    (("--netns", "/no/such/netns"), ("/no/such/netns", "no such")),
    (("--netns", "no-such-name"), ("no-such-name", "no such")),
    (("--netns", "/etc/passwd"), ("/etc/passwd",)),
    (("--userns", "/no/such/userns", "--netns", "/proc/self/ns/net"),
     ("/no/such/userns", "no such")),
    (("--userns", "/proc/self/ns/net", "--netns", "/proc/self/ns/net"),
     ("/proc/self/ns/net",)),
], ids=lambda v: " ".join(v) if v[0][0] == "-" else "")
def test_what_is_no_namespace(run, argv, words):
    refused(run("-q", *argv), *words)


def test_tun_forbidden(host, held, run):
    """Found out before it goes to the background."""
    h = host("mount -t tmpfs none /dev/net; mknod -m 600 /dev/net/tun c 10 200")
    refused(run("-q", str(held(on=h).pid), on=h), "/dev/net/tun", "denied")


def test_interface_taken(held, run):
    """There is such an interface already: kept, and told."""
    h = held(script="ip link add eth0 type dummy 2>/dev/null || "
             "ip link add eth0 type veth peer name peer0; ")
    refused(run("-q", "--config-net", str(h.pid)), "eth0")
    assert "eth0" in [i["ifname"] for i in h.ns.ip("link")]


# What can be wrong with the host, not with the words: option, value, why.
# @ is a directory that may not be written to; ports are taken
WRONG = [
    ("--log-file", "@/x", "Permission denied"),
    ("--pcap", "@/x", "Permission denied"),
    ("--pid", "@/x", "Permission denied"),
    ("--log-file", "@", "Is a directory"),
    ("--pcap", "@", "Is a directory"),
    ("--pid", "@", "Is a directory"),
    ("--tcp-ports", "7211", "Address already in use"),
    ("--udp-ports", "7211", "Address already in use"),
    ("--tcp-ns", "7212", "Address already in use"),
    ("--udp-ns", "7212", "Address already in use"),
    ("--tcp-ports", "80", "Permission denied, see the sysctl "
     "net.ipv4.ip_unprivileged_port_start"),
    ("--interface", "nosuch0", "no such interface"),
    ("--outbound-if4", "nosuch0", "no such interface"),
    ("--outbound-if6", "nosuch0", "no such interface"),
    ("--tcp-ports", "%nosuch0/7213", "no such interface"),
    ("--runas", "no-such-user", "no such user"),
    ("--userns", "/no/such/x", "No such file or directory"),
    ("--ns-ifname", "taken0", "there is such an interface already"),
]


@pytest.mark.parametrize("form", ["pid", "path", "fore", "command"])
@pytest.mark.parametrize("opt,value,why", WRONG, ids=lambda v: v)
def test_failed_start(held, run, place, net, form, opt, value, why):
    """One line that names option and value, status 1, and nothing left: files,
    device, process; no command ever ran."""
    inside = opt.endswith("-ns") or opt == "--ns-ifname"
    if inside and form == "command" or opt == "--userns" and form == "path":
        pytest.skip("cannot be so")
    os.mkdir(place + "/read-only")
    value = value.replace("@", place + "/read-only")
    h = held(script="ip link add taken0 type dummy 2>/dev/null || "
             "ip link add taken0 type veth peer name taken1; ")
    links = [i["ifname"] for i in h.ns.ip("link")]
    taken = [ns.listen("::", port) for ns, port in ((net.host, 7211),
                                                    (h.ns, 7212))]
    taken += [ns.udp("::", port) for ns, port in ((net.host, 7211),
                                                  (h.ns, 7212))]
    target = {"pid": (str(h.pid),), "fore": ("-f", str(h.pid)),
              "path": forms(h)["path"], "command": ("echo", "ran")}[form]
    try:
        r = run("--config-net", "-P", place + "/pid", "-l", place + "/log",
                "-p", place + "/pcap", opt, value, *target)
    finally:
        for s in taken:
            s.close()
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr == "%s %s: %s\n" % (opt, value, why)
    assert r.left == []
    assert os.listdir(place) == ["read-only"]
    assert os.listdir(place + "/read-only") == []
    wait_for(lambda: [i["ifname"] for i in h.ns.ip("link")] == links)
