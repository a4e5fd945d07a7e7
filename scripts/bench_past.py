"""Nexus alone: the past beside the present, and what snapshots cost; see scripts/bench.

Each figure of the past is taken in turn with that of the present, of the same files, so that whatever else the machine does meets
both. Ratios say how fast the past is: 0.5 is half as fast as the present.
"""

import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys

from bench_log import Api
from bench_scale import LOOKS, look, new_dir
from bench_work import Nexus, drop_caches, let_everybody_in, run, seconds

DIRECTORIES, FILES = 40, 100
ROUNDS = 5
SNAPSHOTS = 1_000
UNDOS = 100

# Of a mount of several users: who looks, and which directories are for all.
PEOPLE = {"admin": 0, "anna": 21_001, "bert": 21_002}
TENANT = 2_000_001
TOPS = {"open to all": ("shared/open", 0o777, 0o755, 0o644), "of a group": ("workspace/closed", 0o2770, 0o2770, 0o660)}
# Works, made into one process each, so that it is somebody's; says itself how long it took.
SELF = """
import os, subprocess, sys, time
what, at = sys.argv[1:]
names = [f"{at}/d{d}/f{f}" for d in range(40) for f in range(3, 10)]
quiet = dict(check=True, stdout=subprocess.DEVNULL)
works = {
    "stat": lambda: [os.stat(name) for name in names],
    "find": lambda: subprocess.run(["find", at, "-ls"], **quiet),
    "ls": lambda: subprocess.run(["ls", "-lR", at], **quiet),
    "cat": lambda: subprocess.run(["sh", "-c", f"find '{at}' -type f -print0 | xargs -0 cat"], **quiet),
}
for _ in range(4):
    began = time.perf_counter()
    works[what]()
    print(time.perf_counter() - began)
"""
WORKS = {"stat": "stat by whole path", "find": "find -ls", "ls": "ls -lR", "cat": "cat of all"}


def past(work, figures, size):
    data, mount = work / "past", work / "past.mount"
    mount.mkdir()
    nexus = Nexus(data, mount)
    nexus.start()
    note(figures, "", beside_the_present(nexus))
    note(figures, "", undone(nexus, size.undone))
    nexus.stop()
    shutil.rmtree(data)
    count = size.stores[-1]
    run(os.environ["NEXUS_BENCH_ENGINE"], "fill", data, str(count))
    nexus.start()
    note(figures, f"{count:,} files: ", snapshots(nexus, count))
    nexus.stop()
    shutil.rmtree(data)


def past_of_several(work, figures, size):
    """The same on a mount of several users, in directories that all may search and in such that a group may."""
    data, mount = work / "several", work / "several.mount"
    mount.mkdir()
    let_everybody_in(work)
    nexus = Nexus(data, mount, "--identity", "os", "--root-admin")
    nexus.start()
    for name, uid in list(PEOPLE.items())[1:]:
        nexus.ask("user", "create", name, "--uid", str(uid))
    note(figures, "", several(nexus, ROUNDS if size.rounds > 1 else 2))
    nexus.stop()
    shutil.rmtree(data)


def by(uid, *command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, user=uid, group=uid, extra_groups=[]).stdout


# Makes or changes the directories that are somebody's: every second one.
MAKES = """
import os, sys
at, mine, directories, mode, files = sys.argv[1], *map(int, sys.argv[2:])
os.umask(0)
for d in range(mine, directories, 2):
    os.mkdir(f"{at}/d{d}")
    os.chmod(f"{at}/d{d}", mode)
    for f in range(100):
        with open(f"{at}/d{d}/f{f}", "wb", opener=lambda path, flags: os.open(path, flags, files)) as out:
            out.write(os.urandom(2048).hex().encode())
"""
CHANGES = """
import os, sys
at, mine, directories, files = sys.argv[1], *map(int, sys.argv[2:])
for d in range(mine, directories, 2):
    for f in range(0, 100, 10):
        with open(f"{at}/d{d}/f{f}", "wb") as out: out.write(b"changed")
        os.unlink(f"{at}/d{d}/f{f + 1}")
        with open(f"{at}/d{d}/new{f}", "wb") as out: out.write(os.urandom(2048).hex().encode())
        os.chmod(f"{at}/d{d}/new{f}", files)
        os.chmod(f"{at}/d{d}/f{f + 2}", files | 0o100)
"""


