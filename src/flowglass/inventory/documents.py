"""What a resource's document must be for a server to take it from an agent.

Rule: the documents that `listing` writes pass; of any other kind of document the first fault is told. Keys that are
not named here pass as they are: nothing reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError

from flowglass.inventory.scalars import AnyCidr, Cidr4, Cidr6, Ipv4, Ipv6, Mac, Tags, Target, Word


class _Document(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _Vpc(_Document):
    cidrs: list[AnyCidr]


class _Subnet(_Document):
    zone: Word
    cidr: Cidr4 | None = None
    ipv6_cidr: Cidr6 | None = None
    route_table: Word | None = None


class _Interface(_Document):
    subnet: Word
    zone: Word
    type: Word
    ipv4: list[Ipv4]
    ipv6: list[Ipv6]
    prefixes: list[AnyCidr]
    groups: list[Word]
    requester_managed: StrictBool
    efa: StrictBool
    instance: Word | None = None
    mac: Mac | None = None
    tags: Tags = {}


class _Instance(_Document):
    first_interface: Word | None = None
    tags: Tags = {}


class _Route(_Document):
    via: Target
    to: AnyCidr | None = None


class _RouteTable(_Document):
    routes: list[_Route]


_SHAPES: Final[Mapping[str, type[_Document]]] = {
    "vpc": _Vpc,
    "subnet": _Subnet,
    "network-interface": _Interface,
    "instance": _Instance,
    "route-table": _RouteTable,
    "security-group": _Document,
    "regional-nat-gateway": _Document,
}
"""By the kind of resource."""


def document_fault(kind: str, document: Mapping[str, Any]) -> str | None:
    """What is wrong with a document of that kind, in one line; None if nothing is."""
    shape = _SHAPES.get(kind)
    if shape is None:
        return f"{kind!r} is no kind of resource; these are: {', '.join(_SHAPES)}"
    try:
        shape.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None
