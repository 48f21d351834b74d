"""Which interface a capture point is the device of.

Rule: an interface with a point of its own is seen only there; the same frames on a bridge or an uplink
are a second look. A point that is an interface's device by name goes before one that only has its MAC
address.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowglass.fields.contracts import I32, I64, U8, Bools, Point
from flowglass.inventory import Snapshot

NO_POINT = 0
"""Of an interface: no point of the run is its own."""
BY_MAC = 1
"""A point has the interface's MAC address."""
BY_DEVICE = 2
"""A point is the interface's device."""


class Binding:
    """The points of a run and the interfaces that they are bound to, for one snapshot."""

    home: U8
    """(interfaces,) uint8: NO_POINT, BY_MAC or BY_DEVICE, the best of any point."""

    def __init__(self, snapshot: Snapshot, points: Sequence[Point]) -> None:
        self._snapshot = snapshot
        self._points = tuple(points)
        from_ns = np.ascontiguousarray(snapshot.interfaces.from_ns, dtype=np.int64)
        self.home = np.zeros(len(from_ns), np.uint8)
        self._binds = np.zeros(len(self._points), np.bool_)
        if not snapshot.is_file:
            self.home[:] = BY_DEVICE
            return
        for number, point in enumerate(self._points):
            # Every owner of a device or a MAC is its owner at the start of its own validity.
            rows, by_device = self._owners(point, from_ns)
            for how, mask in ((BY_DEVICE, by_device), (BY_MAC, ~by_device & (rows >= 0))):
                self.home[rows[mask]] = np.maximum(self.home[rows[mask]], how)
            self._binds[number] = bool((rows >= 0).any())

    def bound_rows(self) -> I32:
        """The interfaces that have a point of their own, in order."""
        return np.flatnonzero(self.home != NO_POINT).astype(np.int32)

    def at(self, point: int, at_ns: I64) -> tuple[I32, Bools] | None:
        """The interface that the point is bound to at each time, -1 none, and whether by its device.

        None where the point is bound to no interface at any time.
        """
        if not self._binds[point]:
            return None
        return self._owners(self._points[point], at_ns)

    def _owners(self, point: Point, at_ns: I64) -> tuple[I32, Bools]:
        rows = self._snapshot.by_device(point.name, at_ns)
        by_device: Bools = rows >= 0
        if point.mac != 0 and not by_device.all():
            by_mac = self._snapshot.by_mac(np.full(len(at_ns), point.mac, np.uint64), at_ns)
            rows = np.where(by_device, rows, by_mac).astype(np.int32)
        return rows, by_device
