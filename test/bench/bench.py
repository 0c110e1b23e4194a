#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Side by side, in one run, interleaved: our passt, Debian's of this release
and of sid, and QEMU's user networking. Prints one table: medians, and ours to the
best of the others: the mean of the ratios within rounds, and its standard error.

  guest   the same emulated guest for all, a NIC each, in another order and
          booted anew in each round; iperf3 and xfer
  peer    no guest: peer.c on the daemon's socket, so that its own limits show
  calls   system calls per GB, by strace -c (which slows what it watches)
  memory  resident set, fresh and with 2,000 connections open

The other end is a process in the host's namespace reached over loopback by
the gateway's address ("lo"), or one behind a veth of MTU 1500 ("veth").
CPU is the daemon's user and system time; for user networking, and beside the
others as `loop`, that of QEMU's main loop thread, which moves the frames.

  bench.py [guest] [peer] [calls] [memory]

BENCH_ROUNDS (5), BENCH_SECONDS (2) a measurement, PASST (./passt),
BENCH_WITHOUT, names to leave out: ours bookworm sid user.
Needs root, for the namespaces; the daemons run as an ordinary user.
"""
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../vm")
import vm  # noqa: E402

OUT = os.environ.get("BENCH_BUILD", vm.ROOT + "/build/bench")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 5))
SECONDS = float(os.environ.get("BENCH_SECONDS", 2))
PEER = OUT + "/peer"
CONNECTIONS = 2000


def backends():
    """The daemons there are, by name: {"ours": path, ...}."""
    found = {"ours": vm.PASST, "bookworm": OUT + "/bookworm/run",
             "sid": OUT + "/sid/run"}
    without = os.environ.get("BENCH_WITHOUT", "").split()
    return {n: p for n, p in found.items()
            if n not in without and os.path.exists(p)}


def mean_ratio(ours, others):
    """The mean of the ratios within rounds, and its standard error, which one
    round does not tell; None without any. A machine's speed changes from round
    to round, twofold at times: the mean is a geometric one, in which a half and
    a double even out.
    """
    logs = [math.log(a / b) for a, b in zip(ours, others) if a > 0 and b > 0]
    if not logs:
        return None
    r = math.exp(statistics.mean(logs))
    spread = statistics.stdev(logs) if len(logs) > 1 else math.nan
    return r, r * spread / math.sqrt(len(logs))


class Table:
    """Samples by measure and backend, and how they are shown."""

    def __init__(self):
        self.samples, self.units = {}, {}

    def add(self, measure, unit, backend, value):
        self.units[measure] = unit
        self.samples.setdefault(measure, {}).setdefault(backend, []).append(
            value)

    def ratio(self, measure, names):
        """Ours to the best of the others, turned so that above 1 is better,
        as mean_ratio() has it."""
        row = self.samples[measure]
        more = self.units[measure] == "Mbit/s"
        found = [mean_ratio(*(row["ours"], row[n])[::1 if more else -1])
                 for n in names if n != "ours" and n in row and "ours" in row]
        return min((r for r in found if r), default=None)

    def show(self, title, names):
        """Print it: medians, and ours to the best of the others."""
        if not self.samples:
            return
        print(f"\n{title}\n{'':34}{'':>8}" +
              "".join(f"{n:>10}" for n in names) + f"{'ours:best':>15}")
        for measure, row in self.samples.items():
            mid = {n: statistics.median(v) for n, v in row.items()}
            r = self.ratio(measure, names)
            cells = "".join(f"{self.cell(mid.get(n)):>10}" for n in names)
            text = f"{r[0]:.2f} +- {r[1]:.2f}" if r else ""
            print(f"{measure:34}{self.units[measure]:>8}{cells}{text:>15}")

    @staticmethod
    def cell(v):
        if v is None:
            return "-"
        return f"{v:.0f}" if v >= 100 else f"{v:.2f}"


def note(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def rotated(names, n):
    """Another order in each round, so that none always goes first."""
    names = list(names)
    n %= len(names) or 1
    return names[n:] + names[:n]


# The guest

def iperf3(guest, args):
    """Run the guest's iperf3, on its second CPU; return received Mbit/s and
    bytes."""
    text = guest.run(f"iperf3 -J -A 1 -c {vm.REMOTE4} -t {SECONDS:.0f} " +
                     args, timeout=SECONDS + 40)
    # Not "sum": its bytes are the sender's, its losses those the receiver
    # knows of, which lack what was sent after the last that arrived
    s = json.loads(text)["end"]["sum_received"]
    return s["bytes"] * 8 / s["seconds"] / 1e6, s["bytes"]


GUEST_JOBS = {
    "TCP up": lambda g: iperf3(g, ""),
    "TCP down": lambda g: iperf3(g, "-R"),
    "UDP up 1400": lambda g: iperf3(g, "-u -b 0 -l 1400"),
    "UDP down 1400": lambda g: iperf3(g, "-u -b 1G -l 1400 -R"),
    "request-response": lambda g: g.xfer("rr", vm.REMOTE4, 9002, 1500),
    "connect-request-response": lambda g: g.xfer("crr", vm.REMOTE4, 9002,
                                                 300),
}


class Bed:
    """One guest with a NIC for each of these names: a daemon's, or "user" for
    QEMU's user networking. A daemon named vhost-user is spoken to so."""

    def __init__(self, net, daemons, names):
        self.daemons, self.names = dict(daemons), list(names)
        nets = [f"user,net=192.0.2.0/24,host={vm.GATEWAY4},"
                f"dhcpstart={vm.HOST4},ipv6=off" if name == "user" else
                (vm.vhost_user if name == "vhost-user" else vm.stream)(
                    daemons[name].socket) for name in names]
        self.guest = vm.Guest(nets, prefix=net.inside(net.host))
        self.guest.booted()

    def use(self, name):
        """Leave the guest with this backend's NIC alone."""
        self.guest.run("for i in /sys/class/net/eth*; do i=${i##*/}; "
                       "ip addr flush dev $i; ip link set $i down; done")
        i = f"eth{self.names.index(name)}"
        mtu = 1500 if name == "user" else 65520
        self.guest.run(
            f"ip link set {i} mtu {mtu} up; ip addr add {vm.HOST4}/24 "
            f"dev {i}; ip route add default via {vm.GATEWAY4}; "
            f"ping -c 1 -W 2 {vm.GATEWAY4} >/dev/null; true")
        # The kernel deals the NICs' interrupts out to the CPUs in turn: the
        # same work would be done by two CPUs for one NIC, by one for the next
        self.guest.run(
            f"cd -P /sys/class/net/{i}/device/..; "
            "for q in $(cat irq; ls msi_irqs 2>/dev/null); do "
            "echo 0 >/proc/irq/$q/smp_affinity_list; done 2>/dev/null; true")

    def cpu(self, name):
        loop = vm.cpu_seconds(self.guest.proc.pid, self.guest.proc.pid)
        return (loop if name == "user" else self.daemons[name].cpu()), loop

    def measure(self, table, name, job, what):
        cpu, loop = self.cpu(name)
        try:
            r = what(self.guest)
        except (RuntimeError, TimeoutError, KeyError, ValueError) as e:
            note(f"{name}: {job}: failed: {str(e)[-300:]}")
            return
        if isinstance(r, dict):
            table.add(job, "us", name, r["median_us"])
            return
        mbps, got = r
        cpu2, loop2 = self.cpu(name)
        table.add(job, "Mbit/s", name, mbps)
        if got:
            table.add(job + ", CPU", "s/GB", name, (cpu2 - cpu) / got * 1e9)
            table.add(job + ", CPU with QEMU's loop", "s/GB", name,
                      (loop2 - loop + (cpu2 - cpu) * (name != "user")) /
                      got * 1e9)


