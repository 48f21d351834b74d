"""Pages of a describe: `MaxResults` and `NextToken`.

Rule: a token says after which item the next page begins, so that nothing is listed twice or left out while others are
made and deleted. It is signed, and holds only for the action, account, Region and filters that it was given for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from flowglass.control.call import Call, Services
from flowglass.control.faults import InvalidNextToken, InvalidParameterCombination, InvalidParameterValue
from flowglass.control.operations.localkeys import PAGE_KEY, local_key

MAX_RESULTS: Final = 1000
"""The largest page. AWS documents no bounds for flow logs, and this one for most describes."""

_MAC_BYTES: Final = 32
_OF_THE_PAGE: Final = frozenset({"MaxResults", "NextToken", "DryRun"})
"""Parameters that may change from one page to the next."""

Item = TypeVar("Item")


def page(
    call: Call, services: Services, items: Sequence[Item], *, key: Callable[[Item], str], ids: str = ""
) -> tuple[list[Item], str | None]:
    """The page that the call asks for, and the token of the next one, None at the end.

    `items`: all that match, in the order of `key`, their place, which no two share; `ids`: the member with the ids
    that the caller asks for, which does not go with MaxResults. Raises as `page_size` and `page_start`.
    """
    size = page_size(call, ids)
    start = page_start(call, services)
    rest = [item for item in items if start is None or key(item) > start]
    if size is None or len(rest) <= size:
        return rest, None
    return rest[:size], page_token(call, services, key(rest[size - 1]))


def page_size(call: Call, ids: str = "") -> int | None:
    """How many items the call wants, 1 to 1000; None for all. `ids` as of `page`.

    Raises InvalidParameterValue where it is out of range, InvalidParameterCombination where it comes with ids, as EC2
    does for its older describes.
    """
    size: int | None = call.parameters.get("MaxResults")
    if size is None:
        return None
    if not 1 <= size <= MAX_RESULTS:
        raise InvalidParameterValue(
            f"Value ({size}) for parameter MaxResults is invalid. It must be 1 to {MAX_RESULTS}"
        )
    if ids and call.parameters.get(ids):
        raise InvalidParameterCombination(f"The parameter {ids} cannot be used with the parameter MaxResults")
    return size


def page_start(call: Call, services: Services) -> str | None:
    """The place after which the call's page begins, None at the beginning. Raises InvalidNextToken."""
    token: str | None = call.parameters.get("NextToken")
    if not token:
        return None
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    mac, place = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(call, services, place)):
        raise InvalidNextToken("The NextToken is not one that this request was answered with; begin without it.")
    return place.decode()


def page_token(call: Call, services: Services, place: str) -> str:
    """The token of the page that begins after this place."""
    raw = place.encode()
    return base64.urlsafe_b64encode(_mac(call, services, raw) + raw).decode()


def _mac(call: Call, services: Services, place: bytes) -> bytes:
    asked = {name: value for name, value in call.parameters.items() if name not in _OF_THE_PAGE}
    scope = json.dumps([call.action, call.account, call.region, asked], sort_keys=True, default=str)
    digest = hashlib.sha256(scope.encode()).digest()
    return hmac.new(local_key(services.store, PAGE_KEY), digest + place, hashlib.sha256).digest()
