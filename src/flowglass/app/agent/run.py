"""The agent's loop: inventory, server, captures, in turn; deliveries go on beside it.

Rule: whatever takes long looks at `stop`, so that the end comes soon and leaves nothing half done. A step that fails,
as on a full disk, ends nothing and keeps no other step from its turn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from structlog.stdlib import BoundLogger

from flowglass.app.agent.captures import CaptureFolder
from flowglass.app.agent.clock import ClockWatch
from flowglass.app.agent.delivering import Deliveries, now_ms
from flowglass.app.agent.feed import InventoryFeed
from flowglass.app.agent.guard import Guard
from flowglass.app.agent.link import ServerLink
from flowglass.app.agent.work import CaptureWork
from flowglass.app.config import Config
from flowglass.app.stop import Stop
from flowglass.fields.contracts import DestinationType, FlowLog

TICK_S: Final = 0.5


class Agent:
    """One agent of DATA; `stop` is set when it shall end.

    Raises OptionError, InventoryError, StateError or a DeliveryError where it cannot begin.
    """

    def __init__(self, config: Config, log: BoundLogger, stop: Stop) -> None:
        self._log = log
        self._stop = stop
        self._guard = Guard(log)
        self._inventory = config.agent.inventory
        self._feed = InventoryFeed(self._inventory, lambda fault: log.error("inventory_fault", reason=fault))
        self._feed.refresh()
        self._news = False
        self._deliveries = Deliveries(config, log, self._has_news)
        self._link = ServerLink(config, config.data_dir, log, self._feed, self._deliveries.figures, self._welcome)
        self._clock = ClockWatch(time.time, time.monotonic)
        self._clock_steps = 0  # not counted yet
        self._watch = config.capture.watch
        self._work: CaptureWork | None = None
        if self._watch:
            folder = CaptureFolder(Path(self._watch))
            self._work = CaptureWork(config.capture, folder, self._deliveries.spool, log, stop)

    def run(self) -> None:
        """Work until `stop` is set. Raises OptionError where the agent cannot enrol."""
        self._log.info("agent_started", captures=self._watch or "none", inventory=self._inventory or "none")
        if not self._inventory:
            self._log.warning(
                "no_inventory", effect="nothing is recorded; the server keeps what it knew", remedy="--inventory FILE"
            )
        self._deliveries.start()
        try:
            while not self._stop.is_set():
                self._turn()
                self._stop.wait(TICK_S)
        finally:
            self._deliveries.stop()
        self._log.info("agent_stopped")

    def _turn(self) -> None:
        """Everything once."""
        # Captures first: what changed before one came, in the inventory or of flow logs, holds for it.
        paths = self._work.ready() if self._work is not None else []
        if self._feed.refresh():
            self._log.info("inventory_read", file=self._inventory)
            self._link.soon()
        if paths or self._news:
            self._news = False
            self._link.soon()
        self._guard.do("clock", self._look_at_clock)
        self._link.contact_if_due()
        if self._work is not None:
            self._record(self._work, paths)
        self._deliveries.keep_house(self._stop.is_set)

    def _has_news(self) -> None:
        """Deliveries tell of something, from any of their threads."""
        self._news = True

    def _look_at_clock(self) -> None:
        stepped_s = self._clock.step()
        if stepped_s:
            self._log.warning("clock_stepped", seconds=round(stepped_s, 3))
            self._clock_steps += 1
        if self._clock_steps:
            self._deliveries.spool.count({"clock_steps": self._clock_steps})
            self._clock_steps = 0

    def _welcome(self, flow_log: FlowLog) -> None:
        """Make the bucket of a new flow log, which the server saw in its own store, where this agent's has none."""
        to, store = flow_log.destination, self._deliveries.store
        if to is None or to.type is not DestinationType.S3 or self._deliveries.rules.settings(to) is not None:
            return
        if store.bucket(to.name) is None:
            store.create_bucket(to.name, now_ms())
            self._log.info("bucket_made", bucket=to.name, flow_log=flow_log.id)

    def _record(self, work: CaptureWork, paths: Sequence[Path]) -> None:
        for path in paths:
            if self._stop.is_set():
                return
            work.record(path, self._link.flow_logs, self._feed.snapshot)
            self._deliveries.poke()
            self._link.soon()
