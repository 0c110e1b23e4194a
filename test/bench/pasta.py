#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pasta side by side, in one run, interleaved, medians: ours, Debian's of this
release and of sid, slirp4netns, and a plain veth pair between two namespaces.
Prints each measure with what it is to reach, and how much of that it does: the
mean of the ratios within rounds, and its standard error.

  tap     TCP by iperf3 and UDP of 1372 bytes by xfer, the server on the host's
          loopback, reached by the gateway's address; single streams, eight of
          them, MTU 65520 and 1500, bbr and cubic as the guest's congestion
          control; request-responses by xfer; CPU seconds of the daemon
  bypass  from the namespace's loopback to the host's, beside a process of the
          host's own on its loopback
  path    uploads to a server behind a veth of MTU 1500, beside a process of
          the host's own, with the host's congestion control
  start   `pasta --config-net true`, from its start to its end

  pasta.py [tap] [bypass] [path] [start]

BENCH_ROUNDS (5), BENCH_SECONDS (2) a measurement, PASTA (./pasta),
BENCH_WITHOUT, names to leave out: ours bookworm sid slirp veth.
Needs root, for the namespaces; what is measured runs as an ordinary user.
"""
import json
import os
import pwd
import signal
import statistics
import subprocess
import sys
import time

import bench
from bench import OUT, ROUNDS, SECONDS, note, rotated, vm

PASTA = os.path.abspath(os.environ.get("PASTA") or vm.ROOT + "/pasta")
XFER = vm.XFER = vm.ROOT + "/build/xfer"
VETH_HOST, VETH_GUEST = "198.18.0.1", "198.18.0.2"
DEBIAN = ("bookworm", "sid")
PEERS = DEBIAN + ("slirp",)
CC = ("bbr", "cubic")


def backends():
    """What there is to measure: {name: path of its program}."""
    found = {"ours": PASTA, "bookworm": OUT + "/bookworm/pasta",
             "sid": OUT + "/sid/pasta", "slirp": "/usr/bin/slirp4netns",
             "veth": "/"}
    without = os.environ.get("BENCH_WITHOUT", "").split()
    return {n: p for n, p in found.items()
            if n not in without and os.path.exists(p)}


def as_user():
    u = pwd.getpwnam(vm.USER)
    return ["setpriv", f"--reuid={u.pw_uid}", f"--regid={u.pw_gid}",
            "--clear-groups", "--inh-caps=-all"]


class Bed:
    """A namespace of an ordinary user, and one way from there to the host.
    `host` is the address of the host's loopback, or of the host, there."""

    def __init__(self, net, name, path, mtu):
        self.net, self.name, self.daemon = net, name, None
        self.log = open(f"{net.dir}/{name}.log", "w+")
        self.holder = subprocess.Popen(
            net.inside(net.host, *as_user(), "unshare", "-Urn", "sh", "-c",
                       "ip link set lo up; echo; exec cat"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.holder.stdout.readline()
            self.pid = str(self.holder.pid)
            self.start(name, path, str(mtu))
        except BaseException:
            self.close()
            raise

    def start(self, name, path, mtu):
        if name == "veth":
            self.host = VETH_HOST
            vm.run("ip", "-n", self.net.host, "link", "add", "vb0", "mtu", mtu,
                   "type", "veth", "peer", "name", "vb1", "mtu", mtu, "netns",
                   self.pid)
            self.net.run(self.net.host, "ip", "addr", "add",
                         VETH_HOST + "/24", "dev", "vb0")
            self.net.run(self.net.host, "ip", "link", "set", "vb0", "up")
            self.run("ip", "addr", "add", VETH_GUEST + "/24", "dev", "vb1")
            self.run("ip", "link", "set", "vb1", "up")
            return
        self.host = "10.0.2.2" if name == "slirp" else vm.GATEWAY4
        argv = ["-c", "-m", mtu, self.pid, "tap0"] if name == "slirp" else [
            "-f", "-q", "--config-net", "-m", mtu, "-t", "none", "-u", "none",
            "-T", "5201", "-U", "none", self.pid]
        self.daemon = subprocess.Popen(
            self.net.inside(self.net.host, *as_user(), path, *argv),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            vm.wait_for(lambda: self.daemon.poll() is not None or "default"
                        in self.run("ip", "route"), 5)
        except TimeoutError:
            pass
        if self.daemon.poll() is not None:
            with open(self.log.name, encoding="utf-8") as f:
                raise RuntimeError(f"{self.name} ended: {f.read()}")

    def run(self, *cmd, **kw):
        return vm.run("nsenter", "-t", self.pid, "-n", *cmd, **kw)

    def cpu(self):
        return vm.cpu_seconds(self.daemon.pid) if self.daemon else 0

    def close(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(3)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        self.holder.kill()
        self.holder.communicate()
        self.log.close()
        # veth goes with the namespace, a moment later
        vm.run("ip", "-n", self.net.host, "link", "del", "vb0", check=False)


def iperf3(run, to, args):
    """Received Mbit/s, and bytes, of one run of the client. A server that
    still ends the run before, or a listener that is not there yet, is asked
    again."""
    for _ in range(10):
        text = run("iperf3", "-J", "-c", to, "-t", f"{SECONDS:g}", "-O", "0.2",
                   *args.split(), timeout=SECONDS + 20, check=False)
        r = json.loads(text)
        if "error" not in r:
            break
        time.sleep(0.3)
    else:
        raise RuntimeError(r["error"])
    s = r["end"]["sum_received"]
    return s["bits_per_second"] / 1e6, s["bytes"]


def datagrams(net, bed, way):
    """UDP received, Mbit/s. The sender is a plain one, many datagrams a
    system call, and faster than what is measured."""
    tail = ["-d", f"{SECONDS:g}"]
    if way == "up":
        s = net.server(net.host, "usink", UDP_PORT)
        bed.run(XFER, *tail, "uput", bed.host, UDP_PORT, UDP_SIZE)
        s.wait(SECONDS + 10)
        r = vm.results(s.stdout.read())
    else:
        s = net.server(net.host, *tail, "ublast", UDP_PORT, UDP_SIZE)
        r = vm.results(bed.run(XFER, "uget", bed.host, UDP_PORT,
                               timeout=SECONDS + 30))
    net.end(s)
    return r["mbps"]


def answers(bed, what, n):
    r = vm.results(bed.run(XFER, what, bed.host, "9002", str(n), timeout=30))
    return 1e6 / r["median_us"]


UP = {cc: f"TCP namespace to host, {cc}" for cc in CC}
DOWN = "TCP host to namespace"

UDP = {"up": "UDP 1372 namespace to host", "down":
       "UDP 1372 host to namespace"}
UDP_PORT, UDP_SIZE = "9003", "1372"

# By MTU: measure, and iperf3's arguments
TAP = {65520: [(DOWN, "-R")] + [(UP[cc], f"-C {cc}") for cc in CC] + [
    ("TCP host to namespace, 8 streams", "-R -P 8"),
    ("TCP namespace to host, 8 streams", "-P 8 -C cubic")],
       1500: [(DOWN + ", MTU 1500", "-R")] + [
           (UP[cc] + ", MTU 1500", f"-C {cc}") for cc in CC]}


def sample(table, name, measure, unit, what):
    """One measurement into the table; failures are told, and left out."""
    try:
        table.add(measure, unit, name, what())
    except (RuntimeError, subprocess.TimeoutExpired, KeyError,
            ValueError) as e:
        note(f"{name}: {measure}: failed: {str(e)[-200:]}")


def throughput(table, bed, measure, to, args):
    """Mbit/s, and CPU seconds of the daemon per GB for TCP."""
    def once():
        before = bed.cpu()
        mbps, got = iperf3(bed.run, to, args)
        if bed.daemon and got:
            table.add(measure + ", CPU", "s/GB", bed.name,
                      (bed.cpu() - before) / got * 1e9)
        return mbps
    sample(table, bed.name, measure, "Mbit/s", once)


def tap(net, table, bed, mtu):
    for measure, args in TAP[mtu]:
        throughput(table, bed, measure, bed.host, args)
    if mtu == 65520:
        for way, measure in UDP.items():
            sample(table, bed.name, measure, "Mbit/s",
                   lambda: datagrams(net, bed, way))
        sample(table, bed.name, "request-response", "1/s",
               lambda: answers(bed, "rr", 20000))
        sample(table, bed.name, "connect-request-response", "1/s",
               lambda: answers(bed, "crr", 6000))


def bench_tap(net, found, table, n):
    for mtu in TAP:
        for name in rotated(found, n):
            bed = Bed(net, name, found[name], mtu)
            try:
                tap(net, table, bed, mtu)
            finally:
                bed.close()


BYPASS = {"TCP namespace to host, bypass": "",
          "TCP host to namespace, bypass": "-R"}


def bench_bypass(net, found, table, n):
    names = [x for x in found if x not in ("slirp", "veth")]
    for name in rotated(names, n) + ["host"]:
        bed = Bed(net, name, found[name], 65520) if name != "host" else None
        for measure, args in BYPASS.items():
            if bed:
                throughput(table, bed, measure, "127.0.0.1", args)
            else:
                sample(table, name, measure, "Mbit/s", lambda: iperf3(
                    lambda *c, **kw: net.run(net.host, *c, **kw),
                    "127.0.0.1", args)[0])
        if bed:
            bed.close()


PATH = {f"TCP up, host path of MTU 1500, {cc}": f"-C {cc}" for cc in CC}


def bench_path(net, found, table, n):
    names = [x for x in found if x != "veth"]
    for name in rotated(names, n) + ["host"]:
        bed = Bed(net, name, found[name], 65520) if name != "host" else None
        for measure, args in PATH.items():
            if bed:
                throughput(table, bed, measure, vm.REMOTE4, args)
            else:
                # whose congestion control is the host's own, as our sockets'
                sample(table, name, measure, "Mbit/s", lambda: iperf3(
                    lambda *c, **kw: net.run(net.host, *c, **kw), vm.REMOTE4,
                    "")[0])
        if bed:
            bed.close()


def bench_start(net, found, table, n):
    names = [x for x in found if x not in ("slirp", "veth")]
    for _ in range(3):
        for name in rotated(names, n):
            before = time.monotonic()
            net.run(net.host, *as_user(), found[name], "-q", "--config-net",
                    "--", "true")
            table.add("start", "ms", name,
                      1000 * (time.monotonic() - before))


# What is to be reached: a factor, and of what

def best(*names, more=True):
    """The best of these in the same measure."""
    def of(samples, measure):
        v = [samples[measure][n] for n in names if n in samples[measure]]
        return (max if more else min)(v, key=statistics.median, default=None)
    of.text = {DEBIAN: "Debian's", PEERS: "best peer"}.get(
        names, " ".join(names))
    return of


def own(measure):
    """Ours in another measure."""
    def of(samples, _):
        return samples.get(measure, {}).get("ours")
    of.text = "ours: " + measure
    return of


def less(of, text=None):
    of.less = True
    of.text = text or of.text
    return of


WANTED = {
    DOWN: (1.15, best(*DEBIAN)),
    **{UP[cc]: (0.8, own(DOWN)) for cc in CC},
    DOWN + ", MTU 1500": (0.7, own(DOWN)),
    **{UP[cc] + ", MTU 1500": (0.7, own(UP[cc])) for cc in CC},
    "TCP host to namespace, 8 streams": (1.2, best(*PEERS)),
    "TCP namespace to host, 8 streams": (1.2, best(*PEERS)),
    UDP["up"]: (1.3, best(*PEERS)),
    UDP["down"]: (1.8, best(*PEERS)),
    **{m: (0.7, best("host")) for m in BYPASS},
    **{m: (0.8, best("host")) for m in PATH},
    "request-response": (1.15, best(*PEERS)),
    "connect-request-response": (1.0, best(*PEERS)),
    DOWN + ", CPU": (0.7, less(best(*DEBIAN, more=False), "Debian's")),
    **{UP[cc] + ", CPU": (0.7, less(best(*DEBIAN, more=False), "Debian's"))
       for cc in CC},
    "start": (100, less(lambda samples, measure:
                        [1] * len(samples[measure].get("ours", ())), "ms")),
}


def judge(samples, measure):
    """Ratio, its standard error, and whether what is wanted is reached; None
    where there is nothing to compare."""
    factor, of = WANTED[measure]
    found = bench.mean_ratio(samples[measure].get("ours", ()),
                             of(samples, measure) or ())
    return found and (*found, found[0] <= factor if getattr(of, "less", False)
                      else found[0] >= factor)


def verdict(samples, measure):
    """The same and what is wanted, as text."""
    if measure not in WANTED:
        return ""
    factor, of = WANTED[measure]
    text = f"{factor:g} x {of.text}" if of.text != "ms" else "100 ms"
    bound = "at most" if getattr(of, "less", False) else "at least"
    found = judge(samples, measure)
    if not found:
        return f"{'-':>13}      {bound} {text}"
    r, error, good = found
    return (f"{r:5.2f} +- {error:4.2f} {'    ' if good else 'MISS'} "
            f"{bound} {text}")


def show(table, names):
    mid = {m: {n: statistics.median(v) for n, v in row.items()}
           for m, row in table.samples.items()}
    names = list(names) + ["host"]
    print(f"\npasta\n{'':42}{'':>7}" + "".join(f"{n:>9}" for n in names) +
          f"{'ratio':>9}          wanted")
    for m, row in mid.items():
        print(f"{m:42}{table.units[m]:>7}" + "".join(
            f"{table.cell(row.get(n)):>9}" for n in names) + " " +
            verdict(table.samples, m))
    judged = [judge(table.samples, m) for m in mid if m in WANTED]
    print(f"{sum(bool(j and j[2]) for j in judged)} of {len(judged)} reached, "
          f"{judged.count(None)} with nothing to compare")


def servers(net):
    for ns in net.host, net.remote:
        net.spawn(ns, "iperf3", "-s", stdout=subprocess.DEVNULL)
    p = net.spawn(net.host, XFER, "echo", "9002")
    p.stdout.readline()
    time.sleep(0.3)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up
    os.makedirs(OUT, exist_ok=True)
    subprocess.run([bench.HERE + "/debian.sh"], check=True)
    subprocess.run(["make", "-s", "-C", vm.ROOT, "build/xfer"], check=True)
    vm.user()
    found = backends()
    if "ours" not in found:
        note(f"{PASTA} is not there: without ours")
    parts = {"tap": bench_tap, "bypass": bench_bypass, "path": bench_path,
             "start": bench_start}
    chosen = sys.argv[1:] or list(parts)
    net, table = vm.Net(), bench.Table()
    try:
        servers(net)
        for n in range(ROUNDS):
            note(f"pasta: round {n + 1} of {ROUNDS}")
            for part in chosen:
                parts[part](net, found, table, n)
    finally:
        net.close()
        show(table, found)
    with open(OUT + "/pasta.json", "w", encoding="ascii") as f:
        json.dump(table.samples, f, indent=1)


if __name__ == "__main__":
    main()
