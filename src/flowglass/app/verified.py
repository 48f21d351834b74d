"""Delivered objects held against their manifests, while an agent may go on delivering.

Rule: an object counts as added only if a second look finds no line for it either: its line is written a moment after
the object.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flowglass.deliver import DestinationRules, Fault, Report, objects_at, verify_objects
from flowglass.fields.errors import OptionError


def verified(data: Path, rules: DestinationRules, flow_log_id: str | None) -> Report:
    """What `verify_objects` finds of a flow log, or of all.

    Raises OptionError where nothing was ever delivered of the flow log, or a place is configured no more, and the
    classes under DeliveryError where a destination cannot be read.
    """

    def look() -> Report:
        return verify_objects(
            data, lambda place: objects_at(place, data, rules), [flow_log_id] if flow_log_id is not None else []
        )

    report = look()
    if flow_log_id is not None and not report.objects and not report.findings:
        raise OptionError(f"{flow_log_id}: there is no manifest of it in {data}, so nothing that could be compared")
    added = {one for one in report.findings if one.fault is Fault.ADDED}
    if not added:
        return report
    again = look()
    return replace(again, findings=[one for one in again.findings if one.fault is not Fault.ADDED or one in added])
