"""A call of the API, as operations get it, and what they may use.

Rule: an operation is a function of a Call and the Services, returns the answer's members as botocore names them, and
raises ApiFault. It reads no clock and makes no random number: both come with the call.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flowglass.control.store import Store
from flowglass.fields.contracts import Destinations


@enum.unique
class Role(enum.Enum):
    """What a key may do."""

    ADMIN = "admin"
    """every call"""
    READ_ONLY = "read-only"
    """calls that change nothing"""
    AGENT = "agent"
    """the agent's own calls, no other"""
    ENROL = "enrol"
    """one registration of an agent"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. `account`: the only account that the key sees, None for all; `agent`: of an agent's key."""

    key_id: str
    name: str
    role: Role
    account: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated request.

    `parameters`: members as botocore names them, checked for shape; `account`: the only account that the call sees,
    None for all; `home_account`: the one that the caller is in when it must be one; `region`: of the signature's
    scope; `request_id`: a random UUID, from which everything random of the call is derived; `now_ms`: since 1970.
    """

    action: str
    parameters: Mapping[str, Any]
    caller: Caller
    account: str | None
    home_account: str
    region: str
    request_id: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Services:
    """What operations use. `partition`: the second part of ARNs."""

    store: Store
    destinations: Destinations
    partition: str = "aws"


Operation = Callable[[Call, Services], dict[str, Any]]
