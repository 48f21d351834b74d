"""What becomes of a unit: its objects staged, tried and delivered, or its log batches sent, until it is finished.

Rule: what is about to be tried is in the journal before it is tried. A unit may have been given up meanwhile, so what a
caller has of it is held against what the journal has; UnitChanged says that `units` must be looked at anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from flowglass.deliver.manifest import Line, catch_up, manifest_path
from flowglass.deliver.spool import accounts, recovery
from flowglass.deliver.spool.journal import Journal
from flowglass.deliver.spool.ledger import Ledger
from flowglass.deliver.spool.model import Share, StagedObject, Step, Unit, UnitChanged, Watch
from flowglass.deliver.spool.stage import Stage
from flowglass.deliver.temp import destination_error
from flowglass.fields.contracts import FinishedObject

SEGMENTS: Final = "segments"
STAGED: Final = "staged"
"""Folders of the spool."""

_REMOVED_TOGETHER: Final = 500
"""Files of segments whose removal is made sure of at once."""


class Units:
    """The part of `Spool` that deliveries use, for several threads at once."""

    def __init__(self, root: Path, journal: Journal, now_ms: Callable[[], int], watch: Watch) -> None:
        self.watch = watch
        self.writer: str = journal.read("SELECT writer FROM meta")[0]["writer"]
        self._root = root
        self._journal = journal
        self._now_ms = now_ms
        self._ledger = Ledger(journal, root / STAGED)
        self._events: list[tuple[str, dict[str, object]]] = []
        self._written: dict[str, int] = {}  # numbers of the last lines that manifests have, by flow log
        self._removed: list[str] = []  # files of segments that are removed, not yet for sure

    def shares(self) -> list[Share]:
        """What waits and is in no unit, oldest first."""
        return self._ledger.shares()

    def units(self) -> list[Unit]:
        """What was assigned and is not finished, oldest first."""
        return self._ledger.units()

    def assign(self, shares: Sequence[Share]) -> Unit:
        """Make a unit of at least one share, all of one flow log and in no unit."""
        unit = self._ledger.assign(shares)
        self.watch(Step.UNIT_JOURNALLED)
        return unit

    def stage(self) -> Stage:
        """A sink for the objects of a unit, to be handed to `staged`."""
        return Stage(self._root / STAGED, self.watch)

    def staged(self, unit: Unit, objects: Sequence[StagedObject]) -> Unit:
        """Note the finished objects of a unit, and return it with them.

        An object that was noted before and is the same again has the key, salt and attempts of then, so use those of
        the answer.
        """
        files = {Path(made.finished.path).name for made in objects}
        with self._journal.lock:
            now = self._ledger.unit(unit)
            if now.shares != unit.shares:  # records were given up while it was built of them
                self._remove((), files)
                raise _changed(unit)
            now = self._ledger.stage(now, objects)
        self.watch(Step.OBJECTS_JOURNALLED)
        again = files - {Path(told.finished.path).name for told in now.staged or ()}
        if again:
            self._remove((), again)
        return now

    def proven(self, unit: Unit) -> Unit:
        """The unit, whose objects that wait are as they were built, or `staged` is None: the disk damaged one."""
        try:
            now = recovery.unstage_bad(self._ledger, unit, self._tell)
        except OSError as error:
            raise destination_error(self._root, error) from error
        if now.staged is None:
            waited = (told for told in unit.staged or () if not told.delivered)
            self._remove((), [Path(told.finished.path).name for told in waited])
        return now

    def attempting(self, unit: Unit, number: int) -> Unit:
        """An object is about to be put: its attempts + 1."""
        with self._journal.lock:
            now, told = self._object(unit, number)
            now = self._ledger.set_object(now, replace(told, attempts=told.attempts + 1), _nothing)
        self.watch(Step.ATTEMPT_JOURNALLED)
        return now

    def renamed(self, unit: Unit, number: int, finished: FinishedObject, salt: int) -> Unit:
        """A foreign object has the key: the same file gets the key of `finished`, of which no attempt was made yet."""
        with self._journal.lock:
            now, told = self._object(unit, number)
            other = replace(told.finished, key=finished.key)
            return self._ledger.set_object(now, replace(told, finished=other, salt=salt, attempts=0), _nothing)

    def delivered(self, unit: Unit, number: int, *, place: str) -> Unit:
        """The destination `place` has an object: counted, and a line of the manifest."""
        finished = _staged(unit, number).finished
        flow_log_id, now_ms = unit.flow_log.id, self._now_ms()

        def change(sql: sqlite3.Connection) -> None:
            accounts.add(sql, flow_log_id, now_ms=now_ms, objects=1, records=finished.records)
            accounts.note_line(sql, flow_log_id, place, finished, now_ms=now_ms)
            accounts.forget_lines(sql, flow_log_id, self._written.get(flow_log_id, 0))

        with self._journal.lock:
            try:
                now, told = self._object(unit, number)
            except UnitChanged:
                with self._journal.change() as sql:
                    change(sql)  # given up while it was put: it is there all the same
                raise
            now = self._ledger.set_object(now, replace(told, delivered=True), change)
        self.watch(Step.DELIVERY_JOURNALLED)
        self._write_manifest(flow_log_id)
        self.watch(Step.MANIFEST_WRITTEN)
        return now

    def sending(self, unit: Unit, batch_number: int) -> Unit:
        """A log batch is about to be sent. Where it was begun before, nobody knows whether it arrived: doubtful + 1."""
        with self._journal.lock:
            now = self._batch(unit, batch_number)

            def change(sql: sqlite3.Connection) -> None:
                sql.execute("UPDATE units SET begun = 1 WHERE id = ?", (unit.id,))
                accounts.add(sql, unit.flow_log.id, now_ms=self._now_ms(), doubtful=int(now.begun))
                accounts.count(sql, {"batches_doubtful": int(now.begun)})

            now = self._ledger.update(replace(now, begun=True), change)
        self.watch(Step.BATCH_JOURNALLED)
        return now

    def sent(self, unit: Unit, progress: int, *, events: int, rejected: int = 0, reason: str = "") -> Unit:
        """The batches before number `progress` are confirmed; of the last one's `events`, `rejected` were refused."""

        def arrived(sql: sqlite3.Connection) -> None:
            accounts.add(sql, unit.flow_log.id, now_ms=self._now_ms(), records=events - rejected, rejected=rejected)
            accounts.count(sql, {"events_rejected": rejected})

        def change(sql: sqlite3.Connection) -> None:
            sql.execute("UPDATE units SET progress = ?, begun = 0 WHERE id = ?", (progress, unit.id))
            arrived(sql)

        with self._journal.lock:
            try:
                now = self._batch(unit, progress - 1)
            except UnitChanged:
                with self._journal.change() as sql:
                    arrived(sql)  # given up while it was sent: it is there all the same
                raise
            now = self._ledger.update(replace(now, progress=progress, begun=False), change)
        self.watch(Step.PROGRESS_JOURNALLED)
        if rejected:
            self._tell("events_rejected", flow_log=unit.flow_log.id, events=rejected, reason=reason)
        return now

    def finish(self, unit: Unit) -> None:
        """All of a unit has arrived: its shares are gone, and the files that nobody else needs."""
        if not all(told.delivered for told in unit.staged or ()):
            raise ValueError(f"unit {unit.id} has objects that were not delivered")

        def change(sql: sqlite3.Connection) -> None:
            accounts.say(sql, unit.flow_log.id, None, "", now_ms=self._now_ms())

        with self._journal.lock:
            if unit.staged is None and self._ledger.unit(unit).shares != unit.shares:
                raise _changed(unit)  # log events of what is there now were not sent
            files = self._ledger.finish(unit, change)
        self.watch(Step.UNIT_FINISHED)
        self._remove(files, (Path(told.finished.path).name for told in unit.staged or ()))

    def failed(self, flow_log_id: str, message: str, reason: str) -> None:
        """A delivery failed. `message`: AWS's text of DeliverLogsErrorMessage; `reason`: more, for people."""
        with self._journal.change() as sql:
            accounts.say(sql, flow_log_id, message, reason, now_ms=self._now_ms())

    def _write_manifest(self, flow_log_id: str) -> None:
        """Append the lines that a manifest lacks. It is in DATA, beside the spool."""
        numbers: list[int] = []

        def after(last: int) -> Iterator[Line]:
            numbers.append(last)
            for line in accounts.lines(self._journal, flow_log_id, last):
                numbers.append(line.n)
                yield line

        catch_up(manifest_path(self._root.parent, flow_log_id, self.writer), after)
        self._written[flow_log_id] = numbers[-1]

    def _object(self, unit: Unit, number: int) -> tuple[Unit, StagedObject]:
        """A unit as it is now, and one of its objects."""
        now = self._ledger.unit(unit)
        sha256 = _staged(unit, number).finished.sha256
        for told in now.staged or ():
            if told.number == number and told.finished.sha256 == sha256:
                return now, told
        raise _changed(unit)

    def _batch(self, unit: Unit, number: int) -> Unit:
        """A unit as it is now, of which this batch must be the next one."""
        now = self._ledger.unit(unit)
        if now.progress != number or now.shares != unit.shares:
            raise _changed(unit)
        return now

    def _remove(self, segments: Iterable[str], objects: Iterable[str]) -> None:
        """Remove files that the journal has forgotten."""
        folder = self._root / SEGMENTS
        try:
            recovery.remove(self._root / STAGED, objects)
            names = list(segments)
            recovery.remove(folder, names)
            with self._journal.lock:
                self._removed += names
                sure = self._removed if len(self._removed) >= _REMOVED_TOGETHER else []
                if sure:
                    self._removed = []
            recovery.forget_removed(self._journal, folder, sure)
        except OSError as error:
            raise destination_error(self._root, error) from error
        self.watch(Step.FILES_REMOVED)

    def _tell(self, event: str, **facts: object) -> None:
        with self._journal.lock:
            self._events.append((event, facts))


def _nothing(_sql: sqlite3.Connection) -> None:
    """No other change belongs to the transaction."""


def _staged(unit: Unit, number: int) -> StagedObject:
    return next(told for told in unit.staged or () if told.number == number)


def _changed(unit: Unit) -> UnitChanged:
    return UnitChanged(f"unit {unit.id} of {unit.flow_log.id} was changed meanwhile; it is made anew")
