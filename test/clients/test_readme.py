# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's examples for Podman, Buildah and RootlessKit, and for QEMU over
vhost-user, as they stand there. Images of those names are made here: busybox
does what the examples are about."""
import os
import sys

import pytest

from place import UID, vm
from test_podman import image, image_of  # noqa: F401

sys.path.insert(0, vm.ROOT + "/test/lib")
from rig.readme import block  # noqa: E402

PAGE = "mkdir -p /tmp/www; echo page of the host >/tmp/www/index.html; "


@pytest.fixture
def host(place):
    """Servers on the host, ended with the test: host(SCRIPT, PORT)."""
    started = []

    def start(script, port):
        started.append(place.net.spawn(place.net.host, "sh", "-c", script))
        listens(place, port)
    yield start
    for p in started:
        place.net.end(p)


def listens(place, port):
    vm.wait_for(lambda: f":{port} " in place.net.run(
        place.net.host, "ss", "-Hltn"))


def get(place, port, at="127.0.0.1"):
    return vm.wait_for(lambda: place.net.run(
        place.net.host, "curl", "-sS", "-m", "10", f"http://{at}:{port}/",
        check=False, stderr=-3))


def test_publish(place):
    image_of(place, "docker.io/library/nginx",
             ["sh", "-c", "mkdir /www; echo page of web >/www/index.html; "
              "exec httpd -f -h /www -p 80"])
    try:
        place.sh(block("Publish a port"))
        for at in "127.0.0.1", vm.HOST4:
            assert get(place, 8080, at) == "page of web\n"
    finally:
        place.sh("podman rm -f -t 0 web")


def test_reach_the_host(place, host):
    image_of(place, "docker.io/library/busybox", ["sh"])
    host(PAGE + "exec busybox httpd -f -h /tmp/www -p 8000", 8000)
    assert place.sh(block("Reach the host")).endswith("page of the host\n")


def test_options(place):
    """Where PostgreSQL has pg_isready, something else that connects."""
    image_of(place, "docker.io/library/postgres", ["sh"])
    server = place.net.server(place.net.host, "echo", 5432)
    text, ready = block("Options for pasta").rsplit("    ", 1)
    assert ready == "pg_isready -h 127.0.0.1\n"
    try:
        assert place.sh(text + "sh -c 'echo yes | nc -w 20 127.0.0.1 5432'"
                        ).endswith("yes\n")
    finally:
        place.net.end(server)


def test_build(place, host):
    image_of(place, "docker.io/library/busybox", ["sh"])
    host(PAGE + "exec busybox httpd -f -h /tmp/www -p 8000", 8000)
    said = place.sh(block("Build with a network"))
    assert said.endswith("page of the host\n")
    place.sh("buildah rm -a")


def test_rootlesskit(place):
    said = place.run("sh", "-c", block("RootlessKit").rstrip() + " <<'END'\n"
                     "id -u; ip -4 addr show dev tap0\nEND\n")
    assert "\n0\n" in said and "inet 10.0.2.100/24" in said


def test_rootlesskit_ports(place):
    shell = place.spawn("sh", "-c", "mkdir -p /tmp/kit; cd /tmp/kit; "
                        "echo page of kit >index.html; " +
                        block("Ports that a program listens on"))
    assert get(place, 8080) == "page of kit\n"
    place.run("pkill", "-u", str(UID), "rootlesskit")
    shell.wait(60)


def test_qemu_over_vhost_user(place):
    """QEMU 7.2 without KVM would need one more option."""
    vm.image()
    here = place.path("/tmp/here")
    os.mkdir(here)
    os.chown(here, UID, UID)
    vm.example_disk(here)
    os.symlink("/ours/passt", here + "/passt")
    for name in "console", "agent":
        if os.path.lexists(place.path("/tmp/" + name)):
            os.unlink(place.path("/tmp/" + name))
    place.spawn("sh", "-c", "cd /tmp/here; PATH=/tmp/here/bin:$PATH\n" +
                block("Over vhost-user"))
    guest = vm.Started(place.path("/tmp"))
    guest.net_up()
    assert f"inet {vm.HOST4}/24" in guest.run("ip addr show eth0")
    line, = place.networks().values()
    assert "--vhost-user" in line
    place.run("pkill", "-u", str(UID), "qemu-system")
    vm.wait_for(lambda: not place.networks())
