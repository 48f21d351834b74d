"""The parameters of CreateFlowLogs, checked each and together: a request that passes is a `Wanted`.

Rule: all faults of the parameters are told at once, then all of the format; nothing is looked up here. Codes and texts
are AWS's where they are known; where AWS documents none, the message says what to change.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from flowglass.control import arns
from flowglass.control.faults import ApiFault, InvalidParameter, InvalidParameterValue, MissingParameter
from flowglass.control.operations.formats import format_faults, format_text, tag_field_faults, tag_fields_of
from flowglass.control.operations.kinds import KINDS, UNRECORDED
from flowglass.control.operations.refusal import refuse, shown, too_many, unknown_word
from flowglass.control.operations.tagging import FLOW_LOG, tag_faults, tags_of
from flowglass.fields.contracts import Destination
from flowglass.fields.vocabulary import DestinationType, FileFormat, ResourceType, TrafficType

MAX_RESOURCES: Final = 300
MAX_ID: Final = 256
"""Characters of a resource's id, as in the inventory."""
MAX_TOKEN: Final = 64
INTERVALS: Final = (60, 600)
"""Seconds of MaxAggregationInterval; the last is the default."""

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks for, with AWS's defaults filled in; texts as sent.

    `tag_fields`: tag keys by resource type, for the format's tag fields.
    """

    resource_type: ResourceType
    resource_ids: tuple[str, ...]
    traffic_type: TrafficType
    interval_s: int
    destination_type: DestinationType
    log_destination: str | None
    log_group_name: str | None
    permission_role: str | None
    cross_account_role: str | None
    log_format: str
    file_format: FileFormat
    hive: bool
    per_hour: bool
    tags: Mapping[str, str]
    tag_fields: Mapping[str, tuple[str, ...]]
    client_token: str | None

    def destination(self, account: str, region: str) -> Destination:
        """Where a flow log of that account and Region delivers to."""
        return arns.destination_of(self.destination_type, self.log_destination, self.log_group_name, account, region)


def validate(parameters: Parameters) -> Wanted:
    """What a request asks for. Raises the fault of its parameters, then that of its format, each with all texts."""
    refuse(
        chain(
            _missing(parameters),
            _resource_faults(parameters),
            _traffic_faults(parameters),
            _destination_faults(parameters),
            _option_faults(parameters),
            _tag_specification_faults(parameters),
            tag_field_faults(parameters.get("TagFieldSpecifications", ())),
            _token_faults(parameters),
        )
    )
    tag_fields = tag_fields_of(parameters.get("TagFieldSpecifications", ()))
    refuse(format_faults(parameters.get("LogFormat"), tag_fields))
    options = parameters.get("DestinationOptions", {})
    return Wanted(
        resource_type=ResourceType(parameters["ResourceType"]),
        resource_ids=tuple(parameters["ResourceIds"]),
        traffic_type=TrafficType(parameters["TrafficType"]),
        interval_s=parameters.get("MaxAggregationInterval", INTERVALS[-1]),
        destination_type=DestinationType(_destination_type(parameters)),
        log_destination=_sent(parameters, "LogDestination"),
        log_group_name=_sent(parameters, "LogGroupName"),
        permission_role=_sent(parameters, "DeliverLogsPermissionArn"),
        cross_account_role=_sent(parameters, "DeliverCrossAccountRole"),
        log_format=format_text(parameters.get("LogFormat")),
        file_format=FileFormat(options.get("FileFormat", FileFormat.PLAIN_TEXT.value)),
        hive=options.get("HiveCompatiblePartitions", False),
        per_hour=options.get("PerHourPartition", False),
        tags=tags_of(tag for one in parameters.get("TagSpecifications", ()) for tag in one.get("Tags", ())),
        tag_fields=tag_fields,
        client_token=parameters.get("ClientToken"),
    )


def _missing(parameters: Parameters) -> Iterator[ApiFault]:
    """What the model does not require, because some types of resources have no traffic type."""
    if "TrafficType" not in parameters and parameters["ResourceType"] not in UNRECORDED:
        yield MissingParameter(
            "The request must include the TrafficType parameter. Add the required parameter and retry the request."
        )


def _resource_faults(parameters: Parameters) -> Iterator[ApiFault]:
    kind: str = parameters["ResourceType"]
    ids: list[str] = parameters["ResourceIds"]
    if len(ids) > MAX_RESOURCES:
        yield too_many("ResourceIds", len(ids), MAX_RESOURCES)
    if kind in UNRECORDED:
        yield InvalidParameter(f"Flow logs of resource type {kind} cannot be made: nothing here can record them yet")
    elif kind not in {known.value for known in KINDS}:
        yield unknown_word("ResourceType", kind, ResourceType)
    else:
        prefix = KINDS[ResourceType(kind)].prefix
        for one in ids:
            if not one.startswith(prefix) or not len(prefix) < len(one) <= MAX_ID:
                yield InvalidParameterValue(f'Invalid id: "{shown(one)}" (expecting "{prefix}...")')
    twice = [one for one, count in Counter(ids).items() if count > 1]
    if twice:
        yield InvalidParameter(f"ResourceIds has {', '.join(map(shown, twice))} more than once")


def _traffic_faults(parameters: Parameters) -> Iterator[ApiFault]:
    traffic = parameters.get("TrafficType")
    if traffic is not None and traffic not in {known.value for known in TrafficType}:
        yield unknown_word("TrafficType", traffic, TrafficType)
    if parameters.get("MaxAggregationInterval", INTERVALS[-1]) not in INTERVALS:
        yield InvalidParameter("Invalid Flow Log Max Aggregation Interval")


def _destination_type(parameters: Parameters) -> str:
    return str(parameters.get("LogDestinationType", DestinationType.CLOUD_WATCH_LOGS.value))


def _sent(parameters: Parameters, name: str) -> str | None:
    """A text that clients send empty where they mean none."""
    return parameters.get(name) or None


def _destination_faults(parameters: Parameters) -> Iterator[ApiFault]:
    text = _destination_type(parameters)
    if text not in {known.value for known in DestinationType}:
        yield unknown_word("LogDestinationType", text, DestinationType)
        return
    kind = DestinationType(text)
    yield from _place_faults(kind, _sent(parameters, "LogDestination"), _sent(parameters, "LogGroupName"))
    yield from _role_faults(
        kind, _sent(parameters, "DeliverLogsPermissionArn"), _sent(parameters, "DeliverCrossAccountRole")
    )


def _place_faults(kind: DestinationType, destination: str | None, group: str | None) -> Iterator[ApiFault]:
    if destination is None and group is None:
        yield InvalidParameter("LogDestination can't be empty if LogGroupName is not provided.")
        return
    if group is not None and kind is not DestinationType.CLOUD_WATCH_LOGS:
        yield InvalidParameter("LogDestination type must be cloud-watch-logs if LogGroupName is provided.")
        return
    if destination is not None and group is not None:
        yield InvalidParameter("Give LogDestination or LogGroupName, not both.")
        return
    try:
        arns.destination_of(kind, destination, group, account="", region="")
    except InvalidParameter as fault:
        yield fault


def _role_faults(kind: DestinationType, permission: str | None, cross_account: str | None) -> Iterator[ApiFault]:
    """Roles are checked for their form alone: there is no IAM here that could be asked."""
    if kind is DestinationType.CLOUD_WATCH_LOGS and permission is None:
        yield InvalidParameter("DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.")
    elif kind is DestinationType.S3 and permission is not None:
        yield InvalidParameter("DeliverLogsPermissionArn is not applicable for s3 delivery")
    elif permission is not None:
        yield from _role_form("DeliverLogsPermissionArn", permission)
    if cross_account is None:
        return
    if kind is not DestinationType.FIREHOSE:
        yield InvalidParameter(f"DeliverCrossAccountRole is not applicable for {kind.value} delivery")
        return
    yield from _role_form("DeliverCrossAccountRole", cross_account, arns.CROSS_ACCOUNT_ROLE_PREFIX)


def _role_form(parameter: str, arn: str, prefix: str = "") -> Iterator[ApiFault]:
    try:
        name = arns.role_name(parameter, arn)
    except InvalidParameter as fault:
        yield fault
        return
    if not name.startswith(prefix):
        yield InvalidParameter(f"{parameter}: the role's name must begin {prefix}, and '{name}' does not")


def _option_faults(parameters: Parameters) -> Iterator[ApiFault]:
    """AWS's other destinations have no objects: options that ask for some are refused there, plain text is not."""
    options = parameters.get("DestinationOptions", {})
    written = options.get("FileFormat", FileFormat.PLAIN_TEXT.value)
    if written not in {known.value for known in FileFormat}:
        yield unknown_word("DestinationOptions.FileFormat", written, FileFormat)
    if _destination_type(parameters) == DestinationType.S3.value:
        return
    asked = {
        "FileFormat parquet": written == FileFormat.PARQUET.value,
        "HiveCompatiblePartitions": options.get("HiveCompatiblePartitions", False),
        "PerHourPartition": options.get("PerHourPartition", False),
    }
    for option, is_asked in asked.items():
        if is_asked:
            yield InvalidParameter(f"DestinationOptions: {option} is only for the log destination type s3")


def _tag_specification_faults(parameters: Parameters) -> Iterator[ApiFault]:
    specifications = parameters.get("TagSpecifications", ())
    kinds = Counter(str(one.get("ResourceType", "")) for one in specifications)
    for kind in kinds:
        if kind != FLOW_LOG:
            yield InvalidParameterValue(
                f"'{shown(kind)}' is not a valid taggable resource type for this operation; it must be {FLOW_LOG}"
            )
    if kinds[FLOW_LOG] > 1:
        yield InvalidParameter(f"TagSpecifications has the resource type {FLOW_LOG} more than once")
    for one in specifications:
        yield from tag_faults(one.get("Tags", ()))


def _token_faults(parameters: Parameters) -> Iterator[ApiFault]:
    token = parameters.get("ClientToken")
    if token is not None and not (1 <= len(token) <= MAX_TOKEN and token.isascii() and token.isprintable()):
        yield InvalidParameterValue(f"ClientToken must have 1 to {MAX_TOKEN} printable ASCII characters")
