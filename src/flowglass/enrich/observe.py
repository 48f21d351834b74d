"""Observe: a batch of flows at a capture point becomes what each interface saw of them.

Rule: a flow is counted once an interface, and every flow has an outcome that is counted (see counts.py).
Without an inventory every flow is one observation of its capture point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowglass.enrich.binding import Binding
from flowglass.enrich.counts import Excluded, ObserveCounts
from flowglass.enrich.kernels import merge_rows
from flowglass.enrich.sides import Candidates, address, candidates
from flowglass.fields.contracts import I32, I64, U8, Bools, FlowBatch, Point, Structured
from flowglass.inventory import Snapshot

_UDP = 17
_DHCP = (67, 68)  # RFC 2131
_DHCPV6 = (547, 546)  # RFC 8415
_KEPT = 255  # of an observation: no cause to leave it out


@dataclass(frozen=True, slots=True)
class Observations:
    """Flows of one window and point as interfaces saw them; one record each.

    `flows`: (k,) FLOW, the batch's own array where nothing changed; `interface`: (k,) int32 rows of the
    snapshot's interfaces; `direction`: (k,) uint8, 0 unknown, 1 ingress, 2 egress.
    """

    window_start_s: int
    window_s: int
    point: int
    flows: Structured
    interface: I32
    direction: U8
    counts: ObserveCounts


class Observer:
    """Observes the batches of one run: its points and its snapshot are looked at once."""

    def __init__(self, snapshot: Snapshot, points: Sequence[Point]) -> None:
        self._snapshot = snapshot
        self._binding = Binding(snapshot, points)

    def observe(self, batch: FlowBatch) -> Observations:
        """What the interfaces saw of the flows of a batch."""
        if self._snapshot.is_file:
            flows, interface, direction, counts = self._by_inventory(batch)
        else:
            flows = batch.flows
            interface = np.full(len(flows), batch.point, np.int32)
            direction = np.ascontiguousarray(flows["direction"])  # the frame's IN and OUT are ingress and egress
            counts = ObserveCounts(flows=len(flows), observed=len(flows), observations=len(flows))
        if batch.mixed_links:
            flows, interface, direction = _merged(flows, interface, direction)
            counts += ObserveCounts(merged=counts.observations - len(flows))
        return Observations(batch.window_start_s, batch.window_s, batch.point, flows, interface, direction, counts)

    def _by_inventory(self, batch: FlowBatch) -> tuple[Structured, I32, U8, ObserveCounts]:
        found = candidates(batch, self._snapshot, self._binding)
        causes = self._causes(batch, found)
        kept = ~found.second_look & (causes == _KEPT)
        counts = _counted(len(batch.flows), found, causes, kept)
        if kept.all():
            flow, interface, direction = found.flow, found.interface, found.direction
        else:
            flow, interface, direction = found.flow[kept], found.interface[kept], found.direction[kept]
        unchanged = counts.observed == counts.flows and not counts.second_observations
        return batch.flows if unchanged else batch.flows.take(flow), interface, direction, counts

    def _causes(self, batch: FlowBatch, found: Candidates) -> U8:
        """Why each candidate is never logged (Excluded), or _KEPT."""
        causes = np.full(len(found.flow), _KEPT, np.uint8)
        if not self._snapshot.exclusions:
            return causes
        flows = batch.flows
        causes[_dhcp(flows)[found.flow]] = Excluded.DHCP
        for side in ("src", "dst"):
            hi, lo = address(flows, side)
            reserved = self._snapshot.reserved(found.interface, hi[found.flow], lo[found.flow])
            causes[reserved] = Excluded.RESERVED_ADDRESS
        return causes


def observe(batch: FlowBatch, snapshot: Snapshot, points: Sequence[Point]) -> Observations:
    """What the interfaces saw of the flows of one batch. For many batches of a run, keep an `Observer`."""
    return Observer(snapshot, points).observe(batch)


def _dhcp(flows: Structured) -> Bools:
    """Which flows are DHCP between client and server, either way."""
    udp = flows["protocol"] == _UDP
    result: Bools = np.zeros(len(flows), np.bool_)
    for family, (server, client) in ((4, _DHCP), (6, _DHCPV6)):
        asked = (flows["sport"] == client) & (flows["dport"] == server)
        answered = (flows["sport"] == server) & (flows["dport"] == client)
        result |= udp & (flows["family"] == family) & (asked | answered)
    return result


def _counted(flows: int, found: Candidates, causes: U8, kept: Bools) -> ObserveCounts:
    """Give every flow its one outcome. One that has no observation counts as excluded before second look."""
    seen = _marked(flows, found.flow[kept])
    observed = int(seen.sum())
    observations = int(kept.sum())
    excluded_flows = np.full(flows, _KEPT, np.uint8)
    left_out = ~found.second_look & (causes != _KEPT)
    np.minimum.at(excluded_flows, found.flow[left_out], causes[left_out])
    excluded_flows[seen] = _KEPT
    by_cause = tuple(int((excluded_flows == cause).sum()) for cause in Excluded)
    open_flows = ~seen & (excluded_flows == _KEPT)
    looked_at = open_flows & _marked(flows, found.flow[found.second_look])
    ambiguous = open_flows & ~looked_at & found.ambiguous
    return ObserveCounts(
        flows=flows,
        observed=observed,
        unowned=int((open_flows & ~looked_at & ~ambiguous).sum()),
        ambiguous=int(ambiguous.sum()),
        second_look_flows=int(looked_at.sum()),
        excluded=by_cause,
        observations=observations,
        second_observations=observations - observed,
        second_looks=int(found.second_look.sum()),
        excluded_observations=int(left_out.sum()),
    )


def _marked(flows: int, rows: I64) -> Bools:
    marks = np.zeros(flows, np.bool_)
    marks[rows] = True
    return marks


def _merged(flows: Structured, interface: I32, direction: U8) -> tuple[Structured, I32, U8]:
    """Rows that are one for their interface added up, in order of first appearance."""
    merged = np.empty_like(flows)
    table = np.full(1 << (2 * len(flows)).bit_length(), -1, np.int32)
    heads = np.empty(len(flows), np.int64)
    count = merge_rows(flows, interface, direction, table, merged, heads)
    if count == len(flows):
        return flows, interface, direction
    stay = heads[:count]
    return merged[:count], interface[stay], direction[stay]
