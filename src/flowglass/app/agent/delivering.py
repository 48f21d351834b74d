"""What the agent delivers with: its spool, and the workers that bring what waits there to its destinations.

Rule: whatever becomes of a record is told here, as an event of the log and as a figure for the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from structlog.stdlib import BoundLogger

from flowglass.app import deliveries
from flowglass.app.agent.guard import Guard
from flowglass.app.config import Config
from flowglass.app.metric_table import AT
from flowglass.deliver import Delivery, LocalStore, Outlets, Spool, Status, note_removed, remove_old

FLUSH_S: Final = 8.0
"""How long the end of the agent may take for what waits."""
RETENTION_S: Final = 300.0
"""How often the local store is looked through for what is too old or too much."""


def now_ms() -> int:
    """The time since 1970."""
    return time.time_ns() // 1_000_000


class Deliveries:
    """The deliveries of one agent; `news`: called when the server has something to be told soon.

    Raises StateError, DestinationUnwritable or DestinationFull where the spool cannot be opened.
    """

    def __init__(self, config: Config, log: BoundLogger, news: Callable[[], None]) -> None:
        self._config = config
        self._log = log
        self._news = news
        self._guard = Guard(log)
        self.store = LocalStore(config.data_dir, deliveries.min_free_bytes(config))
        self.store.clean()
        self.rules = deliveries.rules(config)
        self.spool = Spool.open(
            deliveries.spool_folder(config),
            limits=deliveries.limits(config),
            now_ms=now_ms,
        )
        outlets = Outlets(self.spool, self.store, self.rules, builders=config.spool.workers)
        self._delivery = Delivery(self.spool, outlets, now_ms=now_ms, told=self._tell, workers=config.spool.workers)
        self._retention_due_s = 0.0

    def start(self) -> None:
        """Begin to deliver."""
        self._delivery.start()

    def poke(self) -> None:
        """There is something new in the spool."""
        self._delivery.poke()

    def stop(self) -> None:
        """Try what waits once more, for a few seconds, and end; the rest stays in the spool."""
        if not self._delivery.stop(FLUSH_S):
            waiting = sum(one.records for one in self._delivery.backlog())
            self._log.info("delivery_left", records=waiting, note="in the spool, for the next start")
        self.spool.close()

    def figures(self) -> tuple[Sequence[Status], Mapping[str, int]]:
        """How deliveries went, and the numbers of this agent; those of a destination have its name behind an @."""
        numbers = dict(self.spool.counters())
        numbers["spool_bytes"] = self.spool.size_bytes()
        for one in self._delivery.backlog():
            for name, number in (
                ("backlog_records", one.records),
                ("backlog_bytes", one.size_bytes),
                ("backlog_oldest_seconds", int(one.oldest_s)),
                ("destination_failing", int(bool(one.error))),
            ):
                numbers[f"{name}{AT}{one.destination}"] = number
        return self.spool.statuses(), numbers

    def keep_house(self, stop: Callable[[], bool]) -> None:
        """Remove what the local store has beyond its retention, if its turn has come, until `stop` says so."""
        if time.monotonic() < self._retention_due_s:
            return
        self._retention_due_s = time.monotonic() + RETENTION_S
        self._guard.do("retention", lambda: self._remove_old(stop))

    def _remove_old(self, stop: Callable[[], bool]) -> None:
        data = self._config.data_dir
        removed = remove_old(
            data,
            deliveries.retention(self._config),
            now_s=now_ms() / 1000,
            removed=lambda path: note_removed(data, path, now_ms=now_ms()),
            stop=stop,
        )
        if removed.objects:
            self._log.info("retention", objects=removed.objects, bytes=removed.size_bytes)
            self.spool.count({"retention_objects": removed.objects})

    def _tell(self, event: str, level: str, /, **facts: object) -> None:
        """Log an event of any thread."""
        getattr(self._log, level)(event, **facts)
        self._news()
