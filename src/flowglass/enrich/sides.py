"""Which interfaces a flow passes, and in which direction: the candidates for observations.

Rule: the capture point's own interface goes before MAC addresses, MAC addresses before IP addresses.
Interfaces and directions are those at the flow's first packet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowglass.enrich.binding import BY_DEVICE, NO_POINT, Binding
from flowglass.fields.contracts import I32, I64, U8, U64, Bools, FlowBatch, Structured
from flowglass.inventory import Role, Snapshot

INGRESS = 1
"""Direction of an observation: into the interface."""
EGRESS = 2
"""Direction of an observation: out of the interface."""
AMBIGUOUS = -2
"""`Snapshot.by_address`: several VPCs hold the address."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Possible observations of a batch, by flow; of one flow the source's side first.

    `flow`: (k,) int64 rows of the batch; `interface`: (k,) int32; `direction`: (k,) uint8, 0 unknown;
    `second_look`: (k,) bool, the interface is seen at a point of its own; `ambiguous`: (n,) bool by flow,
    some address of it is held by several VPCs.
    """

    flow: I64
    interface: I32
    direction: U8
    second_look: Bools
    ambiguous: Bools


@dataclass(frozen=True, slots=True)
class _Part:
    """Some flows of a batch: `chosen` (m,) their rows in it, `at_ns` the times of their first packets.

    `links` and `total`, the number of flows, are the whole batch's.
    """

    chosen: I64
    flows: Structured
    at_ns: I64
    links: Structured
    total: int

    def only(self, rows: I64) -> _Part:
        """The rows `rows` of this part."""
        if len(rows) == len(self.chosen):
            return self
        # take() copies whole rows; an index would copy field by field, 40 times slower.
        return _Part(self.chosen[rows], self.flows.take(rows), self.at_ns[rows], self.links, self.total)


def candidates(batch: FlowBatch, snapshot: Snapshot, binding: Binding) -> Candidates:
    """Every interface that has a part in each flow of the batch, by an inventory."""
    flows = batch.flows
    at_ns = np.ascontiguousarray(flows["first_ns"])
    part = _Part(np.arange(len(flows)), flows, at_ns, batch.links, len(flows))
    owners = binding.at(batch.point, at_ns)
    if owners is None:
        return _at_shared_link(part, snapshot, binding)
    rows, by_device = owners
    if (rows >= 0).all():
        return _at_own_point(part, snapshot, binding, rows, by_device)
    mine = np.flatnonzero(rows >= 0)
    return _joined(
        _at_own_point(part.only(mine), snapshot, binding, rows[mine], by_device[mine]),
        _at_shared_link(part.only(np.flatnonzero(rows < 0)), snapshot, binding),
    )


def _joined(one: Candidates, other: Candidates) -> Candidates:
    """Both, in order of flows; no flow is in both."""
    flow = np.concatenate([one.flow, other.flow])
    order = np.argsort(flow, kind="stable")
    return Candidates(
        flow=flow[order],
        interface=np.concatenate([one.interface, other.interface])[order],
        direction=np.concatenate([one.direction, other.direction])[order],
        second_look=np.concatenate([one.second_look, other.second_look])[order],
        ambiguous=one.ambiguous | other.ambiguous,
    )


def _at_own_point(part: _Part, snapshot: Snapshot, binding: Binding, rows: I32, by_device: Bools) -> Candidates:
    """Flows at a point bound to the interfaces `rows`: they are the only ones that see them."""
    direction = np.ascontiguousarray(part.flows["direction"])
    # A guest's device is seen from its host: what the host sends, the guest receives.
    inverted = (snapshot.interfaces.role[rows] == Role.GUEST) & (direction != 0)
    direction = np.where(inverted, INGRESS + EGRESS - direction, direction).astype(np.uint8)
    unknown = np.flatnonzero(direction == 0)
    if len(unknown):
        direction[unknown] = _told_by_addresses(part.only(unknown), snapshot, rows[unknown])
    return Candidates(
        flow=part.chosen,
        interface=rows,
        direction=direction,
        second_look=~by_device & (binding.home[rows] == BY_DEVICE),
        ambiguous=np.zeros(part.total, np.bool_),
    )


def _told_by_addresses(part: _Part, snapshot: Snapshot, rows: I32) -> U8:
    """Directions of flows at the interfaces `rows`: by MAC address, else by IP address; 0 unknown."""
    mac = snapshot.interfaces.mac[rows]
    link = part.flows["link"]
    out_of = (mac != 0) & (part.links["src_mac"][link] == mac)
    into = (mac != 0) & (part.links["dst_mac"][link] == mac)
    direction = _direction(out_of, into)
    left = np.flatnonzero(direction == 0)
    if len(left):
        rest = part.only(left)
        owner = rows[left]
        vpc = snapshot.interfaces.vpc_row[owner]
        out_of = snapshot.by_address(*address(rest.flows, "src"), rest.at_ns, vpc) == owner
        into = snapshot.by_address(*address(rest.flows, "dst"), rest.at_ns, vpc) == owner
        direction[left] = _direction(out_of, into)
    return direction


def _direction(out_of: Bools, into: Bools) -> U8:
    return np.where(out_of, EGRESS, np.where(into, INGRESS, 0)).astype(np.uint8)


def _at_shared_link(part: _Part, snapshot: Snapshot, binding: Binding) -> Candidates:
    """Flows at a point that is no interface's own: the source's side and the destination's side apart."""
    mac_source, mac_destination = _mac_owners(part, snapshot)
    source = _completed(part, "src", snapshot, mac_source, mac_destination)
    destination = _completed(part, "dst", snapshot, mac_destination, mac_source)
    ambiguous = np.zeros(part.total, np.bool_)
    ambiguous[part.chosen] = (source == AMBIGUOUS) | (destination == AMBIGUOUS)
    sides = np.stack([source, destination], axis=1).ravel()
    found = np.flatnonzero(sides >= 0)
    interface = sides[found]
    return Candidates(
        flow=part.chosen[found >> 1],
        interface=interface,
        direction=np.where(found & 1, INGRESS, EGRESS).astype(np.uint8),
        second_look=binding.home[interface] != NO_POINT,
        ambiguous=ambiguous,
    )


