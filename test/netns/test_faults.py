# SPDX-License-Identifier: GPL-2.0-or-later
"""Each system call of pasta's start fails, once: it ends with status 1 and says
why (its helper may say so, too), or does without; nothing is left behind. See test/lib/fault.c."""
import errno
import os

import pytest

from rig import pasta as rp
from rig.fault import LIBRARY, Faults

ERRORS = {
    "socket": errno.EMFILE, "open": errno.EMFILE, "pipe2": errno.EMFILE,
    "socketpair": errno.EMFILE, "epoll_create1": errno.EMFILE,
    "timerfd_create": errno.ENFILE, "signalfd": errno.ENFILE,
    "fork": errno.EAGAIN, "unshare": errno.EPERM, "setns": errno.EPERM,
    "mount": errno.EPERM, "umount2": errno.EINVAL, "chdir": errno.EACCES,
    "prctl": errno.EPERM, "syscall": errno.EPERM, "ioctl": errno.EPERM,
    "epoll_ctl": errno.ENOSPC, "read": errno.EIO, "write": errno.ENOSPC,
}
# What of the loop, which waits; and of the end alone
NOT_OF_START = ("unlinkat", "epoll_wait", "waitid")


@pytest.mark.skipif(not os.path.exists(LIBRARY), reason="no build/fault.so")
@pytest.mark.parametrize("opts", [("--config-net",)] +
                         [()] * bool(os.environ.get("RIG_SOAK")), ids=" ".join)
def test_start_fails_cleanly(net, opts):
    with Faults() as f:
        def start():
            return rp.run(net, *opts, "--", "true", env=f.env)
        f.none()
        r = start()
        assert (r.returncode, r.stderr, r.left) == (0, "", [])
        todo = [(call, nth) for call, n in f.seen().items()
                for nth in range(1, n + 1) if call not in NOT_OF_START]
        wrong, died = [], 0
        for call, nth in todo:
            f.fail(call, nth, ERRORS.get(call, errno.ENOMEM))
            where = "%s %d" % (call, nth)
            try:
                r = start()
            except Exception as e:      # a report, or never an end
                wrong.append("%s: %s" % (where, str(e)[:300]))
                continue
            died += r.returncode == 1
            if r.returncode not in (0, 1) or r.left or \
                    len(r.stderr.splitlines()) > 2 or \
                    r.returncode and not r.stderr:
                wrong.append("%s: status %d, %r, %s" % (
                    where, r.returncode, r.stderr, r.left))
        assert not wrong, "\n".join(wrong)
        assert died > 10
