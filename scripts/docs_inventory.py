"""The reference page of inventory files, from the models that read them.

Rule: keys, types, choices and what is required come from the models; the meaning of every key stands in MEANINGS, and
a key without one, or a meaning without a key, stops `make docs`.
"""

from __future__ import annotations

import enum
import re
import typing
from typing import Any, Final

from flowglass.fields import FIELDS
from flowglass.inventory import example
from flowglass.inventory.model import LISTS, Ecs, Head, Part, Route, Sublocation, ecs_key
from scripts.docs_text import code, doc, page, table

PARTS: Final[dict[str, type[Part]]] = {
    "the file": Head,
    **LISTS,
    "routes": Route,
    "sublocation": Sublocation,
    "ecs": Ecs,
}

TYPES: Final[dict[str, str]] = {
    "Account": "12 digits, in quotes",
    "AnyCidr": "CIDR, IPv4 or IPv6",
    "Cidr4": "IPv4 CIDR",
    "Cidr6": "IPv6 CIDR",
    "Ecs": "[keys and values](#ecs)",
    "Flag": "true or false",
    "GroupId": "`sg-` id",
    "InstanceId": "`i-` id",
    "InterfaceId": "`eni-` id",
    "Ipv4": "IPv4 address",
    "Ipv6": "IPv6 address",
    "Mac": "MAC address, in quotes",
    "NatId": "`nat-` id",
    "Region": "name of a Region",
    "ResourceId": "`nat-`, `tgw-` or `vpce-` id",
    "Route": "[route](#routes)",
    "RouteTableId": "`rtb-` id",
    "Sublocation": "[keys and values](#sublocation)",
    "SubnetId": "`subnet-` id",
    "Tags": "keys and values",
    "Target": "`local`, or an id that begins with `eni-`, `i-`, `igw-`, `eigw-`, `nat-`, `pcx-`, `vgw-`, `vpce-`, "
    "`tgw-`, `lgw-`, `cagw-`",
    "TimeNs": "time with zone, as 2026-01-31T12:00:00Z, or Unix seconds",
    "VpcId": "`vpc-` id",
    "Word": "text",
}

MEANINGS: Final[dict[str, dict[str, str]]] = {
    "the file": {
        "account": "Owner of every VPC that names no other. Required unless `--account` or every VPC has one.",
        "region": "Region of every VPC that names no other. Required unless `--region` or every VPC has one.",
        "service_prefixes": "Path of AWS's ip-ranges.json, from the folder of this file.",
        "exclusions": "`aws` leaves out what AWS never logs; `none` records it.",
    },
    "vpcs": {
        "id": "Its id.",
        "cidrs": "All its CIDRs; routes to them are local.",
        "account": "Its owner; default the file's.",
        "region": "Its Region; default the file's.",
    },
    "subnets": {
        "id": "Its id.",
        "vpc": "Its VPC.",
        "cidr": "Its IPv4 CIDR. One of `cidr` and `ipv6_cidr` is needed.",
        "ipv6_cidr": "Its IPv6 CIDR.",
        "zone": "Id of its Availability Zone, as euw1-az1.",
        "sublocation": "Where it lies outside a Region's ordinary zones.",
        "route_table": "A route table of `route_tables`.",
        "routes": "Routes of its own, in place of `route_table`.",
        "aws_reserved": "Router (first address + 1) and resolver are AWS's, so their traffic is never logged.",
    },
    "route_tables": {"id": "Its id.", "routes": "Its routes."},
    "instances": {
        "id": "Its id.",
        "tags": "Its tags, for `instance-tag`.",
        "auto_scaling_group": "Name of its group in `auto_scaling_groups`.",
    },
    "auto_scaling_groups": {"name": "Its name.", "tags": "Its tags, for `asg-tag`."},
    "interfaces": {
        "from": "First moment that the interface has what stands here; none: always.",
        "until": "First moment after; none: for ever.",
        "id": "Its id.",
        "subnet": "Its subnet.",
        "instance": "The instance that it is attached to.",
        "ipv4": "Its private IPv4 addresses, the primary first.",
        "ipv6": "Its IPv6 addresses.",
        "prefixes": "Prefixes delegated to it, for containers.",
        "mac": "Its MAC address.",
        "device": "Name of the capture point that is this interface.",
        "groups": "Its security groups.",
        "type": "What it is; other than `interface` means made by a service.",
        "resource": "The gateway or endpoint that it belongs to; goes with `type`.",
        "role": "What it is to the machine that captures: `host`, its own; `guest`, a tap or veth that leads to a "
        "guest, whose direction is inverted; `gateway`, passes on others' packets; `mirror`, a mirror session. "
        "Default `gateway` for types that are gateways, else `host`.",
        "addresses": "`aws` shows its primary private IPv4 in place of what the packet has on its side, as AWS does; "
        "`packet` keeps the packet's. Default `aws` for guest and gateway, else `packet`.",
        "requester_managed": "A service made it, so its instance is not shown. Default: true unless `type` is "
        "`interface`.",
        "account": "Its owner where that is not the VPC's.",
        "tags": "Its tags, for `interface-tag`.",
        "ecs": "The ECS task behind it.",
        "efa": "It is an Elastic Fabric Adapter.",
    },
    "regional_nat_gateways": {
        "from": "As of an interface.",
        "until": "As of an interface.",
        "id": "Its id.",
        "vpc": "Its VPC.",
        "ipv4": "Its addresses.",
        "mac": "MAC address by which it is seen.",
        "device": "Name of the capture point that is this gateway.",
    },
    "routes": {
        "to": "One CIDR or a list.",
        "service": "In place of `to`: a service of ip-ranges.json, all its published prefixes.",
        "via": "Where packets go.",
        "region": "Region of the peer, where `via` is a peering to another one.",
        "vpc": "VPC of the peer, where it is in this file.",
    },
    "sublocation": {"type": "What it is.", "id": "Its id."},
    "ecs": {ecs_key(name): field.doc for name, field in FIELDS.items() if name.startswith("ecs-")},
}


