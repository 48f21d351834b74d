"""What is counted: statuses of flow logs, counters by name, and the lines that manifests must have.

Rule: each function is a part of the transaction that it is called in, so a figure is never ahead of what it counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from flowglass.deliver.manifest import Line
from flowglass.deliver.spool.journal import Journal
from flowglass.deliver.spool.model import Request, Status
from flowglass.fields.contracts import FinishedObject

UNKNOWN_ERROR: Final = "Unknown error"
"""AWS's text for a delivery that failed for another reason than rights and rates."""

_STATUS: Final = (
    "INSERT INTO statuses (flow_log_id, message, reason, at_ms, objects, records, dropped, doubtful, rejected) "
    "VALUES (:id, :message, :reason, :at_ms, :objects, :records, :dropped, :doubtful, :rejected) "
    "ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, objects = objects + excluded.objects, "
    "records = records + excluded.records, dropped = dropped + excluded.dropped, "
    "doubtful = doubtful + excluded.doubtful, rejected = rejected + excluded.rejected"
)
_NOTHING: Final = {
    "message": None,
    "reason": "",
    "objects": 0,
    "records": 0,
    "dropped": 0,
    "doubtful": 0,
    "rejected": 0,
}


def add(sql: sqlite3.Connection, flow_log_id: str, *, now_ms: int, **numbers: int) -> None:
    """Add to a flow log's `objects`, `records`, `dropped`, `doubtful`, `rejected`; message and reason stay."""
    sql.execute(_STATUS, {**_NOTHING, "id": flow_log_id, "at_ms": now_ms, **numbers})


def say(sql: sqlite3.Connection, flow_log_id: str, message: str | None, reason: str, *, now_ms: int) -> None:
    """Set a flow log's message and reason."""
    add(sql, flow_log_id, now_ms=now_ms)
    sql.execute("UPDATE statuses SET message = ?, reason = ? WHERE flow_log_id = ?", (message, reason, flow_log_id))


def drop(sql: sqlite3.Connection, flow_log_id: str, records: int, reason: str, *, now_ms: int) -> None:
    """Records of a flow log were given up: add them, and say so until something arrives again."""
    add(sql, flow_log_id, now_ms=now_ms, dropped=records)
    sql.execute(
        "UPDATE statuses SET message = coalesce(message, ?), reason = ? WHERE flow_log_id = ?",
        (UNKNOWN_ERROR, reason, flow_log_id),
    )


def statuses(journal: Journal) -> list[Status]:
    """Of every flow log that anything happened to."""
    return [Status(**dict(row)) for row in journal.read("SELECT * FROM statuses ORDER BY flow_log_id")]


def count(sql: sqlite3.Connection, counters: Mapping[str, int]) -> None:
    """Add to counters."""
    sql.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
        [(name, number) for name, number in counters.items() if number],
    )


def counters(journal: Journal) -> dict[str, int]:
    """All counters by name."""
    return {row["name"]: row["value"] for row in journal.read("SELECT * FROM counters")}


def note_line(sql: sqlite3.Connection, flow_log_id: str, place: str, finished: FinishedObject, *, now_ms: int) -> None:
    """Note the next line of a flow log's manifest."""
    sql.execute(
        "INSERT INTO manifest SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 "
        "FROM manifest WHERE flow_log = ?1",
        (
            flow_log_id,
            now_ms,
            place,
            finished.key,
            finished.sha256,
            finished.size_bytes,
            finished.records,
            finished.first_end_s,
            finished.last_end_s,
        ),
    )


def forget_lines(sql: sqlite3.Connection, flow_log_id: str, before: int) -> None:
    """Forget lines with a lower number, which the manifest has; the last one stays: it tells where that must end."""
    sql.execute("DELETE FROM manifest WHERE flow_log = ? AND n < ?", (flow_log_id, before))


def lines(journal: Journal, flow_log_id: str, after: int) -> list[Line]:
    """The noted lines of a flow log that follow number `after`."""
    rows = journal.read("SELECT * FROM manifest WHERE flow_log = ? AND n > ? ORDER BY n", flow_log_id, after)
    return [Line(**{name: row[name] for name in row.keys() if name != "flow_log"}) for row in rows]  # noqa: SIM118


def with_lines(journal: Journal) -> list[str]:
    """The flow logs of which lines are noted."""
    return [row["flow_log"] for row in journal.read("SELECT DISTINCT flow_log FROM manifest")]


def ask(journal: Journal, action: str, argument: str, *, now_ms: int) -> int:
    """Leave a request for the process that has the spool; return its number."""
    with journal.change() as sql:
        values = (action, argument, now_ms)
        number: Any = sql.execute("INSERT INTO requests (action, argument, at_ms) VALUES (?, ?, ?)", values).lastrowid
    return int(number)


def requests(journal: Journal) -> list[Request]:
    """Requests that nobody answered yet, oldest first."""
    rows = journal.read("SELECT id, action, argument FROM requests WHERE answer IS NULL ORDER BY id")
    return [Request(**dict(row)) for row in rows]


def answer(journal: Journal, request_id: int, text: str) -> None:
    """Answer a request; answers of the last hundred are kept."""
    with journal.change() as sql:
        sql.execute("UPDATE requests SET answer = ? WHERE id = ?", (text, request_id))
        sql.execute("DELETE FROM requests WHERE answer IS NOT NULL AND id <= ?", (request_id - 100,))


def answered(journal: Journal, request_id: int) -> str | None:
    """The answer to a request, None while there is none."""
    rows = journal.read("SELECT answer FROM requests WHERE id = ?", request_id)
    return rows[0]["answer"] if rows else None
