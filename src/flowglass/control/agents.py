"""What agents ask of the server: to be registered, to have their inventory kept, which flow logs are theirs, and to
report what they delivered.

Rule: the same signed requests as everything else, with JSON in place of AWS's forms. An agent speaks for itself only:
it gets the flow logs of resources that it reported, and its reports count for those alone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import Connection

from flowglass.control import keys as key_rules
from flowglass.control.arns import destination_of
from flowglass.control.call import Call, Role, Services
from flowglass.control.faults import (
    AuthFailure,
    InvalidAction,
    InvalidParameterValue,
    UnauthorizedOperation,
)
from flowglass.control.store import Store, agents, deliveries, flow_logs, resources
from flowglass.control.store import keys as key_store
from flowglass.fields.contracts import DestinationType
from flowglass.inventory import document_fault

MOST_RESOURCES: Final = 200_000
Word = Annotated[str, Field(min_length=1, max_length=256)]
Account = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Number = Annotated[str, Field(min_length=1, max_length=2048)]
"""What a number is of: a name, and of some a destination, whose own name may be long."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Register(_Body):
    """The first call of an agent, signed with a one-time token."""

    name: Word
    version: Word


class ResourceBody(_Body):
    """One thing of the inventory; see `inventory.Resource`."""

    kind: Word
    id: Word
    account: Account
    region: Word
    vpc: Word | None = None
    document: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        found = document_fault(self.kind, self.document)
        if found is not None:
            raise ValueError(found)
        return self


class Inventory(_Body):
    """What the agent's inventory has: all of it, or what changed since the digest `base`."""

    digest: Word
    base: Word | None = None
    put: Annotated[list[ResourceBody], Field(max_length=MOST_RESOURCES)] = []
    remove: Annotated[list[tuple[Word, Word]], Field(max_length=MOST_RESOURCES)] = []


class DeliveryBody(_Body):
    """How the last delivery of a flow log went. `objects`: delivered since the agent began to count."""

    flow_log_id: Word
    status: Literal["SUCCESS", "FAILED"]
    message: Annotated[str, Field(max_length=1024)] | None = None
    at_ms: Annotated[int, Field(ge=0, lt=1 << 62)]
    objects: Annotated[int, Field(ge=0, lt=1 << 62)] = 0


class Report(_Body):
    """What the agent did since it last reported, and its counters."""

    deliveries: Annotated[list[DeliveryBody], Field(max_length=100_000)] = []
    counters: Annotated[dict[Number, Annotated[int, Field(ge=0, lt=1 << 64)]], Field(max_length=10_000)] = {}


class FlowLogs(_Body):
    """Which state of the flow logs the agent has; None for none."""

    revision: Word | None = None


def register(call: Call, services: Services, body: Register) -> dict[str, Any]:
    """Make the agent and its key: `agent`, `key_id`, `secret`. The token is used up.

    Raises AuthFailure if it was, UnauthorizedOperation for any other kind of key: that would be used up, too.
    """
    if call.caller.role is not Role.ENROL:
        raise UnauthorizedOperation("An agent is registered with an enrolment token: flowglass keys token makes one.")
    seed = hashlib.sha256(call.request_id.encode()).hexdigest()
    agent = f"agent-{seed[:17]}"
    key = key_rules.new_key(
        Role.AGENT,
        name=body.name,
        account=call.caller.account,
        agent=agent,
        now_ms=call.now_ms,
        randomness=secrets.token_bytes(48),  # a secret never comes from the request id, which is told
    )

    def work(connection: Connection) -> None:
        if not key_store.use_once(connection, call.caller.key_id, call.now_ms):
            raise AuthFailure("The enrolment token was used already. Make another one: flowglass keys token.")
        agents.insert(
            connection,
            agents.AgentRow(
                id=agent,
                name=body.name,
                version=body.version,
                registered_ms=call.now_ms,
                seen_ms=call.now_ms,
                inventory_digest=None,
                report={},
            ),
        )
        key_store.insert(connection, key)

    services.store.write(work)
    return {"agent": agent, "key_id": key.id, "secret": key.secret}


def inventory(call: Call, services: Services, body: Inventory) -> dict[str, Any]:
    """Keep the agent's inventory. `accepted` is false where `base` is not what is kept: send all of it then.

    Raises UnauthorizedOperation for resources of an account that the agent's key is not bound to.
    """
    agent = _agent(call)
    foreign = sorted({item.account for item in body.put if call.account not in (None, item.account)})
    if foreign:
        raise UnauthorizedOperation(
            f"This agent's key is bound to account {call.account}; its inventory has resources of {', '.join(foreign)}."
        )
    rows = [
        resources.ResourceRow(
            kind=item.kind, id=item.id, account=item.account, region=item.region, vpc=item.vpc, document=item.document
        )
        for item in body.put
    ]

    def work(connection: Connection) -> bool:
        if body.base is None:
            resources.replace(connection, agent, rows, body.digest)
            return True
        return resources.change(connection, agent, rows, body.remove, body.base, body.digest)

    return {"accepted": services.store.write(work)}


