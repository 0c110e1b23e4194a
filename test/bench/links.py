#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ours over its stream socket and over vhost-user, driven by the same traffic,
in one run, interleaved. Prints medians, the mean of the ratios within rounds and
its standard error, and what is asked for.

  peer     peer.c in the guest's place: no guest's cost, and no copy
  testpmd  DPDK's testpmd on the vhost-user socket: TCP of a namespace through
           a kernel tap, which tapstream.c joins to the stream socket; and its
           own generator and sink of datagrams, in whose place peer.c stands there
  tcg      an emulated guest with a NIC on each, its own bottleneck

Beside peer.c, `host` is what a process of the host gets there without us, and
what that costs it: no link can cost less.

  links.py [peer] [testpmd] [tcg]

BENCH_ROUNDS (5), BENCH_SECONDS (2) a measurement, BENCH_JOBS (all): a regular
expression of the measurements of peer; PASST (./passt). Needs root, for the
namespaces; the daemons run as an ordinary user.
"""
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

import bench
from bench import OUT, PEER, ROUNDS, SECONDS, Job, note, rotated, vm
from pmd import MAC, Pmd

LINKS = {"stream": (), "vhost-user": ("--vhost-user",)}
TAPSTREAM = OUT + "/tapstream"
SIZE = 1400                     # bytes of a datagram

# Mbit/s at least so much of the stream link's, CPU at most
PEER_WANTED = {"Mbit/s": 1.5, "s/GB": 0.5}
TCG_WANTED = {"Mbit/s": 1.0}
# MTU 1500 to 65520
WANTED_1500 = 0.8

PEER_JOBS = [j for j in bench.PEER_JOBS if not j.v6 and j.size != 16000] + [
    Job("udp-up", "veth", 65520, size=SIZE, segment=True),
    Job("udp-down", "veth", 65520, size=SIZE, segment=True)]


def ratio(row):
    """Of vhost-user to stream, and its standard error."""
    return bench.mean_ratio(row.get("vhost-user", ()), row.get("stream", ()))


def show(table, title, wanted):
    names = list(LINKS)
    if any("host" in row for row in table.samples.values()):
        names.append("host")
    print(f"\n{title}\n{'':38}{'':>8}" +
          "".join(f"{n:>12}" for n in names) + f"{'ratio':>9}")
    for measure, row in table.samples.items():
        unit, r = table.units[measure], ratio(row)
        cells = "".join(f"{table.cell(statistics.median(row[n]) if n in row else None):>12}"
                        for n in names)
        text = f"{r[0]:9.2f} +- {r[1]:.2f}" if r else ""
        if unit in wanted and r:
            want, more = wanted[unit], unit == "Mbit/s"
            met = r[0] >= want if more else r[0] <= want
            text += f"  {'>=' if more else '<='} {want}" + \
                ("" if met else "  MISSED")
        print(f"{measure:38}{unit:>8}{cells}{text}")


def show_1500(table):
    """Over vhost-user segments are cut by the other side."""
    print(f"\nMTU 1500 to 65520, Mbit/s, vhost-user (>= {WANTED_1500})")
    for measure, row in table.samples.items():
        small = table.samples.get(measure.replace("65520", "1500"))
        if table.units[measure] != "Mbit/s" or "65520" not in measure or \
                not small:
            continue
        r, _ = bench.mean_ratio(small["vhost-user"], row["vhost-user"])
        print(f"{measure.replace(' 65520', ''):38}{r:8.2f}" +
              ("" if r >= WANTED_1500 else "  MISSED"))


def add(table, name, link, mbps, per_gb):
    table.add(name, "Mbit/s", link, mbps)
    table.add(name + ", CPU", "s/GB", link, per_gb)


# peer.c

def host_one(net, job, s):
    """What a process of the host gets there, and its own CPU seconds: of
    children that were waited for, which the server `s` is not yet. Datagrams
    leave by UDP_SEGMENT, the cheapest way there is."""
    far = "127.0.0.1" if job.where == "lo" else vm.REMOTE4
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if job.what == "down":
        get = net.spawn(net.host, vm.XFER, "get", far, "9000", "none")
        time.sleep(SECONDS)
        s.kill()
        text = get.communicate(timeout=20)[0]
        net.end(get)
    else:
        argv = {"up": ("put", far, "9000", "0", "1", "none"),
                "udp-up": ("-s", "uput", far, "9000", str(job.size)),
                "udp-down": ("uget", far, "9000")}[job.what]
        text = net.run(net.host, vm.XFER, "-d", str(SECONDS), *argv,
                       timeout=SECONDS + 30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if job.what == "udp-up":
        s.wait(30)
        text = s.stdout.read()
    return vm.results(text), after.ru_utime + after.ru_stime - \
        before.ru_utime - before.ru_stime


def host_process(net, job, table):
    s = job.server(net)
    try:
        r, cpu = host_one(net, job, s)
    finally:
        net.end(s)
    add(table, job.name, "host", r["mbps"], cpu / r["bytes"] * 1e9)


def peer_one(net, job, link, table):
    d = vm.Daemon(net, *LINKS[link])
    try:
        r, cpu = job.run(net, d, vhost=link != "stream")
    finally:
        d.close()
    if "median_us" in r:
        table.add(job.name, "us", link, r["median_us"])
    else:
        add(table, job.name, link, r["mbps"], cpu / r["bytes"] * 1e9)


def bench_peer(net, n, table):
    for job in PEER_JOBS:
        if not re.search(os.environ.get("BENCH_JOBS", ""), job.name):
            continue
        for link in rotated(LINKS, n):
            peer_one(net, job, link, table)
        if job.what not in ("rr", "crr") and job.mtu == 65520:
            host_process(net, job, table)


# testpmd

def begin(pmd, mode):
    """Waiting where a ring is full: else it drops, and TCP waits for timers."""
    pmd.command(f"set fwd {mode} retry")
    pmd.command("set burst tx delay 10 retry 1000")
    pmd.command("start")


class Tap:
    """A namespace whose tap leads to a daemon."""

    def __init__(self, net, daemon, link):
        self.net, self.ns, self.way = net, f"pt-h{os.getpid()}t", None
        vm.run("ip", "netns", "add", self.ns)
        try:
            net.run(self.ns, "sysctl", "-qw",
                    "net.ipv6.conf.default.disable_ipv6=1")
            self.join(daemon, link)
            # A tap drops what does not fit its queue, a network card waits:
            # room for more than a window
            net.run(self.ns, "ip", "link", "set", "dtap0", "txqueuelen",
                    "8192")
            net.run(self.ns, "ip", "addr", "add", vm.HOST4 + "/24", "dev",
                    "dtap0")
            net.run(self.ns, "ip", "route", "add", "default", "via",
                    vm.GATEWAY4)
        except BaseException:
            self.close()
            raise

    def join(self, daemon, link):
        if link == "stream":
            self.way = self.net.spawn(self.ns, TAPSTREAM, daemon.socket,
                                      "dtap0")
            self.way.stdout.readline()
            self.net.run(self.ns, "ip", "link", "set", "dtap0", "address",
                         MAC, "up")
        else:
            self.way = Pmd(self.net, daemon, self.ns, "--forward-mode=io")
            self.way.start()
            begin(self.way, "io")

    def close(self):
        if isinstance(self.way, Pmd):
            self.way.stop()
        elif self.way:
            self.net.end(self.way)
        vm.run("ip", "netns", "del", self.ns)


def tap_transfer(net, tap, what):
    job = Job(what, "veth", 1500)
    s = job.server(net)
    try:
        if what == "up":
            return vm.results(net.run(
                tap.ns, vm.XFER, "-d", str(SECONDS), "put", vm.REMOTE4,
                "9000", "0", "1", "none"))
        get = net.spawn(tap.ns, vm.XFER, "get", vm.REMOTE4, "9000", "none")
        time.sleep(SECONDS)
        s.kill()
        r = vm.results(get.communicate(timeout=20)[0])
        net.end(get)
        return r
    finally:
        net.end(s)


def tap_one(net, link, table):
    d = vm.Daemon(net, *LINKS[link])
    tap = None
    try:
        tap = Tap(net, d, link)
        for what in "up", "down":
            cpu = d.cpu()
            r = tap_transfer(net, tap, what)
            add(table, f"TCP {what} 1500, tap", link, r["mbps"],
                (d.cpu() - cpu) / r["bytes"] * 1e9)
    finally:
        if tap:
            tap.close()
        d.close()


def pmd_up(net, daemon):
    """testpmd makes datagrams, a host's process counts them."""
    p = Pmd(net, daemon, net.host, "--forward-mode=txonly",
            f"--txpkts={SIZE + 42}", f"--tx-ip={vm.HOST4},{vm.REMOTE4}",
            "--tx-udp=1000,9000", tap=False)
    p.start()
    s = net.server(net.remote, "usink", 9000)
    try:
        begin(p, "txonly")
        time.sleep(SECONDS)
        p.command("stop", "Done.")
        s.wait(30)
        return vm.results(s.stdout.read())
    finally:
        net.end(s)
        p.stop()


