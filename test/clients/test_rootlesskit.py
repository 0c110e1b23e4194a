# SPDX-License-Identifier: GPL-2.0-or-later
"""RootlessKit and Buildah, without root."""
import pytest

from place import vm
from test_podman import IMAGE, image  # noqa: F401


@pytest.fixture
def echo(place):
    server = place.net.server(place.net.remote, "echo", 9120)
    yield f"echo hello | nc -w 20 -N {vm.REMOTE4} 9120"
    place.net.end(server)


def test_rootlesskit(place, echo):
    said = place.run("rootlesskit", "--net=pasta", "--disable-host-loopback",
                     "--copy-up=/etc", "sh", "-c", "ip addr; " + echo)
    assert said.endswith("hello\n"), said
    assert "inet 10.0.2.100/24" in said and "mtu 65520" in said


def test_buildah_run(place, echo):
    said = place.sh(
        f"c=$(buildah from --pull-never {IMAGE}); "
        f"buildah run --network=private $c ip addr; "
        f"buildah run --network=private $c sh -c "
        f"'{echo.replace('-N ', '')}'; buildah rm $c >/dev/null")
    assert said.endswith("hello\n"), said
    assert f"inet {vm.HOST4}/24" in said and "mtu 65520" in said
