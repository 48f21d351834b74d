"""Delivered objects held against their manifests, while an agent may go on delivering.

Rule: an object counts as added, or as of no flow log known here, only if a second look finds no line for it either: its
line is written a moment after the object.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from flowglass.app.deliveries import SPOOL
from flowglass.deliver import DestinationRules, Fault, Finding, Report, SpoolView, objects_at, verify_objects
from flowglass.fields.errors import OptionError

_SOON_TOLD: Final = (Fault.ADDED, Fault.UNKNOWN)


def verified(data: Path, rules: DestinationRules, flow_log_id: str | None) -> Report:
    """What `verify_objects` finds of a flow log, or of all.

    Raises OptionError where nothing was ever delivered of the flow log, StateError where the journal cannot be read,
    and DestinationUnwritable where a manifest cannot.
    """

    def look() -> Report:
        return verify_objects(
            data,
            lambda place: objects_at(place, data, rules),
            [flow_log_id] if flow_log_id is not None else [],
            SpoolView.open(data / SPOOL),
        )

    report = look()
    if flow_log_id is not None and not report.objects and not report.findings:
        raise OptionError(f"{flow_log_id}: there is no manifest of it in {data}, so nothing that could be compared")
    strange = {_what(one) for one in report.findings if one.fault in _SOON_TOLD}
    if not strange:
        return report
    again = look()
    return replace(
        again, findings=[one for one in again.findings if one.fault not in _SOON_TOLD or _what(one) in strange]
    )


def _what(one: Finding) -> tuple[Fault, str, str]:
    """Without the number of others' objects, which may grow meanwhile."""
    return one.fault, one.flow_log_id, one.where
