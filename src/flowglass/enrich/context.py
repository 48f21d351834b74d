"""What the producers of fields work on: one slice of observations with everything that several fields share.

Rule: what is shared is made when the first field asks for it, and once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flowglass.enrich.columns import Array, address_texts
from flowglass.enrich.properties import Properties
from flowglass.enrich.sides import EGRESS, INGRESS, address
from flowglass.fields.contracts import I32, U8, U64, Bools, Structured
from flowglass.inventory import Snapshot

_MULTICAST = (0xE000_0000, 0xF000_0000)  # 224.0.0.0/4 (RFC 5771)
_BROADCAST = 0xFFFF_FFFF  # 255.255.255.255 (RFC 919)
_LOW_32 = 0xFFFF_FFFF
# Kinds that AWS does not tell as next hop of ingress:
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
_GIVES_NO_HOP = ("transit_gateway", "network_load_balancer")


@dataclass(frozen=True)
class Slice:
    """Up to 64 k observations.

    `flows`: (k,) FLOW; `interface`: (k,) int32 rows of the snapshot's interfaces; `direction`: (k,)
    uint8, 0 unknown, 1 ingress, 2 egress; `properties` of the same snapshot; `version`: that of the log
    format; `assume_accept`: whether a flow that nothing judged counts as accepted.
    """

    flows: Structured
    interface: I32
    direction: U8
    snapshot: Snapshot
    properties: Properties
    version: int
    assume_accept: bool

    def __len__(self) -> int:
        return len(self.flows)

    @cached_property
    def family(self) -> U8:
        """(k,) uint8: 4 or 6."""
        return np.ascontiguousarray(self.flows["family"])

    @cached_property
    def protocol(self) -> U8:
        """(k,) uint8: IANA protocol numbers."""
        return np.ascontiguousarray(self.flows["protocol"])

    @cached_property
    def source(self) -> tuple[U64, U64]:
        """Halves of the source addresses in the packets."""
        return address(self.flows, "src")

    @cached_property
    def destination(self) -> tuple[U64, U64]:
        """Halves of the destination addresses in the packets."""
        return address(self.flows, "dst")

    @cached_property
    def pkt_source_text(self) -> Array:
        """Source addresses in the packets, as text."""
        return address_texts(*self.source, self.family)

    @cached_property
    def pkt_destination_text(self) -> Array:
        """Destination addresses in the packets, as text."""
        return address_texts(*self.destination, self.family)

    @cached_property
    def source_text(self) -> Array:
        """Source addresses as the interface shows them: on egress its own, where it substitutes."""
        lo = self._substituted(self.source[1], EGRESS)
        return self.pkt_source_text if lo is None else address_texts(self.source[0], lo, self.family)

    @cached_property
    def destination_text(self) -> Array:
        """Destination addresses as the interface shows them: on ingress its own, where it substitutes."""
        lo = self._substituted(self.destination[1], INGRESS)
        return self.pkt_destination_text if lo is None else address_texts(self.destination[0], lo, self.family)

    @cached_property
    def _substitutes(self) -> Bools:
        """(k,) bool: IPv4 at an interface that shows its primary private address."""
        interfaces = self.snapshot.interfaces
        willing = interfaces.substitute & (interfaces.primary_ipv4 != 0)
        if not willing.any():
            return np.zeros(len(self), np.bool_)
        result: Bools = willing[self.interface] & (self.family == 4)
        return result

    def _substituted(self, lo: U64, direction: int) -> U64 | None:
        """Low halves with the interface's own address for flows in `direction`; None: nothing to replace."""
        if not self._substitutes.any():
            return None
        interfaces = self.snapshot.interfaces
        network, mask = _MULTICAST
        group = (lo & np.uint64(mask)) == np.uint64(network)
        limited = (lo & np.uint64(_LOW_32)) == np.uint64(_BROADCAST)
        subnet = interfaces.broadcast[self.interface] == lo
        chosen = self._substitutes & (self.direction == direction) & ~(group | limited | subnet)
        if not chosen.any():
            return None
        return np.where(chosen, interfaces.primary_ipv4[self.interface], lo)

    @cached_property
    def traffic_path(self) -> I32:
        """(k,) int32: AWS's code of the way out; 0 where unknown and where not egress."""
        codes = np.zeros(len(self), np.int32)
        out = np.flatnonzero(self.direction == EGRESS)
        hi, lo = self.destination
        codes[out] = self.snapshot.traffic_path(self.interface[out], hi[out], lo[out])
        return codes

    @cached_property
    def next_hop(self) -> I32:
        """(k,) int32: the interface that receives next (egress) or that sent (ingress), -1 none."""
        hops = np.full(len(self), -1, np.int32)
        known = np.flatnonzero(self.direction != 0)
        out = self.direction[known] == EGRESS
        (src_hi, src_lo), (dst_hi, dst_lo) = self.source, self.destination
        hi = np.where(out, dst_hi[known], src_hi[known])
        lo = np.where(out, dst_lo[known], src_lo[known])
        at_ns = np.ascontiguousarray(self.flows["first_ns"])[known]
        found = self.snapshot.next_hop(self.interface[known], hi, lo, at_ns)
        hops[known] = np.where(~out & self._silent[found], -1, found)
        return hops

    @cached_property
    def _silent(self) -> Bools:
        """(interfaces + 1,) bool: AWS never names it as next hop of ingress; the last is for row -1."""
        codes, kinds = self.properties.of("interface-type")
        silent = np.array([kind in _GIVES_NO_HOP for kind in kinds.to_pylist()] + [False], np.bool_)
        return np.append(silent[codes], False)

    @cached_property
    def own_next_hop(self) -> I32:
        """`next_hop`, -1 where the interface is another account's."""
        account = self.snapshot.interfaces.account_row
        own = (self.next_hop >= 0) & (account[self.next_hop] == account[self.interface])
        return np.where(own, self.next_hop, np.int32(-1))
