"""Records merged for a log service: made under the bound of memory, sent without holding it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.records import flow_log
from tests.support.spooled import PERIOD_S, Clock, ScriptedEvents, records_of

from flowglass.deliver import Spool, Unit, union
from flowglass.deliver.outlet import EventOutlet
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks import EventBatch, Sent
from flowglass.deliver.spilled import spilled
from flowglass.deliver.temp import TempFolder
from flowglass.fields import Column
from flowglass.fields.schema import arrow_type


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool", now_ms=Clock().now_ms)
    yield opened
    opened.close()


def _kind(column: Column) -> Any:
    return arrow_type(column.field)


def merging_unit(spool: Spool) -> Unit:
    """Ten records in two windows of a 600 s flow log; each flow is in one of them."""
    log = flow_log(interval_s=600)
    for window in range(2):
        start_s = PERIOD_S // 600 * 600 + 60 * window
        made = records_of(10, start_s, 10 * window)
        arrays = [
            made.column(column.label) if column.label in made.schema.names else pa.nulls(made.num_rows, _kind(column))
            for column in union([log])
        ]
        recording = spool.begin(f"w{window}", [log], window_s=60, live=True)
        recording.add(
            pa.RecordBatch.from_arrays(arrays, names=[column.label for column in union([log])]), start_s, {log.id: None}
        )
        recording.commit()
    return spool.assign(spool.shares())


class TestOutlet:
    def test_windows_are_merged_only_while_there_is_room_to(self, spool: Spool) -> None:
        service, building = ScriptedEvents(), threading.Semaphore(0)
        outlet = EventOutlet(name="service", spool=spool, sink=lambda _: service, building=building)
        thread = threading.Thread(target=outlet.deliver, args=(merging_unit(spool),))
        thread.start()
        thread.join(0.3)
        assert (thread.is_alive(), service.sent) == (True, [])
        building.release()
        thread.join(10)
        assert service.sent
        assert (spool.units(), spool.shares()) == ([], [])

    def test_nothing_is_held_while_a_service_takes_its_time(self, spool: Spool, tmp_path: Path) -> None:
        building = threading.Semaphore(1)
        free = []

        class Slow(ScriptedEvents):
            def send(self, batch: EventBatch) -> Sent:
                free.append(building.acquire(blocking=False))
                building.release()
                return ScriptedEvents.send(self, batch)

        service = Slow()
        EventOutlet(name="service", spool=spool, sink=lambda _: service, building=building).deliver(merging_unit(spool))
        assert free
        assert set(free) == {True}
        assert list((tmp_path / "spool" / "staged").iterdir()) == []


class TestFile:
    def test_records_are_the_same_in_the_same_order_however_their_texts_are_coded(self, tmp_path: Path) -> None:
        coded = pa.RecordBatch.from_pydict(
            {"a": pa.array(["x", "y", None]).dictionary_encode(), "n": pa.array([1, 2, 3])}
        )
        plain = pa.RecordBatch.from_pydict({"a": pa.array(["y", "z"]), "n": pa.array([4, 5])})
        records = [Rows(coded, np.array([2, 0])), Rows(plain), Rows(coded)]
        temp = TempFolder(tmp_path / "t").open()
        with spilled(records, temp) as read:
            found = [(row["a"], row["n"]) for rows in read for row in rows.batch.to_pylist()]
        assert found == [(None, 3), ("x", 1), ("y", 4), ("z", 5), ("x", 1), ("y", 2), (None, 3)]
        assert not temp.path.exists()

    def test_no_records_are_none(self, tmp_path: Path) -> None:
        with spilled([], TempFolder(tmp_path / "t").open()) as read:
            assert list(read) == []

    def test_the_file_goes_too_where_the_reader_fails(self, tmp_path: Path) -> None:
        temp = TempFolder(tmp_path / "t").open()
        rows = Rows(pa.RecordBatch.from_pydict({"n": pa.array([1])}))

        def read_one() -> None:
            with spilled([rows, rows], temp) as read:
                next(read)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            read_one()
        assert not temp.path.exists()
