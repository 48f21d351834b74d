"""The spool: records that are safe on this disk until their destinations have them.

Rule: the journal says first what is about to happen and what has happened; files are made before it names them and
removed after it forgets them. So a crash at any instruction leaves nothing lost and nothing twice. Files are written,
synced, read and removed outside the journal's lock, for which others wait. Inside is what is quick and goes with what
the journal says just then: a damaged file is set aside, by one of the threads that find it, and objects are removed
that were built of a unit before it was changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from flowglass.deliver.rows import Rows
from flowglass.deliver.spool import accounts, dropping, recovery
from flowglass.deliver.spool.dropping import Dropped
from flowglass.deliver.spool.journal import FILE, Journal
from flowglass.deliver.spool.lock import LOCK, locked
from flowglass.deliver.spool.model import (
    GivenUp,
    Limits,
    Request,
    Segment,
    Share,
    Status,
    Step,
    Unit,
    UnitChanged,
    Watch,
    ignore,
)
from flowglass.deliver.spool.recording import Recording
from flowglass.deliver.spool.segment import SegmentFile, opened, segment_rows
from flowglass.deliver.spool.tables import Key, key_of
from flowglass.deliver.spool.units import SEGMENTS, STAGED, Units
from flowglass.deliver.temp import destination_error, make_folders, sync
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import DeliveryError, DestinationFull

DAMAGED: Final = "damaged"
"""Folder of the spool."""


class Spool(Units):
    """Made by `open`; one process at a time has it. Its methods may be called by several threads.

    They raise DestinationFull and DestinationUnwritable where this disk does not take what they write, and StateError
    where the journal is damaged.
    """

    def __init__(
        self, root: Path, lock: int, journal: Journal, limits: Limits, now_ms: Callable[[], int], watch: Watch
    ) -> None:
        super().__init__(root, journal, now_ms, watch)
        self._lock = lock
        self._limits = limits
        self._ages = dropping.Ages(journal)

    @classmethod
    def open(
        cls, root: Path, *, limits: Limits | None = None, now_ms: Callable[[], int], watch: Watch = ignore
    ) -> Spool:
        """Open the spool in a folder, which is made if it is not there, and put in order what a crash left.

        Raises StateError where another process has it, or the journal is damaged.
        """
        try:
            for name in (SEGMENTS, STAGED, DAMAGED):
                make_folders(root / name, mode=0o700)
            for folder in (root, root.parent):  # an earlier start may have been killed before it did so
                sync(folder)
            lock = locked(root / LOCK)
        except OSError as error:
            raise destination_error(root, error) from error
        try:
            journal = Journal(root / FILE, make=True)
            try:
                spool = cls(root, lock, journal, limits or Limits(), now_ms, watch)
                spool._recover()
            except BaseException:
                journal.close()
                raise
        except OSError as error:
            os.close(lock)
            raise destination_error(root, error) from error
        except BaseException:
            os.close(lock)
            raise
        return spool

    def close(self) -> None:
        """Give it up. What was begun and not committed is removed by the next start."""
        self._journal.close()
        os.close(self._lock)

    # -- in -------------------------------------------------------------------------------------------------------

    def begin(self, source: str, flow_logs: Sequence[FlowLog], *, window_s: int, live: bool = False) -> Recording:
        """Begin to record a source for at least one flow log; see `Recording`.

        `window_s`: length of its windows in seconds. Raises DestinationFull where the disk must keep its room for
        objects to be built, and ValueError for a flow log without a destination: it could hold up all others.
        """
        try:
            disk = shutil.disk_usage(self._root)
        except OSError as error:
            raise destination_error(self._root, error) from error
        least = self._limits.room_bytes(disk.total)
        if disk.free < least:
            raise DestinationFull(
                f"{self._root}: only {disk.free // 1_000_000} MB free, and {least // 1_000_000} MB are kept for what "
                "waits to be delivered; make room, then it goes on by itself"
            )

        def keep(files: Sequence[SegmentFile], counters: Mapping[str, int]) -> list[str]:
            return self._ledger.record(source, flow_logs, files, counters, live=live)

        return Recording(
            self._root / SEGMENTS,
            source,
            flow_logs,
            keep,
            self.watch,
            window_s=window_s,
            live=live,
            created_ms=self._now_ms(),
        )

    def recorded(self, source: str) -> frozenset[str]:
        """Ids of the flow logs for which a source was committed. Of captures the last 10,000 are known."""
        return self._ledger.recorded(source)

    def rows(self, share: Share, columns: Sequence[str]) -> Iterator[Rows]:
        """The records of a share, with the columns of these labels only; read after the file's checksum was right.

        Of a share that is skipped, or becomes so because its file is damaged, the SKIPDATA records.
        """
        segment = share.segment
        now = self._ledger.share(share)
        if now is not None and not now.skipped:
            content = self._content(segment)
            if content is not None:
                yield from segment_rows(content, share.flow_log.id, columns)
                return
            self._set_aside(segment)
            now = self._ledger.share(share)
        if now is None:
            raise UnitChanged(f"{segment.file}: its records for {share.flow_log.id} were given up meanwhile")
        if not now.skipped:
            raise DeliveryError(f"{segment.file}: its records for {share.flow_log.id} are not here any more; report it")
        yield from recovery.skip_rows_of(self._ledger, self._root / SEGMENTS, segment, share.flow_log.id, columns)

    # -- bounds ---------------------------------------------------------------------------------------------------

    def enforce(self) -> None:
        """Give up what is over the limits, oldest first; see `dropping`. To be called every few seconds."""
        limits, now_ms, ledger = self._limits, self._now_ms(), self._ledger
        ages_ms = self._ages.look(ledger.all_shares(), now_ms)
        self._give_up(*dropping.skipped_too_long(ledger, ages_ms, limits), "they waited too long, or are too many")
        self._skip(dropping.too_old(ledger, ages_ms, limits), f"they waited {limits.max_age_s // 3600} hours")
        if limits.max_bytes:
            why = f"the spool has its {limits.max_bytes // 1_000_000} MB"
            gone = self.drop_damaged(max(0, self.size_bytes() - limits.max_bytes))
            if gone:
                self.count({"damaged_dropped": gone})
                self._tell("damaged_dropped", files=gone, reason=why)
            self._skip(dropping.over_size(ledger, limits.max_bytes, self._damaged_bytes()), why)

    def drop(self, *, flow_log_id: str = "", before_s: int | None = None) -> GivenUp:
        """Give up what waits for a flow log (all if ""), of periods that begin before a second; return what that was.

        SKIPDATA records are delivered instead. Where they wait already, they are given up too, and not counted.
        """
        shares, units, keys = dropping.asked_for(self._ledger, flow_log_id, before_s)
        why = "dropped by `flowglass spool drop`"
        return GivenUp(skipdata=self._give_up(shares, units, why), records=self._skip(keys, why))

    def drop_damaged(self, size_bytes: float = float("inf")) -> int:
        """Remove the damaged files that were set aside, oldest first, until that many bytes; return how many files."""
        folder = self._root / DAMAGED
        try:
            names = recovery.oldest(folder, size_bytes)
            recovery.remove(folder, names)
        except OSError as error:
            raise destination_error(folder, error) from error
        return len(names)

    # -- telling --------------------------------------------------------------------------------------------------

    def take_events(self) -> list[tuple[str, dict[str, object]]]:
        """What happened since the last call that people should be told: name and facts."""
        with self._journal.lock:
            events, self._events = self._events, []
            return events

    def statuses(self) -> list[Status]:
        """How deliveries went, of every flow log that anything happened to."""
        return accounts.statuses(self._journal)

    def counters(self) -> dict[str, int]:
        """Counters by name."""
        return accounts.counters(self._journal)

    def count(self, counters: Mapping[str, int]) -> None:
        """Add to counters."""
        with self._journal.change() as sql:
            accounts.count(sql, counters)

    def size_bytes(self) -> int:
        """What the limits are for: bytes of segments, staged objects and damaged files."""
        return self._ledger.size_bytes() + self._damaged_bytes()

    def request(self, action: str, argument: str = "") -> int:
        """Leave a request; `SpoolView.request` does so from another process. Returns its number."""
        return accounts.ask(self._journal, action, argument, now_ms=self._now_ms())

    def take_requests(self) -> list[Request]:
        """What was asked and not answered yet, oldest first."""
        return accounts.requests(self._journal)

    def done(self, request: Request, answer: str = "") -> None:
        """Answer a request."""
        accounts.answer(self._journal, request.id, answer)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        segments = self._root / SEGMENTS
        recovery.adopt(self._ledger, segments, self._tell)
        recovery.check_staged(self._ledger, self._root / STAGED, self._tell)
        for segment in recovery.lost_segments(self._ledger, segments):
            self._set_aside(segment)
        for flow_log_id in accounts.with_lines(self._journal):
            self._write_manifest(flow_log_id)

    def _content(self, segment: Segment) -> pa.Buffer | None:
        """The bytes of a segment's file, None if they are not what they were."""
        path = self._root / SEGMENTS / segment.file
        try:
            return opened(path, segment.sha256)
        except OSError as error:
            if error.errno in recovery.UNREADABLE:
                return None
            raise destination_error(path, error) from error

    def _set_aside(self, segment: Segment) -> None:
        """Keep a damaged file out of the way; its shares that still need it become skipped."""
        path = self._root / SEGMENTS / segment.file
        with self._journal.lock:  # so that of several threads that find the damage one does this
            # Else it was set aside before, and a unit's objects, which needed it no more, are lost only now.
            first = segment in self._ledger.present()
            try:
                missing = not path.exists()
                if not missing:
                    path.rename(self._root / DAMAGED / segment.file)
            except OSError as error:
                raise destination_error(path, error) from error
            keys = {key_of(share) for share in self._ledger.all_shares() if share.segment.id == segment.id}
            why = f"{segment.file} is {'missing' if missing else 'damaged'}"
            dropped = dropping.skip(self._ledger, keys, why, now_ms=self._now_ms(), staged_too=False, lost=segment.id)
            self.count({"segments_damaged": int(first)})
        if first:
            self._tell("segment_damaged", file=segment.file, missing=missing, period_start_s=segment.period_start_s)
        self._gave_up(dropped, why=why)

    def _skip(self, keys: Collection[Key], why: str) -> int:
        if not keys:
            return 0
        dropped = dropping.skip(self._ledger, keys, why, now_ms=self._now_ms())
        self._gave_up(dropped, why=why)
        return sum(dropped.records.values())

    def _give_up(self, shares: Sequence[Share], units: Sequence[Unit], why: str) -> int:
        if not (shares or units):
            return 0
        dropped = dropping.give_up(self._ledger, shares, units, why, now_ms=self._now_ms())
        self._gave_up(dropped, why=why, skipdata=True)
        return sum(dropped.records.values())

    def _gave_up(self, dropped: Dropped, *, why: str, skipdata: bool = False) -> None:
        """The journal gave something up: tell, and remove what it left."""
        self.watch(Step.DROP_JOURNALLED)
        event = "skipdata_dropped" if skipdata else "records_dropped"
        for flow_log_id, records in dropped.records.items():
            self._tell(event, flow_log=flow_log_id, records=records, reason=why)
        self._remove(dropped.files, dropped.staged)

    def _damaged_bytes(self) -> int:
        """Of the files that were set aside; somebody may remove them at any moment."""
        folder = self._root / DAMAGED
        try:
            return sum(max(0, recovery.size_of(path)) for path in recovery.files_in(folder))
        except OSError as error:
            raise destination_error(folder, error) from error
