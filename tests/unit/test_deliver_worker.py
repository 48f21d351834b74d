"""Delivery as a whole: nobody holds anybody up, nothing ends it, everything is told once, and a backlog drains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.records import flow_log
from tests.support.spooled import (
    PERIOD_S,
    Clock,
    Heard,
    Places,
    ScriptedOutlet,
    delivered_bytes,
    record,
    wait_until,
)

from flowglass.deliver import Delivery, DirectorySink, ObjectBuilder, Request, Share, Spool, Unit
from flowglass.deliver.circuit import CAP_S
from flowglass.deliver.outlet import ObjectOutlet, Outlet
from flowglass.deliver.spool import UnitChanged
from flowglass.deliver.worker import ENFORCE_S
from flowglass.fields.errors import (
    DeliveryError,
    DestinationFull,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    DestinationUnwritable,
    Error,
    LogFormatError,
    OptionError,
    RecordsTooNew,
    RequestRefused,
)

A, B, C = (flow_log(id=f"fl-0000000{name}") for name in "abc")
Make = Callable[..., Delivery]


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
def make(spool: Spool, clock: Clock, heard: Heard) -> Iterator[Make]:
    """Makes and starts a delivery to these outlets, by flow log; its waits are as long as they may be."""
    made: list[Delivery] = []

    def started(workers: int = 2, **outlets: Outlet) -> Delivery:
        places = Places({f"fl-0000000{name}": outlet for name, outlet in outlets.items()})
        delivery = Delivery(
            spool, places, now_ms=clock.now_ms, told=heard, workers=workers, monotonic=clock.monotonic,
            chance=lambda: 1.0,
        )  # fmt: skip
        delivery.start()
        made.append(delivery)
        return delivery

    yield started
    for delivery in made:
        delivery.stop(5.0)


def raising(*errors: Exception) -> Callable[[Unit], None]:
    """Raises these, one a unit, then nothing."""
    left = list(errors)

    def work(_: Unit) -> None:
        if left:
            raise left.pop(0)

    return work


def empty(spool: Spool) -> bool:
    return not spool.shares() and not spool.units()


def message(spool: Spool, flow_log_id: str) -> str | None:
    return next((status.message for status in spool.statuses() if status.flow_log_id == flow_log_id), "")


def waiting(spool: Spool, flow_log_id: str) -> list[Share]:
    """What waits for a flow log, in units too."""
    everything = [*spool.shares(), *(share for unit in spool.units() for share in unit.shares)]
    return [share for share in everything if share.flow_log.id == flow_log_id]


def count(spool: Spool, flow_log_id: str) -> int:
    """How much waits for a flow log."""
    return len(waiting(spool, flow_log_id))


def test_what_comes_is_delivered_at_once(spool: Spool, make: Make) -> None:
    outlet = ScriptedOutlet(spool=spool)
    delivery = make(a=outlet)
    for minute in range(3):
        record(spool, A, PERIOD_S + 60 * minute)
        delivery.poke()
        wait_until(lambda: empty(spool))
    assert [len(unit.shares) for unit in outlet.units] == [1, 1, 1]
    assert delivery.stop(5.0)


def test_what_waited_before_the_start_is_delivered_too(spool: Spool, make: Make) -> None:
    record(spool, A, PERIOD_S)
    record(spool, A, PERIOD_S + 60)
    spool.assign(spool.shares()[:1])
    make(a=ScriptedOutlet(spool=spool))
    wait_until(lambda: empty(spool))


def test_five_minutes_are_awaited_and_come_due_without_a_poke(spool: Spool, clock: Clock, make: Make) -> None:
    outlet = ScriptedOutlet(spool=spool, at_once=False)
    delivery = make(a=outlet)
    for minute in range(5):
        record(spool, A, PERIOD_S + 60 * minute)
        delivery.poke()
    clock.s += 329
    delivery.poke()
    time.sleep(0.1)
    assert outlet.units == []
    clock.s += 1
    wait_until(lambda: outlet.units)
    assert [len(unit.shares) for unit in outlet.units] == [5]


def test_destinations_that_are_stuck_hold_up_nobody_else(spool: Spool, make: Make) -> None:
    never = threading.Event()
    stuck = {
        name: ScriptedOutlet(spool=spool, name=name, work=lambda _: _wait(never), parallel=1) for name in ("a", "b")
    }
    for minute in range(3):
        record(spool, [A, B, C], PERIOD_S + 60 * minute)
    well = ScriptedOutlet(spool=spool, name="c")
    delivery = make(workers=1, c=well, **stuck)
    wait_until(lambda: count(spool, C.id) == 0)
    assert len(well.units) == 3
    assert [len(outlet.units) for outlet in stuck.values()] == [1, 1]
    assert not delivery.stop(0.2)
    never.set()
    wait_until(lambda: not [unit for unit in spool.units() if unit.flow_log.id == A.id])


def _wait(event: threading.Event) -> None:
    assert event.wait(20)


def test_a_failing_destination_is_told_once_noted_for_all_its_flow_logs_and_recovers(
    spool: Spool, clock: Clock, make: Make, heard: Heard
) -> None:
    record(spool, [A, B], PERIOD_S)
    down = DestinationUnreachable("there: no answer; check the network")
    outlet = ScriptedOutlet(spool=spool, work=raising(*[down] * 3), parallel=1)
    delivery = make(workers=1, a=outlet, b=outlet)
    for attempt in range(1, 4):
        wait_until(lambda: len(outlet.units) == attempt)  # noqa: B023
        wait_until(lambda: message(spool, B.id) == message(spool, A.id) == "Unknown error")
        wait_until(lambda: not _running(delivery))
        delivery.poke()
        clock.s += 2.0 ** (attempt - 1) - 0.01
        delivery.poke()
        wait_until(lambda: delivery.backlog()[0].error == str(down))
        assert len(outlet.units) == attempt
        clock.s += 0.02
        delivery.poke()
    wait_until(lambda: empty(spool))
    assert heard.names() == ["delivery_failed", "delivery_recovered"]
    assert heard.events[0][1:] == (
        "error",
        {"destination": "there", "flow_log": A.id, "reason": "there: no answer; check the network"},
    )
    assert {status.message for status in spool.statuses()} == {None}
    assert delivery.backlog() == []


def _running(delivery: Delivery) -> int:
    return len(delivery._schedule.running())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DestinationRefused("no"), "Access error"),
        (DestinationUnwritable("no"), "Access error"),
        (RequestRefused("no such header"), "Unknown error"),
        (RecordsTooNew("of tomorrow"), "Unknown error"),
        (DestinationThrottled("no"), "Rate limited"),
        (DestinationFull("no"), "Unknown error"),
        (DestinationUnreachable("no"), "Unknown error"),
        (DeliveryError("what has no better name"), "Unknown error"),
        (OptionError("no boto3"), "Unknown error"),
        (LogFormatError("no column"), "Unknown error"),
        (ZeroDivisionError("a fault"), "Unknown error"),
    ],
)
def test_a_failure_has_the_text_that_aws_gives_it(spool: Spool, make: Make, error: Exception, text: str) -> None:
    record(spool, A, PERIOD_S)
    make(a=ScriptedOutlet(spool=spool, work=raising(*[error] * 9)))
    wait_until(spool.statuses)
    (status,) = spool.statuses()
    assert (status.message, status.reason) == (text, str(error))


def test_what_a_destination_refuses_one_flow_log_holds_up_no_other(spool: Spool, make: Make) -> None:
    for minute in range(3):
        record(spool, [A, B], PERIOD_S + 60 * minute)

    def work(unit: Unit) -> None:
        if unit.flow_log.id == A.id:
            raise DestinationRefused("not in this folder")

    outlet = ScriptedOutlet(spool=spool, work=work)
    make(a=outlet, b=outlet)
    wait_until(lambda: count(spool, B.id) == 0)
    wait_until(lambda: message(spool, A.id) == "Access error")
    assert message(spool, B.id) is None
    assert count(spool, A.id) == 3


def test_records_that_are_too_new_hold_up_none_that_are_not(spool: Spool, clock: Clock, make: Make) -> None:
    for minute in range(3):
        record(spool, A, PERIOD_S + 60 * minute)
    early = True

    def work(unit: Unit) -> None:
        if early and unit.shares[0].segment.windows == (PERIOD_S,):
            raise RecordsTooNew("of tomorrow")

    delivery = make(a=ScriptedOutlet(spool=spool, work=work, ordered=True))
    wait_until(lambda: count(spool, A.id) == 1)
    early = False
    clock.s += CAP_S
    delivery.poke()
    wait_until(lambda: empty(spool))


def test_what_was_given_up_before_its_turn_is_no_news(
    spool: Spool, clock: Clock, make: Make, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, assign = [UnitChanged("given up meanwhile")], Spool.assign

    def changed(self: Spool, shares: Sequence[Share]) -> Unit:
        if changes:
            raise changes.pop()
        return assign(self, shares)

    monkeypatch.setattr(Spool, "assign", changed)
    record(spool, A, PERIOD_S)
    outlet = ScriptedOutlet(spool=spool, work=raising(UnitChanged("changed meanwhile")))
    delivery = make(a=outlet)
    wait_until(lambda: outlet.units)  # it was planned anew at once
    wait_until(lambda: not _running(delivery))
    assert spool.statuses() == []
    wait_until(lambda: _nudged(delivery, clock) and empty(spool))
    assert "delivery_failed" not in heard.names()
    assert "delivery_disturbed" not in heard.names()


def test_a_fault_of_ours_in_one_unit_is_told_with_its_place_and_ends_nothing(
    spool: Spool, clock: Clock, make: Make, heard: Heard
) -> None:
    for minute in range(4):
        record(spool, A, PERIOD_S + 60 * minute)

    def work(unit: Unit) -> None:
        if unit.shares[0].segment.windows == (PERIOD_S,) and clock.s < PERIOD_S + 100:
            raise ZeroDivisionError("a fault of ours")

    outlet = ScriptedOutlet(spool=spool, work=work)
    delivery = make(a=outlet)
    wait_until(lambda: count(spool, A.id) == 1)
    clock.s += 1.01
    delivery.poke()
    wait_until(lambda: spool.counters().get("delivery_faults") == 2)
    clock.s += 100
    delivery.poke()
    wait_until(lambda: empty(spool))
    wait_until(lambda: heard.names() == ["delivery_fault", "delivery_recovered"])
    assert "ZeroDivisionError: a fault of ours" in str(heard.events[0][2]["traceback"])
    assert "in work" in str(heard.events[0][2]["traceback"])


def test_retry_after_is_kept(spool: Spool, clock: Clock, make: Make) -> None:
    record(spool, A, PERIOD_S)
    outlet = ScriptedOutlet(spool=spool, work=raising(DestinationThrottled("slow down", retry_after_s=900.0)))
    delivery = make(a=outlet)
    wait_until(lambda: delivery.backlog()[0].retry_s == 900.0)
    clock.s += 901
    delivery.poke()
    wait_until(lambda: empty(spool))


def test_stop_delivers_what_is_not_due_yet(spool: Spool, make: Make) -> None:
    outlet = ScriptedOutlet(spool=spool, at_once=False)
    delivery = make(a=outlet, b=outlet)
    for minute in range(3):
        record(spool, [A, B], PERIOD_S + 60 * minute)
    assert delivery.stop(10.0)
    assert empty(spool)
    assert sorted(len(unit.shares) for unit in outlet.units) == [3, 3]
    delivery.stop(1.0)


def test_stop_tries_what_fails_once_and_leaves_it_in_the_spool(spool: Spool, make: Make) -> None:
    down = ScriptedOutlet(spool=spool, name="down", work=raising(*[DestinationUnreachable("no")] * 99))
    well = ScriptedOutlet(spool=spool, name="well")
    record(spool, [A, B], PERIOD_S)
    delivery = make(a=down, b=well)
    assert delivery.stop(10.0)
    assert (count(spool, A.id), count(spool, B.id)) == (1, 0)
    assert len(down.units) == 1


def test_stop_does_not_wait_longer_than_it_may(spool: Spool, make: Make) -> None:
    event = threading.Event()
    record(spool, A, PERIOD_S)
    outlet = ScriptedOutlet(spool=spool, work=lambda _: _wait(event))
    delivery = make(a=outlet)
    wait_until(lambda: outlet.units)
    record(spool, A, PERIOD_S + 60)
    assert not delivery.stop(0.1)
    event.set()
    wait_until(lambda: not spool.units())
    assert len(spool.shares()) <= 1


def test_what_finds_the_spool_closed_after_the_stop_says_nothing(tmp_path: Path, clock: Clock, heard: Heard) -> None:
    event = threading.Event()
    own = Spool.open(tmp_path / "own" / "spool", now_ms=clock.now_ms)
    record(own, A, PERIOD_S)
    outlet = ScriptedOutlet(spool=own, work=lambda _: _wait(event))
    delivery = Delivery(own, Places({A.id: outlet}), now_ms=clock.now_ms, told=heard, monotonic=clock.monotonic)
    delivery.start()
    wait_until(lambda: outlet.units)
    assert not delivery.stop(0.1)
    own.close()
    event.set()
    wait_until(lambda: _running(delivery) == 0)
    assert heard.events == []
    reopened = Spool.open(tmp_path / "own" / "spool", now_ms=clock.now_ms)
    assert len(reopened.units()) == 1
    reopened.close()


def test_a_delivery_that_was_never_started_can_be_stopped(spool: Spool, clock: Clock, heard: Heard) -> None:
    assert not Delivery(spool, Places({}), now_ms=clock.now_ms, told=heard).stop(1.0)


def test_what_happens_in_the_spool_is_told_and_its_bounds_are_kept(
    tmp_path: Path, spool: Spool, clock: Clock, make: Make, heard: Heard
) -> None:
    record(spool, A, PERIOD_S)
    (file,) = (tmp_path / "spool" / "segments").iterdir()
    file.write_bytes(b"damaged")
    outlet = ObjectOutlet(
        name="there", at_once=True, spool=spool, sink=lambda _: DirectorySink(tmp_path / "bucket"),
        build=ObjectBuilder, building=threading.Semaphore(1),
    )  # fmt: skip
    delivery = make(a=outlet, b=ScriptedOutlet(spool=spool, name="b", work=raising(*[DestinationRefused("no")] * 99)))
    wait_until(lambda: "segment_damaged" in heard.names())
    wait_until(lambda: _nudged(delivery, clock) and count(spool, A.id) == 0)
    assert "delivery_failed" not in heard.names()
    record(spool, B, PERIOD_S)
    for _ in range(8 * 24 + 1):
        clock.s += 3600  # ages grow by an hour a look at most
        spool.enforce()
    clock.s += ENFORCE_S
    delivery.poke()
    wait_until(
        lambda: [facts["flow_log"] for name, _, facts in heard.events if name == "records_dropped"] == [A.id, B.id]
    )


def _nudged(delivery: Delivery, clock: Clock) -> bool:
    clock.s += 1.0
    delivery.poke()
    return True


def test_people_can_have_it_try_again_at_once_or_give_up(spool: Spool, clock: Clock, make: Make, heard: Heard) -> None:
    record(spool, [A, B], PERIOD_S)
    asleep = DestinationThrottled("later", retry_after_s=3600.0)
    outlets = {name: ScriptedOutlet(spool=spool, name=name, work=raising(asleep)) for name in "ab"}
    delivery = make(**outlets)
    wait_until(lambda: [row.error for row in delivery.backlog()] == ["later"] * 2)
    spool.request("retry", "a")
    clock.s += 1.0
    delivery.poke()
    wait_until(lambda: count(spool, A.id) == 0)
    assert count(spool, B.id) == 1
    spool.request("retry", B.id)
    spool.request("nonsense", "")
    spool.request("drop", "")
    clock.s += 1.0
    delivery.poke()
    wait_until(lambda: empty(spool) and len(heard.names()) >= 6 + 2)
    answers = [facts["answer"] for name, _, facts in heard.events if name == "spool_request"]
    assert answers[0] == "1 waits ended"
    assert answers[1] == "1 waits ended"
    assert "nonsense" in str(answers[2])
    assert "name a flow log" in str(answers[3])
    assert spool.take_requests() == []


def test_what_cannot_be_answered_is_done_once_and_keeps_nothing_else_from_being_done(
    spool: Spool, clock: Clock, make: Make, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, done = [True], Spool.done
    looks: list[int] = []

    def failing(self: Spool, request: Request, answer: str = "") -> None:
        if full:
            raise DestinationFull("journal.db: no space left on device")
        done(self, request, answer)

    monkeypatch.setattr(Spool, "done", failing)
    monkeypatch.setattr(Spool, "enforce", lambda _: looks.append(1))
    refused = raising(*[DestinationRefused("no")] * 99)
    delivery = make(a=ScriptedOutlet(spool=spool, work=refused))
    record(spool, A, PERIOD_S)
    spool.request("drop", A.id)
    wait_until(lambda: _nudged(delivery, clock) and "records_dropped" in heard.names())
    record(spool, A, PERIOD_S + 60)  # not meant by who asked
    before = len(looks)
    wait_until(lambda: _nudged(delivery, clock) and len(looks) >= before + 3)
    assert spool.counters()["records_dropped"] == 10
    assert len([facts for name, _, facts in heard.events if "no space left" in str(facts)]) == 1
    full.clear()
    wait_until(lambda: _nudged(delivery, clock) and "spool_request" in heard.names())
    (answer,) = [facts["answer"] for name, _, facts in heard.events if name == "spool_request"]
    assert answer == "10 records given up"
    assert spool.take_requests() == []


def test_a_recording_that_a_crash_left_is_good_news(tmp_path: Path, clock: Clock, heard: Heard) -> None:
    root = tmp_path / "own" / "spool"
    first = Spool.open(root, now_ms=clock.now_ms)
    record(first, A, PERIOD_S)
    first.close()
    for path in root.glob("journal.db*"):
        path.unlink()
    own = Spool.open(root, now_ms=clock.now_ms)
    places = Places({A.id: ScriptedOutlet(spool=own)})
    delivery = Delivery(own, places, now_ms=clock.now_ms, told=heard, monotonic=clock.monotonic)
    delivery.start()
    assert delivery.stop(5.0)
    own.close()
    assert [(event, level) for event, level, _ in heard.events] == [("recording_taken_up", "info")]


def test_what_waits_can_be_given_up(spool: Spool, clock: Clock, make: Make) -> None:
    def work(unit: Unit) -> None:
        if not unit.shares[0].skipped:
            raise DestinationRefused("no")

    record(spool, A, PERIOD_S)
    delivery = make(a=ScriptedOutlet(spool=spool, work=work))
    wait_until(spool.statuses)
    spool.request("drop", A.id)
    clock.s += 10.0
    delivery.poke()
    wait_until(lambda: _nudged(delivery, clock) and empty(spool))
    assert spool.statuses()[0].dropped == 10


def test_the_backlog_says_what_waits_and_why(spool: Spool, clock: Clock, make: Make) -> None:
    down = DestinationUnreachable("no answer")
    for minute in range(3):
        record(spool, A, PERIOD_S + 60 * minute, 10)
    record(spool, B, PERIOD_S, 7)
    clock.s += 100
    delivery = make(
        workers=1,
        a=ScriptedOutlet(spool=spool, name="a", work=raising(*[down] * 9), parallel=1),
        b=ScriptedOutlet(spool=spool, name="b", at_once=False),
    )
    wait_until(lambda: delivery.backlog()[0].error)
    first, second = delivery.backlog()
    assert (first.destination, first.units, first.shares, first.records) == ("a", 1, 3, 30)
    assert (first.error, first.retry_s, first.oldest_s) == ("no answer", 1.0, 100.0)
    assert first.size_bytes == sum(share.segment.size_bytes for share in waiting(spool, A.id))
    assert (second.destination, second.units, second.shares, second.records, second.error) == ("b", 0, 1, 7, "")


def test_a_spool_that_fails_is_told_once_and_tried_again(
    spool: Spool, make: Make, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Error] = [DestinationFull("journal.db: no space left on device")] * 5
    assign = Spool.assign

    def failing(self: Spool, shares: object) -> Unit:
        if failures:
            raise failures.pop()
        return assign(self, shares)  # type: ignore[arg-type]

    monkeypatch.setattr(Spool, "assign", failing)
    record(spool, A, PERIOD_S)
    delivery = make(a=ScriptedOutlet(spool=spool))

    def poked() -> bool:
        delivery.poke()
        return empty(spool)

    wait_until(poked)
    assert heard.names() == ["delivery_disturbed"]
    assert "traceback" not in heard.events[0][2]


def test_after_an_outage_the_backlog_drains_without_starving_new_windows(
    tmp_path: Path, spool: Spool, clock: Clock, make: Make
) -> None:
    """A destination is down, 20,000 records a minute, until 20 windows wait. Then it takes three units a minute: one
    window comes, so two of the backlog go; and no new one waits more than a minute longer for that.
    """
    room = threading.Semaphore(0)
    order: list[int] = []
    place = ObjectOutlet(
        name="there", at_once=True, spool=spool, sink=lambda _: DirectorySink(tmp_path / "bucket"),
        build=ObjectBuilder, building=threading.Semaphore(2),
    )  # fmt: skip
    down = True

    def work(unit: Unit) -> None:
        if down:
            raise DestinationUnreachable("no answer")
        assert room.acquire(timeout=20)
        place.deliver(unit)
        order.append((unit.shares[0].segment.windows[0] - PERIOD_S) // 60)

    class Limited(ScriptedOutlet):
        def deliver(self, unit: Unit) -> None:
            self.work(unit)

    delivery = make(a=Limited(spool=spool, work=work, parallel=1))
    per_window = 20_000
    for minute in range(20):
        clock.s = PERIOD_S + 60 * minute
        record(spool, A, PERIOD_S + 60 * minute, per_window, first=per_window * minute)
        down = minute < 15  # it is probed again within five minutes
        delivery.poke()
    assert order == []
    minute = 20
    late: list[int] = []
    while count(spool, A.id):
        assert minute < 60
        clock.s = PERIOD_S + 60 * minute
        record(spool, A, PERIOD_S + 60 * minute, per_window, first=per_window * minute)
        delivery.poke()
        before = len(order)
        room.release(3)
        due = min(3, minute + 1 - before)
        wait_until(lambda: len(order) >= before + due)  # noqa: B023
        late += [minute - window for window in order[before:] if window >= 20]
        minute += 1
    assert minute <= 20 + 12
    assert len(late) == minute - 20
    assert max(late) <= 1
    assert delivered_bytes(tmp_path / "bucket") == list(range(per_window * minute))
