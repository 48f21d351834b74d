"""Flows, batches and inventories in a few words, for tests of enrich.

Rule: builds only what the contracts describe; every default is the plainest flow there is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowglass.fields.contracts import FLOW, IPV4_MAPPED, LINK, FlowBatch, Structured
from flowglass.inventory import Snapshot, load

SECOND = 1_000_000_000
START_S = 1_600_000_020
"""Start of the window of a test's flows: a multiple of 60 s."""


def halves(text: str) -> tuple[int, int]:
    """An address as two 64-bit numbers, IPv4 mapped."""
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return 0, IPV4_MAPPED | int(address)
    return int(address) >> 64, int(address) & (1 << 64) - 1


def flows(rows: Iterable[dict[str, Any]]) -> Structured:
    """FLOW rows from dicts of its fields; `src` and `dst` are addresses as text and bring the family."""
    listed = list(rows)
    made = np.zeros(len(listed), FLOW)
    for place, row in enumerate(listed):
        values = {
            "src": "10.0.0.1",
            "dst": "10.0.0.2",
            "packets": 1,
            "bytes": 40,
            "frames": 1,
            "protocol": 6,
            "first_ns": START_S * SECOND,
            "last_ns": START_S * SECOND,
            **row,
        }
        values["family"] = ipaddress.ip_address(values["src"]).version
        for side in ("src", "dst"):
            made[place][f"{side}_hi"], made[place][f"{side}_lo"] = halves(values.pop(side))
        for name, value in values.items():
            made[place][name] = value
    return made


def batch(
    rows: Structured,
    *,
    point: int = 0,
    links: Sequence[tuple[int, int]] = (),
    mixed_links: bool = False,
) -> FlowBatch:
    """A batch of one minute; `links` are (source MAC, destination MAC) of rows 1, 2, … of the table."""
    table = np.zeros(1 + len(links), LINK)
    for place, (src_mac, dst_mac) in enumerate(links, start=1):
        table[place]["src_mac"], table[place]["dst_mac"] = src_mac, dst_mac
    return FlowBatch(START_S, 60, point, rows, table, mixed_links)


def inventory(folder: Path, text: str) -> Snapshot:
    """The snapshot of an inventory file with this text."""
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def row_of(snapshot: Snapshot, name: str) -> int:
    """The row of an interface by its id, or by its resource's id where it has none."""
    ids: list[str | None] = snapshot.interfaces.id.to_pylist()
    resources: list[str | None] = snapshot.interfaces.resource_id.to_pylist()
    return ids.index(name) if name in ids else resources.index(name)
