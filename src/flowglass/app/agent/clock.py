"""Steps of the machine's clock, which are told, counted, and change nothing that waits.

Rule: what lasts is measured by the monotonic clock; the wall clock only dates things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LEAST_S: Final = 1.0
"""A smaller step is the clock being trimmed."""


class ClockWatch:
    """Compares two clocks, which give seconds: the wall clock with the monotonic one."""

    def __init__(self, wall_s: Callable[[], float], monotonic_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._offset_s = wall_s() - monotonic_s()

    def step(self) -> float:
        """Seconds that the wall clock was set forward (or back, below 0) since the last look, 0 for none."""
        offset_s = self._wall_s() - self._monotonic_s()
        stepped_s = offset_s - self._offset_s
        if abs(stepped_s) < LEAST_S:
            return 0.0  # against the same offset, so that a slow drift is told once it adds up
        self._offset_s = offset_s
        return stepped_s
