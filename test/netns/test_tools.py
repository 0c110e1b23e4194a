# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of the field in the namespace, and their counterparts outside."""
import hashlib
import json
import os
import re
import time

import pytest

from rig import pasta as rp
from rig.flows import pattern, wait_for
from rig.net import V4, V6
from rig.wait import PATIENCE


@pytest.fixture
def guest(pasta):
    return pasta("--config-net")


def url(addr):
    return "[%s]" % addr if ":" in addr else addr


@pytest.fixture
def files(place):
    with open(place + "/file", "wb") as f:
        f.write(pattern(5000000))
    os.chmod(place + "/file", 0o644)
    return place


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def http(spawn, ns, directory, port):
    """A Python HTTP server for both families."""
    spawn(ns, "/usr/bin/python3", "-m", "http.server", "--bind", "::", "-d",
          directory, str(port), tcp=port)


def test_curl_to_http_server(net, guest, spawn, files, fam):
    http(spawn, net.remote, files, 8081)
    guest.ns.sh("curl -sS -m 60 -o %s/got http://%s:8081/file" % (
        files, url(fam.remote)))
    assert digest(files + "/got") == digest(files + "/file")
    # several at once, and one that is not there
    text = guest.ns.sh("curl -sS --no-progress-meter -m 60 --parallel -w '%%{http_code} ' "
                       "-o /dev/null http://%s:8081/file "
                       "-o /dev/null http://%s:8081/file "
                       "-o /dev/null http://%s:8081/none" % (
                           (url(fam.remote),) * 3))
    assert sorted(text.split()) == ["200", "200", "404"]


def test_http_server_inside(net, guest, spawn, files, fam):
    """By the automatic port, from the host and from the remote."""
    http(spawn, guest.ns, files, 8082)
    wait_for(lambda: rp.listening(net.host, "tcp", 8082))
    for i, (ns, addr) in enumerate(((net.host, fam.lo),
                                    (net.remote, fam.host))):
        ns.sh("curl -sS -m 60 -o %s/got%d http://%s:8082/file" % (
            files, i, url(addr)))
        assert digest("%s/got%d" % (files, i)) == digest(files + "/file")


def test_curl_by_name(net, guest, spawn, dns, files):
    """resolv.conf is the host's, and the name server is reached by UDP."""
    http(spawn, net.remote, files, 8083)
    guest.ns.sh("curl -sS -m 60 -o %s/got http://web.example.org:8083/file" %
                files)
    assert digest(files + "/got") == digest(files + "/file")


DNS = ("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
       "--conf-file=/dev/null", "--user=root", "--bind-interfaces",
       "--pid-file=", "--edns-packet-max=4096", "--host-record=web.example.org,198.51.100.1,"
       "2001:db8:2::1")
LONG = ["--txt-record=long.example.org" + "".join(
    ",%03d" % i + "x" * 200 for i in range(15))]


@pytest.fixture
def dns(net, spawn):
    """A name server where the host's resolv.conf says."""
    spawn(net.remote, *DNS, *LONG, "--listen-address=198.51.100.53",
          "--listen-address=2001:db8:2::53", udp=53)


@pytest.mark.parametrize("server", ["", "@198.51.100.53", "@2001:db8:2::53"])
def test_dig(guest, dns, server):
    dig = "dig +time=15 +tries=1 %s web.example.org " % server
    assert guest.ns.sh(dig + "+short A") == "198.51.100.1\n"
    assert guest.ns.sh(dig + "+short AAAA") == "2001:db8:2::1\n"
    assert guest.ns.sh(dig + "+short +tcp A") == "198.51.100.1\n"
    # one that is too long for UDP: truncated, and asked for again
    text = guest.ns.sh("dig +time=15 +tries=1 +bufsize=512 %s TXT "
                       "long.example.org" % server)
    assert text.count("xxx\"") == 15 and "retrying in TCP" in text
    # and as one large datagram
    text = guest.ns.sh("dig +time=15 +tries=1 +bufsize=4096 +ignore %s TXT "
                       "long.example.org" % server)
    assert text.count("xxx\"") == 15


