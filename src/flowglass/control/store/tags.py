"""Tags of flow logs in the state.

Rule: the flow log must be there; its tags go with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from flowglass.control.store import rows
from flowglass.control.store.lists import among, listed
from flowglass.control.store.tables import TAGS

_C: Final = TAGS.c
_OF: Final = select(_C.flow_log_id, _C.key, _C.value).where(among(_C.flow_log_id, "ids")).order_by(*TAGS.primary_key)
_INSERT: Final = insert(TAGS)
_REMOVE: Final = delete(TAGS).where(among(_C.flow_log_id, "ids"), _C.key == bindparam("named"))
_REMOVE_VALUE: Final = _REMOVE.where(_C.value == bindparam("valued"))


def tags(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The tags of each flow log, by key and in its order; an empty dict for one without tags."""
    found: dict[str, dict[str, str]] = {flow_log_id: {} for flow_log_id in ids}
    for flow_log_id, key, value in connection.execute(_OF, {"ids": listed(ids)}):
        found[flow_log_id][key] = value
    return found


def put(connection: Connection, ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Set tags on each flow log; a key that is there gets the new value."""
    remove(connection, ids, dict.fromkeys(tags))
    given = [
        {"flow_log_id": one, "key": key, "value": value} for one in dict.fromkeys(ids) for key, value in tags.items()
    ]
    rows.insert_all(connection, _INSERT, given)


def remove(connection: Connection, ids: Sequence[str], tags: Mapping[str, str | None]) -> None:
    """Remove tags of each flow log: a key with any value where None is given, else only with that value."""
    listed_ids = listed(ids)
    for key, value in tags.items():
        if value is None:
            connection.execute(_REMOVE, {"ids": listed_ids, "named": key})
        else:
            connection.execute(_REMOVE_VALUE, {"ids": listed_ids, "named": key, "valued": value})
