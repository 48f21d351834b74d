"""The state in a file of SQLite.

Rule: a write that was answered survives a power cut; the file is its owner's alone before anything is in it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from flowglass.control.store.address import Address
from flowglass.control.store.backend import Backend, Fault, translate_errors
from flowglass.control.store.errors import Conflict, StoreUnavailable
from flowglass.fields.errors import StateError

BUSY_S: Final = 5.0
"""How long a connection waits for another process's lock before that is a Conflict."""

_FILE: Final = "file"
_CONFLICTS: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
)
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


def classify(error: BaseException) -> Fault | None:
    """What an error of the driver means, None for those that are faults of the program."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    primary = code & 0xFF  # the rest says more about it: https://www.sqlite.org/rescode.html
    if code in _CONFLICTS or primary in _BUSY:
        return Conflict
    return StoreUnavailable if primary in _UNAVAILABLE else None


def open_backend(address: Address) -> Backend:
    """Open the file, making it where there is none. Raises StateError if it cannot be."""
    path = Path(str(address.url.database))
    _make_private(path)
    _use_wal(path)

    def connect() -> sqlite3.Connection:
        # Not "rwc": a file that was removed is not made anew, empty. None: transactions begin as _begin_… say.
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )

    engine = create_engine(
        address.url,
        creator=connect,
        hide_parameters=True,  # secrets are among them
        pool_size=16,
        pool_use_lifo=True,  # the connection that wrote last has the pages in its memory
        max_overflow=48,
        pool_timeout=BUSY_S,
    )
    event.listen(engine, "connect", _configure)
    _watch_file(engine, path)
    translate_errors(engine, address.shown, classify)
    return Backend(engine, engine, _begin_read, _begin_write, _Turn(address.shown))


def _make_private(path: Path) -> None:
    # O_EXCL: an existing file is not opened here, because closing it would drop the locks that SQLite holds on it in
    # this process (https://www.sqlite.org/howtocorrupt.html, 2.2). SQLite gives its -wal and -shm the same mode.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        _restrict(path)
    except OSError as error:
        raise StateError(f"the state {path} cannot be made: {error.strerror}") from None


def _restrict(path: Path) -> None:
    if not path.is_file():
        raise StateError(f"the state {path} is no file: name a file, or move it out of the way")
    if path.stat().st_mode & 0o077:
        try:
            path.chmod(0o600)
        except OSError as error:
            raise StateError(f"the state {path} is open to others and cannot be closed to them: {error}") from None


def _use_wal(path: Path) -> None:
    """Set the file's journal mode, which it keeps. SQLite does not wait here while another process does the same."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection = sqlite3.connect(path, timeout=BUSY_S)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
        except sqlite3.Error as error:
            if classify(error) is not Conflict or time.monotonic() > deadline:
                raise StateError(
                    f"the state {path} cannot be opened: {error}; restore a backup, or move it away to start anew"
                ) from None
            time.sleep(0.02)
        else:
            return


class _Turn:
    """Held by the one thread that writes; not waited for any longer than another process's lock."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._lock = Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=BUSY_S):
            raise Conflict(f"the state at {self._shown}: other writes take too long")

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def _watch_file(engine: Engine, path: Path) -> None:
    """Give up connections whose file is no longer the one at `path`: what they write nobody would find again."""

    @event.listens_for(engine, "connect")
    def remember(_connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info[_FILE] = _identity(path)

    @event.listens_for(engine, "checkout")
    def compare(_connection: sqlite3.Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if record.info[_FILE] != _identity(path):
            raise DisconnectionError("the file was removed or replaced")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_read(connection: Connection) -> None:
    # Takes no lock and touches no file, so there is no error that SQLAlchemy would have to see.
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN")


def _begin_write(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later could not be let in after
    # another's write, however long it waited.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
