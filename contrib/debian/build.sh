#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds a Debian package of what is checked out here, in build/deb. Needs
# dpkg-dev and debhelper; nothing outside build/ is written to.
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/build/deb
commit=$(git log -1 --format=%h --abbrev=9)
version=0.1~git$(git log -1 --format=%cd --date=format:%Y%m%d).$commit

rm -rf "$out"
mkdir -p "$out/passt"
git ls-files -z | tar -c --null -T - | tar -x -C "$out/passt"
cd "$out/passt"
echo "$version" >VERSION
cp -r contrib/debian debian
cat >debian/changelog <<END
passt ($version) unstable; urgency=medium

  * Built from commit $commit.

 -- passt maintainers <passt-maintainers@localhost>  $(date -R)
END
# One package, so that what `dpkg -i build/deb/*.deb` installs is passt alone
DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS-}" dpkg-buildpackage -us -uc -b
cd ..
ls -- "$out"/*.deb
