# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: what is refused, what is printed, files, ports."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
import types

import pytest

from rig import daemon as rd
from rig.flows import accept, outbound, wait_for
from rig.guest import Guest
from rig.net import Netns, V4, V6
from rig.pasta import alive
from rig.wait import PATIENCE

BAD = [
    ("--mtu", "abc"), ("--mtu", "65536"), ("--mtu", "-1"), ("--mtu", ""),
    ("--mtu", "1500x"), ("--mtu", "67"),
    ("--address", "300.1.1.1"), ("--address", "1.2.3"), ("--address", ""),
    ("--address", "192.0.2.2/33"), ("--address", "2001:db8::1/129"),
    ("--address", "0.0.0.0"), ("--address", "224.0.0.1"),
    ("--address", "127.0.0.1"), ("--address", "::"), ("--address", "ff02::1"),
    ("--address", "192.0.2.2/"), ("--address", "192.0.2.2/x"),
    ("--netmask", "255.0.255.0"), ("--netmask", "33"), ("--netmask", "x"),
    ("--mac-addr", "52:54:00:12:34"), ("--mac-addr", "zz:54:00:12:34:56"),
    ("--mac-addr", "52:54:00:12:34:56:78"), ("--mac-addr", ""),
    ("--gateway", "none.such"), ("--gateway", "224.0.0.1"),
    ("--gateway", "0.0.0.0"), ("--gateway", "1.2.3.4.5"),
    ("--interface", "nosuch0"), ("--interface", ""),
    ("--interface", "name-that-is-too-long"),
    ("--outbound", "256.0.0.1"), ("--outbound", "host"),
    ("--outbound-if4", "nosuch0"), ("--outbound-if6", "nosuch0"),
    ("--outbound-if4", "name-that-is-too-long"), ("--outbound-if6", ""),
    ("--dns", "8.8.8"), ("--dns", "resolver"), ("--dns", ""),
    ("--dns-forward", "x"), ("--dns-forward", "0.0.0.0"),
    ("--dns-host", "x"), ("--dns-host", "::g"),
    ("--search", "a" * 64 + ".org"), ("--search", "bad..dots"),
    ("--search", "x" * 300),
    ("--map-host-loopback", "x"), ("--map-host-loopback", "127.0.0.1"),
    ("--map-host-loopback", "0.0.0.0"), ("--map-host-loopback", "224.0.0.1"),
    ("--map-guest-addr", "y"), ("--map-guest-addr", "ff02::1"),
    ("--hostname", "a" * 300), ("--fqdn", "a" * 300),
    ("--fqdn", "a" * 64 + ".org"),
    ("--keepalive-interval", "-1"), ("--keepalive-interval", "x"),
    ("--keepalive-interval", "99999999999"), ("--keepalive-interval", "1s"),
    ("--inactivity-timeout", "-5"), ("--inactivity-timeout", ""),
    ("--stats", "x"), ("--stats", "-1"),
    ("--log-size", "x"), ("--log-size", "-1"), ("--log-size", "0"),
    ("--log-file", "/nonexistent/dir/log"), ("--pcap", "/nonexistent/x"),
    ("--pid", "/nonexistent/x"), ("--socket", "/nonexistent/x"),
    ("--socket", "/tmp/" + "x" * 120),
    ("--fd", "x"), ("--fd", "-1"), ("--fd", "999"),
    ("--runas", "no-such-user-here"), ("--runas", ""),
    ("--tcp-ports", "0"), ("--tcp-ports", "65536"), ("--tcp-ports", "x"),
    ("--tcp-ports", ""), ("--tcp-ports", "80-"), ("--tcp-ports", "-80"),
    ("--tcp-ports", "90-80"), ("--tcp-ports", "80:"), ("--tcp-ports", ":80"),
    ("--tcp-ports", "80-90:100-101"), ("--tcp-ports", "80,,90"),
    ("--tcp-ports", "80,"), ("--tcp-ports", "~"), ("--tcp-ports", "~x"),
    ("--tcp-ports", "1.2.3/80"), ("--tcp-ports", "/80"),
    ("--tcp-ports", "192.0.2.2%/80"),
    ("--tcp-ports", "%name-that-is-too-long/80"),
    ("--tcp-ports", "[2001:db8::1/80"), ("--tcp-ports", "2001:db8:1::2]/80"),
    ("--tcp-ports", "99999-100000"), ("--tcp-ports", "80x"),
    ("--tcp-ports", "8080:1.2.3"),
    ("--tcp-ports", "192.0.2.2/8080:[::1/80"),
    ("--udp-ports", "0"), ("--udp-ports", "x"), ("--udp-ports", "90-80"),
]


