"""What a start finds after a crash, put in order: files and journal agree afterwards.

Rule: nothing whole is lost and nothing is taken twice. A recording whose files are all there and prove themselves is
taken up, if the journal does not have it; its source does not know that it arrived, and asks. Everything else that the
journal does not name is removed, and counted where it was a source's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from flowglass.deliver.spool import accounts
from flowglass.deliver.spool.journal import Journal
from flowglass.deliver.spool.ledger import Ledger
from flowglass.deliver.spool.model import Segment, Unit
from flowglass.deliver.spool.segment import SegmentFile, digest_of, proven
from flowglass.deliver.temp import sync

Tell = Callable[..., None]
"""Takes the name of an event and its facts."""

_TEMP: Final = ".tmp"


def adopt(ledger: Ledger, folder: Path, tell: Tell) -> None:
    """Take up whole recordings that the journal lacks; remove other files that it does not name. Raises OSError."""
    forget_removed(ledger.journal, folder, [row["file"] for row in ledger.journal.read("SELECT file FROM removed")])
    known = {segment.file for segment in ledger.present()}
    found: dict[str, list[SegmentFile]] = {}
    broken: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.suffix == _TEMP:
            path.unlink()
        elif path.name not in known:
            file = proven(path)
            if file is None:
                broken.append(path.name)
            else:
                found.setdefault(file.facts.recording, []).append(file)
    if found:
        sync(folder)  # their names may not be durable yet
    for files in found.values():
        last = _last_of_whole(files)
        if last is None:
            broken += [file.name for file in files]
            continue
        facts = last.facts
        new = set(facts.records) - ledger.recorded(facts.source)
        unwanted = ledger.record(facts.source, facts.flow_logs, files, facts.counters, live=facts.live)
        remove(folder, unwanted)
        if new:
            records = sum(file.facts.records[flow_log] for file in files for flow_log in new)
            tell("recording_taken_up", source=facts.source, segments=len(files), records=records)
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
    return [segment for segment in ledger.present() if _size(folder / segment.file) != segment.size_bytes]


def check_staged(ledger: Ledger, folder: Path, tell: Tell) -> None:
    """Have units built again whose objects are missing or damaged; remove objects that no unit has. Raises OSError."""
    for unit in ledger.units():
        bad = _bad(unit)
        if bad:
            ledger.unstage(unit)
            tell("staged_damaged", flow_log=unit.flow_log.id, unit=unit.id, objects=len(bad))
    needed = {Path(told.finished.path) for unit in ledger.units() for told in unit.staged or ()}
    remove(folder, (path.name for path in folder.iterdir() if path not in needed))


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files, if they are there. Raises OSError."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _last_of_whole(files: list[SegmentFile]) -> SegmentFile | None:
    """The file that knows how many there are, if all of them are there."""
    indices = {file.facts.index for file in files}
    return next((file for file in files if file.facts.count == len(indices) == len(files)), None)


def _bad(unit: Unit) -> list[str]:
    """The files of objects that wait and are not as they were."""
    waiting = [told.finished for told in unit.staged or () if not told.delivered]
    return [one.path for one in waiting if _size(Path(one.path)) < 0 or digest_of(Path(one.path)) != one.sha256]


def _size(path: Path) -> int:
    """Bytes of a file, -1 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
