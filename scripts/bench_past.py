"""Nexus alone: the past beside the present, and what snapshots cost; see scripts/bench.

Each figure of the past is taken in turn with that of the present, of the same files, so that whatever else the machine does meets
both. Ratios say how fast the past is: 0.5 is half as fast as the present.
"""

import os
import random
import shutil
import sqlite3
import statistics
import sys

from bench_log import Api
from bench_scale import LOOKS, look, new_dir
from bench_work import Nexus, drop_caches, run, seconds

DIRECTORIES, FILES = 40, 100
ROUNDS = 5
SNAPSHOTS = 1_000
UNDOS = 100


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
