# SPDX-License-Identifier: GPL-2.0-or-later
"""Through the tap, with the Linux stack inside: TCP, UDP and ping of both
families, sizes, errors, and what must not get lost under load."""
import errno
import os
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from rig import pasta as rp
from rig.flows import one_processor, pattern, read_all, wait_for
from rig.net import V4, V6
from rig.pasta import learn
from rig.wait import PATIENCE, Stopwatch
from vm import results

LONG = 120      # seconds for what takes one or two
NONE = ("-t", "none", "-u", "none", "-T", "none", "-U", "none")


@pytest.fixture
def guest(pasta):
    """pasta with its defaults, configured."""
    return pasta("--config-net")


def url(addr):
    return "[%s]" % addr if ":" in addr else addr


# -- TCP ------------------------------------------------------------------------

def test_outbound(net, guest, fam):
    """From the host's own address; half-closed both ways."""
    ls = net.remote.listen(fam.remote)
    c = guest.ns.connect(fam.remote, ls.getsockname()[1])
    s, peer = ls.accept()
    s.settimeout(PATIENCE)
    assert peer[:2] == c.getsockname()[:2] or peer[0] == fam.host
    data = pattern(2 << 20)
    c.sendall(data[:100000])
    c.shutdown(socket.SHUT_WR)
    assert read_all(s) == data[:100000]
    s.sendall(data[:50000])
    s.close()
    assert read_all(c) == data[:50000]


def test_both_ends_wait_for_room(net, guest):
    """An echo that reads on only when it could write, and a client that does
    not read for longer than it takes until a closed window is probed."""
    ls = net.remote.listen(V4.remote)
    c = guest.ns.connect(V4.remote, ls.getsockname()[1])
    s = ls.accept()[0]
    for x in c, s:
        x.setblocking(False)
    data, sent, echo, got = pattern(1 << 16), 0, b"", 0

    def step():
        """What moves in a moment, either way, but for the client's reading."""
        nonlocal sent, echo
        try:
            if not echo:
                echo = c.recv(1 << 16)
            echo = echo[c.send(echo):]
        except BlockingIOError:
            pass
        before = sent
        try:
            sent += s.send(data)
        except BlockingIOError:
            time.sleep(0.001)
        return sent != before

    moved = time.monotonic()
    while time.monotonic() - moved < 1.5:
        if step():
            moved = time.monotonic()
    data = b""
    moved = time.monotonic()
    while got < sent:
        assert time.monotonic() - moved < PATIENCE, "%d of %d bytes" % (got, sent)
        step()
        try:
            got += len(s.recv(1 << 20))
            moved = time.monotonic()
        except BlockingIOError:
            time.sleep(0.001)


@pytest.mark.parametrize("to", ["gateway", "address"])
def test_host_loopback(net, pasta, fam, to):
    """The gateway's address, or one of our own, is the host's loopback."""
    own = {4: "192.0.2.77", 6: "2001:db8:1::77"}[fam.v]
    opts = ["--map-host-loopback", own] if to == "address" else []
    p = pasta("--config-net", *opts)
    ls = net.host.listen(fam.lo)
    addr = own if to == "address" else \
        fam.gw + "%eth0" if fam.v == 6 else fam.gw
    port = ls.getsockname()[1]
    text = p.ns.sh("echo hi | socat -t 1 - TCP:%s:%d & sleep 0.3; wait" % (
        url(addr), port))
    s, peer = ls.accept()
    assert peer[0] == fam.lo and s.recv(10) == b"hi\n" and text == ""
    s.close()
    ls.close()


def test_no_map_gw(net, pasta, fam):
    p = pasta("--config-net", "--no-map-gw", *NONE)
    ls = net.host.listen(fam.lo)
    wanted = fam.neigh
    with pytest.raises(OSError):
        p.ns.connect(wanted, ls.getsockname()[1], timeout=2)
    ls.close()


def test_map_guest_addr(net, pasta, fam):
    """The address that guest and host share is the guest's own; another one
    reaches the host's server there."""
    own = {4: "192.0.2.78", 6: "2001:db8:1::78"}[fam.v]
    p = pasta("--config-net", "--map-guest-addr", own, *NONE)
    ls = net.host.listen(fam.host)
    c = p.ns.connect(own, ls.getsockname()[1])
    s, _ = ls.accept()
    s.settimeout(PATIENCE)
    c.sendall(b"x")
    assert s.recv(10) == b"x"
    with pytest.raises(ConnectionRefusedError):
        p.ns.connect(fam.host, ls.getsockname()[1])
    ls.close()


