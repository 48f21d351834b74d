"""Destinations of objects, one file each.

Rule: a sink is one file here and one line in SINKS.
"""

from __future__ import annotations

from typing import Final, Protocol

from flowglass.deliver.sinks.directory import DirectorySink
from flowglass.deliver.temp import TempFile
from flowglass.fields.contracts import FinishedObject


class Sink(Protocol):
    """A destination. Its failures are the classes under DeliveryError."""

    def open_temp(self) -> TempFile:
        """A temporary file to build an object in."""
        ...

    def put(self, finished: FinishedObject) -> bool:
        """Deliver under the object's key, never over another one; False if the key is there already."""
        ...

    def clean(self) -> int:
        """Remove what killed processes left; return how many files that were."""
        ...


SINKS: Final = {"directory": DirectorySink}
"""Sinks by the name of their kind."""

__all__ = ["SINKS", "DirectorySink", "Sink"]