def pmd_down(net, daemon):
    """A host's process makes datagrams, to a forwarded port."""
    p = Pmd(net, daemon, net.host, "--forward-mode=rxonly", tap=False)
    p.start()
    try:
        p.command("start")
        net.run(net.remote, vm.XFER, "-d", str(SECONDS), "uput", vm.HOST4,
                "9000", str(SIZE))
        n = re.search(r"RX-packets: (\d+)", p.command("stop", "Done."))
        size = int(n[1]) * SIZE
        return {"bytes": size, "mbps": size * 8 / SECONDS / 1e6}
    finally:
        p.stop()


def peer_down(net, daemon):
    job = Job("udp-down", "veth", 1500, size=SIZE)
    s = net.spawn(net.remote, vm.XFER, "-d", str(SECONDS), "uput", vm.HOST4,
                  "9000", str(SIZE))
    try:
        return job.peer(daemon.socket, SECONDS)
    finally:
        net.end(s)


def udp_one(net, way, link, table):
    d = vm.Daemon(net, "-u", "9000", *LINKS[link])
    try:
        cpu = d.cpu()
        if link == "vhost-user":
            r = pmd_up(net, d) if way == "up" else pmd_down(net, d)
        elif way == "up":
            r, _ = Job("udp-up", "veth", 1500, size=SIZE).run(net, d)
        else:
            r = peer_down(net, d)
        add(table, f"UDP {way} {SIZE}, generated", link, r["mbps"],
            (d.cpu() - cpu) / r["bytes"] * 1e9)
    finally:
        d.close()


