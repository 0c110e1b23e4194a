#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# image.sh - build the test guest: Debian's cloud kernel, untouched, and an
# initramfs of busybox, a few of Debian's tools with their libraries, and our
# agent and xfer. What comes out, in build/vm/:
#
#	vmlinuz  initrd  xfer (the same program for the host's side)  relay
#
# Packages come from the machine's own Debian mirror by `apt-get download`
# and are unpacked, not installed: this runs as an ordinary user too. It does
# nothing where the result is newer than what it is made of.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${VM_BUILD:-$(cd "$here/../.." && pwd)/build/vm}
cache=$out/cache
root=$out/root
mkdir -p "$cache"

say() { echo "image: $*" >&2; }

is_fresh()
{
	[ -s "$out/vmlinuz" ] && [ -s "$out/initrd" ] || return 1
	for f in "$here"/image.sh "$here"/agent.c "$here"/xfer.c \
		 "$here"/relay.c "$here"/sha256.h "$here"/guest/*; do
		[ ! "$f" -nt "$out/initrd" ] || return 1
	done
}

is_fresh && exit 0

# One build at a time, whoever asks; who waited for another's has it now
exec 9>"$out/lock"
flock 9
is_fresh && exit 0

# unpack PACKAGE: download it once and lay it out under $cache/PACKAGE
unpack()
{
	[ -e "$cache/$1/.done" ] && return
	say "fetching $1"
	rm -rf "$cache/$1" "$cache/tmp"
	mkdir -p "$cache/tmp" "$cache/$1"
	(cd "$cache/tmp" && apt-get -q -o APT::Sandbox::User= download "$1" \
		>"$cache/log" 2>&1) || { cat "$cache/log" >&2; exit 1; }
	dpkg -x "$cache"/tmp/*.deb "$cache/$1"
	touch "$cache/$1/.done"
	rm -rf "$cache/tmp"
}

if [ ! -s "$cache/kernel" ]; then
	apt-cache depends linux-image-cloud-amd64 |
		awk '/Depends: linux-image-[0-9]/ { print $2; exit }' \
		>"$cache/kernel"
	[ -s "$cache/kernel" ] || { say "no cloud kernel in apt's lists"; exit 1; }
fi
kernel=$(cat "$cache/kernel")
for p in "$kernel" busybox-static iperf3 libiperf0 libsctp1 ndisc6 \
	 isc-dhcp-client; do
	unpack "$p"
done

say "building the initramfs"
rm -rf "$root"
mkdir -p "$root/bin" "$root/lib/modules" "$root/lib64" "$root/etc" \
	"$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/var/lib/dhcp" \
	"$root/run"
bb=$(find "$cache/busybox-static" -path '*/bin/busybox' | head -n 1)
cp "$bb" "$root/bin/busybox"
"$bb" --list | while read -r applet; do
	[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
ln -s bin "$root/sbin"
cp --remove-destination "$here"/guest/* "$root/bin/"
chmod 755 "$root"/bin/*
mv "$root/bin/init" "$root/init"

${CC:-gcc} -O2 -static -Wall -Wextra -o "$root/bin/agent" "$here/agent.c"
${CC:-gcc} -O3 -fno-tree-vectorize -static -Wall -Wextra -o "$out/xfer" "$here/xfer.c"
cp "$out/xfer" "$root/bin/xfer"
${CC:-gcc} -O2 -Wall -Wextra -o "$out/relay" "$here/relay.c"

cp "$cache/iperf3/usr/bin/iperf3" "$cache/ndisc6/bin/rdisc6" \
	"$cache/isc-dhcp-client/sbin/dhclient" "$root/bin/"
libs="$cache/libiperf0/usr/lib/x86_64-linux-gnu"
libs="$libs:$cache/libsctp1/usr/lib/x86_64-linux-gnu"
for prog in iperf3 rdisc6 dhclient; do
	LD_LIBRARY_PATH=$libs ldd "$root/bin/$prog" |
		awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }'
done | sort -u | while read -r lib; do
	cp -L "$lib" "$root/lib/"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"

# Loaded by init in this order
for m in virtio/virtio_ring virtio/virtio virtio/virtio_pci_modern_dev \
	 virtio/virtio_pci_legacy_dev virtio/virtio_pci char/virtio_console \
	 failover net_failover virtio_net tcp_bbr sch_fq; do
	name=$(basename "$m")
	ko=$(find "$cache/$kernel/lib/modules" -name "$name.ko*" | head -n 1)
	[ -n "$ko" ] || continue	# built in
	case $ko in
	*.xz) xz -dc "$ko" >"$root/lib/modules/$name.ko" ;;
	*) cp "$ko" "$root/lib/modules/" ;;
	esac
	echo "$name" >>"$root/lib/modules/order"
done

cp "$cache/$kernel"/boot/vmlinuz-* "$out/vmlinuz"
(cd "$root" && find . | "$bb" cpio -o -H newc 2>/dev/null) >"$out/initrd.new"
mv "$out/initrd.new" "$out/initrd"
say "done: $out ($kernel)"
