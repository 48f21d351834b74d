"""Rows for tests of the state, of which a test names what matters to it.

Rule: two rows made with different ids never conflict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection

from flowglass.control.store import Store
from flowglass.control.store.agents import AgentRow
from flowglass.control.store.client_tokens import TokenRow
from flowglass.control.store.flow_logs import FlowLogRow
from flowglass.control.store.keys import KeyRow
from flowglass.control.store.resources import ResourceRow

P = ParamSpec("P")
T = TypeVar("T")

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"


def flow_log(number: int, **other: Any) -> FlowLogRow:
    """A flow log `fl-…number` of the VPC `vpc-number`."""
    given: dict[str, Any] = {
        "id": f"fl-{number:017x}",
        "account": ACCOUNT,
        "region": REGION,
        "resource_id": f"vpc-{number:08x}",
        "resource_type": "VPC",
        "traffic_type": "ALL",
        "log_destination_type": "s3",
        "log_destination": "arn:aws:s3:::logs/folder/",
        "log_group_name": None,
        "deliver_logs_permission_arn": None,
        "deliver_cross_account_role": None,
        "log_format": "${version} ${srcaddr}",
        "max_aggregation_interval": 600,
        "file_format": "plain-text",
        "hive_compatible_partitions": False,
        "per_hour_partition": True,
        "tag_fields": (("instance", ("Name", "stage")), ("network-interface", ("Name",))),
        "destination_key": "s3:logs/folder",
        "created_ms": 1_600_000_000_000 + number,
    }
    return FlowLogRow(**given | other)


def token(name: str, **other: Any) -> TokenRow:
    """A client token of CreateFlowLogs."""
    given: dict[str, Any] = {
        "account": ACCOUNT,
        "region": REGION,
        "token": name,
        "action": "CreateFlowLogs",
        "digest": "d1",
        "answer": {"FlowLogIds": ["fl-1"], "Unsuccessful": []},
        "created_ms": 1_600_000_000_000,
    }
    return TokenRow(**given | other)


def key(name: str, **other: Any) -> KeyRow:
    """An administrator's key of all accounts."""
    given: dict[str, Any] = {
        "id": f"FGK{name}",
        "secret": f"secret-of-{name}",
        "name": name,
        "role": "admin",
        "account": None,
        "agent": None,
        "created_ms": 1_600_000_000_000,
    }
    return KeyRow(**given | other)


def agent(name: str, **other: Any) -> AgentRow:
    """An agent that has sent nothing yet."""
    given: dict[str, Any] = {
        "id": name,
        "name": f"host of {name}",
        "version": "0.2.0",
        "registered_ms": 1_600_000_000_000,
        "seen_ms": 1_600_000_000_000,
        "inventory_digest": None,
        "report": {},
    }
    return AgentRow(**given | other)


def resource(name: str, kind: str = "vpc", **other: Any) -> ResourceRow:
    """A resource of a kind, in a VPC."""
    given: dict[str, Any] = {
        "kind": kind,
        "id": name,
        "account": ACCOUNT,
        "region": REGION,
        "vpc": "vpc-00000001",
        "document": {"id": name},
    }
    return ResourceRow(**given | other)


def write(store: Store, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """One function of the state in a transaction of its own."""
    return store.write(lambda connection: function(connection, *args, **kwargs))


def read(store: Store, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """One function of the state in a look at it of its own."""
    return store.read(lambda connection: function(connection, *args, **kwargs))
