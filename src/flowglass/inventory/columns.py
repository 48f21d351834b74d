"""Interfaces row by row, and the columns that they become.

Rule: `Row` has the names of the columns of `Interfaces`; what is not given is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowglass.inventory.model import ECS_FIELDS
from flowglass.inventory.scalars import FOREVER_NS
from flowglass.inventory.snapshot import Interfaces, Role
from flowglass.inventory.texts import texts

_TEXTS: Final = (
    "id",
    "account",
    "region",
    "vpc",
    "subnet",
    "instance",
    "az",
    "sublocation_type",
    "sublocation_id",
    "type",
    "resource_id",
    "name",
)
_NUMBERS: Final[Mapping[str, npt.DTypeLike]] = {
    "vpc_row": np.int32,
    "subnet_row": np.int32,
    "primary_ipv4": np.uint64,
    "mac": np.uint64,
    "role": np.uint8,
    "substitute": np.bool_,
    "efa": np.bool_,
    "broadcast": np.uint64,
    "from_ns": np.int64,
    "until_ns": np.int64,
}
TAG_KINDS: Final = ("instance", "network-interface", "auto-scaling-group")
"""Kinds of resources whose tags records may show (TagFieldSpecifications)."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One interface. `tags`: by kind of resource; `ecs`: by name of the field."""

    account: str
    region: str
    name: str
    id: str | None = None
    vpc: str | None = None
    subnet: str | None = None
    instance: str | None = None
    az: str | None = None
    sublocation_type: str | None = None
    sublocation_id: str | None = None
    type: str | None = None
    resource_id: str | None = None
    vpc_row: int = -1
    subnet_row: int = -1
    primary_ipv4: int = 0
    mac: int = 0
    role: int = Role.HOST
    substitute: bool = False
    efa: bool = False
    broadcast: int = 0
    from_ns: int = 0
    until_ns: int = FOREVER_NS
    ecs: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def columns(rows: Sequence[Row]) -> Interfaces:
    """The rows as columns, in their order."""
    made: dict[str, Any] = {name: texts([getattr(row, name) for row in rows]) for name in _TEXTS}
    for name, dtype in _NUMBERS.items():
        made[name] = np.array([getattr(row, name) for row in rows], dtype)
    accounts = {account: number for number, account in enumerate(dict.fromkeys(row.account for row in rows))}
    nothing: Mapping[str, str] = {}
    return Interfaces(
        **made,
        account_row=np.array([accounts[row.account] for row in rows], np.int32),
        ecs={name: texts([row.ecs.get(name) for row in rows]) for name in ECS_FIELDS},
        tags={kind: tuple(row.tags.get(kind, nothing) for row in rows) for kind in TAG_KINDS},
    )
