"""Other people's readers on our objects, and our reader on other people's objects."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from flowlogs_reader import S3FlowLogsReader
from tests.support.records import default_records, flow_log, parquet_log

from flowglass.deliver import DirectorySink, ObjectBuilder
from flowglass.fields import DEFAULT_FORMAT, FieldType
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import ObjectUnreadable
from flowglass.format import parse_key, read_object

PERIOD_S = 1_529_511_600  # 2018-06-20 16:20:00 UTC
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "flowlogs"
NAMES = [column.field.column for column in DEFAULT_FORMAT.columns]


class FolderClient:
    """The calls of an S3 client that flowlogs-reader makes, answered from a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list_objects_v2(self, **call: str) -> dict[str, Any]:
        prefix, delimiter = call["Prefix"], call.get("Delimiter")
        keys = sorted(str(p.relative_to(self._root)) for p in self._root.rglob("*") if p.is_file())
        keys = [key for key in keys if key.startswith(prefix)]
        if delimiter is None:
            return {"Contents": [{"Key": key} for key in keys]}
        ends = {prefix + key[len(prefix) :].split(delimiter)[0] + delimiter for key in keys}
        return {"CommonPrefixes": [{"Prefix": end} for end in sorted(ends)]}

    def get_paginator(self, name: str) -> FolderClient:
        assert name == "list_objects_v2"
        return self

    def paginate(self, **call: str) -> Iterator[dict[str, Any]]:
        yield self.list_objects_v2(**call)

    def get_object(self, **call: str) -> dict[str, Any]:
        body = (self._root / call["Key"]).read_bytes()
        return {"Body": io.BytesIO(body), "ContentLength": len(body)}


def delivered(root: Path, log: FlowLog) -> tuple[list[Path], list[dict[str, Any]]]:
    """The objects of 600 records, and these records."""
    batch, ends = default_records(600, PERIOD_S)
    builder = ObjectBuilder(log, DirectorySink(root))
    builder.add(batch, ends)
    records = [{name.replace("-", "_"): value for name, value in row.items()} for row in batch.to_pylist()]
    return [root / result.key for result in builder.close()], records


@pytest.mark.parametrize("log", [flow_log(), parquet_log("gzip")])
def test_flowlogs_reader_finds_and_reads_our_objects(tmp_path: Path, log: FlowLog) -> None:
    _, records = delivered(tmp_path, log)
    reader = S3FlowLogsReader(
        "bucket",
        boto_client=FolderClient(tmp_path),
        start_time=datetime(2018, 6, 20, 16, 0),
        end_time=datetime(2018, 6, 20, 17, 0),
        raise_on_error=True,
    )
    read = [record.to_dict() for record in reader]
    assert len(read) == 600
    for got, record in zip(read, records, strict=True):
        for name in ("start", "end"):
            record[name] = datetime.fromtimestamp(record[name], UTC).replace(tzinfo=None)
        assert {name: got.get(name) for name in NAMES} == record


def test_duckdb_reads_our_text(tmp_path: Path) -> None:
    _, records = delivered(tmp_path, flow_log())
    objects = duckdb.read_csv(f"{tmp_path}/AWSLogs/**/*.log.gz", sep=" ", header=True, na_values="-")
    found = objects.order('"end"').fetchall()
    assert [row[3] for row in found] == [record["srcaddr"] for record in records]
    assert [row[9] for row in found] == [record["bytes"] for record in records]


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_duckdb_reads_our_parquet(tmp_path: Path, codec: str) -> None:
    _, records = delivered(tmp_path, parquet_log(codec))
    found = duckdb.read_parquet(f"{tmp_path}/AWSLogs/**/*.log.parquet").order('"end"')
    kinds = {FieldType.INT32: "INTEGER", FieldType.INT64: "BIGINT", FieldType.STRING: "VARCHAR"}
    assert [str(kind) for kind in found.types] == [kinds[column.field.type] for column in DEFAULT_FORMAT.columns]
    assert [dict(zip(NAMES, row, strict=True)) for row in found.fetchall()] == records


def test_pandas_reads_our_text_and_parquet(tmp_path: Path) -> None:
    paths, records = delivered(tmp_path / "text", flow_log())
    frame = pd.concat([pd.read_csv(path, sep=" ", na_values="-") for path in paths])
    assert frame["bytes"].sum() == sum(record["bytes"] or 0 for record in records)
    assert list(frame.columns) == list(DEFAULT_FORMAT.names)
    paths, _ = delivered(tmp_path / "parquet", parquet_log())
    frame = pd.concat([pd.read_parquet(path) for path in paths])
    assert frame["srcaddr"].isna().sum() == 1
    assert list(frame.columns) == NAMES


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"{PUBLISHED} is not here")
class TestPublishedFiles:
    """Flow-log files as AWS and others published them, by the table in their README."""

    @staticmethod
    def listed() -> list[tuple[str, int]]:
        """Path and number of lines, of those files that are plain flow logs."""
        readme = (PUBLISHED / "README.md").read_text()
        rows = csv.reader((line for line in readme.splitlines() if line.startswith("| ")), delimiter="|", quoting=3)
        cells = [[cell.strip() for cell in row] for row in rows]
        return [
            (row[1], int(row[4]))
            for row in cells
            if row[1].endswith((".log", ".log.gz")) and row[2].isdigit() and row[4].isdigit()
        ]

    def test_every_text_file_is_read_to_its_last_line(self) -> None:
        listed = self.listed()
        assert len(listed) > 15
        for name, lines in listed:
            result = read_object(PUBLISHED / name)
            header = 0 if name.endswith(("_no_header.log", "_millisecond_times.log")) else 1
            assert result.table.num_rows + result.bad_lines == lines - header, name
            wrong = "bogus" in name or "too_few" in name or "too_many" in name
            assert result.bad_lines == (1 if wrong else 0), name
            assert result.first_bad == (lines if wrong else 0), name

    def test_real_parquet_has_aws_types(self) -> None:
        (path,) = PUBLISHED.rglob("*fl-032a163fae170ae52*.parquet")
        result = read_object(path)
        parts = parse_key(str(path))
        assert result.table.num_rows == 7
        assert parts is not None
        # AWS names the period by when it gathered records; their `end` is at most five minutes older.
        ends: list[Any] = result.table["end"].to_pylist()
        assert min(ends) >= parts.period_start_s - 300

    def test_odd_parquet_is_cast(self) -> None:
        table = read_object(PUBLISHED / "flowlogs-reader" / "flows.parquet").table
        assert table.schema.field("srcport").type == "int32"
        assert table["account_id"].to_pylist() == ["123456789010"] * 3
        assert table["srcport"].null_count == 1

    def test_what_is_no_flow_log_is_refused_by_name(self) -> None:
        for name in (
            "ocsf/v5_vpcflowlog.csv",
            "otel/valid_vpc_flow_cw.json",
            "labelled/port_scan_test11.binetflow",
        ):
            with pytest.raises(ObjectUnreadable, match=Path(name).name):
                read_object(PUBLISHED / name)
