"""Records sorted into periods of five minutes by their `end`, and when what was made of a period is finished.

Rule: what a file is called follows from its flow log, period, part and content, and in the spool from who builds it
for which unit; never from the time or chance, so the same records find their files already there. Nothing is kept of a
record but in its part's temporary file.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
import pyarrow as pa

from flowglass.deliver.spool.model import StagedObject
from flowglass.deliver.temp import TempFile
from flowglass.fields.contracts import I64, FlowLog
from flowglass.format import PERIOD_S

_DIGITS: Final = 8
"""Of the hash in AWS's names."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One object at its destination. `created`: False where the same object was there already."""

    key: str
    records: int
    size_bytes: int
    created: bool


@dataclass(slots=True)
class Part:
    """Records of one period being written; `records` are those that are not delivered."""

    temp: TempFile
    first_end_s: int
    last_end_s: int
    records: int = 0

    def abandon(self) -> None:
        """Give up what is not delivered."""
        self.temp.close()


P = TypeVar("P", bound=Part)


class PeriodBuilder(ABC, Generic[P]):
    """Keeps one part open a period and has it delivered when the period is over.

    `max_bytes`: a part whose temporary file has this size is finished and a further one begun; `open_periods`: how
    many periods may be open, which bounds memory; one more finishes the oldest. Records for a period that was
    finished make a further part. `results` has what was delivered, in order.
    After an error call `abort`; the builder is of no use then.
    """

    def __init__(self, *, max_bytes: int, open_periods: int) -> None:
        self.results: list[Delivered] = []
        self._max_bytes = max_bytes
        self._open_periods = open_periods
        self._open: dict[int, P] = {}  # by the first second of the period
        self._numbers: dict[int, int] = {}  # of the period's next part

    def add(self, batch: pa.RecordBatch, end_s: I64, rows: I64 | None = None) -> None:
        """Append `rows` (k,) int64 of the batch (all if None), in that order within their periods.

        `end_s`: (n,) int64, the second at which each record of the batch ends, whether or not the log
        format has it.
        Raises DestinationUnwritable, DestinationFull, LogFormatError.
        """
        ends = end_s if rows is None else end_s[rows]
        if ends.size == 0:
            return
        periods = ends // PERIOD_S
        low, high = int(periods.min()), int(periods.max())
        if low == high:
            self._append(low * PERIOD_S, batch, ends, rows)
            return
        chosen = np.arange(ends.size, dtype=np.int64) if rows is None else rows
        for period in np.unique(periods).tolist():
            here = periods == period
            self._append(period * PERIOD_S, batch, ends[here], chosen[here])

    def settle(self, before_s: int) -> None:
        """Finish the parts of periods that end at or before this second; raises as `add`."""
        for start_s in sorted(self._open):
            if start_s + PERIOD_S <= before_s:
                self._finish(start_s)

    def close(self) -> list[Delivered]:
        """Finish every part and return all results; raises as `add`."""
        for start_s in sorted(self._open):
            self._finish(start_s)
        return self.results

    def abort(self) -> int:
        """Drop what is open, leaving nothing half-written; return how many records that were."""
        lost = sum(part.records for part in self._open.values())
        for part in self._open.values():
            part.abandon()
        self._open.clear()
        return lost

    def _append(self, start_s: int, batch: pa.RecordBatch, ends: I64, rows: I64 | None) -> None:
        part = self._open.get(start_s)
        if part is None:
            if len(self._open) >= self._open_periods:
                self._finish(min(self._open))
            part = self._begin(int(ends[0]))
            self._open[start_s] = part
        # Counted before they are written, so that abort() after a failure counts them as lost.
        part.records += ends.size
        part.first_end_s = min(part.first_end_s, int(ends.min()))
        part.last_end_s = max(part.last_end_s, int(ends.max()))
        self._write(part, batch, ends, rows)
        if part.temp.size_bytes >= self._max_bytes:
            self._finish(start_s)

    def _finish(self, start_s: int) -> None:
        """Have a part delivered, and forget it once that is done."""
        part = self._open[start_s]
        number = self._numbers.get(start_s, 0)
        for delivered in self._deliver(part, start_s, number):
            part.records -= delivered.records
            self.results.append(delivered)
        part.temp.close()
        self._numbers[start_s] = number + 1
        del self._open[start_s]

    @abstractmethod
    def _begin(self, end_s: int) -> P:
        """A new part, whose first record ends at this second."""

    @abstractmethod
    def _write(self, part: P, batch: pa.RecordBatch, ends: I64, rows: I64 | None) -> None:
        """Append rows of the batch; `ends` (k,) int64 are theirs."""

    @abstractmethod
    def _deliver(self, part: P, start_s: int, number: int) -> Iterator[Delivered]:
        """Put everything of a part at its destination; `number`: which part of its period it is."""


Namer = Callable[[FlowLog, int, int, str, str], str]
"""(flow log, first second of the period, number of the part in it, SHA-256 of the content before compression and of the
file, both in hex) to the eight hex digits that tell files of one period apart."""


def content_name(flow_log: FlowLog, start_s: int, number: int, content_sha256: str, _file_sha256: str) -> str:
    """The name where there is no spool: the same content has the same name, whatever compressed it. A Namer."""
    return _digits(f"{flow_log.id} {start_s} {number} {content_sha256}")


def unit_namer(writer: str, unit_id: int, salt: int = 0) -> Namer:
    """Names of the files of a unit of a spool; no other unit, writer (the spool's UUID) or salt gives the same ones."""

    def name(flow_log: FlowLog, start_s: int, number: int, _content_sha256: str, file_sha256: str) -> str:
        return _digits(f"{flow_log.id} {writer} {start_s} {unit_id}.{number} {file_sha256} {salt}")

    return name


def renamed_key(flow_log: FlowLog, staged: StagedObject, writer: str, unit_id: int, salt: int) -> str:
    """Another key for an object whose own is taken by a foreign one: the same but for the eight hex digits.

    `salt`: 1, 2, … with every try. The object's number is here that in its unit, not that in its period.
    """
    name = unit_namer(writer, unit_id, salt)
    digits = name(flow_log, staged.period_start_s, staged.number, "", staged.finished.sha256)
    before, _, after = staged.finished.key.rpartition("_")
    return f"{before}_{digits}{after[_DIGITS:]}"


def _digits(named: str) -> str:
    return hashlib.sha256(named.encode()).hexdigest()[:_DIGITS]
