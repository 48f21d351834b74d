"""What fails in one place and what is told of it: a fault of one flow log is its own, and no reason goes untold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.support.records import flow_log
from tests.support.spooled import PERIOD_S, Clock, Heard, Places, ScriptedOutlet, record, wait_until

from flowglass.deliver import Delivery, Share, Spool, Unit
from flowglass.fields.errors import DestinationRefused, RequestRefused

A, B = (flow_log(id=f"fl-0000000{name}") for name in "ab")
Running = Callable[[ScriptedOutlet], AbstractContextManager[Callable[[], None]]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool", now_ms=clock.now_ms)
    yield opened
    opened.close()


@pytest.fixture
def running(spool: Spool, clock: Clock, heard: Heard) -> Running:
    """A delivery of both flow logs to one outlet; gives what lets a second pass."""

    @contextmanager
    def run(outlet: ScriptedOutlet) -> Iterator[Callable[[], None]]:
        places = Places({A.id: outlet, B.id: outlet})
        delivery = Delivery(spool, places, now_ms=clock.now_ms, told=heard, monotonic=clock.monotonic)
        delivery.start()

        def second() -> None:
            clock.s += 1.0
            delivery.poke()

        yield second
        delivery.stop(5.0)

    return run


def test_shares_that_make_no_unit_hold_up_no_other_flow_log(
    spool: Spool, heard: Heard, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign = Spool.assign

    def failing(self: Spool, shares: Sequence[Share]) -> Unit:
        if shares[0].flow_log.id == A.id:
            raise ValueError("these make no unit")
        return assign(self, shares)

    monkeypatch.setattr(Spool, "assign", failing)
    for minute in range(3):
        record(spool, [A, B], PERIOD_S + 60 * minute)
    with running(ScriptedOutlet(spool=spool)):
        wait_until(lambda: [share.flow_log.id for share in spool.shares()] == [A.id] * 3 and not spool.units())
        wait_until(lambda: heard.names() == ["delivery_fault"])
        assert heard.events[0][2]["flow_log"] == A.id


def test_another_reason_for_a_failure_is_told_and_so_is_the_first_after_somebody_asked(
    spool: Spool, heard: Heard, running: Running
) -> None:
    outlet = ScriptedOutlet(spool=spool)
    refusals = [DestinationRefused("denied"), DestinationRefused("denied")]

    def work(_: Unit) -> None:
        raise refusals.pop() if refusals else RequestRefused("no such key")

    outlet.work = work
    record(spool, A, PERIOD_S)

    def after(second: Callable[[], None]) -> list[object]:
        second()
        return [facts["reason"] for name, _, facts in heard.events if name == "delivery_failed"]

    with running(outlet) as second:
        wait_until(lambda: after(second) == ["denied", "no such key"] and len(outlet.units) >= 5)
        spool.request("retry", A.id)
        wait_until(lambda: after(second) == ["denied", "no such key", "no such key"])
