"""The journal: one SQLite file that says what is pending, staged, attempted and delivered.

Rule: a change is one transaction, on the disk when it returns (write-ahead log, synchronous=FULL). What SQLite cannot
do becomes one of the project's errors here and nowhere else.
Sources: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous,
https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from flowglass.deliver.temp import destination_error, sync
from flowglass.fields.errors import DestinationFull, DestinationUnwritable, Error, StateError

FILE: Final = "journal.db"

_VERSION: Final = 1
_BUSY_S: Final = 10.0
_LEAST_BYTES: Final = 1_000_000  # of room on the disk, with which a failed write has another reason
_LOG_PAGES: Final = 256  # of 4 KiB, after which the log is taken into the file: on a small disk it must not be large

_TABLES: Final = """
-- passed_ms: time since the spool was made, that no set clock makes much longer, looked_ms: the clock when it was noted
CREATE TABLE meta (writer TEXT NOT NULL, passed_ms INTEGER NOT NULL DEFAULT 0, looked_ms INTEGER) STRICT;

CREATE TABLE flow_logs (number INTEGER PRIMARY KEY, id TEXT NOT NULL, definition TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE sources (
    number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE, live INTEGER NOT NULL
) STRICT;
CREATE INDEX sources_by_kind ON sources (live, number);
CREATE TABLE recorded (
    source INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE, flow_log TEXT NOT NULL, PRIMARY KEY (source, flow_log)
) STRICT, WITHOUT ROWID;

-- present: whether the file is there, born_ms: the time that had passed when it came, skip: SKIPDATA records that may
-- take the place of those in it
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL UNIQUE, stream TEXT NOT NULL,
    period_start_s INTEGER NOT NULL, windows TEXT NOT NULL, window_s INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, created_ms INTEGER NOT NULL, born_ms INTEGER NOT NULL, skip BLOB NOT NULL,
    present INTEGER NOT NULL DEFAULT 1
) STRICT;

