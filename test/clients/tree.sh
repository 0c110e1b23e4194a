#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tree.sh - a tree of Debian's next release with the programs that start us, of
# versions that know how: libvirt, QEMU, Podman, Buildah, RootlessKit. Nothing is
# installed on this machine; the mirror is the one its apt uses.
#
#	build/clients/tree		made once, by root; kept between runs
#
# CLIENTS_BUILD: another place. Status 3 where there is no such mirror.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${CLIENTS_BUILD:-$(cd "$here/../.." && pwd)/build/clients}
suite=trixie
packages="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients
qemu-system-x86 seabios ipxe-qemu podman crun conmon netavark buildah rootlesskit
uidmap busybox-static iproute2 curl procps util-linux socat netcat-openbsd
ca-certificates"
# What this list and this script make: another one, another tree
want=$(cat "$0" | cksum)

[ "$(cat "$out/tree.made" 2>/dev/null)" = "$want" ] && exit 0

say() { echo "clients: $*" >&2; }

site=$(apt-get indextargets --format '$(SITE) $(CODENAME)' \
	'Created-By: Packages' |
	awk '$2 !~ /-/ && $1 ~ /debian\/?$/ { print $1; exit }')
[ -n "$site" ] || { say "no Debian mirror in apt's sources"; exit 3; }

say "making a tree of $suite"
rm -rf "$out/tree" "$out/tree.made"
mkdir -p "$out"
# shellcheck disable=SC2086 # a list of words
if ! mmdebstrap --quiet --variant=apt --mode=root \
	--include="$(echo $packages | tr ' ' ',')" \
	--aptopt='APT::Install-Recommends "false"' \
	--aptopt='APT::Sandbox::User "root"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='force-unsafe-io' \
	"$suite" "$out/tree" \
	"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main" \
	>"$out/tree.log" 2>&1; then
	sed 's#//[^/]*/#//.../#g' "$out/tree.log" | tail -n 15 >&2
	exit 1
fi
echo "$want" >"$out/tree.made"
