"""The control plane's state: flow logs and their tags, what was delivered, keys, agents and their inventory.

Rule: who uses it hands functions of a Connection to `Store.read` and `Store.write`; the modules named here are what
such functions call. No SQL stands anywhere else.
"""

from __future__ import annotations

from flowglass.control.store import agents, client_tokens, deliveries, flow_logs, keys, resources, settings, tags
from flowglass.control.store.errors import Conflict, StoreUnavailable
from flowglass.control.store.store import Store

__all__ = [
    "Conflict",
    "Store",
    "StoreUnavailable",
    "agents",
    "client_tokens",
    "deliveries",
    "flow_logs",
    "keys",
    "resources",
    "settings",
    "tags",
]
