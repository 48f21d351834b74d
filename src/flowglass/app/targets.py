"""What records are made for: flow logs, the interfaces each of them logs, and the builders of their objects.

Rule: a plan says which; the pipeline asks it anew whenever there is another snapshot. A builder outlives snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from flowglass.app.options import RecordOptions
from flowglass.deliver import Delivered, ObjectBuilder, Sink
from flowglass.fields import Column
from flowglass.fields.contracts import I64, Bools, FlowLog
from flowglass.inventory import Snapshot

_VERSION: Final = "version"


class Builder(Protocol):
    """Makes objects of records; see `ObjectBuilder`."""

    @property
    def results(self) -> list[Delivered]:
        """What was delivered, in order."""
        ...

    def add(self, batch: pa.RecordBatch, end_s: I64, rows: I64 | None = None) -> None:
        """Append rows of a batch."""
        ...

    def settle(self, before_s: int) -> None:
        """Finish the objects of periods that end at or before this second."""
        ...

    def close(self) -> list[Delivered]:
        """Finish every object and return all."""
        ...

    def abort(self) -> int:
        """Drop what is open; return how many records that were."""
        ...


@dataclass(slots=True)
class Target:
    """One flow log. `interfaces`: (n,) bool, the rows of the snapshot's interfaces that it logs; `records`: so far.

    `own_version`: the batch's column `version` is of other flow logs too, so this one's replaces it.
    """

    flow_log: FlowLog
    interfaces: Bools
    builder: Builder
    own_version: bool = False
    records: int = 0

    def add(self, batch: pa.RecordBatch, end_s: I64, rows: I64 | None) -> None:
        """Append rows of a batch (all if None) to the flow log's objects."""
        if self.own_version and _VERSION in batch.schema.names:
            place = batch.schema.get_field_index(_VERSION)
            version = pa.array(np.full(batch.num_rows, self.flow_log.log_format.version, np.int32))
            batch = batch.set_column(place, _VERSION, version)
        self.builder.add(batch, end_s, rows)
        self.records += len(end_s) if rows is None else len(rows)


class Plan(Protocol):
    """What is asked of one run. `columns`: all that its flow logs ask for; `version`: what that column prints."""

    @property
    def interval_s(self) -> int:
        """Seconds of a window: 60 or 600."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of every record batch."""
        ...

    @property
    def version(self) -> int:
        """What the column `version` says before a target has its own."""
        ...

    @property
    def assume_accept(self) -> bool:
        """Whether a flow that nothing judged counts as accepted."""
        ...

    @property
    def place(self) -> tuple[str, str]:
        """Account and region of interfaces that no inventory describes."""
        ...

    def targets(self, snapshot: Snapshot) -> Sequence[Target]:
        """The flow logs for the interfaces of a snapshot; the same objects as long as their interfaces are."""
        ...


@dataclass(slots=True)
class RecordPlan:
    """`record`: one flow log an account and region, made from the options; all go to one sink."""

    options: RecordOptions
    sink: Sink
    _builders: dict[tuple[str, str], ObjectBuilder] = field(default_factory=dict)

    @property
    def interval_s(self) -> int:
        """Seconds of a window."""
        return self.options.interval_s

    @property
    def columns(self) -> tuple[Column, ...]:
        """The log format's."""
        return self.options.columns.columns

    @property
    def version(self) -> int:
        """The log format's."""
        return self.options.columns.version

    @property
    def assume_accept(self) -> bool:
        """As the options say."""
        return self.options.assume_accept

    @property
    def place(self) -> tuple[str, str]:
        """As the options say."""
        return self.options.place()

    def targets(self, snapshot: Snapshot) -> Sequence[Target]:
        """A target for each account and region of the interfaces."""
        account, region = self.place
        accounts = snapshot.interfaces.account.to_pylist()
        regions = snapshot.interfaces.region.to_pylist()
        scopes = [(own or account, where or region) for own, where in zip(accounts, regions, strict=True)]
        number = {scope: place for place, scope in enumerate(dict.fromkeys(scopes))}
        scope_of = np.array([number[scope] for scope in scopes], np.int32)
        return [
            Target(self.options.flow_log(*scope), scope_of == place, self._builder(scope))
            for scope, place in number.items()
        ]

    def _builder(self, scope: tuple[str, str]) -> ObjectBuilder:
        if scope not in self._builders:
            self._builders[scope] = ObjectBuilder(self.options.flow_log(*scope), self.sink)
        return self._builders[scope]
