"""The Python interface: `flowglass.record(…)` and `flowglass.read(…)`.

Rule: the same rooms as the command line, nothing printed.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from flowglass.aggregate import DEFAULT_MAX_FLOWS
from flowglass.app.options import RecordOptions
from flowglass.app.record import record as _record
from flowglass.app.summary import Summary
from flowglass.fields import LogFormat
from flowglass.fields.contracts import FileFormat, TrafficType
from flowglass.fields.errors import CaptureDamaged, ObjectUnreadable, OptionError
from flowglass.format import read_object

_SUFFIXES = (".log.gz", ".log.parquet", ".parquet", ".log", ".txt", ".gz", ".zst")

PathLike = str | os.PathLike[str]
_E = TypeVar("_E", bound=enum.Enum)


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
    format: str = "default",  # noqa: A002 (named as the command's option is)
    interval: int = 60,
    file_format: str | FileFormat = "plain-text",
    parquet_codec: str = "zstd",
    hive: bool = False,
    per_hour: bool = False,
    account: str | None = None,
    region: str | None = None,
    traffic_type: str | TrafficType = "ALL",
    assume_accept: bool = False,
    nflog_verdict: Sequence[str] = (),
    tag_keys: Sequence[str] = (),
    max_flows: int = DEFAULT_MAX_FLOWS,
) -> Recorded:
    """Record captures into flow-log objects below `out`, as `flowglass record` does; options are named as there.

    `out`: a folder, which stands for a bucket, or `s3://BUCKET/FOLDER`; `format`: `default`, `all` or a log format;
    `interval`: window in seconds, 60 or 600; `file_format`: `plain-text` or `parquet`; `traffic_type`: `ALL`, `ACCEPT`
    or `REJECT`; `nflog_verdict`: `REJECT=PREFIX`; `tag_keys`: `RESOURCE=KEY,KEY`. Raises the errors of
    `flowglass.fields.errors`; damage inside a capture is returned, not raised.
    """
    named = [captures] if isinstance(captures, str | os.PathLike) else list(captures)
    summary, faults = _record(
        [_path(path) for path in named],
        _path(out),
        RecordOptions(
            log_format=format,
            interval_s=interval,
            file_format=_member(FileFormat, file_format, "file_format"),
            parquet_codec=parquet_codec,
            hive=hive,
            per_hour=per_hour,
            account=account,
            region=region,
            traffic_type=_member(TrafficType, traffic_type, "traffic_type"),
            assume_accept=assume_accept,
            nflog_verdicts=tuple(nflog_verdict),
            tag_keys=tuple(tag_keys),
            max_flows=max_flows,
        ),
        inventory=None if inventory is None else _path(inventory),
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


def read(source: PathLike, *, format: str | None = None) -> FlowLogs:  # noqa: A002 (as in `record`)
    """Read flow-log objects: a file, or a folder with everything below it (as `record` writes it, or AWS).

    `format`: the log format, for text without a header line. Raises ObjectUnreadable when there is nothing to read or
    a file cannot be read.
    """
    if "://" in _path(source):
        raise ObjectUnreadable(f"{_path(source)}: only files and folders are read; copy the objects into one first")
    root = Path(source)
    files = [root] if root.is_file() else sorted(_objects(root))
    if not files:
        raise ObjectUnreadable(f"{root}: no flow-log object there; name a file or a folder that `record` wrote")
    chosen = None if format is None else LogFormat.parse(format)
    tables: list[pa.Table] = []
    bad: dict[str, int] = {}
    for path in files:
        result = read_object(path, chosen)
        tables.append(result.table)
        if result.bad_lines:
            bad[str(path)] = result.bad_lines
    return FlowLogs(pa.concat_tables(tables, promote_options="default"), bad)


def _path(path: PathLike) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise OptionError(f"{path!r}: is no path; give text or a pathlib.Path") from None


def _member(kind: type[_E], value: str | _E, option: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise OptionError(f"{option} {value!r}: is one of {known}") from None


def _objects(root: Path) -> list[Path]:
    hidden = {path for path in root.rglob(".*") if path.is_dir()}
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and path.name.endswith(_SUFFIXES) and not hidden.intersection(path.parents)
    ]
