"""The state in a PostgreSQL database, which several servers may share.

Rule: writes take turns by an advisory lock, as SQLite's do, and run at READ COMMITTED: what a write reads stays true
until it commits, numbers of `seq` become visible in their order, and no write fails because of another. SERIALIZABLE
would promise the same but refuse writes that do not touch each other, since small tables are locked whole. Unique
constraints hold beneath it all.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Final

import psycopg
from psycopg import errors as sql
from sqlalchemy import Connection, create_engine, event

from flowglass.control.store.address import Address
from flowglass.control.store.backend import Backend, Fault, translate_errors
from flowglass.control.store.errors import Conflict, StoreUnavailable
from flowglass.fields.errors import StateError

CONNECT_S: Final = 3
"""How long a server may take to answer a new connection."""
POOL_S: Final = 10
"""How long a call waits for a connection while all are in use."""
SILENT_MS: Final = 10_000
"""How long sent data may stay unconfirmed before a connection counts as lost: a pulled cable, not a slow query."""

_WRITE_LOCK: Final = 0x466C6F77676C6173
"""The advisory lock of writes: the bytes of `Flowglas`."""

_OPTIONS: Final = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": SILENT_MS,
    "client_encoding": "utf8",
    "application_name": "flowglass",
}
"""What libpq is told where the URL does not say otherwise."""

_SETTINGS: Final = (
    "SET lock_timeout = '5s'",
    # A server that froze in the middle of a write must not stop the others for longer.
    "SET idle_in_transaction_session_timeout = '30s'",
)

_CONFLICTS: Final = (sql.UniqueViolation, sql.SerializationFailure, sql.DeadlockDetected, sql.LockNotAvailable)


def classify(error: BaseException) -> Fault | None:
    """What an error of the driver means, None for those that are faults of the program."""
    if isinstance(error, _CONFLICTS):
        return Conflict
    # Read-only: the server behind the address has become a standby.
    return StoreUnavailable if isinstance(error, psycopg.OperationalError | sql.ReadOnlySqlTransaction) else None


def open_backend(address: Address) -> Backend:
    """Prepare connections to the server; none is made yet."""
    engine = create_engine(
        address.url,
        hide_parameters=True,  # secrets are among them
        pool_size=8,
        max_overflow=8,
        pool_timeout=POOL_S,
        pool_pre_ping=True,  # after an outage the first request already finds a new connection
        connect_args={name: value for name, value in _OPTIONS.items() if name not in address.url.query},
    )
    event.listen(engine, "connect", _configure)
    translate_errors(engine, address.shown, classify)
    reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Backend(reading, engine, _begin_read, _begin_write, nullcontext())


def _configure(connection: psycopg.Connection[Any], _record: object) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StateError(f"has the encoding {encoding}, which lacks characters: make a database with ENCODING 'UTF8'")
    for setting in _SETTINGS:
        connection.execute(setting)
    connection.commit()


def _begin_read(_connection: Connection) -> None:
    """The first statement begins it."""


def _begin_write(connection: Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
