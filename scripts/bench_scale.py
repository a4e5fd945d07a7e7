"""What must not grow with the store, and what must not wait for others; see scripts/bench.

`growth` and `beside` are stages like the others. `million` concerns Nexus alone: its tree is made by the engine without a
kernel (scripts/engine.rs), which takes a minute or two, and is the same rows and blobs.
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench_work import MIB, PAGE, Nexus, drop_caches, run, seconds, stage

LOOKS = 2_000
# What takes minutes, or gigabytes.
ON_REQUEST = "growth", "beside", "crowd", "million", "log", "past", "several", "shared"


def middle(times):
    return statistics.median(times)


def tail(times):
    return sorted(times)[int(len(times) * 0.99)]


def fresh_bytes(path, length):
    """Writes a file whose megabytes are all different, for little CPU."""
    block = bytearray(os.urandom(16 * MIB))
    with open(path, "wb", buffering=0) as out:
        for at in range(0, length, MIB):
            view = memoryview(block)[at % (16 * MIB) :][:MIB]
            for stamp in range(0, MIB, 64 << 10):
                view[stamp : stamp + 8] = (at + stamp).to_bytes(8, "little")
            out.write(view)


@stage
def growth(place, size):
    """The same on a small and on a very large file: milliseconds that should not differ."""
    for name, length in ("1 MiB", MIB), (f"{size.huge // MIB} MiB", size.huge):
        path = place.dir / name.replace(" ", "")
        fresh_bytes(path, length)
        os.sync()

        def append():
            with open(path, "ab", buffering=0) as out:
                out.write(b"x" * 100)

        yield f"append 100 B to {name}", middle([seconds(append) * 1e3 for _ in range(20)]), "ms"
        copies = []
        for n in range(5):
            copies.append(seconds(lambda: run("cp", path, place.dir / "copy")) * 1e3)
            (place.dir / "copy").unlink()
            if place.name != "nexus":
                break
        yield f"cp of {name}", middle(copies), "ms"


def times_of(place, work, until):
    """Calls `work` with a new path until `until` says so; returns how long each took, in ms."""
    top = new_dir(place.dir)
    times = []
    while not until(len(times)):
        path = top / f"f{len(times)}"
        times.append(seconds(lambda: work(path)) * 1e3)
    return times


def new_dir(directory):
    path = directory / f"d{random.randrange(1 << 48):x}"
    path.mkdir()
    return path


@stage
def beside(place, size):
    """Small files made by one process while another writes a very large one."""
    if place.name == "bindfs":
        return  # Four gigabytes take it minutes, and nobody's promise is in it.
    page = os.urandom(PAGE)

    def small(path, sync):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, page)
        if sync:
            os.fsync(fd)
        os.close(fd)

    for name, sync in ("create", False), ("create + fsync", True):
        work = lambda path: small(path, sync)
        alone = times_of(place, work, lambda n: n >= size.files)
        yield f"{name}, alone, median", middle(alone), "ms"
        yield f"{name}, alone, p99", tail(alone), "ms"
        writer = os.fork()
        if writer == 0:
            began = time.perf_counter()
            fresh_bytes(place.dir / "large", size.beside)
            print(f"{size.beside / 1e6 / (time.perf_counter() - began):.0f} MB/s beside {name}", file=sys.stderr)
            os._exit(0)
        times = times_of(place, work, lambda _: os.waitpid(writer, os.WNOHANG)[0] == writer)
        yield f"{name}, beside a writer, median", middle(times), "ms"
        yield f"{name}, beside a writer, p99", tail(times), "ms"
        yield f"{name}, beside a writer, longest", max(times), "ms"
        yield f"{name}, beside a writer, p99 / median", tail(times) / middle(times), "x"
        (place.dir / "large").unlink()
        os.sync()


@stage
def crowd(place, size):
    """Sixteen processes in trees of their own, one after the other and all at once: together they should not take longer."""
    trees = []
    for n in range(4):
        trees.append(place.dir / f"tree{n}")
        run("git", "clone", "-q", "--no-hardlinks", size.repository, trees[-1])

    def jobs(when):
        for n, tree in enumerate(trees):
            yield "git", "-C", tree, "status", "--short"
            yield "find", tree, "-size", "+1", "-newer", tree
            yield "cp", "-r", tree, place.dir / f"copy{when}{n}"
            (place.dir / f"{when}{n}").mkdir()
            yield "tar", "-xf", size.tar, "-C", place.dir / f"{when}{n}"

    started = lambda job: subprocess.Popen(job, stdout=subprocess.DEVNULL)
    alone = seconds(lambda: [run(*job) for job in jobs("alone")])
    together = seconds(lambda: [p.wait() for p in [started(job) for job in jobs("together")]])
    yield "16 processes, one after the other", alone, "s"
    yield "16 processes, at once", together, "s"


def million(work, figures, size):
    """Nexus alone, with few and with many files."""
    engine = os.environ["NEXUS_BENCH_ENGINE"]
    for count in size.stores:
        data, mount = work / f"store{count}", work / f"store{count}.mount"
        mount.mkdir()
        took = seconds(lambda: run(engine, "fill", data, str(count)))
        print(f"{count:,} files made in {took:.0f} s", file=sys.stderr)
        for name, value, unit in one_store(Nexus(data, mount), count):
            figures.setdefault((f"{count:,} files: {name}", unit), {}).setdefault("nexus", []).append(value)
        shutil.rmtree(data)


def one_store(nexus, count):
    top = nexus.mount / "workspace"
    listing = lambda path: seconds(lambda: run("ls", path)) * 1e3
    drop_caches(3)
    yield "mount, cold", seconds(nexus.start) * 1e3, "ms"
    yield "first ls", listing(top), "ms"
    yield "memory after mount", nexus.memory(), "MB"
    long = lambda: seconds(lambda: run("ls", "-l", top / "many0")) * 1e3
    yield "ls -l of 10,000, first", long(), "ms"
    yield "ls -l of 10,000, again", middle([long() for _ in range(5)]), "ms"
    yield "lookup, from the disk", look(top, count, random.Random(1)), "us"
    yield "rename of an empty directory", rename(top / "empty", make=True), "ms"
    yield "rename of a directory with all", rename(top / "all"), "ms"
    yield "find", seconds(lambda: run("find", top, "-size", "+1")), "s"
    yield "memory after find", nexus.memory(), "MB"
    drop_caches(2)
    yield "lookup, from the database", look(top, count, random.Random(2)), "us"
    drop_caches(2)
    yield "lookup, from the daemon's memory", look(top, count, random.Random(2)), "us"
    yield from killed(nexus, top)
    nexus.stop()


def look(top, count, dice):
    """Looks names up all over the tree; what each takes in microseconds, in the middle."""
    times = []
    for n in (dice.randrange(count) for _ in range(LOOKS)):
        path = top / (f"many0/f{n}" if n < 10_000 else f"all/d{n // 1000}/f{n % 1000}")
        os.stat(path.parent)
        times.append(seconds(lambda: os.stat(path)) * 1e6)
    return middle(times)


def rename(path, make=False):
    if make:
        path.mkdir()
    other = path.with_name("renamed")
    return middle([seconds(lambda: os.rename(*pair)) * 1e3 for pair in [(path, other), (other, path)] * 10])


def killed(nexus, top):
    """SIGKILL in the midst of writing, and how long it takes until there is an answer again."""
    script = "import sys\nfor n in range(10**9): open(f'{sys.argv[1]}/k{n}', 'wb').write(b'%d' % n * 500)"
    (top / "killed").mkdir()
    writer = subprocess.Popen([sys.executable, "-c", script, top / "killed"], stderr=subprocess.DEVNULL)
    time.sleep(10)
    os.kill(nexus.pid(), signal.SIGKILL)
    writer.wait()
    for name in "warm", "cold":
        if name == "cold":
            os.kill(nexus.pid(), signal.SIGKILL)
            drop_caches(3)
        took = seconds(nexus.start)
        yield f"start after SIGKILL, {name}", took + seconds(lambda: run("ls", top)), "s"


def soak(work, minutes):
    """Repeats small workloads on one mount; a line after each says what the daemon uses."""
    from bench_stages import appends, git, small, streams, syncs, tree
    from bench_work import Place, Soak, material

    material(Soak, work)
    mount = work / "mount"
    mount.mkdir()
    nexus = Nexus(work / "data", mount)
    nexus.start()
    place = Place("nexus", mount / "workspace")
    end = time.monotonic() + minutes * 60
    print(f"{'minute':>8}{'RSS MB':>9}{'own MB':>9}{'cache MB':>10}{'fds':>6}{'threads':>9}{'WAL MB':>8}{'data MB':>9}")
    try:
        while time.monotonic() < end:
            for work_in in small, syncs, appends, streams, tree, git:
                with place.fresh():
                    for _ in work_in(place, Soak):
                        pass
            at = minutes - (end - time.monotonic()) / 60
            print(f"{at:8.1f}{nexus.used()}", flush=True)
    finally:
        nexus.stop()


def instructions(work):
    """Instructions of one call in the engine, without a kernel: the difference between two runs under callgrind. Valgrind has no
    SHA instructions; what hashing takes without them, twenty times as much, is left out."""
    if not shutil.which("valgrind"):
        sys.exit("--instructions needs valgrind")
    engine, counts = os.environ["NEXUS_BENCH_ENGINE"], (200, 1200)
    print(f"{'':28}{'caller':>12}{'all threads':>14}")
    for name in "create", "lookup", "getattr", "read", "rename", "make", "make-unlink":
        found = []
        for count in counts:
            data, out = work / f"{name}{count}", work / f"{name}{count}.out"
            command = "valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}", engine
            run(*command, name, data, str(count), stderr=subprocess.DEVNULL)
            threads = [counted(file) for file in sorted(work.glob(f"{out.name}-*"))]
            found.append((threads[0], sum(threads)))
        caller, everybody = ((b - a) / (counts[1] - counts[0]) for a, b in zip(*found))
        print(f"{name:28}{caller:12,.0f}{everybody:14,.0f}", flush=True)


def counted(file):
    """What one thread executed, hashing left out."""
    command = "callgrind_annotate", "--threshold=100", "--auto=no", file
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line.split(" (", 1) for line in said.splitlines() if " (" in line]
    total = sum(number(count) for count, what in lines if "PROGRAM TOTALS" in what)
    return total - sum(number(count) for count, what in lines if "sha256" in what)


def number(text):
    digits = text.strip().replace(",", "")
    return int(digits) if digits.isdigit() else 0