def keys(part: type[Part]) -> dict[str, Any]:
    """The keys of a part as the file spells them, and pydantic's facts about each."""
    return {info.alias or name: info for name, info in part.model_fields.items()}


def inventory() -> str:
    """Every part of an inventory file and its keys."""
    unlike = {name for name, part in PARTS.items() if set(keys(part)) != set(MEANINGS[name])}
    if unlike or set(MEANINGS) != set(PARTS):
        raise SystemExit(f"scripts/docs_inventory.py: MEANINGS and the models differ in: {', '.join(unlike)}")
    return page(
        "Inventory files",
        "A YAML file that says what exists: who has which address, and how packets leave. Unknown keys are faults. "
        "`flowglass inventory check FILE` reports every fault with its line and remedy; how to write one is in "
        "[write an inventory](../howto/write-an-inventory.md).",
        "Beside the keys of the file itself there are lists: "
        + ", ".join(f"[{name}](#{name})" for name in LISTS)
        + ".",
        *(_part(name, part) for name, part in PARTS.items()),
        "## Example",
        "What `flowglass inventory init` writes:",
        code(example(), "yaml"),
    )


def _part(name: str, part: type[Part]) -> str:
    words = _annotations(part)
    rows = [
        (
            f"`{key}`",
            _type(words[(info.alias and f"{info.alias}_ns") or key]),
            "required" if info.is_required() else _default(info.default),
            MEANINGS[name][key],
        )
        for key, info in keys(part).items()
    ]
    about = (
        doc(part).split(". ")[0].rstrip(".") + ".\n\n"
        if part is not Ecs
        else "What ECS knows of the task behind an interface.\n\n"
    )
    return f"## {name}\n\n{about}{table(('key', 'value', 'default', 'meaning'), rows)}"


def _annotations(part: type[Part]) -> dict[str, str]:
    """The annotations of a model and its bases as they are written."""
    found: dict[str, str] = {}
    for base in reversed(part.__mro__):
        found |= {
            key: text if isinstance(text, str) else "Word | None"
            for key, text in vars(base).get("__annotations__", {}).items()
        }
    return found


def _type(written: str) -> str:
    text = written.removesuffix(" | None")
    if text.startswith("Annotated["):
        text = text.removeprefix("Annotated[").split(", BeforeValidator")[0]
    if text.startswith("list["):
        return f"list: {_type(text[5:-1])}"
    if text.startswith("Literal["):
        return ", ".join(f"`{word}`" for word in re.findall(r"[\w-]+", text[8:-1]))
    return TYPES.get(text) or _choices(text)


def _choices(name: str) -> str:
    from flowglass.inventory import model

    kind: Any = getattr(model, name)
    if isinstance(kind, enum.EnumType):
        return ", ".join(f"`{member.value}`" for member in typing.cast("type[enum.Enum]", kind))
    return ", ".join(f"`{word}`" for word in typing.get_args(kind))


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`" if isinstance(value, str) else ""