@pytest.fixture
def place():
    """A directory that the tests' user can write to."""
    with tempfile.TemporaryDirectory(prefix="rig-") as d:
        os.chmod(d, 0o777)
        yield d


@pytest.mark.parametrize("opt,value", BAD, ids=lambda v: v[:32] or "empty")
def test_bad_value(net, place, opt, value):
    """Exit 1, one line on stderr that names the option and the value."""
    sock = place + "/s"
    argv = [opt, value] if opt in ("--socket", "--fd") else \
        ["--socket", sock, opt, value]
    r = rd.run(net, "-f", *argv)
    assert r.returncode == 1
    short = {"--tcp-ports": "-t", "--udp-ports": "-u"}.get(opt, opt)
    naming = [x for x in r.stderr.splitlines() if value in x and
              (opt in x or re.search(r"(^|\s)%s\b" % short, x))]
    assert naming == r.stderr.splitlines()[-1:], r.stderr
    assert not r.stdout
    assert not os.path.exists(sock), "created before the check"


@pytest.mark.parametrize("argv,named", [
    (["--no-such-option"], "no-such-option"), (["-?"], "?"),
    (["--mtu"], "mtu"), (["-t"], "t"), (["stray"], "stray"),
    (["--one-off=yes"], "one-off"), (["-6", "-m", "1000"], "ipv6-only"),
    (["--no-splice"], "no-splice"), (["--config-net"], "config-net"),
    (["-a", "192.0.2.2/24", "-n", "24"], "netmask"),
    (["-t", "auto"], "auto")], ids=" ".join)
def test_bad_usage(net, argv, named):
    r = rd.run(net, "-f", *argv)
    assert r.returncode == 1
    assert named in r.stderr
    assert len(r.stderr.splitlines()) <= 2


def test_last_wins(daemon):
    """Of conflicting options the last counts."""
    from rig import dhcp
    g = daemon("--mtu", "1400", "--mtu", "1300", "-H", "a", "-H",
               "b").connect()
    r = dhcp.ask(g, dhcp.DISCOVER)
    assert r.opts[26] == struct.pack("!H", 1300) and r.opts[12] == b"b"
    d = daemon("-6", "-4")
    d.connect().hello(V4)
    assert "IPv4: " in d.stderr and "IPv6: " not in d.stderr


def test_version(net):
    r = rd.run(net, "--version")
    assert r.returncode == 0 and not r.stderr
    assert re.match(r"passt \S+", r.stdout.splitlines()[0])


@pytest.mark.parametrize("more", [(), ("--mtu", "none"), ("--no-such",)],
                         ids=" ".join)
def test_capabilities(net, more):
    """As JSON, whatever else is asked for: QEMU's docs/interop/vhost-user.rst,
    Backend program conventions."""
    for argv in ("--print-capabilities", *more), (*more,
                                                  "--print-capabilities"):
        r = rd.run(net, *argv)
        assert r.returncode == 0 and not r.stderr
        assert json.loads(r.stdout) == {"type": "net"}


