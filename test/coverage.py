#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of the product the tests reach, by llvm-cov: of unit tests, of
frames tests, of the fuzz targets on what they have for a corpus, and of all of
them together. Fails where less than 85 of 100 lines of a file that reads what
the guest sends are reached.

    test/coverage.py [PART]...      unit, frames, fuzz: as before, but for these
    test/coverage.py --missed FILE...   and which lines of these are not reached
"""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
KIND = "build/cov"
LEAST = 85
WATCHED = re.compile(r"(tap|tcp\w*|udp\w*|icmp|serve/\w+)\.c")
PARTS = ("unit", "frames", "fuzz")
JOBS = os.cpu_count() or 1


def make(*targets):
    subprocess.run([os.environ.get("MAKE", "make"), "--no-print-directory",
                    "-s", "-j%d" % JOBS, "KIND=cov",
                    "CC=" + os.environ.get("COV_CC", "clang"), *targets],
                   check=True)


def fresh(part):
    """A directory for a part's counts, that the tests' user may write to."""
    d = "%s/%s/%s" % (ROOT, KIND, "counts-" + part)
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d)
    os.chmod(d, 0o777)
    return d


def run(part, argv, log=None, **env):
    """Run a program of a part: its counts are of all its processes."""
    where = "%s/%s/counts-%s/%%4m%%c.profraw" % (ROOT, KIND, part)
    out = open("%s/%s" % (KIND, log), "a", encoding="utf-8") if log else None
    subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=out,
                   stderr=out, env={**os.environ, **env,
                                    "LLVM_PROFILE_FILE": where})


def unit():
    make("unit")
    fresh("unit")
    for test in objects("unit"):
        run("unit", [test], "unit.log")


def frames():
    """All but those that make system calls fail: that takes the product."""
    make("all")
    fresh("frames")
    run("frames", [sys.executable, "-m", "pytest", "-q", "-p",
                   "no:cacheprovider", "-n", str(JOBS * 2), "test/frames",
                   "--ignore-glob=*test_faults*",
                   *os.environ.get("PYTEST_ARGS", "").split()],
        PASST="%s/%s/passt" % (ROOT, KIND))


def fuzz():
    """What earlier runs found, and the seeds."""
    make("fuzz")
    fresh("fuzz")
    for target in objects("fuzz"):
        name = os.path.basename(target)[len("fuzz_"):]
        corpora = ["build/fuzz/corpus/" + name, "test/fuzz/seeds/" + name]
        run("fuzz", [target, "-runs=0", *filter(os.path.isdir, corpora)],
            "fuzz.log")


def objects(part):
    if part == "frames":
        return [KIND + "/passt"]
    return sorted(p for p in glob.glob("%s/test/%s/*_*" % (KIND, part))
                  if "." not in os.path.basename(p))


def lines(part):
    """The product's lines: reached or not, by file and number."""
    data = "%s/%s.profdata" % (KIND, part)
    raw = glob.glob("%s/counts-%s/*.profraw" % (KIND, part))
    if not raw:
        return {}
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", data, *raw],
                   check=True)
    found = {}
    for obj in objects(part):
        r = subprocess.run(["llvm-cov", "export", "-format=lcov",
                            "-instr-profile=" + data, obj],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, check=False)
        path = None
        for line in r.stdout.splitlines():
            if line.startswith("SF:"):
                path = os.path.relpath(os.path.join(ROOT, line[3:]), ROOT)
            elif line.startswith("DA:") and not path.startswith("test/"):
                n, count = line[3:].split(",")[:2]
                at = found.setdefault(path, {})
                at[int(n)] = at.get(int(n), False) or count != "0"
    return found


def together(parts):
    found = {}
    for part in parts:
        for path, at in part.items():
            mine = found.setdefault(path, {})
            for n, reached in at.items():
                mine[n] = mine.get(n, False) or reached
    return found


def percent(at):
    return 100 * sum(at.values()) / len(at) if at else 0.0


def table(counts):
    """Print it; which watched files are below."""
    whole, low, watched = counts["together"], [], {}
    print("%-28s%7s" % ("", "lines") + "".join("%10s" % c for c in counts))
    for path in sorted(whole):
        if not path.endswith(".c"):
            continue
        print("%-28s%7d" % (path, len(whole[path])) + "".join(
            "%9.1f%%" % percent({n: counts[c].get(path, {}).get(n, False)
                                 for n in whole[path]}) for c in counts))
        if WATCHED.fullmatch(path):
            watched.update({(path, n): r for n, r in whole[path].items()})
            if percent(whole[path]) < LEAST:
                low.append(path)
    print("what reads the guest's bytes: %d lines, %.1f%%" % (
        len(watched), percent(watched)))
    return low


def missed(at):
    out, begin = [], None
    for n in sorted(at) + [None]:
        if n is not None and not at[n]:
            begin, last = begin or n, n
        elif begin:
            out.append("%d" % begin if begin == last else
                       "%d-%d" % (begin, last))
            begin = None
    return " ".join(out)


def main():
    os.chdir(ROOT)
    argv = sys.argv[1:]
    ask = []
    if "--missed" in argv:
        i = argv.index("--missed")
        argv, ask = argv[:i], argv[i + 1:]
        todo = argv
    else:
        todo = argv or PARTS
    for part in todo:
        {"unit": unit, "frames": frames, "fuzz": fuzz}[part]()
    counts = {part: lines(part) for part in PARTS}
    counts["together"] = together(counts.values())
    low = table(counts)
    for path in ask:
        print("%s: not reached: %s" % (path, missed(
            counts["together"].get(path, {}))))
    for path in low:
        print("%s: less than %d%%" % (path, LEAST))
    return bool(low)


if __name__ == "__main__":
    sys.exit(main())
