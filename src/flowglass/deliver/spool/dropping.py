"""What is given up when it must be: at the bounds of the spool, for damage, and where a person says so.

Rule: the oldest first, always counted and told. In place of records go their SKIPDATA records, which need no file;
these themselves are given up only where they are too many or too old.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flowglass.deliver.spool import accounts
from flowglass.deliver.spool.journal import Journal
from flowglass.deliver.spool.ledger import Ledger
from flowglass.deliver.spool.model import Limits, Share, Unit
from flowglass.deliver.spool.tables import Key, free, key_of

MAX_SKIPPED: Final = 50_000
"""Shares of SKIPDATA records that wait at most."""

_LONGEST_STEP_MS: Final = 3_600_000
"""By how much the age of what waits may grow between two looks: a clock that is set forward makes nothing old."""

_NOTED_EVERY_MS: Final = 300_000
"""How far the journal may be behind with the age of what waits."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was given up and what it left behind. `records`: by flow-log id; `files`: of segments; `staged`: objects."""

    records: Mapping[str, int]
    files: Sequence[str]
    staged: Sequence[str]


def skip(
    ledger: Ledger, keys: Collection[Key], why: str, *, now_ms: int, staged_too: bool = True, lost: int | None = None
) -> Dropped:
    """Give up the records of shares; their SKIPDATA records are delivered instead.

    `staged_too`: also of units whose objects are finished, which need no segment; such a unit gives up all it has,
    unless all of it has arrived already.
    `lost`: id of a segment whose file is gone already.
    """
    with ledger.journal.lock:
        units = _units_of(ledger.units(), keys, staged_too=staged_too)
        shares = [share for share in ledger.shares() if key_of(share) in keys]
        for unit in units:
            shares += [share for share in unit.shares if unit.staged is not None or key_of(share) in keys]
        shares = [share for share in shares if not share.skipped]
        records = _records(shares)
        for unit in units:  # what has arrived of it is not lost
            arrived = sum(told.finished.records for told in unit.staged or () if told.delivered)
            records[unit.flow_log.id] = max(0, records.get(unit.flow_log.id, 0) - arrived)
        with ledger.journal.change() as sql:
            skipped = [_skip_one(sql, share) for share in shares]
            for unit in units:
                sql.execute("DELETE FROM objects WHERE unit = ? AND NOT delivered", (unit.id,))
                sql.execute("UPDATE units SET staged = 0, progress = 0, begun = 0 WHERE id = ?", (unit.id,))
                doubtful = unit.progress + unit.begun  # batches: they are cut anew, so they may come twice in part
                accounts.add(sql, unit.flow_log.id, now_ms=now_ms, doubtful=doubtful)
                accounts.count(sql, {"batches_doubtful": doubtful, "objects_doubtful": _attempted(unit)})
            for flow_log_id, number in records.items():
                accounts.drop(sql, flow_log_id, number, f"{number} records given up: {why}", now_ms=now_ms)
            accounts.count(sql, {"records_dropped": sum(records.values())})
            sql.execute("UPDATE segments SET present = 0 WHERE id = ?", (lost,))
            freed = free(sql, {share.segment.id for share in shares})
        ledger.skipped(skipped, units, freed if lost is None else {*freed, lost})
        return Dropped(records, list(freed.values()), _staged(units))


def give_up(ledger: Ledger, shares: Sequence[Share], units: Sequence[Unit], why: str, *, now_ms: int) -> Dropped:
    """Give up SKIPDATA records themselves: shares that are in no unit, and whole units, unless they left meanwhile."""
    with ledger.journal.lock:
        keys, ids = {key_of(share) for share in shares}, {unit.id for unit in units}
        shares = [share for share in ledger.shares() if key_of(share) in keys]
        units = [unit for unit in ledger.units() if unit.id in ids]
        gone = [*shares, *(share for unit in units for share in unit.shares)]
        records = _records(gone)
        with ledger.journal.change() as sql:
            sql.executemany("DELETE FROM shares WHERE segment = ? AND flow_log = ?", [key_of(share) for share in gone])
            sql.executemany("DELETE FROM units WHERE id = ?", [(unit.id,) for unit in units])
            for flow_log_id, number in records.items():
                reason = f"{number} SKIPDATA records given up: {why}"
                accounts.drop(sql, flow_log_id, 0, reason, now_ms=now_ms)
            accounts.count(sql, {"skipdata_dropped": sum(records.values())})
            freed = free(sql, {share.segment.id for share in gone})
        ledger.forget(shares, units, freed)
        return Dropped(records, list(freed.values()), _staged(units))


