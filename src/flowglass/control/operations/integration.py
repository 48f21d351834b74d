"""GetFlowLogsIntegrationTemplate: a CloudFormation template for Athena, put into a bucket.

Rule: everything is checked before anything is written; faults of the parameters are told together. The answer is the
template's HTTPS URL, as AWS's is, also where the bucket is the local store's.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetFlowLogsIntegrationTemplate.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection

from flowglass.control import arns
from flowglass.control.call import Call, Services
from flowglass.control.faults import ApiFault, InvalidParameter, InvalidParameterValue, MissingParameter
from flowglass.control.operations.athena import Frequency, Integration, table_name, template
from flowglass.control.operations.refusal import end_dry_run, no_flow_logs, refuse, too_many, unknown_word
from flowglass.control.store import deliveries, flow_logs
from flowglass.control.store.flow_logs import FlowLogRow
from flowglass.fields import LogFormat
from flowglass.fields.contracts import (
    DestinationFault,
    DestinationType,
    DestinationUse,
    FileFormat,
    FlowLog,
)

MAX_INTEGRATIONS: Final = 10
_BUCKET: Final = "ConfigDeliveryS3DestinationArn"
_RESULTS: Final = "IntegrationResultS3DestinationArn"
_START, _END = "PartitionStartDate", "PartitionEndDate"
_FREQUENCY: Final = "PartitionLoadFrequency"


def get_flow_logs_integration_template(call: Call, services: Services) -> dict[str, Any]:
    """Write the template for a flow log that delivered to S3, and answer its URL.

    With PartitionLoadFrequency `none` both dates are needed, in the past; otherwise they bound what is loaded, and a
    start is needed for an end. Days are UTC's, the first and the last are included. Raises, in this order, the faults
    of the parameters; InvalidFlowLogId.NotFound; InvalidParameter where the flow log has no data in S3, two
    integrations would make the same table, or the bucket cannot be used.
    """
    wanted: Sequence[Mapping[str, Any]] = call.parameters["IntegrateServices"].get("AthenaIntegrations", ())
    refuse(_faults(call, wanted))
    into = arns.parse_destination(DestinationType.S3, call.parameters[_BUCKET])
    integrations = [_integration(one) for one in wanted]
    row = services.store.read(lambda connection: _delivering(connection, call))
    source = arns.destination_of(DestinationType.S3, row.log_destination, None, row.account, row.region)
    flow_log = _flow_log(row, source.folder)
    _refuse_equal([table_name(flow_log, one) for one in integrations])
    _refuse_bucket(services.destinations.check(DestinationUse(into, row.account, row.region)))
    end_dry_run(call)
    name = f"VPCFlowLogsIntegrationTemplate_{row.id}_{_java_date(call.now_ms)}.yml"
    _refuse_bucket(services.destinations.write(into, name, template(flow_log, source.name, integrations)))
    path = "/".join(part for part in (into.folder, name) if part)
    return {"Result": f"https://{into.name}.s3.{row.region}.amazonaws.com/{quote(path)}"}


def _faults(call: Call, wanted: Sequence[Mapping[str, Any]]) -> Iterator[ApiFault]:
    yield from _arn_faults(_BUCKET, call.parameters[_BUCKET])
    if not wanted:
        yield MissingParameter("The request must contain the parameter IntegrateService.AthenaIntegration.1")
    if len(wanted) > MAX_INTEGRATIONS:
        yield too_many("AthenaIntegration", len(wanted), MAX_INTEGRATIONS)
    for one in wanted:
        yield from _arn_faults(_RESULTS, one[_RESULTS])
        if one[_FREQUENCY] not in {word.value for word in Frequency}:
            yield unknown_word(_FREQUENCY, one[_FREQUENCY], Frequency)
        else:
            yield from _date_faults(one, call.now_ms)


def _arn_faults(parameter: str, arn: str) -> Iterator[ApiFault]:
    try:
        arns.parse_destination(DestinationType.S3, arn)
    except InvalidParameter as fault:
        yield InvalidParameter(f"{parameter}{fault.message.removeprefix('LogDestination')}")


def _date_faults(one: Mapping[str, Any], now_ms: int) -> Iterator[ApiFault]:
    start: datetime | None = one.get(_START)
    end: datetime | None = one.get(_END)
    if one[_FREQUENCY] == Frequency.NONE.value:
        dates = {_START: start, _END: end}
        if missing := [parameter for parameter, value in dates.items() if value is None]:
            yield MissingParameter(
                f"{_FREQUENCY} none needs {' and '.join(missing)}: both dates say what the table has"
            )
        for parameter, value in dates.items():
            if value is not None and value.timestamp() * 1000 >= now_ms:
                yield InvalidParameterValue(f"{parameter} {value.isoformat()} is not in the past")
    elif end is not None and start is None:
        yield InvalidParameterValue(f"{_END} needs {_START}: write both, or neither")
    if start is not None and end is not None and end < start:
        yield InvalidParameterValue(f"{_END} {end.isoformat()} is before {_START} {start.isoformat()}")


def _integration(one: Mapping[str, Any]) -> Integration:
    results = arns.parse_destination(DestinationType.S3, one[_RESULTS])
    return Integration(results, Frequency(one[_FREQUENCY]), _day(one.get(_START)), _day(one.get(_END)))


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.astimezone(UTC).date()


def _delivering(connection: Connection, call: Call) -> FlowLogRow:
    """The flow log that is asked for, of which there is data in S3."""
    flow_log_id: str = call.parameters["FlowLogId"]
    found = flow_logs.find(connection, account=call.account, region=call.region, ids=[flow_log_id])
    if not found:
        raise no_flow_logs([flow_log_id])
    if found[0].log_destination_type != DestinationType.S3.value:
        raise InvalidParameter(
            f"The flow log {flow_log_id} delivers to {found[0].log_destination_type}; "
            f"an integration needs one that delivers to {DestinationType.S3.value}."
        )
    if not any(delivery.objects for delivery in deliveries.of(connection, [flow_log_id])[flow_log_id]):
        raise InvalidParameter(f"The flow log {flow_log_id} has delivered nothing yet; wait for its first objects.")
    return found[0]


def _flow_log(row: FlowLogRow, folder: str) -> FlowLog:
    """What of the flow log decides how its objects look and where they are."""
    return FlowLog(
        id=row.id,
        account=row.account,
        region=row.region,
        log_format=LogFormat.parse(row.log_format, dict(row.tag_fields)),
        file_format=FileFormat(row.file_format),
        hive=row.hive_compatible_partitions,
        per_hour=row.per_hour_partition,
        prefix=folder,
    )


def _refuse_equal(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidParameter(
            f"Several integrations make the table {', '.join(twice)}; give them other frequencies or dates."
        )


def _refuse_bucket(fault: DestinationFault | None) -> None:
    if fault is not None:
        raise InvalidParameter(f"{_BUCKET}: {fault.message}")


def _java_date(now_ms: int) -> str:
    """The time as AWS writes it into the name: `Wed Jul 21 00:57:56 UTC 2021`."""
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC):%a %b %d %H:%M:%S UTC %Y}"
