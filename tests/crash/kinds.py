"""The kinds of faults: what is done to the process, its servers, its disk and its clock while it is killed again and
again.

Rule: a kind is one function and one line in KINDS. It kills as often as it is told, has the process finish without
faults, and says what was wrong then.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.crash.cycle import Forge
from tests.crash.mount import Mounted
from tests.crash.oracle import Judgement
from tests.crash.proxy import Fault
from tests.crash.world import Run, World

from flowglass.deliver.spool.model import Step

_LIFE_S: Final = (0.05, 1.2)
"""From when to when after its begin a life is killed."""
_STEPS: Final = tuple(step for step in Step if step is not Step.DROP_JOURNALLED)
"""Steps of a spool that gives nothing up."""
_UNSYNCED: Final = (Step.SEGMENT_NAMED, Step.SEGMENT_NAMED, Step.FILES_REMOVED, Step.OBJECT_STAGED)
"""Steps after which a start finds names that nobody may have synced."""
_TMPFS_BYTES: Final = 6_000_000
_SMALL_SPOOL_BYTES: Final = 150_000
_FAKETIME: Final = "*/faketime/libfaketimeMT.so.1"
"""Below /usr/lib."""
_CLOCK_STEPS: Final = ("+0", "+2", "-3", "+90", "-600", "+7200", "-7200", "+1d", "-2d", "+2d")


class Skipped(Exception):
    """This machine cannot do it; the text says why."""


Kind = Callable[[World, Path, int, random.Random], tuple[Judgement, int]]
"""Runs in a folder with so many kills; returns what was wrong, and how many kills there were."""


def _after_s(chance: random.Random) -> float:
    return chance.uniform(*_LIFE_S)


@contextlib.contextmanager
def _tmpfs(folder: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS_BYTES}", "flowglass-crash", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        raise Skipped(f"no tmpfs can be mounted: {done.stderr.strip() if done else 'only root may'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _steps(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """Killed right after each step in turn."""
    run = Run(world, folder)
    for number in range(kills):
        run.kill(step=_STEPS[number % len(_STEPS)].value, count=chance.randint(1, 3))
    run.finish()
    return run.judge(), run.kills


def _moments(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """Killed at any moment."""
    run = Run(world, folder)
    for _ in range(kills):
        run.kill(after_s=_after_s(chance))
    run.finish()
    return run.judge(), run.kills


def _network(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """Half of all requests to services fail in some way."""
    run = Run(world, folder)
    for _ in range(kills):
        world.set_faults(*Fault, *[Fault.NONE] * len(Fault))
        run.kill(after_s=_after_s(chance))
    run.finish()
    return run.judge(), run.kills


def _servers(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """The S3 server stands still for a while, or is killed and started again."""

    def pause() -> None:
        time.sleep(chance.uniform(0.1, 0.5))
        world.weed.pause()
        time.sleep(chance.uniform(0.1, 0.8))
        world.weed.resume()

    def restart() -> None:
        time.sleep(chance.uniform(0.1, 0.5))
        world.weed.restart()

    run = Run(world, folder)
    for number in range(kills):
        run.kill(after_s=_after_s(chance), during=restart if number % 4 == 1 else pause)
    run.finish()
    return run.judge(), run.kills


def _full_disk(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """The spool is on a small disk: others fill it, or it fills while S3 is away."""
    with _tmpfs(folder / "small") as small:
        run = Run(world, folder, spool=small / "spool")

        def fill() -> None:
            time.sleep(chance.uniform(0.0, 0.3))
            with contextlib.suppress(OSError), (small / "ballast").open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(chance.choice((4096, 65_536))))

        def make_room() -> None:
            fill()
            time.sleep(chance.uniform(0.1, 0.5))
            (small / "ballast").unlink()
            time.sleep(chance.uniform(0.0, 0.3))

        for number in range(kills):
            (small / "ballast").unlink(missing_ok=True)
            world.set_faults(*([Fault.REFUSED] if number % 3 == 2 else []))
            run.kill(after_s=_after_s(chance), during=fill if number % 2 else make_room)
        (small / "ballast").unlink(missing_ok=True)
        run.finish()
        judgement = run.judge()
        if not run.oracle.refused:
            judgement.wrong.append("the disk was never full when something was recorded")
        return judgement, run.kills


def _clock(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """The wall clock is set forward and back while the process lives."""
    faketime = next(Path("/usr/lib").glob(_FAKETIME), None)
    if faketime is None:
        raise Skipped(f"/usr/lib/{_FAKETIME} is not there: install the Debian package libfaketime")
    setting = folder / "clock"

    def set_clock(to: str) -> None:
        new = folder / "clock.new"
        new.write_text(to)
        new.replace(setting)

    def jump() -> None:
        for _ in range(chance.randint(1, 4)):
            set_clock(chance.choice(_CLOCK_STEPS))
            time.sleep(chance.uniform(0.05, 0.3))

    folder.mkdir(exist_ok=True)
    set_clock("+0")
    environment = {
        "LD_PRELOAD": str(faketime),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else waits of threads end at once, and they run hot
        "NO_FAKE_STAT": "1",
    }
    with Forge(folder / "log", world.environment | environment) as forge:
        run = Run(world, folder, forge=forge)
        for _ in range(kills):
            run.kill(after_s=_after_s(chance), during=jump)
        set_clock("+0")
        run.finish()
        return run.judge(), run.kills


def _power(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """Everything is on a disk that loses what was not synced; some kills come without a power cut between them."""
    place = folder / "disk"

    def disk() -> Mounted:
        return Mounted(folder / "kept", place, chance.getrandbits(32))

    run = Run(world, folder, data=place / "data")
    while run.kills < kills:
        with disk():
            # What a life finds and takes for safe must be so, even if it makes nothing safe itself.
            if chance.random() < 0.5 and run.kills + 1 < kills:
                run.kill(step=chance.choice(_UNSYNCED).value, count=chance.randint(1, 3))
                run.kill_unless_done(step=chance.choice((Step.UNIT_JOURNALLED, Step.OBJECT_STAGED)).value)
            elif chance.random() < 0.5:
                run.kill(step=chance.choice(_STEPS).value, count=chance.randint(1, 3))
            else:
                run.kill(after_s=_after_s(chance))
    with disk():
        run.finish()
    with disk():
        return run.judge(), run.kills


def _bounds(world: World, folder: Path, kills: int, chance: random.Random) -> tuple[Judgement, int]:
    """The spool is small and S3 away, so it gives up records; killed while it does. What it gave up it must say."""
    run = Run(world, folder)
    for number in range(kills):
        world.set_faults(Fault.ERROR, Fault.REFUSED)
        step = Step.DROP_JOURNALLED.value if number % 2 == 0 else ""
        after_s = None if step else _after_s(chance)
        run.kill(step=step, count=chance.randint(1, 3), after_s=after_s, max_bytes=_SMALL_SPOOL_BYTES)
    run.finish()
    judgement = run.judge()
    if not judgement.dropped:
        judgement.wrong.append("nothing was given up")
    judgement.dropped = 0  # as it should be here: the oracle checked that nothing else is missing
    return judgement, run.kills


KINDS: Final[Mapping[str, tuple[Kind, int]]] = {
    "steps": (_steps, 25),
    "moments": (_moments, 15),
    "network": (_network, 15),
    "servers": (_servers, 6),
    "full disk": (_full_disk, 10),
    "clock": (_clock, 8),
    "power cuts": (_power, 16),
    "bounds": (_bounds, 5),
}
"""Each kind, and how many of a hundred kills it gets."""
