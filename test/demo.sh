#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh - `make demo`: what passt does, on this machine, in half a minute.
# Installs what is missing (needs root for that, and for the namespaces that
# stand for the host and the world), builds, boots a virtual machine, and
# shows what it gets.
set -eu

cd "$(dirname "$0")/.."
if [ -z "${PASST:-}" ]; then
	[ ! -x test/setup.sh ] || test/setup.sh
	make -s
fi
exec /usr/bin/python3 test/vm/demo.py
