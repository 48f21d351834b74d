"""One source recorded by one plan: capture to aggregate to the pipeline.

Rule: it wires rooms; who drives it decides when to stop, and calls `finish` or `abort` once.
"""

from __future__ import annotations

from flowglass.aggregate import Aggregator, FlowTable, WindowClock
from flowglass.app.outputs import Output
from flowglass.app.pipeline import Pipeline
from flowglass.app.targets import Plan
from flowglass.capture import CaptureFiles
from flowglass.fields.contracts import FrameBlock
from flowglass.inventory import Snapshot


class Engine:
    """Blocks of `source` in, records of the plan's flow logs out. `frames`: taken so far."""

    def __init__(
        self,
        source: CaptureFiles,
        plan: Plan,
        snapshot: Snapshot | None,
        table: FlowTable,
        output: Output,
        *,
        keep: int = 0,
    ) -> None:
        self.source = source
        self.aggregator = Aggregator(WindowClock(plan.interval_s), table)
        self.pipeline = Pipeline(plan, snapshot, output, fixed_points=source.one_stream, keep=keep)
        self.frames = 0

    def feed(self, block: FrameBlock) -> None:
        """Take one block. Raises DeliveryError; call `abort` then."""
        for item in self.aggregator.add(block, self.source.points):
            self.pipeline.take(item, self.source.points)
        self.frames += len(block.frames)

    def finish(self) -> None:
        """The source is at its end: record what is open and close the output; raises as `feed`."""
        for item in self.aggregator.finish():
            self.pipeline.take(item, self.source.points)
        self.pipeline.finish(self.source.points)

    def abort(self) -> int:
        """Leave nothing half-written; return how many records were taken back."""
        return self.pipeline.abort()
