#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes this machine ready for the tests. Run as root, as often as you like:
# it does nothing, quickly, where nothing is missing.
#  - installs the Debian packages of packages.txt
#  - opens /dev/net/tun to ordinary users
#  - creates the ordinary user under which the tests start the daemon
set -eu
here=$(cd "$(dirname "$0")" && pwd)
user=${RIG_USER:-passt-test}

if [ "$(id -u)" != 0 ]; then
	echo "$0: has to be run by root" >&2
	exit 1
fi

wanted=$(sed -e 's/#.*//' "$here/packages.txt" | tr -s ' \t\n' '   ')
missing=
have=" $(dpkg-query -W -f '${Package}/${db:Status-Status} ' 2>/dev/null) "
for p in $wanted; do
	case $have in
	*" $p/installed "*) ;;
	*) missing="$missing $p" ;;
	esac
done
if [ -n "$missing" ]; then
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of words
	apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
	{ apt-get update -qq &&
	  apt-get install -qq -y --no-install-recommends $missing >/dev/null; }
fi

if [ ! -e /dev/net/tun ]; then
	mkdir -p /dev/net
	mknod /dev/net/tun c 10 200
fi
[ "$(stat -c %a /dev/net/tun)" = 666 ] || chmod 0666 /dev/net/tun

if ! id "$user" >/dev/null 2>&1; then
	useradd --system --create-home --home-dir "/var/lib/$user" \
		--shell /bin/sh "$user"
fi
