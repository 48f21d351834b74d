"""Dataclasses to rows of a table and back.

Rule: a row's dataclass has the fields of its table by the same names; `seq` and the like are the database's to give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert

T = TypeVar("T")

CHUNK = 5_000
"""Rows handed to the driver at once: bounds its memory, and is beyond where larger ones are faster."""


def chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows in lists of up to CHUNK."""
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def values(row: object, names: Sequence[str]) -> dict[str, Any]:
    """The named fields of a dataclass as parameters of a statement."""
    return {name: getattr(row, name) for name in names}


def insert_all(connection: Connection, statement: Insert, parameters: Iterable[dict[str, Any]]) -> None:
    """Insert rows, however many. Raises Conflict if one is there."""
    for chunk in chunks(parameters):
        connection.execute(statement, chunk)
