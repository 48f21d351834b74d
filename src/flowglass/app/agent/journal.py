"""What the agent remembers: which captures it recorded for which flow logs, and how deliveries went.

Rule: it is written whole after each capture, before the capture is moved aside; so a crash in between records the
capture once more, which gives the same objects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from flowglass.app.private_file import write_private

FILE: Final = "agent-journal.json"
MOST_CAPTURES: Final = 10_000
"""How many captures are remembered; the oldest are forgotten."""


@dataclass(slots=True, kw_only=True)
class Delivery:
    """How the last delivery of a flow log went; `objects`: in all; `told`: the server knows."""

    status: str
    message: str | None
    at_ms: int
    objects: int
    told: bool = False


@dataclass(slots=True)
class Journal:
    """`captures`: by digest, the flow logs for which it was recorded; `counters`: sums since the agent was enrolled."""

    path: Path
    captures: dict[str, list[str]] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Path) -> Journal:
        """The journal in DATA; an empty one where there is none or it is damaged (captures are then done again)."""
        journal = cls(data / FILE)
        try:
            kept = json.loads(journal.path.read_text(encoding="utf-8"))
            journal.captures = {str(key): [str(one) for one in value] for key, value in kept["captures"].items()}
            journal.deliveries = {str(key): Delivery(**value) for key, value in kept["deliveries"].items()}
            journal.counters = {str(key): int(value) for key, value in kept["counters"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(data / FILE)
        return journal

    def write(self) -> None:
        """Keep it. Raises DestinationUnwritable."""
        kept: dict[str, Any] = {
            "captures": dict(list(self.captures.items())[-MOST_CAPTURES:]),
            "deliveries": {key: asdict(value) for key, value in self.deliveries.items()},
            "counters": self.counters,
        }
        write_private(self.path, json.dumps(kept).encode())

    def count(self, counters: Mapping[str, int]) -> None:
        """Add to the sums."""
        for name, number in counters.items():
            self.counters[name] = self.counters.get(name, 0) + number

    def recorded(self, digest: str, flow_logs: list[str]) -> None:
        """A capture was recorded for these flow logs too."""
        before = self.captures.pop(digest, [])
        self.captures[digest] = list(dict.fromkeys((*before, *flow_logs)))

    def delivered(self, flow_log: str, *, failure: str | None, objects: int, now_ms: int) -> None:
        """How a delivery went. `failure`: AWS's text of DeliverLogsErrorMessage, None for success."""
        before = self.deliveries.get(flow_log)
        self.deliveries[flow_log] = Delivery(
            status="SUCCESS" if failure is None else "FAILED",
            message=failure,
            at_ms=now_ms,
            objects=objects + (before.objects if before else 0),
        )
