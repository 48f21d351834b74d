"""The spool as other processes see it: what waits at one moment, and requests to the process that has it.

Rule: it changes nothing that the journal says, but requests. The journal is opened for writing all the same: even to
read, SQLite writes into the index of the write-ahead log (https://www.sqlite.org/wal.html#read_only_databases).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flowglass.deliver.manifest import Line
from flowglass.deliver.spool import accounts
from flowglass.deliver.spool.journal import FILE, Journal
from flowglass.deliver.spool.ledger import Ledger
from flowglass.deliver.spool.lock import LOCK
from flowglass.deliver.spool.model import Share, Status, Unit
from flowglass.deliver.spool.spool import DAMAGED
from flowglass.deliver.spool.units import STAGED
from flowglass.fields.errors import DestinationUnwritable, StateError


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolView:
    """A spool at one moment, empty where there is none.

    `in_use`: a process has it; `shares`: in no unit; `damaged`: files that were set aside; `size_bytes`: of segments,
    staged objects and damaged files; `lines`: of each flow log's manifest, the last ones that the journal noted.
    """

    root: Path
    in_use: bool = False
    writer: str = ""
    shares: Sequence[Share] = ()
    units: Sequence[Unit] = ()
    statuses: Sequence[Status] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    damaged: Sequence[Path] = ()
    size_bytes: int = 0
    lines: Mapping[str, Sequence[Line]] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path) -> SpoolView:
        """Look at the spool in a folder. Raises StateError, and DestinationUnwritable where one may not."""
        if not _there(root / FILE):
            return cls(root=root)
        with _allowed(root), closing(Journal(root / FILE, make=False)) as journal, journal.moment():
            if not journal.made:
                return cls(root=root)
            ledger = Ledger(journal, root / STAGED)
            damaged = _sizes(root / DAMAGED)
            return cls(
                root=root,
                in_use=_in_use(root / LOCK),
                writer=journal.read("SELECT writer FROM meta")[0]["writer"],
                shares=ledger.shares(),
                units=ledger.units(),
                statuses=accounts.statuses(journal),
                counters=accounts.counters(journal),
                lines={log: accounts.lines(journal, log, 0) for log in accounts.with_lines(journal)},
                damaged=sorted(damaged),
                size_bytes=ledger.size_bytes() + sum(damaged.values()),
            )

    def request(self, action: str, argument: str = "", *, now_ms: int) -> int:
        """Leave a request for the process that has the spool, now or next; return its number. Raises StateError."""
        with closing(self._journal()) as journal:
            return accounts.ask(journal, action, argument, now_ms=now_ms)

    def answer(self, request_id: int) -> str | None:
        """What was answered to a request, None while nothing was. Raises StateError."""
        with closing(self._journal()) as journal:
            return accounts.answered(journal, request_id)

    def _journal(self) -> Journal:
        if _there(self.root / FILE):
            journal = Journal(self.root / FILE, make=False)
            if journal.made:
                return journal
            journal.close()
        raise StateError(f"{self.root}: there is no spool; the agent makes it when it starts")


@contextmanager
def _allowed(root: Path) -> Iterator[None]:
    """Raises DestinationUnwritable where this user may not look."""
    try:
        yield
    except OSError as error:
        raise DestinationUnwritable(f"{root}: {error.strerror}; look as the user who runs the agent") from error


def _there(path: Path) -> bool:
    with _allowed(path):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def _sizes(folder: Path) -> dict[Path, int]:
    """The files of a folder and their bytes, without those that somebody removes meanwhile. Raises OSError."""
    found = {}
    for path in folder.iterdir() if _there(folder) else ():
        with suppress(FileNotFoundError):
            found[path] = path.stat().st_size
    return found


def _in_use(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
