"""Which outlet each flow log's destination has: one line a type of destination, local or at a service.

Rule: a destination that cannot be opened fails when a unit is delivered, not before, so it holds up no other one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from flowglass.deliver.aws import Service, ServiceSettings
from flowglass.deliver.builder import ObjectBuilder
from flowglass.deliver.events import EventBuilder
from flowglass.deliver.local import LocalStore
from flowglass.deliver.local.names import key_fault
from flowglass.deliver.outlet import EventOutlet, ObjectOutlet, Outlet
from flowglass.deliver.places import place_of
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks import CloudWatchSink, EventSink, FirehoseSink, S3Sink, Sink
from flowglass.deliver.sinks.directory import PARTIAL
from flowglass.deliver.spool import Spool
from flowglass.fields.contracts import Destination, DestinationType, FlowLog
from flowglass.fields.errors import DestinationUnwritable


@dataclass(frozen=True, slots=True)
class Site:
    """What outlets are made with. `rules` say which real services there are; the rest is the store's."""

    spool: Spool
    store: LocalStore
    rules: DestinationRules
    building: threading.Semaphore


def _local_bucket(to: Destination, site: Site) -> Outlet:
    def sink(flow_log: FlowLog) -> Sink:
        wrong = key_fault(flow_log.prefix.strip("/"))
        if wrong:
            raise DestinationUnwritable(
                f"{flow_log.id}: the folder {flow_log.prefix!r}: {wrong}; make the flow log again elsewhere"
            )
        return site.store.sink(to.name)

    return _objects(to, site, sink, ObjectBuilder, at_once=True)


def _local_group(to: Destination, site: Site) -> Outlet:
    return _objects(to, site, lambda _: site.store.log_group(to.name), EventBuilder, at_once=True)


def _local_stream(to: Destination, site: Site) -> Outlet:
    return _objects(to, site, lambda _: site.store.delivery_stream(to.name), EventBuilder, at_once=True)


def _bucket(to: Destination, site: Site, _settings: ServiceSettings) -> Outlet:
    bucket = S3Sink(to.name, site.rules.buckets[to.name], site.store.root / PARTIAL)
    return _objects(to, site, lambda _: bucket, ObjectBuilder, at_once=False)


def _log_group(to: Destination, site: Site, settings: ServiceSettings) -> Outlet:
    logs = Service("logs", settings, region=to.region)  # one for all flow logs: a client takes half a megabyte

    def sink(flow_log: FlowLog) -> EventSink:
        return CloudWatchSink(to.name, logs, flow_log)

    return EventOutlet(name=place_of(to, site.rules), spool=site.spool, sink=sink, building=site.building)


def _delivery_stream(to: Destination, site: Site, settings: ServiceSettings) -> Outlet:
    firehose = Service("firehose", settings, region=to.region)

    def sink(flow_log: FlowLog) -> EventSink:
        return FirehoseSink(to.name, firehose, flow_log)

    return EventOutlet(name=place_of(to, site.rules), spool=site.spool, sink=sink, building=site.building)


LOCAL_SINKS: Final[Mapping[DestinationType, Callable[[Destination, Site], Outlet]]] = {
    DestinationType.S3: _local_bucket,
    DestinationType.CLOUD_WATCH_LOGS: _local_group,
    DestinationType.FIREHOSE: _local_stream,
}
"""What delivers into the local store."""

SERVICE_SINKS: Final[Mapping[DestinationType, Callable[[Destination, Site, ServiceSettings], Outlet]]] = {
    DestinationType.S3: _bucket,
    DestinationType.CLOUD_WATCH_LOGS: _log_group,
    DestinationType.FIREHOSE: _delivery_stream,
}
"""What delivers to a real service, where one is configured."""


class Outlets:
    """The outlets of one spool. `builders`: how many build objects at once, which bounds memory."""

    def __init__(
        self,
        spool: Spool,
        store: LocalStore,
        rules: DestinationRules,
        *,
        builders: int = 2,
    ) -> None:
        self._site = Site(spool, store, rules, threading.Semaphore(builders))
        self._made: dict[Destination, Outlet] = {}
        self._making = threading.Lock()

    def outlet(self, flow_log: FlowLog) -> Outlet:
        """The outlet of a flow log's destination, always the same one. Raises ValueError if it names none."""
        if flow_log.destination is None:
            raise ValueError(f"{flow_log.id} has no destination, so nothing of it belongs in the spool")
        to = replace(flow_log.destination, folder="")
        with self._making:
            if to not in self._made:
                settings = self._site.rules.settings(to)
                if settings is None:
                    self._made[to] = LOCAL_SINKS[to.type](to, self._site)
                else:
                    self._made[to] = SERVICE_SINKS[to.type](to, self._site, settings)
            return self._made[to]


def _objects(
    to: Destination,
    site: Site,
    sink: Callable[[FlowLog], Sink],
    build: type[ObjectBuilder | EventBuilder],
    *,
    at_once: bool,
) -> Outlet:
    return ObjectOutlet(
        name=place_of(to, site.rules),
        at_once=at_once,
        spool=site.spool,
        sink=sink,
        build=build,
        building=site.building,
    )
