#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# debian.sh - fetch what the bench compares with: the passt of Debian stable
# (this machine's release) and of sid, each in a directory of its own below
# build/bench/, sid's beside its own libc. Nothing is installed. The mirror is
# the one this machine's apt uses.
#
#	build/bench/bookworm/run	build/bench/sid/run
#	build/bench/bookworm/pasta	build/bench/sid/pasta
#
# are scripts that start them, by either name. Without a mirror that has sid,
# sid is left out.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${BENCH_BUILD:-$(cd "$here/../.." && pwd)/build/bench}
mkdir -p "$out"

say() { echo "bench: $*" >&2; }

# script NAME COMMAND...: one that execs the command
script()
{
	printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$1"
	chmod 755 "$1"
}

if [ ! -x "$out/bookworm/pasta" ]; then
	say "fetching Debian's passt"
	rm -rf "$out/bookworm" && mkdir -p "$out/bookworm"
	(cd "$out/bookworm" && apt-get -q -o APT::Sandbox::User= \
		download passt >/dev/null && dpkg -x ./*.deb .)
	script "$out/bookworm/run" "$out/bookworm/usr/bin/passt"
	script "$out/bookworm/pasta" "$out/bookworm/usr/bin/pasta"
fi

[ -x "$out/sid/pasta" ] && exit 0
site=$(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
	awk '$2 !~ /-/ && $1 ~ /debian\/?$/ { print $1; exit }')
[ -n "$site" ] || { say "no Debian mirror in apt's sources: without sid"; exit 0; }

say "fetching sid's passt"
apt=$out/apt
rm -rf "$apt" "$out/sid"
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" \
	"$apt/etc" "$out/sid"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site sid main" \
	>"$apt/etc/sources.list"
cat >"$apt/conf" <<-END
	Dir::State "$apt/state";
	Dir::State::status "/dev/null";
	Dir::Cache "$apt/cache";
	Dir::Etc::sourcelist "$apt/etc/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	APT::Sandbox::User "";
	Acquire::Languages "none";
END
if ! APT_CONFIG=$apt/conf apt-get -q update >"$apt/log" 2>&1 ||
   ! (cd "$out/sid" && APT_CONFIG=$apt/conf apt-get -q download passt libc6 \
	>>"$apt/log" 2>&1); then
	sed 's#//[^/]*#//...#' "$apt/log" | tail -n 5 >&2
	say "sid cannot be had: without it"
	exit 0
fi
for deb in "$out"/sid/*.deb; do
	dpkg -x "$deb" "$out/sid"
done
ld=$(find "$out/sid" -name 'ld-linux-x86-64.so.2' -type f | head -n 1)
# Under its own loader it cannot find its AVX2 build by itself
bin=$out/sid/usr/bin/passt
grep -qw avx2 /proc/cpuinfo && [ -x "$bin.avx2" ] && bin=$bin.avx2
under="$ld --library-path $out/sid/usr/lib/x86_64-linux-gnu"
script "$out/sid/run" "$under --argv0 passt $bin"
script "$out/sid/pasta" "$under --argv0 pasta $bin"
