"""Firehose as destination: a record of the stream is `{"message":"<a record's line>"}` and a line end.

Rule: a batch is within every limit of PutRecordBatch before it is sent, and what a call did not take is sent again
alone. The line end is ours: Firehose puts records into objects without anything between them, and readers of JSON want
one a line; who reads a record by itself skips it (RFC 8259 section 2).
Sources: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-firehose.html and
https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from flowglass.deliver.aws import Service
from flowglass.deliver.ordering import AsTheyCame, encoded, json_lines, ordered, sizes_of, spans
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks.model import EventBatch, Sent
from flowglass.fields.contracts import I64, FlowLog
from flowglass.fields.errors import DestinationThrottled, DestinationUnreachable
from flowglass.format import TextFormat

MAX_RECORDS: Final = 500
"""Of a call."""

MAX_BYTES: Final = 4_194_304
"""Of a call. AWS does not say how it counts, so it is the whole request here: records in base64, as they are sent."""

MAX_RECORD_BYTES: Final = 1_024_000
"""Of a record, before base64."""

_PART_BYTES: Final = 8_000_000
"""Of the lines that are made records at a time. There is nothing to put in order, so no need of larger parts."""

_CALL_BYTES: Final = 1024
"""Of a request without its records: the stream's name and what is around."""

_AROUND_BYTES: Final = len(b'{"Data": ""}, ')


class FirehoseSink:
    """Sends the records of a flow log to the delivery stream `stream`. Threads may share it.

    `firehose`: the service, which sinks may share.
    """

    def __init__(self, stream: str, firehose: Service, flow_log: FlowLog) -> None:
        self._stream = stream
        self._what = f"delivery stream {stream}"
        self._log_format = flow_log.log_format
        self._firehose = firehose

    def cut(self, rows: Iterable[Rows]) -> Iterator[EventBatch]:
        """The batches of some records, in the order in which these come.

        Raises LogFormatError if a column is missing.
        """
        text = TextFormat(self._log_format)
        for _, _, times_s, lines in ordered(rows, text, AsTheyCame(), max_bytes=_PART_BYTES):
            records = json_lines(lines)
            sizes = _sent_bytes(sizes_of(records))
            for span in spans(sizes, times_s, events=MAX_RECORDS, size_bytes=MAX_BYTES - _CALL_BYTES):
                yield EventBatch("", (), encoded(records[span]))

    def send(self, batch: EventBatch) -> Sent:
        """Send a batch; a record that is too large is rejected.

        Raises OptionError without botocore, DestinationRefused, DestinationThrottled (also where every record was over
        the stream's quota) and DestinationUnreachable.
        """
        records = [record for record in batch.messages if len(record) <= MAX_RECORD_BYTES]
        rejected = len(batch.messages) - len(records)
        left = self._put(records) if records else []
        return Sent(
            left=EventBatch("", (), left) if left else None,
            rejected=rejected,
            reason=f"{self._place}: {rejected} records larger than {MAX_RECORD_BYTES} bytes" if rejected else "",
        )

    @property
    def _place(self) -> str:
        return self._firehose.at(self._what)

    def _put(self, records: Sequence[bytes]) -> list[bytes]:
        """The records that the service did not take."""
        with self._firehose.calling(self._what) as firehose:
            answer = firehose.put_record_batch(
                DeliveryStreamName=self._stream, Records=[{"Data": record} for record in records]
            )
        results: list[Mapping[str, str]] = answer.get("RequestResponses", [])
        if len(results) != len(records):
            raise DestinationUnreachable(
                f"{self._place}: the answer tells of {len(results)} records, not {len(records)}; check the endpoint"
            )
        left = [record for record, result in zip(records, results, strict=True) if result.get("ErrorCode")]
        if {result.get("ErrorCode") for result in results} == {"ServiceUnavailableException"}:
            raise DestinationThrottled(
                f"{self._place}: none of {len(records)} records was taken; they are tried again later; "
                "raise the stream's quota if this lasts"
            )
        return left


def _sent_bytes(sizes: I64) -> I64:
    """What records of these sizes take of a request."""
    return (sizes + 2) // 3 * 4 + _AROUND_BYTES