@pytest.mark.parametrize("opt", ["--help", "-h"])
def test_help(net, opt):
    r = rd.run(net, opt)
    assert r.returncode == 0
    for o in ("--socket", "--tcp-ports", "--keepalive-interval",
              "--inactivity-timeout", "--map-host-loopback", "--pcap",
              "--dns-forward", "--one-off", "--log-size", "-4", "-1"):
        assert o in r.stdout, o
    assert max(map(len, r.stdout.splitlines())) <= 80


@pytest.mark.parametrize("argv", [
    ["-e"], ["--stderr"], ["-d"], ["--trace"], ["-q"], ["--quiet"],
    ["--freebind"], ["--chroot-fallback"], ["--dhcp-dns"], ["--dhcp-search"],
    ["--stats", "1"], ["--ipv4-only"], ["--ipv6-only"], ["--no-icmp"],
    ["--runas", "nobody"], ["-i", "eth0"], ["--interface=eth0"],
    ["-m1400"], ["--map-guest-addr", "none"], ["-t", "none", "-u", "none"],
    ["--migrate-exit"], ["--migrate-no-linger"], ["--no-dhcp", "--no-ra"]],
    ids=" ".join)
def test_accepted(daemon, argv):
    g = daemon(*argv).connect()
    fam = V6 if "--ipv6-only" in argv else V4
    if "--no-icmp" not in argv:
        g.hello(fam)


@pytest.mark.parametrize("argv", [
    ["--repair-path", "/tmp/rig-never"], ["--migrate-exit"],
    ["--migrate-no-linger"]], ids=lambda v: v[0])
def test_no_migration_yet(daemon, argv):
    """Options of it are taken, and said to do nothing."""
    d = daemon(*argv)
    d.connect().hello(V4)
    line, = [x for x in d.stderr.splitlines() if argv[0] in x]
    assert "have no effect" in line
    assert not os.path.exists("/tmp/rig-never")


def test_quiet(daemon):
    d = daemon("-q")
    d.connect().hello(V4)
    assert d.stderr == ""


def test_debug_says_more(daemon):
    out = []
    for opt in ((), ("-d",), ("--trace",)):
        d = daemon(*opt)
        g = d.connect()
        g.hello(V4)
        g.hello(V6)
        d.proc.send_signal(signal.SIGTERM)
        assert d.wait() == 0
        out.append(len(d.stderr))
    assert out[0] < out[1] <= out[2]


def test_default_socket(monkeypatch):
    """Without --socket: the first free of /tmp/passt_1.socket ... _64. In a
    /tmp that nobody else has, nor the binary where all of this is in there."""
    place = Netns()
    place.sh("mount -t tmpfs -o mode=755 tmpfs /mnt; cp '%s' /mnt/passt; "
             "mount -t tmpfs -o mode=1777 tmpfs /tmp; touch /tmp/passt_1.socket"
             % os.path.abspath(rd.binary()))
    monkeypatch.setenv("PASST", "/mnt/passt")
    tmp = "/proc/%d/root/tmp" % place.proc.pid
    pids = []
    for n in 2, 3:
        r = rd.run(types.SimpleNamespace(host=place), "-P", "/tmp/%d" % n)
        assert r.returncode == 0, r.stderr
        assert os.path.exists("%s/passt_%d.socket" % (tmp, n))
        with open("%s/%d" % (tmp, n), encoding="ascii") as f:
            pids.append(int(f.read()))
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: os.listdir(tmp) == ["passt_1.socket"])
    place.close()


def test_socket_in_use(daemon, net):
    """A socket somebody listens on is not taken away."""
    d = daemon()
    d.connect().hello(V4)
    r = rd.run(net, "-f", "--socket", d.path)
    assert r.returncode == 1 and d.path in r.stderr
    assert os.path.exists(d.path)


