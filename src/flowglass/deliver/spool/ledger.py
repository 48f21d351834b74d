"""Segments, shares and units: what the journal says of them, and the same in memory.

Rule: memory follows the journal, change by change, under its lock, so that lists are at hand without a query. Nothing
here touches a file; what nobody needs any more is returned, to be removed once the journal says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from flowglass.deliver.spool import accounts, definitions
from flowglass.deliver.spool.journal import Journal
from flowglass.deliver.spool.model import Segment, Share, StagedObject, Unit, UnitChanged
from flowglass.deliver.spool.segment import SegmentFile
from flowglass.deliver.spool.tables import (
    SELECT_SEGMENTS,
    Key,
    free,
    insert_object,
    insert_segment,
    key_of,
    not_recorded,
    object_of,
    segment_of,
)
from flowglass.fields.contracts import FinishedObject, FlowLog

KEPT_SOURCES: Final = {False: 10_000, True: 1_000}
"""How many sources are remembered: of captures, and windows of live recordings."""


class Ledger:
    """What waits. `staged`: the folder of staged objects."""

    def __init__(self, journal: Journal, staged: Path) -> None:
        self.journal = journal
        self._staged = staged
        self._present: dict[int, Segment] = {}  # segments whose file is there
        self._shares: dict[Key, Share] = {}  # that are in no unit, oldest first
        self._units: dict[int, Unit] = {}
        self._unit_of: dict[Key, int] = {}
        try:
            self.load()
        except (ValueError, KeyError, TypeError) as error:
            raise journal.damaged(f"a row of it cannot be: {error!r}") from error

    def load(self) -> None:
        """Read all of it from the journal anew."""
        read = self.journal.read
        with self.journal.lock:
            rows = read(f"{SELECT_SEGMENTS} ORDER BY id")
            segments = {row["id"]: segment_of(row) for row in rows}
            self._present = {row["id"]: segments[row["id"]] for row in rows if row["present"]}
            flow_logs = {
                row["number"]: definitions.from_json(row["definition"]) for row in read("SELECT * FROM flow_logs")
            }
            self._shares, self._unit_of = {}, {}
            of_unit: dict[int, list[Share]] = {}
            for row in read("SELECT * FROM shares ORDER BY segment, flow_log"):
                segment, flow_log = segments[row["segment"]], flow_logs[row["definition"]]
                share = Share(segment=segment, flow_log=flow_log, records=row["records"], skipped=bool(row["skipped"]))
                if row["unit"] is None:
                    self._shares[key_of(share)] = share
                else:
                    of_unit.setdefault(row["unit"], []).append(share)
                    self._unit_of[key_of(share)] = row["unit"]
            objects: dict[int, list[StagedObject]] = {}
            for row in read("SELECT * FROM objects ORDER BY unit, number"):
                objects.setdefault(row["unit"], []).append(object_of(row, self._staged))
            self._units = {
                row["id"]: Unit(
                    id=row["id"],
                    flow_log=flow_logs[row["definition"]],
                    shares=tuple(of_unit[row["id"]]),
                    staged=tuple(objects.get(row["id"], ())) if row["staged"] else None,
                    progress=row["progress"],
                    begun=bool(row["begun"]),
                )
                for row in read("SELECT * FROM units ORDER BY id")
            }

    def shares(self) -> list[Share]:
        """Those that are in no unit, oldest first."""
        with self.journal.lock:
            return list(self._shares.values())

    def all_shares(self) -> list[Share]:
        """Those in no unit, and those of units."""
        with self.journal.lock:
            return [*self._shares.values(), *(share for unit in self._units.values() for share in unit.shares)]

    def units(self) -> list[Unit]:
        """All that are not finished, oldest first."""
        with self.journal.lock:
            return list(self._units.values())

    def present(self) -> list[Segment]:
        """Segments whose file is there, oldest first."""
        with self.journal.lock:
            return list(self._present.values())

    def size_bytes(self) -> int:
        """Bytes of segments and staged objects."""
        with self.journal.lock:
            staged = (told.finished.size_bytes for unit in self._units.values() for told in unit.staged or ())
            return sum(segment.size_bytes for segment in self._present.values()) + sum(staged)

    def unit(self, unit: Unit) -> Unit:
        """The same unit as it is now. Raises UnitChanged if it is no more."""
        with self.journal.lock:
            if unit.id not in self._units:
                raise UnitChanged(f"unit {unit.id} of {unit.flow_log.id} was given up meanwhile")
            return self._units[unit.id]

    def share(self, share: Share) -> Share | None:
        """The same share as it is now, None if it is no more."""
        key = key_of(share)
        with self.journal.lock:
            if key not in self._unit_of:
                return self._shares.get(key)
            return next(own for own in self._units[self._unit_of[key]].shares if key_of(own) == key)

    def skip_of(self, segment: Segment) -> bytes:
        """The SKIPDATA records of a segment, as `skipdata` reads them."""
        return bytes(self.journal.read("SELECT skip FROM segments WHERE id = ?", segment.id)[0]["skip"])

    def record(
        self,
        source: str,
        flow_logs: Sequence[FlowLog],
        files: Sequence[SegmentFile],
        counters: Mapping[str, int],
        *,
        live: bool,
    ) -> list[str]:
        """Take a recording that is durable on disk; return the names of files that nobody wants.

        A flow log for which the source is recorded already takes nothing, so nothing is there twice.
        """
        with self.journal.lock:
            kept: list[Share] = []
            unwanted: list[str] = []
            with self.journal.change() as sql:
                takers = not_recorded(sql, source, flow_logs, live=live)
                for file in files:
                    mine = [flow_log for flow_log in takers if file.facts.records[flow_log.id]]
                    if mine:
                        kept += insert_segment(sql, file, mine)
                    else:
                        unwanted.append(file.name)
                accounts.count(sql, counters if takers else {})
                sql.execute(
                    "DELETE FROM sources WHERE live = ?1 AND number <= "
                    "(SELECT number FROM sources WHERE live = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                    (live, KEPT_SOURCES[live]),
                )
            for share in kept:
                self._present[share.segment.id] = share.segment
                self._shares[key_of(share)] = share
            return unwanted

    def recorded(self, source: str) -> frozenset[str]:
        """The flow logs for which a source was recorded."""
        query = "SELECT flow_log FROM recorded WHERE source = (SELECT number FROM sources WHERE source = ?)"
        return frozenset(row["flow_log"] for row in self.journal.read(query, source))

    def assign(self, shares: Sequence[Share]) -> Unit:
        """Make a unit of shares of one flow log that are in none. Raises UnitChanged if one of them is no more."""
        with self.journal.lock:
            if any(key_of(share) not in self._shares for share in shares):
                raise UnitChanged(f"shares of {shares[0].flow_log.id} were given up meanwhile")
            # In the order in which the journal gives them back, so that a crash changes nothing.
            now = tuple(self._shares[key] for key in sorted(key_of(share) for share in shares))
            flow_log = now[0].flow_log
            if any(share.flow_log is not flow_log and share.flow_log != flow_log for share in now):
                raise ValueError(f"shares of {flow_log.id} and of other flow logs do not make a unit")
            with self.journal.change() as sql:
                number: Any = sql.execute(
                    "INSERT INTO units (definition) SELECT definition FROM shares WHERE segment = ? AND flow_log = ?",
                    key_of(now[0]),
                ).lastrowid
                sql.executemany(
                    "UPDATE shares SET unit = ? WHERE segment = ? AND flow_log = ?",
                    [(number, *key_of(share)) for share in now],
                )
            for share in now:
                del self._shares[key_of(share)]
                self._unit_of[key_of(share)] = number
            self._units[number] = Unit(id=number, flow_log=flow_log, shares=now)
            return self._units[number]

    def stage(self, unit: Unit, objects: Sequence[StagedObject]) -> Unit:
        """Note the objects of a unit, and return it with them.

        Of what was noted before, what was delivered stays so; what is built again the same keeps its key, salt and
        attempts; the rest is forgotten, and counted where an attempt had begun.
        """
        with self.journal.lock:
            rows = self.journal.read("SELECT * FROM objects WHERE unit = ? ORDER BY number", unit.id)
            before = [object_of(row, self._staged) for row in rows]
            told = [old for old in before if old.delivered]
            number = max((old.number for old in before), default=-1)
            for made in objects:
                old = next((old for old in before if _same(old.finished, made.finished)), None)
                if old is None:
                    number += 1
                    told.append(replace(made, number=number))
                    continue
                before.remove(old)  # another object may have equal bytes
                if not old.delivered:
                    told.append(replace(old, finished=replace(made.finished, key=old.finished.key)))
            other = sum(not old.delivered and old.attempts > 0 for old in before)
            unit = replace(self.unit(unit), staged=tuple(sorted(told, key=lambda made: made.number)))

            def change(sql: sqlite3.Connection) -> None:
                sql.execute("DELETE FROM objects WHERE unit = ?", (unit.id,))
                for made in told:
                    insert_object(sql, unit, made)
                sql.execute("UPDATE units SET staged = 1 WHERE id = ?", (unit.id,))
                accounts.count(sql, {"objects_built_otherwise": other})

            return self.update(unit, change)

    def unstage(self, unit: Unit, *, damaged: int) -> Unit:
        """Objects of a unit are damaged: all are to be built again. What is known of them stays in the journal."""

        def change(sql: sqlite3.Connection) -> None:
            sql.execute("UPDATE units SET staged = 0 WHERE id = ?", (unit.id,))
            accounts.count(sql, {"objects_damaged": damaged})

        return self.update(replace(unit, staged=None), change)

    def set_object(self, unit: Unit, told: StagedObject, change: Callable[[sqlite3.Connection], object]) -> Unit:
        """Note what became of one of a unit's objects, with a change of the same transaction; return the unit."""

        def both(sql: sqlite3.Connection) -> None:
            insert_object(sql, unit, told)
            change(sql)

        objects = tuple(told if old.number == told.number else old for old in unit.staged or ())
        return self.update(replace(unit, staged=objects), both)

    def update(self, unit: Unit, change: Callable[[sqlite3.Connection], object]) -> Unit:
        """Change a unit's rows in one transaction, after which it is `unit`."""
        with self.journal.lock:
            with self.journal.change() as sql:
                change(sql)
            self._units[unit.id] = unit
            return unit

    def finish(self, unit: Unit, change: Callable[[sqlite3.Connection], object]) -> list[str]:
        """Forget a unit, all of which has arrived; return the files of segments that nobody needs any more."""
        with self.journal.lock:
            now = self.unit(unit)
            with self.journal.change() as sql:
                sql.execute("DELETE FROM shares WHERE unit = ?", (unit.id,))
                sql.execute("DELETE FROM units WHERE id = ?", (unit.id,))
                freed = free(sql, {share.segment.id for share in now.shares})
                change(sql)
            self.forget((), (now,), freed)
            return list(freed.values())

    def skipped(self, shares: Iterable[Share], units: Iterable[Unit], gone: Iterable[int]) -> None:
        """The journal gave up records; memory follows, under the same lock.

        `shares`: as they are now, in no unit or of `units`, which are to be built and sent from the beginning; `gone`:
        ids of segments whose file is there no more.
        """
        now = {key_of(share): share for share in shares}
        for unit in units:
            own = tuple(now.pop(key_of(share), share) for share in unit.shares)
            self._units[unit.id] = replace(unit, shares=own, staged=None, progress=0, begun=False)
        self._shares.update(now)
        self.forget((), (), gone)

    def forget(self, shares: Iterable[Share], units: Iterable[Unit], gone: Iterable[int]) -> None:
        """The journal has these no more; memory follows, under the same lock. `gone`: as in `skipped`."""
        for share in shares:
            del self._shares[key_of(share)]
        for unit in units:
            del self._units[unit.id]
            for share in unit.shares:
                del self._unit_of[key_of(share)]
        for segment_id in gone:
            self._present.pop(segment_id, None)


def _same(old: FinishedObject, made: FinishedObject) -> bool:
    """Whether one was built again as the other: equal bytes under the same key but for the hex digits at its end."""
    return old.sha256 == made.sha256 and old.key.rpartition("_")[0] == made.key.rpartition("_")[0]
