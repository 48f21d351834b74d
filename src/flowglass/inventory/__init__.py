"""What exists: interfaces, subnets, VPCs, routes and published prefixes, and who has an address when.

Rule: imports fields and jit. A wrong file is refused with every fault that it has; a look-up never raises.
"""

from flowglass.inventory.build import of_points
from flowglass.inventory.example import example
from flowglass.inventory.faults import Fault
from flowglass.inventory.file import check, load
from flowglass.inventory.snapshot import Interfaces, Role, Snapshot

__all__ = ["Fault", "Interfaces", "Role", "Snapshot", "check", "example", "load", "of_points"]
