"""Log formats: `${version} ${account-id} …` to an ordered tuple of columns and back.

Rule: everything that is wrong with a format is told at once. A column is (field, parameter), because the value of a
tag field depends on a tag key that the flow log brings (TagFieldSpecifications).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flowglass.fields.errors import LogFormatError
from flowglass.fields.table import (
    DEFAULT_VERSION,
    FIELDS,
    TRANSIT_GATEWAY_FIELDS,
    VPC_FIELDS,
    Field,
    FieldType,
    Resource,
)

_TOKEN = re.compile(r"\$\{([\w-]+)\}")
_TGW: Final = {field.name: field for field in TRANSIT_GATEWAY_FIELDS}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of records: a field, and its parameter where the field takes one (a tag key)."""

    field: Field
    parameter: str | None = None

    @property
    def label(self) -> str:
        """The column's name between rooms; unique for every (field, parameter)."""
        return self.field.name if self.parameter is None else f"{self.field.name}[{self.parameter}]"


@dataclass(frozen=True, slots=True)
class LogFormat:
    """The ordered columns of a flow log, at least one, none twice."""

    columns: tuple[Column, ...]

    @classmethod
    def parse(
        cls,
        text: str,
        tag_keys: Mapping[str, Sequence[str]] | None = None,
        *,
        resource: Resource = Resource.VPC,
    ) -> LogFormat:
        """Parse a format as CreateFlowLogs takes it: `${field}` tokens joined by single blanks.

        `tag_keys`: tag keys by resource type of TagFieldSpecifications (`instance`, `network-interface`,
        `auto-scaling-group`), at most two each. Raises LogFormatError that lists all faults.
        """
        fields = FIELDS if resource is Resource.VPC else _TGW
        faults: list[str] = []
        columns: list[Column] = []
        seen: set[str] = set()
        for token in text.split(" ") if text else []:
            match = _TOKEN.fullmatch(token)
            if match is None:
                faults.append(_token_fault(token))
                continue
            name = match[1]
            if name not in fields:
                faults.append(_unknown(name, fields))
            elif name in seen:
                faults.append(f"${{{name}}} is there twice")
            else:
                columns.append(_column(fields[name], tag_keys or {}, faults))
            seen.add(name)
        if not text:
            faults.append("it is empty; name at least one field")
        if faults:
            raise LogFormatError(f"log format: {'; '.join(dict.fromkeys(faults))}")
        return cls(tuple(columns))

    @classmethod
    def of(cls, names: Iterable[str], tag_keys: Mapping[str, Sequence[str]] | None = None) -> LogFormat:
        """The format with these fields, in this order; raises as `parse`."""
        return cls.parse(" ".join(f"${{{name}}}" for name in names), tag_keys)

    @property
    def version(self) -> int:
        """What `version` prints: the highest version among the chosen fields."""
        return max(column.field.version for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' names, in order."""
        return tuple(column.field.name for column in self.columns)

    def __str__(self) -> str:
        return " ".join(f"${{{name}}}" for name in self.names)


def _column(field: Field, tag_keys: Mapping[str, Sequence[str]], faults: list[str]) -> Column:
    if field.tag_of is None:
        return Column(field)
    keys = tag_keys.get(field.tag_of, ())
    if field.tag_position >= len(keys):
        which = ("a", "a second")[field.tag_position]
        faults.append(f"${{{field.name}}} needs {which} tag key of resource type {field.tag_of}")
        return Column(field)
    return Column(field, keys[field.tag_position])


def _unknown(name: str, fields: Mapping[str, Field]) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), fields, n=1, cutoff=0.5)
    hint = f"did you mean ${{{near[0]}}}?" if near else "`flowglass fields` lists the names"
    return f"unknown field ${{{name}}}, {hint}"


def _token_fault(token: str) -> str:
    if not token:
        return "fields are separated by exactly one blank, with none before or after"
    meant = " ".join(f"${{{name}}}" for name in re.findall(r"[\w-]+", token))
    return f"{token!r} has bad braces; write {meant or '${field-name}'}"


DEFAULT_FORMAT: Final = LogFormat(tuple(Column(field) for field in VPC_FIELDS if field.version == DEFAULT_VERSION))
"""AWS's default: the 14 fields of version 2."""

TRANSIT_GATEWAY_DEFAULT: Final = LogFormat(tuple(Column(field) for field in TRANSIT_GATEWAY_FIELDS))
"""AWS's default of a transit gateway flow log: all its fields."""


def all_fields(tag_keys: Mapping[str, Sequence[str]] | None = None) -> LogFormat:
    """All 54 fields of AWS; a tag field for which no key is given prints `-`."""
    faults: list[str] = []
    return LogFormat(tuple(_column(field, tag_keys or {}, faults) for field in VPC_FIELDS))


def named_format(text: str, tag_keys: Mapping[str, Sequence[str]] | None = None) -> LogFormat:
    """A format as the command line takes it: `default`, `all`, or a format string; raises as `LogFormat.parse`."""
    if text == "default":
        return DEFAULT_FORMAT
    if text == "all":
        return all_fields(tag_keys)
    return LogFormat.parse(text, tag_keys)


__all__ = [
    "DEFAULT_FORMAT",
    "TRANSIT_GATEWAY_DEFAULT",
    "Column",
    "FieldType",
    "LogFormat",
    "all_fields",
    "named_format",
]
