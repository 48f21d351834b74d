"""What CreateFlowLogs answers where a destination cannot be used.

Rule: the texts are AWS's; more is added behind a colon.
Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-troubleshooting.html
"""

from __future__ import annotations

from typing import Final

from flowglass.fields.contracts import Destination, DestinationFault

_CODE: Final = "400"


def access_denied(name: str, why: str = "") -> DestinationFault:
    """A destination that may not be used."""
    return _fault(f"Access Denied for LogDestination: {name}. Please check LogDestination permission", why)


def missing(destination: Destination) -> DestinationFault:
    """A destination that is not there."""
    return _fault(f"LogDestination: {destination.name} does not exist.")


def undeliverable(destination: Destination, why: str = "") -> DestinationFault:
    """A destination to which nothing would get."""
    return _fault(f"LogDestination {destination.name} is undeliverable", why)


def no_bucket(destination: Destination) -> DestinationFault:
    """A destination that would have to be a bucket."""
    return _fault(f"LogDestination: {destination.name} is no bucket; name one")


def _fault(text: str, why: str = "") -> DestinationFault:
    return DestinationFault(_CODE, f"{text}: {why}" if why else text)
