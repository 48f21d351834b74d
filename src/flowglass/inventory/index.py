"""The arrays behind a snapshot's look-ups, each with the question that it answers.

Rule: built once by `build.py` and `routes.py`, never changed; answers are new arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from flowglass.fields.contracts import I32, I64, U8, U64, Structured
from flowglass.inventory.kernels import NONE, first_valid, owners_at, owners_in_turn
from flowglass.inventory.ranges import Prefix, Ranges, flatten
from flowglass.inventory.scalars import Cidr

CANDIDATE: Final = np.dtype(
    [("from_ns", np.int64), ("until_ns", np.int64), ("row", np.int32), ("vpc", np.int32)], align=True
)
"""Who may own an address, and when."""


class Held(NamedTuple):
    """An address or prefix that an interface holds in its VPC while it is valid."""

    vpc: int
    cidr: Cidr
    row: int


@dataclass(frozen=True, eq=False)
class Turns:
    """Owners in turn of MAC addresses (or of numbered names), sorted by key and time."""

    keys: U64
    from_ns: I64
    until_ns: I64
    row: I32

    @classmethod
    def of(cls, keys: Sequence[int], rows: Sequence[int], from_ns: I64, until_ns: I64) -> Turns:
        """`keys` and the `rows` that have them; `from_ns`, `until_ns`: (interfaces,) by row."""
        key, row = np.array(keys, np.uint64), np.array(rows, np.int32)
        order = np.lexsort((from_ns[row], key))
        row = row[order]
        return cls(key[order], from_ns[row], until_ns[row], row)

    def owners(self, keys: U64, at_ns: I64) -> I32:
        """The row that has each key at its time, -1 none. `keys`: as long as `at_ns`, or (1,)."""
        out = np.empty(len(at_ns), np.int32)
        owners_in_turn(self.keys, self.from_ns, self.until_ns, self.row, keys, at_ns, out)
        return out


@dataclass(frozen=True, eq=False)
class Devices:
    """Owners in turn of devices: each name has a number."""

    numbers: Mapping[str, int]
    turns: Turns

    @classmethod
    def of(cls, names: Iterable[tuple[str, int]], from_ns: I64, until_ns: I64) -> Devices:
        """Pairs of a device's name and the row that has it."""
        numbers: dict[str, int] = {}
        pairs = [(numbers.setdefault(name, len(numbers)), row) for name, row in names]
        turns = Turns.of([pair[0] for pair in pairs], [pair[1] for pair in pairs], from_ns, until_ns)
        return cls(numbers, turns)

    def owners(self, name: str, at_ns: I64) -> I32:
        """The row that has the device at each time, -1 none."""
        if name not in self.numbers:
            return np.full(len(at_ns), NONE, np.int32)
        return self.turns.owners(np.array([self.numbers[name]], np.uint64), at_ns)


@dataclass(frozen=True, eq=False)
class Addresses:
    """Owners of addresses: a space a VPC, and a last one over all. `candidates`: (values of the ranges,) CANDIDATE."""

    ranges: Ranges
    everywhere: int
    candidates: Structured

    @classmethod
    def of(cls, vpcs: int, held: Sequence[Held], from_ns: I64, until_ns: I64) -> Addresses:
        """Who holds what in `vpcs` VPCs; `from_ns`, `until_ns`: (interfaces,) by row."""
        inside = (Prefix(entry.vpc, entry.cidr, place) for place, entry in enumerate(held))
        over_all = (Prefix(vpcs, entry.cidr, place) for place, entry in enumerate(held))
        ranges = flatten(vpcs + 1, [*inside, *over_all])
        candidates = np.empty(len(ranges.values), CANDIDATE)
        candidates["row"] = np.array([entry.row for entry in held], np.int32)[ranges.values]
        candidates["vpc"] = np.array([entry.vpc for entry in held], np.int32)[ranges.values]
        candidates["from_ns"] = from_ns[candidates["row"]]
        candidates["until_ns"] = until_ns[candidates["row"]]
        return cls(ranges, vpcs, candidates)

    def owners(self, hi: U64, lo: U64, at_ns: I64, vpc_row: I32 | None) -> I32:
        """As `Snapshot.by_address`."""
        if vpc_row is None:
            space = np.full(1, self.everywhere, np.int32)
        else:
            space = np.where(vpc_row < 0, np.int32(self.everywhere), vpc_row)
        out = np.empty(len(hi), np.int32)
        ranges = self.ranges
        owners_at(
            ranges.offsets,
            ranges.start_hi,
            ranges.start_lo,
            ranges.first,
            self.candidates,
            space,
            hi,
            lo,
            at_ns,
            out,
        )
        return out


@dataclass(frozen=True, eq=False)
class Routing:
    """Routes: `space` (interfaces + 1,) tells which routes an interface has; their values are rows of
    targets.

    The last of `space` is -1, for interface -1.

    By target: `path`, AWS's code; `vpc`, the VPC in which the address itself is the next hop, -1 none;
    `first` (targets + 1,), its interfaces in `rows`, the preferred first. `from_ns`, `until_ns`: by
    interface.
    """

    space: I32
    ranges: Ranges
    path: U8
    vpc: I32
    first: I64
    rows: I32
    from_ns: I64
    until_ns: I64

    def targets(self, interface: I32, hi: U64, lo: U64) -> I32:
        """The target of each interface's route to an address, -1 none."""
        return self.ranges.longest(self.space[interface], hi, lo)

    def paths(self, interface: I32, hi: U64, lo: U64) -> U8:
        """As `Snapshot.traffic_path`."""
        target = self.targets(interface, hi, lo)
        codes: U8 = np.append(self.path, np.uint8(0))[target]  # -1 is the last, which is 0
        return codes

    def vpc_of(self, target: I32) -> I32:
        """The VPC in which the address is looked up, -1 none."""
        vpcs: I32 = np.append(self.vpc, np.int32(NONE))[target]
        return vpcs

    def hops(self, target: I32, at_ns: I64) -> I32:
        """The first interface of each target that is valid at its time, -1 none."""
        out = np.empty(len(target), np.int32)
        first_valid(self.first, self.rows, self.from_ns, self.until_ns, target, at_ns, out)
        return out


@dataclass(frozen=True, eq=False)
class Index:
    """All of them. `reserved_space`: (interfaces + 1,), each one's space of `reserved`, the last -1."""

    addresses: Addresses
    macs: Turns
    devices: Devices
    services: Ranges
    routing: Routing
    reserved: Ranges
    reserved_space: I32
