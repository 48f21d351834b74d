"""The URL of the state's database, read and checked.

Rule: nothing that a message shows of it can hold the password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from flowglass.fields.errors import StateError

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql+psycopg"

_DRIVERS: Final = {
    "sqlite": SQLITE,
    "postgresql": POSTGRESQL,
    "postgresql+psycopg": POSTGRESQL,
    "postgres": POSTGRESQL,
}
_FORMS: Final = (
    "write sqlite:////absolute/path/state.db or postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
    "with the special characters of the password percent-encoded"
)
_CHECK_POSTGRESQL: Final = "check host, port, database, user and password of [server] state"
_HOST: Final = re.compile(r"[^@%\s]*")
"""What a host may be made of. An unencoded @ in a password makes its end look like a part of the host."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the state is.

    `url`: with the driver used; `shown`: for people, without password and options; `remedy`: what to check where it
    cannot be reached.
    """

    url: URL
    shown: str
    remedy: str


def read(text: str) -> Address:
    """The address that a URL names. Raises StateError if it is none that can be used."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StateError(f"the state's URL cannot be read: {_FORMS}") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise StateError(f"the state's URL names the database {url.drivername}, which is not supported: {_FORMS}")
    if not _HOST.fullmatch(url.host or ""):
        raise StateError(f"the host in the state's URL is none: {_FORMS}")
    return _sqlite(url) if driver == SQLITE else _postgresql(url)


def _sqlite(url: URL) -> Address:
    if url.host or not url.database or url.database == ":memory:" or url.query:
        raise StateError(f"the state's URL names no file, or more than a file: {_FORMS}")
    path = str(Path(url.database).absolute())
    return Address(URL.create(SQLITE, database=path), path, "see that it is there, whole, and yours to write")


def _postgresql(url: URL) -> Address:
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database)
    return Address(url.set(drivername=POSTGRESQL), shown.render_as_string(), _CHECK_POSTGRESQL)
