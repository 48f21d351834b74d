"""What a value of the configuration must be: one small function a rule.

Rule: a function gets a value of the right type and returns "" if it is right, else what it must be, in words.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from flowglass.fields.buckets import bucket_fault
from flowglass.fields.vocabulary import AWS

Check = Callable[[Any], str]

STATES: Final = ("sqlite", "postgresql", "postgres", "postgresql+psycopg")
"""Schemes of the state's URL."""
STARS: Final = "***"
"""What stands for a secret where values are shown."""
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KMS_KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
_QUERY_SECRET: Final = re.compile(r"([?&][^=&]*(?:password|secret|token|signature)[^=&]*=)[^&]*", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def anything(_value: Any) -> str:
    """No rule beside the type."""
    return ""


def number(least: int, most: int) -> Check:
    """A whole number from `least` to `most`."""
    return lambda value: "" if least <= value <= most else f"must be {least} to {most}"


def one_of(*choices: str) -> Check:
    """One of some words."""
    return lambda value: "" if value in choices else f"must be one of {', '.join(choices)}"


def optional(check: Check) -> Check:
    """Empty, or what the other rule says."""
    return lambda value: check(value) if value else ""


def plain(value: str) -> str:
    """Text on one line; every value that is text is held against it."""
    return "has a control character; write it on one line" if _CONTROL.search(value) else ""


def account(value: str) -> str:
    """An account as AWS writes it."""
    return "" if _ACCOUNT.fullmatch(value) else "must be 12 digits, in quotes"


def region(value: str) -> str:
    """The name of a Region."""
    return "" if _REGION.fullmatch(value) else "must be lower-case letters, digits and single hyphens, as eu-west-1"


def bucket(value: str) -> str:
    """A bucket's name."""
    wrong = bucket_fault(value)
    return "" if wrong is None else f"is no bucket's name: {wrong}"


def split_listen(value: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [IPV6]:PORT. Raises ValueError where it is neither."""
    host, colon, port = value.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(value)
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if not re.fullmatch(r"[A-Za-z0-9.-]+", host):
        raise ValueError(value)
    return host, int(port)


def listen(value: str) -> str:
    """An address to listen at; port 0 takes a free one."""
    try:
        split_listen(value)
    except ValueError:
        return "must be HOST:PORT, as 127.0.0.1:8780 or [::1]:8780"
    return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host of this name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def server_url(value: str) -> str:
    """A URL of a server of ours: without TLS only on this machine."""
    url = _split(value)
    if url is None or url.scheme not in ("http", "https") or url.path not in ("", "/") or url.query:
        return "must be a URL without a path, as https://flowglass.example:8780"
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        return "must begin with https:// for any other host than this one"
    return ""


def endpoint(value: str) -> str:
    """AWS's own service, or a URL of another one."""
    url = _split(value)
    right = value == AWS or (url is not None and url.scheme in ("http", "https") and not url.query)
    return "" if right else f"must be {AWS}, or a URL without user and query, as https://s3.example:9000"


def kms_key(value: str) -> str:
    """A KMS key by its full ARN, as AWS asks for it.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-cmk-policy.html
    """
    right = _KMS_KEY.fullmatch(value)
    return "" if right else "must be a key's full ARN, as arn:aws:kms:eu-west-1:123456789012:key/1234abcd-…"


def _split(value: str) -> SplitResult | None:
    """A URL with a host and a port that can be one, and without user or password, else None."""
    try:
        url = urlsplit(value)
        right = url.hostname and (url.port is None or url.port) and not re.search(r"[\s#@]", value)
        return url if right else None
    except ValueError:
        return None


def state(value: str) -> str:
    """The URL of a database; whether it answers is found when it is opened."""
    scheme, separator, rest = value.partition("://")
    known = scheme in STATES and separator and rest
    return "" if known else "must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


def without_password(value: str) -> str:
    """A URL with stars for its secrets, in front of the host or in the query; rather too much is hidden."""
    scheme, separator, rest = _QUERY_SECRET.sub(rf"\1{STARS}", value).partition("://")
    user, at, host = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}{separator}{name}{colon and ':' + STARS}{at}{host}"
