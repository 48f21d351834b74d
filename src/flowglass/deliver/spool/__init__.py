"""The spool: records that are safe on this disk until their destinations have them.

Rule: what reached a segment arrives; only what the journal gave up, and counted, does not.
"""

from flowglass.deliver.spool.model import (
    LIVE,
    Limits,
    Request,
    Segment,
    Share,
    StagedObject,
    Status,
    Step,
    Unit,
    UnitChanged,
    Watch,
)
from flowglass.deliver.spool.recording import Recording
from flowglass.deliver.spool.spool import Spool
from flowglass.deliver.spool.stage import Stage
from flowglass.deliver.spool.view import SpoolView

__all__ = [
    "LIVE",
    "Limits",
    "Recording",
    "Request",
    "Segment",
    "Share",
    "Spool",
    "SpoolView",
    "Stage",
    "StagedObject",
    "Status",
    "Step",
    "Unit",
    "UnitChanged",
    "Watch",
]
