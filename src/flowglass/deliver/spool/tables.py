"""Rows of the journal to views and back, and the changes that several transactions have in common.

Rule: each function that takes `sql` is a part of the transaction that it is called in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from flowglass.deliver.spool import definitions
from flowglass.deliver.spool.model import LIVE, Segment, Share, StagedObject, Unit
from flowglass.deliver.spool.segment import SegmentFile
from flowglass.fields.contracts import FinishedObject, FlowLog

SELECT_SEGMENTS: Final = (
    "SELECT id, file, stream, period_start_s, windows, window_s, size_bytes, sha256, created_ms, born_ms, present "
    "FROM segments"
)
"""All of a segment but its SKIPDATA records, which are long."""


class Key(NamedTuple):
    """Which share: of which segment, for which flow log."""

    segment_id: int
    flow_log_id: str


def key_of(share: Share) -> Key:
    """Which share it is."""
    return Key(share.segment.id, share.flow_log.id)


def object_of(row: Any, staged: Path) -> StagedObject:
    """An object as a row of `objects` has it; `staged`: the folder of its file."""
    finished = FinishedObject(
        path=str(staged / row["file"]),
        key=row["key"],
        sha256=row["sha256"],
        first_end_s=row["first_end_s"],
        last_end_s=row["last_end_s"],
        records=row["records"],
        size_bytes=row["size_bytes"],
    )
    return StagedObject(
        number=row["number"],
        finished=finished,
        period_start_s=row["period_start_s"],
        salt=row["salt"],
        attempts=row["attempts"],
        delivered=bool(row["delivered"]),
    )


def free(sql: sqlite3.Connection, segment_ids: Iterable[int]) -> dict[int, str]:
    """Within a transaction: the files that are there and nobody needs, by segment id, noted as gone.

    A file is needed while a share of it is not skipped. Segments and flow logs without a share are forgotten. That a
    file is to be removed is remembered, or one that a crash left would be taken up as a recording that nobody knows.
    """
    freed: dict[int, str] = {}
    for segment_id in segment_ids:
        needed = sql.execute(
            "SELECT count(*), coalesce(sum(NOT skipped), 0) FROM shares WHERE segment = ?", (segment_id,)
        ).fetchone()
        for row in sql.execute("SELECT file FROM segments WHERE id = ? AND present", (segment_id,)).fetchall():
            if not needed[1]:
                freed[segment_id] = row["file"]
                sql.execute("INSERT INTO removed VALUES (?)", (row["file"],))
        if not needed[0]:
            sql.execute("DELETE FROM segments WHERE id = ?", (segment_id,))
        elif segment_id in freed:
            sql.execute("UPDATE segments SET present = 0 WHERE id = ?", (segment_id,))
    sql.execute("DELETE FROM flow_logs WHERE NOT EXISTS (SELECT 1 FROM shares WHERE definition = number)")
    return freed


def insert_object(sql: sqlite3.Connection, unit: Unit, told: StagedObject) -> None:
    """Within a transaction: write an object of a unit, over what is known of it."""
    finished = told.finished
    values = (
        unit.id,
        told.number,
        Path(finished.path).name,
        finished.key,
        finished.sha256,
        finished.first_end_s,
        finished.last_end_s,
        finished.records,
        finished.size_bytes,
        told.period_start_s,
        told.salt,
        told.attempts,
        told.delivered,
    )
    sql.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def not_recorded(sql: sqlite3.Connection, source: str, flow_logs: Sequence[FlowLog], *, live: bool) -> list[FlowLog]:
    """Note a source as recorded; return the flow logs for which it was not."""
    sql.execute("INSERT OR IGNORE INTO sources (source, live) VALUES (?, ?)", (source, live))
    query = "INSERT OR IGNORE INTO recorded SELECT number, ? FROM sources WHERE source = ?"
    return [flow_log for flow_log in flow_logs if sql.execute(query, (flow_log.id, source)).rowcount]


def insert_segment(sql: sqlite3.Connection, file: SegmentFile, flow_logs: Sequence[FlowLog]) -> list[Share]:
    """Write a segment and its shares."""
    facts = file.facts
    number: Any = sql.execute(
        "INSERT INTO segments (file, stream, period_start_s, windows, window_s, size_bytes, sha256, created_ms, skip, "
        "born_ms) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, passed_ms FROM meta",
        (
            file.name,
            LIVE if facts.live else facts.source,
            facts.period_start_s,
            json.dumps(facts.windows),
            facts.window_s,
            file.size_bytes,
            file.sha256,
            facts.created_ms,
            file.skip,
        ),
    ).lastrowid
    segment = segment_of(sql.execute(f"{SELECT_SEGMENTS} WHERE id = ?", (number,)).fetchone())
    shares = []
    for flow_log in flow_logs:
        definition, records = definitions.to_json(flow_log), facts.records[flow_log.id]
        sql.execute("INSERT OR IGNORE INTO flow_logs (id, definition) VALUES (?, ?)", (flow_log.id, definition))
        sql.execute(
            "INSERT INTO shares (segment, flow_log, definition, records, skip_records) "
            "SELECT ?, id, number, ?, ? FROM flow_logs WHERE definition = ?",
            (number, records, facts.skip_records[flow_log.id], definition),
        )
        shares.append(Share(segment=segment, flow_log=flow_log, records=records))
    return shares


def segment_of(row: Any) -> Segment:
    """A segment as a row of SELECT_SEGMENTS has it."""
    return Segment(
        id=row["id"],
        file=row["file"],
        stream=row["stream"],
        period_start_s=row["period_start_s"],
        windows=tuple(json.loads(row["windows"])),
        window_s=row["window_s"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        created_ms=row["created_ms"],
        born_ms=row["born_ms"],
    )
