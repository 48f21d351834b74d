"""Record batches made by hand, for tests of what writes and delivers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.contracts import I64, Destination, DestinationType, FileFormat, FlowLog
from flowglass.fields.schema import batch_schema

TAG_KEYS: Mapping[str, Sequence[str]] = {
    "instance": ("Name", "team"),
    "network-interface": ("role", "zone"),
    "auto-scaling-group": ("group", "tier"),
}

BUCKET = Destination(DestinationType.S3, "logs")


def flow_log(log_format: LogFormat = DEFAULT_FORMAT, **more: Any) -> FlowLog:
    """A flow log of account 123456789012 in us-east-1, as AWS's example of a key has it, to the bucket `logs`."""
    chosen = {"id": "fl-1234abcd", "account": "123456789012", "region": "us-east-1", "destination": BUCKET, **more}
    return FlowLog(log_format=log_format, **chosen)


def parquet_log(codec: str = "zstd", log_format: LogFormat = DEFAULT_FORMAT) -> FlowLog:
    return flow_log(log_format, file_format=FileFormat.PARQUET, parquet_codec=codec)


def batch_of(log_format: LogFormat, rows: Sequence[Sequence[Any]], *, coded: bool = False) -> pa.RecordBatch:
    """A batch with these cells; `coded`: columns of text as dictionaries."""
    schema = batch_schema(log_format.columns)
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays: list[Any] = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    if coded:
        arrays = [a.dictionary_encode() if pa.types.is_string(a.type) else a for a in arrays]
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)


def default_records(count: int, first_end_s: int, step_s: int = 1) -> tuple[pa.RecordBatch, I64]:
    """`count` records of AWS's default format, the last one without traffic, and when they end [s]."""
    ends = first_end_s + step_s * np.arange(count, dtype=np.int64)
    rows: list[list[Any]] = []
    for number, end in enumerate(ends.tolist()):
        address = f"10.0.{number >> 8 & 255}.{number & 255}"
        head = [2, "123456789010", "eni-1235b8ca123456789", address, "172.31.16.21", 20641 + number % 40_000]
        rows.append([*head, 22, 6, 20, 4249, end - 7, end, "ACCEPT", "OK"])
    rows[-1][3:10] = [None] * 7
    rows[-1][12:] = [None, "NODATA"]
    return batch_of(DEFAULT_FORMAT, rows, coded=True), ends
