"""The window clock: which window a time lies in, which windows are final.

Rule: it knows intervals, not flows. Windows are aligned to multiples of their length in Unix time, or follow a given
list of cuts. A window is final when the newest time of the point lies a window further: two ordinals on.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

NS: Final = 1_000_000_000
_LAST_NS: Final = 2**63 - 1
FINAL_AFTER: Final = 2
"""Ordinals between a window and the newest one, from which on it is final."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window: its ordinal, and the half-open range of its seconds."""

    ordinal: int
    start_s: int
    end_s: int

    @property
    def low_ns(self) -> int:
        """First nanosecond."""
        return self.start_s * NS

    @property
    def high_ns(self) -> int:
        """Nanosecond behind the last; a window that reaches the end of time holds its last nanosecond too."""
        return min(self.end_s * NS, _LAST_NS)


@dataclass(frozen=True, slots=True)
class WindowClock:
    """Windows of `window_s` seconds, or between the `cuts` (ascending Unix seconds) and aligned outside them."""

    window_s: int = 60
    cuts: tuple[int, ...] = ()

    def window_at(self, ts_ns: int) -> Window:
        """The window that holds a time of 0…2^63-1 ns."""
        second = ts_ns // NS
        aligned = second // self.window_s
        start, end = aligned * self.window_s, (aligned + 1) * self.window_s
        if not self.cuts:
            return Window(aligned, start, end)
        first, last = self.cuts[0], self.cuts[-1]
        if second < first:
            return Window(aligned, start, min(end, first))
        ordinal = -(-first // self.window_s)  # the window that a cut ends early keeps its ordinal
        if second < last:
            place = bisect_right(self.cuts, second) - 1
            return Window(ordinal + place, self.cuts[place], self.cuts[place + 1])
        ordinal += len(self.cuts) - 1 + aligned - last // self.window_s
        return Window(ordinal, max(start, last), end)

    def final_before(self, newest: Window) -> int:
        """Second up to which windows are final once `newest` holds the newest time."""
        return self.window_at(max(newest.low_ns - 1, 0)).start_s if newest.start_s > 0 else 0
