"""One function a field: a slice of observations in, an Arrow column out.

Rule: PRODUCERS names every field that this system can know, once. A new field is its row in the field
table, its function here with its line in the dict, and one golden line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from flowglass.enrich.columns import Array, all_null, numbers, texts
from flowglass.enrich.context import Slice
from flowglass.fields import Column
from flowglass.fields.contracts import I32, I64, Verdict

Producer = Callable[[Slice, Column], Array]
"""(k observations, the column asked for) to an array of k values of the field's type."""

_TCP = 6
_ICMP = 1
_ICMPV6 = 58
_NS = 1_000_000_000  # a second

_ACTIONS = pa.array(["ACCEPT", "REJECT"])
_STATUSES = pa.array(["OK"])
_TYPES = pa.array(["IPv4", "IPv6", "EFA"])
_DIRECTIONS = pa.array(["ingress", "egress"])
_JUDGES = pa.array(["capture", "assumed"])


def _version(part: Slice, _column: Column) -> Array:
    return pa.array(np.full(len(part), part.version, np.int32))


def _interface_property(part: Slice, column: Column) -> Array:
    codes, values = part.properties.of(column.field.name)
    return texts(codes[part.interface], values)


def _tag(part: Slice, column: Column) -> Array:
    if column.parameter is None:
        return all_null(column.field.type, len(part))
    codes, values = part.properties.tag(column.field, column.parameter)
    return texts(codes[part.interface], values)


def _srcaddr(part: Slice, _column: Column) -> Array:
    return part.source_text


def _dstaddr(part: Slice, _column: Column) -> Array:
    return part.destination_text


def _pkt_srcaddr(part: Slice, _column: Column) -> Array:
    return part.pkt_source_text


def _pkt_dstaddr(part: Slice, _column: Column) -> Array:
    return part.pkt_destination_text


def _srcport(part: Slice, _column: Column) -> Array:
    return pa.array(part.flows["sport"].astype(np.int32))


def _dstport(part: Slice, _column: Column) -> Array:
    return pa.array(part.flows["dport"].astype(np.int32))


def _protocol(part: Slice, _column: Column) -> Array:
    return pa.array(part.protocol.astype(np.int32))


def _packets(part: Slice, _column: Column) -> Array:
    return pa.array(part.flows["packets"].astype(np.int64))


def _bytes(part: Slice, _column: Column) -> Array:
    return pa.array(part.flows["bytes"].astype(np.int64))


def _start(part: Slice, _column: Column) -> Array:
    return pa.array(_seconds(part.flows["first_ns"]))


def _end(part: Slice, _column: Column) -> Array:
    return pa.array(_seconds(part.flows["last_ns"]))


def _seconds(ns: I64) -> I64:
    return np.ascontiguousarray(ns) // np.int64(_NS)


def _action(part: Slice, _column: Column) -> Array:
    codes = _verdicts(part)
    if part.assume_accept:
        codes = np.where(codes < 0, np.int32(0), codes)
    return texts(codes, _ACTIONS)


def _verdicts(part: Slice) -> I32:
    """(k,) int32: 0 ACCEPT, 1 REJECT, -1 unknown."""
    return part.flows["verdict"].astype(np.int32) - np.int32(Verdict.ACCEPT)


def _log_status(part: Slice, _column: Column) -> Array:
    return texts(np.zeros(len(part), np.int32), _STATUSES)


def _tcp_flags(part: Slice, _column: Column) -> Array:
    flags = np.where(part.protocol == _TCP, part.flows["tcp_flags"], np.uint8(0))
    return pa.array(flags.astype(np.int32))


def _type(part: Slice, _column: Column) -> Array:
    codes = (part.family == 6).astype(np.int32)
    efa = part.snapshot.interfaces.efa
    if efa.any():
        codes = np.where(efa[part.interface], np.int32(2), codes)
    return texts(codes, _TYPES)


def _flow_direction(part: Slice, _column: Column) -> Array:
    return texts(part.direction.astype(np.int32) - np.int32(1), _DIRECTIONS)


def _traffic_path(part: Slice, _column: Column) -> Array:
    return numbers(part.traffic_path, part.traffic_path != 0)


def _pkt_src_aws_service(part: Slice, _column: Column) -> Array:
    return texts(part.snapshot.service(*part.source), part.snapshot.service_names)


