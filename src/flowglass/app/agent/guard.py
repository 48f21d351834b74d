"""Steps of the agent of which one that fails keeps none of the others from being done.

Rule: a failure is told once, and once more when the step goes well again; the step itself is tried at its next turn.
"""

from __future__ import annotations

from collections.abc import Callable

from structlog.stdlib import BoundLogger

from flowglass.fields.errors import Error


class Guard:
    """Does steps by their names."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._failing: set[str] = set()

    def do(self, name: str, step: Callable[[], None]) -> bool:
        """Do a step; return whether it went well. Its Error, such as that of a full disk, is told; all else passes."""
        try:
            step()
        except Error as error:
            if name not in self._failing:
                self._log.error("step_failed", step=name, reason=str(error), note="tried again by itself")
            self._failing.add(name)
            return False
        if name in self._failing:
            self._failing.remove(name)
            self._log.info("step_recovered", step=name)
        return True
