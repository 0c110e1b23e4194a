# SPDX-License-Identifier: GPL-2.0-or-later
"""DPDK's testpmd on a daemon's vhost-user socket, by virtio-user: a front-end
that is not QEMU, and needs no virtual machine and no huge pages."""
import os
import subprocess

import vm

MAC = "52:54:00:12:34:56"


class Pmd:
    """testpmd in a namespace. With a tap it passes frames on to a kernel tap
    there, from its start on; else it is told what to do."""

    def __init__(self, net, daemon, ns, *args, tap=True):
        self.net, self.daemon, self.ns, self.tap = net, daemon, ns, tap
        self.args = args or ("--forward-mode=io", "--auto-start")
        self.proc = self.log = None

    def start(self):
        cpu = os.cpu_count() - 1
        self.log = open(self.daemon.dir + "/testpmd", "w")
        tap = ["--vdev=net_tap0,iface=dtap0"] if self.tap else []
        self.proc = subprocess.Popen(self.net.inside(
            self.ns, "stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci",
            f"--lcores=0@0,1@{cpu}", f"--file-prefix=pt-d{os.getpid()}",
            # testpmd drops what does not fit a ring: long ones
            f"--vdev=virtio_user0,path={self.daemon.socket},mac={MAC},"
            "queue_size=1024",
            *tap, "--", "-i", "--txd=1024", "--rxd=1024",
            "--total-num-mbufs=16384", *self.args),
            stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
            text=True)
        if not self.tap:
            vm.wait_for(lambda: "testpmd>" in self.output())
            return
        vm.wait_for(lambda: "state UNKNOWN" in self.run(
            "ip", "link", "show", "dtap0", check=False))
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "dtap0", "address", MAC, "up")

    def run(self, *cmd, **kw):
        return self.net.run(self.ns, *cmd, **kw)

    def output(self):
        with open(self.log.name) as f:
            return f.read()

    def command(self, text, until=""):
        """Have testpmd do something; its output until that is part of it."""
        before = len(self.output())
        self.proc.stdin.write(text + "\n")
        self.proc.stdin.flush()
        vm.wait_for(lambda: until in self.output()[before:])
        return self.output()[before:]

    def stop(self):
        self.proc.stdin.close()     # the end of its commands ends it
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.log.close()