def _pkt_dst_aws_service(part: Slice, _column: Column) -> Array:
    return texts(part.snapshot.service(*part.destination), part.snapshot.service_names)


def _next_hop_interface_id(part: Slice, _column: Column) -> Array:
    return _property_of(part, part.own_next_hop, "interface-id")


def _next_hop_subnet_id(part: Slice, _column: Column) -> Array:
    return _property_of(part, part.own_next_hop, "subnet-id")


def _next_hop_az_id(part: Slice, _column: Column) -> Array:
    return _property_of(part, part.next_hop, "az-id")  # given also where the interface is another account's


def _next_hop_vpc_id(part: Slice, _column: Column) -> Array:
    return _property_of(part, part.own_next_hop, "vpc-id")


def _next_hop_interface_type(part: Slice, _column: Column) -> Array:
    return _property_of(part, part.own_next_hop, "interface-type")


def _property_of(part: Slice, interface: I32, name: str) -> Array:
    """A property of interfaces, null where `interface` is -1."""
    codes, values = part.properties.of(name)
    return texts(np.append(codes, np.int32(-1))[interface], values)


def _x_verdict_source(part: Slice, _column: Column) -> Array:
    judged = part.flows["verdict"] != Verdict.UNKNOWN
    return texts(np.where(judged, 0, 1 if part.assume_accept else -1).astype(np.int32), _JUDGES)


def _x_tcp_flags(part: Slice, _column: Column) -> Array:
    return numbers(part.flows["raw_flags"].astype(np.int32), part.protocol == _TCP)


def _x_icmp(part: Slice, _column: Column) -> Array:
    codes = np.full(len(part), -1, np.int32)
    rows = np.flatnonzero((part.protocol == _ICMP) | (part.protocol == _ICMPV6))
    kinds, codes[rows] = np.unique(part.flows["icmp"][rows], return_inverse=True)
    return texts(codes, pa.array([f"{kind >> 8}/{kind & 0xFF}" for kind in kinds.tolist()], pa.string()))


PRODUCERS: Final[dict[str, Producer]] = {
    "version": _version,
    "account-id": _interface_property,
    "interface-id": _interface_property,
    "srcaddr": _srcaddr,
    "dstaddr": _dstaddr,
    "srcport": _srcport,
    "dstport": _dstport,
    "protocol": _protocol,
    "packets": _packets,
    "bytes": _bytes,
    "start": _start,
    "end": _end,
    "action": _action,
    "log-status": _log_status,
    "vpc-id": _interface_property,
    "subnet-id": _interface_property,
    "instance-id": _interface_property,
    "tcp-flags": _tcp_flags,
    "type": _type,
    "pkt-srcaddr": _pkt_srcaddr,
    "pkt-dstaddr": _pkt_dstaddr,
    "region": _interface_property,
    "az-id": _interface_property,
    "sublocation-type": _interface_property,
    "sublocation-id": _interface_property,
    "pkt-src-aws-service": _pkt_src_aws_service,
    "pkt-dst-aws-service": _pkt_dst_aws_service,
    "flow-direction": _flow_direction,
    "traffic-path": _traffic_path,
    "ecs-cluster-arn": _interface_property,
    "ecs-cluster-name": _interface_property,
    "ecs-container-instance-arn": _interface_property,
    "ecs-container-instance-id": _interface_property,
    "ecs-container-id": _interface_property,
    "ecs-second-container-id": _interface_property,
    "ecs-service-name": _interface_property,
    "ecs-task-definition-arn": _interface_property,
    "ecs-task-arn": _interface_property,
    "ecs-task-id": _interface_property,
    "resource-id": _interface_property,
    "instance-tag": _tag,
    "instance-tag-2": _tag,
    "interface-tag": _tag,
    "interface-tag-2": _tag,
    "asg-tag": _tag,
    "asg-tag-2": _tag,
    "interface-type": _interface_property,
    "next-hop-interface-id": _next_hop_interface_id,
    "next-hop-subnet-id": _next_hop_subnet_id,
    "next-hop-az-id": _next_hop_az_id,
    "next-hop-vpc-id": _next_hop_vpc_id,
    "next-hop-interface-type": _next_hop_interface_type,
    "x-verdict-source": _x_verdict_source,
    "x-tcp-flags": _x_tcp_flags,
    "x-icmp": _x_icmp,
}
"""The producer of every field that is not ABSENT."""
