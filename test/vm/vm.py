# SPDX-License-Identifier: GPL-2.0-or-later
"""The pieces that the virtual-machine tests, the demo and the bench hold.

Net     two network namespaces joined by a veth of MTU 1500: `host`, where the
        daemon runs, and `remote`, the world beyond it
Daemon  a passt, run as an ordinary user in the host namespace
Guest   QEMU with the test image, and commands run in it through the agent

Each has a close(), and ends only the processes it has started.
"""
import json
import os
import pwd
import queue
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("VM_BUILD", ROOT + "/build/vm")
XFER = BUILD + "/xfer"
PASST = os.path.abspath(os.environ.get("PASST") or ROOT + "/passt")
USER = "passt-test"
# Seconds to wait for what has to come: an emulated guest of a busy machine
PATIENCE = 180

# What the guest is told is its gateway stands for the host's loopback by
# default, so that the world's servers have an address behind it
HOST4, GATEWAY4, REMOTE4 = "192.0.2.2", "192.0.2.1", "198.51.100.1"
HOST6, GATEWAY6, REMOTE6 = "2001:db8:1::2", "2001:db8:1::1", "2001:db8:2::1"
DNS4, DNS6 = "192.0.2.53", "2001:db8:1::53"


def run(*cmd, check=True, **kw):
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.STDOUT)
    kw.setdefault("timeout", PATIENCE)
    r = subprocess.run(cmd, text=True, **kw)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(cmd)}: exit {r.returncode}\n{r.stdout}")
    return r.stdout


def image():
    """Build the guest's image if it is not there, or old."""
    subprocess.run([HERE + "/image.sh"], check=True)


def user():
    """The ordinary user the daemon runs as; created where absent."""
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        run("useradd", "--system", "--no-create-home", "--shell",
            "/usr/sbin/nologin", USER)
        return pwd.getpwnam(USER)


