"""What a reader of flow-log objects gives back, and the columns it makes of field names.

Rule: a record that cannot be read is counted, never raised; columns are named as in Parquet, with
underscores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from flowglass.fields import FIELDS, TRANSIT_GATEWAY_FIELDS
from flowglass.fields.schema import arrow_type

_TYPES: Final[dict[str, pa.DataType]] = {
    field.column: arrow_type(field) for field in (*TRANSIT_GATEWAY_FIELDS, *FIELDS.values())
}


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The records of an object, `-` as null, and what was left out.

    `bad_lines`: records with a wrong number of cells or a bad value; `first_bad`: the number of the first
    one, its line in a text (the first line is 1) or its row in a Parquet file (the first row is 1), 0 if
    there is none.
    """

    table: pa.Table
    bad_lines: int = 0
    first_bad: int = 0


def column_name(name: str) -> str:
    """A field's name, spelled with hyphens or underscores, as a column."""
    return name.replace("-", "_")


def is_known(name: str) -> bool:
    """Whether AWS or we have a field of this name, spelled with hyphens or underscores."""
    return column_name(name) in _TYPES


def read_schema(names: Iterable[str]) -> pa.Schema:
    """The schema of columns with these names: typed by the field table, unknown ones as text."""
    columns = [column_name(name) for name in names]
    return pa.schema([pa.field(column, _TYPES.get(column, pa.string())) for column in columns])
