"""A process is killed while it records and delivers, its disk, clock and servers fail: nothing is lost or doubled.

The long form of the same is `make test-crash`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.kinds import KINDS, Skipped
from tests.crash.mount import Refused
from tests.crash.world import World
from tests.support.services import NotInstalled

from flowglass.deliver.spool.model import Step

_SEED = 20
_KILLS = {
    "steps": len(Step),
    "moments": 4,
    "network": 4,
    "servers": 2,
    "full disk": 4,
    "clock": 3,
    "power cuts": 5,
    "bounds": 2,
}
"""Of each kind: every step once, and some of the others."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    # Servers of its own, as they are paused and killed.
    try:
        world = World(_SEED)
    except NotInstalled as missing:
        pytest.skip(str(missing))
    with world:
        yield world


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_or_doubled(world: World, kind: str, tmp_path: Path) -> None:
    try:
        judgement, kills = KINDS[kind][0](world, tmp_path, _KILLS[kind], random.Random(f"{_SEED} {kind}"))  # noqa: S311
    except (Skipped, Refused) as reason:
        pytest.skip(str(reason))
    assert judgement.faults == []
    assert judgement.records > 0
    assert kills > 0
