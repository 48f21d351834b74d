"""Windows in which an interface had no flow: what NODATA records are made of.

Rule: pure and deterministic. A window is decided once every point is past it, in order of windows, so
that the order in which points are read does not matter. Memory grows with the windows that are not
decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from flowglass.enrich.binding import Binding
from flowglass.fields.contracts import I32, Bools, Point
from flowglass.inventory import Snapshot

LONGEST_GAP_S = 3600
"""A stretch of windows without any packet that is longer gets no NODATA (a choice of this project)."""

_NS = 1_000_000_000
_NOBODY = np.zeros(0, np.int32)


class Presence:
    """Which interfaces had flows, window by window, in one run.

    Expected in a window are the interfaces that a point of the run is bound to, and those seen in an
    earlier window, each only while it is valid for the whole window. Windows before the first and after
    the last one with traffic are none. All windows are `window_s` long.
    """

    def __init__(self, snapshot: Snapshot, points: Sequence[Point], window_s: int) -> None:
        self._window_s = window_s
        self._expected: Bools = np.zeros(0, np.bool_)
        self._present: dict[int, I32] = {}  # rows, not a bool for every interface: there may be many windows
        self._last_s: int | None = None  # the newest decided window with traffic
        self.meet(snapshot, points)

    def meet(self, snapshot: Snapshot, points: Sequence[Point]) -> None:
        """Capture points appeared. The first ones, and the interface rows so far, stay as they are."""
        self._from_ns = snapshot.interfaces.from_ns
        self._until_ns = snapshot.interfaces.until_ns
        rows = len(self._from_ns)
        self._expected = np.concatenate([self._expected, np.zeros(rows - len(self._expected), np.bool_)])
        self._expected[Binding(snapshot, points).bound_rows()] = True

    def saw(self, window_start_s: int, interfaces: I32) -> None:
        """The window has packets, and these interface rows have flows in it.

        `interfaces` may name a row many times, or none where the window's packets are of no interface. A
        window that was decided before is late: what it brings is expected from now on, and its NODATA
        records stay.
        """
        if self._last_s is not None and window_start_s <= self._last_s:
            self._expected[interfaces] = True
            return
        before = self._present.get(window_start_s, _NOBODY)
        self._present[window_start_s] = np.union1d(before, interfaces).astype(np.int32)

    @property
    def decided_before_s(self) -> int:
        """Windows that start before this are decided; 0 while none is."""
        return 0 if self._last_s is None else self._last_s + self._window_s

    def settle(self, before_s: int) -> Iterator[tuple[int, I32]]:
        """Decide the windows that start before `before_s`; every point must be past them.

        Yields (window_start_s, (k,) int32 interface rows without a flow, in order), k > 0, in order of
        windows. Windows after the newest one with traffic wait until traffic tells whether the run goes
        on.
        """
        for window in sorted(self._present):
            if window >= before_s:
                return
            yield from self._decide(window)

    def finish(self) -> Iterator[tuple[int, I32]]:
        """Decide every window that is left; as `settle`."""
        for window in sorted(self._present):
            yield from self._decide(window)

    def _decide(self, window: int) -> Iterator[tuple[int, I32]]:
        """Decide a window with traffic, and before it the quiet ones since the last with traffic."""
        if self._last_s is not None:
            quiet_from_s = self._last_s + self._window_s
            if window - quiet_from_s <= LONGEST_GAP_S:
                for quiet in range(quiet_from_s, window - self._window_s + 1, self._window_s):
                    yield from self._absent(quiet, self._expected)
        present = np.zeros(len(self._expected), np.bool_)
        present[self._present.pop(window)] = True
        self._last_s = window
        yield from self._absent(window, self._expected & ~present)
        self._expected |= present

    def _absent(self, window: int, rows: Bools) -> Iterator[tuple[int, I32]]:
        valid = (self._from_ns <= window * _NS) & (self._until_ns >= (window + self._window_s) * _NS)
        absent = np.flatnonzero(rows & valid).astype(np.int32)
        if len(absent):
            yield window, absent
