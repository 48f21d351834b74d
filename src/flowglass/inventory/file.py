"""The inventory file from the outside: load it, or list what is wrong with it.

Rule: a file with any fault gives no snapshot.
"""

from __future__ import annotations

import os
from pathlib import Path

from flowglass.fields.errors import InventoryError
from flowglass.inventory.build import build
from flowglass.inventory.faults import Fault
from flowglass.inventory.prefixes import ServicePrefix, read_prefixes
from flowglass.inventory.reading import Inventory, read_inventory, read_text
from flowglass.inventory.rules import Rules
from flowglass.inventory.snapshot import Snapshot


def load(path: str | os.PathLike[str], *, account: str | None = None, region: str | None = None) -> Snapshot:
    """The snapshot of an inventory file. `account`, `region`: in place of the file's defaults.

    Raises InventoryError with one line where the file cannot be read or has a fault: the first, and how many
    more.
    """
    return build(*read_faultless(path, account=account, region=region), account, region)


def read_faultless(
    path: str | os.PathLike[str], *, account: str | None = None, region: str | None = None
) -> tuple[Inventory, list[ServicePrefix]]:
    """The parts of an inventory file and AWS's prefixes that it names; options and errors as of `load`."""
    inventory, published, faults = _read(Path(path), account=account is not None, region=region is not None)
    if faults:
        others = len(faults) - 1
        more = f" ({others} more fault{'s' if others > 1 else ''})" if others else ""
        raise InventoryError(f"{path}:{faults[0]}{more}; run flowglass inventory check {path}")
    return inventory, published


def check(path: str | os.PathLike[str]) -> list[Fault]:
    """Every fault of an inventory file, by line. Raises InventoryError where the file cannot be read."""
    return _read(Path(path), account=False, region=False)[2]


def _read(path: Path, *, account: bool, region: bool) -> tuple[Inventory, list[ServicePrefix], list[Fault]]:
    """The parts of the file, AWS's prefixes that it names, and all faults in order of lines."""
    inventory, faults = read_inventory(read_text(path))
    published: list[ServicePrefix] = []
    named = inventory.head.service_prefixes
    if named is not None:
        published, wrong = read_prefixes(path.parent / named, inventory.line("service_prefixes"))
        faults.extend(wrong)
    if inventory.root:
        faults.extend(Rules(inventory, published).check(account=account, region=region))
    return inventory, published, sorted(set(faults))