def test_stale_socket_replaced(daemon):
    """One left behind by a crash is."""
    d = daemon()
    d.socket().close()
    d.proc.kill()
    d.proc.wait()
    d.ended = True
    assert os.path.exists(d.path)
    e = daemon("-s", d.path, socket_opt=False)
    e.path = d.path
    e.connect().hello(V4)


def test_pid_file(daemon):
    d = daemon("-P", "@DIR@/pid")
    d.ready()
    with open(d.file("pid"), encoding="ascii") as f:
        text = f.read()
    assert text == "%d\n" % d.pid
    assert os.stat(d.file("pid")).st_mode & 0o777 == 0o600
    d.proc.send_signal(signal.SIGTERM)
    assert d.wait() == 0
    assert not os.path.exists(d.file("pid"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGQUIT, signal.SIGHUP])
def test_signal_ends(daemon, number):
    """From the moment on that the socket is there."""
    d = daemon()
    d.socket(early=True).close()
    d.proc.send_signal(number)
    assert d.wait() == 0
    assert not os.path.exists(d.path)


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
def test_signal_ignored(net, place, number):
    """As nohup does it, or a shell that puts us into the background."""
    sock = place + "/s"
    argv = rd.as_user("sh", "-c", 'trap "" %d; exec "$@"' % number, "sh",
                      rd.binary(), "-f", "-s", sock)
    p = subprocess.Popen(net.host.cmd(*argv), env=rd.environ(),
                         stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(sock))
    p.send_signal(number)
    s = socket.socket(socket.AF_UNIX)
    s.connect(sock)
    g = Guest(s)
    g.hello(V4)
    g.close()
    p.send_signal(signal.SIGTERM)
    assert p.wait(PATIENCE) == 0


def test_background(net, place):
    """Without -f: the start returns once the socket is there."""
    sock, pid = place + "/s", place + "/pid"
    r = rd.run(net, "--socket", sock, "-P", pid)
    assert r.returncode == 0, r.stderr
    with open(pid, encoding="ascii") as f:
        n = int(f.read())
    s = socket.socket(socket.AF_UNIX)
    s.connect(sock)
    os.kill(n, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(sock))
    wait_for(lambda: not alive(n))


def test_pcap(daemon, net, fam):
    """A capture that tcpdump reads, timestamps and all."""
    d = daemon("--pcap", "@DIR@/pcap")
    g = d.connect()
    start = time.time()
    c, s = outbound(g, net, fam)
    for i in range(10):
        c.send(b"%d" % i)
        c.expect_ack()
    s.sendall(b"down")
    c.read(4)
    sent = 2 + 10 + 1
    g.hello(fam)                # it has seen all of them
    d.proc.send_signal(signal.SIGTERM)
    assert d.wait() == 0
    while not g.closed:         # and we all of its own
        g.poll(0.1)
    assert os.stat(d.file("pcap")).st_mode & 0o777 == 0o600
    out = subprocess.run(["tcpdump", "-tt", "-n", "-r", d.file("pcap"),
                          "tcp"], capture_output=True, text=True, check=True)
    lines = out.stdout.splitlines()
    assert len(lines) == len(c.all) + sent, out.stdout
    for x in lines:
        assert start - 1 <= float(x.split()[0]) <= time.time() + 1
    with open(d.file("pcap"), "rb") as f:
        b = f.read()
    magic, maj, minor, _, _, snap, link = struct.unpack("=IHHiIII", b[:24])
    assert magic in (0xa1b2c3d4, 0xa1b23c4d)
    assert (maj, minor, link) == (2, 4, 1) and snap >= 65535
    off, stamps = 24, []
    while off < len(b):
        sec, frac, n, orig = struct.unpack("=IIII", b[off:off + 16])
        assert n == orig and off + 16 + n <= len(b)
        stamps.append((sec, frac))
        off += 16 + n
    assert stamps == sorted(stamps)
    check = subprocess.run(["tcpdump", "-vv", "-n", "-r", d.file("pcap")],
                           capture_output=True, text=True, check=True)
    assert "incorrect" not in check.stdout and "bad" not in check.stdout


