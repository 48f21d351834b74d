"""Observations of flows by interfaces, and the fields of their records as Arrow columns.

Rule: imports fields, jit and inventory; knows no destination and does no IO.
"""

from flowglass.enrich.counts import Excluded, ObserveCounts
from flowglass.enrich.engine import Enricher, traffic_mask
from flowglass.enrich.nodata import Presence
from flowglass.enrich.observe import Observations, Observer, observe
from flowglass.enrich.producers import PRODUCERS

__all__ = [
    "PRODUCERS",
    "Enricher",
    "Excluded",
    "Observations",
    "ObserveCounts",
    "Observer",
    "Presence",
    "observe",
    "traffic_mask",
]
