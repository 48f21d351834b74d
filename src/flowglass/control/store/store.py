"""The state store: transactions over the control plane's database.

Rule: a call of the API is at most one read and one write; a write is one transaction, whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from flowglass.control.store import address, migrate, postgresql, sqlite
from flowglass.control.store.backend import Backend, first_line
from flowglass.control.store.errors import Conflict, StoreUnavailable
from flowglass.control.store.tables import SETTINGS
from flowglass.fields.errors import StateError

T = TypeVar("T")

RETRIES: Final = 5
"""How often work is run again after a Conflict."""

_PAUSE_S: Final = 0.005
"""The pause before the first retry; before each further one as much longer."""

_PATIENCE_S: Final = 4.0
"""No retry begins later than this: who waited so long for another's lock would wait as long again."""

_READY: Final = select(SETTINGS.c.name).limit(1)


class Store:
    """A database of the state. Safe to share between threads; `Store.open` makes one."""

    def __init__(self, backend: Backend, shown: str) -> None:
        self._backend = backend
        self._shown = shown

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the state at a URL, `sqlite:///…` or `postgresql://…`, and bring its tables up to this version.

        Raises StateError, with the reason, if the URL is wrong, or what it names cannot be reached, is damaged or was
        written by a newer version.
        """
        where = address.read(url)
        opener = sqlite.open_backend if where.url.drivername == address.SQLITE else postgresql.open_backend
        store = cls(opener(where), where.shown)
        try:
            store.write(migrate.to_head)
        except Conflict as error:
            store.close()
            raise StateError(f"{error}; another process holds it: try again when that is done") from error
        except StoreUnavailable as error:
            store.close()
            raise StateError(f"{error}; {where.remedy}") from error
        except DBAPIError as error:
            store.close()
            raise StateError(f"the state at {where.shown} cannot be used: {first_line(error.orig)}") from error
        except StateError as error:
            store.close()
            raise StateError(f"the state at {where.shown} {error}") from None
        return store

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, which sees one state of the database throughout and changes nothing.

        Raises StoreUnavailable.
        """

        def attempt() -> T:
            with self._connected(self._backend.reading) as connection:
                self._backend.begin_read(connection)
                return work(connection)

        return _again(attempt)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, in one transaction: stored for good on return, nothing stored on an exception.

        Nobody else writes while it runs. Raises Conflict if it is still there after RETRIES or too long;
        StoreUnavailable, after which the transaction may have been stored only where the connection broke while it was
        being committed.
        """

        def attempt() -> T:
            with (
                self._backend.turn,
                self._connected(self._backend.writing) as connection,
                connection.begin(),
            ):
                self._backend.begin_write(connection)
                return work(connection)

        return _again(attempt)

    def ready(self) -> bool:
        """Whether the database answers."""
        try:
            self.read(lambda connection: connection.execute(_READY))
        except (Conflict, StoreUnavailable):
            return False
        return True

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._backend.reading.dispose()

    def _connected(self, engine: Engine) -> Connection:
        try:
            return engine.connect()
        except PoolTimeout:
            raise StoreUnavailable(f"the state at {self._shown}: all connections are in use") from None


def _again(attempt: Callable[[], T]) -> T:
    until = time.monotonic() + _PATIENCE_S
    for retry in range(1, RETRIES + 1):
        try:
            return attempt()
        except Conflict:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S * retry)
    return attempt()
