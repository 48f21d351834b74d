"""What a failed delivery means: who has to wait for it, and what AWS calls it.

Rule: the class of the error decides, never its text.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from flowglass.fields.errors import (
    DeliveryError,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnwritable,
    Error,
    OptionError,
)

ACCESS_ERROR: Final = "Access error"
RATE_LIMITED: Final = "Rate limited"
UNKNOWN_ERROR: Final = "Unknown error"
"""The texts of DeliverLogsErrorMessage
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html)."""


def aws_text(failure: Exception) -> str:
    """The text of DeliverLogsErrorMessage."""
    if isinstance(failure, DestinationRefused | DestinationUnwritable):
        return ACCESS_ERROR
    return RATE_LIMITED if isinstance(failure, DestinationThrottled) else UNKNOWN_ERROR


def cause(failure: Exception, destination: Hashable, flow_log: Hashable, unit: Hashable) -> Hashable:
    """Which of the three a failure belongs to, and so waits: what fails for one of them may work for the next."""
    if not isinstance(failure, Error) or type(failure) is DeliveryError:
        return unit  # a fault of ours, or the unit was given up meanwhile
    if isinstance(failure, DestinationRefused | DestinationUnwritable):
        return flow_log  # others may be allowed there what this one is not
    return destination if isinstance(failure, DeliveryError | OptionError) else flow_log
