"""What a failed delivery means: who has to wait for it, and what AWS calls it.

Rule: the class of the error decides, never its text.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from flowglass.deliver.spool.accounts import UNKNOWN_ERROR
from flowglass.fields.errors import (
    DeliveryError,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnwritable,
    Error,
    OptionError,
    RecordsTooNew,
    RequestRefused,
)

ACCESS_ERROR: Final = "Access error"
RATE_LIMITED: Final = "Rate limited"
"""The texts of DeliverLogsErrorMessage
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html); UNKNOWN_ERROR is the third."""


def aws_text(failure: Exception) -> str:
    """The text of DeliverLogsErrorMessage."""
    if isinstance(failure, DestinationRefused | DestinationUnwritable) and not isinstance(failure, RequestRefused):
        return ACCESS_ERROR
    return RATE_LIMITED if isinstance(failure, DestinationThrottled) else UNKNOWN_ERROR


def cause(failure: Exception, destination: Hashable, flow_log: Hashable, unit: Hashable = None) -> Hashable:
    """Which of them a failure belongs to, and so waits: what fails for one of them may work for the next. `unit`: None
    where the flow log's shares did not become one.
    """
    if not isinstance(failure, Error):
        # A fault of ours, or the unit was changed meanwhile (UnitChanged).
        return flow_log if unit is None else unit
    if isinstance(failure, RecordsTooNew):
        return unit  # perhaps for days: what comes meanwhile need not wait with it
    if isinstance(failure, DestinationRefused | DestinationUnwritable):
        return flow_log  # others may be allowed there what this one is not
    return destination if isinstance(failure, DeliveryError | OptionError) else flow_log
