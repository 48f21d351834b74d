"""Spools with records in them, for tests of what delivers them; and destinations that fail by script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.support.records import flow_log

from flowglass.deliver import Spool
from flowglass.deliver.outlet import Outlet
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks import DirectorySink, EventBatch, Sent
from flowglass.deliver.spool import Unit
from flowglass.deliver.temp import TempFile
from flowglass.fields import DEFAULT_FORMAT
from flowglass.fields.contracts import FinishedObject, FlowLog
from flowglass.fields.schema import batch_schema
from flowglass.format import read_object

PERIOD_S = 1_529_511_600  # 2018-06-20 16:20:00 UTC

Outcome = Exception | bool | None
"""Of one attempt: an error, whether the object was new, or None to do as the real one does."""


@dataclass(slots=True)
class Clock:
    """Times that stand still until they are moved. `s`: Unix time; monotonic time is the same, but from 0."""

    s: float = PERIOD_S

    def now_ms(self) -> int:
        return int(self.s * 1000)

    def monotonic(self) -> float:
        return self.s - PERIOD_S


def records_of(count: int, window_start_s: int, first: int = 0) -> pa.RecordBatch:
    """`count` records of a window in AWS's default format and what the spool needs besides; `bytes` is `first`, …"""
    numbers = np.arange(first, first + count, dtype=np.int64)
    constant: dict[str, Any] = {
        "version": 2,
        "account-id": "123456789012",
        "srcaddr": "10.0.0.1",
        "dstaddr": "10.0.0.2",
        "srcport": 1024,
        "dstport": 443,
        "protocol": 6,
        "packets": 1,
        "action": "ACCEPT",
        "log-status": "OK",
    }
    schema = batch_schema(DEFAULT_FORMAT.columns)
    columns: dict[str, Any] = {name: pa.array([constant.get(name)] * count, kind) for name, kind in
                               zip(schema.names, schema.types, strict=True) if name in constant}  # fmt: skip
    interfaces = pa.array(["eni-0000000000000000a", "eni-0000000000000000b"])
    columns["interface-id"] = pa.DictionaryArray.from_arrays(pa.array(numbers % 2, pa.int32()), interfaces)
    columns["bytes"] = pa.array(numbers)
    columns["start"] = pa.array(window_start_s + numbers % 30)
    columns["end"] = pa.array(window_start_s + 30 + numbers % 30)
    columns["resource-id"] = pa.nulls(count, pa.string())
    return pa.RecordBatch.from_pydict(columns)


def record(
    spool: Spool, flow_logs: FlowLog | Sequence[FlowLog], window_start_s: int, count: int = 10, *, first: int = 0
) -> None:
    """One live window into the spool, all of it for each flow log."""
    logs = [flow_logs] if isinstance(flow_logs, FlowLog) else list(flow_logs)
    recording = spool.begin(f"live:{window_start_s}:{first}:{logs[0].id}", logs, window_s=60, live=True)
    recording.add(records_of(count, window_start_s, first), window_start_s, {log.id: None for log in logs})
    recording.commit()


def unit_of(spool: Spool, count: int = 10, log: FlowLog | None = None, window_start_s: int = PERIOD_S) -> Unit:
    """A unit of one window's records."""
    record(spool, log or flow_log(), window_start_s, count)
    return spool.assign(spool.shares()[-1:])


def delivered_bytes(root: Path) -> list[int]:
    """`bytes` of all records in the objects below a folder, sorted: each is there once."""
    found: list[int] = []
    for path in root.rglob("*.log.*"):
        found += read_object(path).table["bytes"].to_numpy().tolist()
    return sorted(found)


@dataclass(slots=True)
class ScriptedSink:
    """A folder that answers as the script says, and as a folder does when that is over.

    `lost`: errors of the script come after the object was put, like an answer that never arrives.
    """

    folder: DirectorySink
    script: list[Outcome] = field(default_factory=list)
    lost: bool = False
    puts: list[FinishedObject] = field(default_factory=list)

    def open_temp(self) -> TempFile:
        return self.folder.open_temp()

    def clean(self) -> int:
        return self.folder.clean()

    def put(self, finished: FinishedObject) -> bool:
        self.puts.append(finished)
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, Exception):
            if self.lost:
                self.folder.put(finished)
            raise outcome
        return self.folder.put(finished) if outcome is None else outcome


@dataclass(slots=True)
class ScriptedEvents:
    """A log service that takes `size` events a batch. Of the script, a number is how many events of a batch it takes;
    None takes all.
    """

    size: int = 4
    script: list[Exception | int | Sent | None] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def cut(self, rows: Iterable[Rows]) -> Iterator[EventBatch]:
        lines = [
            str(value).encode()
            for batch, chosen in rows
            for value in (batch if chosen is None else batch.take(chosen)).column("bytes").to_pylist()
        ]
        for first in range(0, len(lines), self.size):
            part = lines[first : first + self.size]
            yield EventBatch("all", [0] * len(part), part)

    def send(self, batch: EventBatch) -> Sent:
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Sent):
            return outcome
        took = len(batch.messages) if outcome is None else outcome
        self.sent += batch.messages[:took]
        left = batch.messages[took:]
        return Sent(left=EventBatch("all", [0] * len(left), left) if left else None)


@dataclass(slots=True, kw_only=True)
class ScriptedOutlet:
    """An outlet that does `work` with each unit; a unit is finished if that returns."""

    spool: Spool
    name: str = "there"
    work: Callable[[Unit], None] = lambda _: None
    at_once: bool = True
    ordered: bool = False
    parallel: int = 4
    units: list[Unit] = field(default_factory=list)

    def deliver(self, unit: Unit) -> None:
        self.units.append(unit)
        self.work(unit)
        self.spool.finish(unit)


@dataclass(slots=True)
class Places:
    """The outlets of flow logs, by id."""

    outlets: dict[str, Outlet]

    def outlet(self, flow_log: FlowLog) -> Outlet:
        return self.outlets[flow_log.id]


@dataclass(slots=True)
class Heard:
    """What was told to people."""

    events: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: str, level: str, /, **facts: object) -> None:
        with self._lock:
            self.events.append((event, level, facts))

    def names(self) -> list[str]:
        return [event for event, _, _ in self.events]


def wait_until(happened: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for other threads."""
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
