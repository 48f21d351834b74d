"""CloudWatch Logs as destination: a log stream an interface, an event a record.

Rule: a batch is within every limit of PutLogEvents before it is sent: AWS fails the whole call otherwise, and services
that stand in for it check none. How old an event may be is the service's to say, by its own clock: what is too old is
rejected for good, and what is too new waits. Groups and streams are made when the service says that they are not there,
so nothing is remembered of them.
Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from flowglass.deliver.aws import Service
from flowglass.deliver.ordering import ByInterface, encoded, ordered, sizes_of, spans
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks.model import EventBatch, Sent
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import DestinationUnreachable, RecordsTooNew
from flowglass.format import TextFormat

MAX_EVENTS: Final = 10_000
"""Of a batch."""

MAX_BYTES: Final = 1_048_576
"""Of a batch: its messages as UTF-8, and EVENT_BYTES for each."""

EVENT_BYTES: Final = 26

SPAN_S: Final = 24 * 3600
"""From a batch's first event to its last; a batch stays below it."""


class CloudWatchSink:
    """Sends the records of a flow log to the log group `group`. Threads may share it.

    `logs`: the service, which sinks may share.
    """

    def __init__(self, group: str, logs: Service, flow_log: FlowLog) -> None:
        self._group = group
        self._what = f"log group {group}"
        self._log_format = flow_log.log_format
        self._arrangement = ByInterface(flow_log.traffic_type)
        self._logs = logs

    def cut(self, rows: Iterable[Rows]) -> Iterator[EventBatch]:
        """The batches of some records: part by part (ordering.py), within it stream by stream in order of `start`.

        Raises LogFormatError if a column is missing.
        """
        for stream, _, times_s, lines in ordered(rows, TextFormat(self._log_format), self._arrangement):
            sizes = sizes_of(lines) + EVENT_BYTES
            for span in spans(sizes, times_s, events=MAX_EVENTS, size_bytes=MAX_BYTES, span_s=SPAN_S):
                yield EventBatch(stream, (times_s[span] * 1000).tolist(), encoded(lines[span]))

    def send(self, batch: EventBatch) -> Sent:
        """Send a batch; what is too old or too large is rejected, and what is too new is left.

        Raises OptionError without botocore, RecordsTooNew where all of it is, DestinationRefused, DestinationThrottled
        and DestinationUnreachable.
        """
        small = [place for place, message in enumerate(batch.messages) if len(message) + EVENT_BYTES <= MAX_BYTES]
        times_ms = [batch.times_ms[place] for place in small]
        messages = [batch.messages[place] for place in small]
        taken = self._put(batch.stream, times_ms, messages) if small else range(0)
        left = EventBatch(batch.stream, times_ms[taken.stop :], messages[taken.stop :])
        if small and taken.stop == 0:
            raise RecordsTooNew(
                f"{self._logs.at(self._what)}: {len(small)} events are more than 2 hours ahead of the service's clock; "
                "set this machine's clock right; they are tried again until they are given up"
            )
        rejected = {
            f"larger than {MAX_BYTES - EVENT_BYTES} bytes": len(batch.messages) - len(small),
            "older than 14 days, or than the group keeps": taken.start,
        }
        reason = ", ".join(f"{count} events {cause}" for cause, count in rejected.items() if count)
        return Sent(
            left=left if left.messages else None,
            rejected=sum(rejected.values()),
            reason=f"{self._logs.at(self._what)}: {reason}" if reason else "",
        )

    def _put(self, stream: str, times_ms: Sequence[int], messages: Sequence[bytes]) -> range:
        """Which of the events the service takes: those before are too old, those behind too new."""
        events = [
            {"timestamp": time_ms, "message": message.decode()}
            for time_ms, message in zip(times_ms, messages, strict=True)
        ]
        with self._logs.calling(self._what) as logs:
            call = {"logGroupName": self._group, "logStreamName": stream, "logEvents": events}
            try:
                answer = logs.put_log_events(**call)
            except logs.exceptions.ResourceNotFoundException:
                self._make(logs, stream)
                answer = logs.put_log_events(**call)
        # A page that some other server gives for every address reads as an answer without content.
        if not (answer.get("nextSequenceToken") or answer["ResponseMetadata"].get("RequestId")):
            raise DestinationUnreachable(
                f"{self._logs.at(self._what)}: the answer is not one of CloudWatch Logs; check the endpoint"
            )
        return _taken(answer.get("rejectedLogEventsInfo", {}), len(events))

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


def _taken(told: Mapping[str, int], count: int) -> range:
    """Which of `count` events were taken: a RejectedLogEventsInfo names those before two ends, and from a start on."""
    first = min(max(told.get("tooOldLogEventEndIndex", 0), told.get("expiredLogEventEndIndex", 0)), count)
    return range(first, min(max(told.get("tooNewLogEventStartIndex", count), first), count))
