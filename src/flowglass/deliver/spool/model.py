"""What the spool keeps: segments, the shares of flow logs in them, and the units that are delivered.

Rule: these are views of the journal at one moment; what changes them are the methods of `Spool`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from flowglass.fields.contracts import FinishedObject, FlowLog

LIVE: Final = "live"
"""Stream of segments that others of the same period may follow."""


@enum.unique
class Step(enum.Enum):
    """Moments between which a crash may come; told to the watcher right after each."""

    SEGMENT_WRITTEN = "segment-written"
    """all bytes handed to the system, under a temporary name"""
    SEGMENT_SYNCED = "segment-synced"
    SEGMENT_NAMED = "segment-named"
    SEGMENT_DURABLE = "segment-durable"
    """the folder is synced too: from here on the records arrive"""
    RECORDING_JOURNALLED = "recording-journalled"
    UNIT_JOURNALLED = "unit-journalled"
    OBJECT_STAGED = "object-staged"
    """an object is finished and synced, not yet in the journal"""
    OBJECTS_JOURNALLED = "objects-journalled"
    ATTEMPT_JOURNALLED = "attempt-journalled"
    OBJECT_PUT = "object-put"
    """the destination confirmed an object"""
    DELIVERY_JOURNALLED = "delivery-journalled"
    MANIFEST_WRITTEN = "manifest-written"
    BATCH_JOURNALLED = "batch-journalled"
    """a log batch is about to be sent"""
    BATCH_SENT = "batch-sent"
    PROGRESS_JOURNALLED = "progress-journalled"
    UNIT_FINISHED = "unit-finished"
    FILES_REMOVED = "files-removed"
    """segments that everybody has, and staged objects, are gone"""
    DROP_JOURNALLED = "drop-journalled"


Watch = Callable[[Step], None]
"""Told of every step, from whichever thread takes it."""


def ignore(_step: Step) -> None:
    """Watch nothing."""


class UnitChanged(Exception):
    """What a caller has of shares or a unit holds no more: something was given up meanwhile. Look at them anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Records of one writer, safe on disk. All end in one period of five minutes.

    `stream`: LIVE, or the source where that is whole at once (a capture); `period_start_s`: first second of the
    period; `windows`: first seconds of its windows, in order; `window_s`: their length; `size_bytes`, `sha256`: of the
    file; `created_ms`: by the clock of then; `born_ms`: by the spool's own time, which no clock sets.
    """

    id: int
    file: str
    stream: str
    period_start_s: int
    windows: tuple[int, ...]
    window_s: int
    size_bytes: int
    sha256: str
    created_ms: int
    born_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The rows of one segment for one flow log, not yet delivered.

    `records`: of the flow log; `skipped`: they were given up, and one SKIPDATA record an interface and window is
    delivered in their place (`records` counts those then).
    """

    segment: Segment
    flow_log: FlowLog
    records: int
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedObject:
    """An object of a unit, finished on disk. `number`: its place in the unit; `attempts`: puts that were begun."""

    number: int
    finished: FinishedObject
    period_start_s: int
    salt: int = 0
    attempts: int = 0
    delivered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Shares of one flow log that are delivered together. Which they are never changes, so a crash repeats it exactly.

    `staged`: its objects, None before they are built; `progress`: log batches that were confirmed; `begun`: batch
    number `progress` was begun and never confirmed, so it may have arrived.
    """

    id: int
    flow_log: FlowLog
    shares: tuple[Share, ...]
    staged: tuple[StagedObject, ...] | None = None
    progress: int = 0
    begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the spool: bytes of segments and staged objects, and age in seconds of what waits; 0 for none.

    `min_free_bytes`: room on the disk that recordings leave, so that objects can be built of what waits; never more
    than a twentieth of the disk.
    """

    max_bytes: int = 10_000_000_000
    max_age_s: int = 7 * 86_400
    min_free_bytes: int = 256_000_000

    def room_bytes(self, disk_bytes: int) -> int:
        """The room that recordings leave on a disk of that size."""
        return min(self.min_free_bytes, disk_bytes // 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the last delivery of a flow log went.

    `message`: AWS's text of DeliverLogsErrorMessage, None for success; `reason`: more, for logs and people;
    `objects`, `records`: delivered in all; `dropped`: records given up in all, at most: what was just being delivered
    may have arrived all the same; `doubtful`: log batches sent again because nobody could tell whether they had
    arrived; `rejected`: log events that the service refused for good.
    """

    flow_log_id: str
    message: str | None
    reason: str
    at_ms: int
    objects: int = 0
    records: int = 0
    dropped: int = 0
    doubtful: int = 0
    rejected: int = 0


class GivenUp(NamedTuple):
    """What a person gave up: records, and SKIPDATA records that were in the place of such."""

    records: int
    skipdata: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a command asks of the process that has the spool. `action`: as `flowglass spool` has it."""

    id: int
    action: str
    argument: str
