"""What a person should know after a run, beside the numbers: one line each, with what to do.

Rule: it looks at what was counted and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowglass.app.options import RecordOptions
from flowglass.app.summary import PointSummary
from flowglass.capture import CaptureFiles
from flowglass.enrich import ObserveCounts
from flowglass.inventory import Snapshot


def of_source(source: CaptureFiles, points: Sequence[PointSummary]) -> Iterator[str]:
    """About the captures: what could not be read of them."""
    for name in source.unsupported():
        frames = sum(point.counts.seen for point in points if point.link_type == name)
        yield f"link type {name} is not supported: {frames} frames of it were not recorded"
    if source.dropped:
        yield f"the captures say that {source.dropped} packets were lost while capturing"


def of_records(seen: ObserveCounts, filtered: int, options: RecordOptions) -> Iterator[str]:
    """About traffic that gave no record at all."""
    if seen.flows and not seen.observations and seen.unowned:
        yield (
            f"none of {seen.flows} flows is of an interface of the inventory; add the addresses to an interface, "
            "or name the capture by its device: DEVICE=FILE"
        )
    if seen.records and filtered == seen.records:
        yield (
            f"no flow is of traffic type {options.traffic_type.value}; "
            "--traffic-type ALL records all, with - as action where nothing judged"
        )


def of_inventory(options: RecordOptions, inventory: Snapshot | None) -> Iterator[str]:
    """About tag keys that no resource of the inventory has: their columns are `-`."""
    tagged = [(column.field, column.parameter) for column in options.columns.columns if column.parameter is not None]
    if tagged and inventory is None:
        names = ", ".join(field.name for field, _ in tagged)
        yield f"{names} print -: tags come from an inventory; give one with --inventory"
        return
    for field, key in tagged:
        found = inventory.interfaces.tag(field.tag_of, key) if inventory and field.tag_of and key else None
        if found is not None and found.null_count == len(found):
            yield f"{field.name} prints -: no {field.tag_of} of the inventory has the tag {key}"