def test_log_file_bounded(daemon, net, fam):
    """--log-size: never larger; the newest lines stay."""
    d = daemon("--trace", "--log-file", "@DIR@/log", "--log-size", "20000")
    g = d.connect()
    for _ in range(30):
        c, s = outbound(g, net, fam)
        for _ in range(20):
            c.send(b"x")
        c.rst()
        assert os.path.getsize(d.file("log")) <= 20000
    assert os.stat(d.file("log")).st_mode & 0o777 == 0o600
    assert os.path.getsize(d.file("log")) > 2000
    with open(d.file("log"), encoding="utf-8") as f:
        text = f.read()
    assert text.endswith("\n") and "\0" not in text


def test_stats(daemon):
    """--stats: what was dropped is counted there."""
    d = daemon("--stats", "1")
    g = d.connect()
    for _ in range(50):
        g.send(b"\0" * 13)
    g.hello(V4)
    time.sleep(1.1)
    g.hello(V4)
    g.send(b"\0" * 13)
    d.wait_log(r"\b5[01]\b")


def test_memory_of_a_fresh_daemon(daemon):
    with open(rd.binary(), "rb") as f:
        if b"__asan_init" in f.read():
            pytest.skip("a build with sanitizers")
    d = daemon()
    d.connect().hello(V4)
    assert d.rss() < 8 << 20


# -- port specifications ----------------------------------------------------

def listening(net, proto="t"):
    """{(address, port)} of all listening sockets on the host."""
    out = net.host.sh("ss -Hln%s" % proto)
    found = set()
    for line in out.splitlines():
        where = line.split()[3]
        addr, port = where.rsplit(":", 1)
        found.add((addr.strip("[]"), int(port)))
    return found


def ports(found):
    return {p for _, p in found}


@pytest.mark.parametrize("spec,want", [
    ("7101", {7101}), ("7101,7103", {7101, 7103}),
    ("7101-7104", {7101, 7102, 7103, 7104}), ("7101:22", {7101}),
    ("7101-7103:22-24", {7101, 7102, 7103}),
    ("7101-7110,~7103-7108", {7101, 7102, 7109, 7110}),
    ("7101-7103,~7102,7200", {7101, 7103, 7200}), ("none", set())])
@pytest.mark.parametrize("opt", ["-t", "-u"])
def test_ports_listened(daemon, net, opt, spec, want):
    d = daemon(opt, spec)
    d.socket().close()
    got = ports(listening(net, opt[1]))
    assert got == want


@pytest.mark.parametrize("spec,addr", [
    ("192.0.2.2/7101", "192.0.2.2"), ("127.0.0.1/7101", "127.0.0.1"),
    ("2001:db8:1::2/7101", "2001:db8:1::2"), ("::1/7101", "::1"),
    ("[2001:db8:1::2]/7101", "2001:db8:1::2"),
    ("192.0.2.2%eth0/7101", "192.0.2.2%eth0"),
    ("0.0.0.0/7101", "0.0.0.0")])
def test_ports_bound(daemon, net, spec, addr):
    d = daemon("-t", spec)
    d.socket().close()
    assert listening(net) == {(addr, 7101)}


def test_ports_bound_to_interface(daemon, net):
    d = daemon("-t", "%eth0/7101")
    g = d.connect()
    g.hello(V4)
    net.remote.connect(V4.host, 7101, src=V4.remote)
    accept(g)
    with pytest.raises(OSError):
        net.host.connect(V4.lo, 7101)


def test_dual_stack(daemon, net):
    """Forwarding `any` accepts both families with one socket."""
    d = daemon("-t", "7101")
    g = d.connect()
    for fam in (V4, V6):
        g.hello(fam)
        s = net.remote.connect(fam.host, 7101, src=fam.remote)
        assert accept(g).src == fam.guest
        s.close()
    assert len(listening(net)) == 1


