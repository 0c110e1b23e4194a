# SPDX-License-Identifier: GPL-2.0-or-later
"""A host of known shape, in network namespaces of its own.

    host                         remote                       far
    lo    127.0.0.1, ::1         lo  198.51.100.0/24 (any)
          203.0.113.5 (host2)        2001:db8:2::/64 (any)
    eth0  192.0.2.2/24     ----  eth0  192.0.2.1/24
          2001:db8:1::2/64             2001:db8:1::1/64, fe80::1
                                 far0  203.0.113.129/25 ----  eth0 ...130
                                       2001:db8:3::1/64            ...::2

The daemon runs in "host"; default routes go to the remote, which answers for
any address of 198.51.100.0/24 and 2001:db8:2::/64, and forwards to "far" over
a link of small MTU. Some destinations (Family) are unreachable on purpose.
The namespaces end with the process that made them.
"""
import ctypes
import os
import socket
import subprocess
import tempfile

from .wait import PATIENCE

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def setns(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Netns:
    """One network namespace (and mount namespace), held by a process."""

    def __init__(self, resolv=None):
        script = "mount -t sysfs sys /sys 2>/dev/null; "
        if resolv:
            script += "mount --bind '%s' /etc/resolv.conf; " % resolv
        script += "ip link set lo up; echo ready; exec cat"
        self.proc = subprocess.Popen(
            ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c",
             script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b"ready\n", "no namespace"
        self.fd = os.open("/proc/%d/ns/net" % self.proc.pid, os.O_RDONLY)
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def close(self):
        self.proc.stdin.close()
        self.proc.wait()
        os.close(self.fd)
        os.close(self.home)

    def __enter__(self):
        """Within `with ns:` this thread's new sockets belong to ns."""
        setns(self.fd)

    def __exit__(self, *_):
        setns(self.home)

    def cmd(self, *argv):
        """The command line that runs argv in this namespace."""
        return ["nsenter", "-t", str(self.proc.pid), "-n", "-m"] + list(argv)

    def sh(self, script, timeout=60):
        r = subprocess.run(self.cmd("sh", "-e"), input=script, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=timeout, check=False)
        if r.returncode:
            raise RuntimeError("%s\n%s" % (script, r.stdout))
        return r.stdout

    def socket(self, *args):
        with self:
            return socket.socket(*args)

    def listen(self, addr, port=0, backlog=4096, rcvbuf=0):
        """A listening TCP socket; rcvbuf is inherited by what it accepts."""
        s = self.socket(af(addr), socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.bind((addr, port))
        s.listen(backlog)
        s.settimeout(PATIENCE)
        return s

    def connect(self, addr, port, src=None, timeout=PATIENCE, sport=0):
        s = self.socket(af(addr), socket.SOCK_STREAM)
        s.settimeout(timeout)
        if src or sport:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((src or "", sport))
        s.connect((addr, port))
        return s

    def udp(self, addr, port=0):
        s = self.socket(af(addr), socket.SOCK_DGRAM)
        s.bind((addr, port))
        s.settimeout(PATIENCE)
        return s


def af(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


class Family:
    """The addresses of one IP version in the network above."""

    def __init__(self, v):
        self.v = v
        def pick(four, six):
            return six if v == 6 else four
        self.guest = self.host = pick("192.0.2.2", "2001:db8:1::2")
        self.host2 = pick("203.0.113.5", "2001:db8:5::5")
        self.plen = pick(24, 64)
        self.gw = pick("192.0.2.1", "fe80::1")
        self.neigh = pick("192.0.2.1", "2001:db8:1::1")
        self.lo = pick("127.0.0.1", "::1")
        self.remote = pick("198.51.100.1", "2001:db8:2::1")
        self.remote2 = pick("198.51.100.2", "2001:db8:2::2")
        self.far = pick("203.0.113.130", "2001:db8:3::2")
        self.far_mtu = 1400
        self.blackhole = pick("203.0.113.66", "2001:db8:dead::66")
        self.unreach = pick("203.0.113.67", "2001:db8:dead::67")
        self.prohibit = pick("203.0.113.68", "2001:db8:dead::68")
        self.mapped = pick("192.0.2.77", "2001:db8:1::77")
        self.other = pick("192.0.2.99", "2001:db8:1::99")
        self.hdr = pick(20, 40)
        self.any = pick("0.0.0.0", "::")

    def __repr__(self):
        return "v%d" % self.v


V4, V6 = Family(4), Family(6)


class HostNet:
    """The three namespaces, set up."""

    RESOLV = "nameserver 198.51.100.53\nnameserver 2001:db8:2::53\n" \
             "search example.org lab.example.org\n"

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="rig-net-")
        self.resolv = os.path.join(self.dir.name, "resolv.conf")
        self.set_resolv(self.RESOLV)
        os.chmod(self.dir.name, 0o755)
        self.host = Netns(self.resolv)
        self.remote = Netns()
        self.far = Netns()
        self.all = self.host, self.remote, self.far
        for ns in self.all:
            ns.sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 "
                  "net.ipv6.conf.default.accept_dad=0 "
                  "net.ipv6.conf.all.router_solicitations=0 "
                  "net.ipv6.conf.default.router_solicitations=0 "
                  "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 "
                  "net.ipv4.icmp_msgs_per_sec=100000 "
                  "net.ipv4.icmp_msgs_burst=100000 || true")
        self.host.sh("""
            sysctl -qw net.ipv4.ping_group_range='0 2147483647'
            ip link add eth0 type veth peer name eth0 netns %d
            ip addr add 192.0.2.2/24 dev eth0
            ip addr add 2001:db8:1::2/64 dev eth0 nodad
            ip link set eth0 up
            ip addr add 203.0.113.5/32 dev lo
            ip addr add 2001:db8:5::5/128 dev lo
            """ % self.remote.proc.pid)
        self.remote.sh("""
            sysctl -qw net.ipv4.ip_forward=1 \
                net.ipv6.conf.all.forwarding=1 net.ipv6.ip_nonlocal_bind=1
            ip link set eth0 addrgenmode none
            ip addr add 192.0.2.1/24 dev eth0
            ip addr add 2001:db8:1::1/64 dev eth0 nodad
            ip addr add fe80::1/64 dev eth0 nodad
            ip link set eth0 up
            ip link add far0 type veth peer name eth0 netns %d
            ip addr add 203.0.113.129/25 dev far0
            ip addr add 2001:db8:3::1/64 dev far0 nodad
            ip link set far0 mtu 1400 up
            ip route add 203.0.113.5/32 via 192.0.2.2
            ip route add 2001:db8:5::5/128 via 2001:db8:1::2
            ip route add local 198.51.100.0/24 dev lo
            ip route add local 2001:db8:2::/64 dev lo
            ip route add blackhole 203.0.113.66/32
            ip route add unreachable 203.0.113.67/32
            ip route add prohibit 203.0.113.68/32
            ip route add blackhole 2001:db8:dead::66/128
            ip route add unreachable 2001:db8:dead::67/128
            ip route add prohibit 2001:db8:dead::68/128
            """ % self.far.proc.pid)
        self.far.sh("""
            ip addr add 203.0.113.130/25 dev eth0
            ip addr add 2001:db8:3::2/64 dev eth0 nodad
            ip link set eth0 mtu 1400 up
            ip route add default via 203.0.113.129
            ip route add default via 2001:db8:3::1
            """)
        self.host.sh("""
            ip route add default via 192.0.2.1 dev eth0
            ip route add default via fe80::1 dev eth0
            """)

    def set_resolv(self, text):
        """Rewrite the host's resolv.conf in place (it is a bind mount)."""
        with open(self.resolv, "w", encoding="ascii") as f:
            f.write(text)

    def flush(self):
        """Forget what the kernels learned of path MTUs."""
        self.host.sh("ip route flush cache; ip -6 route flush cache")

    def close(self):
        for ns in self.all:
            ns.close()
        self.dir.cleanup()
