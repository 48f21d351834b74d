"""CloudWatch Logs as destination: a log stream an interface, an event a record.

Rule: a batch is within every limit of PutLogEvents before it is sent: AWS fails the whole call otherwise, and services
that stand in for it check none. Groups and streams are made when the service says that they are not there, so nothing
is remembered of them.
Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from flowglass.deliver.aws import Service, ServiceSettings
from flowglass.deliver.ordering import ByInterface, encoded, ordered, sizes_of, spans
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks.model import EventBatch, Sent
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import DestinationUnreachable
from flowglass.format import TextFormat

MAX_EVENTS: Final = 10_000
"""Of a batch."""

MAX_BYTES: Final = 1_048_576
"""Of a batch: its messages as UTF-8, and EVENT_BYTES for each."""

EVENT_BYTES: Final = 26

SPAN_S: Final = 24 * 3600
"""From a batch's first event to its last; a batch stays below it."""

MAX_AGE_MS: Final = 14 * 86_400_000
MAX_AHEAD_MS: Final = 2 * 3_600_000
"""How much older, or newer, than now an event may be."""


class CloudWatchSink:
    """Sends the records of a flow log to the log group `group`. Threads may share it.

    `client`: a botocore client of `logs` to use in place of one of its own.
    """

    def __init__(self, group: str, settings: ServiceSettings, flow_log: FlowLog, client: Any = None) -> None:
        self._group = group
        self._what = f"log group {group} at {settings.endpoint}"
        self._log_format = flow_log.log_format
        self._arrangement = ByInterface(flow_log.traffic_type)
        region = flow_log.destination.region if flow_log.destination else ""
        self._logs = Service("logs", settings, region=region, made=client)

    def cut(self, rows: Iterable[Rows]) -> Iterator[EventBatch]:
        """The batches of some records: part by part (ordering.py), within it stream by stream in order of `start`.

        Raises LogFormatError if a column is missing.
        """
        for stream, _, times_s, lines in ordered(rows, TextFormat(self._log_format), self._arrangement):
            sizes = sizes_of(lines) + EVENT_BYTES
            for span in spans(sizes, times_s, events=MAX_EVENTS, size_bytes=MAX_BYTES, span_s=SPAN_S):
                yield EventBatch(stream, (times_s[span] * 1000).tolist(), encoded(lines[span]))

    def send(self, batch: EventBatch, *, now_ms: int) -> Sent:
        """Send a batch; what is too old, too new or too large is rejected.

        Raises OptionError without botocore, DestinationRefused, DestinationThrottled and DestinationUnreachable.
        """
        first = bisect_left(batch.times_ms, now_ms - MAX_AGE_MS)
        last = bisect_right(batch.times_ms, now_ms + MAX_AHEAD_MS)
        timely = zip(batch.times_ms[first:last], batch.messages[first:last], strict=True)
        events = [
            {"timestamp": time_ms, "message": message.decode()}
            for time_ms, message in timely
            if len(message) + EVENT_BYTES <= MAX_BYTES
        ]
        rejected = {
            "older than 14 days": first,
            "more than 2 hours ahead of now": len(batch.times_ms) - last,
            f"larger than {MAX_BYTES - EVENT_BYTES} bytes": last - first - len(events),
            "outside the time that the group keeps": self._put(batch.stream, events) if events else 0,
        }
        reason = ", ".join(f"{count} events {cause}" for cause, count in rejected.items() if count)
        return Sent(rejected=sum(rejected.values()), reason=f"{self._what}: {reason}" if reason else "")

    def _put(self, stream: str, events: list[dict[str, Any]]) -> int:
        """How many events the service refuses for their time, having taken the others."""
        with self._logs.calling(self._what) as logs:
            call = {"logGroupName": self._group, "logStreamName": stream, "logEvents": events}
            try:
                answer = logs.put_log_events(**call)
            except logs.exceptions.ResourceNotFoundException:
                self._make(logs, stream)
                answer = logs.put_log_events(**call)
        # A page that some other server gives for every address reads as an answer without content.
        if not (answer.get("nextSequenceToken") or answer["ResponseMetadata"].get("RequestId")):
            raise DestinationUnreachable(f"{self._what}: the answer is not one of CloudWatch Logs; check the endpoint")
        return _refused(answer.get("rejectedLogEventsInfo", {}), len(events))

    def _make(self, logs: Any, stream: str) -> None:
        """Make the stream, and the group if need be: who may not make groups can have it made by others."""
        names = {"logGroupName": self._group, "logStreamName": stream}
        with suppress(logs.exceptions.ResourceAlreadyExistsException):  # another thread or agent was faster
            try:
                logs.create_log_stream(**names)
            except logs.exceptions.ResourceNotFoundException:
                with suppress(logs.exceptions.ResourceAlreadyExistsException):
                    logs.create_log_group(logGroupName=self._group)
                logs.create_log_stream(**names)


def _refused(told: Mapping[str, int], count: int) -> int:
    """How many of `count` events a RejectedLogEventsInfo names: those before two ends, and those from a start on."""
    first = max(told.get("tooOldLogEventEndIndex", 0), told.get("expiredLogEventEndIndex", 0))
    return count - len(range(first, told.get("tooNewLogEventStartIndex", count)))
