# SPDX-License-Identifier: GPL-2.0-or-later
"""Podman without root: its default network, published ports, pods, options."""
import json
import re
import time

import pytest

from place import vm

IMAGE = "localhost/busybox"


@pytest.fixture(scope="module", autouse=True)
def image(shared):
    """An image that holds busybox and socat, and nothing else."""
    shared.sh("""mkdir -p /tmp/image/bin /tmp/image/tmp
        cp /bin/busybox /tmp/image/bin/
        for a in $(/bin/busybox --list); do
            [ $a = busybox ] || ln -sf busybox /tmp/image/bin/$a
        done
        for f in /usr/bin/socat $(ldd /usr/bin/socat | grep -o '/[^ ]*'); do
            cp -L --parents $f /tmp/image
        done
        tar -C /tmp/image -c . | podman import - """ + IMAGE)


def image_of(place, name, command):
    """Another name for it, and what it runs."""
    place.sh(f"""tar -C /tmp/image -c . |
        podman import --change 'CMD {json.dumps(command)}' - {name}""")


def podman(place, *words, **kw):
    return place.run("podman", *words, **kw)


def run_in(place, script, *options):
    """What a script says in a container of its own."""
    return podman(place, "run", "--rm", *options, IMAGE, "sh", "-c", script)


@pytest.fixture
def container(place):
    """Start containers: container(SCRIPT, OPTION...) -> name."""
    names = []

    def start(script, *options):
        names.append(f"c{len(names)}")
        podman(place, "run", "-d", "--name", names[-1], *options, IMAGE,
               "sh", "-c", script)
        return names[-1]
    yield start
    for name in names:
        podman(place, "rm", "-f", "-t", "0", name)


def test_addresses_and_name_server(place):
    said = run_in(place, "ip addr show eth0; ip route; cat /etc/resolv.conf")
    assert f"inet {vm.HOST4}/24" in said
    assert f"inet6 {vm.HOST6}/64" in said
    assert f"default via {vm.GATEWAY4} dev eth0" in said
    # Podman tells the container of the address that is forwarded to the host's
    assert "nameserver 169.254.1.1" in said


def test_reaches_the_world(place):
    server = place.net.server(place.net.remote, "echo", 9100)
    try:
        said = run_in(place, f"echo hello | nc -w 20 {vm.REMOTE4} 9100 && "
                      f"echo hello6 | nc -w 20 {vm.REMOTE6} 9100")
        assert "hello\n" in said and "hello6\n" in said
    finally:
        place.net.end(server)


def test_host_by_name(place):
    """host.containers.internal leads to a server on the host."""
    server = place.net.server(place.net.host, "echo", 9101)
    try:
        said = run_in(place, "cat /etc/hosts; "
                      "echo hello | nc -w 20 host.containers.internal 9101")
        assert re.search(r"^169\.254\.1\.2\s.*host\.containers\.internal",
                         said, re.M), said
        assert said.endswith("hello\n")
    finally:
        place.net.end(server)


# What test/netns/test_engine.py starts pasta with, the namespace apart
LINE = ["--config-net", "--dns-forward", "169.254.1.1", "-t", "none", "-u",
        "none", "-T", "none", "-U", "none", "--no-map-gw", "--quiet",
        "--map-guest-addr", "169.254.1.2"]


def option_pairs(words):
    """Options with their arguments, in order of their names."""
    pairs = []
    for w in words:
        if w.startswith("-"):
            pairs.append((w,))
        else:
            pairs[-1] += (w,)
    return sorted(pairs)


def test_command_line(place, container):
    """The words that are replayed without Podman are Podman's."""
    container("sleep 1000")
    for words in place.networks().values():
        at = words.index("--netns")
        assert words[at + 1].startswith("/run/user/1000/netns/netns-")
        assert option_pairs(words[1:at] + words[at + 2:]) == \
            option_pairs(LINE)
    container("sleep 1000", "-p", "8080:80", "-p", "127.0.0.1:8081:80",
              "-p", "8082-8084:82-84/udp")
    published = {("-t", "8080-8080:80-80"), ("-u", "8082-8084:82-84"),
                 ("-t", "127.0.0.1/8081-8081:80-80")}
    assert [w for w in place.networks().values()
            if published < set(option_pairs(w[1:]))]


