"""Spool and delivery as a bench runs them: in simulated time, with records made beforehand, one way out behind a gate.

Rule: what goes wrong is kept and ends the bench; only while the gate is down may deliveries fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bench import generate, micro
from bench.measure import CommandError
from flowglass.deliver import LocalStore
from flowglass.deliver.aws import BucketSettings
from flowglass.deliver.outlet import ObjectOutlet, Outlet
from flowglass.deliver.outlets import Outlets
from flowglass.deliver.rows import union
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks import Sink
from flowglass.deliver.spool import Share, Spool
from flowglass.deliver.temp import TempFile
from flowglass.deliver.worker import Delivery
from flowglass.enrich import Enricher, Observer
from flowglass.fields.contracts import Destination, DestinationType, FinishedObject, FlowLog
from flowglass.fields.errors import DestinationUnreachable
from flowglass.inventory import load

ACCOUNT, REGION = "123456789012", "eu-west-1"
LOCAL, REMOTE = "flowglass-logs", "lake"
"""The bucket of the local store, and the one of the S3 server where there is one."""
WINDOW_S: Final = 60
BEGIN_S: Final = generate.START_S // 600 * 600
FLUSH_S: Final = 3000.0
WORKERS: Final = 2


@dataclass(slots=True)
class Clock:
    """Time that goes on when it is told to."""

    now_s: float = BEGIN_S

    def now_ms(self) -> int:
        """Since 1970."""
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        """Of a clock that is never set."""
        return self.now_s


@dataclass(slots=True)
class Gate:
    """The way to a destination. `down`: nothing gets through."""

    down: bool = False


@dataclass(frozen=True, slots=True)
class GatedSink:
    """A destination behind a gate."""

    sink: Sink
    gate: Gate

    def open_temp(self) -> TempFile:
        """As the destination does."""
        return self.sink.open_temp()

    def put(self, finished: FinishedObject) -> bool:
        """Deliver, or fail as a service that does not answer."""
        if self.gate.down:
            raise DestinationUnreachable("the gate is down")
        return self.sink.put(finished)

    def clean(self) -> int:
        """As the destination does."""
        return self.sink.clean()


@dataclass(frozen=True, slots=True)
class Gated:
    """Outlets, of which that of one flow log is behind a gate."""

    outlets: Outlets
    flow_log_id: str
    gate: Gate

    def outlet(self, flow_log: FlowLog) -> Outlet:
        """The outlet of a flow log's destination."""
        outlet = self.outlets.outlet(flow_log)
        if flow_log.id != self.flow_log_id or not isinstance(outlet, ObjectOutlet):
            return outlet
        sink = outlet.sink
        return replace(outlet, sink=lambda flow_log: GatedSink(sink(flow_log), self.gate))


def flow_log(number: int, to: Destination, **more: Any) -> FlowLog:
    """A flow log of 21 fields, where nothing else is said."""
    chosen: dict[str, Any] = {"log_format": micro.TWENTY_ONE, "destination": to, "prefix": f"{number}", **more}
    return FlowLog(id=f"fl-{number:017x}", account=ACCOUNT, region=REGION, **chosen)


def bucket(name: str) -> Destination:
    """An S3 destination."""
    return Destination(DestinationType.S3, name)


def stock(flow_logs: Sequence[FlowLog], records: int, work: Path) -> list[pa.RecordBatch]:
    """A window's records with all columns that the flow logs need, of the window from BEGIN_S on."""
    inventory = work / "inventory.yaml"
    inventory.write_text(micro.INVENTORY)
    snapshot = load(inventory)
    seen = Observer(snapshot, micro.POINTS).observe(micro.flows(records))
    enricher = Enricher(union(flow_logs), snapshot, version=2, assume_accept=False)
    made = (enricher.records(seen, at, min(at + micro.SLICE, records)) for at in range(0, records, micro.SLICE))
    return [later(batch, BEGIN_S - generate.START_S) for batch in made]


def later(batch: pa.RecordBatch, seconds: int) -> pa.RecordBatch:
    """The same records, so much later."""
    for name in ("start", "end"):
        index = batch.schema.get_field_index(name)
        times = batch.column(index).to_numpy(zero_copy_only=False) + np.int64(seconds)
        batch = batch.set_column(index, name, pa.array(times))
    return batch


class Site:
    """Spool and delivery over the local store under `work`, and over an S3 server at `url` if there is one."""

    def __init__(self, work: Path, url: str, gated: str, clock: Clock) -> None:
        store = LocalStore(work / "data")
        for name in (LOCAL, REMOTE):
            store.create_bucket(name, clock.now_ms())
        remote = BucketSettings(endpoint=url, region=REGION, addressing="path")
        rules = DestinationRules(buckets={REMOTE: remote} if url else {})
        self.gate = Gate()
        self.spool = Spool.open(work / "data" / "spool", now_ms=clock.now_ms)
        made = Outlets(self.spool, store, rules, builders=WORKERS)
        self.outlets = Gated(made, gated, self.gate)
        self.troubles: list[str] = []
        self.delivery = Delivery(
            self.spool,
            self.outlets,
            now_ms=clock.now_ms,
            told=self._told,
            workers=WORKERS,
            monotonic=clock.monotonic,
        )

    def record(self, flow_logs: Sequence[FlowLog], batches: Sequence[pa.RecordBatch], number: int) -> None:
        """Record window `number`."""
        start_s = BEGIN_S + number * WINDOW_S
        recording = self.spool.begin(f"window {number}", flow_logs, window_s=WINDOW_S, live=True)
        for batch in batches:
            everyone = {flow_log.id: None for flow_log in flow_logs}
            recording.add(later(batch, number * WINDOW_S), start_s, everyone)
        recording.commit()

    def waiting(self) -> list[Share]:
        """Everything that is not delivered."""
        return [*self.spool.shares(), *(share for unit in self.spool.units() for share in unit.shares)]

    def stop(self) -> dict[str, int]:
        """Deliver everything and end; return the records delivered by flow log."""
        tried = self.delivery.stop(FLUSH_S)
        left = len(self.waiting())
        statuses = self.spool.statuses()
        self.spool.close()
        if self.troubles or left or not tried:
            raise CommandError(f"{left} shares were not delivered: {'; '.join(self.troubles)}")
        return {status.flow_log_id: status.records for status in sorted(statuses, key=lambda one: one.flow_log_id)}

    def _told(self, event: str, level: str, /, **facts: object) -> None:
        if level != "info" and not (self.gate.down and event == "delivery_failed"):
            self.troubles.append(f"{event} {facts}")
