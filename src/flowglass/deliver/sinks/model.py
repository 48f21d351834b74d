"""What every destination is: of objects, or of log events.

Rule: whoever delivers knows these, and no destination of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from flowglass.deliver.rows import Rows
from flowglass.deliver.temp import TempFile
from flowglass.fields.contracts import FinishedObject


class Sink(Protocol):
    """A destination of objects. Its failures are the classes under DeliveryError."""

    def open_temp(self) -> TempFile:
        """A temporary file to build an object in."""
        ...

    def put(self, finished: FinishedObject) -> bool:
        """Deliver under the object's key, never over another one; False if the key is there already.

        The file at `finished.path` stays as it is: it is its owner's to remove.
        """
        ...

    def clean(self) -> int:
        """Remove what killed processes left; return how many files that were."""
        ...


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Log events for one call, in order of time, within every limit of the service; only events that are too large by
    themselves are left to `send` to reject.

    `stream`: the log stream, "" where the service has none; `times_ms`: since 1970, empty where the service takes
    none; `messages`: the events as the service takes them, UTF-8.
    """

    stream: str
    times_ms: Sequence[int]
    messages: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch: `left`: events that the service did not take this time, to be sent again alone;
    `rejected`: events that it will never take, with the reason.
    """

    left: EventBatch | None = None
    rejected: int = 0
    reason: str = ""


class EventSink(Protocol):
    """A destination of log events. Its failures are the classes under DeliveryError."""

    def cut(self, rows: Iterable[Rows]) -> Iterator[EventBatch]:
        """The batches of some records: the same ones, in the same order, whenever the same records are cut."""
        ...

    def send(self, batch: EventBatch) -> Sent:
        """Send one batch. What the service would refuse for its size is rejected without being sent; of its age the
        service alone judges, for the clock here may be wrong.
        """
        ...
