"""The inventory as the server sees it: the union of what agents sent.

Rule: every agent's rows are its own. Where several agents know the same resource, the one seen last is believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, Select, bindparam, delete, exists, insert, select, tuple_, update

from flowglass.control.store import rows
from flowglass.control.store.lists import among, listed
from flowglass.control.store.tables import AGENTS, RESOURCES


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A resource as one agent sent it. `kind`: as "vpc"; `vpc`: the VPC that it lies in; `document`: what is known."""

    kind: str
    id: str
    account: str
    region: str
    vpc: str | None
    document: dict[str, Any]


_NAMES: Final = tuple(field.name for field in dataclasses.fields(ResourceRow))
_C: Final = RESOURCES.c
_INSERT: Final[Insert] = insert(RESOURCES)
_CLEAR: Final = delete(RESOURCES).where(_C.agent == bindparam("of"))
_REMOVE: Final = delete(RESOURCES).where(
    _C.kind == bindparam("of_kind"), _C.id == bindparam("of_id"), _C.agent == bindparam("of")
)
_ACCOUNTS: Final = select(_C.account, _C.region).distinct().order_by(_C.account, _C.region)
_SET_DIGEST: Final = update(AGENTS).where(AGENTS.c.id == bindparam("of")).values(inventory_digest=bindparam("digest"))
_MOVE_DIGEST: Final = _SET_DIGEST.where(AGENTS.c.inventory_digest == bindparam("base"))


@cache
def _find(given: frozenset[str]) -> Select[Any]:
    """The statement for the parameters that are given. What an agent seen later knows better is left out."""
    other, other_agent = RESOURCES.alias("other"), AGENTS.alias("other_agent")
    known_better = exists().where(
        other.c.kind == _C.kind,
        other.c.id == _C.id,
        other_agent.c.id == other.c.agent,
        tuple_(other_agent.c.seen_ms, other_agent.c.id) > tuple_(AGENTS.c.seen_ms, AGENTS.c.id),
    )
    clauses = {
        "kind": _C.kind == bindparam("kind"),
        "account": _C.account == bindparam("account"),
        "region": _C.region == bindparam("region"),
        "ids": among(_C.id, "ids"),
    }
    return (
        select(*(_C[name] for name in _NAMES))
        .where(AGENTS.c.id == _C.agent, ~known_better, *(clause for name, clause in clauses.items() if name in given))
        .order_by(_C.id)
    )


def _insert(connection: Connection, agent: str, resources: Iterable[ResourceRow]) -> None:
    last = {(row.kind, row.id): row for row in resources}
    rows.insert_all(connection, _INSERT, ({**rows.values(row, _NAMES), "agent": agent} for row in last.values()))


def replace(connection: Connection, agent: str, resources: Iterable[ResourceRow], digest: str) -> None:
    """Keep these as all that an agent knows; of a resource given twice, the last.

    Raises LookupError if the agent is not registered.
    """
    if connection.execute(_SET_DIGEST, {"of": agent, "digest": digest}).rowcount == 0:
        raise LookupError(f"no agent {agent} is registered: register it before its inventory is stored")
    connection.execute(_CLEAR, {"of": agent})
    _insert(connection, agent, resources)


def change(
    connection: Connection,
    agent: str,
    put: Sequence[ResourceRow],
    remove: Sequence[tuple[str, str]],
    base_digest: str,
    digest: str,
) -> bool:
    """Put resources in the place of former ones and remove others by (kind, id).

    False, and nothing is done, if what is stored of the agent is not what `base_digest` names.
    """
    moved = connection.execute(_MOVE_DIGEST, {"of": agent, "base": base_digest, "digest": digest})
    if moved.rowcount == 0:
        return False
    gone = [*remove, *((row.kind, row.id) for row in put)]
    for chunk in rows.chunks({"of_kind": kind, "of_id": one, "of": agent} for kind, one in gone):
        connection.execute(_REMOVE, chunk)
    _insert(connection, agent, put)
    return True


def find(
    connection: Connection, kind: str, *, account: str | None, region: str | None, ids: Sequence[str] | None = None
) -> list[ResourceRow]:
    """Resources of a kind by all that is given, each once, ordered by id: None asks for any, an empty list for none."""
    asked = {"kind": kind, "account": account, "region": region, "ids": None if ids is None else listed(ids)}
    given = {name: value for name, value in asked.items() if value is not None}
    return [ResourceRow(*row) for row in connection.execute(_find(frozenset(given)), given)]


def accounts_and_regions(connection: Connection) -> list[tuple[str, str]]:
    """Every account with each of its regions that some agent knows a resource of, in order."""
    return [(row[0], row[1]) for row in connection.execute(_ACCOUNTS)]
