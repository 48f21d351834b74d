"""What changes under a delivery: records that are given up, and files that the disk damages."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import spooled
from tests.support.numbered import ALL, SOME, WINDOW_S, arrived, deliver, numbers_of, open_spool, record, stage

from flowglass.deliver import DirectorySink
from flowglass.deliver.outlet import EventOutlet
from flowglass.deliver.sinks import EventBatch, Sent
from flowglass.deliver.spool import Spool, StagedObject, Unit, UnitChanged
from flowglass.fields.contracts import FinishedObject
from flowglass.fields.errors import DestinationUnreachable, StateError


def only(spool: Spool) -> Unit:
    (unit,) = spool.units()
    return unit


def damage(path: Path, at: int = 50) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


# -- given up meanwhile -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [None, DestinationUnreachable("no answer")])
def test_what_is_given_up_while_the_first_batch_is_sent_has_its_skipdata_records_sent(
    tmp_path: Path, failure: Exception | None
) -> None:
    spool = Spool.open(tmp_path / "spool", now_ms=spooled.Clock().now_ms)

    class Dropping(spooled.ScriptedEvents):
        def send(self, batch: EventBatch) -> Sent:
            sent = super().send(batch)
            if len(self.sent) == 4:
                spool.drop()
            return sent

    service = Dropping(script=[None, failure])
    outlet = EventOutlet(name="service", spool=spool, sink=lambda _: service, building=threading.Semaphore(1))
    unit = spooled.unit_of(spool, 10)
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        outlet.deliver(unit)
    if failure:
        with pytest.raises(DestinationUnreachable):
            outlet.deliver(only(spool))
    outlet.deliver(only(spool))
    assert service.sent == [b"0", b"1", b"2", b"3", b"None", b"None"]
    assert (spool.statuses()[0].records, spool.units()) == (6, [])


def test_log_events_are_not_finished_when_their_records_were_given_up(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    spool.drop()
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        spool.finish(unit)
    assert [share.skipped for share in only(spool).shares] == [True]


def test_what_has_all_arrived_is_not_given_up(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    (told,) = stage(spool, unit, 1)  # with fewer records than its shares have, as where windows are merged
    unit = spool.staged(unit, [replace(told, finished=replace(told.finished, records=4))])
    unit = spool.delivered(spool.attempting(unit, 0), 0, place="here")
    assert spool.drop(flow_log_id=ALL.id) == (0, 0)
    spool.finish(unit)
    assert (spool.units(), spool.statuses()[0].dropped) == ([], 0)


# -- damaged ----------------------------------------------------------------------------------------------------------


def equal_objects(spool: Spool, unit: Unit) -> list[StagedObject]:
    """Objects of equal bytes in two streams, as a log group has them."""
    made = spool.stage()
    for stream in "ab":
        temp = made.open_temp()
        temp.write(b"[0, [7]]")
        made.put(
            FinishedObject(
                path=str(temp.path),
                key=f"{unit.flow_log.id}/{stream}_0123abcd",
                sha256=temp.sha256(),
                first_end_s=WINDOW_S,
                last_end_s=WINDOW_S,
                records=1,
                size_bytes=temp.size_bytes,
            )
        )
        temp.close()
    return [
        StagedObject(number=number, finished=finished, period_start_s=WINDOW_S)
        for number, finished in enumerate(made.objects)
    ]


@pytest.mark.parametrize("delivered", [0, 1])
def test_objects_of_equal_bytes_are_not_taken_for_each_other_when_they_are_built_again(
    tmp_path: Path, delivered: int
) -> None:
    spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    unit = spool.staged(unit, equal_objects(spool, unit))
    for number in range(delivered):
        unit = spool.attempting(unit, number)
        DirectorySink(bucket).put((unit.staged or ())[number].finished)
        unit = spool.delivered(unit, number, place="directory")
    unit = spool.attempting(unit, 1)
    damage(Path((unit.staged or ())[1].finished.path), 3)
    spool.close()
    spool = open_spool(tmp_path)
    unit = only(spool)
    assert unit.staged is None
    unit = spool.staged(unit, equal_objects(spool, unit)[delivered:])
    assert [(told.finished.key[-10], told.delivered, told.attempts) for told in unit.staged or ()] == [
        ("a", delivered == 1, delivered),
        ("b", False, 1),
    ]
    deliver(spool, unit, bucket)
    assert sorted(path.name[0] for path in (bucket / ALL.id).iterdir()) == ["a", "b"]
    assert spool.statuses()[0].records == 2


def test_of_a_segment_that_was_set_aside_skipdata_records_are_delivered_when_the_objects_are_lost_later(
    tmp_path: Path,
) -> None:
    spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
    record(spool, "a", range(10))
    mine, other = spool.shares()
    unit = spool.assign([mine])
    unit = spool.staged(unit, stage(spool, unit, 1))
    damage(tmp_path / "spool" / "segments" / mine.segment.file)
    assert numbers_of(spool, other) == [None] * 3
    assert [share.skipped for share in only(spool).shares] == [False]  # its objects need the file no more
    damage(Path((unit.staged or ())[0].finished.path), 3)
    spool.close()
    spool = open_spool(tmp_path)
    assert numbers_of(spool, only(spool).shares[0]) == [None] * 3
    assert [name for name, _ in spool.take_events()] == ["staged_damaged", "records_dropped"]
    assert (spool.counters()["segments_damaged"], spool.statuses()[0].dropped) == (1, 10)
    deliver(spool, only(spool), bucket)
    assert arrived(bucket, ALL) == Counter({None: 3})


def test_an_object_on_a_sector_that_cannot_be_read_is_built_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    unit = spool.assign(spool.shares()[:1])
    unit = spool.staged(unit, stage(spool, unit, 1))
    path = Path((unit.staged or ())[0].finished.path)
    spool.close()
    path.unlink()
    path.symlink_to("/proc/self/mem")  # to read its beginning is EIO
    spool = open_spool(tmp_path)
    assert only(spool).staged is None
    assert [name for name, _ in spool.take_events()] == ["staged_damaged"]


def change_journal(root: Path, change: str) -> None:
    with closing(sqlite3.connect(root / "spool" / "journal.db", isolation_level=None)) as connection:
        connection.execute(change)


@pytest.mark.parametrize("windows", ["'x'", "CAST(x'ff41' AS TEXT)"])
def test_a_row_of_the_journal_that_cannot_be_is_told_with_what_to_do(tmp_path: Path, windows: str) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    spool.close()
    change_journal(tmp_path, f"UPDATE segments SET windows = {windows}")  # noqa: S608
    with pytest.raises(StateError, match=r"journal.db: the journal is damaged .* move it aside"):
        open_spool(tmp_path)


def test_damaged_skipdata_records_of_the_journal_are_taken_from_the_segment_while_it_is_there(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    spool.close()
    change_journal(tmp_path, "UPDATE segments SET skip = x'0011'")
    spool = open_spool(tmp_path)
    mine, other = spool.shares()
    spool.drop(flow_log_id=mine.flow_log.id)
    assert numbers_of(spool, mine) == [None] * 3
    spool.drop(flow_log_id=other.flow_log.id)  # nobody needs the file then
    with pytest.raises(StateError, match=f"`flowglass spool drop {mine.flow_log.id}` gives up"):
        numbers_of(spool, mine)
    spool.drop(flow_log_id=mine.flow_log.id)
    assert [share.flow_log for share in spool.shares()] == [SOME]
