# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the virtual-machine tests: the network, a daemon, a guest."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vm  # noqa: E402


@pytest.fixture(scope="session")
def net():
    if os.geteuid():
        pytest.skip("needs root, for network namespaces")
    if not os.path.exists(vm.PASST):
        pytest.fail(f"{vm.PASST} has not been built")
    vm.image()
    n = vm.Net()
    yield n
    n.close()


@pytest.fixture
def servers(net):
    """Start listening xfers: servers(namespace, ...), ended with the test."""
    started = []

    def start(ns, *args):
        started.append(net.server(ns, *args))
        return started[-1]
    yield start
    for p in started:
        net.end(p)


class Machine:
    """A daemon and its guest, with the network up; or without it yet."""

    def __init__(self, net, link, *options, guest=True):
        self.net, self.link, self.guest = net, link, None
        if link == "vhost-user":
            options += ("--vhost-user",)
        self.daemon = vm.Daemon(net, *options)
        try:
            self.fresh = vm.status(self.daemon.pid)["VmRSS"]
            if guest:
                self.start_guest()
        except BaseException:
            self.close()
            raise

    def start_guest(self, path=None):
        """Boot a guest on the daemon's socket, or one that leads there."""
        netdev = vm.vhost_user if self.link == "vhost-user" else vm.stream
        self.guest = vm.Guest(netdev(path or self.daemon.socket))
        self.guest.net_up()

    def close(self):
        if self.guest:
            self.guest.close()
        self.daemon.close()


def checked(machine):
    """Hand a machine out, and see that its daemon has come through."""
    yield machine
    daemon = machine.daemon
    alive, text = daemon.alive() or daemon.ended, daemon.output()
    machine.close()
    assert alive, "the daemon died:\n" + text
    assert "Sanitizer" not in text and "runtime error" not in text, text


def pytest_collection_modifyitems(items):
    """Both ways to travel at the same time: each has its guest and its
    network, and none of them keeps a machine of two processors busy."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        item.add_marker(pytest.mark.xdist_group(params.get("link", "other")))


@pytest.fixture(scope="session", params=["stream", "vhost-user"])
def link(request):
    """How the guests' frames travel: all tests with the one, then the other."""
    return request.param


@pytest.fixture(scope="session")
def machine(net, link):
    """The one that most tests share."""
    yield from checked(Machine(net, link, "-t", "8022,8023", "-u", "8022"))


@pytest.fixture
def own_machine(net, link):
    """Make a machine for this test alone: own_machine(OPTION...)."""
    made = []

    def make(*options, **kw):
        made.append(checked(Machine(net, link, *options, **kw)))
        return next(made[-1])
    yield make
    for m in made:
        next(m, None)