def answer(place, command):
    """What a command in the host namespace gets, tried for a while."""
    def attempt():
        return place.net.run(place.net.host, "timeout", "10", "sh", "-c",
                             command, check=False)
    return vm.wait_for(attempt)


def test_published_ports(place, container):
    container("while :; do echo tcp | nc -l -p 80; done & "
              "socat UDP6-RECVFROM:81,ipv6only=0,fork EXEC:'echo udp'",
              "-p", "8080:80", "-p", "127.0.0.1:8081:80",
              "-p", "8082:81/udp")
    for address, port in ((vm.HOST4, 8080), ("127.0.0.1", 8080),
                          ("127.0.0.1", 8081)):
        assert answer(place, f"busybox nc -w 1 {address} {port}"
                      " </dev/null") == "tcp\n"
    assert answer(place, "echo x | socat -t 1 - "
                  f"UDP:{vm.HOST4}:8082") == "udp\n"
    refused = place.net.run(place.net.host, "busybox", "nc", "-w", "1",
                            vm.HOST4, "8081", check=False)
    assert "tcp" not in refused


def test_pod(place):
    """Two containers of a pod share one network, and one process of ours."""
    podman(place, "pod", "create", "--name", "pod", "-p", "8083:80",
           "--infra-image", IMAGE, "--infra-command", "/bin/sleep 1000")
    try:
        podman(place, "run", "-d", "--pod", "pod", IMAGE, "sh", "-c",
               "while :; do echo pod | nc -l -p 80; done")
        said = podman(place, "run", "--rm", "--pod", "pod", IMAGE, "sh", "-c",
                      "until nc -w 1 127.0.0.1 80 </dev/null | grep .; do "
                      "sleep 0.1; done")
        assert said.endswith("pod\n")
        assert answer(place, f"busybox nc -w 1 {vm.HOST4} 8083 </dev/null") \
            == "pod\n"
    finally:
        podman(place, "pod", "rm", "-f", "-t", "0", "pod")


@pytest.mark.parametrize("options,expected", [
    ("-I,net7", r"^\d+: net7[:@]"),
    ("--mtu,1500", r"mtu 1500"),
    ("--mtu,9000,-4", r"mtu 9000"),
    ("-a,10.1.2.3,-n,24,-g,10.1.2.1", r"inet 10\.1\.2\.3/24"),
    ("--ns-mac-addr,02:00:5e:10:20:30", r"02:00:5e:10:20:30"),
    ("--no-copy-routes,--no-copy-addrs", r"default via "),
])
def test_options(place, options, expected):
    said = run_in(place, "ip addr; ip route", "--network", "pasta:" + options)
    assert re.search(expected, said, re.M), said


def test_map_gw(place):
    """--map-gw, Podman's own word, gives the gateway's address its meaning."""
    server = place.net.server(place.net.host, "echo", 9102)
    try:
        said = run_in(place, f"echo hello | nc -w 20 {vm.GATEWAY4} 9102",
                      "--network", "pasta:--map-gw")
        assert said == "hello\n"
    finally:
        place.net.end(server)


def test_ports_of_the_host_inside(place):
    """-T: a port of the host's loopback, on the container's."""
    server = place.net.server(place.net.host, "echo", 9103)
    try:
        said = run_in(place, "echo hello | nc -w 20 127.0.0.1 9103",
                      "--network", "pasta:-T,9103")
        assert said == "hello\n"
    finally:
        place.net.end(server)


def test_nothing_is_left(place, container):
    name = container("sleep 1000")
    assert place.networks()
    podman(place, "rm", "-f", "-t", "0", name)
    vm.wait_for(lambda: not place.networks())
    assert not json.loads(podman(place, "ps", "-a", "--format", "json"))


def test_a_port_in_use_is_an_error(place):
    held = place.net.server(place.net.host, "echo", 8084)
    try:
        began = time.monotonic()
        said = podman(place, "run", "--rm", "-p", "8084:80", IMAGE, "true",
                      check=False)
        assert "8084" in said and "in use" in said, said
        assert time.monotonic() - began < 60
    finally:
        place.net.end(held)
