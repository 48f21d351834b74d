"""CreateFlowLogs: one flow log a resource, all that can be made or none.

Rule: everything is checked before anything is written, in this order: parameters, format, client token, resources;
then, for each resource, its limit, an equal flow log, the destination. What fails before that last part fails the
request; what fails in it is told of the resource alone, but for an equal flow log of the only resource. A dry run ends
where that last part begins. One transaction makes the flow logs, their tags and what is kept of the client token, and
checks limits and equal flow logs again.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from flowglass.control.arns import destination_key
from flowglass.control.call import Call, Services
from flowglass.control.faults import (
    FlowLogAlreadyExists,
    FlowLogsLimitExceeded,
    IdempotentParameterMismatch,
    InvalidParameter,
)
from flowglass.control.operations.kinds import KINDS
from flowglass.control.operations.localkeys import ID_KEY, local_key
from flowglass.control.operations.refusal import end_dry_run, refuse
from flowglass.control.operations.validation import Wanted, validate
from flowglass.control.store import client_tokens, flow_logs, resources, tags
from flowglass.control.store.client_tokens import TokenRow
from flowglass.control.store.flow_logs import FlowLogRow
from flowglass.fields.contracts import DestinationUse
from flowglass.fields.vocabulary import DestinationType

MAX_FLOW_LOGS: Final = 250
"""Flow logs of one resource."""
TOKEN_LIFE_MS: Final = 24 * 60 * 60 * 1000
"""How long a client token is remembered; AWS states no time."""

_ID_DIGITS: Final = 17
_NOT_OF_THE_TOKEN: Final = frozenset({"ClientToken", "DryRun"})

_EXISTS: Final = "Error. There is an existing Flow Log with the same configuration and log destination."
_FULL: Final = f"{MAX_FLOW_LOGS} flow logs; a resource can have no more"

Error = dict[str, str]
"""Why no flow log is made for a resource: `Code` and `Message`."""


@dataclass(frozen=True, slots=True)
class _Found:
    """By resource, in the request's order: the account that owns it; and why no flow log is made for it."""

    owners: Mapping[str, str]
    errors: Mapping[str, Error]

    def left(self) -> dict[str, list[str]]:
        """The resources that flow logs can be made for, by account."""
        left: dict[str, list[str]] = defaultdict(list)
        for resource, account in self.owners.items():
            if resource not in self.errors:
                left[account].append(resource)
        return left


def create_flow_logs(call: Call, services: Services) -> dict[str, Any]:
    """Make flow logs. Answers `ClientToken` (made here if none was sent), `FlowLogIds` and `Unsuccessful`.

    The same client token with the same parameters gives the first answer and makes nothing; a request that made
    nothing leaves no token behind. Raises what `validate` does, IdempotentParameterMismatch, the resource kind's fault
    for resources that do not exist, DryRunOperation and FlowLogAlreadyExists.
    """
    wanted = validate(call.parameters)

    def look(connection: Connection) -> dict[str, Any] | _Found:
        return _told_before(connection, call) or _find(connection, call, wanted)

    found = services.store.read(look)
    if not isinstance(found, _Found):
        end_dry_run(call)
        return found
    errors = {**found.errors, **_undeliverable(services, call, wanted, found)}
    key = local_key(services.store, ID_KEY)
    return services.store.write(lambda connection: _make(connection, call, wanted, _Found(found.owners, errors), key))


# Before anything is written ----------------------------------------------------------------------------------


def _told_before(connection: Connection, call: Call) -> dict[str, Any] | None:
    """The answer that this client token was given before. Raises IdempotentParameterMismatch."""
    token: str | None = call.parameters.get("ClientToken")
    row = None if token is None else client_tokens.get(connection, _token_account(call), call.region, token)
    if row is None or row.created_ms < call.now_ms - TOKEN_LIFE_MS:
        return None
    if (row.action, row.digest) != (call.action, _digest(call)):
        raise IdempotentParameterMismatch(
            f"The client token '{token}' was used with other parameters before; send another token"
        )
    return dict(row.answer)


def _find(connection: Connection, call: Call, wanted: Wanted) -> _Found:
    """The resources. Raises the kind's fault that names all that are missing, and as `create_flow_logs` says."""
    kind = KINDS[wanted.resource_type]
    rows = resources.find(
        connection, kind.name, account=call.account, region=call.region, ids=list(wanted.resource_ids)
    )
    accounts = {row.id: row.account for row in rows}
    missing = [one for one in wanted.resource_ids if one not in accounts]
    if missing:
        raise kind.not_found(missing)
    owners = {one: accounts[one] for one in wanted.resource_ids}
    refuse(_account_faults(wanted, set(owners.values()), call.region))
    end_dry_run(call)
    return _Found(owners, _taken(connection, call, wanted, owners))


def _account_faults(wanted: Wanted, accounts: set[str], region: str) -> Iterable[InvalidParameter]:
    """Roles that delivery by Firehose needs across accounts, and takes nowhere else."""
    if wanted.destination_type is not DestinationType.FIREHOSE:
        return
    roles = {
        "DeliverLogsPermissionArn": wanted.permission_role,
        "DeliverCrossAccountRole": wanted.cross_account_role,
    }
    across = {wanted.destination(account, region).account for account in accounts} != accounts
    for name, role in roles.items():
        if across and role is None:
            yield InvalidParameter(f"{name} can't be empty if the delivery stream is in another account.")
        elif not across and role is not None:
            yield InvalidParameter(f"{name} is not applicable for delivery to a stream in the same account")


