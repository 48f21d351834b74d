"""When what fails is tried again."""

from __future__ import annotations

from flowglass.deliver.circuit import BASE_S, CAP_S, Circuits


def waits(circuits: Circuits, count: int) -> list[float]:
    """How long each wait is if every probe fails."""
    found, now = [], 0.0
    for _ in range(count):
        assert circuits.allow(["a"], now)
        probes = circuits.begin(["a"])
        circuits.failed("a", "no", now, probes=probes)
        circuits.ended(probes)
        found.append(circuits.open["a"].until_s - now)
        now = circuits.open["a"].until_s
    return found


def test_waits_double_up_to_five_minutes() -> None:
    found = waits(Circuits(lambda: 1.0), 12)
    assert found[0] == BASE_S
    assert found[:9] == [2.0**n for n in range(9)]
    assert found[9:] == [CAP_S] * 3 == [300.0] * 3


def test_waits_have_full_jitter() -> None:
    chances = iter([0.5, 0.0, 0.25])
    assert waits(Circuits(lambda: next(chances)), 3) == [0.5, 0.0, 1.0]


def test_the_wait_never_overflows() -> None:
    assert waits(Circuits(lambda: 1.0), 3000)[-1] == CAP_S


def test_a_wait_is_never_shorter_than_what_the_service_asks_even_beyond_the_cap() -> None:
    circuits = Circuits(lambda: 0.0)
    circuits.failed("a", "slow down", 10.0, probes=(), retry_after_s=900.0)
    assert not circuits.allow(["a"], 909.9)
    assert circuits.allow(["a"], 910.0)


def test_nothing_is_tried_while_a_circuit_is_open_but_one_probe_when_the_wait_is_over() -> None:
    circuits = Circuits(lambda: 1.0)
    assert circuits.begin(["a", "b"]) == frozenset()
    assert circuits.failed("a", "no", 0.0, probes=())
    assert not circuits.allow(["a", "b"], 0.9)
    assert circuits.allow(["b"], 0.9)
    assert circuits.allow(["a", "b"], 1.0)
    probes = circuits.begin(["a", "b"])
    assert probes == {"a"}
    assert not circuits.allow(["a"], 100.0)
    circuits.ended(probes)
    assert circuits.succeeded(["a", "b"]) == ["a"]
    assert circuits.allow(["a"], 0.0)
    assert not circuits.open


def test_only_the_first_failure_is_news_and_one_success_forgets_all_of_them() -> None:
    circuits = Circuits(lambda: 1.0)
    assert [circuits.failed("a", "no", 0.0, probes=["a"]) for _ in range(3)] == [True, False, False]
    circuits.succeeded(["a"])
    assert circuits.failed("a", "no", 0.0, probes=())
    assert circuits.open["a"].until_s == BASE_S


def test_failures_of_what_was_begun_before_do_not_lengthen_the_wait() -> None:
    circuits = Circuits(lambda: 1.0)
    circuits.failed("a", "first", 0.0, probes=())
    for _ in range(10):
        circuits.failed("a", "straggler", 0.5, probes=())
    assert circuits.open["a"].until_s == BASE_S
    assert circuits.open["a"].failures == 1
    assert circuits.open["a"].error == "straggler"


def test_a_straggler_does_not_end_a_probe() -> None:
    circuits = Circuits(lambda: 0.0)
    circuits.failed("a", "no", 0.0, probes=())
    circuits.begin(["a"])
    circuits.failed("a", "straggler", 0.0, probes=())
    circuits.ended(())
    assert not circuits.allow(["a"], 1.0)


def test_reset_allows_the_next_attempt_at_once() -> None:
    circuits = Circuits(lambda: 1.0)
    circuits.failed("a", "no", 0.0, probes=(), retry_after_s=3600.0)
    circuits.failed("b", "no", 0.0, probes=())
    assert circuits.reset(["a", "c"]) == 1
    assert circuits.allow(["a"], 0.0)
    assert not circuits.allow(["b"], 0.0)
    assert circuits.open["a"].error == "no"


def test_what_nothing_waits_for_is_forgotten() -> None:
    circuits = Circuits(lambda: 1.0)
    circuits.failed("a", "no", 0.0, probes=())
    circuits.failed("b", "no", 0.0, probes=())
    circuits.keep({"b"})
    assert list(circuits.open) == ["b"]


def test_a_failure_of_another_kind_and_the_first_after_somebody_asked_are_news() -> None:
    circuits = Circuits(lambda: 0.0)
    kinds = ["down", "down", "refused", "refused", "down"]
    assert [circuits.failed("a", "no", 0.0, kind=kind, probes=["a"]) for kind in kinds] == [1, 0, 1, 0, 1]
    assert not circuits.failed("a", "straggler", 0.0, kind="refused", probes=())
    assert circuits.reset(["a"]) == 1
    assert [circuits.failed("a", "no", 0.0, kind="down", probes=["a"]) for _ in range(2)] == [True, False]