def test_refused(guest, fam):
    with pytest.raises(ConnectionRefusedError):
        guest.ns.connect(fam.remote, 9)


DEAD = {4: "203.0.113.67", 6: "2001:db8:dead::67"}


def test_unreachable(guest, fam):
    """The host's error is the guest's: no waiting for a timeout."""
    with pytest.raises(OSError) as e:
        guest.ns.connect(DEAD[fam.v], 80)
    assert e.value.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH,
                             errno.ECONNREFUSED)


@pytest.mark.parametrize("mtu", [1280, 1500, 65520])
@pytest.mark.parametrize("way", ["up", "down"])
def test_bulk(net, pasta, spawn, xfer, fam, mtu, way):
    """Every byte, at any MTU; checked on the receiving side."""
    p = pasta("--config-net", "--mtu", str(mtu), *NONE)
    size = 20000000
    if way == "up":
        s = spawn(net.remote, xfer, "sink", "7500", "check:5", tcp=7500)
        p.ns.sh("%s put %s 7500 %d 5 check:5" % (xfer, fam.remote, size))
        assert s.wait(LONG) == 0, s.output
        r = results(s.output.splitlines()[-1])
    else:
        spawn(net.remote, xfer, "source", "7500", str(size), "6", "check:6",
              tcp=7500)
        r = results(p.ns.sh("%s get %s 7500 check:6" % (xfer, fam.remote)))
    assert r["bytes"] == size, r


def test_bulk_into_the_namespace(net, pasta, spawn, xfer, fam):
    """Inbound connections, both ways at once."""
    p = pasta("--config-net", *NONE, "-t", "7501,7502")
    a = spawn(p.ns, xfer, "sink", "7501", "check:7", tcp=7501)
    spawn(p.ns, xfer, "source", "7502", "30000000", "8", "check:8", tcp=7502)
    b = spawn(net.remote, xfer, "get", fam.host, "7502", "check:8")
    net.remote.sh("%s put %s 7501 30000000 7 check:7" % (xfer, fam.host))
    assert a.wait(LONG) == 0 and b.wait(LONG) == 0, a.output + b.output
    for p in a, b:
        assert results(p.output.splitlines()[-1])["bytes"] == 30000000


def tcp_counters(ns):
    """What the namespace's TCP has counted (nstat)."""
    rows = [l.split() for l in ns.sh("nstat -asz 'Tcp*'").splitlines()]
    return {r[0]: int(r[1]) for r in rows if len(r) == 3 and r[0] != "#kernel"}


@pytest.mark.parametrize("cc", ["cubic", "bbr", "reno"])
def test_congestion_control_of_the_guest(net, guest, spawn, xfer, cc):
    """An upload does not depend on it: no stalls under any of them."""
    spawn(net.remote, xfer, "sink", "7503", "none", tcp=7503)
    r = results(guest.ns.sh("%s -c %s -d 1 put %s 7503 0 1 none" % (
        xfer, cc, V4.remote)))
    n = tcp_counters(guest.ns)
    assert r["bytes"] > 1e6 and n["TcpExtTCPTimeouts"] < 3, (r, n)


def test_upload_into_a_small_send_buffer(net, guest, spawn, xfer):
    """What a full socket refuses waits for room, not for the guest's timer."""
    net.host.sh("sysctl -qw net.ipv4.tcp_wmem='4096 4096 4096'")
    net.remote.sh("sysctl -qw net.ipv4.tcp_rmem='4096 4096 4096'")
    s = spawn(net.remote, xfer, "sink", "7506", "check:3", tcp=7506)
    guest.ns.sh("%s put %s 7506 300000 3 check:3" % (xfer, V4.remote))
    assert s.wait(LONG) == 0, s.output
    assert results(s.output.splitlines()[-1])["bytes"] == 300000
    n = tcp_counters(guest.ns)
    assert n["TcpExtTCPTimeouts"] < 3, n


