# SPDX-License-Identifier: GPL-2.0-or-later
"""`apt remove passt`, and our package in its place: engines find it by PATH and
go on as before. Installed and removed in the tree alone."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from place import TREE, vm
from test_podman import IMAGE, image  # noqa: F401

LOCAL = TREE + "/etc/apparmor.d/local/usr.bin.passt"
PATH = "PATH=/usr/bin:/bin:/usr/sbin:/sbin"


def root(place, *cmd, **kw):
    return vm.run("nsenter", f"--target={place.init}", "--mount", "--net",
                  "--pid", "--root", "--wd", "env", "-i", PATH, *cmd, **kw)


def ours():
    """The package of what is checked out, made unless it is there."""
    commit = subprocess.run(
        ["git", "-C", vm.ROOT, "log", "-1", "--format=%h", "--abbrev=9"],
        check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    made = f"{vm.ROOT}/build/deb/passt_*.{commit}_*.deb"
    if not glob.glob(made):
        vm.run(os.environ.get("MAKE", "make"), "-s", "-C", vm.ROOT, "deb",
               timeout=900)
    (deb,) = glob.glob(made)
    return deb


@pytest.fixture
def packages(place, tmp_path):
    """Debian's package, as this machine's release has it, and ours; neither is
    left in the tree."""
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root",
                    "download", "passt"], check=True, cwd=tmp_path)
    (theirs,) = glob.glob(f"{tmp_path}/*.deb")
    for path, name in (theirs, "theirs"), (ours(), "ours"):
        shutil.copy(path, f"{TREE}/{name}.deb")
    yield "/theirs.deb", "/ours.deb"
    for name in "theirs", "ours":
        os.unlink(f"{TREE}/{name}.deb")
    root(place, "dpkg", "--purge", "passt")
    if os.path.exists(LOCAL):
        os.unlink(LOCAL)


def version(place):
    return place.run("env", PATH, "pasta", "--version")


def container(place):
    """What a container without options says, and what connected it."""
    podman = ("env", PATH, "podman")
    place.run(*podman, "run", "-d", "--name", "c", "-p", "8090:80", IMAGE, "sh",
              "-c", "while :; do echo in | nc -l -p 80; done")
    try:
        exe = {os.readlink(place.path(f"/proc/{pid}/exe"))
               for pid in place.networks()}
        said = vm.wait_for(lambda: place.net.run(
            place.net.host, "busybox", "nc", "-w", "1", "127.0.0.1", "8090",
            stdin=-3, check=False))
    finally:
        place.run(*podman, "rm", "-f", "-t", "0", "c")
    return said, exe


def files():
    """What of it is below /usr and /etc, documentation apart, and what
    Debian's leaves to the administrator."""
    return [f for f in glob.glob(TREE + "/usr/**/*pass*", recursive=True) +
            glob.glob(TREE + "/etc/**/*pass*", recursive=True)
            if re.search(r"/(passt|pasta|usr\.bin\.passt|_passt)\b", f) and
            f != LOCAL]


def test_in_place_of_debians(place, packages):
    """Upgraded to, or put there after the other was removed; then removed."""
    theirs, mine = packages
    assert not files()
    for removed in False, True:
        root(place, "dpkg", "-i", theirs)
        assert "0.1~git" not in version(place)
        if removed:
            root(place, "dpkg", "--remove", "passt")
        root(place, "dpkg", "-i", mine)
        assert "0.1~git" in version(place)
        said, exe = container(place)
        assert (said, exe) == ("in\n", {"/usr/bin/passt"})
        root(place, "dpkg", "--purge", "passt")
        assert not files()
