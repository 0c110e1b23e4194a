#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# enter.sh TREE OURS - first process of new mount and PID namespaces: make TREE
# the root, with the file systems that clients expect and our programs in /ours,
# and stay there: what is to run in it joins. After a plain chroot() no process
# could make a user namespace, hence pivot_root.
set -eu
tree=$1 ours=$2

mount --make-rprivate /
mount --bind "$tree" "$tree"
cd "$tree"
mkdir -p ours var/tmp proc sys dev run tmp
mount -t proc proc proc
mount -t sysfs sys sys
# What crun takes; not the mixture of both versions that may be outside
mount -t cgroup2 cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=0755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount --bind "$ours" ours
mkdir run/old
pivot_root . run/old
cd /
umount -l /run/old
mkdir -p run/user/1000
chown 1000:1000 run/user/1000
echo ready
# Whoever is left without a parent ends as a child of ours: the shell waits
while sleep 0.1; do :; done
