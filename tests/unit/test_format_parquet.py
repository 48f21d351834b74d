"""Writing Parquet objects as AWS types them, and reading those of others."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.records import batch_of, default_records

from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.errors import LogFormatError, ObjectUnreadable, OptionError
from flowglass.fields.schema import object_schema
from flowglass.format import ParquetFile, read_object, read_parquet


def written(log_format: LogFormat, *batches: pa.RecordBatch, codec: str = "zstd") -> bytes:
    file = io.BytesIO()
    writer = ParquetFile(file, log_format, codec)
    for batch in batches:
        writer.write(batch)
    writer.close()
    return file.getvalue()


def metadata(data: bytes) -> Any:
    return pq.ParquetFile(pa.BufferReader(data)).metadata


@pytest.mark.parametrize(("codec", "version"), [("zstd", "2.6"), ("gzip", "1.0")])
def test_physical_schema_is_the_field_tables(codec: str, version: str) -> None:
    batch, _ = default_records(100, 1_000_000)
    data = written(DEFAULT_FORMAT, batch, codec=codec)
    file: Any = pq.ParquetFile(pa.BufferReader(data))
    assert file.schema_arrow.equals(object_schema(DEFAULT_FORMAT))
    assert file.schema_arrow.metadata is None
    assert file.metadata.format_version == version
    assert {file.metadata.row_group(0).column(i).compression for i in range(14)} == {codec.upper()}


def test_small_batches_become_large_row_groups() -> None:
    batch, _ = default_records(50_000, 1_000_000)
    data = written(DEFAULT_FORMAT, *[batch] * 4)
    assert [metadata(data).row_group(i).num_rows for i in range(2)] == [150_000, 50_000]


def test_rows_and_their_order_are_the_callers() -> None:
    batch, _ = default_records(10, 1_000_000)
    file = io.BytesIO()
    writer = ParquetFile(file, DEFAULT_FORMAT)
    writer.write(batch, np.array([9, 0, 0], np.int64))
    writer.close()
    ends = pq.read_table(pa.BufferReader(file.getvalue()))["end"].to_pylist()
    assert ends == [1_000_009, 1_000_000, 1_000_000]


def test_columns_may_be_coded_in_one_batch_and_not_in_the_next() -> None:
    log_format = LogFormat.of(["region", "bytes"])
    plain, coded = (batch_of(log_format, [["eu", 1], [None, None]], coded=c) for c in (False, True))
    for batches in ((plain, coded), (coded, plain)):
        table = pq.read_table(pa.BufferReader(written(log_format, *batches)))
        assert table.to_pydict() == {"region": ["eu", None] * 2, "bytes": [1, None] * 2}


def test_an_object_without_records_has_the_schema() -> None:
    table = pq.read_table(pa.BufferReader(written(DEFAULT_FORMAT)))
    assert table.num_rows == 0
    assert table.schema.equals(object_schema(DEFAULT_FORMAT))


def test_a_wrong_codec_and_a_missing_column_are_named() -> None:
    with pytest.raises(OptionError, match="'lzo': choose zstd or gzip"):
        ParquetFile(io.BytesIO(), DEFAULT_FORMAT, "lzo")
    batch = batch_of(LogFormat.of(["region"]), [["eu"]])
    with pytest.raises(LogFormatError, match="no column az-id"):
        written(LogFormat.of(["region", "az-id"]), batch)


def test_types_of_others_are_cast(tmp_path: Path) -> None:
    table = pa.table(
        {
            "account-id": pa.array([1234567890], pa.int64()),
            "srcaddr": pa.array(["-"]),
            "srcport": ["443"],
            "protocol": pa.array([6], pa.int64()),
            "bytes": pa.array([5.0]),
            "action": pa.array(["ACCEPT"]).dictionary_encode(),
            "mine": pa.array([1.5]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    assert read_object(tmp_path / "x.parquet").table.to_pylist() == [
        {
            "account_id": "001234567890",
            "srcaddr": None,
            "srcport": 443,
            "protocol": 6,
            "bytes": 5,
            "action": "ACCEPT",
            "mine": 1.5,
        }
    ]


def test_rows_whose_value_is_no_number_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    ports = pa.array(["1", "None", "-", "http", "99999999999", "6"])
    pq.write_table(pa.table({"srcport": ports, "dstport": pa.array([1, 2, 3, 4, 5, 1 << 31])}), path)
    result = read_parquet(path)
    assert result.table["srcport"].to_pylist() == [1, None, None]
    assert (result.bad_lines, result.first_bad) == (3, 4)


def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(written(DEFAULT_FORMAT)[:-9])
    odd = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"srcport": pa.array([[1]])}), odd)
    for path, reason in (
        (cut, "cannot be read as Parquet"),
        (odd, "column srcport is list"),
        (tmp_path / "no", "No such"),
    ):
        with pytest.raises(ObjectUnreadable, match=reason) as caught:
            read_parquet(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