def agent_flow_logs(call: Call, services: Services, body: FlowLogs) -> dict[str, Any]:
    """The flow logs of the agent's resources, with AWS's attributes, oldest first, and the `revision` that they are.

    Without `flow_logs` where the agent has that revision already.
    """
    agent = _agent(call)

    def work(connection: Connection) -> tuple[str, list[flow_logs.FlowLogRow] | None]:
        known = agents.get(connection, agent)
        now = f"{flow_logs.revision(connection)}.{known.inventory_digest if known else None}"
        return now, None if now == body.revision else flow_logs.of_agent(connection, agent)

    revision, rows = services.store.read(work)
    if rows is None:
        return {"revision": revision}
    return {"revision": revision, "flow_logs": [_flow_log(row) for row in rows if call.account in (None, row.account)]}


def report(call: Call, services: Services, body: Report) -> dict[str, Any]:
    """Take how deliveries went; those of flow logs that are not the agent's are passed over."""
    agent = _agent(call)

    def work(connection: Connection) -> None:
        agents.seen(connection, agent, call.now_ms, {"counters": body.counters})
        if not body.deliveries:
            return
        told = {item.flow_log_id: item for item in body.deliveries}
        rows = [
            deliveries.DeliveryRow(
                flow_log_id=row.id,
                agent=agent,
                status=told[row.id].status,
                message=told[row.id].message,
                at_ms=told[row.id].at_ms,
                objects=told[row.id].objects,
            )
            for row in flow_logs.of_agent(connection, agent)
            if row.id in told
        ]
        deliveries.report(connection, rows)

    services.store.write(work)
    return {}


def known_places(store: Store) -> list[tuple[str, str]]:
    """Accounts and Regions that agents' inventories have, in order."""
    return store.read(resources.accounts_and_regions)


_Operation = Callable[[Call, Services, Any], dict[str, Any]]
AGENT_OPERATIONS: Final[Mapping[str, tuple[type[_Body], _Operation]]] = {
    "register": (Register, register),
    "inventory": (Inventory, inventory),
    "flow-logs": (FlowLogs, agent_flow_logs),
    "report": (Report, report),
}
"""What stands behind `/agent/v1/<name>`: the shape of the body, and the function."""


def run(name: str, call: Call, services: Services, content: bytes) -> dict[str, Any]:
    """Answer one call of an agent. Raises InvalidAction, InvalidParameterValue with every fault, or the operation's."""
    if name not in AGENT_OPERATIONS:
        raise InvalidAction(f"The action {name[:100]} is not valid for this web service.")
    if b"\\u0000" in content or b"\0" in content:
        raise InvalidParameterValue(f"The body of {name} is wrong: it has a NUL character, which no text may have")
    shape, operation = AGENT_OPERATIONS[name]
    try:
        body = shape.model_validate_json(content or b"{}")
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()[:20])
        raise InvalidParameterValue(f"The body of {name} is wrong: {faults}") from None
    return operation(call, services, body)


def _agent(call: Call) -> str:
    if call.caller.agent is None:
        raise UnauthorizedOperation("Only an agent's key may call this.")
    return call.caller.agent


def _flow_log(row: flow_logs.FlowLogRow) -> dict[str, Any]:
    """A flow log as agents read it; see `app.agent.flow_logs`."""
    kind = DestinationType(row.log_destination_type)
    to = destination_of(kind, row.log_destination, row.log_group_name, row.account, row.region)
    return {
        "id": row.id,
        "account": row.account,
        "region": row.region,
        "resource_type": row.resource_type,
        "resource_id": row.resource_id,
        "traffic_type": row.traffic_type,
        "destination": {
            "type": kind.value,
            "name": to.name,
            "folder": to.folder,
            "account": to.account,
            "region": to.region,
        },
        "log_format": row.log_format,
        "max_aggregation_interval": row.max_aggregation_interval,
        "file_format": row.file_format,
        "hive_compatible_partitions": row.hive_compatible_partitions,
        "per_hour_partition": row.per_hour_partition,
        "tag_fields": [[tagged, list(names)] for tagged, names in row.tag_fields],
    }
