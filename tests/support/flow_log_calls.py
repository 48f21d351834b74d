"""The flow-log actions as a client reaches them: botocore writes the request and reads the answer.

Rule: the real store, the real local destinations; of a server only HTTP and signatures are missing.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from tests.support.destinations import destinations

from flowglass.control import model, query, xml
from flowglass.control.call import Call, Caller, Role, Services
from flowglass.control.faults import ApiFault
from flowglass.control.operations import OPERATIONS
from flowglass.control.store import Store, agents, deliveries, resources
from flowglass.control.store.agents import AgentRow
from flowglass.control.store.deliveries import DeliveryRow
from flowglass.control.store.resources import ResourceRow
from flowglass.deliver.local.store import LocalStore

ACCOUNT: Final = "123456789012"
OTHER: Final = "210987654321"
REGION: Final = "eu-west-1"
AGENT: Final = "agent-1"
NOW_MS: Final = 1_780_000_000_000
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/flow-logs"

_RESOURCES: Final = (
    ("vpc", "vpc-a", ACCOUNT, REGION),
    ("vpc", "vpc-b", ACCOUNT, REGION),
    ("vpc", "vpc-other", OTHER, REGION),
    ("vpc", "vpc-far", ACCOUNT, "us-east-1"),
    ("subnet", "subnet-a", ACCOUNT, REGION),
    ("network-interface", "eni-a", ACCOUNT, REGION),
    ("regional-nat-gateway", "nat-a", ACCOUNT, REGION),
)
_SERIALIZER: Final = create_serializer("ec2", include_validation=False)
_PARSER: Final = create_parser("ec2")


@dataclass(slots=True)
class Api:
    """A server's inside. `account`: of the key that calls, None for all; `now_ms`: what time it is."""

    services: Services
    buckets: LocalStore
    account: str | None = None
    region: str = REGION
    now_ms: int = NOW_MS
    _count: Iterator[int] = field(default_factory=itertools.count)

    def ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        """The answer as botocore reads it, without its metadata. Raises the fault of a refused call."""
        operation = model.operation(action)
        assert operation is not None
        form = _SERIALIZER.serialize_to_request(parameters, operation)["body"]
        pairs = [(name, str(value)) for name, value in form.items() if name not in ("Action", "Version")]
        call = Call(
            action=action,
            parameters=query.parse(operation, pairs),
            caller=Caller(key_id="FGKEY1", name="ada", role=Role.ADMIN, account=self.account),
            account=self.account,
            home_account=self.account or ACCOUNT,
            region=self.region,
            request_id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(next(self._count)))),
            now_ms=self.now_ms,
        )
        body = xml.answer(operation, OPERATIONS[action](call, self.services), call.request_id)
        read: dict[str, Any] = _PARSER.parse({"status_code": 200, "headers": {}, "body": body}, operation.output_shape)
        return {name: value for name, value in read.items() if name != "ResponseMetadata"}

    def refusal(self, action: str, **parameters: Any) -> tuple[str, str]:
        """The code and the text of a call that must be refused."""
        try:
            answer = self.ask(action, **parameters)
        except ApiFault as fault:
            return fault.code, fault.message
        raise AssertionError(f"{action} was not refused: {answer}")

    def create(self, *resource_ids: str, **parameters: Any) -> dict[str, Any]:
        """CreateFlowLogs of VPCs to the bucket `logs`, as far as the parameters say nothing else."""
        return self.ask("CreateFlowLogs", **wanted(*resource_ids, **parameters))

    def refused(self, *resource_ids: str, **parameters: Any) -> tuple[str, str]:
        """The refusal of the same."""
        return self.refusal("CreateFlowLogs", **wanted(*resource_ids, **parameters))

    def described(self, **parameters: Any) -> list[dict[str, Any]]:
        """The flow logs of DescribeFlowLogs."""
        flow_logs: list[dict[str, Any]] = self.ask("DescribeFlowLogs", **parameters)["FlowLogs"]
        return flow_logs

    def deliver(
        self, flow_log: str, status: str, message: str | None = None, agent: str = AGENT, at_ms: int = 1
    ) -> None:
        """What an agent reports of its last delivery."""
        row = DeliveryRow(flow_log_id=flow_log, agent=agent, status=status, message=message, at_ms=at_ms, objects=1)
        self.services.store.write(lambda connection: deliveries.report(connection, [row]))


def wanted(*resource_ids: str, **parameters: Any) -> dict[str, Any]:
    """Parameters of CreateFlowLogs: a VPC to a bucket, changed by what is given; None takes one away."""
    whole = {
        "ResourceIds": list(resource_ids or ("vpc-a",)),
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::logs",
    } | parameters
    return {name: value for name, value in whole.items() if value is not None}


def to_log_group(name: str | None = "group", **parameters: Any) -> dict[str, Any]:
    """What changes where a log group is the destination."""
    place = {"LogDestinationType": None, "LogDestination": None, "LogGroupName": name}
    return {**place, "DeliverLogsPermissionArn": ROLE, **parameters}


def api(folder: Path) -> Api:
    """A server's inside in a folder: one agent with the resources above, a bucket `logs`."""
    store = Store.open(f"sqlite:///{folder / 'state.db'}")
    agent = AgentRow(
        id=AGENT, name=AGENT, version="1", registered_ms=NOW_MS, seen_ms=NOW_MS, inventory_digest=None, report={}
    )
    rows = [ResourceRow(kind, one, account, region, None, {}) for kind, one, account, region in _RESOURCES]
    store.write(lambda connection: agents.insert(connection, agent))
    store.write(lambda connection: resources.replace(connection, AGENT, rows, "digest"))
    buckets = LocalStore(folder / "data")
    buckets.create_bucket("logs", NOW_MS)
    return Api(Services(store, destinations(buckets)), buckets)
