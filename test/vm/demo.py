# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: a guest on the network of a host that is a namespace here.

Prints what a user would look for, and exits 1 if any of it failed.
"""
import re
import sys
import time

import vm

SIZE = 256 << 20
failed = []


def show(name, text, ok=True):
    mark = "" if ok else "   FAILED"
    print(f"  {name:16}{text}{mark}", flush=True)
    if not ok:
        failed.append(name)


def words(text):
    """`name=value` lines as a dict."""
    return dict(line.split("=", 1) for line in text.splitlines()
                if "=" in line)


def lease(guest):
    l4 = words(guest.run("cat /tmp/lease4", check=False))
    l6 = words(guest.run("cat /tmp/lease6", check=False))
    ra = guest.run("cat /tmp/ra.log", check=False)
    mtu = guest.run("cat /sys/class/net/eth0/mtu").strip()
    show("DHCP", f"{l4.get('ip', '-')}/{l4.get('mask', '-')}, gateway "
         f"{l4.get('router', '-')}", l4.get("ip") == vm.HOST4)
    show("DHCPv6", l6.get("new_ip6_address", "-"),
         l6.get("new_ip6_address") == vm.HOST6)
    prefix = re.search(r"Prefix +: (\S+)", ra)
    show("advertisement", "prefix " + (prefix[1] if prefix else "-"),
         bool(prefix))
    dns = [l4.get("dns", "-"), l6.get("new_dhcp6_name_servers", "-")]
    show("name servers", ", ".join(dns), dns == [vm.DNS4, vm.DNS6])
    show("MTU", mtu, mtu == "65520")


def ping(guest, command, host):
    text = guest.run(f"{command} -c 3 -i 0.2 {host}", check=False)
    rtt = re.search(r"= [\d.]+/([\d.]+)/", text)
    show("ping", f"{host}: " + (f"{rtt[1]} ms" if rtt else "no answer"),
         bool(rtt) and " 0% packet loss" in text)


def transfer(guest, net, name, host, server, command):
    way = "from" if name == "download" else "to"
    s = net.server(net.remote, *server)
    try:
        start = time.monotonic()
        r = guest.xfer(*command, timeout=120)
        took = time.monotonic() - start
        far = vm.results(s.stdout.read())
        same = r["bytes"] == far["bytes"] == SIZE and \
            "no" not in (r.get("match"), far.get("match"))
        show(name, f"{SIZE >> 20} MiB {way} {host}: "
             f"{SIZE * 8 / took / 1e6:.0f} Mbit/s, "
             f"{'every byte compared' if same else 'CONTENT DIFFERS'}", same)
    finally:
        net.end(s)


def inbound(guest, net):
    """A port of the host's that the guest answers."""
    echo = guest.start("xfer echo 8022")
    echo.expect("ready")
    r = vm.results(net.run(net.remote, vm.XFER, "rr", vm.HOST4, "8022",
                           "50", check=False))
    show("forwarded port", f"tcp 8022, a round trip {r['median_us']:.0f} us"
         if "median_us" in r else "tcp 8022: no answer", "median_us" in r)
    echo.kill()


def main():
    print("passt: a virtual machine on the host's network")
    net = vm.Net()
    daemon = guest = None
    try:
        daemon = vm.Daemon(net, "-t", "8022")
        guest = vm.Guest(vm.stream(daemon.socket))
        show("guest", f"Linux {guest.run('uname -r').strip()} in QEMU "
             f"(emulated, no KVM), up in {guest.booted_in:.1f} s")
        guest.net_up()
        lease(guest)
        ping(guest, "ping", vm.REMOTE4)
        ping(guest, "ping6", vm.REMOTE6)
        transfer(guest, net, "download", vm.REMOTE4,
                 ("source", 9000, SIZE, 1, "check:1"),
                 ("get", vm.REMOTE4, 9000, "check:1"))
        transfer(guest, net, "upload", vm.REMOTE6,
                 ("sink", 9001, "check:2"),
                 ("put", vm.REMOTE6, 9001, SIZE, 2, "check:2"))
        inbound(guest, net)
        show("daemon", f"{vm.status(daemon.pid)['VmRSS'] / 1024:.1f} MB "
             f"resident, {daemon.cpu():.2f} s of CPU time", daemon.alive())
    except (RuntimeError, TimeoutError) as e:
        print(f"demo: {e}", file=sys.stderr)
        failed.append("demo")
        if daemon:
            print(daemon.output(), file=sys.stderr)
    finally:
        if guest:
            guest.close()
        if daemon:
            daemon.close()
        net.close()
    print(f"demo: {'failed: ' + ', '.join(failed) if failed else 'all well'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
