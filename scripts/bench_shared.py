"""What permissions cost: calls of a user whom a grant to a group in groups lets in, on a mount of his own and on everybody's, beside the same
calls of an owner in a store where nothing was granted. On everybody's no kernel may keep a name that is not for all, so it asks each time."""

import contextlib
import os
import random
import shutil
import statistics
import time

from bench_log import Api
from bench_past import note
from bench_work import Nexus, let_everybody_in, run

USERS, GROUPS, DIRECTORIES, GRANTS = 200, 40, 200, 600
FIRST_UID = 40_000
ALONE = "nothing granted"
BURST, FIRST = 200, 3


def shared(work, figures, size):
    """A daemon for an owner and two for towns; bursts on their mounts in turn."""
    let_everybody_in(work)
    owners = Nexus(work / "owners", work / "owners.mount")
    towns = [Nexus(work / name, work / f"{name}.mount", "--identity", "os", "--allow-other") for name in ("one", "other")]
    for nexus in owners, *towns:
        nexus.mount.mkdir()
        nexus.start()
    (owners.mount / "workspace/team").mkdir()
    for town in towns:
        settle(town)
    # Of a daemon with one mount: else each of them is told of what is done on the other.
    run("nexus", "--data-dir", towns[0].data, "umount", towns[0].mount)
    run("nexus", "--data-dir", towns[0].data, "mount", towns[0].mount, "--user", "u0")
    places = {ALONE: (owners.mount, 0), "own mount": (towns[0].mount, 0), "everybody's": (towns[1].mount, FIRST_UID)}
    times = {}
    for turn in range(FIRST + (300 if size.rounds > 1 else 60)):
        for name in random.sample(sorted(places), len(places)):
            mount, uid = places[name]
            with acting_as(uid):
                for call, took in burst(mount / "workspace/team"):
                    if turn >= FIRST:
                        times.setdefault(call, {}).setdefault(name, []).append(took)
    note(figures, "", compared(times))
    for nexus in owners, *towns:
        nexus.stop()
        shutil.rmtree(nexus.data)


def settle(town):
    """Users in nested groups, with grants on directories all over; a grant to the group of the first lets him into `team`."""
    api = Api(town.data)
    for user in range(USERS):
        api.ask("user-create", user=f"u{user}", uid=FIRST_UID + user)
    for group in range(GROUPS):
        api.ask("group-create", group=f"g{group}")
        if group:
            api.ask("group-add", group=f"g{group // 4}", member=f"group:g{group}")
    dice = random.Random(1)
    for user in range(USERS):
        api.ask("group-add", group=f"g{dice.randrange(GROUPS)}" if user else f"g{GROUPS - 1}", member=f"user:u{user}")
    made = [town.mount / "workspace"]
    for n in range(DIRECTORIES):
        made.append(dice.choice(made) / f"d{n}")
        made[-1].mkdir(mode=0o750)
    within = lambda path: "/" + str(path.relative_to(town.mount))
    for _ in range(GRANTS):
        to = f"user:u{dice.randrange(USERS)}" if dice.random() < 0.5 else f"group:g{dice.randrange(GROUPS)}"
        api.ask("rebac-grant", subject=to, relation=dice.choice(("can_read", "can_write")), path=within(dice.choice(made[1:])))
    team = town.mount / "workspace/team"
    team.mkdir(mode=0o700)
    api.ask("rebac-grant", subject="group:g0", relation="can_write", path=within(team))


@contextlib.contextmanager
def acting_as(uid):
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def burst(top):
    """Each call with so many files, and the seconds of one."""
    files, moved = ([f"{top}/{kind}{n}" for n in range(BURST)] for kind in "fr")
    new = os.O_CREAT | os.O_WRONLY | os.O_EXCL
    works = {
        "create": lambda: [os.close(os.open(file, new, 0o644)) for file in files],
        "stat": lambda: [os.stat(file) for file in files],
        "open": lambda: [os.close(os.open(file, os.O_RDONLY)) for file in files],
        "list, of a name": lambda: os.listdir(top),
        "rename": lambda: [os.rename(*both) for both in zip(files, moved)],
        "unlink": lambda: [os.unlink(file) for file in moved],
    }
    for call, work in works.items():
        began = time.perf_counter()
        work()
        yield call, (time.perf_counter() - began) / BURST


def compared(times):
    for call, by_place in times.items():
        for name, took in by_place.items():
            yield f"{call}, {name}", statistics.median(took) * 1e6, "us"
            if name != ALONE:
                pairs = zip(took, by_place[ALONE])
                yield f"{call}, {name} over {ALONE}", statistics.median(one / other for one, other in pairs), "x"