def over_size(ledger: Ledger, max_bytes: int, other_bytes: int) -> set[Key]:
    """Which shares must be skipped so that the spool takes at most `max_bytes`; `other_bytes`: what it has beside.

    Segments go oldest first, those of which no unit was made before the others.
    """
    with ledger.journal.lock:
        left = ledger.size_bytes() + other_bytes - max_bytes
        if left <= 0:
            return set()
        units = ledger.units()
        unit_of = {key_of(share): unit for unit in units for share in unit.shares}
        needing: dict[int, set[Key]] = {segment.id: set() for segment in ledger.present()}
        for share in ledger.all_shares():
            if not share.skipped and share.segment.id in needing:
                needing[share.segment.id].add(key_of(share))
        sizes = {segment.id: segment.size_bytes for segment in ledger.present()}
        in_unit = {key.segment_id for key in unit_of}
        chosen: set[Key] = set()
        for segment_id in sorted(sizes, key=lambda number: (number in in_unit, number)):
            keys = set(needing[segment_id])
            for unit in {unit_of[key].id: unit_of[key] for key in keys if key in unit_of}.values():
                keys.update(key_of(share) for share in unit.shares if not share.skipped)
                left -= sum(told.finished.size_bytes for told in unit.staged or ())
            for key in keys - chosen:
                rest = needing.get(key.segment_id, set())
                rest.discard(key)
                left -= sizes.get(key.segment_id, 0) if not rest else 0
            chosen |= keys
            if left <= 0:
                break
        return chosen


class Ages:
    """How long segments have waited, by a clock that may be set, also between two starts.

    The journal keeps the time that has passed since the spool was made, a few minutes behind, and what it was when a
    segment came.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        row = journal.read("SELECT passed_ms, looked_ms FROM meta")[0]
        self._passed_ms: int = row["passed_ms"]
        self._noted_ms: int | None = row["looked_ms"]  # when the journal was told
        self._last_ms: int | None = self._noted_ms

    def look(self, shares: Iterable[Share], now_ms: int) -> dict[int, int]:
        """Milliseconds by id of the shares' segments."""
        step_ms = 0 if self._last_ms is None else now_ms - self._last_ms
        self._passed_ms += min(max(step_ms, 0), _LONGEST_STEP_MS)
        self._last_ms = now_ms
        if self._noted_ms is None or abs(now_ms - self._noted_ms) >= _NOTED_EVERY_MS:
            with self._journal.change() as sql:
                sql.execute("UPDATE meta SET passed_ms = ?, looked_ms = ?", (self._passed_ms, now_ms))
            self._noted_ms = now_ms
        return {share.segment.id: self._passed_ms - share.segment.born_ms for share in shares}


def too_old(ledger: Ledger, ages_ms: Mapping[int, int], limits: Limits) -> set[Key]:
    """Which shares have waited longer than records may; those that came after the ages were taken have not."""
    longest_ms = limits.max_age_s * 1000
    return {
        key_of(share)
        for share in ledger.all_shares()
        if not share.skipped and ages_ms.get(share.segment.id, 0) > longest_ms > 0
    }


def asked_for(ledger: Ledger, flow_log_id: str, before_s: int | None) -> tuple[list[Share], list[Unit], set[Key]]:
    """What waits for a flow log (all if ""), of periods that begin before a second: SKIPDATA shares in no unit, units
    that have nothing else, and which shares still have their records.
    """
    chosen = [
        share
        for share in ledger.all_shares()
        if flow_log_id in ("", share.flow_log.id) and (before_s is None or share.segment.period_start_s < before_s)
    ]
    keys = {key_of(share) for share in chosen if share.skipped}
    shares = [share for share in ledger.shares() if key_of(share) in keys]
    units = [unit for unit in ledger.units() if all(key_of(share) in keys for share in unit.shares)]
    return shares, units, {key_of(share) for share in chosen if not share.skipped}


def skipped_too_long(ledger: Ledger, ages_ms: Mapping[int, int], limits: Limits) -> tuple[list[Share], list[Unit]]:
    """Shares in no unit, and units, whose SKIPDATA records are too many or waited twice as long as records may."""
    longest_ms = 2 * limits.max_age_s * 1000
    shares = [share for share in ledger.shares() if share.skipped]
    surplus = max(0, len(shares) - MAX_SKIPPED)
    old = [share for share in shares[surplus:] if ages_ms.get(share.segment.id, 0) > longest_ms > 0]
    units = [
        unit
        for unit in ledger.units()
        if all(share.skipped and ages_ms.get(share.segment.id, 0) > longest_ms > 0 for share in unit.shares)
    ]
    return shares[:surplus] + old, units


def _skip_one(sql: sqlite3.Connection, share: Share) -> Share:
    """Within a transaction: a share becomes skipped; return it so."""
    query = "UPDATE shares SET skipped = 1, records = skip_records WHERE segment = ? AND flow_log = ? RETURNING records"
    return replace(share, skipped=True, records=sql.execute(query, key_of(share)).fetchone()["records"])


def _units_of(units: Iterable[Unit], keys: Collection[Key], *, staged_too: bool) -> list[Unit]:
    return [
        unit
        for unit in units
        if (unit.staged is None or (staged_too and not all(told.delivered for told in unit.staged)))
        and any(key_of(share) in keys and not share.skipped for share in unit.shares)
    ]


def _attempted(unit: Unit) -> int:
    """How many objects of a unit may have arrived without anybody knowing: they are in no manifest."""
    return sum(told.attempts > 0 and not told.delivered for told in unit.staged or ())


def _records(shares: Iterable[Share]) -> dict[str, int]:
    records: dict[str, int] = {}
    for share in shares:
        records[share.flow_log.id] = records.get(share.flow_log.id, 0) + share.records
    return records


def _staged(units: Iterable[Unit]) -> list[str]:
    return [Path(told.finished.path).name for unit in units for told in unit.staged or ()]
