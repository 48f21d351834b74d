"""The long form: `python -m tests.crash --kills 300`.

Rule: the status is 0 only if nothing was lost, doubled, changed or skipped.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time

from tests.crash.cycle import Stuck
from tests.crash.kinds import KINDS, Skipped
from tests.crash.mount import Refused
from tests.crash.oracle import Judgement
from tests.crash.world import World
from tests.support.services import NotInstalled


def main() -> int:
    """Run every kind, print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="of all kinds together (default 300)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats the choices of a run")
    parser.add_argument("--kind", choices=sorted(KINDS), action="append", help="only this kind; may be given again")
    options = parser.parse_args()
    kinds = {name: KINDS[name] for name in options.kind or KINDS}
    shares = sum(share for _, share in kinds.values())
    print(f"seed {options.seed}")
    print(f"{'kind':<12}{'kills':>7}{'records':>10}{'lost':>6}{'doubled':>9}{'changed':>9}{'seconds':>9}", flush=True)
    good = True
    try:
        with World(options.seed) as world:
            for name, (_, share) in kinds.items():
                good &= _one(world, name, max(1, round(options.kills * share / shares)), options.seed)
    except NotInstalled as missing:
        print(f"skipped: {missing}")
        return 1
    print("nothing lost, doubled or skipped" if good else "FAILED")
    return 0 if good else 1


def _one(world: World, name: str, kills: int, seed: int) -> bool:
    """Run one kind and print its line; return whether all was well."""
    folder = world.folder / name.replace(" ", "-")
    began = time.monotonic()
    why: list[str] = []
    judgement, done = Judgement(), 0
    try:
        judgement, done = KINDS[name][0](world, folder, kills, random.Random(f"{seed} {name}"))  # noqa: S311 (an input)
        why = judgement.faults
    except (Skipped, Refused) as reason:
        why = [f"skipped: {reason}"]
    except Stuck as stuck:
        why = [str(stuck)]
    seconds = time.monotonic() - began
    print(
        f"{name:<12}{done:>7}{judgement.records:>10}{judgement.lost:>6}{judgement.doubled:>9}{judgement.changed:>9}"
        f"{seconds:>9.1f}",
        *(f"  {line}" for line in why),
        sep="\n",
        flush=True,
    )
    if not why:
        shutil.rmtree(folder)
    return not why


if __name__ == "__main__":
    sys.exit(main())
