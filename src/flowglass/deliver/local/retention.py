"""Retention of the local store: flow-log objects that are too old, or too many, are removed, the oldest first.

Rule: a file is removed only if its place and its name are those of a flow-log object, log file or stream file; how
old it is, its name says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from flowglass.deliver.local.store import FIREHOSE, LOGS, S3
from flowglass.deliver.sinks.directory import PARTIAL
from flowglass.deliver.temp import destination_error
from flowglass.format import PERIOD_S, parse_key

_LINES: Final = re.compile(r"(?P<time>[0-9]{8}T[0-9]{4})Z_[0-9a-f]{8}\.jsonl")
"""A file of log events or of a delivery stream's records, by its period."""
_LAYOUT: Final = "AWSLogs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long, and how much, the local store keeps: seconds after an object's period, bytes in all; 0 for no bound."""

    max_age_s: int = 0
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    objects: int = 0
    size_bytes: int = 0


class _Kept(NamedTuple):
    """An object. `top`: the folder of its bucket, group or stream. Ordered by age."""

    period_start_s: int
    path: Path
    size_bytes: int
    top: Path


def remove_old(root: Path, retention: Retention, *, now_s: float, removed: Callable[[Path], None]) -> Removed:
    """Remove what the store under `root` (DATA) has beyond its retention, and folders that become empty.

    `now_s`: Unix time; `removed` is told of each object before it goes, so that a crash between leaves an object that
    is told of again and never one that is missing untold. Raises DestinationUnwritable.
    """
    if not (retention.max_age_s or retention.max_bytes):
        return Removed()
    objects = sorted(_objects(root))
    size_bytes = sum(one.size_bytes for one in objects)
    count = removed_bytes = 0
    for one in objects:
        too_old = retention.max_age_s and one.period_start_s + PERIOD_S + retention.max_age_s < now_s
        too_much = retention.max_bytes and size_bytes - removed_bytes > retention.max_bytes
        if not (too_old or too_much):
            break  # what follows is younger
        removed(one.path)
        _remove(one)
        count += 1
        removed_bytes += one.size_bytes
    return Removed(count, removed_bytes)


def _objects(root: Path) -> Iterator[_Kept]:
    for kind, period_of in ((S3, _object_period), (LOGS, _lines_period), (FIREHOSE, _lines_period)):
        for top in _folders(root / kind):
            for entry in _files(top):
                path = Path(entry.path)
                period_start_s = period_of(path.relative_to(top))
                if period_start_s is None:
                    continue
                with suppress(FileNotFoundError):  # taken away meanwhile
                    yield _Kept(period_start_s, path, entry.stat(follow_symlinks=False).st_size, top)


def _object_period(key: Path) -> int | None:
    """First second of the period of a flow-log object, by its key."""
    parts = parse_key(key.name)
    return parts.period_start_s if parts and _LAYOUT in key.parts[:-1] else None


def _lines_period(path: Path) -> int | None:
    match = _LINES.fullmatch(path.name)
    try:
        return int(datetime.strptime(match["time"] + "+0000", "%Y%m%dT%H%M%z").timestamp()) if match else None
    except ValueError:
        return None


def _folders(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder; links are not followed, unfinished objects not looked at."""
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except FileNotFoundError:
        return  # taken away meanwhile
    except OSError as error:
        raise destination_error(folder, error) from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != PARTIAL:
                yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry


def _remove(one: _Kept) -> None:
    """Remove an object, and the folders above it that are empty then, up to the bucket's, which stays."""
    try:
        one.path.unlink(missing_ok=True)
    except OSError as error:
        raise destination_error(one.path, error) from error
    for folder in one.path.parents:
        if folder == one.top:
            return
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or used meanwhile
