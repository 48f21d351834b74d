"""One capture file recorded for the flow logs of the moment.

Rule: a flow log whose destination fails holds up no other. Recorded again, a file gives the same objects, which are
then already there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from flowglass.aggregate import FlowTable
from flowglass.app.agent.plan import AgentPlan
from flowglass.app.engine import Engine
from flowglass.app.targets import Builder
from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.deliver import Delivered, LocalStore, builder_for
from flowglass.fields.contracts import I64, FlowLog
from flowglass.fields.errors import CaptureDamaged, DeliveryError
from flowglass.inventory import Snapshot


class Stopped(Exception):
    """The agent was asked to stop; the file is recorded again at the next start."""


class GuardedBuilder:
    """A builder that fails alone: after a DeliveryError it takes no more, and counts what it did not deliver."""

    def __init__(self, flow_log: FlowLog, store: LocalStore) -> None:
        self.flow_log = flow_log
        self.failure: DeliveryError | None = None
        self.undelivered = 0
        self._builder: Builder | None = None
        self._guard(lambda: self._open(store))

    @property
    def results(self) -> list[Delivered]:
        """What was delivered, in order."""
        return self._builder.results if self._builder is not None else []

    def add(self, batch: pa.RecordBatch, end_s: I64, rows: I64 | None = None) -> None:
        """Append rows of a batch, or count them as undelivered."""
        if self.failure is not None:
            self.undelivered += len(end_s) if rows is None else len(rows)
            return
        self._guard(lambda: self._inner.add(batch, end_s, rows))

    def settle(self, before_s: int) -> None:
        """Finish the objects of periods that end at or before this second."""
        if self.failure is None:
            self._guard(lambda: self._inner.settle(before_s))

    def close(self) -> list[Delivered]:
        """Finish every object and return all that were delivered."""
        if self.failure is None:
            self._guard(self._inner.close)
        return self.results

    def abort(self) -> int:
        """Drop what is open; return how many records that were."""
        return self._builder.abort() if self._builder is not None else 0

    @property
    def _inner(self) -> Builder:
        if self._builder is None:
            raise RuntimeError("a builder that was never opened is not used")
        return self._builder

    def _open(self, store: LocalStore) -> None:
        self._builder = builder_for(self.flow_log, store)

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except DeliveryError as error:
            self.failure = error
            self.undelivered += self.abort()


@dataclass(slots=True, kw_only=True)
class Recorded:
    """What one file gave. `frames`: packets read, `undecoded` of them in no flow; of the flows, `observed` by an
    interface, `unowned` by none, `ambiguous` with addresses of several VPCs, `excluded` as AWS does; `damage`: what
    stands behind it was not recorded. Of the `records`, `nodata` tell of no traffic; `unwanted`: observations that no
    flow log took.
    """

    frames: int = 0
    undecoded: int = 0
    flows: int = 0
    observed: int = 0
    unowned: int = 0
    ambiguous: int = 0
    excluded: int = 0
    records: int = 0
    nodata: int = 0
    unwanted: int = 0
    damage: list[CaptureDamaged] = field(default_factory=list)
    builders: list[GuardedBuilder] = field(default_factory=list)

    def counters(self) -> dict[str, int]:
        """The numbers, by name."""
        return {
            "frames": self.frames,
            "flows": self.flows,
            "unowned_flows": self.unowned,
            "records": self.records,
            "observations_without_flow_log": self.unwanted,
            "undelivered_records": sum(builder.undelivered for builder in self.builders),
        }


def record_capture(
    path: Path,
    flow_logs: Sequence[FlowLog],
    snapshot: Snapshot,
    store: LocalStore,
    *,
    assume_accept: bool,
    max_flows: int,
    stop: Callable[[], bool],
) -> Recorded:
    """Record a file: one pass for each aggregation interval that the flow logs ask for.

    Raises the CaptureErrors of a file that is none, Stopped when `stop` says so.
    """
    result = Recorded()
    for interval_s in sorted({flow_log.interval_s for flow_log in flow_logs}):
        asked = [flow_log for flow_log in flow_logs if flow_log.interval_s == interval_s]
        builders = [GuardedBuilder(flow_log, store) for flow_log in asked]
        plan = AgentPlan(interval_s, asked, builders, assume_accept=assume_accept)
        source = CaptureFiles([CaptureFile(str(path))])
        engine = Engine(source, plan, snapshot, FlowTable(max_flows))
        _run(engine, stop)
        result.builders.extend(builders)
        result.records += engine.pipeline.records
        result.nodata += engine.pipeline.nodata
        result.unwanted += engine.pipeline.unwanted
        # The passes see the same packets: what they saw counts once.
        result.frames = engine.frames
        _count_seen(result, engine)
        result.damage = source.faults
    return result


def _count_seen(result: Recorded, engine: Engine) -> None:
    counts = engine.pipeline.counts
    result.undecoded = engine.frames - engine.aggregator.frames_out
    result.flows = engine.aggregator.flows_out
    result.observed = counts.observed
    result.unowned = counts.unowned
    result.ambiguous = counts.ambiguous
    result.excluded = counts.excluded_flows


def _run(engine: Engine, stop: Callable[[], bool]) -> None:
    try:
        for block in engine.source:
            engine.feed(block)
            if stop():
                raise Stopped
        engine.finish()
    except BaseException:
        engine.abort()
        raise
