"""`record`: captures in, flow-log objects out, and an account of every packet.

Rule: it looks at all of its input before it writes, and leaves only finished objects behind, whatever ends it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from flowglass.aggregate import FlowTable
from flowglass.app import advice
from flowglass.app.engine import Engine
from flowglass.app.options import RecordOptions
from flowglass.app.out import Out, opened
from flowglass.app.outputs import ObjectOutput
from flowglass.app.summary import PointSummary, Summary
from flowglass.app.targets import RecordPlan
from flowglass.capture import SUPPORTED, CaptureFiles, link_type_name, named_captures
from flowglass.fields.contracts import FrameBlock
from flowglass.fields.errors import CaptureDamaged, CaptureEmpty, LinkTypeUnsupported, OptionError
from flowglass.inventory import Snapshot, load

Watcher = Callable[[CaptureFiles, int], None]
"""Told about progress: the captures and the frames taken so far."""


class _Interruption:
    """Ctrl-C while a block is worked on waits for its end; while a capture is read it breaks in."""

    def __init__(self) -> None:
        self.asked = False
        self._reading = False

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._reading:
            raise KeyboardInterrupt

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take SIGINT over; in a thread other than the main one Python keeps it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def next(self, blocks: Iterator[FrameBlock]) -> FrameBlock | None:
        """The next block, None at the end or after Ctrl-C."""
        if self.asked:
            return None
        self._reading = True
        try:
            return next(blocks, None)
        except KeyboardInterrupt:
            self.asked = True
            return None
        finally:
            self._reading = False


def record(
    captures: Sequence[str],
    out: str,
    options: RecordOptions,
    *,
    inventory: str | None = None,
    keep: int = 0,
    watch: Watcher | None = None,
) -> tuple[Summary, list[CaptureDamaged]]:
    """Record captures into `out`: a folder, which stands for a bucket, or `s3://BUCKET/FOLDER`.

    Returns the account and the damage found in captures; what stands before damage is recorded. After Ctrl-C the
    objects that were complete are there and the account says what was cut off; what came from a pipe is recorded up to
    there, for it cannot be read again. Raises any error of
    `flowglass.fields.errors` that a wrong capture, inventory or destination is.
    """
    started = time.monotonic()
    with opened(out) as place:
        snapshot = load(inventory, account=options.account, region=options.region) if inventory else None
        named = named_captures(captures)
        recording = _Recording(CaptureFiles(named), place, options, snapshot, keep)
        recording.run(watch)
    summary = recording.summary(time.monotonic() - started)
    if not summary.interrupted:
        _refuse_nothing(named[0].path, recording.source, summary)
    return summary, recording.source.faults


class _Recording:
    """One run: its rooms wired together."""

    def __init__(
        self, source: CaptureFiles, place: Out, options: RecordOptions, snapshot: Snapshot | None, keep: int
    ) -> None:
        self._options = options
        self._snapshot = snapshot
        self._sink = place.sink
        self._sink.clean()
        self.source = source
        self._output = ObjectOutput(place.sink)
        plan = RecordPlan(options, place.prefix)
        self._engine = Engine(source, plan, snapshot, _table(options), self._output, keep=keep)
        self._aggregator = self._engine.aggregator
        self._pipeline = self._engine.pipeline
        self._interruption = _Interruption()
        self._interrupted = False
        self._cut_off = (0, 0)
        self._dropped_records = 0

    def run(self, watch: Watcher | None) -> None:
        """Record all, or until Ctrl-C; nothing half-written stays behind."""
        with self._interruption.handled():
            try:
                self._read(watch)
                self._interrupted = self._interruption.asked
                # A pipe has no more to give after Ctrl-C: what it gave is all there is, and is recorded.
                if self._interrupted and not self.source.from_pipe:
                    self._cut_off = self._aggregator.discard()
                    self._dropped_records = self._engine.abort()
                else:
                    self._engine.finish()
            except BaseException:
                self._engine.abort()
                raise
            finally:
                self._sink.clean()

    def _read(self, watch: Watcher | None) -> None:
        blocks = iter(self.source)
        while (block := self._interruption.next(blocks)) is not None:
            self._engine.feed(block)
            if watch is not None:
                watch(self.source, self._engine.frames)

    def summary(self, seconds: float) -> Summary:
        """The account of the run."""
        points = tuple(
            PointSummary(
                name=point.name,
                link_type=link_type_name(point.link_type),
                counts=self._aggregator.counts(row),
            )
            for row, point in enumerate(self.source.points[: self._aggregator.points])
        )
        return Summary(
            points=points,
            flows=self._aggregator.flows_out,
            frames_in_flows=self._aggregator.frames_out,
            open_flows=self._cut_off[0],
            open_frames=self._cut_off[1],
            early_drains=self._aggregator.early_drains,
            link_overflow=self._aggregator.link_overflow,
            capture_dropped=self.source.dropped,
            observed=self._pipeline.counts,
            records=self._pipeline.records,
            nodata=self._pipeline.nodata,
            filtered=self._pipeline.unwanted,
            dropped_records=self._dropped_records,
            objects=tuple(self._output.results),
            flow_logs=tuple(self._pipeline.by_flow_log),
            seconds=seconds,
            interrupted=self._interrupted,
            warnings=(
                *advice.of_source(self.source, points),
                *advice.of_records(self._pipeline.counts, self._pipeline.unwanted, self._options),
                *advice.of_inventory(self._options, self._snapshot),
            ),
            first=self._pipeline.first,
        )


def _table(options: RecordOptions) -> FlowTable:
    try:
        return FlowTable(options.max_flows, options.nflog_rules)
    except MemoryError:
        raise OptionError(f"--max-flows {options.max_flows}: needs more memory than the system grants") from None


def _refuse_nothing(path: str, source: CaptureFiles, summary: Summary) -> None:
    """Raise where no frame could be recorded and nothing else tells why."""
    if source.faults:
        return
    if not summary.frames:
        raise CaptureEmpty(f"{path}: holds no packet; check the capture's filter and interface")
    if not any(point.link_type in SUPPORTED for point in source.points):
        names = ", ".join(source.unsupported())
        raise LinkTypeUnsupported(
            f"{path}: link type {names} is not supported; capture on an interface of another kind, "
            "or see docs/reference/link-types.md"
        )
