"""Workloads of a few seconds each, the same on Nexus, the host and bindfs; see scripts/bench."""

import os
import random
import sqlite3

from bench_work import MIB, PAGE, read_file, run, seconds, stage, write_file


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
