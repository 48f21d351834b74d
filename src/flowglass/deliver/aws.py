"""AWS's services and others that speak their protocols: clients, and what their failures mean.

Rule: credentials come from AWS's ordinary chain (environment, profile, instance) and are never read, kept or shown
here. A call is tried once: who delivers decides when to try again.
Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the common errors of each service.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from flowglass.fields.errors import (
    DeliveryError,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    Error,
    OptionError,
)

AWS: Final = "aws"
"""Endpoint that stands for AWS's own services."""

CONNECT_S: Final = 10.0
READ_S: Final = 60.0
"""How long to wait for a connection, and for each part of an answer."""

LONGEST_WAIT_S: Final = 3600.0
"""The most that a service's Retry-After is believed."""

_OF_EVENTS: Final = ("logs", "firehose")
_LONGEST_TEXT: Final = 300
_MARKUP: Final = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a service is reached. `endpoint`: AWS for AWS's own, else a URL; `profile`: of AWS's configuration files.

    "" as region or profile leaves it to AWS's ordinary chain.
    """

    endpoint: str
    region: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings(ServiceSettings):
    """How a bucket is reached and written. `kms_key`: ARN of the KMS key that encrypts its objects, "" for none;
    `bucket_key`: whether with an S3 Bucket Key; `acl`: of its objects, "" for none; `addressing`: of its URL, `auto`,
    `path` or `virtual`.
    """

    kms_key: str = ""
    bucket_key: bool = False
    acl: str = "bucket-owner-full-control"
    addressing: str = "auto"


def client(
    service: str, settings: ServiceSettings, *, region: str = "", connect_s: float = CONNECT_S, read_s: float = READ_S
) -> Any:
    """A client of botocore (what boto3's clients are), which threads may share. `region`: where the settings name none.

    Raises OptionError without botocore, and what botocore raises, for `delivery_error`.
    """
    try:
        import botocore.session
        from botocore.config import Config
    except ImportError:
        raise OptionError(f"delivery to {service} needs the extra `aws`: pip install 'flowglass[aws]'") from None
    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=connect_s,
        read_timeout=read_s,
        # Checksums that the caller gives are enough: servers older than the trailers of 2024 refuse those.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": settings.addressing} if isinstance(settings, BucketSettings) else None,
        tcp_keepalive=True,
        # Of log events it takes as long as all the rest; their limits are kept where batches are cut.
        parameter_validation=service not in _OF_EVENTS,
        user_agent_extra="flowglass",
    )
    session = botocore.session.Session(profile=settings.profile or None)
    session.register_component("data_loader", _loader())
    return session.create_client(
        service,
        region_name=settings.region or region or None,
        endpoint_url=None if settings.endpoint == AWS else settings.endpoint,
        config=config,
    )


@functools.cache
def _loader() -> Any:
    """What reads AWS's models of services, each once: a client then takes 15 ms in place of 75."""
    from botocore.loaders import create_loader

    return create_loader()


class Service:
    """A service as its settings say. Threads share it; it connects when it is first called.

    `region`, `connect_s`, `read_s`: as for `client`; `made`: a client to use in place of a new one.
    """

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        *,
        region: str = "",
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
        made: Any = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._region = region
        self._connect_s = connect_s
        self._read_s = read_s
        self._client = made

    @contextmanager
    def calling(self, what: str) -> Iterator[Any]:
        """The client, for calls about `what`: a text for people that names the destination.

        Failures of the calls are raised as the classes under DeliveryError. After a refusal the next call makes a new
        client, which reads the credentials anew: somebody may have mended them.
        """
        try:
            # Kept here, for another thread may be refused meanwhile.
            ready = self._client or client(
                self._service, self._settings, region=self._region, connect_s=self._connect_s, read_s=self._read_s
            )
            self._client = ready
            yield ready
        except _failures() as error:
            failure = delivery_error(error, what)
            if isinstance(failure, DestinationRefused):
                self._client = None
            raise failure from error


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
    return kind.error(f"{what}: {_one_line(str(error))}; {kind.remedy}")


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
_NO_ACL: Final = _Kind(DestinationRefused, 'set acl = "" in the section of the bucket')
_UNABLE: Final = _Kind(
    DestinationRefused, "use a service that knows what is asked of it: create-only {}, its ACL and its encryption"
)
_REFUSED: Final = _Kind(DestinationRefused, "correct what the service names")
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
    reason = ": ".join(part for part in (code, _one_line(str(told.get("Message", "")))) if part)
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


def _one_line(text: str) -> str:
    """The text without markup (proxies answer with pages) and line ends, cut where it is long."""
    line = " ".join(_MARKUP.sub(" ", text).split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def _failures() -> tuple[type[Exception], ...]:
    """What calls raise; nothing where botocore is not installed, for then nothing was called."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
    except ImportError:
        return ()
    return (BotoCoreError, ClientError, ResponseParserError)