@pytest.mark.parametrize("cc", ["cubic", "bbr"])
def test_upload_that_loses(net, guest, spawn, xfer, cc):
    """Where the namespace's own queue towards the tap is too short, what is
    missing is sent again: no waiting for the retransmission timer."""
    guest.ns.sh("ip link set eth0 txqueuelen 2")
    size = 100 << 20
    for uploads in range(1, 40):
        s = spawn(net.remote, xfer, "sink", "7505", "check:4", tcp=7505)
        c = spawn(guest.ns, xfer, "-c", cc, "put", V4.remote, "7505",
                  str(size), "4", "check:4")
        # moments in which nothing is taken from the queue: it runs over
        while c.poll() is None:
            os.kill(guest.pid, signal.SIGSTOP)
            time.sleep(0.005)
            os.kill(guest.pid, signal.SIGCONT)
            time.sleep(0.005)
        assert c.wait(LONG) == 0, c.output
        assert s.wait(LONG) == 0, s.output
        assert results(s.output.splitlines()[-1])["bytes"] == size
        n = tcp_counters(guest.ns)
        if uploads >= 4 and n["TcpRetransSegs"] > 20:
            break
    assert n["TcpRetransSegs"] > 20, n
    assert n["TcpExtTCPTimeouts"] < 10 * uploads, n


def test_slow_reader(net, guest, spawn, xfer, fam):
    """Back-pressure, not loss: a server that reads a little now and then."""
    s = spawn(net.remote, xfer, "-r", "20000", "-w", "2", "sink", "7504",
              "check:9", tcp=7504)
    guest.ns.sh("%s put %s 7504 2000000 9 check:9" % (xfer, fam.remote))
    assert s.wait(LONG) == 0, s.output
    assert results(s.output.splitlines()[-1])["bytes"] == 2000000


def eight(net, spawn, xfer, ns, fam, size):
    """Eight connections each way at once of this size, all bytes checked."""
    sinks = [spawn(net.remote, xfer, "sink", str(7510 + i), "check:%d" % i,
                   tcp=7510 + i) for i in range(8)]
    for i in range(8):
        spawn(net.remote, xfer, "source", str(7520 + i), str(size), str(20 + i),
              "check:%d" % (20 + i), tcp=7520 + i)
    puts = [spawn(ns, xfer, "put", fam.remote, str(7510 + i), str(size),
                  str(i), "check:%d" % i) for i in range(8)]
    gets = [spawn(ns, xfer, "get", fam.remote, str(7520 + i),
                  "check:%d" % (20 + i)) for i in range(8)]
    for x in puts + gets + sinks:
        assert x.wait(LONG) == 0, x.output
    for x in gets + sinks:
        assert results(x.output.splitlines()[-1])["bytes"] == size, x.output


@pytest.mark.parametrize("fam,size", [(V4, 128 << 20), (V6, 16 << 20)],
                         ids=["v4-1GiB", "v6-128MiB"])
def test_eight_each_way(net, guest, spawn, xfer, fam, size):
    eight(net, spawn, xfer, guest.ns, fam, size)


@pytest.mark.parametrize("way", ["in", "out"])
def test_bulk_by_the_bypass(net, pasta, spawn, xfer, fam, way):
    p = pasta("--config-net", *NONE, "-t" if way == "in" else "-T",
              "7530-7533")
    a, b = (p.ns, net.host) if way == "in" else (net.host, p.ns)
    sinks = [spawn(a, xfer, "sink", str(7530 + i), "check:%d" % i,
                   tcp=7530 + i) for i in (0, 1)]
    for i in 2, 3:
        spawn(a, xfer, "source", str(7530 + i), "40000000", str(i),
              "check:%d" % i, tcp=7530 + i)
    rest = [spawn(b, xfer, "put", fam.lo, str(7530 + i), "40000000", str(i),
                  "check:%d" % i) for i in (0, 1)]
    rest += [spawn(b, xfer, "get", fam.lo, str(7530 + i), "check:%d" % i)
             for i in (2, 3)]
    for x in rest + sinks:
        assert x.wait(LONG) == 0, x.output
    for x in sinks + rest[2:]:
        assert results(x.output.splitlines()[-1])["bytes"] == 40000000


def test_5000_connections_at_once(net, guest, spawn, xfer, fam):
    """All answered, none refused; and again once all are open."""
    spawn(net.remote, xfer, "echo", "7540", tcp=7540)
    r = results(guest.ns.sh("ulimit -n $(ulimit -Hn); %s many %s 7540 5000 1"
                            % (xfer, fam.remote)))
    assert r["answered"] == 5000, r