def bench_guest(net, found):
    table = Table()
    names = list(found) + ["user"] * ("user" not in os.environ.get(
        "BENCH_WITHOUT", "").split())
    daemons = {}
    net.spawn(net.remote, "iperf3", "-s", stdout=subprocess.DEVNULL)
    net.server(net.remote, "echo", 9002)
    try:
        for name, path in found.items():
            daemons[name] = vm.Daemon(net, binary=path)
        for n in range(ROUNDS):
            note(f"guest: round {n + 1} of {ROUNDS}")
            # The place of a NIC among the guest's is worth some percent
            bed = Bed(net, daemons, rotated(names, n))
            try:
                for i, (job, what) in enumerate(GUEST_JOBS.items()):
                    for name in rotated(names, n + i):
                        bed.use(name)
                        bed.measure(table, name, job, what)
            finally:
                bed.guest.close()
    finally:
        for d in daemons.values():
            d.close()
    table.show("An emulated guest (veth)", names)
    return table


# The peer

class Job:
    """One thing that peer.c does, and the server it does it with."""

    def __init__(self, what, where, mtu, v6=False, size=None, segment=False):
        self.what, self.where, self.mtu = what, where, mtu
        self.v6, self.size, self.segment = v6, size, segment
        kind = {"up": "TCP up", "down": "TCP down", "udp-up": "UDP up",
                "udp-down": "UDP down", "rr": "request-response",
                "crr": "connect-request-response"}[what]
        tail = f" {size}" if size else f" {mtu}" if "TCP" in kind else ""
        # Sent as many at once by both ends, as UDP_SEGMENT does
        tail += " segmented" * segment
        self.name = f"{kind}{tail}{' IPv6' if v6 else ''}, {where}"

    def server(self, net):
        ns = net.host if self.where == "lo" else net.remote
        long = str(SECONDS + 30)
        return net.server(ns, *{
            "up": ("sink", 9000, "none"),
            "down": ("-d", long, "source", 9000, 0, 1, "none"),
            "udp-up": ("usink", 9000),
            "udp-down": (*["-s"] * self.segment, "-d", str(SECONDS + 1),
                         "ublast", 9000, self.size),
            "rr": ("echo", 9000), "crr": ("echo", 9000)}[self.what])

    def peer(self, socket, seconds):
        i = 6 if self.v6 else 4
        me, gw, far = ((vm.HOST6, vm.GATEWAY6, vm.REMOTE6) if i == 6 else
                       (vm.HOST4, vm.GATEWAY4, vm.REMOTE4))
        size = ["-l", str(self.size)] if self.size else []
        size += ["-s"] * self.segment
        r = subprocess.run(
            [PEER, "-a", me, "-g", gw, "-m", str(self.mtu), "-d",
             str(seconds), *size, socket, self.what,
             gw if self.where == "lo" else far, "9000"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=seconds + 30)
        if r.returncode:
            raise RuntimeError(r.stderr.strip())
        return vm.results(r.stdout)

    def run(self, net, daemon, seconds=SECONDS, vhost=False):
        """Return the peer's results, and the daemon's CPU seconds."""
        s = self.server(net)
        try:
            cpu = daemon.cpu()
            r = self.peer("vhost:" * vhost + daemon.socket, seconds)
            cpu = daemon.cpu() - cpu
            if self.what == "udp-up":
                s.wait(30)
                r = vm.results(s.stdout.read())
            return r, cpu
        finally:
            net.end(s)


PEER_JOBS = [
    Job("up", "lo", 65520), Job("down", "lo", 65520),
    Job("up", "lo", 1500), Job("down", "lo", 1500),
    Job("up", "veth", 65520), Job("down", "veth", 65520),
    Job("up", "veth", 1500), Job("down", "veth", 1500),
    Job("up", "veth", 65520, v6=True), Job("down", "veth", 65520, v6=True),
    Job("udp-up", "veth", 65520, size=1400),
    Job("udp-down", "veth", 65520, size=1400),
    Job("udp-up", "lo", 65520, size=16000),
    Job("udp-down", "lo", 65520, size=16000),
    Job("rr", "veth", 1500), Job("crr", "veth", 1500),
]


def host_process(net, job):
    """What a process on the host gets there, without us."""
    far = "127.0.0.1" if job.where == "lo" else \
        vm.REMOTE6 if job.v6 else vm.REMOTE4
    s = job.server(net)
    try:
        if job.what == "down":
            get = net.spawn(net.host, vm.XFER, "get", far, "9000", "none")
            time.sleep(SECONDS)
            net.end(s)
            return vm.results(get.communicate(timeout=20)[0])["mbps"]
        return vm.results(net.run(net.host, vm.XFER, "-d", str(SECONDS),
                                  "put", far, "9000", "0", "1",
                                  "none"))["mbps"]
    finally:
        net.end(s)


def bench_peer(net, found):
    table = Table()
    for n in range(ROUNDS):
        note(f"peer: round {n + 1} of {ROUNDS}")
        for job in PEER_JOBS:
            for name in rotated(found, n):
                d = vm.Daemon(net, binary=found[name])
                try:
                    r, cpu = job.run(net, d)
                except (RuntimeError, subprocess.TimeoutExpired) as e:
                    note(f"{name}: {job.name}: failed: {e}")
                    continue
                finally:
                    d.close()
                if "median_us" in r:
                    table.add(job.name, "us", name, r["median_us"])
                    continue
                table.add(job.name, "Mbit/s", name, r["mbps"])
                if r["bytes"]:
                    table.add(job.name + ", CPU", "s/GB", name,
                              cpu / r["bytes"] * 1e9)
            if job.what in ("up", "down") and job.mtu == 65520:
                table.add(job.name, "Mbit/s", "(host)",
                          host_process(net, job))
    names = list(found)
    table.show("peer.c in the guest's place", names)
    host = {m: statistics.median(r["(host)"])
            for m, r in table.samples.items() if "(host)" in r}
    print("\nA host's own process there, Mbit/s, and ours to it:")
    for m, v in host.items():
        ours = table.samples[m].get("ours")
        r = f"{statistics.median(ours) / v:11.2f}" if ours else ""
        print(f"{m:34}{'Mbit/s':>8}{v:10.0f}{r}")
    return table


# System calls

def calls_of(net, path, job):
    """System calls of one job: {name: count per GB}."""
    d = vm.Daemon(net, binary=path)
    out = d.dir + "/strace"
    s = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", out,
                          "-p", str(d.pid)], stderr=subprocess.PIPE)
    try:
        s.stderr.readline()     # "Process N attached"
        r, _ = job.run(net, d)
    finally:
        s.terminate()
        s.wait()
        s.stderr.close()
        counts = {}
        if os.path.exists(out):
            with open(out) as f:
                for line in f:
                    w = line.split()
                    if len(w) == 2 and w[0].isdigit() and w[1] != "total":
                        counts[w[1]] = int(w[0]) / max(r["bytes"], 1) * 1e9
        d.close()
    return counts


