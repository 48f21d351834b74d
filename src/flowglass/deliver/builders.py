"""Which builder makes the records of a flow log into what its destination takes.

Rule: one line a destination type.
"""

from __future__ import annotations

from flowglass.deliver.builder import ObjectBuilder
from flowglass.deliver.events import EventBuilder
from flowglass.deliver.local import LocalStore
from flowglass.deliver.local.names import key_fault
from flowglass.fields.contracts import DestinationType, FlowLog
from flowglass.fields.errors import DestinationUnwritable


def builder_for(flow_log: FlowLog, store: LocalStore) -> ObjectBuilder | EventBuilder:
    """The builder for the flow log's destination in the local store; `flow_log.prefix` is its folder in a bucket.

    Raises DestinationUnwritable if the bucket does not exist, or the folder cannot be one.
    """
    if flow_log.destination is None or flow_log.destination.type is not DestinationType.S3:
        return EventBuilder(flow_log, store)
    wrong = key_fault(flow_log.prefix.strip("/"))
    if wrong:
        raise DestinationUnwritable(
            f"{flow_log.id}: the folder {flow_log.prefix!r}: {wrong}; make the flow log again elsewhere"
        )
    return ObjectBuilder(flow_log, store.sink(flow_log.destination.name))