def bench_testpmd(net, n, table):
    for link in rotated(LINKS, n):
        tap_one(net, link, table)
    for way in "up", "down":
        for link in rotated(LINKS, n):
            udp_one(net, way, link, table)


# An emulated guest

class Emulated:
    """The daemons and servers of an emulated guest with a NIC on either link."""

    def __init__(self, net):
        self.daemons = {}
        net.spawn(net.remote, "iperf3", "-s", stdout=subprocess.DEVNULL)
        net.server(net.remote, "echo", 9002)
        try:
            for link, args in LINKS.items():
                self.daemons[link] = vm.Daemon(net, *args)
        except BaseException:
            self.close()
            raise

    def close(self):
        for d in self.daemons.values():
            d.close()


def bench_tcg(net, n, table):
    if not hasattr(net, "emulated"):
        net.emulated = Emulated(net)
    # Booted anew: the place of a NIC among the guest's is worth some percent
    bed = bench.Bed(net, net.emulated.daemons, rotated(LINKS, n))
    try:
        for link in rotated(LINKS, n):
            bed.use(link)
            for job, what in bench.GUEST_JOBS.items():
                bed.measure(table, link, job, what)
    finally:
        bed.guest.close()


PARTS = {
    "peer": (bench_peer, "peer.c in the guest's place", PEER_WANTED),
    "testpmd": (bench_testpmd, "testpmd", PEER_WANTED),
    "tcg": (bench_tcg, "An emulated guest", TCG_WANTED),
}


def build():
    vm.image()
    os.makedirs(OUT, exist_ok=True)
    for out, sources in (PEER, ["peer.c", "vport.c"]), \
            (TAPSTREAM, ["tapstream.c"]):
        vm.run(os.environ.get("CC", "gcc"), "-O2", "-Wall", "-Wextra", "-o",
               out, *(f"{bench.HERE}/{s}" for s in sources))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up
    build()
    chosen = sys.argv[1:] or list(PARTS)
    tables = {part: bench.Table() for part in chosen}
    net = vm.Net()
    try:
        for n in range(ROUNDS):
            note(f"links: round {n + 1} of {ROUNDS}")
            for part in chosen:
                PARTS[part][0](net, n, tables[part])
    finally:
        if hasattr(net, "emulated"):
            net.emulated.close()
        net.close()
        for part in chosen:
            show(tables[part], *PARTS[part][1:])
            if part == "peer":
                show_1500(tables[part])
    with open(OUT + "/links.json", "w", encoding="ascii") as f:
        json.dump({p: t.samples for p, t in tables.items()}, f, indent=1)


if __name__ == "__main__":
    main()
