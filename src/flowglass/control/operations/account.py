"""Who and where the caller is: Regions, zones, what an account has, the caller's identity.

Rule: Regions and zones are those of the agents' inventories. What a place of one's own has no notion of (limits,
opt-in) is answered as AWS does where nothing special was asked for, or left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from flowglass.control.call import Call, Services
from flowglass.control.faults import InvalidParameterValue
from flowglass.control.operations.filters import compile_filters
from flowglass.control.operations.members import is_zone_id
from flowglass.control.operations.refusal import end_dry_run
from flowglass.control.store import resources

_REGION_FILTERS: Final = {"endpoint": "Endpoint", "opt-in-status": "OptInStatus", "region-name": "RegionName"}
_ZONE_FILTERS: Final = {
    "opt-in-status": "OptInStatus",
    "region-name": "RegionName",
    "state": "State",
    "zone-id": "ZoneId",
    "zone-name": "ZoneName",
    "zone-type": "ZoneType",
}
_ZONE_TYPES: Final = {"localzone": "local-zone", "wavelength": "wavelength-zone"}
_ALWAYS_IN: Final = "opt-in-not-required"
_CHINA: Final = "aws-cn"
_ACCOUNT_ATTRIBUTES: Final = {"supported-platforms": "VPC", "default-vpc": "none"}
"""What holds in every account here: everything is in a VPC, and none is the default one."""


def describe_regions(call: Call, services: Services) -> dict[str, Any]:
    """The Regions of the inventories, and the call's own; AllRegions adds none. Endpoints have AWS's form of name.

    Raises InvalidParameterValue that names every Region of RegionNames that is not there.
    """
    filters = compile_filters(call.parameters.get("Filters"), _REGION_FILTERS, tags=False)
    pairs = services.store.read(resources.accounts_and_regions)
    names = {region for account, region in pairs if call.account in (None, account)} | {call.region}
    wanted: Sequence[str] = call.parameters.get("RegionNames", ())
    _refuse_unknown("regionName", [name for name in wanted if name not in names])
    suffix = "amazonaws.com.cn" if services.partition == _CHINA else "amazonaws.com"
    regions = [
        {"RegionName": name, "Endpoint": f"ec2.{name}.{suffix}", "OptInStatus": _ALWAYS_IN} for name in sorted(names)
    ]
    end_dry_run(call)
    return {
        "Regions": [
            region
            for region in regions
            if (not wanted or region["RegionName"] in wanted) and filters.match(_values(region, _REGION_FILTERS), {})
        ]
    }


def describe_availability_zones(call: Call, services: Services) -> dict[str, Any]:
    """The zones that subnets of the Region are in, each by its id or its name, whichever the inventory has.

    Raises InvalidParameterValue that names every zone of ZoneIds or ZoneNames that is not there.
    """
    filters = compile_filters(call.parameters.get("Filters"), _ZONE_FILTERS, tags=False)

    def work(connection: Connection) -> dict[str, dict[str, Any]]:
        subnets = resources.find(connection, "subnet", account=call.account, region=call.region)
        return {row.document["zone"]: _zone(call.region, row.document) for row in subnets}

    zones = [zone for _, zone in sorted(services.store.read(work).items())]
    for member, parameter in (("ZoneId", "ZoneIds"), ("ZoneName", "ZoneNames")):
        wanted: Sequence[str] = call.parameters.get(parameter, ())
        there = {zone.get(member) for zone in zones}
        _refuse_unknown(member[0].lower() + member[1:], [name for name in wanted if name not in there])
        if wanted:
            zones = [zone for zone in zones if zone.get(member) in wanted]
    end_dry_run(call)
    return {"AvailabilityZones": [zone for zone in zones if filters.match(_values(zone, _ZONE_FILTERS), {})]}


def describe_account_attributes(call: Call, _services: Services) -> dict[str, Any]:
    """The attributes that an account here has: its platform, and that it has no default VPC.

    AWS's limits (`max-instances` and others) are left out: there are none. Other names are left out too.
    """
    end_dry_run(call)
    wanted: Sequence[str] = call.parameters.get("AttributeNames", ())
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}
            for name, value in _ACCOUNT_ATTRIBUTES.items()
            if not wanted or name in wanted
        ]
    }


def get_caller_identity(call: Call, services: Services) -> dict[str, Any]:
    """The key's id, the account that it acts in, and an ARN with the key's name."""
    account = call.home_account
    arn = f"arn:{services.partition}:iam::{account}:user/{call.caller.name}"
    return {"UserId": call.caller.key_id, "Account": account, "Arn": arn}


def _zone(region: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """A zone, by one of its subnets. An Outpost is in an ordinary zone."""
    zone = document["zone"]
    return {
        "ZoneId" if is_zone_id(zone) else "ZoneName": zone,
        "RegionName": region,
        "State": "available",
        "OptInStatus": _ALWAYS_IN,
        "ZoneType": _ZONE_TYPES.get(document.get("sublocation", {}).get("type"), "availability-zone"),
    }


def _values(answer: Mapping[str, str], filters: Mapping[str, str]) -> dict[str, list[str]]:
    """The values of each filter."""
    return {name: [answer[member]] for name, member in filters.items() if member in answer}


def _refuse_unknown(parameter: str, unknown: Sequence[str]) -> None:
    if unknown:
        raise InvalidParameterValue(
            f"Value ({', '.join(unknown)}) for parameter {parameter} is invalid. No inventory has it in this account."
        )
