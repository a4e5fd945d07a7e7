"""Workloads on Nexus, the host and bindfs in one run; see scripts/bench.

A stage is a function that works in one directory and yields (figure, value, unit). In each round every stage runs once
in each place, in turn, so that whatever else the machine does meets all three alike. Figures are medians over rounds.
Python's own share of a call (about half a microsecond) is in all three.
"""

import argparse
import contextlib
import itertools
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
PAGE = 4096
STAGES = []


def stage(work):
    STAGES.append(work)
    return work


def seconds(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(*command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)


class Place:
    """A directory to measure, and how to make reads from it cold."""

    def __init__(self, name, top, drop=None):
        self.name, self.top, self.drop = name, top, drop
        self.dir = None

    @contextlib.contextmanager
    def fresh(self):
        self.dir = Path(tempfile.mkdtemp(dir=self.top))
        yield
        shutil.rmtree(self.dir)
        os.sync()

    def forget(self, what):
        """Drops the kernel's dentries and inodes (2), or pages too (3); what a daemon keeps as well."""
        os.sync()
        if self.drop and what == 3:
            self.drop()
        try:
            Path("/proc/sys/vm/drop_caches").write_text(f"{what}\n")
        except PermissionError:
            print("not root: `cold` and `first pass` are warm", file=sys.stderr)


def write_file(path, data, step=MIB, sync=True):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    view = memoryview(data)
    for at in range(0, len(data), step):
        os.write(fd, view[at : at + step])
    if sync:
        os.fsync(fd)
    os.close(fd)


def read_file(path, step=MIB):
    fd = os.open(path, os.O_RDONLY)
    while os.read(fd, step):
        pass
    os.close(fd)


@stage
def streams(place, size):
    """One large file: every byte new, so that nothing is shared with what is stored."""
    path, length = place.dir / "large", size.stream
    data = os.urandom(length)
    yield "sequential write + fsync", length / 1e6 / seconds(lambda: write_file(path, data)), "MB/s"
    place.forget(3)
    yield "sequential read, cold", length / 1e6 / seconds(lambda: read_file(path)), "MB/s"
    yield "sequential read, warm", length / 1e6 / seconds(lambda: read_file(path)), "MB/s"
    offsets = [random.randrange(length // PAGE) * PAGE for _ in range(size.reads)]
    fd = os.open(path, os.O_RDONLY)
    took = seconds(lambda: [os.pread(fd, PAGE, at) for at in offsets])
    os.close(fd)
    yield "random read 4 KiB, warm", size.reads / took, "ops/s"


@stage
def large(place, size):
    """A very large file, changed a little and copied."""
    path, length = place.dir / "huge", size.huge
    with open(path, "wb") as out:
        for _ in range(length // (16 * MIB)):
            out.write(os.urandom(16 * MIB))
    offsets = [random.randrange(length // PAGE) * PAGE for _ in range(size.overwrites)]
    page = os.urandom(PAGE)

    def overwrite():
        fd = os.open(path, os.O_WRONLY)
        for at in offsets:
            os.pwrite(fd, page, at)
        os.fsync(fd)
        os.close(fd)

    yield "random overwrite 4 KiB + one fsync", size.overwrites / seconds(overwrite), "ops/s"

    def append():
        with open(path, "ab") as out:
            out.write(page[:100])

    yield "open, append 100 B to the huge file, close", seconds(append) * 1e3, "ms"
    yield "copy of the huge file inside", seconds(lambda: run("cp", path, place.dir / "copy")), "s"


@stage
def appends(place, size):
    line = os.urandom(100)

    def work():
        fd = os.open(place.dir / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for _ in range(size.appends):
            os.write(fd, line)
        os.close(fd)

    yield "append 100 B", size.appends / seconds(work), "ops/s"


def synced_writes(path, count):
    page = os.urandom(PAGE)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    for at in range(count):
        os.pwrite(fd, page, at * PAGE)
        os.fsync(fd)
    os.close(fd)


@stage
def syncs(place, size):
    count = size.syncs
    yield "write 4 KiB + fsync", count / seconds(lambda: synced_writes(place.dir / "one", count)), "ops/s"

    def eight():
        children = []
        for n in range(8):
            child = os.fork()
            if child == 0:
                synced_writes(place.dir / f"p{n}", count)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)

    yield "write 4 KiB + fsync, 8 processes", 8 * count / seconds(eight), "ops/s"


@stage
def small(place, size):
    """Files of 4 KiB in one directory."""
    count = size.files
    data = memoryview(os.urandom(count * PAGE))
    names = [str(place.dir / f"f{n}") for n in range(count)]

    def create():
        for n, name in enumerate(names):
            fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(fd, data[n * PAGE : (n + 1) * PAGE])
            os.close(fd)

    def opens():
        for name in names:
            fd = os.open(name, os.O_RDONLY)
            os.read(fd, PAGE)
            os.close(fd)

    yield "create + write 4 KiB + close", count / seconds(create), "ops/s"
    place.forget(2)
    yield "stat, first pass", count / seconds(lambda: [os.stat(n) for n in names]), "ops/s"
    yield "stat, second pass", count / seconds(lambda: [os.stat(n) for n in names]), "ops/s"
    opens()
    yield "open + read 4 KiB + close", count / seconds(opens), "ops/s"
    moved = [f"{name}.new" for name in names]
    yield "rename", count / seconds(lambda: [os.rename(a, b) for a, b in zip(names, moved)]), "ops/s"
    yield "unlink", count / seconds(lambda: [os.unlink(n) for n in moved]), "ops/s"


@stage
def tree(place, size):
    """About 4,000 files of real source code."""
    top, copy = place.dir / "tree", place.dir / "copy"
    top.mkdir()
    yield "untar", seconds(lambda: run("tar", "-xf", size.tar, "-C", top)), "s"
    yield "cp -r", seconds(lambda: run("cp", "-r", top, copy)), "s"
    search = lambda: run("rg", "--no-ignore", "--count-matches", "fn [a-z_]+", top)
    search()
    yield "rg, warm", seconds(search), "s"
    yield "rm -rf", seconds(lambda: run("rm", "-rf", copy)), "s"


@stage
def git(place, size):
    clone = lambda: run("git", "clone", "-q", "--no-hardlinks", size.repository, place.dir / "clone")
    yield "git clone", seconds(clone), "s"
    status = lambda: run("git", "-C", place.dir / "clone", "status", "--short")
    status()
    yield "git status, warm", seconds(status), "s"


@stage
def cargo(place, size):
    """A crate without dependencies: eight modules, a library and a program."""
    source = place.dir / "src"
    source.mkdir()
    (place.dir / "Cargo.toml").write_text('[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n')
    body = "\n".join(
        f"#[derive(Debug, Clone, Default, PartialEq)] pub struct S{n} {{ pub a: Vec<u{n % 2 * 32 + 32}>, pub b: String }}\n"
        f"pub fn f{n}(s: &S{n}) -> String {{ format!(\"{{:?}} {{}}\", s, s.a.iter().map(|x| x.to_string()).collect::<String>()) }}"
        for n in range(20)
    )
    for n in range(8):
        (source / f"m{n}.rs").write_text(body)
    (source / "lib.rs").write_text("".join(f"pub mod m{n};\n" for n in range(8)))
    (source / "main.rs").write_text('fn main() { println!("{}", small::m0::f0(&Default::default())) }\n')
    settings = {k: v for k, v in os.environ.items() if not k.startswith("CARGO_")} | {"CARGO_TARGET_DIR": "target"}
    yield "cargo build", seconds(lambda: run("cargo", "build", "-q", "--offline", cwd=place.dir, env=settings)), "s"


@stage
def sqlite(place, size):
    def work():
        db = sqlite3.connect(place.dir / "db", isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)")
        for n in range(size.transactions):
            db.execute("INSERT INTO t VALUES (?, randomblob(100))", (n,))
        db.close()

    yield f"sqlite, {size.transactions} transactions", seconds(work), "s"


class Full:
    rounds, stream, huge = 3, 256 * MIB, 1024 * MIB
    reads, overwrites, appends, syncs = 50_000, 20_000, 50_000, 300
    files, source_files, transactions = 4_000, 4_000, 1_000


class Quick:
    rounds, stream, huge = 1, 64 * MIB, 128 * MIB
    reads, overwrites, appends, syncs = 10_000, 4_000, 10_000, 100
    files, source_files, transactions = 1_000, 1_000, 200


def material(size, work):
    """A tar of real sources and a git repository of the same."""
    registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry/src"
    sources = sorted(p.relative_to(registry) for p in registry.rglob("*") if p.is_file() and p.stat().st_size < MIB)
    (work / "names").write_text("\n".join(str(p) for p in sources[: size.source_files]))
    size.tar, size.repository = work / "sources.tar", work / "repository"
    run("tar", "-cf", size.tar, "-C", registry, "--transform", "s,^[^/]*/,,", "-T", work / "names")
    size.repository.mkdir()
    run("tar", "-xf", size.tar, "-C", size.repository)
    commands = ("init", "-q"), ("add", "-f", "."), ("-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "sources")
    for command in commands:
        run("git", "-C", size.repository, *command)


def startup(work, figures, rounds):
    """Nexus alone: from nothing to a usable mount, and `ls` without and with a daemon."""
    for n in range(rounds):
        data, mount = work / f"start{n}", work / f"start{n}.mount"
        mount.mkdir()
        env = os.environ | {"NEXUS_DATA_DIR": str(data)}
        for name, command in (
            ("nexus mount, empty data directory", ("nexus", "mount", mount)),
            ("nexus ls, through the daemon", ("nexus", "ls", "/")),
            (None, ("nexus", "umount", mount)),
            (None, ("nexusctl", "shutdown")),
            ("nexus ls, embedded", ("nexus", "ls", "/")),
        ):
            took = seconds(lambda: run(*command, env=env)) * 1e3
            if name:
                figures.setdefault((name, "ms"), {}).setdefault("nexus", []).append(took)


@contextlib.contextmanager
def places(work, nexus):
    """The three directories; what was mounted for them is unmounted at the end."""
    host, backing, mount, bound = (work / n for n in ("host", "backing", "mount", "bindfs"))
    for directory in (host, backing, mount, bound):
        directory.mkdir()
    with contextlib.ExitStack() as undo:
        run("bindfs", backing, bound)
        undo.callback(run, "umount" if os.getuid() == 0 else "fusermount3", *(() if os.getuid() == 0 else ("-u",)), bound)
        drop = None
        if not nexus:
            data = work / "data"
            run("nexus", "mount", mount, "--data-dir", data)
            undo.callback(run, "nexusctl", "--data-dir", data, "shutdown")
            undo.callback(run, "nexus", "umount", mount, "--data-dir", data)
            drop = lambda: run("nexusctl", "--data-dir", data, "cache", "drop")
            nexus = mount / "workspace"
        yield [Place("nexus", nexus, drop), Place("host", host), Place("bindfs", bound)]


def show(figures):
    print(f"{'':44}{'nexus':>10}{'host':>10}{'bindfs':>10}  {'unit':6}{'/host':>8}{'/bindfs':>9}")
    for (name, unit), by_place in figures.items():
        middle = {place: statistics.median(values) for place, values in by_place.items()}
        cells = [f"{middle[p]:>10,.{0 if middle[p] >= 100 else 2}f}" if p in middle else f"{'-':>10}" for p in ("nexus", "host", "bindfs")]
        ratios = [f"{middle['nexus'] / middle[p]:.2f}" if p in middle else "-" for p in ("host", "bindfs")]
        print(f"{name:44}{''.join(cells)}  {unit:6}{ratios[0]:>8}{ratios[1]:>9}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("dir", type=Path)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", nargs="+", default=[], help=f"of {', '.join(s.__name__ for s in STAGES)}, startup")
    parser.add_argument("--nexus", type=Path, help="a directory on a mount that is there already")
    asked = parser.parse_args()
    size = Quick if asked.quick else Full
    rounds = asked.rounds or size.rounds
    wanted = lambda name: not asked.only or name in asked.only
    asked.dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="nexus-bench-", dir=asked.dir.resolve()))
    figures = {}
    try:
        material(size, work)
        with places(work, asked.nexus) as where:
            for turn, work_in in itertools.product(range(rounds), [s for s in STAGES if wanted(s.__name__)]):
                for place in where[turn % 3 :] + where[: turn % 3]:
                    print(f"round {turn + 1}: {work_in.__name__} on {place.name}", file=sys.stderr)
                    with place.fresh():
                        for name, value, unit in work_in(place, size):
                            figures.setdefault((name, unit), {}).setdefault(place.name, []).append(value)
        if wanted("startup") and not asked.nexus:
            startup(work, figures, rounds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    show(figures)


main()
