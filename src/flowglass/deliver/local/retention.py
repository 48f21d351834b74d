"""Retention of the local store: flow-log objects that are too old, or too many, are removed, the oldest first.

Rule: a file is removed only if its place and its name are those of a flow-log object, log file or stream file; how
old it is, its name says, held against a time that follows the machine's clock an hour a look at most, also over
starts. So a clock that is set forward makes nothing old, unless it stays so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from flowglass.deliver.local.store import FIREHOSE, LOGS, S3
from flowglass.deliver.manifest import FOLDER
from flowglass.deliver.sinks.directory import PARTIAL
from flowglass.deliver.temp import destination_error, make_folders
from flowglass.format import PERIOD_S, parse_key

_LINES: Final = re.compile(r"(?P<time>[0-9]{8}T[0-9]{4})Z_[0-9a-f]{8}\.jsonl")
"""A file of log events or of a delivery stream's records, by its period."""
_LAYOUT: Final = "AWSLogs"
_TIME: Final = Path(FOLDER, "retention.time")
"""Of DATA: the time that the last look went by, in seconds since 1970."""
_DIGITS: Final = 20
_STEP_S: Final = 3600
"""By how much that time follows the clock from one look to the next."""


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


def remove_old(
    root: Path, retention: Retention, *, now_s: float, removed: Callable[[Path], None], stop: Callable[[], bool]
) -> Removed:
    """Remove what the store under `root` (DATA) has beyond its retention, and folders that become empty.

    `now_s`: Unix time by the machine's clock; `removed` is told of each object before it goes, so that a crash between
    leaves an object that is told of again and never one that is missing untold; `stop` is asked before each whether to
    leave the rest to the next look. Raises DestinationUnwritable and
    DestinationFull.
    """
    if not (retention.max_age_s or retention.max_bytes):
        return Removed()
    objects = sorted(_objects(root))
    size_bytes = sum(one.size_bytes for one in objects)
    count = removed_bytes = 0
    present_s = _present(root / _TIME, int(now_s), objects) if retention.max_age_s else 0
    for one in objects:
        too_old = retention.max_age_s and one.period_start_s + PERIOD_S + retention.max_age_s < present_s
        too_much = retention.max_bytes and size_bytes - removed_bytes > retention.max_bytes
        if stop() or not (too_old or too_much):
            break  # what follows is younger
        removed(one.path)
        _remove(one)
        count += 1
        removed_bytes += one.size_bytes
    return Removed(count, removed_bytes)


def _present(path: Path, now_s: int, objects: Sequence[_Kept]) -> int:
    """The time by which objects are old, which is kept in a file. At the very first look the newest object tells it.

    A clock that was set back holds things up, but only while it is so.
    """
    try:
        make_folders(path.parent, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            noted = os.pread(descriptor, _DIGITS, 0)
            newest_s = min(objects[-1].period_start_s, now_s) if objects else now_s
            last_s = int(noted) if noted.isdigit() else newest_s
            follows_s = min(max(now_s, last_s - _STEP_S), last_s + _STEP_S)
            os.pwrite(descriptor, b"%0*d" % (_DIGITS, follows_s), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise destination_error(path, error) from error
    return min(now_s, follows_s)


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
