"""The agent's work: captures out of the folder, recorded into the spool, moved aside.

Rule: a capture leaves the folder only when the spool has its records for every flow log; what fails is tried again,
later each time. Delivery goes on by itself from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from structlog.stdlib import BoundLogger

from flowglass import jit
from flowglass.app.agent.captures import CaptureFolder, digest_of
from flowglass.app.agent.recorder import Recorded, Stopped, record_capture, source_of
from flowglass.app.config import Capture
from flowglass.app.stop import Stop
from flowglass.deliver import Spool
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import CaptureError, DeliveryError, StateError
from flowglass.inventory import Snapshot

LONGEST_PAUSE_S: Final = 60.0
_NO_INVENTORY: Final = "no inventory: start with --inventory FILE, or set [agent] inventory"
_NO_FLOW_LOG: Final = (
    "no flow log yet for this agent's inventory: create one for a VPC, subnet or interface that it has"
)
_NOT_OWNED: Final = "does the inventory have these addresses, MACs or devices?"
_NOT_WANTED: Final = "is there a flow log of these interfaces, and of this traffic (ACCEPT, REJECT, ALL)?"


class CaptureWork:
    """Records what lies in `folder` into `spool`; `stop` ends it between blocks of packets."""

    def __init__(self, config: Capture, folder: CaptureFolder, spool: Spool, log: BoundLogger, stop: Stop) -> None:
        self._config = config
        self._folder = folder
        self._spool = spool
        self._log = log
        self._stop = stop
        self._waiting: str | None = None
        self._ignored: set[str] = set()
        self._retry: dict[str, tuple[float, float]] = {}

    def ready(self) -> list[Path]:
        """Captures that can be recorded now, the oldest first."""
        now = time.monotonic()
        found = [path for path in self._folder.complete() if self._retry.get(path.name, (0.0, 0.0))[0] <= now]
        ignored = self._folder.ignored
        for name in ignored.keys() - self._ignored:
            self._log.warning("capture_ignored", file=name, reason=ignored[name])
        self._ignored = set(ignored)
        return found

    def record(self, path: Path, flow_logs: Sequence[FlowLog], snapshot: Snapshot | None) -> None:
        """Record one capture for the flow logs that do not have it yet; where none could want any, it waits."""
        if snapshot is None or not flow_logs:
            self._wait(_NO_INVENTORY if snapshot is None else _NO_FLOW_LOG)
            return
        self._waiting = None
        try:
            digest = digest_of(path)
        except OSError as error:
            self._log.error("capture_unreadable", file=path.name, reason=error.strerror)
            self._later(path)
            return
        try:
            done = self._spool.recorded(source_of(digest))
            wanted = [flow_log for flow_log in flow_logs if flow_log.id not in done]
            if not wanted:
                kept = self._folder.done(path, digest)
                self._log.info("capture_known", file=path.name, reason="recorded already, for all", kept=str(kept))
                return
            recorded = self._recorded(path, digest, wanted, snapshot)
        except Stopped:
            return
        except CaptureError as error:
            self._log.error(
                "capture_refused", file=path.name, reason=str(error), kept=str(self._folder.failed(path, digest))
            )
        except (DeliveryError, StateError) as error:
            self._log.error("capture_waits", file=path.name, reason=str(error))
            self._later(path)
        else:
            self._settle(path, digest, recorded)

    def _recorded(self, path: Path, digest: str, wanted: Sequence[FlowLog], snapshot: Snapshot) -> Recorded:
        if not jit.compiled_before("record"):
            self._log.info("compiling", note="once for this data folder; about half a minute")
        recorded = record_capture(
            path,
            digest,
            wanted,
            snapshot,
            self._spool,
            assume_accept=self._config.assume_accept,
            max_flows=self._config.max_flows,
            stop=self._stop.is_set,
        )
        jit.mark_compiled("record")
        return recorded

    def _settle(self, path: Path, digest: str, recorded: Recorded) -> None:
        """The spool has it: move the capture aside, and tell."""
        for fault in recorded.damage:
            self._log.warning("capture_damaged", file=path.name, reason=str(fault))
        self._retry.pop(path.name, None)
        self._warn(path, recorded)
        self._log.info(
            "capture_recorded",
            file=path.name,
            packets=recorded.frames,
            records=recorded.records,
            kept=str(self._folder.done(path, digest)),
        )

    def _warn(self, path: Path, recorded: Recorded) -> None:
        """A capture of nothing, or of nobody's traffic, looks like any other one but for this."""
        if not recorded.frames:
            self._log.warning("capture_without_packets", file=path.name, reason="it holds no packet")
        elif recorded.records == recorded.nodata:
            self._log.warning(
                "capture_without_records",
                file=path.name,
                packets=recorded.frames,
                not_decoded=recorded.undecoded,
                flows=recorded.flows,
                unowned_flows=recorded.unowned,
                ambiguous_flows=recorded.ambiguous,
                left_out_flows=recorded.excluded,
                observations_without_flow_log=recorded.unwanted,
                remedy=_NOT_WANTED if recorded.observed else _NOT_OWNED,
            )

    def _wait(self, reason: str) -> None:
        if self._waiting != reason:
            self._log.warning("captures_wait", reason=reason)
        self._waiting = reason

    def _later(self, path: Path) -> None:
        """Try a capture again after a pause that doubles."""
        _, pause_s = self._retry.get(path.name, (0.0, 1.0))
        self._retry[path.name] = (time.monotonic() + pause_s, min(pause_s * 2, LONGEST_PAUSE_S))
