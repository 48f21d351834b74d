"""What is delivered next: nobody starves anybody."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from tests.support.records import flow_log

from flowglass.deliver.circuit import Circuits
from flowglass.deliver.schedule import Schedule, Work
from flowglass.deliver.spool.model import LIVE, Segment, Share, Unit

T = 1_529_511_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An outlet of which only the properties count."""

    name: str
    at_once: bool = True
    ordered: bool = False
    parallel: int = 4

    def deliver(self, unit: Unit) -> None:
        raise NotImplementedError


A, B, C = (Place(name=name) for name in "abc")


def work(number: int, outlet: Place = A, flow_log_id: str = "fl-00000001", *, unit: bool = False) -> Work:
    log = flow_log(id=flow_log_id)
    start_s = T + 60 * number
    segment = Segment(
        id=number,
        file="",
        stream=LIVE,
        period_start_s=start_s // 300 * 300,
        windows=(start_s,),
        window_s=60,
        size_bytes=1,
        sha256="",
        created_ms=start_s * 1000,
    )
    shares = (Share(segment=segment, flow_log=log, records=1),)
    made = Unit(id=number, flow_log=log, shares=shares) if unit else None
    return Work(outlet=outlet, flow_log=log, shares=shares, unit=made)


def schedule(*works: Work, workers: int = 2) -> Schedule:
    made = Schedule(Circuits(lambda: 1.0), workers)
    made.replace(works)
    return made


def number(taken: Work | None) -> int | None:
    return None if taken is None else taken.shares[0].segment.id


def next_of(plan: Schedule, now_s: float = 0.0) -> Work | None:
    taken = plan.take(now_s)
    if taken is not None:
        plan.begin(taken)
    return taken


def one_by_one(plan: Schedule, times: int) -> list[int | None]:
    found = []
    for _ in range(times):
        taken = next_of(plan)
        found.append(number(taken))
        if taken is not None:
            plan.end(taken)
    return found


def test_the_oldest_and_the_newest_alternate() -> None:
    assert one_by_one(schedule(*(work(n) for n in range(1, 7))), 7) == [1, 6, 2, 5, 3, 4, None]


def test_the_alternation_outlives_a_new_plan() -> None:
    plan = schedule(*(work(n) for n in range(1, 7)))
    assert one_by_one(plan, 1) == [1]
    plan.replace([work(n) for n in range(2, 8)])
    assert one_by_one(plan, 2) == [7, 2]


def test_where_order_counts_a_flow_log_has_one_unit_at_a_time_the_oldest_first() -> None:
    log = Place(name="log", ordered=True)
    plan = schedule(*(work(n, log) for n in (3, 1, 2)), work(9, log, "fl-00000002"), workers=4)
    assert [number(next_of(plan)) for _ in range(3)] == [1, 9, None]
    assert one_by_one(schedule(*(work(n, log) for n in (3, 1, 2))), 3) == [1, 2, 3]


def test_destinations_take_turns_and_so_do_the_flow_logs_of_one() -> None:
    works = [work(n) for n in range(1, 50)] + [work(n, B) for n in range(50, 53)]
    plan = schedule(*works, workers=1)
    first = []
    for _ in range(6):
        taken = next_of(plan)
        assert taken is not None
        first.append(taken.outlet.name)
        plan.end(taken)
    assert first == ["a", "b"] * 3
    logs = [work(n) for n in range(1, 50)] + [work(n, A, "fl-00000002") for n in range(50, 53)]
    assert [n >= 50 for n in one_by_one(schedule(*logs), 6) if n] == [False, True] * 3


def test_a_destination_does_not_wait_for_another_one_that_is_stuck() -> None:
    plan = schedule(*(work(n, outlet) for outlet in (A, B, C) for n in range(10)), workers=2)
    begun = Counter(taken.outlet.name for _ in range(9) if (taken := next_of(plan)))
    assert begun == {"a": 1, "b": 1, "c": 1}


def test_workers_and_what_a_destination_takes_bound_what_runs_at_once() -> None:
    plan = schedule(*(work(n) for n in range(9)), workers=3)
    assert sum(next_of(plan) is not None for _ in range(9)) == 3
    narrow = replace(A, parallel=2)
    plan = schedule(*(work(n, narrow) for n in range(9)), workers=8)
    assert sum(next_of(plan) is not None for _ in range(9)) == 2


def test_what_fails_is_passed_over() -> None:
    plan = schedule(work(1), work(2, A, "fl-00000002"), work(3, B, unit=True), work(4, B, unit=True), workers=9)
    plan.circuits.failed(("a", "fl-00000001"), "refused", 0.0, probes=())
    plan.circuits.failed(3, "fault", 0.0, probes=())
    assert [number(next_of(plan)) for _ in range(3)] == [2, 4, None]
    assert {number(next_of(plan, 1.0)) for _ in range(3)} == {1, 3, None}


def test_a_failing_destination_gets_one_probe() -> None:
    plan = schedule(*(work(n) for n in range(9)), workers=9)
    plan.circuits.failed("a", "down", 0.0, probes=())
    assert next_of(plan, 0.9) is None
    probe = next_of(plan, 1.0)
    assert probe is not None
    assert next_of(plan, 1.0) is None
    plan.end(probe)
    plan.circuits.succeeded(probe.keys)
    assert next_of(plan, 1.0) is not None


def test_circuits_of_what_waits_no_more_are_forgotten() -> None:
    plan = schedule(work(1), work(2, B))
    plan.circuits.failed("a", "down", 0.0, probes=())
    plan.circuits.failed("b", "down", 0.0, probes=())
    plan.replace([work(2, B)])
    assert list(plan.circuits.open) == ["b"]


def test_a_backlog_drains_without_starving_what_is_new() -> None:
    """An hour of windows waits; each minute one more comes, and there is time for two units."""
    backlog = [work(n) for n in range(60)]
    plan = schedule()
    waited: list[int] = []
    for minute in range(60, 125):
        backlog.append(work(minute))
        plan.replace(backlog)
        done = [n for n in one_by_one(plan, 2) if n is not None]
        backlog = [one for one in backlog if number(one) not in done]
        waited += [minute - n for n in done if n >= 60]
    assert backlog == []
    assert len(waited) == 65
    assert max(waited) <= 1
