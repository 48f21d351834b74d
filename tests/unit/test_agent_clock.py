"""Steps of the wall clock as the agent sees them."""

from __future__ import annotations

from flowglass.app.agent.clock import ClockWatch


def test_a_step_is_told_once_in_either_direction() -> None:
    now = {"wall": 1_800_000_000.0, "monotonic": 50.0}
    watch = ClockWatch(lambda: now["wall"], lambda: now["monotonic"])

    def later(seconds: float, *, stepped: float = 0.0) -> float:
        now["monotonic"] += seconds
        now["wall"] += seconds + stepped
        return round(watch.step(), 3)

    assert later(60) == 0
    assert later(5, stepped=3600) == 3600
    assert later(5) == 0
    assert later(5, stepped=-7200) == -7200
    assert later(5) == 0


def test_drift_is_no_step_until_it_adds_up() -> None:
    now = {"wall": 0.0, "monotonic": 0.0}
    watch = ClockWatch(lambda: now["wall"], lambda: now["monotonic"])
    steps = []
    for _ in range(4):
        now["monotonic"] += 60
        now["wall"] += 60.4
        steps.append(round(watch.step(), 1))
    assert steps == [0, 0, 1.2, 0]
