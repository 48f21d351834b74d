"""Frames into flows: decode and flow-table kernels, the window clock, counters of everything not recorded.

Rule: every frame is in exactly one flow or counted under exactly one cause.
"""

from flowglass.aggregate.aggregator import Aggregator, PointCounts
from flowglass.aggregate.table import DEFAULT_MAX_FLOWS, FlowTable
from flowglass.aggregate.window import WindowClock

__all__ = ["DEFAULT_MAX_FLOWS", "Aggregator", "FlowTable", "PointCounts", "WindowClock"]
