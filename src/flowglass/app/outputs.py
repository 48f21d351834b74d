"""Where a run's records go: into objects at once, or into the spool.

Rule: an output takes each batch once, with the rows of every flow log, and gives nothing away half-written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from flowglass.deliver import Delivered, ObjectBuilder, Recording, Sink
from flowglass.fields.contracts import I64, FlowLog

Wanted = Sequence[tuple[FlowLog, I64 | None]]
"""Flow logs and the rows (k,) int64 of a batch that each takes, all of them where None."""


class Output(Protocol):
    """What the pipeline hands records to. Its failures are the classes under DeliveryError."""

    @property
    def results(self) -> list[Delivered]:
        """Objects delivered so far, in order."""
        ...

    def add(self, batch: pa.RecordBatch, window_start_s: int, end_s: I64, wanted: Wanted) -> None:
        """Take records of one window; `end_s` (n,) int64: the second at which each of them ends."""
        ...

    def settle(self, before_s: int) -> None:
        """Nothing comes any more for windows that end at or before this second."""
        ...

    def close(self) -> None:
        """Nothing comes any more."""
        ...

    def abort(self) -> int:
        """Drop what is not finished; return how many records that were."""
        ...


class ObjectOutput:
    """Objects of every flow log, built as records come and put into one sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._builders: dict[str, ObjectBuilder] = {}

    @property
    def results(self) -> list[Delivered]:
        """Objects delivered so far, by flow log."""
        return [result for builder in self._builders.values() for result in builder.results]

    def add(self, batch: pa.RecordBatch, _window_start_s: int, end_s: I64, wanted: Wanted) -> None:
        """Append to the objects of each flow log; raises as `ObjectBuilder.add`."""
        for flow_log, rows in wanted:
            builder = self._builders.get(flow_log.id)
            if builder is None:
                builder = self._builders[flow_log.id] = ObjectBuilder(flow_log, self._sink)
            builder.add(batch, end_s, rows)

    def settle(self, before_s: int) -> None:
        """Finish the objects of periods that end at or before this second."""
        for builder in self._builders.values():
            builder.settle(before_s)

    def close(self) -> None:
        """Finish every object."""
        for builder in self._builders.values():
            builder.close()

    def abort(self) -> int:
        """Drop the objects that are not finished."""
        return sum(builder.abort() for builder in self._builders.values())


class SpoolOutput:
    """A recording of the spool. It is committed by who began it, with what belongs to the same transaction."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.results: list[Delivered] = []

    def add(self, batch: pa.RecordBatch, window_start_s: int, _end_s: I64, wanted: Wanted) -> None:
        """Add to the segments; raises as `Recording.add`."""
        self._recording.add(batch, window_start_s, {flow_log.id: rows for flow_log, rows in wanted})

    def settle(self, _before_s: int) -> None:
        """Segments are finished when the recording is committed."""

    def close(self) -> None:
        """As `settle`."""

    def abort(self) -> int:
        """Drop the recording."""
        return self._recording.abandon()
