"""The bounds of the spool: what is over them is given up oldest first, counted, told, and marked."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from tests.support.numbered import (
    ALL,
    NOW_MS,
    SOME,
    WINDOW_S,
    Clock,
    arrived,
    deliver,
    deliver_all,
    files,
    numbers_of,
    open_spool,
    record,
    stage,
)

from flowglass.deliver.manifest import manifest_path
from flowglass.deliver.spool import Limits, Spool, SpoolView, UnitChanged, dropping

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def pass_hours(spool: Spool, clock: Clock, hours: int) -> None:
    spool.enforce()
    for _ in range(hours):
        clock.now_ms += HOUR_MS
        spool.enforce()


def test_the_oldest_go_first_until_the_rest_fits(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in range(4):
        record(spool, f"s{number}", range(100 * number, 100 * number + 100))
    size = spool.size_bytes()
    spool.close()
    spool = open_spool(tmp_path, max_bytes=size * 5 // 8)
    spool.enforce()
    assert spool.size_bytes() <= size * 5 // 8
    assert [share.skipped for share in spool.shares()] == [True] * 4 + [False] * 4
    assert [numbers_of(spool, share)[:2] for share in spool.shares()][4:] == [
        [200, 201],
        [201, 203],
        [300, 301],
        [301, 303],
    ]
    assert spool.counters()["records_dropped"] == 300
    statuses = {s.flow_log_id: (s.message, s.dropped) for s in spool.statuses()}
    assert statuses == {ALL.id: ("Unknown error", 200), SOME.id: ("Unknown error", 100)}
    facts = [facts for name, facts in spool.take_events() if name == "records_dropped"]
    assert [(fact["flow_log"], fact["records"]) for fact in facts] == [(ALL.id, 200), (SOME.id, 100)]
    assert len(files(tmp_path)) == 2
    spool.enforce()
    assert spool.counters()["records_dropped"] == 300


def test_what_is_in_a_unit_goes_last_and_whole(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, max_bytes=1)
    for number in range(2):
        record(spool, f"s{number}", range(10))
    mine = [share for share in spool.shares() if share.flow_log == ALL]
    unit = spool.assign(mine)
    unit = spool.staged(unit, stage(spool, unit, 1))
    spool.enforce()
    (now,) = spool.units()
    assert (now.staged, [share.skipped for share in now.shares]) == (None, [True, True])
    assert (spool.size_bytes(), files(tmp_path)) == (0, [])
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        spool.attempting(unit, 0)
    bucket = tmp_path / "bucket"
    deliver_all(spool, bucket)
    assert arrived(bucket, ALL) == Counter({None: 6})


def test_what_arrived_while_it_was_given_up_is_in_the_manifest_all_the_same(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    unit = spool.attempting(spool.staged(unit, stage(spool, unit, 1)), 0)
    spool.drop()
    assert spool.counters()["objects_doubtful"] == 1  # until its answer comes, nobody knows
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        spool.delivered(unit, 0, place="here")
    spool.close()
    spool = open_spool(tmp_path)
    assert manifest_path(tmp_path, ALL.id, spool.writer).read_text().count("\n") == 1


def test_objects_that_were_built_of_what_is_given_up_are_refused(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    objects = stage(spool, unit, 2)
    spool.drop()
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        spool.staged(unit, objects)
    assert files(tmp_path) == []


def test_what_waits_too_long_is_given_up_and_later_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    spool = open_spool(tmp_path, clock, max_age_s=86_400)
    record(spool, "old", range(10))
    pass_hours(spool, clock, 12)
    record(spool, "new", range(10))
    spool.close()
    spool = open_spool(tmp_path, clock, max_age_s=86_400)
    pass_hours(spool, clock, 13)
    assert [share.skipped for share in spool.shares()] == [True, True, False, False]
    spool.assign(spool.shares()[:1])
    pass_hours(spool, clock, 24)
    assert [share.skipped for share in spool.shares()] == [True, True]
    assert spool.units() == []
    assert spool.counters() == {"windows": 2, "records_dropped": 30, "skipdata_dropped": 6}


def test_a_clock_that_is_set_makes_nothing_old(tmp_path: Path) -> None:
    clock = Clock()
    clock.now_ms = 0
    spool = open_spool(tmp_path, clock)
    record(spool, "a", range(10))
    spool.enforce()
    clock.now_ms = NOW_MS
    spool.enforce()
    record(spool, "b", range(10))
    clock.now_ms = 1
    spool.enforce()
    assert not any(share.skipped for share in spool.shares())
    pass_hours(spool, clock, 24 * 7 + 1)  # as in the time of a process it grows old
    assert all(share.skipped for share in spool.shares())


@pytest.mark.parametrize(("recorded_ms", "started_ms"), [(60_000, NOW_MS), (NOW_MS, NOW_MS + 8 * DAY_MS)])
def test_a_clock_that_is_set_between_two_starts_makes_nothing_old(
    tmp_path: Path, recorded_ms: int, started_ms: int
) -> None:
    clock = Clock()
    clock.now_ms = recorded_ms
    spool = open_spool(tmp_path, clock, max_age_s=3 * 3600)
    record(spool, "a", range(10))
    spool.enforce()
    clock.now_ms = started_ms
    skipped = []
    for _ in range(4):  # but starts do not keep it young
        spool.close()
        spool = open_spool(tmp_path, clock, max_age_s=3 * 3600)
        spool.enforce()
        skipped.append([share.skipped for share in spool.shares()])
        clock.now_ms += HOUR_MS
    assert skipped == [[False, False]] * 3 + [[True, True]]


def test_the_oldest_damaged_files_go_before_any_record(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    damaged = [tmp_path / "spool" / "damaged" / f"{name}.arrow" for name in "zyx"]
    for age, path in enumerate(damaged):
        path.write_bytes(bytes(1000))
        os.utime(path, (age, age))
    size = spool.size_bytes()
    spool.close()
    spool = open_spool(tmp_path, max_bytes=size - 1001)
    spool.enforce()
    assert [path.exists() for path in damaged] == [False, False, True]
    assert not any(share.skipped for share in spool.shares())
    assert spool.counters()["damaged_dropped"] == 2
    assert spool.take_events() == [("damaged_dropped", {"files": 2, "reason": "the spool has its 0 MB"})]


def test_too_many_skipdata_records_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropping, "MAX_SKIPPED", 3)
    spool = open_spool(tmp_path)
    for number in range(3):
        record(spool, f"s{number}", range(10))
    spool.drop()
    spool.enforce()
    assert len(spool.shares()) == 3
    assert spool.counters()["skipdata_dropped"] == 9


def test_a_person_drops_what_waits_for_a_flow_log_before_a_time_and_the_rest_later(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    record(spool, "b", range(10, 20), window_s=WINDOW_S + 300)
    assert spool.drop(flow_log_id=ALL.id, before_s=WINDOW_S + 300) == (10, 0)
    assert [share.skipped for share in spool.shares()] == [True, False, False, False]
    spool.take_events()
    assert spool.drop(flow_log_id=ALL.id) == (10, 3)
    assert spool.take_events() == [
        (name, {"flow_log": ALL.id, "records": records, "reason": "dropped by `flowglass spool drop`"})
        for name, records in (("skipdata_dropped", 3), ("records_dropped", 10))
    ]
    assert [(share.flow_log.id, share.skipped) for share in spool.shares()] == [
        (SOME.id, False),
        (ALL.id, True),
        (SOME.id, False),
    ]


def test_log_batches_of_a_unit_whose_records_are_lost_begin_anew_and_are_doubtful(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    unit = spool.sending(spool.sent(spool.sending(unit, 0), 1, events=4), 1)
    spool.drop()
    assert (spool.units()[0].progress, spool.units()[0].begun) == (0, False)
    assert next(iter(spool.statuses())).doubtful == 2
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        spool.sent(unit, 2, events=4)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_given_up_leaves_the_spool_as_a_start_would_find_it(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
    for step in range(40):
        units, shares = spool.units(), spool.shares()
        match chance.choice(["record", "record", "assign", "build", "send", "deliver", "damage", "drop", "bounds"]):
            case "record":
                record(spool, f"s{step}", range(10), window_s=WINDOW_S + 300 * (step // 4))
            case "assign" if shares:
                flow_log = chance.choice(shares).flow_log
                spool.assign([share for share in shares if share.flow_log == flow_log][: chance.randint(1, 3)])
            case "build" if units and units[-1].staged is None and not units[-1].begun:
                spool.staged(units[-1], stage(spool, units[-1], 2))
            case "send" if units and units[0].staged is None:
                spool.sending(units[0], units[0].progress)
            case "deliver" if units and units[0].staged is not None:
                deliver(spool, units[0], bucket)
            case "damage" if shares:
                (tmp_path / "spool" / "segments" / shares[0].segment.file).unlink(missing_ok=True)
                numbers_of(spool, shares[0])
            case "drop":
                spool.drop(
                    flow_log_id=chance.choice(["", ALL.id, SOME.id]), before_s=WINDOW_S + 300 * chance.randrange(10)
                )
            case "bounds":
                spool._limits = Limits(max_bytes=max(1, spool.size_bytes() // 2))
                spool.enforce()
        view = SpoolView.open(tmp_path / "spool")
        assert (spool.shares(), spool.units(), spool.size_bytes()) == (view.shares, view.units, view.size_bytes)
    assert spool.counters()["records_dropped"] > 0
    deliver_all(spool, bucket)
    assert files(tmp_path) == []


def test_what_arrives_while_its_skipdata_is_given_up_is_not_counted_as_lost(tmp_path: Path) -> None:
    spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
    record(spool, "a", range(10))
    spool.drop()
    units = [spool.assign([share]) for share in spool.shares()]
    shares = [share for unit in units for share in unit.shares]
    deliver(spool, units[0], bucket)
    dropping.give_up(spool._ledger, shares, units, "they waited too long", now_ms=NOW_MS)
    assert spool.units() == []
    assert spool.counters()["skipdata_dropped"] == units[1].shares[0].records
