# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's examples, as they stand there, and a place to run them in.

An example is the text of a fenced block. It is known by what stands before it:
the last bold words, or heading, without the punctuation at their end; further
blocks of the same by number. test/lint/readme sees that each one is run.
"""
import os
import re
import subprocess

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
NAMED = re.compile(r"#+ (?P<heading>[^\n]*)|\*\*(?P<bold>[^*]*)\*\*|"
                   r"```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


def blocks(path=ROOT + "/README.md"):
    """{(name, number): (kind, text)} in the order of the file. Drawings, of no
    kind, are no examples."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    found, name, number = {}, None, 0
    for m in NAMED.finditer(text):
        if m["text"] is None:
            name = re.sub(r"\s+", " ", m["heading"] or m["bold"]).rstrip(".:,")
            number = 0
        elif m["kind"]:
            assert (name, number) not in found, "two examples %r" % name
            found[name, number] = m["kind"], m["text"]
            number += 1
    return found


def block(name, number=0):
    """The text of an example."""
    return blocks()[name, number][1]


class Place:
    """A mount namespace with a /tmp and a /run of its own, beside those that
    `enter` leads into, where examples run in a directory that has ./passt and
    ./pasta. Ends, and what was started in it, with close()."""

    def __init__(self, enter, programs, as_user):
        self.as_user, self.started = as_user, []
        # a PID namespace, so that nothing is left behind
        self.unshare = subprocess.Popen(
            [*enter, "unshare", "--mount", "--pid", "--fork", "--kill-child",
             "--mount-proc", "--propagation", "private", "sh", "-ec",
             "mount -t tmpfs -o mode=1777 tmpfs /tmp\n"
             "mount -t tmpfs tmpfs /run\n"
             "mkdir -m 1777 /tmp/here; echo ready\n"
             # what has lost its parent is a child of ours: sh waits
             "while sleep 0.1; do :; done"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.unshare.stdout.readline() == "ready\n", "no place"
        pid = self.unshare.pid
        with open("/proc/%d/task/%d/children" % (pid, pid),
                  encoding="ascii") as f:
            self.pid = int(f.read())
        for name in "passt", "pasta":
            subprocess.run(["cp", "-L", os.path.join(programs, name),
                            self.path("/tmp/here/" + name)], check=True)

    def path(self, inside):
        """A path of the place, as seen from here."""
        return "/proc/%d/root%s" % (self.pid, inside)

    def write(self, name, text):
        with open(self.path("/tmp/here/" + name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path("/tmp/here/" + name), 0o755)

    def cmd(self, text, root=False):
        # what is in the directory stands before the system's programs
        script = "cd /tmp/here\nPATH=/tmp/here/bin:$PATH\n" + text
        argv = ["env", "SHELL=/bin/sh", "ASAN_OPTIONS=detect_leaks=0", "sh", "-ec",
                script]
        return ["nsenter", "--target", str(self.pid), "--mount", "--net",
                "--pid", *(argv if root else self.as_user(*argv))]

    def run(self, text, typed="", root=False, timeout=60):
        """Run an example to its end; what it says on stdout."""
        r = subprocess.run(self.cmd(text, root), input=typed, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=timeout, check=False)
        assert r.returncode == 0, "%s\nexit %d: %s%s" % (
            text, r.returncode, r.stdout, r.stderr)
        return r.stdout

    def start(self, text, root=False, **kw):
        """Start an example that goes on; its process, which reads what is
        typed, and whose output can be read."""
        p = subprocess.Popen(self.cmd(text, root), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, bufsize=1, **kw)
        self.started.append(p)
        return p

    def running(self):
        """What runs here, but for what keeps the place: {pid there: words}."""
        found = {}
        for pid in filter(str.isdigit, os.listdir(self.path("/proc"))):
            try:
                with open(self.path("/proc/%s/cmdline" % pid), "rb") as f:
                    words = f.read().decode().split("\0")[:-1]
            except OSError:
                continue
            if words and pid != "1" and words[0] != "sleep":
                found[int(pid)] = words
        return found

    def end(self, program):
        """SIGTERM for a program, as by `kill`."""
        pids = [p for p, w in self.running().items() if w[0] == program]
        self.run("kill " + " ".join(map(str, pids)), root=True)

    def close(self):
        self.unshare.kill()
        self.unshare.wait()
        self.unshare.stdout.close()
        for p in self.started:
            p.wait()
            p.stdin.close()
            p.stdout.close()
