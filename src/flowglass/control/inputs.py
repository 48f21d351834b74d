"""An action's input as requests of EC2 name it: a tree of names, compiled once from AWS's model.

Rule: the tree has the depth of the model, and a name leads down it one step a part; nothing that is sent makes it
larger. Of a value only its type is known here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from botocore.model import OperationModel, Shape

_INDEX: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
"""The number of a list's element: no zeros in front, so that no element has two names."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,10}", re.ASCII)

_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
"""ISO 8601 as AWS writes it; datetime reads more than this, such as week dates."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value. `read` turns its text into the member, or raises ValueError or OverflowError; `must`: what it has to."""

    read: Callable[[str], object]
    must: str

    def child(self, part: str) -> tuple[str, None]:
        """Nothing: a value has no parts."""
        return part, None


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list; its elements are numbered from 1 in requests."""

    member: Node

    def child(self, part: str) -> tuple[int | str, Node | None]:
        """The element's number, 1…999,999, and what it is; None for what is no such number."""
        return (int(part), self.member) if _INDEX.fullmatch(part) else (part, None)


@dataclass(frozen=True, slots=True)
class Structure:
    """Members by their name in requests: the name that botocore gives the member, and what it is."""

    members: dict[str, tuple[str, Node]]
    required: tuple[str, ...]
    """Botocore's names of the members that must be there."""

    def child(self, part: str) -> tuple[str, Node | None]:
        """The member's name and what it is; None for a name that the structure does not have."""
        return self.members.get(part, (part, None))


Node: TypeAlias = Scalar | ListNode | Structure


@functools.cache
def of(operation: OperationModel) -> Structure:
    """The tree of an action's input; the same object at every call."""
    return _structure(operation.input_shape)


def _structure(shape: Shape) -> Structure:
    members = {_wire_name(member, name): (name, _node(member)) for name, member in shape.members.items()}
    return Structure(members, tuple(shape.required_members))


def _node(shape: Shape) -> Node:
    if shape.type_name == "structure":
        return _structure(shape)
    if shape.type_name == "list":
        return ListNode(_node(shape.member))
    return _SCALARS[shape.type_name]


def _wire_name(shape: Shape, name: str) -> str:
    """EC2's rule: `queryName`, else `locationName` with a capital, else the member's name.

    STS has another, which nothing needs: its one action has no parameters.
    """
    location: str = shape.serialization.get("name", name)
    wire: str = shape.serialization.get("queryName", location[0].upper() + location[1:])
    return wire


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        raise ValueError(text)
    return int(text)


def _timestamp(text: str) -> datetime:
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


_SCALARS: Final[dict[str, Scalar]] = {
    "string": Scalar(str, "be text"),
    "boolean": Scalar(_boolean, "be true or false"),
    "integer": Scalar(_integer, f"be a whole number from {-(2**31)} to {2**31 - 1}"),
    "timestamp": Scalar(_timestamp, "be a time as ISO 8601 writes it, such as 2026-01-31T08:00:00Z"),
}
"""Every type of value in the inputs of the actions that are answered."""
