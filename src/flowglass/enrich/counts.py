"""What observe counts: every flow has exactly one outcome, and the sums are published.

Rule: `flows == observed + unowned + ambiguous + second_look_flows + sum(excluded)` and `observations ==
observed + second_observations`, with difference 0, for one batch and for any sum of batches.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field


@enum.unique
class Excluded(enum.IntEnum):
    """Why an observation is left out that AWS never logs. The texts are for people."""

    text: str

    RESERVED_ADDRESS = 0, "reserved address"  # metadata, time, router, resolver
    DHCP = 1, "DHCP"

    def __new__(cls, value: int, text: str) -> Excluded:
        """Make a member that carries its text."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveCounts:
    """Outcomes of flows, and of what interfaces saw of them. Counts of several batches add up.

    Flows, each in one of: `observed` by an interface; `unowned`, no interface has a part in it;
    `ambiguous`, only addresses that several VPCs hold; `second_look_flows`, its interfaces are seen at a
    point of their own; `excluded`, left out by cause (indexed by Excluded). Observations: `observations`
    before merging, of which `second_observations` are the second of their flow; `second_looks` and
    `excluded_observations` were left out before; `merged` rows went into an equal one.
    """

    flows: int = 0
    observed: int = 0
    unowned: int = 0
    ambiguous: int = 0
    second_look_flows: int = 0
    excluded: tuple[int, ...] = field(default=(0,) * len(Excluded))
    observations: int = 0
    second_observations: int = 0
    second_looks: int = 0
    excluded_observations: int = 0
    merged: int = 0

    @property
    def excluded_flows(self) -> int:
        """Flows of which every observation was left out, of any cause."""
        return sum(self.excluded)

    @property
    def records(self) -> int:
        """Observations after merging: one record each."""
        return self.observations - self.merged

    def __add__(self, other: ObserveCounts) -> ObserveCounts:
        added = {
            item.name: getattr(self, item.name) + getattr(other, item.name)
            for item in dataclasses.fields(ObserveCounts)
            if item.name != "excluded"
        }
        by_cause = tuple(a + b for a, b in zip(self.excluded, other.excluded, strict=True))
        return ObserveCounts(excluded=by_cause, **added)