def _mac_owners(part: _Part, snapshot: Snapshot) -> tuple[I32, I32]:
    """The interfaces that sent and that received the frames by their MAC addresses, -1 none."""
    links = part.links
    if not (links["src_mac"].any() or links["dst_mac"].any()):
        nobody = np.full(len(part.flows), -1, np.int32)
        return nobody, nobody
    link = part.flows["link"]
    return (
        snapshot.by_mac(links["src_mac"][link], part.at_ns),
        snapshot.by_mac(links["dst_mac"][link], part.at_ns),
    )


def _completed(part: _Part, side: str, snapshot: Snapshot, by_mac: I32, other_by_mac: I32) -> I32:
    """The interface of one side: by MAC, else by address; -1 none, AMBIGUOUS.

    Where the other side is known by MAC, an interface found by address counts only if it has no MAC of
    its own: one that has would have shown it in the frame, were it on this link.
    """
    missing = np.flatnonzero(by_mac < 0)
    if not len(missing):
        return by_mac
    rest = part.only(missing)
    found = snapshot.by_address(*address(rest.flows, side), rest.at_ns)
    doubtful = np.flatnonzero((found >= 0) & (other_by_mac[missing] >= 0))
    elsewhere = doubtful[snapshot.interfaces.mac[found[doubtful]] != 0]
    rows = by_mac.copy()
    rows[missing] = found
    rows[missing[elsewhere]] = -1
    return rows


def address(flows: Structured, side: str) -> tuple[U64, U64]:
    """The halves of the source (`src`) or destination (`dst`) of flows, each contiguous."""
    return np.ascontiguousarray(flows[f"{side}_hi"]), np.ascontiguousarray(flows[f"{side}_lo"])
