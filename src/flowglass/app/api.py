"""The Python interface: `flowglass.record(…)` and `flowglass.read(…)`.

Rule: the same rooms as the command line, nothing printed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from flowglass.app.options import RecordOptions
from flowglass.app.record import record as _record
from flowglass.app.summary import Summary
from flowglass.fields import LogFormat
from flowglass.fields.errors import CaptureDamaged, ObjectUnreadable
from flowglass.format import read_object

_SUFFIXES = (".log.gz", ".log.parquet", ".parquet", ".log", ".txt", ".gz", ".zst")

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` did: the account of every packet, and what was damaged."""

    summary: Summary
    damage: tuple[CaptureDamaged, ...]


def record(
    captures: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    inventory: PathLike | None = None,
    **options: Any,
) -> Recorded:
    """Record captures into flow-log objects below `out`, as `flowglass record` does.

    `options`: the fields of RecordOptions, for example `log_format="all"`, `interval_s=600`. Raises the errors of
    `flowglass.fields.errors`; damage inside a capture is returned, not raised.
    """
    named = [captures] if isinstance(captures, str | os.PathLike) else list(captures)
    summary, faults = _record(
        [os.fspath(path) for path in named],
        os.fspath(out),
        RecordOptions(**options),
        inventory=None if inventory is None else os.fspath(inventory),
    )
    return Recorded(summary, tuple(faults))


@dataclass(frozen=True, slots=True)
class FlowLogs:
    """Records read. `bad_lines`: lines that did not fit, by file, counted and left out."""

    table: pa.Table
    bad_lines: Mapping[str, int]

    def to_arrow(self) -> pa.Table:
        """The records as one Arrow table, columns named as in Parquet, `-` as null."""
        return self.table


def read(source: PathLike, *, log_format: str | None = None) -> FlowLogs:
    """Read flow-log objects: a file, or a folder with everything below it (as `record` writes it, or AWS).

    `log_format`: for text without a header line. Raises ObjectUnreadable when there is nothing to read or a file
    cannot be read.
    """
    root = Path(source)
    files = [root] if root.is_file() else sorted(_objects(root))
    if not files:
        raise ObjectUnreadable(f"{root}: no flow-log object there; name a file or a folder that `record` wrote")
    chosen = None if log_format is None else LogFormat.parse(log_format)
    tables: list[pa.Table] = []
    bad: dict[str, int] = {}
    for path in files:
        result = read_object(path, chosen)
        tables.append(result.table)
        if result.bad_lines:
            bad[str(path)] = result.bad_lines
    return FlowLogs(pa.concat_tables(tables, promote_options="default"), bad)


def _objects(root: Path) -> list[Path]:
    hidden = {path for path in root.rglob(".*") if path.is_dir()}
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and path.name.endswith(_SUFFIXES) and not hidden.intersection(path.parents)
    ]
