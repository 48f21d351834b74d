"""AWS's published address ranges: ip-ranges.json as AWS publishes it.

Rule: read whole or refused; format: https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import PydanticCustomError

from flowglass.inventory.faults import Fault
from flowglass.inventory.scalars import Cidr, parse_cidr

_LAST = {"EC2": 1, "AMAZON": 2}


@dataclass(frozen=True, slots=True)
class ServicePrefix:
    """One published prefix of a service in a region."""

    cidr: Cidr
    service: str
    region: str


def read_prefixes(path: Path, line: int) -> tuple[list[ServicePrefix], list[Fault]]:
    """The prefixes in the file at `path`; faults are those of `line` of the inventory, which names it."""
    where = f"service_prefixes: {path}"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [
            ServicePrefix(parse_cidr(row[key]), _name(row["service"]), _name(row["region"]))
            for listed, key in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix"))
            for row in document[listed]
        ], []
    except OSError as error:
        return [], [Fault(line, f"{where}: {error.strerror}", "save AWS's ip-ranges.json there")]
    except PydanticCustomError as error:
        return [], [Fault(line, f"{where}: {error.message()}", "save AWS's ip-ranges.json there again")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [], [Fault(line, f"{where} is no ip-ranges.json", "save AWS's ip-ranges.json there again")]


def _name(value: object) -> str:
    """A name as published; raises ValueError for anything else, text that UTF-8 cannot hold included."""
    if not isinstance(value, str) or not value:
        raise ValueError("no name")
    value.encode()
    return value


def by_precedence(name: str) -> tuple[int, str]:
    """Sort key of services with equal prefixes: alphabetical, but EC2 next to last and AMAZON last."""
    return _LAST.get(name, 0), name
