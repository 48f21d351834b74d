"""The agent's loop: inventory, server, captures, in turn.

Rule: one thread; whatever takes long looks at `stop`, so that the end comes soon and leaves nothing half done.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from structlog.stdlib import BoundLogger

from flowglass.app.agent.captures import CaptureFolder
from flowglass.app.agent.feed import InventoryFeed
from flowglass.app.agent.journal import Journal
from flowglass.app.agent.link import ServerLink
from flowglass.app.agent.work import CaptureWork
from flowglass.app.config import Config
from flowglass.app.stop import Stop
from flowglass.deliver import LocalStore
from flowglass.fields.contracts import DestinationType, FlowLog

TICK_S: Final = 0.5


class Agent:
    """One agent of DATA; `stop` is set when it shall end.

    Raises OptionError, InventoryError or DestinationUnwritable where it cannot begin.
    """

    def __init__(self, config: Config, log: BoundLogger, stop: Stop) -> None:
        data = config.data_dir
        journal = Journal.read(data)
        self._log = log
        self._stop = stop
        self._inventory = config.agent.inventory
        self._feed = InventoryFeed(self._inventory, lambda fault: log.error("inventory_fault", reason=fault))
        self._feed.refresh()
        self._store = LocalStore(data)
        self._link = ServerLink(config, data, log, self._feed, journal, self._welcome)
        self._watch = config.capture.watch
        self._work: CaptureWork | None = None
        if self._watch:
            self._store.clean()
            folder = CaptureFolder(Path(self._watch))
            self._work = CaptureWork(config.capture, folder, self._store, journal, log, stop)

    def run(self) -> None:
        """Work until `stop` is set. Raises OptionError where the agent cannot enrol."""
        self._log.info("agent_started", captures=self._watch or "none", inventory=self._inventory or "none")
        if not self._inventory:
            self._log.warning(
                "no_inventory", effect="nothing is recorded; the server keeps what it knew", remedy="--inventory FILE"
            )
        while not self._stop.is_set():
            # Captures first: what changed before one came, in the inventory or of flow logs, holds for it.
            paths = self._work.ready() if self._work is not None else []
            if self._feed.refresh():
                self._log.info("inventory_read", file=self._inventory)
                self._link.soon()
            if paths:
                self._link.soon()
            self._link.contact_if_due()
            if self._work is not None:
                self._record(self._work, paths)
            self._stop.wait(TICK_S)
        self._log.info("agent_stopped")

    def _welcome(self, flow_log: FlowLog) -> None:
        """Make the bucket of a new flow log, which the server saw in its own store, where this agent's has none."""
        to = flow_log.destination
        if to is not None and to.type is DestinationType.S3 and self._store.bucket(to.name) is None:
            self._store.create_bucket(to.name, time.time_ns() // 1_000_000)
            self._log.info("bucket_made", bucket=to.name, flow_log=flow_log.id)

    def _record(self, work: CaptureWork, paths: Sequence[Path]) -> None:
        for path in paths:
            if self._stop.is_set():
                return
            work.record(path, self._link.flow_logs, self._feed.snapshot)
            self._link.soon()