def test_several_specs(daemon, net):
    d = daemon("-t", "7101", "-t", "192.0.2.2/7102", "-u", "7103")
    d.socket().close()
    assert ports(listening(net)) == {7101, 7102}
    assert 7103 in ports(listening(net, "u"))


def test_target_address(daemon, net, fam):
    """A target address besides the target port."""
    brackets = "[%s]" if fam.v == 6 else "%s"
    d = daemon("-t", "%s/7101:%s/22" % (brackets % fam.host,
                                        brackets % fam.other))
    g = d.connect()
    g.hello(fam)
    net.remote.connect(fam.host, 7101, src=fam.remote)
    c = accept(g)
    assert (c.src, c.sport) == (fam.other, 22)


def test_target_address_without_port(daemon, net):
    d = daemon("-t", "7101:192.0.2.99")
    g = d.connect()
    g.hello(V4)
    net.remote.connect(V4.host, 7101, src=V4.remote)
    c = accept(g)
    assert (c.src, c.sport) == (V4.other, 7101)


def test_taken_port_is_an_error(net):
    s = net.host.listen("0.0.0.0", 7105)
    r = rd.run(net, "-f", "-s", "/tmp/rig-never", "-t", "7104-7106")
    assert r.returncode == 1 and "7105" in r.stderr
    s.close()


@pytest.mark.parametrize("opt", ["-t", "-u"])
@pytest.mark.parametrize("spec", ["192.0.2.77/8080", "%nosuch0/8080",
                                  "2001:db8:1::77/8080"])
def test_unbindable_is_an_error(net, place, opt, spec):
    """An address or interface that is not there: an error naming the port,
    and nothing left behind."""
    r = rd.run(net, "-f", "-s", place + "/s", opt, spec)
    assert r.returncode == 1 and "8080" in r.stderr.splitlines()[-1]
    assert not os.path.exists(place + "/s")


def test_all_passes_over_taken(daemon, net):
    s = net.host.listen("0.0.0.0", 7105)
    net.host.sh("sysctl -qw net.ipv4.ip_local_port_range='2000 60999'")
    try:
        d = daemon("-t", "192.0.2.2/all", "-u", "none")
        d.socket().close()
        got = {p for a, p in listening(net) if a == "192.0.2.2"}
        assert 7105 not in got and not [p for p in got if 2000 <= p <= 60999]
        assert {1999, 61000, 65535} <= got
    finally:
        net.host.sh("sysctl -qw net.ipv4.ip_local_port_range='32768 60999'")
        s.close()


def test_exclusions_alone(daemon, net):
    net.host.sh("sysctl -qw net.ipv4.ip_local_port_range='2000 60999'")
    try:
        d = daemon("-t", "~61000-65000", "-u", "none")
        d.socket().close()
        got = ports(listening(net))
        assert {1999, 65001, 65535} <= got
        assert not got & set(range(61000, 65001))
    finally:
        net.host.sh("sysctl -qw net.ipv4.ip_local_port_range='32768 60999'")


def test_unavailable_address_freebind(daemon, net):
    d = daemon("--freebind", "-t", "203.0.113.200/7101")
    d.socket().close()
    assert ("203.0.113.200", 7101) in listening(net)


# -- addresses from the host ------------------------------------------------

def test_files_are_not_followed_by_group(daemon):
    """0600 whatever the umask."""
    d = daemon("--pcap", "@DIR@/pcap", "-l", "@DIR@/log")
    d.connect().hello(V4)
    for name in ("pcap", "log"):
        assert os.stat(d.file(name)).st_mode & 0o777 == 0o600


def test_mapping_needs_no_gateway(daemon):
    d = daemon("--no-map-gw")
    g = d.connect()
    g.arp(1, V4.guest, V4.gw)
    assert g.expect(lambda f: f.arp).arp.spa == V4.gw
