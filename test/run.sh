#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the parts of the tests named as arguments, builds what each needs, and
# ends with one line: N passed, N failed. A part that fails to build, or in
# which nothing ran, counts as a failure. Status 1 if anything failed.
set -u
cd "$(dirname "$0")/.." || exit 1

make=${MAKE:-make}
py=/usr/bin/python3
jobs=${JOBS:-$(nproc)}
passed=0
failed=0
skipped=0
fuzz_names=
fuzz_pid=

say() { printf '== %s\n' "$*"; }

# Adds up; a part with nothing in it has failed
count() # PART PASSED FAILED [SKIPPED]
{
	local p=$2 f=$3 s=${4:-0}

	[ $((p + f)) -gt 0 ] || { f=1; say "$1: no test ran"; }
	say "$1: $p passed, $f failed$([ "$s" = 0 ] || echo ", $s skipped")"
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
}

build() # ARGUMENTS OF MAKE
{
	$make --no-print-directory -s -j"$jobs" "$@"
}

# Runs a program that ends with `N passed, N failed`; adds to $p and $f
run_counting() # SECONDS PROGRAM [ARGUMENT]...
{
	local out rc line limit=$1

	shift
	out=$(timeout "$limit" "$@" </dev/null 2>&1)
	rc=$?
	line=$(printf '%s\n' "$out" |
	       sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' |
	       tail -n 1)
	if [ -n "$line" ]; then
		p=$((p + ${line% *}))
		f=$((f + ${line#* }))
	fi
	if [ -z "$line" ] || { [ $rc != 0 ] && [ "${line#* }" = 0 ]; }; then
		say "$1: died, status $rc"
		f=$((f + 1))
	fi
	[ $rc = 0 ] || printf '%s\n' "$out"
}

part_setup()
{
	if [ ! -x test/setup.sh ]; then
		say "setup: no test/setup.sh"
	elif [ "$(id -u)" != 0 ]; then
		say "setup: not root: nothing is installed, and tests that" \
		    "make network namespaces will fail"
	elif ! test/setup.sh; then
		say "setup: failed"
		failed=$((failed + 1))
	fi
}

part_unit()
{
	local p=0 f=0 t

	if ! build SAN=1 unit; then
		count unit 0 1
		return
	fi
	for t in test/unit/test_*.c; do
		[ -e "$t" ] && run_counting 600 "build/san/${t%.c}"
	done
	count unit $p $f
}

part_tree()
{
	local p=0 f=0 t

	for t in selftest floors headers kerneldoc modes budget options \
		readme syscalls warnings analysis contrib; do
		run_counting 900 "test/lint/$t"
	done
	count tree $p $f
}

# Runs pytest on a directory, counts by its report
run_pytest() # PART DIRECTORY [ARGUMENT]...
{
	local part=$1 dir=$2 report=build/$1.xml n

	shift 2
	rm -f "$report"
	# shellcheck disable=SC2086 # a list of words
	$py -m pytest -q -p no:cacheprovider --junitxml="$report" "$@" \
		${PYTEST_ARGS:-} \
		"$dir" </dev/null
	n=$($py - "$report" <<-'END'
	import sys, xml.etree.ElementTree as x
	try:
	    s = x.parse(sys.argv[1]).getroot().find("testsuite").attrib
	except Exception:
	    s = dict(tests=0, failures=0, errors=1, skipped=0)
	n, e, f, k = (int(s[i]) for i in
	              ("tests", "errors", "failures", "skipped"))
	print(max(0, n - e - f - k), e + f, k)
	END
	)
	# shellcheck disable=SC2086 # three numbers
	count "$part" $n
}

# Elsewhere: system calls that fail, with sanitizers, which see what comes of
# it; floods, alone, as round trips are measured
no_faults=(--ignore-glob='*/test_faults*.py')
no_floods=(--ignore-glob='*/test_exhaust*.py')

part_frames()
{
	build all build/fault.so || { count frames 0 1; return; }
	PASST=$PWD/passt run_pytest frames test/frames -n "$((jobs * 2))" \
		"${no_faults[@]}" "${no_floods[@]}"
}

# Whatever is used up; one after the other, with nothing beside
part_exhaust()
{
	build all build/few/passt || { count exhaust 0 1; return; }
	PASST=$PWD/passt run_pytest exhaust test/frames/test_exhaust.py
}

# The long forms of faults, floods and trouble, of SOAK seconds and more
part_soak()
{
	export RIG_SOAK=${SOAK:-3600} RIG_SLOW=1

	build all build/few/passt build/fault.so ||
		{ count soak 0 1; return; }
	PASST=$PWD/passt run_pytest soak-exhaust test/frames/test_exhaust.py
	PASST=$PWD/passt run_pytest soak-trouble test/frames/test_trouble.py
	build SAN=1 all || { count soak 0 1; return; }
	PASST=$PWD/build/san/passt RIG_FUZZ=$((RIG_SOAK * 5000)) \
		run_pytest soak-faults test/frames -k 'faults or fuzz' \
		-n "$jobs"
	PASTA=$PWD/build/san/pasta run_pytest soak-faults-netns test/netns \
		-k faults -n "$jobs"
}

# The same over the other link, with as much left to the guest as there is
# The same guest over the other link; what is of that link alone has run
part_frames_vhost()
{
	build all || { count frames-vhost 0 1; return; }
	RIG_LINK=vhost-offload PASST=$PWD/passt run_pytest frames-vhost \
		test/frames -n "$((jobs * 2))" \
		--ignore=test/frames/test_vhost_user.py "${no_faults[@]}" \
		"${no_floods[@]}" --ignore=test/frames/test_trouble.py
}

part_frames_san()
{
	build SAN=1 all || { count frames-san 0 1; return; }
	build build/fault.so || { count frames-san 0 1; return; }
	RIG_FUZZ=1000000 PASST=$PWD/build/san/passt run_pytest frames-san test/frames \
		-n "$((jobs + 1))" "${no_floods[@]}"
}

part_netns()
{
	build all build/xfer build/fault.so || { count netns 0 1; return; }
	PASTA=$PWD/pasta run_pytest netns test/netns -n "$((jobs * 2))"
}

part_netns_san()
{
	build SAN=1 all || { count netns-san 0 1; return; }
	build build/xfer || { count netns-san 0 1; return; }
	PASTA=$PWD/build/san/pasta run_pytest netns-san test/netns \
		-n "$((jobs * 2))"
}

# A daemon that was taken over, and the product as seen from outside
part_guard()
{
	build all attempt || { count guard 0 1; return; }
	PASST=$PWD/passt PASTA=$PWD/pasta run_pytest guard test/guard \
		-n "$((jobs * 2))"
}

part_vm()
{
	build all || { count vm 0 1; return; }
	PASST=$PWD/passt run_pytest vm test/vm -n 2 --dist loadgroup
}

# Programs that start us, in a tree of a newer release
part_clients()
{
	build all || { count clients 0 1; return; }
	PASST=$PWD/passt run_pytest clients test/clients
}

# One target for a while on its seeds; a crash leaves its input in build/fuzz. It
# takes what processors have left over: whatever else runs comes first
fuzz_one() # NAME
{
	local corpus="build/fuzz/corpus/$1"

	mkdir -p "$corpus"
	chrt --idle 0 "build/fuzz/test/fuzz/fuzz_$1" \
		-max_total_time="${FUZZ_SECONDS:-20}" -timeout=60 \
		-artifact_prefix="build/fuzz/$1-" "$corpus" \
		"test/fuzz/seeds/$1" >"build/fuzz/$1.log" 2>&1 </dev/null ||
		touch "build/fuzz/$1.failed"
}

fuzz_all() # NAME...
{
	for name in "$@"; do
		while [ "$(jobs -r | wc -l)" -ge "$jobs" ]; do wait -n; done
		fuzz_one "$name" &
	done
	wait
}

# Begins with all targets, as many at a time as there are processors
fuzz_start()
{
	local t name

	build KIND=fuzz CC="${FUZZ_CC:-clang}" fuzz || return
	rm -f build/fuzz/*.failed
	for t in test/fuzz/fuzz_*.c; do
		name=${t##*/fuzz_}
		fuzz_names="$fuzz_names ${name%.c}"
	done
	# shellcheck disable=SC2086 # a list of words
	fuzz_all $fuzz_names &
	fuzz_pid=$!
}

part_fuzz()
{
	local p=0 f=0 name

	[ -n "$fuzz_pid" ] || fuzz_start || { count fuzz 0 1; return; }
	wait "$fuzz_pid"
	for name in $fuzz_names; do
		if [ -e "build/fuzz/$name.failed" ]; then
			f=$((f + 1))
			tail -n 40 "build/fuzz/$name.log"
		else
			p=$((p + 1))
		fi
	done
	count fuzz $p $f
}

mkdir -p build
for part in "$@"; do
	# The clients' tests wait most of the time, and measure nothing
	case $part-$* in
	clients-*fuzz*) fuzz_start ;;
	esac
	say "$part"
	since=$SECONDS
	"part_${part//-/_}" || exit 1
	say "$part: $((SECONDS - since)) s"
done
[ $skipped = 0 ] || say "$skipped skipped"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