-- files of segments that are forgotten, until it is sure that they are gone
CREATE TABLE removed (file TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- numbers are never given twice: they are in the names of objects
CREATE TABLE units (
    id INTEGER PRIMARY KEY AUTOINCREMENT, definition INTEGER NOT NULL REFERENCES flow_logs,
    staged INTEGER NOT NULL DEFAULT 0, progress INTEGER NOT NULL DEFAULT 0, begun INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE shares (
    segment INTEGER NOT NULL REFERENCES segments, flow_log TEXT NOT NULL,
    definition INTEGER NOT NULL REFERENCES flow_logs, records INTEGER NOT NULL, skip_records INTEGER NOT NULL,
    skipped INTEGER NOT NULL DEFAULT 0, unit INTEGER REFERENCES units, PRIMARY KEY (segment, flow_log)
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_unit ON shares (unit);
CREATE INDEX shares_by_definition ON shares (definition);

CREATE TABLE objects (
    unit INTEGER NOT NULL REFERENCES units ON DELETE CASCADE, number INTEGER NOT NULL, file TEXT NOT NULL,
    key TEXT NOT NULL, sha256 TEXT NOT NULL, first_end_s INTEGER NOT NULL, last_end_s INTEGER NOT NULL,
    records INTEGER NOT NULL, size_bytes INTEGER NOT NULL, period_start_s INTEGER NOT NULL, salt INTEGER NOT NULL,
    attempts INTEGER NOT NULL, delivered INTEGER NOT NULL, PRIMARY KEY (unit, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest (
    flow_log TEXT NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL, place TEXT NOT NULL, key TEXT NOT NULL,
    sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, records INTEGER NOT NULL, first_end_s INTEGER NOT NULL,
    last_end_s INTEGER NOT NULL, PRIMARY KEY (flow_log, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE statuses (
    flow_log_id TEXT PRIMARY KEY, message TEXT, reason TEXT NOT NULL DEFAULT '', at_ms INTEGER NOT NULL,
    objects INTEGER NOT NULL DEFAULT 0, records INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
    doubtful INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, argument TEXT NOT NULL, at_ms INTEGER NOT NULL,
    answer TEXT
) STRICT;
"""

_FULL: Final = {sqlite3.SQLITE_FULL}
_UNWRITABLE: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Journal:
    """The open journal. Hold `lock` to see several things of one moment; one thread at a time is inside.

    `made`: whether it has its tables; a process that was killed while it made them left none.
    Raises StateError, DestinationFull, DestinationUnwritable wherever it is used.
    """

    def __init__(self, path: Path, *, make: bool) -> None:
        self.path = path
        self.lock = threading.RLock()
        if make:
            _make_private(path)
        with self._errors():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.row_factory = sqlite3.Row
            try:
                self._prepare(make=make)
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is durable at the end, or none of it happened."""
        with self.lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._undo()
                raise

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is read inside is all of one moment, whatever another process writes meanwhile."""
        with self.lock, self._errors():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def read(self, query: str, *values: object) -> list[Any]:
        """The rows of a query, which have their columns as items."""
        with self.lock, self._errors():
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close it; what was written stays."""
        with self.lock, self._errors():
            self._connection.close()

    def _undo(self) -> None:
        """End a transaction that failed. Where the disk is full, the log may be what fills it: empty it."""
        if self._connection.in_transaction:  # SQLite itself ends it after some errors
            self._connection.execute("ROLLBACK")
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _prepare(self, *, make: bool) -> None:
        run = self._connection.execute
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")
        run(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        version = int(run("PRAGMA user_version").fetchone()[0])
        self.made = make or version > 0
        if version > _VERSION:
            raise StateError(f"{self.path}: a newer version of Flowglass made this spool; use that version")
        if not make:
            return
        run("PRAGMA journal_mode = WAL")
        if run("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise self.damaged("its pages do not fit together")
        if version == 0:
            with self.change() as sql:
                for statement in _TABLES.split(";"):
                    sql.execute(statement)
                sql.execute("INSERT INTO meta (writer) VALUES (?)", (str(uuid.uuid4()),))
                sql.execute(f"PRAGMA user_version = {_VERSION}")
            sync(self.path.parent)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._meant(error) from error

    def _meant(self, error: sqlite3.Error) -> Error | sqlite3.Error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what extends it
        # Where a disk has no room for the log's index, SQLite says that it could not be written.
        if code in _FULL or (code == sqlite3.SQLITE_IOERR and shutil.disk_usage(self.path.parent).free < _LEAST_BYTES):
            return DestinationFull(f"{self.path}: no space left on device; make room, then it goes on by itself")
        if code == sqlite3.SQLITE_IOERR:
            return DestinationUnwritable(f"{self.path}: {error}; check the disk, its health and its limits")
        if code in _UNWRITABLE:
            return DestinationUnwritable(
                f"{self.path}: {error}; make it and its folder writable for you, or be the user who made them"
            )
        # Text that is not UTF-8 has an error without a code: https://docs.python.org/3/library/sqlite3.html
        if code in _DAMAGED or (code == 0 and isinstance(error, sqlite3.OperationalError)):
            return self.damaged(str(error))
        if code == sqlite3.SQLITE_BUSY:
            return StateError(f"{self.path}: another process has kept it locked for {_BUSY_S:.0f} s; end that process")
        return error

    def damaged(self, why: str) -> StateError:
        """The error that says what to do where what the journal says cannot be."""
        return StateError(
            f"{self.path}: the journal is damaged ({why}); move it aside together with {self.path.name}-wal and start "
            "again: what waits in the segments beside it is taken up, and what was just being delivered may come twice"
        )


def _make_private(path: Path) -> None:
    """Make the file, so that only its owner reads it; SQLite gives -wal and -shm the same rights."""
    # O_EXCL: closing an existing file would drop the locks that SQLite holds on it in this process
    # (https://www.sqlite.org/howtocorrupt.html, 2.2).
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise destination_error(path, error) from error
