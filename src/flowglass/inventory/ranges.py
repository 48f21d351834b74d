"""Nested prefixes flattened once into disjoint ranges, so that a look-up is one search.

Rule: in a range the candidates stand longest prefix first; of equal prefixes the one given first goes first.
A prefix of IPv6 never reaches into the IPv4 addresses that are mapped into IPv6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from flowglass.fields.contracts import I32, I64, U64
from flowglass.inventory.kernels import longest_match
from flowglass.inventory.scalars import MAPPED, Cidr

_WORD: Final = (1 << 64) - 1
_LAST: Final = (1 << 128) - 1
_WALL: Final = -1
"""Value of a prefix that hides what reaches beyond it."""


class Prefix(NamedTuple):
    """`value` (0 or more) holds for the addresses of `cidr` in a space, which has a number."""

    space: int
    cidr: Cidr
    value: int


_Entry: TypeAlias = tuple[int, int, int, int, int]
"""Start, length, order (falling), last address and value of a prefix: sorted, the outer goes before the inner."""
_IPV4: Final[_Entry] = (MAPPED, 96, -(1 << 62), MAPPED | 0xFFFF_FFFF, _WALL)
"""Stands between prefixes of IPv6 and of IPv4; outside of every 0.0.0.0/0."""
_Ranges: TypeAlias = dict[int, tuple[int, ...]]
"""First address of each range, rising, and its values."""


@dataclass(frozen=True, eq=False)
class Ranges:
    """Disjoint ranges of every space, and the values that hold in each.

    `offsets`: (spaces + 1,) int64, ranges of a space; `start_hi`, `start_lo`: (n,) uint64, first address of a
    range; `first`: (n + 1,) int64, its values; `values`: int32; `best`: (n,) int32, its first value or -1.
    """

    offsets: I64
    start_hi: U64
    start_lo: U64
    first: I64
    values: I32
    best: I32

    def longest(self, space: I32, hi: U64, lo: U64) -> I32:
        """The value of the longest prefix that holds each address, -1 none. `space`: (k,) or (1,)."""
        out = np.empty(len(hi), np.int32)
        longest_match(self.offsets, self.start_hi, self.start_lo, self.best, space, hi, lo, out)
        return out


def flatten(spaces: int, prefixes: Iterable[Prefix]) -> Ranges:
    """The ranges of `spaces` spaces, numbered from 0, that hold these prefixes."""
    by_space: dict[int, list[_Entry]] = defaultdict(list)
    for order, (space, cidr, value) in enumerate(prefixes):
        by_space[space].append((cidr.start, cidr.length, -order, cidr.last, value))
    offsets, starts = [0], list[int]()
    counts, values = list[int](), list[int]()
    for space in range(spaces):
        for start, held in _sweep(by_space[space]).items():
            starts.append(start)
            counts.append(len(held))
            values.extend(held)
        offsets.append(len(starts))
    first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    column = np.array(values, np.int32)
    best = np.full(len(starts), -1, np.int32)
    some = np.array(counts, np.int64) > 0
    best[some] = column[first[:-1][some]]
    return Ranges(
        offsets=np.array(offsets, np.int64),
        start_hi=np.array([start >> 64 for start in starts], np.uint64),
        start_lo=np.array([start & _WORD for start in starts], np.uint64),
        first=first,
        values=column,
        best=best,
    )


def _sweep(prefixes: list[_Entry]) -> _Ranges:
    """Disjoint ranges from nested prefixes: in order of addresses, with the open ones on a stack."""
    if any(length < 96 and start <= MAPPED <= last for start, length, _, last, _ in prefixes):
        prefixes = [*prefixes, _IPV4]
    ranges: _Ranges = {0: ()}
    open_: list[tuple[int, int]] = []  # last address and value
    ordered = sorted(prefixes)
    for place, (start, _, _, last, value) in enumerate(ordered):
        _close(open_, start, ranges)
        open_.append((last, value))
        if place + 1 == len(ordered) or ordered[place + 1][0] != start:
            ranges[start] = tuple(_held(open_))
    _close(open_, _LAST + 2, ranges)
    return ranges


def _close(open_: list[tuple[int, int]], before: int, ranges: _Ranges) -> None:
    """End the open prefixes that end before an address; after each, what is still open holds."""
    while open_ and open_[-1][0] < before:
        last, _ = open_.pop()
        if open_ and open_[-1][0] == last:
            continue  # the one around it ends at the same address
        if last < _LAST:
            ranges[last + 1] = tuple(_held(open_))


def _held(open_: list[tuple[int, int]]) -> Iterator[int]:
    for _, value in reversed(open_):
        if value == _WALL:
            return
        yield value
