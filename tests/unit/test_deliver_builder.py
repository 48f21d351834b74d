"""Objects built of records: periods, parts, names, and what is left after a failure."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.records import default_records, flow_log, parquet_log
from tests.support.small_disk import mounted

from flowglass.deliver import DirectorySink, ObjectBuilder
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import DestinationFull
from flowglass.format import TextFormat, parse_key, read_object

PERIOD_S = 1_529_511_600  # 2018-06-20 16:20:00 UTC


def keys(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def periods(builder: ObjectBuilder) -> list[int]:
    parts = [parse_key(result.key) for result in builder.results]
    return [(part.period_start_s - PERIOD_S) // 300 for part in parts if part is not None]


@pytest.mark.parametrize("log", [flow_log(), parquet_log(), parquet_log("gzip")])
def test_objects_hold_the_records_that_end_in_their_five_minutes(tmp_path: Path, log: FlowLog) -> None:
    batch, ends = default_records(900, PERIOD_S - 100)
    builder = ObjectBuilder(log, DirectorySink(tmp_path))
    builder.add(batch, ends)
    results = builder.close()
    assert [result.records for result in results] == [100, 300, 300, 200]
    assert periods(builder) == [-1, 0, 1, 2]
    assert keys(tmp_path) == sorted(result.key for result in results)
    seen: list[int] = []
    for result in results:
        parts = parse_key(result.key)
        end: list[Any] = read_object(tmp_path / result.key).table["end"].to_pylist()
        assert parts is not None
        assert all(parts.period_start_s <= e < parts.period_start_s + 300 for e in end)
        assert (tmp_path / result.key).stat().st_size == result.size_bytes
        seen += end
    assert seen == ends.tolist()


@pytest.mark.parametrize("log", [flow_log(), parquet_log()])
def test_the_same_records_find_their_objects_already_there(tmp_path: Path, log: FlowLog) -> None:
    batch, ends = default_records(500, PERIOD_S)
    runs = []
    for _ in range(2):
        builder = ObjectBuilder(log, DirectorySink(tmp_path))
        for first in range(0, 500, 100):
            builder.add(batch, ends, np.arange(first, first + 100))
        runs.append(builder.close())
    assert [result.created for result in runs[0]] == [True, True]
    assert [result.created for result in runs[1]] == [False, False]
    assert [result.key for result in runs[0]] == [result.key for result in runs[1]]
    assert len(keys(tmp_path)) == 2


def test_a_text_objects_name_follows_from_its_uncompressed_content(tmp_path: Path) -> None:
    log = flow_log()
    batch, ends = default_records(10, PERIOD_S)
    builder = ObjectBuilder(log, DirectorySink(tmp_path))
    builder.add(batch, ends)
    text = TextFormat(log.log_format)
    content = hashlib.sha256(text.header() + text.lines(batch)).hexdigest()
    name = hashlib.sha256(f"fl-1234abcd {PERIOD_S} 0 {content}".encode()).hexdigest()[:8]
    (result,) = builder.close()
    assert result.key.endswith(f"/123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_{name}.log.gz")


def test_late_records_of_a_finished_period_make_a_further_object_even_if_equal(tmp_path: Path) -> None:
    batch, ends = default_records(10, PERIOD_S)
    builder = ObjectBuilder(flow_log(), DirectorySink(tmp_path))
    for _ in range(3):
        builder.add(batch, ends)
        builder.settle(PERIOD_S + 300)
    assert [result.created for result in builder.close()] == [True] * 3
    assert len(keys(tmp_path)) == 3


def test_settle_finishes_only_periods_that_are_over(tmp_path: Path) -> None:
    batch, ends = default_records(600, PERIOD_S)
    builder = ObjectBuilder(flow_log(), DirectorySink(tmp_path))
    builder.add(batch, ends)
    builder.settle(PERIOD_S + 299)
    assert periods(builder) == []
    builder.settle(PERIOD_S + 599)
    assert periods(builder) == [0]
    builder.close()
    assert periods(builder) == [0, 1]


def test_one_period_more_than_may_be_open_finishes_the_oldest(tmp_path: Path) -> None:
    batch, ends = default_records(6, PERIOD_S, step_s=300)
    builder = ObjectBuilder(flow_log(), DirectorySink(tmp_path), open_periods=3)
    builder.add(batch, ends)
    assert periods(builder) == [0, 1, 2]
    builder.close()
    assert periods(builder) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("log", [flow_log(), parquet_log()])
def test_an_object_that_is_full_is_followed_by_a_further_part(tmp_path: Path, log: FlowLog) -> None:
    batch, ends = default_records(200_000, PERIOD_S, step_s=0)
    builder = ObjectBuilder(log, DirectorySink(tmp_path), max_bytes=100_000)
    for first in range(0, 200_000, 50_000):
        builder.add(batch, ends, np.arange(first, first + 50_000))
    results = builder.close()
    assert len(results) > 1
    assert sum(result.records for result in results) == 200_000
    assert sum(read_object(tmp_path / key).table.num_rows for key in keys(tmp_path)) == 200_000
    assert set(periods(builder)) == {0}


def test_rows_that_are_not_asked_for_are_in_no_object(tmp_path: Path) -> None:
    batch, ends = default_records(600, PERIOD_S)
    builder = ObjectBuilder(flow_log(), DirectorySink(tmp_path))
    rows = np.array([599, 0, 300, 1], np.int64)
    builder.add(batch, ends, rows)
    builder.add(batch, ends, rows[:0])
    tables = [read_object(tmp_path / result.key).table for result in builder.close()]
    assert pa.concat_tables(tables)["end"].to_pylist() == [
        PERIOD_S,
        PERIOD_S + 1,
        PERIOD_S + 599,
        PERIOD_S + 300,
    ]


@pytest.mark.parametrize("log", [flow_log(), parquet_log()])
def test_abort_leaves_nothing_and_tells_what_was_lost(tmp_path: Path, log: FlowLog) -> None:
    batch, ends = default_records(600, PERIOD_S)
    builder = ObjectBuilder(log, DirectorySink(tmp_path))
    builder.add(batch, ends)
    builder.settle(PERIOD_S + 300)
    delivered = keys(tmp_path / "AWSLogs")
    assert builder.abort() == 300
    assert len(delivered) == 1
    assert len(keys(tmp_path)) == 1
    assert builder.abort() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=64k") as disk:
        yield disk


@pytest.mark.parametrize("log", [flow_log(), parquet_log(), parquet_log("gzip")])
def test_a_disk_that_gets_full_while_records_come_is_told(small_disk: Path, log: FlowLog) -> None:
    batch, ends = default_records(200_000, PERIOD_S, step_s=0)
    builder = ObjectBuilder(log, DirectorySink(small_disk))
    with pytest.raises(DestinationFull, match="make room"):
        builder.add(batch, ends)
    assert builder.abort() == 200_000
    assert keys(small_disk) == []


@pytest.mark.parametrize("log", [flow_log(), parquet_log(), parquet_log("gzip")])
def test_a_disk_that_is_full_when_an_object_is_finished_is_told(small_disk: Path, log: FlowLog) -> None:
    batch, ends = default_records(3000, PERIOD_S, step_s=0)
    builder = ObjectBuilder(log, DirectorySink(small_disk))
    builder.add(batch, ends)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError):
        filler.write_bytes(bytes(100_000))
    with pytest.raises(DestinationFull, match="make room"):
        builder.close()
    assert builder.abort() == 3000
    assert keys(small_disk) == ["filler"]


def test_objects_are_what_gzip_makes_of_header_and_lines(tmp_path: Path) -> None:
    batch, ends = default_records(50, PERIOD_S)
    builder = ObjectBuilder(flow_log(), DirectorySink(tmp_path))
    builder.add(batch, ends)
    (result,) = builder.close()
    lines = gzip.decompress((tmp_path / result.key).read_bytes()).decode().splitlines()
    assert lines[0].startswith("version account-id interface-id srcaddr")
    assert lines[50].endswith(f"- - - - - - - {PERIOD_S + 42} {PERIOD_S + 49} - NODATA")
