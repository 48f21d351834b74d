"""Access keys in the state.

Rule: a key is never changed but to note that it was disabled or used, and never deleted, so that the audit log can name
it. Its secret is in no repr.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy import insert as sql_insert

from flowglass.control.store import rows
from flowglass.control.store.tables import KEYS


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An access key. `role`: the text of control.call.Role; `account`: the only one that it sees, None for all.

    `agent`: whose it is; `used_ms`: when a key for one use was used.
    """

    id: str
    secret: str = field(repr=False)
    name: str
    role: str
    account: str | None
    agent: str | None
    created_ms: int
    expires_ms: int | None = None
    disabled_ms: int | None = None
    used_ms: int | None = None


_NAMES: Final = tuple(one.name for one in dataclasses.fields(KeyRow))
_C: Final = KEYS.c
_ALL: Final = select(*(_C[name] for name in _NAMES)).order_by(_C.created_ms, _C.id)
_GET: Final = select(*(_C[name] for name in _NAMES)).where(_C.id == bindparam("key_id"))
_INSERT: Final = sql_insert(KEYS)
_DISABLE: Final = (
    update(KEYS).where(_C.id == bindparam("key_id"), _C.disabled_ms.is_(None)).values(disabled_ms=bindparam("at_ms"))
)
_USE: Final = update(KEYS).where(_C.id == bindparam("key_id"), _C.used_ms.is_(None)).values(used_ms=bindparam("at_ms"))


def get(connection: Connection, key_id: str) -> KeyRow | None:
    """A key by its id, disabled and expired ones too; None if there is none."""
    row = connection.execute(_GET, {"key_id": key_id}).first()
    return None if row is None else KeyRow(*row)


def insert(connection: Connection, key: KeyRow) -> None:
    """Store a new key. Raises Conflict if its id is there."""
    connection.execute(_INSERT, rows.values(key, _NAMES))


def list_all(connection: Connection) -> list[KeyRow]:
    """Every key, oldest first."""
    return [KeyRow(*row) for row in connection.execute(_ALL)]


def disable(connection: Connection, key_id: str, at_ms: int) -> bool:
    """Disable a key; False if there is none of that id, or it is disabled already."""
    return connection.execute(_DISABLE, {"key_id": key_id, "at_ms": at_ms}).rowcount == 1


def use_once(connection: Connection, key_id: str, at_ms: int) -> bool:
    """Note that a key was used; False if there is none of that id, or it was used before."""
    return connection.execute(_USE, {"key_id": key_id, "at_ms": at_ms}).rowcount == 1
