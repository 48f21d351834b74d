"""What a form of objects is, and what it writes to.

Rule: forms write from front to back and never close what they write to.
"""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from flowglass.fields.contracts import I64


class Writable(Protocol):
    """Where bytes go: a file, or what behaves so."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data`."""
        ...


class ObjectFile(Protocol):
    """One object being written: `TextFile`, `ParquetFile`."""

    def write(self, batch: pa.RecordBatch, rows: I64 | None = None) -> None:
        """Append `rows` (k,) int64, row numbers of the batch; all rows if None."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...

    def abandon(self) -> None:
        """Write nothing more."""
        ...
