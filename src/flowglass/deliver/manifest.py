"""Manifests: what was delivered, one JSON line an object, chained by hashes; one file a flow log and writer.

Rule: a line is never changed. Each names the SHA-256 of the line before it, so a changed, removed or added line breaks
the chain. Only lines that a crash left torn at the end are cut off; the journal has them and gives them again.
Lines that somebody cut off the end leave a chain that is whole, but the journal keeps the last line that it noted.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from flowglass.deliver.temp import destination_error, make_folders, sync

FOLDER: Final = "manifests"
"""Of DATA."""

FIRST: Final = "0" * 64
"""What the first line has for the SHA-256 of the line before."""

LOCAL: Final = "local:"
"""Before the folder in DATA, in the name of a place of the local store."""

BUCKET: Final = "s3://"
"""Before the name of a bucket of a service."""

_RETENTION: Final = "retention.jsonl"
_TAIL_BYTES: Final = 65_536


@enum.unique
class LineKind(enum.Enum):
    """What a line tells."""

    DELIVERED = "delivered"
    REMOVED = "removed"
    """the object was removed by retention, so it is not missed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. `n`: from 1, without a gap; `at_ms`: since 1970; `place`: of the destination, as its outlet names it.

    `sha256`: hex digest of the object; `first_end_s`, `last_end_s`: the range of `end` of its `records`. A line of
    kind REMOVED has none of the four.
    """

    n: int
    at_ms: int
    place: str
    key: str
    kind: LineKind = LineKind.DELIVERED
    sha256: str = ""
    size_bytes: int = 0
    records: int = 0
    first_end_s: int = 0
    last_end_s: int = 0

    def text(self, previous: str) -> bytes:
        """The line without its end; `previous`: SHA-256 of the line before."""
        at = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        facts: dict[str, object] = {"n": self.n, "kind": self.kind.value, "at": at.replace("+00:00", "Z")}
        facts |= {"place": self.place, "key": self.key}
        if self.kind is LineKind.DELIVERED:
            facts |= {"sha256": self.sha256, "size_bytes": self.size_bytes, "records": self.records}
            facts |= {"first_end": self.first_end_s, "last_end": self.last_end_s}
        return json.dumps(facts | {"previous": previous}, separators=(",", ":")).encode()


class Break(NamedTuple):
    """Where a chain is broken: number of the line in its file, from 1, and what is wrong with it."""

    line: int
    what: str


def manifest_path(data: Path, flow_log_id: str, writer: str) -> Path:
    """The file of a flow log's lines of one writer."""
    return data / FOLDER / flow_log_id / f"{writer}.jsonl"


def retention_path(data: Path) -> Path:
    """The file of what retention removed, of all flow logs."""
    return data / FOLDER / _RETENTION


def local_place(kind: str, name: str) -> str:
    """How a bucket, group or stream of the local store is called: by its folder in DATA."""
    return f"{LOCAL}{kind}/{name}"


def catch_up(path: Path, after: Callable[[int], Iterable[Line]]) -> int:
    """Append the lines that a manifest lacks, synced; return how many those were.

    `after`: the lines that follow number n (0: all), in order. It is called while the file is locked, so that threads
    and processes may do this at the same time. Raises DestinationUnwritable or DestinationFull.
    """
    try:
        with _locked(path) as descriptor:
            last, previous = _mend(descriptor)
            texts = []
            for line in after(last):
                texts.append(line.text(previous))
                previous = _digest(texts[-1])
            if texts:
                _write(descriptor, b"".join(text + b"\n" for text in texts))
            return len(texts)
    except OSError as error:
        raise destination_error(path, error) from error


def append(path: Path, line: Line) -> bool:
    """Append one line, unless the manifest has one of its number or a later one; raises as `catch_up`."""
    return bool(catch_up(path, lambda last: [line] if line.n > last else []))


def note_removed(data: Path, path: Path, *, now_ms: int) -> None:
    """Tell that retention removes an object of the local store; raises as `catch_up`."""
    kind, name, *key = path.relative_to(data).parts
    place = local_place(kind, name)
    line = Line(n=0, at_ms=now_ms, place=place, key="/".join(key), kind=LineKind.REMOVED)
    catch_up(retention_path(data), lambda last: [replace(line, n=last + 1)])


def verify(lines: Iterable[bytes]) -> Iterator[Break]:
    """What is wrong with a manifest's chain; `lines`: of its file, with their ends or without."""
    previous = FIRST
    expected = 1
    for number, raw in enumerate(lines, 1):
        text = raw.removesuffix(b"\n")
        facts = parsed(text)
        if facts is None or text != text.strip():
            yield Break(number, "it is no line of a manifest")
        else:
            if facts["n"] != expected:
                yield Break(number, f"it has number {facts['n']}, not {expected}")
            if facts["previous"] != previous:
                yield Break(number, "it does not follow the line before it: one of them was changed, or one is missing")
            expected = facts["n"]
        expected += 1
        previous = _digest(text)


def parsed(text: bytes) -> dict[str, Any] | None:
    """What a line says, by name; None where it is no line of a manifest."""
    try:
        facts = json.loads(text)
        names = ["previous", "key", "place", *(["sha256"] if facts["kind"] == LineKind.DELIVERED.value else [])]
        good = isinstance(facts["n"], int) and all(isinstance(facts[name], str) for name in names)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return facts if good else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """An open manifest that nobody else changes meanwhile; made if it is not there. Raises OSError."""
    make_folders(path.parent, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_size == 0:
            sync(path.parent)  # its name, which a crash may have kept from the disk
        yield descriptor
    finally:
        os.close(descriptor)


def _mend(descriptor: int) -> tuple[int, str]:
    """Cut off what a crash left torn at the end; return number and SHA-256 of the last line."""
    size = os.fstat(descriptor).st_size
    length = _TAIL_BYTES
    while True:
        start = max(0, size - length)
        tail = os.pread(descriptor, size - start, start)
        end = len(tail)
        # Every line was synced before the next was written, so only the end can be torn.
        while (end := tail.rfind(b"\n", 0, end) + 1) > 0:
            begin = tail.rfind(b"\n", 0, end - 1) + 1
            if begin == 0 and start > 0:
                break  # the line begins before what was read
            text = tail[begin : end - 1]
            facts = parsed(text)
            if facts is not None:
                _cut(descriptor, start + end, size)
                return facts["n"], _digest(text)
            end = begin
        if start == 0:
            _cut(descriptor, 0, size)
            return 0, FIRST
        length *= 2


def _cut(descriptor: int, end: int, size: int) -> None:
    if end < size:
        os.ftruncate(descriptor, end)
    os.lseek(descriptor, end, os.SEEK_SET)


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