def test_many_by_the_bypass(net, pasta, spawn, xfer):
    p = pasta("--config-net", *NONE, "-T", "7541")
    spawn(net.host, xfer, "echo", "7541", tcp=7541)
    r = results(p.ns.sh("ulimit -n $(ulimit -Hn); %s many 127.0.0.1 7541 2000"
                        % xfer))
    assert r["answered"] == 2000, r


# -- UDP ------------------------------------------------------------------------

SIZES = (1, 1472, 1473, 9000, 65507)


def udp_echo(a, b, to, n):
    data = pattern(n, n)
    a.sendto(data, to)
    got, peer = b.recvfrom(70000)
    assert got == data
    b.sendto(data[::-1], peer)
    got, back = a.recvfrom(70000)
    assert got == data[::-1] and back[:2] == to[:2]
    return peer


@pytest.mark.parametrize("mtu", [1500, 65520])
@pytest.mark.parametrize("size", SIZES)
def test_udp(net, pasta, fam, mtu, size):
    """Datagrams of all sizes are one datagram on either side; the source
    port is kept."""
    p = pasta("--config-net", "--mtu", str(mtu), *NONE)
    s, c = net.remote.udp(fam.remote), p.ns.udp(fam.any)
    learn(p.ns, fam)
    for _ in range(3):
        peer = udp_echo(c, s, s.getsockname(), size)
        assert peer[:2] == (fam.host, c.getsockname()[1])


def test_udp_burst(net, guest, fam):
    """Many of different sizes, one after the other, in their order."""
    with one_processor(guest.pid):
        s, c = net.remote.udp(fam.remote), guest.ns.udp(fam.any)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sizes = [100 + 13 * i % 1300 for i in range(100)]
        for i, n in enumerate(sizes):
            c.sendto(pattern(n, i), s.getsockname())
        for i, n in enumerate(sizes):
            got, peer = s.recvfrom(2000)
            assert got == pattern(n, i), i
        for i, n in enumerate(sizes):
            s.sendto(pattern(n, i), peer)
        for i, n in enumerate(sizes):
            assert c.recv(2000) == pattern(n, i), i


def test_udp_gso_of_the_guest(net, guest, fam):
    """UDP_SEGMENT inside: datagrams of the segment's size arrive."""
    with one_processor(guest.pid):
        s, c = net.remote.udp(fam.remote), guest.ns.udp(fam.any)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        c.setsockopt(socket.IPPROTO_UDP, 103, 1000)     # UDP_SEGMENT
        data = pattern(30500)
        c.sendto(data, s.getsockname())
        got = [s.recv(2000) for _ in range(31)]
        assert [len(x) for x in got] == [1000] * 30 + [500]
        assert b"".join(got) == data


def test_udp_empty(net, guest, fam):
    s, c = net.remote.udp(fam.remote), guest.ns.udp(fam.any)
    c.sendto(b"", s.getsockname())
    assert s.recvfrom(10)[0] == b""


# -- ICMP -----------------------------------------------------------------------

@pytest.mark.parametrize("size", [0, 56, 1452, 8000])
def test_ping(guest, fam, size):
    text = guest.ns.sh("ping -%d -c 2 -i 0.1 -W 15 -s %d %s" % (
        fam.v, size, fam.remote))
    assert " 0% packet loss" in text and " errors" not in text


def test_ping_gateway(guest, fam):
    """The host's loopback answers in its place."""
    text = guest.ns.sh("ping -c 1 -W 15 %s" % (
        fam.gw if fam.v == 4 else fam.gw + "%eth0"))
    assert " 0% packet loss" in text


def test_port_unreachable(guest, fam):
    """The remote's ICMP error ends up in the guest's socket."""
    c = guest.ns.udp(fam.any)
    c.connect((fam.remote, 9))
    c.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        c.recv(10)


IP_RECVERR, IPV6_RECVERR = 11, 25


