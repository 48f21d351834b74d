"""How a destination is called: in manifests, in lists, and where somebody names it.

Rule: two flow logs have the same name of a destination if, and only if, they share what can fail there as a whole.
"""

from __future__ import annotations

from typing import Final

from flowglass.deliver.local.names import folder_name
from flowglass.deliver.local.store import FIREHOSE, LOGS, S3
from flowglass.deliver.manifest import BUCKET, local_place
from flowglass.deliver.rules import DestinationRules
from flowglass.fields.contracts import Destination, DestinationType

_SERVICES: Final = {DestinationType.CLOUD_WATCH_LOGS: "logs", DestinationType.FIREHOSE: "firehose"}


def place_of(to: Destination, rules: DestinationRules) -> str:
    """The name of a destination; `rules` say whether a real service has it."""
    if rules.settings(to) is None:
        match to.type:
            case DestinationType.S3:
                return local_place(S3, to.name)
            case DestinationType.CLOUD_WATCH_LOGS:
                return local_place(LOGS, folder_name(to.name))
            case DestinationType.FIREHOSE:
                return local_place(FIREHOSE, folder_name(to.name))
    if to.type is DestinationType.S3:
        return f"{BUCKET}{to.name}"
    return f"{_SERVICES[to.type]}:{to.region}:{to.account}:{to.name}"
