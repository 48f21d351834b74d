"""The metrics of a server, for Prometheus: what it knows itself, and what its agents reported.

Rule: a scrape reads the state and changes nothing; a state that is away is a metric, not an error. They are never on
the API's address: whoever reaches this one may read them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from flowglass import __version__
from flowglass.app import metric_table as table
from flowglass.app.metric_table import Kind, Metric
from flowglass.control import ACTIONS, Overview, StoreUnavailable

PATH: Final = "/metrics"
_OK: Final = "ok"
_OTHER: Final = "other"
Values = Iterable[tuple[tuple[str, ...], float]]
"""Values of a metric by those of its labels."""


class Requests:
    """Counts the requests of the API. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, ...]] = Counter()

    def count(self, record: Mapping[str, Any]) -> None:
        """Count one request by its record of the audit log. What any client may choose becomes no label."""
        service = record["eventSource"].partition(".")[0]
        action = record["eventName"] if record["eventName"] in ACTIONS else _OTHER
        outcome = record.get("errorCode", _OK).removeprefix("Client.").removeprefix("Server.")
        with self._lock:
            self._counts[service, action, outcome] += 1

    def values(self) -> Values:
        """What was counted."""
        with self._lock:
            return list(self._counts.items())


class Metrics(Collector):
    """Everything in `metric_table`. `look`: reads the state, and raises StoreUnavailable."""

    def __init__(self, look: Callable[[], Overview], requests: Requests) -> None:
        self._look = look
        self._requests = requests

    def describe(self) -> Iterable[Any]:
        """Nothing: the names are told at each scrape, since telling them here would read the state."""
        return ()

    def collect(self) -> Iterator[Any]:
        """Every metric with its values of this moment."""
        yield _family(table.BUILD, [((__version__,), 1)])
        yield _family(table.REQUESTS, self._requests.values())
        try:
            seen = self._look()
        except StoreUnavailable:
            yield _family(table.STATE_UP, [((), 0)])
            return
        yield _family(table.STATE_UP, [((), 1)])
        yield _family(table.FLOW_LOGS, (((kind,), count) for kind, count in sorted(seen.flow_logs.items())))
        yield from _agents(seen)
        yield from _deliveries(seen)


def _agents(seen: Overview) -> Iterator[Any]:
    yield _family(table.AGENT, (((one.id, one.name, one.version), 1) for one in seen.agents))
    yield _family(table.SEEN, (((one.id,), one.seen_ms / 1000) for one in seen.agents))
    values: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    for one in seen.agents:
        for text, number in sorted(one.counters.items()):
            name, at, destination = text.partition(table.AT)
            values.setdefault(name, []).append(((one.id, destination) if at else (one.id,), number))
    for name, metric in table.REPORTED.items():
        # A number of an agent of another version may be about something else: what does not fit is left out.
        fitting = [value for value in values.get(name, []) if len(value[0]) == len(metric.labels)]
        if fitting:
            yield _family(metric, fitting)


def _deliveries(seen: Overview) -> Iterator[Any]:
    rows = [((one.agent, one.flow_log_id), one) for one in seen.deliveries]
    yield _family(table.DELIVERED, ((labels, one.objects) for labels, one in rows))
    yield _family(table.FAILED, ((labels, int(one.failed)) for labels, one in rows))
    yield _family(table.LAST, ((labels, one.at_ms / 1000) for labels, one in rows))


def _family(metric: Metric, values: Values) -> Any:
    made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = made(metric.name, metric.doc, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


class MetricsPage:
    """The metrics over ASGI, at PATH."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(metrics)
        ProcessCollector(registry=self._registry)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        status, kind, text = 404, "text/plain", f"the metrics are at {PATH}\n".encode()
        if scope["method"] in ("GET", "HEAD") and scope.get("path") == PATH:
            accepted = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
            encode, kind = choose_encoder(accepted)
            status, text = 200, await asyncio.to_thread(encode, self._registry)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})
