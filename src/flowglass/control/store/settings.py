"""Named values that the servers of one state share.

Rule: a value is written once; who comes later uses what is there.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from flowglass.control.store.tables import SETTINGS

_GET: Final = select(SETTINGS.c.value).where(SETTINGS.c.name == bindparam("named"))
_INSERT: Final = insert(SETTINGS)


def get(connection: Connection, name: str) -> str | None:
    """The value of a name, None if it has none."""
    return connection.scalar(_GET, {"named": name})


def put_if_absent(connection: Connection, name: str, value: str) -> str:
    """Give a name its value if it has none; what it has in the end."""
    stored = get(connection, name)
    if stored is not None:
        return stored
    connection.execute(_INSERT, {"name": name, "value": value})
    return value
