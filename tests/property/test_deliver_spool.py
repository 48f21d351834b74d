"""The spool against a plain model: whatever is done in whatever order, with restarts between."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.numbered import (
    ALL,
    BOTH,
    SOME,
    WINDOW_S,
    Clock,
    arrived,
    batch,
    deliver,
    numbers_of,
    open_spool,
    some,
    stage,
)

from flowglass.deliver.spool import Spool, SpoolView

PARTS = 2


class SpoolAgainstModel(RuleBasedStateMachine):
    """Every record of a committed recording is exactly once: waiting, at the destination, or counted as given up."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
        self.bucket = self.root / "bucket"
        self.clock = Clock()
        self.sources = 0
        self.committed = {ALL.id: Counter[int | None](), SOME.id: Counter[int | None]()}
        self.dropped = 0
        self.spool: Spool

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.root)

    @initialize()
    def start(self) -> None:
        self.spool = open_spool(self.root, self.clock)

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = open_spool(self.root, self.clock)

    @rule(periods=st.lists(st.integers(0, 3), max_size=6), size=st.integers(0, 9), commit=st.booleans())
    def record(self, periods: list[int], size: int, commit: bool) -> None:
        self.sources += 1
        recording = self.spool.begin(f"s{self.sources}", BOTH, window_s=60)
        taken = Counter[int | None]()
        for place, period in enumerate(periods):
            numbers = range(1000 * self.sources + 10 * place, 1000 * self.sources + 10 * place + size)
            window_s = WINDOW_S + 300 * period
            recording.add(batch(numbers, window_s), window_s, {ALL.id: None, SOME.id: some(numbers)})
            taken.update(numbers)
        if not commit:
            assert recording.abandon() == sum(taken.values()) + sum(number % 2 for number in taken if number)
            return
        recording.commit()
        self.committed[ALL.id].update(taken)
        self.committed[SOME.id].update(number for number in taken.elements() if number is not None and number % 2)
        assert self.spool.recorded(f"s{self.sources}") == {ALL.id, SOME.id}

    @precondition(lambda self: self.spool.shares())
    @rule(data=st.data())
    def assign(self, data: st.DataObject) -> None:
        flow_log = data.draw(st.sampled_from([share.flow_log for share in self.spool.shares()]))
        mine = [share for share in self.spool.shares() if share.flow_log == flow_log]
        chosen = data.draw(st.lists(st.sampled_from(mine), min_size=1, max_size=3, unique_by=lambda s: s.segment.id))
        self.spool.assign(chosen)

    @precondition(lambda self: any(unit.staged is None for unit in self.spool.units()))
    @rule(data=st.data())
    def build(self, data: st.DataObject) -> None:
        unit = data.draw(st.sampled_from([unit for unit in self.spool.units() if unit.staged is None]))
        self.spool.staged(unit, stage(self.spool, unit, PARTS))

    @precondition(lambda self: any(unit.staged for unit in self.spool.units()))
    @rule(data=st.data())
    def attempt(self, data: st.DataObject) -> None:
        unit = data.draw(st.sampled_from([unit for unit in self.spool.units() if unit.staged]))
        self.spool.attempting(unit, data.draw(st.integers(0, PARTS - 1)))

    @precondition(lambda self: self.spool.units())
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        deliver(self.spool, data.draw(st.sampled_from(self.spool.units())), self.bucket, parts=PARTS)

    @precondition(lambda self: self.spool.shares() or self.spool.units())
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """Give up the oldest, as at the bound of bytes."""
        shares = [*self.spool.shares(), *(share for unit in self.spool.units() for share in unit.shares)]
        periods = sorted({share.segment.period_start_s for share in shares})
        self.spool.drop(flow_log_id=ALL.id, before_s=data.draw(st.sampled_from(periods)))

    @invariant()
    def nothing_is_lost_and_nothing_is_doubled(self) -> None:
        found = {ALL.id: arrived(self.bucket, ALL), SOME.id: arrived(self.bucket, SOME)}
        for share in self.spool.shares():
            numbers = numbers_of(self.spool, share)
            assert len(numbers) == share.records
            found[share.flow_log.id].update(numbers)
        for unit in self.spool.units():
            assert not any(told.delivered for told in unit.staged or ())
            for share in unit.shares:
                found[share.flow_log.id].update(numbers_of(self.spool, share))
        given_up = 0
        for flow_log, committed in self.committed.items():
            del found[flow_log][None]
            assert not found[flow_log] - committed, "doubled"
            given_up += (committed - found[flow_log]).total()
        assert self.spool.counters().get("records_dropped", 0) == given_up

    @invariant()
    def memory_says_what_the_journal_says(self) -> None:
        view = SpoolView.open(self.root / "spool")
        assert view.shares == self.spool.shares()
        assert view.units == self.spool.units()
        assert view.size_bytes == self.spool.size_bytes()

    @invariant()
    def files_are_those_that_somebody_needs(self) -> None:
        needed = {
            share.segment.file
            for share in [*self.spool.shares(), *(share for unit in self.spool.units() for share in unit.shares)]
            if not share.skipped
        }
        assert {path.name for path in (self.root / "spool" / "segments").iterdir()} == needed
        staged = {Path(told.finished.path).name for unit in self.spool.units() for told in unit.staged or ()}
        assert {path.name for path in (self.root / "spool" / "staged").iterdir()} == staged


TestSpool = SpoolAgainstModel.TestCase
TestSpool.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
