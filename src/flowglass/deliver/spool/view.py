"""The spool as other processes see it: what waits at one moment, and requests to the process that has it.

Rule: it changes nothing but requests.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from flowglass.deliver.spool import accounts
from flowglass.deliver.spool.journal import FILE, Journal
from flowglass.deliver.spool.ledger import Ledger
from flowglass.deliver.spool.model import Share, Status, Unit
from flowglass.deliver.spool.spool import DAMAGED, LOCK
from flowglass.deliver.spool.units import STAGED
from flowglass.fields.errors import StateError


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolView:
    """A spool at one moment, empty where there is none.

    `in_use`: a process has it; `shares`: in no unit; `damaged`: files that were set aside; `size_bytes`: of segments,
    staged objects and damaged files.
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

    @classmethod
    def open(cls, root: Path) -> SpoolView:
        """Look at the spool in a folder. Raises StateError, DestinationUnwritable."""
        if not (root / FILE).exists():
            return cls(root=root)
        with closing(Journal(root / FILE, make=False)) as journal, journal.moment():
            ledger = Ledger(journal, root / STAGED)
            damaged = sorted((root / DAMAGED).glob("*"))
            return cls(
                root=root,
                in_use=_in_use(root / LOCK),
                writer=journal.read("SELECT writer FROM meta")[0]["writer"],
                shares=ledger.shares(),
                units=ledger.units(),
                statuses=accounts.statuses(journal),
                counters=accounts.counters(journal),
                damaged=damaged,
                size_bytes=ledger.size_bytes() + sum(path.stat().st_size for path in damaged),
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
        if not (self.root / FILE).exists():
            raise StateError(f"{self.root}: there is no spool; the agent makes it when it starts")
        return Journal(self.root / FILE, make=False)


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