def several(nexus, rounds):
    for path, top, directory, file in TOPS.values():
        at = nexus.mount / path
        at.mkdir()
        os.chown(at, 0, TENANT)
        os.chmod(at, top)
        for mine, who in enumerate(("anna", "bert")):
            by(PEOPLE[who], "/usr/bin/python3", "-c", MAKES, at, str(mine), str(DIRECTORIES), str(directory), str(file))
    op = Api(nexus.data).ask("log", limit=0)["last"]
    for path, _, _, file in TOPS.values():
        for mine, who in enumerate(("anna", "bert")):
            by(PEOPLE[who], "/usr/bin/python3", "-c", CHANGES, nexus.mount / path, str(mine), str(DIRECTORIES), str(file))
    times = {}
    looks = [(kind, who, what) for kind in TOPS for who in PEOPLE for what in WORKS]
    for turn in range(rounds):
        for kind, who, what in looks:
            at = nexus.mount / TOPS[kind][0]
            trees = [("present", at), ("past", at / f".at/op:{op}")]
            for when, tree in trees if turn % 2 else reversed(trees):
                run("nexusctl", "--data-dir", nexus.data, "cache", "drop")
                drop_caches(3)
                os.stat(at)
                cold, *warm = map(float, by(PEOPLE[who], "/usr/bin/python3", "-c", SELF, what, tree).split())
                times.setdefault((kind, who, what, "cold", when), []).append(cold)
                times.setdefault((kind, who, what, "warm", when), []).extend(warm)
    for kind, who, what in looks:
        for state in "cold", "warm":
            now, then = (statistics.median(times[kind, who, what, state, when]) for when in ("present", "past"))
            name = f"{kind}, {who}, {WORKS[what]}, {state}"
            yield f"{name}, present", now * 1e3, "ms"
            yield f"{name}, past", then * 1e3, "ms"
            yield f"{name}, past as fast", now / then, "x"


def note(figures, of, found):
    for name, value, unit in found:
        print(f"{of}{name}: {value:,.2f} {unit}", file=sys.stderr)
        figures.setdefault((of + name, unit), {}).setdefault("nexus", []).append(value)


def beside_the_present(nexus):
    """A tree as it is and, after changes in it, as it was."""
    top = nexus.mount / "workspace" / "tree"
    for d in range(DIRECTORIES):
        (top / f"d{d}").mkdir(parents=True)
        for f in range(FILES):
            (top / f"d{d}/f{f}").write_bytes(os.urandom(2048).hex().encode())
    api = Api(nexus.data)
    op = api.ask("log", limit=0)["last"]
    for d in range(DIRECTORIES):
        for f in range(0, FILES, 10):
            (top / f"d{d}/f{f}").write_bytes(b"changed")
            (top / f"d{d}/f{f + 1}").unlink()
            (top / f"d{d}/new{f}").write_bytes(os.urandom(2048).hex().encode())
            (top / f"d{d}/f{f + 2}").chmod(0o640)
    trees = {"present": top, "past": top / f".at/op:{op}"}
    works = {
        "find -ls": lambda at: run("find", at, "-ls"),
        "ls -lR": lambda at: run("ls", "-lR", at),
        "stat by whole path": lambda at: [os.stat(at / f"d{d}/f{f}") for d in range(DIRECTORIES) for f in range(3, 10)],
        "cat of all": lambda at: run("sh", "-c", f"find '{at}' -type f -print0 | xargs -0 cat"),
        "rg": lambda at: run("rg", "-c", "--no-ignore-global", "0000", at),
    }
    times = {}
    for turn in range(ROUNDS):
        for work_name, work in works.items():
            order = list(trees.items())
            for when, at in order if turn % 2 else reversed(order):
                run("nexusctl", "--data-dir", nexus.data, "cache", "drop")
                drop_caches(3)
                os.stat(top)
                times.setdefault((work_name, "cold", when), []).append(seconds(lambda: work(at)))
                work(at)
                warm = times.setdefault((work_name, "warm", when), [])
                warm.extend(seconds(lambda: work(at)) for _ in range(3))
    for work_name in works:
        for state in "cold", "warm":
            now, then = (statistics.median(times[work_name, state, when]) for when in ("present", "past"))
            yield f"{work_name}, {state}, present", now * 1e3, "ms"
            yield f"{work_name}, {state}, past", then * 1e3, "ms"
            yield f"{work_name}, {state}, past as fast", now / then, "x"