@pytest.mark.parametrize("v", [4, 6])
def test_dns_forward(net, pasta, spawn, v):
    """A resolver on the host's loopback, under an address of our own."""
    spawn(net.host, *DNS, "--listen-address=127.0.0.1",
          "--listen-address=::1", udp=53)
    addr, lo = (("192.0.2.53", "127.0.0.1"), ("2001:db8:1::53", "::1"))[v == 6]
    p = pasta("--config-net", "--dns-forward", addr, "--dns-host", lo)
    for tcp in "", "+tcp":
        assert p.ns.sh("dig +time=15 +tries=1 %s +short @%s web.example.org" %
                       (tcp, addr)) == "198.51.100.1\n"


# Bytes of a second that show that data flows: how fast, no test tells on a
# machine that does other things besides
MOVED = 1e6


def iperf3(ns, args):
    for _ in range(20):
        time.sleep(0.2)     # for the server, after the run before this one
        r = json.loads(ns.sh("iperf3 -J -t 1 %s || :" % args))
        if "busy" not in r.get("error", ""):
            break
    assert "error" not in r, (args, r["error"])
    return r["end"]


def test_iperf3(net, guest, spawn, fam):
    spawn(net.remote, "iperf3", "-s", "-B", fam.remote, tcp=5201)
    for way in "", "-R", "-P 4", "-P 4 -R", "--bidir":
        end = iperf3(guest.ns, "-c %s %s" % (fam.remote, way))
        assert end["sum_received"]["bytes"] > MOVED, way
    for way in "", "-R":
        end = iperf3(guest.ns, "-c %s -u -b 1M -l 1400 %s" % (fam.remote,
                                                               way))
        # what comes of so little, the server's socket holds if it is late
        assert end["sum"]["lost_percent"] < 20, way


def test_upload_grows_the_send_buffer(net, guest, spawn, fam):
    """A sender that stays within the room that it is told of has the host's
    kernel make more of it, on a path of MTU 1500 too."""
    spawn(net.remote, "iperf3", "-s", "-B", fam.remote, tcp=5201)

    def buffer():
        text = net.host.sh("ss -tmnH dport = 5201")
        return max(map(int, re.findall(r",tb(\d+),", text)), default=0)

    def grows():
        """One that had no processor at its begin may stay slow for long."""
        up = spawn(guest.ns, "iperf3", "-c", fam.remote, "-t", "5")
        while up.poll() is None:
            if buffer() > 1 << 20:
                return True
            time.sleep(0.1)
        return False
    wait_for(grows, 3 * PATIENCE)


def test_iperf3_server_inside(net, pasta, spawn, fam):
    p = pasta("--config-net", "-t", "5201", "-u", "5201")
    spawn(p.ns, "iperf3", "-s", tcp=5201)
    for ns, addr in (net.remote, fam.host), (net.host, fam.lo):
        for way in "", "-R":
            end = iperf3(ns, "-c %s %s" % (addr, way))
            assert end["sum_received"]["bytes"] > MOVED, way
        end = iperf3(ns, "-c %s -u -b 1M -l 1400" % addr)
        assert end["sum"]["lost_percent"] < 20


def test_socat_half_close(net, guest, spawn, fam):
    """Sends all, says so, then reads: as `sort` behind a socket needs."""
    spawn(net.remote, "socat", "TCP%d-LISTEN:7600,fork" % fam.v,
          "EXEC:sort,pipes", tcp=7600)
    text = guest.ns.sh("printf 'c\\na\\nb\\n' | socat -t 20 - TCP:%s:7600" %
                       url(fam.remote))
    assert text == "a\nb\nc\n"


