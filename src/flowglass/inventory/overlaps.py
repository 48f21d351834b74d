"""What one moment allows only once: an interface's id, an address in a VPC, a MAC address, a device.

Rule: owners in turn (`from`, `until`) are right; two at the same time are a fault at the later line.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from flowglass.inventory.faults import Fault
from flowglass.inventory.model import Interface, RegionalNatGateway, Validity
from flowglass.inventory.reading import Inventory
from flowglass.inventory.scalars import Cidr, address_text

_REMEDY = "correct one, or say from and until when each had it; the other is on line"


class _Claim(NamedTuple):
    """One owner's claim to something that only one may have at a time."""

    thing: Hashable
    what: str
    validity: Validity
    at: tuple[str | int, ...]


class Overlaps:
    """The claims of all interfaces and regional NAT gateways of a file."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._vpc_of = {subnet.id: subnet.vpc for subnet in inventory.subnets.values()}

    def found(self) -> list[Fault]:
        """A fault for each claim that begins while an earlier one holds."""
        claims = sorted(self._claims(), key=lambda claim: claim.validity.from_ns)
        holding: dict[Hashable, _Claim] = {}
        faults: list[Fault] = []
        for claim in claims:
            before = holding.get(claim.thing)
            if before is not None and before.validity.overlaps(claim.validity):
                faults.append(self._fault(before, claim))
            if before is None or claim.validity.until_ns > before.validity.until_ns:
                holding[claim.thing] = claim
        return faults

    def _fault(self, one: _Claim, other: _Claim) -> Fault:
        lines = sorted((self._inventory.line(*one.at), self._inventory.line(*other.at)))
        return Fault(lines[1], f"{one.what} is there twice at the same time", f"{_REMEDY} {lines[0]}")

    def _claims(self) -> Iterator[_Claim]:
        for place, interface in self._inventory.interfaces.items():
            at = ("interfaces", place)
            yield _Claim(("id", interface.id), interface.id, interface, (*at, "id"))
            yield from _links(interface, at)
            vpc = self._vpc_of.get(interface.subnet)
            if vpc is None:
                continue  # an unknown subnet is a fault of its own
            for key in ("ipv4", "ipv6"):
                yield from _addresses(getattr(interface, key), vpc, interface, (*at, key))
            for number, prefix in enumerate(interface.prefixes):
                yield _Claim((vpc, prefix), str(prefix), interface, (*at, "prefixes", number))
        for place, gateway in self._inventory.regional_nat_gateways.items():
            here = ("regional_nat_gateways", place)
            yield from _links(gateway, here)
            yield from _addresses(gateway.ipv4, gateway.vpc, gateway, (*here, "ipv4"))


def _links(part: Interface | RegionalNatGateway, at: tuple[str | int, ...]) -> Iterator[_Claim]:
    if part.mac is not None:
        yield _Claim(("mac", part.mac), part.mac.to_bytes(6, "big").hex(":"), part, (*at, "mac"))
    if part.device is not None:
        yield _Claim(("device", part.device), f"device {part.device}", part, (*at, "device"))


def _addresses(addresses: list[int], vpc: str, part: Validity, at: tuple[str | int, ...]) -> Iterator[_Claim]:
    for number, address in enumerate(addresses):
        yield _Claim((vpc, Cidr(address, 128)), address_text(address), part, (*at, number))
