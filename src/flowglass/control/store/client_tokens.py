"""Client tokens in the state: what a call with a token answered, so that it is answered so again.

Rule: stored in the transaction of what the call made.
Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from flowglass.control.store import rows
from flowglass.control.store.tables import CLIENT_TOKENS


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A used client token. `digest`: of the call's parameters; `answer`: its members as botocore names them."""

    account: str
    region: str
    token: str
    action: str
    digest: str
    answer: dict[str, Any]
    created_ms: int


_NAMES: Final = tuple(field.name for field in dataclasses.fields(TokenRow))
_C: Final = CLIENT_TOKENS.c
_GET: Final = select(*(_C[name] for name in _NAMES)).where(
    _C.account == bindparam("account"), _C.region == bindparam("region"), _C.token == bindparam("token")
)
_INSERT: Final = insert(CLIENT_TOKENS)
_EXPIRE: Final = delete(CLIENT_TOKENS).where(_C.created_ms < bindparam("before_ms"))


def get(connection: Connection, account: str, region: str, token: str) -> TokenRow | None:
    """What a token was used for, None if it was not. Tokens differ by case."""
    row = connection.execute(_GET, {"account": account, "region": region, "token": token}).first()
    return None if row is None else TokenRow(*row)


def put(connection: Connection, row: TokenRow) -> None:
    """Keep a token. Raises Conflict if it is there."""
    connection.execute(_INSERT, rows.values(row, _NAMES))


def expire(connection: Connection, before_ms: int) -> None:
    """Forget the tokens made before a time."""
    connection.execute(_EXPIRE, {"before_ms": before_ms})