def bench_calls(net, found):
    print("\nSystem calls per GB, the most frequent first")
    for job in PEER_JOBS[:4] + PEER_JOBS[10:12]:
        for name, path in found.items():
            try:
                c = calls_of(net, path, job)
            except (RuntimeError, NameError) as e:
                note(f"{name}: {job.name}: failed: {e}")
                continue
            top = sorted(c.items(), key=lambda x: -x[1])[:5]
            print(f"{job.name:28}{name:>10}{sum(c.values()):>10.0f}  " +
                  " ".join(f"{n} {v:.0f}" for n, v in top))


# Memory

def resident(pid):
    return vm.status(pid)["VmRSS"] / 1024


def bench_memory(net, found):
    table = Table()
    s = net.server(net.remote, "echo", 9000)
    for name, path in found.items():
        d = vm.Daemon(net, binary=path)
        peer = None
        try:
            fresh, fds = resident(d.pid), d.fds()
            peer = subprocess.Popen(
                [PEER, "-a", vm.HOST4, "-g", vm.GATEWAY4, "-n",
                 str(CONNECTIONS), d.socket, "many", vm.REMOTE4, "9000"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            r = vm.results(peer.stdout.readline())
            if r["answered"] != CONNECTIONS:
                note(f"{name}: {r['answered']} of {CONNECTIONS} answered")
            table.add("resident, fresh", "MB", name, fresh)
            table.add(f"more with {CONNECTIONS} connections", "MB", name,
                      max(resident(d.pid) - fresh, 0.01))
            table.add("descriptors a connection", "", name,
                      (d.fds() - fds) / CONNECTIONS)
        finally:
            if peer:
                peer.communicate()
            d.close()
    net.end(s)
    table.show("Memory", list(found))
    return table


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up
    vm.image()
    os.makedirs(OUT, exist_ok=True)
    subprocess.run([HERE + "/debian.sh"], check=True)
    vm.run(os.environ.get("CC", "gcc"), "-O2", "-Wall", "-Wextra",
           "-o", PEER,
           HERE + "/peer.c", HERE + "/vport.c")
    found = backends()
    if "ours" not in found:
        note(f"{vm.PASST} is not there: without ours")
    parts = {"guest": bench_guest, "peer": bench_peer,
             "calls": bench_calls, "memory": bench_memory}
    chosen = sys.argv[1:] or list(parts)
    net = vm.Net()
    done = {}
    try:
        for part in chosen:
            table = parts[part](net, found)
            if table:
                done[part] = table.samples
    finally:
        net.close()
    with open(OUT + "/results.json", "w") as f:
        json.dump(done, f, indent=1)


if __name__ == "__main__":
    main()
