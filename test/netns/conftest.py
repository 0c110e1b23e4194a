# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of pasta's tests: pasta itself, namespaces for it to join, hosts of
other shapes, servers on both sides."""
import os
import pwd
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../vm"))

from rig import daemon as rd
from rig import pasta as rp
from rig.flows import wait_for
from rig.net import Netns

XFER = os.path.join(rd.ROOT, "build", "xfer")


RUNNING = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failed test goes what the pastas it had have said."""
    report = (yield).get_result()
    if call.when == "call" and report.failed and "pasta" in item.fixturenames:
        for p in RUNNING:
            if p.tmp:
                report.sections.append(("pasta's stderr", p.stderr[-3000:]))


@pytest.fixture
def run(net):
    """Run pasta to its end: run(*arguments), see rig.pasta.run()."""
    def do(*argv, on=net, **kw):
        return rp.run(on, *argv, **kw)
    return do


@pytest.fixture
def held(net):
    """A factory of an ordinary user's namespaces to join: class Held."""
    made = []

    def start(on=net, **kw):
        made.append(rp.Held(on.host if hasattr(on, "host") else on, **kw))
        return made[-1]
    yield start
    for h in made:
        h.close()


@pytest.fixture
def host():
    """A factory of other hosts: host(script) is a network namespace in which
    the script has run as root."""
    made = []

    def make(script="", resolv=None):
        ns = Netns(resolv)
        made.append(ns)
        ns.sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 "
              "net.ipv6.conf.default.accept_dad=0 "
              "net.ipv4.ping_group_range='0 2147483647'\n" + script)
        return ns
    yield make
    for ns in made:
        ns.close()


@pytest.fixture
def pasta(net, host, held):
    """A factory: pasta(*opts) starts one, with a command of its own unless a
    target is given; all are ended and judged, before hosts and held namespaces
    go. Keywords: class Pasta; `on` for another host."""
    made = []

    def start(*opts, on=net, **kw):
        made.append(rp.Pasta(on, *opts, **kw))
        RUNNING.append(made[-1])
        return made[-1]
    yield start
    errors = []
    RUNNING.clear()
    for p in reversed(made):
        try:
            p.stop()
        except AssertionError as e:
            errors.append(str(e))
    if errors:
        pytest.fail("\n".join(errors), pytrace=False)


class Process(subprocess.Popen):
    """A process in one of the namespaces, its output in a file."""

    def __init__(self, ns, argv, **kw):
        self.outfile = tempfile.TemporaryFile("w+", errors="replace")
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", self.outfile)
        super().__init__(ns.cmd(*argv), stderr=self.outfile, **kw)

    @property
    def output(self):
        with open("/proc/self/fd/%d" % self.outfile.fileno(),
                  encoding="utf-8", errors="replace") as f:
            return f.read()

    def end(self):
        if self.poll() is None:
            self.kill()
        self.wait()
        self.outfile.close()


@pytest.fixture
def spawn():
    """A factory: spawn(ns, *argv, tcp=PORT, udp=PORT) starts a process, waits
    until it listens there, and ends it with the test."""
    made = []

    def start(ns, *argv, tcp=None, udp=None, **kw):
        p = Process(ns, argv, **kw)
        made.append(p)
        for proto, port in ("tcp", tcp), ("udp", udp):
            if port:
                wait_for(lambda: p.poll() is not None or
                         rp.listening(ns, proto, port),
                         what=str(argv))
        if tcp or udp:
            assert p.poll() is None, p.output
        return p
    yield start
    for p in made:
        p.end()


@pytest.fixture(scope="session")
def xfer():
    """The path of xfer, which sends and checks."""
    subprocess.run(["make", "-s", "-C", rd.ROOT, "build/xfer"], check=True)
    return XFER


@pytest.fixture
def place():
    """A directory of the tests' user."""
    with tempfile.TemporaryDirectory(prefix="rig-") as d:
        u = pwd.getpwnam(rd.USER)
        os.chown(d, u.pw_uid, u.pw_gid)
        yield d
