# SPDX-License-Identifier: GPL-2.0-or-later
"""How long to wait for what has to come, and how to say that it came in time.

It comes at once, as a rule; but a machine that others keep busy may give a
processor to none of us for a second. So a test waits for a condition, PATIENCE
seconds at most, and does not look once whether something has happened by now.
Where the time is what is tested, it is taken by a Stopwatch, which leaves out
what the processes concerned have waited for a processor; and what has to fit
between two timers of the daemon's is undisturbed(), or done again.
"""
import os
import time

PATIENCE = 20.0
STEAL = 8       # the column of /proc/stat


def wait_for(cond, timeout=PATIENCE, what="condition"):
    """Wait until cond() holds; what it returned."""
    end = time.monotonic() + timeout
    while True:
        r = cond()
        if r:
            return r
        assert time.monotonic() < end, "%s: not within %g s" % (what, timeout)
        time.sleep(0.01)


def delays(pids):
    """{thread: seconds for which it was ready to run, and had no processor}"""
    found = {}
    for pid in pids:
        try:
            for tid in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/schedstat" % (pid, tid),
                          encoding="ascii") as f:
                    found[pid, tid] = int(f.read().split()[1]) / 1e9
        except (OSError, IndexError):
            pass                # it has ended
    return found


def stolen():
    """Seconds in which this machine itself had no processor."""
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[STEAL]) / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """Time since it was made, for us and for the processes named."""

    def __init__(self, *pids):
        self.pids = (os.getpid(), *(p for p in pids if p))
        self.before = self.last = delays(self.pids)
        self.stolen, self.start = stolen(), time.monotonic()

    def waited(self):
        """Seconds without a processor: of each process, its thread that had
        most of them. Ask now and then if one may end."""
        self.last = {**self.last, **delays(self.pids)}
        most = dict.fromkeys(self.pids, 0.0)
        for (pid, tid), n in self.last.items():
            n -= self.before.get((pid, tid), 0.0)
            most[pid] = max(most[pid], n)
        return sum(most.values()) + stolen() - self.stolen

    def took(self):
        """Seconds, without those that we waited for a processor."""
        return time.monotonic() - self.start - self.waited()

    def within(self, cond, limit, what="condition"):
        """Wait until cond() holds, which has to be within these seconds."""
        def noted():
            self.waited()
            return cond()
        wait_for(noted, limit + PATIENCE, what)
        took = self.took()
        assert took < limit, "%s: took %.2f s" % (what, took)


class Lag:
    """The longest time for which we, or these processes, have had no
    processor, seconds, and how often it was long: of a loop that look()s each
    time around."""

    LOOK = 0.05
    LONG = 0.1

    def __init__(self, *pids):
        self.watch = Stopwatch(*pids)
        self.worst, self.before, self.stalls = 0.0, 0.0, 0
        self.last = self.looked = time.monotonic()

    def look(self):
        now = time.monotonic()
        self.note(now - self.last)
        self.last = now
        if now - self.looked < self.LOOK:
            return
        waited = self.watch.waited()
        self.note(waited - self.before)
        self.before, self.looked = waited, now

    def note(self, seconds):
        self.worst = max(self.worst, seconds)
        self.stalls += seconds > self.LONG


def undisturbed(attempt, *pids, tries=10):
    """attempt() is about milliseconds: done again where it failed, and we or
    these processes had to wait for a processor meanwhile."""
    for left in reversed(range(tries)):
        watch = Stopwatch(*pids)
        try:
            return attempt()
        except (AssertionError, OSError):
            if not left or watch.waited() < 0.01:
                raise
    return None
