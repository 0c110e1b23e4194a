# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the clients run: Debian's next release as a tree of its own, in the host
namespace of vm.Net, as an ordinary user, with our programs first in PATH."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm"))
import vm  # noqa: E402

BUILD = os.environ.get("CLIENTS_BUILD", vm.ROOT + "/build/clients")
TREE = BUILD + "/tree"
# Of the user in the tree
NAME, UID, HOME = "user", 1000, "/home/user"
RUNTIME = f"/run/user/{UID}"
ENV = {"HOME": HOME, "USER": NAME, "LOGNAME": NAME, "LANG": "C.UTF-8",
       "PATH": "/ours:/usr/bin:/bin:/usr/sbin:/sbin",
       "SHELL": "/bin/sh", "XDG_RUNTIME_DIR": RUNTIME}
# crun is asked for no controllers; the kernel here may have no overlayfs
CONFIG = {
    "containers.conf": '[engine]\ncgroup_manager = "cgroupfs"\n'
                       'events_logger = "file"\n',
    "storage.conf": '[storage]\ndriver = "vfs"\n',
}


def append_once(path, line):
    with open(path, "a+") as f:
        f.seek(0)
        if line not in f.read().splitlines():
            f.write(line + "\n")


def write(path, text, owner=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    if owner is not None:
        os.chown(path, owner, owner)


class Place:
    """The tree, entered."""

    def __init__(self, passt=vm.PASST):
        subprocess.run([HERE + "/tree.sh"], check=True)
        self.net = vm.Net()
        self.ours = BUILD + "/ours"
        os.makedirs(self.ours, exist_ok=True)
        shutil.copy(passt, self.ours + "/passt")
        if not os.path.lexists(self.ours + "/pasta"):
            os.symlink("passt", self.ours + "/pasta")
        self.add_user()
        self.unshare = subprocess.Popen(
            self.net.inside(self.net.host, "unshare", "--mount", "--pid",
                            "--fork", "--kill-child", HERE + "/enter.sh",
                            TREE, self.ours),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.unshare.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError("cannot enter " + TREE)
        with open(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/"
                  "children") as f:
            self.init = int(f.read())

    def add_user(self):
        append_once(TREE + "/etc/passwd", f"{NAME}:x:{UID}:{UID}::{HOME}:"
                    "/bin/sh")
        append_once(TREE + "/etc/group", f"{NAME}:x:{UID}:")
        for name in "subuid", "subgid":
            append_once(f"{TREE}/etc/{name}", f"{NAME}:100000:65536")
        append_once(TREE + "/etc/hosts", "127.0.0.1 localhost")
        write(TREE + "/etc/resolv.conf", f"nameserver {vm.DNS4}\n"
              "search lab.example\n")
        shutil.rmtree(TREE + HOME, ignore_errors=True)
        for name, text in CONFIG.items():
            write(f"{TREE}{HOME}/.config/containers/{name}", text)
        for top, _, files in os.walk(TREE + HOME):
            for path in [top] + [os.path.join(top, f) for f in files]:
                os.chown(path, UID, UID)

    def path(self, inside):
        """A path of the tree, seen from here."""
        return f"/proc/{self.init}/root{inside}"

    def inside(self, *cmd):
        return ["nsenter", f"--target={self.init}", "--mount", "--net",
                "--pid", "--root", "--wd", "setpriv", f"--reuid={UID}",
                f"--regid={UID}", "--clear-groups", "env", "-i",
                *(f"{k}={v}" for k, v in ENV.items()), *cmd]

    def run(self, *cmd, **kw):
        """Run a program as the user; return what it says."""
        return vm.run(*self.inside(*cmd), stdin=subprocess.DEVNULL, **kw)

    def sh(self, script, **kw):
        return self.run("sh", "-euc", script, **kw)

    def spawn(self, *cmd, **kw):
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.STDOUT)
        p = subprocess.Popen(self.inside(*cmd), stdin=subprocess.DEVNULL,
                             text=True, **kw)
        self.net.procs.append(p)
        return p

    def processes(self):
        """What runs in the tree besides what keeps it: {pid there: words}."""
        found = {}
        for pid in filter(str.isdigit, os.listdir(self.path("/proc"))):
            try:
                with open(self.path(f"/proc/{pid}/cmdline")) as f:
                    words = f.read().split("\0")[:-1]
            except OSError:
                continue
            if pid != "1" and words and words[0] not in ("sleep", "nsenter"):
                found[int(pid)] = words
        return found

    def networks(self):
        """Our own programs among them, their helpers too."""
        return {pid: words for pid, words in self.processes().items()
                if os.path.basename(words[0]) in ("passt", "pasta")}

    def close(self):
        # Its init goes with it, and all else with that
        self.unshare.kill()
        self.unshare.wait()
        self.unshare.stdout.close()
        self.net.close()
