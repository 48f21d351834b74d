"""The agent's turns on a machine that fails it: none of that ends it, and what was missed is done later.

Rule: the agent runs here, a script in place of the end that a signal asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.agent_server import Server, enrol_at, row, serving
from tests.support.small_disk import mounted

from flowglass.app import log
from flowglass.app.agent.clock import ClockWatch
from flowglass.app.agent.flow_logs import FILE as KEPT
from flowglass.app.agent.link import ServerLink
from flowglass.app.agent.run import Agent
from flowglass.app.config import load_config
from flowglass.app.stop import Stop
from flowglass.deliver import Spool, SpoolView
from flowglass.fields.errors import DestinationFull

ONE = "fl-00000001"


class Turns(Stop):
    """Ends the agent after as many turns as there are steps, and one; each step is done between two turns."""

    def __init__(self, steps: Sequence[Callable[[], None]]) -> None:
        self._steps = list(steps)
        self._over = False

    def is_set(self) -> bool:
        return self._over

    def wait(self, seconds: float) -> bool:
        if self._steps:
            self._steps.pop(0)()
        else:
            self._over = True
        return self._over


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=4m,mode=700") as disk:
        yield disk


def events_of(
    data: Path, server: Server, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]
) -> list[dict[str, Any]]:
    """What an agent tells that goes to its server at every turn, with these steps between its turns."""
    monkeypatch.setattr(ServerLink, "contact_if_due", ServerLink.contact)
    enrol_at(server, data)
    config = load_config(data, environ={"FLOWGLASS_AGENT_SERVER": server.url})
    with capture_logs() as told:
        Agent(config, log.logger("agent"), Turns(steps)).run()
    return [dict(event) for event in told]


def test_a_full_disk_ends_nothing_and_all_is_made_up_for(
    server: Server, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = small_disk / "filler"

    def fill() -> None:
        server.has(row(ONE))
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))

    told = events_of(small_disk, server, monkeypatch, fill, lambda: None, filler.unlink)
    names = [(event["event"], event.get("step")) for event in told]
    for step in (f"welcome {ONE}", "flow-logs"):
        assert names.count(("step_failed", step)) == names.count(("step_recovered", step)) == 1
    assert names[-1] == ("agent_stopped", None)
    assert server.calls == ["flow-logs", "report"] * 4
    assert (small_disk / "buckets" / "logs.json").exists()
    assert (small_disk / KEPT).exists()


def test_a_journal_that_takes_nothing_ends_nothing_and_steps_of_the_clock_are_counted_later(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps_s, real = [5.0, 5.0, 0.0, 0.0], Spool.count

    def refuse(*_: object) -> None:
        raise DestinationFull("journal.db: no space left on device")

    monkeypatch.setattr(ClockWatch, "step", lambda _: steps_s.pop(0))
    monkeypatch.setattr(Spool, "count", refuse)
    told = events_of(
        tmp_path, server, monkeypatch, lambda: None, lambda: None, lambda: monkeypatch.setattr(Spool, "count", real)
    )
    assert [event["event"] for event in told if event.get("step") == "clock"] == ["step_failed", "step_recovered"]
    assert SpoolView.open(tmp_path / "spool").counters["clock_steps"] == 2


def test_retention_that_fails_ends_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DestinationFull("no room")

    monkeypatch.setattr("flowglass.app.agent.delivering.remove_old", refuse)
    told = events_of(tmp_path, server, monkeypatch, lambda: None)
    assert [event["event"] for event in told if event.get("step") == "retention"] == ["step_failed"]
    assert told[-1]["event"] == "agent_stopped"