def undone(nexus, count):
    """What it takes to undo one operation, and to undo the deletion of many files, beside that deletion."""
    api, top = Api(nexus.data), nexus.mount / "workspace" / "undone"
    top.mkdir()
    one = []
    for n in range(UNDOS):
        (top / f"f{n}").write_bytes(b"x" * 4096)
        (top / f"f{n}").unlink()
        one.append(seconds(lambda: api.ask("undo", newest=True)) * 1e3)
    yield "undo of an unlink, through the socket, median", statistics.median(one), "ms"
    yield "undo of an unlink, p95", sorted(one)[UNDOS * 95 // 100], "ms"
    for n in range(0, count, 1000):
        (top / f"all/d{n // 1000}").mkdir(parents=True)
        for f in range(1000):
            (top / f"all/d{n // 1000}/f{f}").write_bytes(b"%d" % (n + f))
    before = api.ask("log", limit=0)["last"]
    yield f"rm -rf of {count:,} files", (rm := seconds(lambda: run("rm", "-rf", top / "all"))), "s"
    undo = seconds(lambda: api.ask("undo", path="/workspace/undone", since=f"op:{before + 1}"))
    assert (top / f"all/d{(count - 1) // 1000}/f999").read_bytes() == b"%d" % (count - 1)
    yield "undo of it, through the socket", undo, "s"
    yield "undo of it, of the time of rm -rf", undo / rm, "x"


def snapshots(nexus, count):
    """What a snapshot costs beside many files, and what many of them cost the present."""
    api, top = Api(nexus.data), nexus.mount / "workspace"
    without = present(top, count)
    before = stored(nexus)
    times = []
    for n in range(SNAPSHOTS):
        times.append(seconds(lambda: api.ask("snapshot_create", name=f"s{n:04}", path="/")) * 1e3)
    yield "snapshot, through the socket, median", statistics.median(times), "ms"
    yield "snapshot, longest", max(times), "ms"
    yield "snapshot, the first", times[0], "ms"
    yield "bytes of a snapshot, with its record and indexes", (stored(nexus) - before) / SNAPSHOTS, "B"
    with_all = present(top, count)
    for name, now in with_all.items():
        yield f"{name}, no snapshot", without[name], "us"
        yield f"{name}, {SNAPSHOTS:,} snapshots", now, "us"
        yield f"{name}, times as long", now / without[name], "x"


def present(top, count):
    """What the present takes, in microseconds, in the middle of some rounds."""
    found = {}
    for n in range(ROUNDS):
        drop_caches(2)
        found.setdefault("lookup", []).append(look(top, count, random.Random(n)))
        found.setdefault("stat, warm", []).append(look(top, count, random.Random(n)))
        made = new_dir(top)
        create = [seconds(lambda: (made / f"f{k}").write_bytes(b"x" * 4096)) * 1e6 for k in range(LOOKS)]
        found.setdefault("create", []).append(statistics.median(create))
    return {name: statistics.median(times) for name, times in found.items()}


def stored(nexus):
    """What the database holds, in bytes, without free pages; everything that was done is in it."""
    nexus.stop()
    with sqlite3.connect(nexus.data / "nexus.db") as db:
        one = lambda what: db.execute(f"PRAGMA {what}").fetchone()[0]
        used = (one("page_count") - one("freelist_count")) * one("page_size")
    nexus.start()
    return used
