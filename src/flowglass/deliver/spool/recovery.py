"""What a start finds after a crash, put in order: files and journal agree afterwards.

Rule: nothing whole is lost and nothing is taken twice. A recording whose files are all there and prove themselves is
taken up, if the journal does not have it; its source does not know that it arrived, and asks. Everything else that the
journal does not name is removed, and counted where it was a source's. What cannot be read is
told and left, and so is what may belong together with it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from flowglass.deliver.rows import Rows
from flowglass.deliver.spool import accounts
from flowglass.deliver.spool.journal import Journal
from flowglass.deliver.spool.ledger import Ledger
from flowglass.deliver.spool.model import Segment, Unit, UnitChanged
from flowglass.deliver.spool.segment import SegmentFile, digest_of, proven
from flowglass.deliver.spool.skipdata import skip_rows
from flowglass.deliver.temp import TEMP_SUFFIX, sync
from flowglass.fields.errors import StateError

UNREADABLE: Final = (errno.ENOENT, errno.EIO)
"""Errors by which a file is missing or damaged for good."""

TAKEN_UP: Final = "recording_taken_up"
"""The one event that is good news."""

Tell = Callable[..., None]
"""Takes the name of an event and its facts."""


def adopt(ledger: Ledger, folder: Path, tell: Tell) -> None:
    """Take up whole recordings that the journal lacks; remove other files that it does not name. Raises OSError."""
    forget_removed(ledger.journal, folder, [row["file"] for row in ledger.journal.read("SELECT file FROM removed")])
    known = {segment.file for segment in ledger.present()}
    found: dict[str, list[SegmentFile]] = {}
    broken: list[str] = []
    unread = False
    for path in files_in(folder):
        if path.suffix == TEMP_SUFFIX:
            path.unlink()
        elif path.name not in known:
            try:
                file = proven(path)
            except OSError as error:
                unread = True
                tell("segment_unreadable", file=path.name, reason=error.strerror)
                continue
            if file is None:
                broken.append(path.name)
            else:
                found.setdefault(file.facts.recording, []).append(file)
    if found:
        sync(folder)  # their names may not be durable yet
    for files in found.values():
        last = _last_of_whole(files)
        if last is None:
            if not unread:  # else the rest of it may be there, for a start that can read it
                broken += [file.name for file in files]
            continue
        facts = last.facts
        new = set(facts.records) - ledger.recorded(facts.source)
        unwanted = ledger.record(facts.source, facts.flow_logs, files, facts.counters, live=facts.live)
        remove(folder, unwanted)
        if new:
            records = sum(file.facts.records[flow_log] for file in files for flow_log in new)
            tell(TAKEN_UP, source=facts.source, segments=len(files), records=records)
    remove(folder, broken)
    if broken:
        with ledger.journal.change() as sql:
            accounts.count(sql, {"segments_unfinished": len(broken)})
        tell("segments_unfinished", segments=len(broken))


def forget_removed(journal: Journal, folder: Path, names: Sequence[str]) -> None:
    """Remove files that the journal has as removed, and once that is durable, forget them. Raises OSError."""
    if names:
        remove(folder, names)
        sync(folder)
        with journal.change() as sql:
            sql.executemany("DELETE FROM removed WHERE file = ?", [(name,) for name in names])


def lost_segments(ledger: Ledger, folder: Path) -> list[Segment]:
    """Segments whose file is not there, or has another size. What it holds is checked whenever it is read."""
    return [segment for segment in ledger.present() if size_of(folder / segment.file) != segment.size_bytes]


def check_staged(ledger: Ledger, folder: Path, tell: Tell) -> None:
    """Have units built again whose objects are missing or damaged; remove objects that no unit has. Raises OSError."""
    for unit in ledger.units():
        unstage_bad(ledger, unit, tell)
    needed = {Path(told.finished.path) for unit in ledger.units() for told in unit.staged or ()}
    remove(folder, (path.name for path in files_in(folder) if path not in needed))


def unstage_bad(ledger: Ledger, unit: Unit, tell: Tell) -> Unit:
    """The unit, to be built again if objects of it that wait are missing or damaged.

    Raises OSError, and UnitChanged if its objects are others now.
    """
    bad = _bad(unit)
    if not bad:
        return unit
    with ledger.journal.lock:
        now = ledger.unit(unit)
        if now.staged != unit.staged:
            raise UnitChanged(f"unit {unit.id} of {unit.flow_log.id} was changed meanwhile; it is made anew")
        now = ledger.unstage(now, damaged=len(bad))
    tell("staged_damaged", flow_log=unit.flow_log.id, unit=unit.id, objects=len(bad))
    return now


def skip_rows_of(
    ledger: Ledger, folder: Path, segment: Segment, flow_log_id: str, columns: Sequence[str]
) -> list[Rows]:
    """A flow log's SKIPDATA records of a segment: as the journal has them, else as its file has, if that is whole.

    Raises StateError where neither can be read.
    """
    try:
        return list(skip_rows(ledger.skip_of(segment), flow_log_id, columns))
    except (OSError, pa.ArrowException) as error:  # the disk changed what the journal has
        path = folder / segment.file
        file = proven(path) if path.exists() else None
        if file is None:
            raise StateError(
                f"{ledger.journal.path}: SKIPDATA records for {flow_log_id} of {segment.file} are damaged ({error}); "
                f"`flowglass spool drop {flow_log_id}` gives up what waits for it"
            ) from error
    return list(skip_rows(file.skip, flow_log_id, columns))


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files, if they are there. Raises OSError."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, by name. A folder in it is nobody's of the spool, and stays. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def oldest(folder: Path, size_bytes: float) -> list[str]:
    """The oldest files of a folder, so many that they have that many bytes, or all. Raises OSError."""
    found = []
    for path in files_in(folder):
        with suppress(FileNotFoundError):  # somebody may remove it at any moment
            stat = path.stat()
            found.append((stat.st_mtime_ns, path.name, stat.st_size))
    names: list[str] = []
    for _, name, size in sorted(found):
        if size_bytes <= 0:
            break
        names.append(name)
        size_bytes -= size
    return names


def _last_of_whole(files: list[SegmentFile]) -> SegmentFile | None:
    """The file that knows how many there are, if all of them are there."""
    indices = {file.facts.index for file in files}
    return next((file for file in files if file.facts.count == len(indices) == len(files)), None)


def _bad(unit: Unit) -> list[str]:
    """The files of objects that wait and are not as they were."""
    waiting = [told.finished for told in unit.staged or () if not told.delivered]
    return [one.path for one in waiting if not _whole(Path(one.path), one.sha256)]


def _whole(path: Path, sha256: str) -> bool:
    """Whether a file has this digest. Raises OSError where that cannot be known."""
    try:
        return digest_of(path) == sha256
    except OSError as error:
        if error.errno in UNREADABLE:
            return False
        raise


def size_of(path: Path) -> int:
    """Bytes of a file, -1 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
