"""Nexus alone, with a long log: pages of it, what follows it, and what it takes on disk; see scripts/bench."""

import http.client
import json
import os
import random
import select
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

from bench_work import Nexus, drop_caches, run, seconds

# Operations whose line is waited for.
LINES = 2_000
# Of those who follow at once.
FOLLOWERS = 64
# Names for moments beside the log.
SNAPSHOTS = 1_000

# Writes a file each hundredth of a second and says when each was closed.
WRITER = """
import json, sys, time
closed = {}
for n in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/f{n}", "wb", buffering=0) as out:
        out.write(b"x" * 100)
    closed[f"f{n}"] = time.monotonic()
    time.sleep(0.01)
print(json.dumps(closed))
"""


class Api(http.client.HTTPConnection):
    """The daemon's socket."""

    def __init__(self, data):
        super().__init__("nexus")
        self.path = data / "control.sock"

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))

    def ask(self, command, /, **body):
        self.request("POST", f"/api/{command}", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.getresponse()
        said = json.loads(answer.read())
        if answer.status != 200:
            sys.exit(f"{command}: {said}")
        return said


def log(work, figures, size):
    """A log of each size: what a page costs must not depend on it."""
    engine = os.environ["NEXUS_BENCH_ENGINE"]
    for count in size.logs:
        data, mount = work / f"log{count}", work / f"log{count}.mount"
        mount.mkdir()
        took = seconds(lambda: run(engine, "ops", data, str(count)))
        print(f"{count:,} operations made in {took:.0f} s", file=sys.stderr)
        nexus = Nexus(data, mount)
        nexus.start()
        for name, value, unit in one_log(nexus, count):
            figures.setdefault((f"{count:,} operations: {name}", unit), {}).setdefault("nexus", []).append(value)
        nexus.stop()
        for name, value, unit in on_disk(data / "nexus.db"):
            figures.setdefault((f"{count:,} operations: {name}", unit), {}).setdefault("nexus", []).append(value)
        shutil.rmtree(data)


def one_log(nexus, count):
    api = Api(nexus.data)

    def page(**wanted):
        wanted.setdefault("limit", 100)
        times = []
        for _ in range(9):
            began = time.perf_counter()
            said = api.ask("log", **wanted)
            times.append((time.perf_counter() - began) * 1e3)
        assert said["records"] or wanted.get("kinds"), wanted
        return statistics.median(times)

    def whole(**wanted):
        """As many answers as it takes to know that there is nothing; the longest and all of them."""
        times, before = [], None
        while before is None or before > 1:
            began = time.perf_counter()
            said = api.ask("log", limit=100, **wanted, **({"before": before} if before else {}))
            times.append((time.perf_counter() - began) * 1e3)
            assert not said["records"], wanted
            before = said["first"]
        return max(times), sum(times)

    # The tree comes first, and is a part of the log.
    newest = api.ask("log", limit=0)["last"]
    middle, session = newest - count // 2, f"s{count // 2 // 500 // 3 * 3 + 1}"
    yield "100 newest", page(), "ms"
    yield "100 before the middle", page(before=middle), "ms"
    yield "100 behind the middle", page(after=middle), "ms"
    yield "of a session", page(session=session), "ms"
    yield "of an agent", page(agent="agent7"), "ms"
    yield "of a user, in the middle", page(user="user3", before=middle), "ms"
    yield "of a file", page(path="/workspace/d7/f3.txt"), "ms"
    yield "of a small directory", page(path="/workspace/d7"), "ms"
    yield "of the large directory", page(path="/workspace/large"), "ms"
    yield "of a session, one kind", page(session=session, kinds=["write"]), "ms"
    yield "of the last of a month", page(since="30d-ago"), "ms"
    yield "of a kind that is at the beginning", page(kinds=["mkdir"], limit=10), "ms"
    yield "of a kind that is everywhere", page(kinds=["chmod"]), "ms"
    yield "of a command", page(command="rsync"), "ms"
    yield "of a command that is rare", page(command="once"), "ms"
    yield "of a command, one kind, one user", page(command="rsync", kinds=["chmod"], user="user3"), "ms"
    longest, together = whole(agent="agent7", command="sh")
    yield "of an agent and a command that it never ran, longest answer", longest, "ms"
    yield "of an agent and a command that it never ran, all answers", together, "ms"
    yield "a session, added up", seconds(lambda: api.ask("log-summary", session=session)) * 1e3, "ms"
    yield "first answer of a follower", seconds(lambda: api.ask("log", after=newest - 1000, limit=1000, wait_ms=1)) * 1e3, "ms"
    yield from the_present(nexus)
    for way in by_poll, by_socket, by_many:
        times = sorted(way(nexus))
        yield f"close to line {way.__doc__}, median", statistics.median(times), "ms"
        yield f"close to line {way.__doc__}, p99", times[int(len(times) * 0.99)], "ms"
    for n in range(SNAPSHOTS):
        api.ask("snapshot_create", name=f"s{n:04}", path="/")
    for name, value, unit in the_present(nexus):
        yield f"{name}, {SNAPSHOTS:,} snapshots", value, unit


def the_present(nexus):
    """What must not grow with the log, nor with snapshots; in microseconds, in the middle of many."""
    top, dice = nexus.mount / "workspace", random.Random(1)
    middle = lambda times: statistics.median(times) * 1e6
    files = [top / f"d{dice.randrange(1, 1001)}/f{dice.randrange(10)}.txt" for _ in range(LINES)]
    for path in files:
        os.stat(path.parent)
    drop_caches(2)
    yield "stat, asked of the daemon", middle([seconds(lambda: os.stat(path)) for path in files]), "us"
    yield "stat, warm", middle([seconds(lambda: os.stat(path)) for path in files]), "us"
    made = [top / f"d1/new{n}" for n in range(LINES)]
    yield "create + write + close", middle([seconds(lambda: path.write_bytes(b"x" * 4096)) for path in made]), "us"
    yield "rename", middle([seconds(lambda: path.rename(f"{path}r")) for path in made]), "us"
    yield "unlink", middle([seconds(lambda: os.unlink(f"{path}r")) for path in made]), "us"


def late(nexus, read):
    """Writes files one after the other; how long after each close(2) `read` has seen its line, in milliseconds."""
    top = nexus.mount / "workspace" / f"watched{time.monotonic_ns()}"
    top.mkdir()
    closed, seen, done = {}, {}, threading.Event()

    def follow():
        while not done.is_set():
            for line in read(str(top)[len(str(nexus.mount)) :]):
                seen.setdefault(line["path"], time.perf_counter())

    follower = threading.Thread(target=follow)
    follower.start()
    for n in range(LINES):
        with open(top / f"f{n}", "wb", buffering=0) as out:
            out.write(b"x" * 100)
        closed[f"/workspace/{top.name}/f{n}"] = time.perf_counter()
        time.sleep(0.002)
    time.sleep(0.5)
    done.set()
    (top / "end").touch()
    follower.join()
    return [max(0.0, seen[path] - at) * 1e3 for path, at in closed.items()]


def by_poll(nexus):
    """by poll(2)"""
    events = os.open(nexus.mount / ".nexus/events", os.O_RDONLY)
    waiting, rest = select.poll(), b""
    waiting.register(events, select.POLLIN)

    def read(_):
        nonlocal rest
        waiting.poll(1000)
        *lines, rest = (rest + os.read(events, 1 << 16)).split(b"\n")
        return map(json.loads, lines)

    times = late(nexus, read)
    os.close(events)
    return times


def by_socket(nexus):
    """by the socket"""
    api = Api(nexus.data)
    after = api.ask("log", limit=0)["last"]

    def read(path):
        nonlocal after
        page = api.ask("log", after=after, path=path, limit=1000, wait_ms=1000)
        after = page["last"]
        return page["records"]

    return late(nexus, read)


def by_many(nexus):
    """by 64 who poll(2)"""
    top = nexus.mount / "workspace" / f"watched{time.monotonic_ns()}"
    top.mkdir()
    feeds = [os.open(nexus.mount / ".nexus/events", os.O_RDONLY) for _ in range(FOLLOWERS)]
    waiting, came = select.epoll(), []
    for feed in feeds:
        waiting.register(feed, select.EPOLLIN)
    # Another process writes: this one has enough to do.
    with subprocess.Popen([sys.executable, "-c", WRITER, top, str(LINES // 10)], stdout=subprocess.PIPE) as writer:
        closed = None
        waiting.register(writer.stdout, select.EPOLLIN)
        while not closed or waiting.poll(1):
            for ready, _ in waiting.poll(1):
                if ready == writer.stdout.fileno():
                    closed = json.loads(writer.stdout.read())
                    waiting.unregister(ready)
                else:
                    came.append((os.read(ready, 1 << 16), time.monotonic()))
    for feed in feeds:
        os.close(feed)
    names = ((json.loads(line)["path"].rpartition("/")[2], at) for lines, at in came for line in lines.splitlines())
    times = [max(0.0, at - closed[name]) * 1e3 for name, at in names if name in closed]
    assert len(times) >= len(closed) * FOLLOWERS, (len(times), len(closed))
    return times


def on_disk(file):
    """What a record takes, with its share of each index."""
    with sqlite3.connect(file) as db:
        (records,) = db.execute("SELECT COUNT(*) FROM log").fetchone()
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'log' AND rootpage > 0")]
        sizes = {}
        for name in names:
            (size,) = db.execute("SELECT SUM(pgsize) FROM dbstat WHERE name = ? AND aggregate = TRUE", (name,)).fetchone()
            sizes[name] = size / records
    yield "bytes of a record, with indexes", sum(sizes.values()), "B"
    for name, size in sizes.items():
        yield f"bytes of a record in {name}", size, "B"