def test_unreachable_udp(guest, fam):
    c = guest.ns.udp(fam.any)
    c.setsockopt(*((socket.IPPROTO_IP, IP_RECVERR) if fam.v == 4 else
                   (socket.IPPROTO_IPV6, IPV6_RECVERR)), 1)
    c.connect((DEAD[fam.v], 9))
    c.settimeout(0.5)
    # the router sends one error a second, once it has sent some
    end = time.monotonic() + PATIENCE
    with pytest.raises(OSError) as e:
        while time.monotonic() < end:
            c.send(b"x")
            try:
                c.recv(10)
            except socket.timeout:
                pass
    assert e.value.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)


FAR = {4: "203.0.113.130", 6: "2001:db8:3::2"}      # behind a link of 1400
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24


def test_path_mtu_udp(net, guest, fam):
    """The guest learns it from the host's kernel, by an ICMP message."""
    net.flush()
    c = guest.ns.udp(fam.any)
    level = socket.IPPROTO_IP if fam.v == 4 else socket.IPPROTO_IPV6
    c.setsockopt(level, IP_MTU_DISCOVER if fam.v == 4 else IPV6_MTU_DISCOVER,
                 IP_PMTUDISC_DO)
    c.connect((FAR[fam.v], 9))

    def learned():
        try:
            c.send(b"x" * 1440)
        except OSError as e:
            if e.errno == errno.EMSGSIZE:
                return c.getsockopt(level,
                                    IP_MTU if fam.v == 4 else IPV6_MTU)
        return 0
    assert wait_for(learned) == 1400


def test_path_mtu_tcp(net, guest, spawn, xfer, fam):
    """The host's kernel sees to it; the guest need not know."""
    net.flush()
    s = spawn(net.far, xfer, "sink", "7551", "check:3", tcp=7551)
    guest.ns.sh("%s put %s 7551 3000000 3 check:3" % (xfer, FAR[fam.v]))
    assert s.wait(LONG) == 0, s.output
    assert results(s.output.splitlines()[-1])["bytes"] == 3000000


# -- the sweeps against the real stack ------------------------------------------

INTERVAL = 1


def dead(s, watch, limit):
    """Wait for a socket's end; fail past the limit."""
    p = select.poll()
    p.register(s, select.POLLERR | select.POLLHUP)
    watch.within(lambda: p.poll(0), limit, "the end")


@pytest.fixture
def swept(pasta):
    return pasta("--config-net", "--keepalive-interval", str(INTERVAL),
                 *NONE)


def test_guest_socket_killed(net, swept, fam):
    """ss -K, and the reset that it sends is lost: within two intervals the
    peer sees the end."""
    ls = net.remote.listen(fam.remote)
    c = swept.ns.connect(fam.remote, ls.getsockname()[1])
    s, _ = ls.accept()
    # unharmed as long as the guest has it
    time.sleep(2.5 * INTERVAL)
    s.sendall(b"x")
    assert c.recv(1) == b"x"
    port = c.getsockname()[1]
    # nothing leaves the device meanwhile
    swept.ns.sh("tc qdisc replace dev eth0 root bfifo limit 1; "
                "ss -K -tn sport = %d >/dev/null; "
                "tc qdisc del dev eth0 root" % port)
    assert swept.ns.sh("ss -Htn sport = %d" % port) == ""
    dead(s, Stopwatch(swept.pid), 2 * INTERVAL + 0.5)
    with pytest.raises(ConnectionResetError):
        s.recv(1)
    ls.close()


def test_orphan_timed_out(net, swept, fam):
    """Closed inside, never by the peer: FIN_WAIT_2 ends after
    tcp_fin_timeout without a word."""
    swept.ns.sh("sysctl -qw net.ipv4.tcp_fin_timeout=1")
    ls = net.remote.listen(fam.remote)
    c = swept.ns.connect(fam.remote, ls.getsockname()[1])
    s, _ = ls.accept()
    port = c.getsockname()[1]
    c.close()
    s.settimeout(PATIENCE)
    assert s.recv(1) == b""
    wait_for(lambda: swept.ns.sh("ss -Htan state fin-wait-2 sport = %d" %
                                 port) == "")
    dead(s, Stopwatch(swept.pid), 2 * INTERVAL + 0.5)
    ls.close()