def test_socat_udp(net, guest, spawn, fam):
    spawn(net.remote, "socat", "UDP%d-RECVFROM:7601,fork,bind=%s" % (
        fam.v, url(fam.remote)),
          "EXEC:rev,pipes", udp=7601)
    text = guest.ns.sh("echo abc | socat -t 5 - UDP:%s:7601" %
                       url(fam.remote))
    assert text == "cba\n"


def test_ncat(net, guest, spawn, fam):
    """A server inside, and its client on the host; both ways."""
    spawn(guest.ns, "ncat", "-%d" % fam.v, "-lk", "7602", "--sh-exec",
          "echo from-inside", tcp=7602)
    wait_for(lambda: rp.listening(net.host, "tcp", 7602))
    assert net.host.sh("ncat --recv-only -w 20 %s 7602" % fam.lo) == \
        "from-inside\n"
    spawn(net.host, "ncat", "-%d" % fam.v, "-lk", "7603", "--sh-exec",
          "echo from-outside", tcp=7603)
    wait_for(lambda: rp.listening(guest.ns, "tcp", 7603))
    assert guest.ns.sh("ncat --recv-only -w 20 %s 7603" % fam.lo) == \
        "from-outside\n"


def test_traceroute(guest, fam):
    """Hop by hop with UDP: each router's answer reaches the guest."""
    dst = {4: "203.0.113.130", 6: "2001:db8:3::2"}[fam.v]
    text = guest.ns.sh("traceroute -%d -n -q 1 -w 10 -m 4 %s" % (fam.v, dst))
    hops = re.findall(r"^ *(\d+)  (\S+)", text, re.M)
    want = {4: "192.0.2.1", 6: "2001:db8:1::1"}[fam.v]
    assert ("1", want) in hops, text
    assert hops[-1] == ("2", dst), text


def test_tracepath(net, guest, fam):
    net.flush()
    dst = {4: "203.0.113.130", 6: "2001:db8:3::2"}[fam.v]
    text = guest.ns.sh("tracepath -%d -n -m 6 %s" % (fam.v, dst))
    assert re.search(r"pmtu 1400", text), text
    assert "reached" in text, text


def test_ss_sees_the_same(net, guest, spawn, fam):
    """One connection, known by the same addresses on both sides."""
    spawn(net.remote, "socat", "TCP%d-LISTEN:7604" % fam.v, "PIPE",
          tcp=7604)
    c = guest.ns.connect(fam.remote, 7604)
    inside = guest.ns.sh("ss -Htn dport = 7604").split()
    outside = net.host.sh("ss -Htn dport = 7604").split()
    assert inside[0] == outside[0] == "ESTAB"
    assert inside[4] == outside[4] == "%s:7604" % url(fam.remote)
    assert inside[3].rsplit(":", 1)[0] == outside[3].rsplit(":", 1)[0]
    c.close()
    wait_for(lambda: "ESTAB" not in net.host.sh("ss -Htn dport = 7604"))


def test_no_wakeups_when_idle(net, guest, fam):
    """An open connection without traffic costs nothing."""
    ls = net.remote.listen(fam.remote)
    c = guest.ns.connect(fam.remote, ls.getsockname()[1])
    s, _ = ls.accept()

    def switches():
        with open("/proc/%d/status" % guest.pid, encoding="ascii") as f:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)",
                                 f.read(), re.M).group(1))

    def quiet():
        before = switches()
        time.sleep(1)
        # the look for ports is the only thing that goes on
        return switches() - before <= 12
    wait_for(quiet)
    for x in c, s, ls:
        x.close()


def test_one_after_the_other(net, pasta, spawn, files):
    """Both families in one session; the second after many of the first."""
    p = pasta("--config-net")
    http(spawn, net.remote, files, 8084)
    for f in V4, V6, V4:
        text = p.ns.sh("for i in 1 2 3 4 5 6 7 8 9 10; do curl -sS -m 60 -o "
                       "/dev/null -w '%%{http_code} ' http://%s:8084/file; "
                       "done" % url(f.remote))
        assert text.split() == ["200"] * 10
