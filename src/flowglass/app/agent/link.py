"""The agent's link to its server: enrol, tell the inventory, fetch flow logs, report.

Rule: an outage stops nothing but what needs the server; it is told once when it begins, once more where it becomes a
refusal, and once when it ends; the pauses between attempts grow. What fails on this machine, as on a full disk, keeps
the agent neither from the server nor from telling it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from structlog.stdlib import BoundLogger

from flowglass.app.agent import flow_logs as known
from flowglass.app.agent.client import Client, ServerRefused, ServerUnreachable
from flowglass.app.agent.feed import InventoryFeed
from flowglass.app.agent.guard import Guard
from flowglass.app.agent.identity import default_name, enrol, read_identity
from flowglass.app.config import Config
from flowglass.deliver import Status
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import OptionError

LONGEST_PAUSE_S: Final = 60.0
_REMEDIES: Final = {
    "AuthFailure": " To enrol again: remove agent.json from the data folder and give a new token, which `flowglass "
    "keys token` prints on the server."
}
"""What a person can do where the server refuses, by the fault's code."""


Figures = Callable[[], tuple[Sequence[Status], Mapping[str, int]]]
"""How deliveries went, and the numbers of this agent by name."""


class ServerLink:
    """`flow_logs`: what the server said last, also before a restart.

    `figures`: what to report; `welcome`: is told of each flow log when the agent learns of it, and again at the next
    contact where it raises an Error.
    Raises OptionError where no server is named.
    """

    def __init__(
        self,
        config: Config,
        data: Path,
        log: BoundLogger,
        feed: InventoryFeed,
        figures: Figures,
        welcome: Callable[[FlowLog], None],
    ) -> None:
        if not config.agent.server:
            raise OptionError("[agent] server: name the server's address, like https://flowglass.example:8780")
        self.flow_logs: list[FlowLog] = []
        self._agent = config.agent
        self._data = data
        self._log = log
        self._feed = feed
        self._figures = figures
        self._told: dict[str, Status] = {}
        self._welcome = welcome
        self._new: list[FlowLog] = []  # not welcomed yet
        self._guard = Guard(log)
        self._client: Client | None = None
        self._due = 0.0
        self._pause_s = 0.0
        self._trouble: str | None = None
        self._revision: str | None = None
        self.flow_logs = self._readable(known.kept(data))

    @property
    def away(self) -> bool:
        """Whether the server did not answer lately, or refused."""
        return self._trouble is not None

    def soon(self) -> None:
        """There is something to tell: do not wait for the next turn, unless the server is away."""
        if not self.away:
            self._due = 0.0

    def contact_if_due(self) -> None:
        """Talk to the server if its turn has come. Raises OptionError where the agent cannot enrol."""
        if time.monotonic() >= self._due:
            self.contact()

    def contact(self) -> None:
        """Everything that needs the server. Raises OptionError where the agent cannot enrol."""
        try:
            client = self._connect()
            self._feed.send(client)
            self._guard.do("flow-logs", lambda: self._fetch(client))
            self._guard.do("report", lambda: self._report(client))
        except ServerUnreachable as error:
            self._absent("server_away", str(error))
            return
        except ServerRefused as error:
            self._absent("server_refuses", f"{error}{_REMEDIES.get(error.code, '')}")
            return
        if self.away:
            self._log.info("server_back", server=self._agent.server)
        self._trouble, self._pause_s = None, 0.0
        self._due = time.monotonic() + self._agent.poll_s

    def _connect(self) -> Client:
        if self._client is None:
            agent = self._agent
            identity = read_identity(self._data)
            if identity is None:
                if not agent.token:
                    raise OptionError(
                        "this agent is not enrolled: give it a token in FLOWGLASS_AGENT_TOKEN, "
                        "which `flowglass keys token` prints on the server"
                    )
                name = agent.name or default_name()
                identity = enrol(self._data, agent.server, agent.token, name, ca_file=agent.tls_ca)
                self._log.info("enrolled", agent=identity.agent, server=agent.server)
            self._client = Client(agent.server, identity.key, ca_file=agent.tls_ca)
        return self._client

    def _absent(self, event: str, reason: str) -> None:
        self._feed.forget()
        self._told.clear()  # as with the inventory: the server may come back without what it was told
        if event != self._trouble:
            self._log.error(event, server=self._agent.server, reason=reason, known_flow_logs=len(self.flow_logs))
        self._trouble = event
        self._pause_s = min(max(1.0, self._pause_s * 2), LONGEST_PAUSE_S)
        self._due = time.monotonic() + self._pause_s

    def _fetch(self, client: Client) -> None:
        """The flow logs, if there are others than those that are known."""
        answer = client.call("flow-logs", {"revision": self._revision})
        rows = answer.get("flow_logs")
        if rows is not None:
            self._take(rows)
        self._new = [one for one in self._new if not self._guard.do(f"welcome {one.id}", partial(self._welcome, one))]
        if rows is not None:
            known.keep(self._data, rows)
        self._revision = answer.get("revision")  # only now: rows that could not be kept are said again

    def _take(self, rows: Sequence[Mapping[str, Any]]) -> None:
        before = {flow_log.id for flow_log in self.flow_logs}
        self.flow_logs = self._readable(rows)
        for flow_log in self.flow_logs:
            if flow_log.id not in before:
                self._log.info("flow_log_added", flow_log=flow_log.id)
                self._new.append(flow_log)
        now = {flow_log.id for flow_log in self.flow_logs}
        self._new = [flow_log for flow_log in self._new if flow_log.id in now]
        for name in sorted(before - now):
            self._log.info("flow_log_removed", flow_log=name)

    def _readable(self, rows: Sequence[Mapping[str, Any]]) -> list[FlowLog]:
        return known.flow_logs(
            rows, lambda name, why: self._log.error("flow_log_unreadable", flow_log=name, reason=why)
        )

    def _report(self, client: Client) -> None:
        """Tell how deliveries went where that is news, and the numbers."""
        statuses, counters = self._figures()
        news = [status for status in statuses if self._told.get(status.flow_log_id) != status]
        rows = [
            {
                "flow_log_id": status.flow_log_id,
                "status": "SUCCESS" if status.message is None else "FAILED",
                "message": status.message,
                "at_ms": status.at_ms,
                "objects": status.objects,
            }
            for status in news
        ]
        client.call("report", {"deliveries": rows, "counters": dict(counters)})
        self._told.update((status.flow_log_id, status) for status in news)
