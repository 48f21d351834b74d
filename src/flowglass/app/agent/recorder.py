"""One capture file recorded into the spool for the flow logs of the moment.

Rule: a capture is in the spool whole or not at all, and once a flow log, whatever ends the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowglass.aggregate import FlowTable
from flowglass.app.agent.plan import AgentPlan
from flowglass.app.engine import Engine
from flowglass.app.outputs import SpoolOutput
from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.deliver import Spool
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import CaptureDamaged
from flowglass.inventory import Snapshot


class Stopped(Exception):
    """The agent was asked to stop; the file is recorded at the next start."""


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

    def counters(self) -> dict[str, int]:
        """The numbers, by name."""
        return {
            "captures": 1,
            "frames": self.frames,
            "flows": self.flows,
            "unowned_flows": self.unowned,
            "records": self.records,
            "observations_without_flow_log": self.unwanted,
        }


def source_of(digest: str) -> str:
    """What the spool knows a capture by."""
    return f"capture:{digest}"


def record_capture(
    path: Path,
    digest: str,
    flow_logs: Sequence[FlowLog],
    snapshot: Snapshot,
    spool: Spool,
    *,
    assume_accept: bool,
    max_flows: int,
    stop: Callable[[], bool],
) -> Recorded:
    """Record a file; it is in the spool when this returns.

    Raises the CaptureErrors of a file that is none, Stopped when `stop` says so, DeliveryError where the spool takes
    no more.
    """
    plan = AgentPlan(flow_logs, assume_accept=assume_accept)
    source = CaptureFiles([CaptureFile(str(path))])
    recording = spool.begin(source_of(digest), flow_logs, window_s=plan.interval_s)
    engine = Engine(source, plan, snapshot, FlowTable(max_flows), SpoolOutput(recording))
    try:
        for block in engine.source:
            engine.feed(block)
            if stop():
                raise Stopped
        engine.finish()
        recorded = _recorded(engine)
        recording.commit(recorded.counters())
    except BaseException:
        engine.abort()
        raise
    return recorded


def _recorded(engine: Engine) -> Recorded:
    pipeline, counts = engine.pipeline, engine.pipeline.counts
    return Recorded(
        frames=engine.frames,
        undecoded=engine.frames - engine.aggregator.frames_out,
        flows=engine.aggregator.flows_out,
        observed=counts.observed,
        unowned=counts.unowned,
        ambiguous=counts.ambiguous,
        excluded=counts.excluded_flows,
        records=pipeline.records,
        nodata=pipeline.nodata,
        unwanted=pipeline.unwanted,
        damage=engine.source.faults,
    )
