"""Flowglass: VPC Flow Logs for networks you own.

Rule: importing the package loads nothing heavy; what is asked for is loaded then.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowglass.app.api import FlowLogs, Recorded, read, record

__version__: str
__all__ = ["FlowLogs", "Recorded", "__version__", "read", "record"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # reads files and loads a parser of mails

        return version("flowglass")
    if name in ("FlowLogs", "Recorded", "read", "record"):
        from flowglass.app import api

        return getattr(api, name)
    raise AttributeError(f"module 'flowglass' has no attribute {name!r}")
