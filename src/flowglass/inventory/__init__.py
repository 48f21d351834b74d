"""What exists: interfaces, subnets, VPCs, routes and published prefixes, and who has an address when.

Rule: imports fields and jit. A wrong file is refused with every fault that it has; a look-up never raises.
"""

from flowglass.inventory.build import of_points
from flowglass.inventory.documents import document_fault
from flowglass.inventory.example import example
from flowglass.inventory.faults import Fault
from flowglass.inventory.file import check, load
from flowglass.inventory.listing import Resource, changes, digest, listing
from flowglass.inventory.snapshot import Interfaces, Role, Snapshot

__all__ = [
    "Fault",
    "Interfaces",
    "Resource",
    "Role",
    "Snapshot",
    "changes",
    "check",
    "digest",
    "document_fault",
    "example",
    "listing",
    "load",
    "of_points",
]
