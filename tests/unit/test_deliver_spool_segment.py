"""Segments as files: what is read is what was written, and a damaged file is never read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.support.numbered import ALL, BOTH, SOME, WINDOW_S, batch, numbers_of, open_spool, record, some, waiting

from flowglass.deliver.rows import union
from flowglass.deliver.spool import Share, Spool
from flowglass.deliver.spool.segment import Facts, proven
from flowglass.fields import Column, Origin
from flowglass.fields.errors import LogFormatError, StateError


def segment_file(spool: Spool, root: Path) -> Path:
    return root / "spool" / "segments" / spool.shares()[0].segment.file


def table(spool: Spool, share: Share, columns: tuple[Column, ...]) -> list[dict[str, object]]:
    labels = [column.label for column in columns]
    batches = [
        rows.batch if rows.chosen is None else rows.batch.take(pa.array(rows.chosen, pa.int64()))
        for rows in spool.rows(share, labels)
    ]
    return [row for one in batches for row in one.to_pylist()]


def test_each_flow_log_reads_its_own_rows_in_order(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(10))
    assert waiting(spool) == {ALL.id: list(range(10)), SOME.id: [1, 3, 5, 7, 9]}


def test_columns_come_back_as_they_were_whatever_dictionaries_batches_have(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    recording = spool.begin("a", [ALL], window_s=60)
    batches = [batch(range(5), interfaces=3), batch(range(5, 9), interfaces=4), batch(range(9, 20)).slice(2, 5)]
    for one in batches:
        recording.add(one, WINDOW_S, {ALL.id: None})
    recording.commit()
    found = table(spool, spool.shares()[0], union([ALL]))
    labels = [column.label for column in union([ALL])]
    assert found == [row for one in batches for row in one.select(labels).to_pylist()]


def test_rows_that_nobody_takes_are_not_written(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for source, size in (("few", 1000), ("many", 100_000)):
        recording = spool.begin(source, [SOME], window_s=60)
        recording.add(batch(range(size)), WINDOW_S, {SOME.id: np.arange(7)})
        assert recording.commit() == 7
    few, many = spool.shares()
    assert abs(few.segment.size_bytes - many.segment.size_bytes) < 100
    assert numbers_of(spool, many) == list(range(7))


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    recording = open_spool(tmp_path).begin("a", BOTH, window_s=60)
    with pytest.raises(LogFormatError, match="no column srcaddr"):
        recording.add(batch(range(3)).drop_columns(["srcaddr"]), WINDOW_S, {})


@pytest.mark.parametrize("part", range(16))
def test_a_torn_file_is_found(tmp_path: Path, part: int) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(500))
    path = segment_file(spool, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * part // 16])
    assert proven(path) is None
    assert set(waiting(spool)[ALL.id]) == {None}
    assert spool.counters()["segments_damaged"] == 1


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(50))
    path = segment_file(spool, tmp_path)
    whole = path.read_bytes()
    assert proven(path) is not None
    for place in [*range(0, len(whole), 97), *range(len(whole) - 60, len(whole))]:
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 1 << place % 8,)) + whole[place + 1 :])
        assert proven(path) is None, place


def test_a_damaged_file_is_set_aside_and_told_and_its_records_are_marked(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    record(spool, "a", range(12))
    path = segment_file(spool, tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert waiting(spool) == {ALL.id: [None] * 3, SOME.id: [None] * 3}
    assert not path.exists()
    assert (tmp_path / "spool" / "damaged" / path.name).exists()
    assert [name for name, _ in spool.take_events()] == ["segment_damaged", "records_dropped", "records_dropped"]
    assert spool.counters()["records_dropped"] == 12 + 6
    assert {status.flow_log_id: status.dropped for status in spool.statuses()} == {ALL.id: 12, SOME.id: 6}
    spool.close()
    again = open_spool(tmp_path)
    assert waiting(again) == {ALL.id: [None] * 3, SOME.id: [None] * 3}
    assert again.take_events() == []
    assert again.drop_damaged() == 1


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b'{"windows": 1, "flow_logs": []}', b'{"windows": [], "flow_logs": [], "x": 1}']
)
def test_facts_of_another_version_are_told(text: bytes) -> None:
    with pytest.raises(StateError, match=r"segment that this version does not know .* the version that recorded it"):
        Facts.from_json(text)


def test_a_segment_of_another_version_ends_the_start_with_a_line_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool(tmp_path)
    with monkeypatch.context() as patch:
        to_json = Facts.to_json
        patch.setattr(Facts, "to_json", lambda facts: to_json(facts)[:-1] + b', "tomorrow": 1}')
        record(spool, "a", range(10))
    path = segment_file(spool, tmp_path)
    spool.close()
    (tmp_path / "spool" / "journal.db").unlink()
    with pytest.raises(StateError, match="tomorrow"):
        open_spool(tmp_path)
    assert path.exists()


@pytest.mark.parametrize("flow_log", BOTH)
def test_skipdata_has_the_interface_and_the_window_and_nothing_of_the_traffic(tmp_path: Path, flow_log: object) -> None:
    spool = open_spool(tmp_path)
    recording = spool.begin("a", BOTH, window_s=60)
    for window_s in (WINDOW_S, WINDOW_S + 60):
        for numbers in (range(2), range(1, 40)):
            recording.add(batch(numbers, window_s), window_s, {ALL.id: None, SOME.id: some(numbers)})
    recording.commit()
    spool.drop()
    share = next(share for share in spool.shares() if share.flow_log == flow_log)
    columns = union([share.flow_log])
    found = table(spool, share, columns)
    plain = {(row["interface-id"], row["resource-id"]): row for row in batch(range(3)).to_pylist()}
    assert share.records == len(found) == 6  # three owners in two windows
    for row in found:
        assert (row["start"], row["end"]) in {(WINDOW_S, WINDOW_S + 59), (WINDOW_S + 60, WINDOW_S + 119)}
        assert row["log-status"] == "SKIPDATA"
        for column in columns:
            if column.label not in {"start", "end", "log-status"}:
                kept = column.field.origin in {Origin.INTERFACE, Origin.FLOWLOG}
                model = plain[row["interface-id"], row["resource-id"]]
                assert row[column.label] == (model[column.label] if kept else None), column.label


def test_a_flow_log_without_a_destination_is_refused_before_anything_of_it_is_in_the_spool(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(ValueError, match="fl-0000000b has no destination"):
        spool.begin("a", [ALL, replace(SOME, destination=None)], window_s=60)
    assert list((tmp_path / "spool" / "segments").iterdir()) == []


def test_skipdata_is_of_the_interfaces_that_the_flow_log_has(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    recording = spool.begin("a", BOTH, window_s=60)
    recording.add(batch(range(9)), WINDOW_S, {ALL.id: None, SOME.id: np.array([1, 4])})
    recording.commit()
    spool.drop(flow_log_id=SOME.id)
    share = next(share for share in spool.shares() if share.skipped)
    assert [row["interface-id"] for row in table(spool, share, union([SOME]))] == ["eni-1"]
    assert waiting(spool)[ALL.id] == list(range(9))
