# SPDX-License-Identifier: GPL-2.0-or-later
"""The place that all tests share, and that each leaves as it was."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import place as p  # noqa: E402


@pytest.fixture(scope="session")
def shared():
    if os.geteuid():
        pytest.skip("needs root, for namespaces and a tree of packages")
    made = p.Place()
    yield made
    made.close()


@pytest.fixture
def place(shared):
    """The place; after the test nothing of ours may run there any more."""
    yield shared
    p.vm.wait_for(lambda: not shared.networks())
