"""AWS's services and others that speak their protocols: how they are reached, and clients of them.

Rule: credentials come from AWS's ordinary chain (environment, profile, instance) and are never read, kept or shown
here. A call is tried once: who delivers decides when to try again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from flowglass.deliver.aws_errors import delivery_error, hidden
from flowglass.fields.errors import DestinationRefused, OptionError
from flowglass.fields.vocabulary import AWS

CONNECT_S: Final = 10.0
READ_S: Final = 60.0
"""How long to wait for a connection, and for each part of an answer."""

_OF_EVENTS: Final = ("logs", "firehose")


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

    Raises OptionError without botocore or where the endpoint is no URL, and what botocore raises, for `delivery_error`.
    """
    try:
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
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
    try:
        made = session.create_client(
            service,
            region_name=settings.region or region or None,
            endpoint_url=None if settings.endpoint == AWS else settings.endpoint,
            config=config,
        )
        urlsplit(made.meta.endpoint_url).port  # noqa: B018, raises where it is none
    except BotoCoreError:
        raise
    except ValueError:  # nothing but the endpoint, which the text repeats with all that is secret in it
        own = f"AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_{service.upper()}, or endpoint_url of the profile"
        named = own if settings.endpoint == AWS else "endpoint in the configuration"
        raise OptionError(f"{named}: is no URL that can be used; write it as https://s3.example:9000") from None
    return made


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
        self._endpoint = "AWS" if settings.endpoint == AWS else settings.endpoint

    def at(self, what: str) -> str:
        """`what` with the endpoint, for people; that of AWS's own is known once there was a call."""
        return f"{what} at {hidden(self._endpoint)}"

    @contextmanager
    def calling(self, what: str) -> Iterator[Any]:
        """The client, for calls about `what`: a text for people that names the destination, without its endpoint.

        Failures of the calls are raised as the classes under DeliveryError. After a refusal the next call makes a new
        client, which reads the credentials anew: somebody may have mended them.
        """
        try:
            # Kept here, for another thread may be refused meanwhile.
            ready = self._client or client(
                self._service, self._settings, region=self._region, connect_s=self._connect_s, read_s=self._read_s
            )
            self._client = ready
            self._endpoint = ready.meta.endpoint_url
            yield ready
        except _failures() as error:
            failure = delivery_error(error, self.at(what))
            if isinstance(failure, DestinationRefused):
                self._client = None
            raise failure from error


def _failures() -> tuple[type[Exception], ...]:
    """What calls raise; nothing where botocore is not installed, for then nothing was called."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
    except ImportError:
        return ()
    return (BotoCoreError, ClientError, ResponseParserError)