def wait_for(what, seconds=PATIENCE, step=0.02):
    """Poll what() until it returns something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        r = what()
        if r:
            return r
        if time.monotonic() > end:
            raise TimeoutError(f"not true within {seconds} s: {what}")
        time.sleep(step)


def results(line):
    """The `name=value` words of a line from xfer, numbers as numbers."""
    out = {}
    for word in line.split():
        name, eq, value = word.partition("=")
        if eq:
            try:
                out[name] = float(value) if "." in value else int(value)
            except ValueError:
                out[name] = value
    return out


def cpu_seconds(pid, tid=None):
    """User and system time of a process of one thread, or of a thread."""
    with open(f"/proc/{pid}/task/{tid or pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e9


def status(pid):
    """The lines of /proc/PID/status, as a dict of numbers where they are."""
    out = {}
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            name, _, value = line.partition(":")
            m = re.match(r"\d+", value.strip())
            out[name] = int(m[0]) if m else value.strip()
    return out


class Net:
    """The daemon's namespace and the world's, and what runs in them."""

    def __init__(self):
        self.sweep()
        self.host = f"pt-h{os.getpid()}"
        self.remote = f"pt-r{os.getpid()}"
        self.procs = []
        self.dir = tempfile.mkdtemp(prefix="passt-net-")
        os.chmod(self.dir, 0o755)
        run("ip", "netns", "add", self.host)
        run("ip", "netns", "add", self.remote)
        run("ip", "-n", self.host, "link", "add", "eth0", "mtu", "1500",
            "type", "veth", "peer", "name", "eth0", "mtu", "1500", "netns",
            self.remote)
        self.configure(self.host, HOST4, HOST6)
        self.configure(self.remote, GATEWAY4, GATEWAY6)
        run("ip", "-n", self.remote, "addr", "add", REMOTE4 + "/32", "dev",
            "lo")
        # Without nodad it is tentative for a moment, and no source for a route
        run("ip", "-n", self.remote, "addr", "add", REMOTE6 + "/128", "dev",
            "lo", "nodad")
        # A datagram's answer must leave from the address it came to
        for net, src, metric in (("192.0.2.0/24", REMOTE4, "0"),
                                 ("2001:db8:1::/64", REMOTE6, "256")):
            run("ip", "-n", self.remote, "route", "replace", net, "dev",
                "eth0", "src", src, "metric", metric)
        for family, gw in ("-4", GATEWAY4), ("-6", GATEWAY6):
            run("ip", family, "-n", self.host, "route", "add", "default",
                "via", gw, "dev", "eth0")
        self.sysctl("net.ipv4.ping_group_range=0 2147483647")
        # The namespace's resolv.conf: `ip netns exec` puts it in place
        self.resolv = f"/etc/netns/{self.host}"
        os.makedirs(self.resolv, exist_ok=True)
        with open(self.resolv + "/resolv.conf", "w") as f:
            f.write(f"nameserver {DNS4}\nnameserver {DNS6}\n"
                    "search test.example lab.example\n")

    @staticmethod
    def sweep():
        """Remove namespaces of runs that were killed."""
        for name in run("ip", "netns", "list").split():
            m = re.fullmatch(r"pt-[hr](\d+)", name)
            if m and not os.path.exists(f"/proc/{m[1]}"):
                run("ip", "netns", "del", name, check=False)
                shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)

    def configure(self, ns, v4, v6):
        # Without DAD, addresses can be used at once
        run("ip", "netns", "exec", ns, "sysctl", "-qw",
            "net.ipv6.conf.eth0.accept_dad=0", "net.ipv6.conf.eth0.autoconf=0")
        run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", ns, "addr", "add", v4 + "/24", "dev", "eth0")
        run("ip", "-n", ns, "addr", "add", v6 + "/64", "dev", "eth0",
            "nodad")
        run("ip", "-n", ns, "link", "set", "eth0", "up")

    def sysctl(self, setting):
        run("ip", "netns", "exec", self.host, "sysctl", "-qw", setting)

    def inside(self, ns, *cmd):
        return ["ip", "netns", "exec", ns, *cmd]

    def spawn(self, ns, *cmd, **kw):
        """Start a command there; it ends with the namespaces."""
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.STDOUT)
        p = subprocess.Popen(self.inside(ns, *cmd), text=True, **kw)
        self.procs.append(p)
        return p

    def server(self, ns, *args):
        """Start a listening xfer and wait until it listens."""
        p = self.spawn(ns, XFER, *map(str, args))
        line = p.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"xfer {args}: {line}{p.stdout.read()}")
        return p

    def run(self, ns, *cmd, **kw):
        return run(*self.inside(ns, *cmd), **kw)

    def end(self, p):
        if p.poll() is None:
            p.kill()
        p.wait()
        if p.stdout:
            p.stdout.close()
        if p in self.procs:
            self.procs.remove(p)

    def close(self):
        for p in list(self.procs):
            self.end(p)
        run("ip", "netns", "del", self.host, check=False)
        run("ip", "netns", "del", self.remote, check=False)
        shutil.rmtree(self.resolv, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Daemon:
    """A passt in the foreground, as USER, in a network's host namespace."""

    def __init__(self, net, *args, binary=None, prefix=(), drop=True):
        self.net = net
        self.dir = tempfile.mkdtemp(prefix="passt-")
        u = user()
        os.chown(self.dir, u.pw_uid, u.pw_gid)
        self.socket = self.dir + "/s"
        if binary is None:
            # The user may not reach the tree: a home directory is often 0700
            binary = shutil.copy(PASST, self.dir + "/passt")
        self.log = open(self.dir + "/log", "w+")
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={u.pw_gid}",
                   "--clear-groups", "--inh-caps=-all"] if drop else []
        self.proc = subprocess.Popen(
            net.inside(net.host, *as_user, *prefix, binary,
                       "--foreground", "--socket", self.socket, *args),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.proc.pid
        self.ended = False      # a test has made it end, on purpose
        try:
            wait_for(lambda: self.listening() or not self.alive())
            if not self.alive():
                raise RuntimeError("passt ended at once:\n" + self.output())
        except TimeoutError:
            text = self.output()
            self.close()
            raise TimeoutError("passt does not listen:\n" + text) from None
        except Exception:
            self.close()
            raise

    def listening(self):
        """Whether the socket takes connections (flag __SO_ACCEPTCON)."""
        try:
            with open(f"/proc/{self.pid}/net/unix") as f:
                return any(line.split()[3] == "00010000" and
                           line.rstrip().endswith(self.socket) for line in f)
        except OSError:
            return False

    def output(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()

    def alive(self):
        return self.proc.poll() is None

    def cpu(self):
        return cpu_seconds(self.pid)

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def close(self):
        if self.alive():
            self.proc.terminate()
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Command:
    """One command in the guest: its output as it comes, and its end."""

    def __init__(self, guest, number):
        self.guest, self.number = guest, number
        self.queue, self.text, self.code = queue.Queue(), "", None

    def wait(self, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while self.code is None:
            try:
                self.take(end - time.monotonic())
            except queue.Empty:
                raise TimeoutError(
                    f"command in the guest: no end within {timeout} s; "
                    f"its output: {self.text}") from None
        return self.code

    def expect(self, text, timeout=PATIENCE):
        """Wait until the command has printed this."""
        end = time.monotonic() + timeout
        while text not in self.text:
            if self.code is not None:
                raise RuntimeError(f"ended with {self.code}: {self.text}")
            self.take(end - time.monotonic())
        return self

    def take(self, timeout):
        kind, body = self.queue.get(timeout=max(timeout, 0))
        if kind == b"o":
            self.text += body.decode(errors="replace")
        elif kind == b"e":
            self.code = struct.unpack(">i", body)[0]
        else:
            raise RuntimeError("the guest went away: " + self.text)

    def kill(self):
        self.guest.send(self.number, b"k", b"")


class Guest:
    """A virtual machine with the test image.

    netdev is QEMU's -netdev argument without the id, for a daemon's socket
    see stream(), or a list of them, for eth0, eth1, ... Network configuration is up to the caller: net_up().
    """

    def __init__(self, netdev, smp=2, memory="512M", prefix=()):
        image()
        nics, machine = [], "pc,usb=off"
        for i, n in enumerate([netdev] if isinstance(netdev, str) else netdev):
            device = f"virtio-net-pci,netdev=n{i},romfile=," \
                     f"mac=52:54:00:12:34:{0x56 + i:02x}"
            if n.startswith("vhost-user,"):
                n, _, path = n.partition(",path=")
                nics += ["-chardev", f"socket,id=c{i},path={path}"]
                n += f",chardev=c{i}"
                # QEMU 7.2 under TCG does not survive MSI-X with vhost-user
                device += ",vectors=0"
                machine = "pc,usb=off,memory-backend=mem"
            nics += ["-netdev", f"{n},id=n{i}", "-device", device]
        if "memory-backend" in machine:
            nics += ["-object", f"memory-backend-memfd,id=mem,size={memory},"
                     "share=on"]
        self.dir = tempfile.mkdtemp(prefix="passt-vm-")
        self.commands, self.number, self.boots = {}, 0, 0
        self.lock, self.hello = threading.Lock(), threading.Event()
        self.console = self.dir + "/console"
        self.started = time.monotonic()
        self.proc = subprocess.Popen([
            *prefix, "qemu-system-x86_64", "-nodefaults", "-no-user-config",
            "-display", "none", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-machine", machine, "-smp", str(smp), "-m", memory,
            "-kernel", BUILD + "/vmlinuz", "-initrd", BUILD + "/initrd",
            "-append", "console=ttyS0 quiet panic=0 tsc=reliable "
            "no_timer_check mitigations=off audit=0 nokaslr",
            "-chardev", f"file,id=con,path={self.console}",
            "-serial", "chardev:con",
            "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
            "-chardev",
            f"socket,id=agent,path={self.dir}/agent,server=on,wait=off",
            "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent", *nics],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        try:
            self.port = self.connect("agent")
            threading.Thread(target=self.receive, daemon=True).start()
            self.qmp_sock = self.connect("qmp")
            self.qmp_file = self.qmp_sock.makefile("rw")
            self.qmp_file.readline()
            self.qmp("qmp_capabilities")
        except Exception:
            self.close()
            raise

    def connect(self, name):
        s = socket.socket(socket.AF_UNIX)

        def attempt():
            if self.proc.poll() is not None:
                raise RuntimeError("QEMU ended: " +
                                   self.proc.stdout.read().decode())
            try:
                s.connect(f"{self.dir}/{name}")
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        wait_for(attempt)
        return s

    def qmp(self, command, **arguments):
        json.dump({"execute": command, "arguments": arguments}, self.qmp_file)
        self.qmp_file.write("\n")
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def receive(self):
        """The thread that sorts what the agent says."""
        f = self.port.makefile("rb")
        try:
            while True:
                head = f.read(9)
                if len(head) < 9:
                    break
                length, number, kind = struct.unpack(">IIc", head)
                body = f.read(length - 5)
                if kind == b"h":
                    self.forget()
                    self.boots += 1
                    self.booted_in = time.monotonic() - self.started
                    self.hello.set()
                elif number in self.commands:
                    self.commands[number].queue.put((kind, body))
        except OSError:
            pass
        self.forget()

    def forget(self):
        for c in self.commands.values():
            c.queue.put((b"gone", b""))
        self.commands = {}

    def send(self, number, kind, body):
        with self.lock:
            self.port.sendall(struct.pack(">IIc", 5 + len(body), number,
                                          kind) + body)

    def booted(self, timeout=PATIENCE):
        """Wait for the agent; return the seconds that booting took."""
        if not self.hello.wait(timeout):
            with open(self.console, errors="replace") as f:
                raise TimeoutError("guest did not boot:\n" + f.read()[-4000:])
        return self.booted_in

    def start(self, command):
        """Start a shell command in the guest."""
        self.booted()
        with self.lock:
            self.number += 1
            c = Command(self, self.number)
            self.commands[c.number] = c
        self.send(c.number, b"x", command.encode())
        return c

    def run(self, command, timeout=PATIENCE, check=True):
        """Run a shell command in the guest and return its output."""
        c = self.start(command)
        code = c.wait(timeout)
        if check and code:
            raise RuntimeError(f"guest: {command}: exit {code}\n{c.text}")
        return c.text

    def xfer(self, *args, **kw):
        return results(self.run("xfer " + " ".join(map(str, args)), **kw))

    def reset(self):
        self.hello.clear()
        self.started = time.monotonic()
        self.qmp("system_reset")

    def net_up(self, timeout=PATIENCE):
        self.run("net-up", timeout)

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()
        for name in "port", "qmp_sock":
            if hasattr(self, name):
                getattr(self, name).close()
        shutil.rmtree(self.dir, ignore_errors=True)


# A QEMU for examples that leave the disk, and the system on it, to the reader:
# the image has no boot loader, so it is told where its kernel is. In /tmp/here,
# of a reader who is there; console and agent are in /tmp.
EXAMPLE_QEMU = """#!/bin/sh
exec /usr/bin/qemu-system-x86_64 "$@" -display none -monitor none \\
    -kernel /tmp/here/vmlinuz -initrd /tmp/here/initrd -cpu max -append \\
    'console=ttyS0 quiet panic=0 tsc=reliable no_timer_check \
mitigations=off audit=0 nokaslr' -serial file:/tmp/console \\
    -chardev socket,id=agent,path=/tmp/agent,server=on,wait=off \\
    -device virtio-serial-pci -device virtserialport,chardev=agent
"""


def example_disk(directory):
    """What an example of QEMU needs in /tmp/here."""
    os.mkdir(directory + "/bin")
    with open(directory + "/bin/qemu-system-x86_64", "w") as f:
        f.write(EXAMPLE_QEMU)
    os.chmod(f.name, 0o755)
    for name in "vmlinuz", "initrd":
        shutil.copy(f"{BUILD}/{name}", directory)
        os.chmod(f"{directory}/{name}", 0o644)
    with open(directory + "/disk.qcow2", "wb") as f:
        f.truncate(1 << 20)
    os.chmod(f.name, 0o666)


class Started(Guest):
    """A guest that somebody else has started, and looks after: its console and
    its agent are in a directory."""

    def __init__(self, directory):
        # pylint: disable=super-init-not-called # see above
        self.dir, self.proc = directory, self
        self.commands, self.number, self.boots = {}, 0, 0
        self.lock, self.hello = threading.Lock(), threading.Event()
        self.console = directory + "/console"
        self.started = time.monotonic()
        self.port = self.connect("agent")
        threading.Thread(target=self.receive, daemon=True).start()

    def poll(self):
        """Whether it has ended is not known here."""


def stream(path):
    """The -netdev argument for a daemon's socket."""
    return f"stream,server=off,addr.type=unix,addr.path={path}"


def vhost_user(path):
    """The same for one that was started with --vhost-user; Guest shares its
    memory then."""
    return f"vhost-user,path={path}"
