"""Workloads on Nexus, the host and bindfs in one run; see scripts/bench.

A stage is a function that works in one directory and yields (figure, value, unit). In each round every stage runs once
in each place, in turn, so that whatever else the machine does meets all three alike. Figures are medians over rounds.
Python's own share of a call (about half a microsecond) is in all three.
"""

import argparse
import contextlib
import itertools
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import bench_log
import bench_past
import bench_scale
import bench_shared
import bench_stages  # noqa: F401: brings its stages
from bench_work import STAGES, Full, Place, Quick, material, run, seconds


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
    names = ", ".join(s.__name__ for s in STAGES)
    parser.add_argument("--only", nargs="+", default=[], help=f"of {names}, startup, million, log, past, several, shared; without it all but {', '.join(bench_scale.ON_REQUEST)}")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="workloads over and over, and what the daemon uses")
    parser.add_argument("--instructions", action="store_true", help="of the engine's calls, counted by callgrind")
    parser.add_argument("--nexus", type=Path, help="a directory on a mount that is there already")
    asked = parser.parse_args()
    size = Quick if asked.quick else Full
    rounds = asked.rounds or size.rounds
    wanted = lambda name: name in asked.only or not asked.only and name not in bench_scale.ON_REQUEST
    asked.dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="nexus-bench-", dir=asked.dir.resolve()))
    figures = {}
    try:
        if asked.soak:
            return bench_scale.soak(work, asked.soak)
        if asked.instructions:
            return bench_scale.instructions(work)
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
        if wanted("million") and not asked.nexus:
            bench_scale.million(work, figures, size)
        if wanted("log") and not asked.nexus:
            bench_log.log(work, figures, size)
        if wanted("past") and not asked.nexus:
            bench_past.past(work, figures, size)
        if wanted("several") and not asked.nexus:
            bench_past.past_of_several(work, figures, size)
        if wanted("shared") and not asked.nexus:
            bench_shared.shared(work, figures, size)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    show(figures)


main()
