"""What failures of AWS's services, and of others that speak their protocols, mean for delivery.

Rule: an error is one line: the destination, the service's reason, the remedy; without whatever of a URL may be secret.
Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the common errors of each service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from flowglass.fields.errors import (
    DeliveryError,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    Error,
    RequestRefused,
)

LONGEST_WAIT_S: Final = 3600.0
"""The most that a service's Retry-After is believed."""

_LONGEST_TEXT: Final = 300
_MARKUP: Final = re.compile(r"<[^>]*>")
_USER: Final = re.compile(r"(://)[^\s\"']*@")
_QUERY: Final = re.compile(r"(://[^\s\"'?]*\?)[^\s\"']*")
_STARS: Final = "***"


def status_of(error: Exception) -> int:
    """The HTTP status of an answer that botocore raises as an error, 0 where there was no answer."""
    metadata = getattr(error, "response", {}).get("ResponseMetadata", {})
    return int(metadata.get("HTTPStatusCode", 0))


def code_of(error: Exception) -> str:
    """The service's code in an answer that botocore raises as an error, "" where there was no answer."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def is_missing(error: Error) -> bool:
    """Whether a failure that `Service.calling` raised says that the destination is not there."""
    cause = error.__cause__
    # An answer to HEAD has no body, and so no code but its status.
    return isinstance(cause, Exception) and code_of(cause) in ("404", "NoSuchBucket", "ResourceNotFoundException")


def delivery_error(error: Exception, what: str) -> DeliveryError:
    """What a failed call means: one line with `what` (the destination), the service's reason, and the remedy.

    `error`: any of botocore's.
    """
    from botocore import exceptions as botocore
    from botocore.parsers import ResponseParserError

    unanswered = (botocore.HTTPClientError, botocore.ConnectionError, botocore.IncompleteReadError, ResponseParserError)
    if isinstance(error, botocore.ClientError):
        return _answered(error, what)
    if isinstance(error, botocore.SSLError):
        kind = _NOT_TRUSTED
    else:
        # What is left botocore raises before it sends anything: credentials, profile or region are no good.
        kind = _FAILING if isinstance(error, unanswered) else _NOT_SET_UP
    return kind.error(f"{what}: {one_line(str(error))}; {kind.remedy}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a failure means for delivery, and what people can do. In `remedy`, {} stands for the operation."""

    error: type[DeliveryError]
    remedy: str


_NOT_SET_UP: Final = _Kind(
    DestinationRefused,
    "give this process credentials, and a region, by the environment, a profile or the machine's role",
)
_NOT_TRUSTED: Final = _Kind(
    DestinationUnreachable, "check its certificate; AWS_CA_BUNDLE names the authorities to trust"
)
_UNKNOWN_KEY: Final = _Kind(DestinationRefused, "check the access key of the credentials in use")
_WRONG_SECRET: Final = _Kind(DestinationRefused, "check the secret key of the credentials in use")
_EXPIRED: Final = _Kind(DestinationRefused, "renew the credentials in use")
_SKEWED: Final = _Kind(DestinationRefused, "set this machine's clock right")
_DENIED: Final = _Kind(DestinationRefused, "allow {} there to the credentials in use")
_MISSING: Final = _Kind(DestinationRefused, "make it, or correct its name, region or endpoint")
_NO_ACL: Final = _Kind(RequestRefused, 'set acl = "" in the section of the bucket')
_UNABLE: Final = _Kind(
    RequestRefused, "use a service that knows what is asked of it: create-only {}, its ACL and its encryption"
)
_REFUSED: Final = _Kind(RequestRefused, "correct what the service names")
_BUSY: Final = _Kind(DestinationThrottled, "it is tried again later; raise the quota if this lasts")
_FAILING: Final = _Kind(DestinationUnreachable, "check the endpoint and the network; it is tried again")

_KINDS: Final[Mapping[str, _Kind]] = {
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"), _UNKNOWN_KEY),
    **dict.fromkeys(("SignatureDoesNotMatch", "InvalidSignatureException"), _WRONG_SECRET),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"), _EXPIRED),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), _SKEWED),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "NotAuthorized"), _DENIED),
    **dict.fromkeys(("NoSuchBucket", "ResourceNotFoundException", "PermanentRedirect"), _MISSING),
    "AccessControlListNotSupported": _NO_ACL,
    "NotImplemented": _UNABLE,
    **dict.fromkeys(
        (
            *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
            *(
                "RequestThrottledException",
                "RequestLimitExceeded",
                "TooManyRequestsException",
                "BandwidthLimitExceeded",
            ),
            *("LimitExceededException", "ProvisionedThroughputExceededException"),
            "ServiceUnavailableException",  # Firehose's, for a stream's limits too
            *("ConditionalRequestConflict", "OperationAborted", "OperationAbortedException"),  # others write there
        ),
        _BUSY,
    ),
    # The request did not arrive as it was sent.
    **dict.fromkeys(("RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"), _FAILING),
}
"""By the code of the answer; where it is not here, the status says."""


def _answered(error: Any, what: str) -> DeliveryError:
    """What an answer of the service means. `error`: a ClientError."""
    told = error.response.get("Error", {})
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    code, status = code_of(error), status_of(error)
    wait_s = _retry_after_s(headers)
    kind = _KINDS.get(code) or _kind_of_status(status, asked_to_wait=wait_s is not None)
    reason = ": ".join(part for part in (code, one_line(str(told.get("Message", "")))) if part)
    remedy = kind.remedy.replace("{}", error.operation_name)
    return kind.error(f"{what}: {reason}; {remedy}", retry_after_s=wait_s)


def _kind_of_status(status: int, *, asked_to_wait: bool) -> _Kind:
    if status == 429 or (status == 503 and asked_to_wait):
        return _BUSY
    if status in (401, 403):
        return _DENIED
    if status == 404:
        return _MISSING
    if status == 501:
        return _UNABLE
    return _REFUSED if 300 <= status < 500 else _FAILING


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait (RFC 9110 section 10.2.3); a time is taken by the service's own clock."""
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        return min(float(asked), LONGEST_WAIT_S)
    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return min(max(wait.total_seconds(), 0.0), LONGEST_WAIT_S)


def one_line(text: str) -> str:
    """The text without markup (proxies answer with pages), secrets of URLs and line ends, cut where it is long."""
    line = hidden(" ".join(_MARKUP.sub(" ", text).split()))
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def hidden(text: str) -> str:
    """The text with stars for user, password and query of every URL in it; rather too much is hidden."""
    return _QUERY.sub(rf"\1{_STARS}", _USER.sub(rf"\1{_STARS}@", text))
