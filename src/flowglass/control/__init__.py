"""AWS's own API for flow logs, answered from the inventory and the state.

Rule: sans-IO but for `store/` and the audit log: bytes and the time in, bytes out; it knows no socket. An agent, which
has the base packages only, signs its requests with `sign`; so all else is loaded when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowglass.control.agent_wire import AGENT_PATH, AGENT_REGION, AGENT_SERVICE, MOST_BYTES
from flowglass.control.canonical import HttpRequest, sign

if TYPE_CHECKING:
    from flowglass.control import faults, keys
    from flowglass.control.agents import known_places
    from flowglass.control.audit import AuditLog
    from flowglass.control.call import Role, Services
    from flowglass.control.census import ACTIONS, Overview, overview
    from flowglass.control.service import Answer, Arrival, Service
    from flowglass.control.store import Store, StoreUnavailable
    from flowglass.control.store.keys import KeyRow

_LATER = {
    "agents": ("known_places",),
    "audit": ("AuditLog",),
    "call": ("Role", "Services"),
    "census": ("ACTIONS", "Overview", "overview"),
    "service": ("Answer", "Arrival", "Service"),
    "store": ("Store", "StoreUnavailable"),
    "store.keys": ("KeyRow",),
}

__all__ = [
    "ACTIONS",
    "AGENT_PATH",
    "AGENT_REGION",
    "AGENT_SERVICE",
    "MOST_BYTES",
    "Answer",
    "Arrival",
    "AuditLog",
    "HttpRequest",
    "KeyRow",
    "Overview",
    "Role",
    "Service",
    "Services",
    "Store",
    "StoreUnavailable",
    "faults",
    "keys",
    "known_places",
    "overview",
    "sign",
]


def __getattr__(name: str) -> Any:
    if name in ("faults", "keys"):
        return import_module(f"{__name__}.{name}")
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