def test_inbound_guest_socket_killed(net, pasta, fam):
    p = pasta("--config-net", "--keepalive-interval", str(INTERVAL), *NONE,
              "-t", "7560")
    ls = p.ns.listen(fam.any, 7560)
    c = net.remote.connect(fam.host, 7560)
    s, _ = ls.accept()
    c.sendall(b"x")
    s.settimeout(PATIENCE)
    assert s.recv(1) == b"x"
    p.ns.sh("tc qdisc replace dev eth0 root bfifo limit 1; "
            "ss -K -tn state established sport = 7560 >/dev/null; "
            "tc qdisc del dev eth0 root")
    dead(c, Stopwatch(p.pid), 2 * INTERVAL + 0.5)


def test_reset_of_the_guest_arrives(net, guest, fam):
    """ss -K whose reset is not lost: at once."""
    ls = net.remote.listen(fam.remote)
    c = guest.ns.connect(fam.remote, ls.getsockname()[1])
    s, _ = ls.accept()
    guest.ns.sh("ss -K -tn sport = %d >/dev/null" % c.getsockname()[1])
    dead(s, Stopwatch(guest.pid), 0.5)
    ls.close()


def test_inactivity(net, pasta, fam):
    """Idle on both sides: reset on both."""
    p = pasta("--config-net", "--inactivity-timeout", "1", *NONE)
    ls = net.remote.listen(fam.remote)
    watch = Stopwatch(p.pid)
    c = p.ns.connect(fam.remote, ls.getsockname()[1])
    s, _ = ls.accept()
    dead(s, watch, 2.6)
    dead(c, watch, 2.6)
    assert time.monotonic() - watch.start > 0.9
    ls.close()


def test_peer_gone_with_the_host_path(net, guest, fam):
    """Sent data is delivered even if pasta ends right after."""
    ls = net.remote.listen(fam.remote)
    c = guest.ns.connect(fam.remote, ls.getsockname()[1])
    s, _ = ls.accept()
    data = pattern(100000)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    wait_for(lambda: "FIN-WAIT-2" in guest.ns.sh(
        "ss -Htan sport = %d" % c.getsockname()[1]))
    guest.stop()
    s.settimeout(PATIENCE)
    assert read_all(s) == data
    ls.close()


# -- capture --------------------------------------------------------------------

def test_capture_is_sound(net, pasta, spawn, xfer, place):
    """tshark finds neither malformed frames nor wrong checksums, although
    the device has offloads."""
    cap = place + "/pcap"
    p = pasta("--config-net", "-p", cap, *NONE, "-t", "7570", "-u", "7570")
    ls = p.ns.listen("::", 7570)
    u = p.ns.udp("::", 7570)
    spawn(net.remote, xfer, "source", "7571", "3000000", "4", "check:4",
          tcp=7571)
    spawn(net.remote, xfer, "sink", "7572", "none", tcp=7572)
    p.ns.sh("%s get %s 7571 check:4; %s put %s 7572 3000000 1 none" % (
        xfer, V6.remote, xfer, V4.remote))
    for f in V4, V6:
        net.remote.connect(f.host, 7570).close()
        ls.accept()[0].close()
        c = net.remote.udp(f.remote)
        learn(p.ns, f)
        udp_echo(c, u, (f.host, 7570), 9000)
        p.ns.sh("ping -c 1 -W 15 %s" % f.remote)
        e = p.ns.udp(f.any)
        e.connect((f.remote, 9))
        e.send(b"x")
    time.sleep(0.2)
    p.stop()
    out = tshark(cap, "")
    assert len(out) > 100
    protocols = {w for line in out for w in line.split("\t")[1].split(":")}
    assert {"tcp", "udp", "icmp", "icmpv6", "arp", "ip",
            "ipv6"} <= protocols
    bad = tshark(cap, "_ws.malformed || ip.checksum.status == 0 || "
                 "tcp.checksum.status == 0 || udp.checksum.status == 0 || "
                 "icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || "
                 "_ws.short")
    assert bad == [], "\n".join(bad[:5])


def tshark(cap, what):
    argv = ["tshark", "-r", cap, "-T", "fields", "-e", "frame.number", "-e",
            "frame.protocols", "-e", "_ws.col.Info"]
    for proto in "ip", "tcp", "udp":
        argv += ["-o", proto + ".check_checksum:TRUE"]
    r = subprocess.run(argv + (["-Y", what] if what else []), text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       check=False, errors="replace")
    assert r.returncode == 0, r.stderr
    assert not re.search("cut short|corrupt|damaged", r.stderr), r.stderr
    return r.stdout.splitlines()
