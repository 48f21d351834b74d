"""What records are made for: flow logs, and the interfaces that each of them logs.

Rule: a plan says which; the pipeline asks it anew whenever there is another snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from flowglass.app.options import RecordOptions
from flowglass.fields import Column
from flowglass.fields.contracts import Bools, FlowLog
from flowglass.inventory import Snapshot


@dataclass(frozen=True, slots=True)
class Target:
    """One flow log. `interfaces`: (n,) bool, the rows of the snapshot's interfaces that it logs."""

    flow_log: FlowLog
    interfaces: Bools


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
        """What the column `version` says."""
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
        """The flow logs for the interfaces of a snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """`record`: one flow log an account and region, made from the options. `prefix`: folder in the bucket."""

    options: RecordOptions
    prefix: str = ""

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
            Target(replace(self.options.flow_log(*scope), prefix=self.prefix), scope_of == place)
            for scope, place in number.items()
        ]
