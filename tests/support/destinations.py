"""Destinations of flow logs as a server asks them, over a local store and what the operator allows.

Rule: made as the server makes them.
"""

from __future__ import annotations

from typing import Any

from flowglass.deliver import AnyDestinations, DestinationRules, LocalDestinations, LocalStore, RealDestinations
from flowglass.fields.contracts import Destinations


def destinations(store: LocalStore, *, partition: str = "aws", **rules: Any) -> Destinations:
    """Destinations by the rules of these names, by default those of an empty configuration."""
    allowed = DestinationRules(**rules)
    return AnyDestinations(
        LocalDestinations(store, partition), RealDestinations(allowed, partition), allowed, partition
    )