def _taken(connection: Connection, call: Call, wanted: Wanted, owners: Mapping[str, str]) -> dict[str, Error]:
    """Resources that have an equal flow log, or as many as they may. Raises FlowLogAlreadyExists for the only one."""
    errors: dict[str, Error] = {}
    for account, own in _Found(owners, {}).left().items():
        taken = flow_logs.taken(
            connection,
            account,
            call.region,
            own,
            destination_key=destination_key(wanted.destination(account, call.region)),
            traffic_type=wanted.traffic_type.value,
        )
        for one, (count, equal) in taken.items():
            if equal and len(owners) == 1:
                raise FlowLogAlreadyExists(_EXISTS)
            if equal:
                errors[one] = _error(FlowLogAlreadyExists.code, _EXISTS)
            elif count >= MAX_FLOW_LOGS:
                errors[one] = _error(FlowLogsLimitExceeded.code, f"{one} has {_FULL}")
    return errors


def _undeliverable(services: Services, call: Call, wanted: Wanted, found: _Found) -> dict[str, Error]:
    """Resources whose account cannot use the destination; for the others it is made ready."""
    left = found.left()
    faults = {
        account: services.destinations.prepare(
            DestinationUse(wanted.destination(account, call.region), account, call.region, wanted.hive)
        )
        for account in left
    }
    return {
        one: _error(fault.code, fault.message)
        for account, fault in faults.items()
        if fault is not None
        for one in left[account]
    }


# What is written ---------------------------------------------------------------------------------------------


def _make(connection: Connection, call: Call, wanted: Wanted, found: _Found, key: bytes) -> dict[str, Any]:
    """The answer, with all that it tells made; `key`: of the ids.

    What another call can have changed meanwhile is looked at again.
    """
    told = _told_before(connection, call)
    if told is not None:
        return told
    found = _Found(found.owners, {**found.errors, **_taken(connection, call, wanted, found.owners)})
    made = _rows(call, wanted, found, key)
    answer: dict[str, Any] = {
        "ClientToken": wanted.client_token or _token(call),
        "FlowLogIds": [row.id for row in made],
        "Unsuccessful": [
            {"ResourceId": one, "Error": found.errors[one]} for one in found.owners if one in found.errors
        ],
    }
    if made:
        flow_logs.insert(connection, made)
        tags.put(connection, [row.id for row in made], wanted.tags)
        _remember(connection, call, answer)
    return answer


def _remember(connection: Connection, call: Call, answer: dict[str, Any]) -> None:
    client_tokens.expire(connection, call.now_ms - TOKEN_LIFE_MS)
    client_tokens.put(
        connection,
        TokenRow(
            account=_token_account(call),
            region=call.region,
            token=answer["ClientToken"],
            action=call.action,
            digest=_digest(call),
            answer=answer,
            created_ms=call.now_ms,
        ),
    )


def _rows(call: Call, wanted: Wanted, found: _Found, key: bytes) -> list[FlowLogRow]:
    """The flow logs that can be made, one a resource, in the accounts that own them and the request's order."""
    return [
        FlowLogRow(
            id=_flow_log_id(key, call.request_id, resource),
            account=account,
            region=call.region,
            resource_id=resource,
            resource_type=wanted.resource_type.value,
            traffic_type=wanted.traffic_type.value,
            log_destination_type=wanted.destination_type.value,
            log_destination=wanted.log_destination,
            log_group_name=wanted.log_group_name,
            deliver_logs_permission_arn=wanted.permission_role,
            deliver_cross_account_role=wanted.cross_account_role,
            log_format=wanted.log_format,
            max_aggregation_interval=wanted.interval_s,
            file_format=wanted.file_format.value,
            hive_compatible_partitions=wanted.hive,
            per_hour_partition=wanted.per_hour,
            tag_fields=tuple(wanted.tag_fields.items()),
            destination_key=destination_key(wanted.destination(account, call.region)),
            created_ms=call.now_ms,
        )
        for resource, account in found.owners.items()
        if resource not in found.errors
    ]


def _flow_log_id(key: bytes, request_id: str, resource: str) -> str:
    """An id that tells nothing of its resource to who has not the key."""
    digest = hmac.new(key, f"{request_id}\0{resource}".encode(), hashlib.sha256)
    return f"fl-{digest.hexdigest()[:_ID_DIGITS]}"


def _token(call: Call) -> str:
    """The client token of a call that was sent without: as AWS's, base64 of 32 bytes."""
    return base64.b64encode(hashlib.sha256(call.request_id.encode()).digest()).decode()


def _token_account(call: Call) -> str:
    """Whose tokens they are: callers who see every account have their own, which no inventory moves elsewhere."""
    return call.account or ""


def _digest(call: Call) -> str:
    """What must be the same where a client token is used again: the parameters as sent."""
    asked = {name: value for name, value in call.parameters.items() if name not in _NOT_OF_THE_TOKEN}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _error(code: str, message: str) -> Error:
    return {"Code": code, "Message": message}
