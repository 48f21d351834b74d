"""Schemas derived from the field table: Arrow, and from it Parquet, DuckDB and Spark.

Rule: a schema is never typed by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from flowglass.fields.logformat import Column, LogFormat
from flowglass.fields.table import Field, FieldType

_ARROW: Final[dict[FieldType, pa.DataType]] = {
    FieldType.INT32: pa.int32(),
    FieldType.INT64: pa.int64(),
    FieldType.STRING: pa.string(),
}
_DUCKDB: Final = {FieldType.INT32: "INTEGER", FieldType.INT64: "BIGINT", FieldType.STRING: "VARCHAR"}
_SPARK: Final = {FieldType.INT32: "INT", FieldType.INT64: "BIGINT", FieldType.STRING: "STRING"}


def arrow_type(field: Field) -> pa.DataType:
    """int32, int64 or string, as AWS types the field in Parquet."""
    return _ARROW[field.type]


def batch_schema(columns: Iterable[Column]) -> pa.Schema:
    """The schema of records between rooms: one nullable column a (field, parameter), named by its label."""
    return pa.schema([pa.field(column.label, arrow_type(column.field)) for column in columns])


def object_schema(log_format: LogFormat) -> pa.Schema:
    """The schema of a Parquet object: the format's fields with underscores, all nullable."""
    return pa.schema([pa.field(column.field.column, arrow_type(column.field)) for column in log_format.columns])


def duckdb_columns(log_format: LogFormat) -> dict[str, str]:
    """Column names and types for DuckDB's `read_csv(columns=…)`."""
    return {column.field.column: _DUCKDB[column.field.type] for column in log_format.columns}


def spark_ddl(log_format: LogFormat) -> str:
    """The schema as Spark's DDL string."""
    return ", ".join(f"`{column.field.column}` {_SPARK[column.field.type]}" for column in log_format.columns)
