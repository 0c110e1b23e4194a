# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of all system tests: host network, daemon, guest, family."""
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))

from rig import daemon as rig_daemon  # noqa: E402
from rig.net import HostNet, V4, V6  # noqa: E402


def pytest_configure(config):
    # What whoever started us ignores (nohup; a job of a script) is ignored by
    # all that we start, and some of it is about signals
    for n in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
        if signal.getsignal(n) == signal.SIG_IGN:
            signal.signal(n, lambda *_: None)
    config.addinivalue_line("markers", "slow: needs half a minute or more")


def pytest_collection_modifyitems(config, items):
    if os.environ.get("RIG_SLOW") == "1":
        return
    skip = pytest.mark.skip(reason="takes long; RIG_SLOW=1 runs it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def net():
    """The host network, one a session."""
    n = HostNet()
    yield n
    n.close()


@pytest.fixture(params=[V4, V6], ids=repr)
def fam(request):
    """Runs the test once for each IP version."""
    return request.param


@pytest.fixture
def daemon(net):
    """A factory: daemon(*opts) starts one; all are ended and judged."""
    made = []

    def start(*opts, **kw):
        d = rig_daemon.Daemon(net, *opts, **kw)
        made.append(d)
        return d
    yield start
    errors = []
    for d in made:
        try:
            d.stop()
        except AssertionError as e:
            errors.append(str(e))
    if errors:
        pytest.fail("\n".join(errors), pytrace=False)


@pytest.fixture
def guest(daemon):
    """A guest of a daemon without options."""
    return daemon().connect()
