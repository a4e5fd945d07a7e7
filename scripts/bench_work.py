"""What the benchmarks share: places, sizes, the list of stages, timing; see scripts/bench."""

import contextlib
import json
import os
import shutil
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
        if self.drop and what == 3:
            self.drop()
        drop_caches(what)


class Nexus:
    """A data directory with a daemon and one mount, and what the daemon uses."""

    def __init__(self, data, mount, *options):
        self.data, self.mount, self.options = data, mount, options

    def start(self):
        run("nexus", "--data-dir", self.data, "mount", self.mount, *self.options)

    def stop(self):
        run("nexus", "--data-dir", self.data, "umount", self.mount)
        run("nexusctl", "--data-dir", self.data, "shutdown")

    def ask(self, *command):
        said = subprocess.run(("nexusctl", "--data-dir", self.data, "--json", *command), check=True, stdout=subprocess.PIPE)
        return json.loads(said.stdout)

    def pid(self):
        return self.ask("status")["pid"]

    def memory(self):
        """Resident memory of the daemon, in MB."""
        status = Path(f"/proc/{self.pid()}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024 / 1e6

    def used(self):
        """One line of the soak: its columns are named there."""
        pid, cache = self.pid(), self.ask("stats")["cache_bytes"] / 1e6
        fds, threads = (len(os.listdir(f"/proc/{pid}/{what}")) for what in ("fd", "task"))
        wal = (self.data / "nexus.db-wal").stat().st_size / 1e6
        data = sum(f.stat().st_size for f in self.data.glob("nexus.db*")) / 1e6
        rss = self.memory()
        return f"{rss:9.0f}{rss - cache:9.0f}{cache:10.0f}{fds:6}{threads:9}{wal:8.0f}{data:9.0f}"


def let_everybody_in(work):
    """Lets others walk to a directory."""
    for directory in (work, *work.parents):
        if not os.stat(directory).st_mode & 0o001:
            os.chmod(directory, 0o711)


def drop_caches(what):
    """Drops the kernel's dentries and inodes (2), or pages too (3)."""
    os.sync()
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


class Full:
    rounds, stream, huge = 3, 256 * MIB, 1024 * MIB
    reads, overwrites, appends, syncs = 50_000, 20_000, 50_000, 300
    files, source_files, transactions = 4_000, 4_000, 1_000
    beside, stores, logs = 4096 * MIB, (20_000, 1_000_000), (100_000, 10_000_000)
    undone = 100_000


class Quick:
    rounds, stream, huge = 1, 64 * MIB, 128 * MIB
    reads, overwrites, appends, syncs = 10_000, 4_000, 10_000, 100
    files, source_files, transactions = 1_000, 1_000, 200
    beside, stores, logs = 512 * MIB, (20_000, 200_000), (20_000, 500_000)
    undone = 10_000


class Soak(Quick):
    stream, files, source_files = 256 * MIB, 4_000, 2_000


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
