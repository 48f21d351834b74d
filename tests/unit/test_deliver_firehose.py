"""Records sent to Firehose, answered by script: what services that run here never answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence

import pytest
from tests.support.events import STREAM, Record, event_log, rows_with
from tests.support.json_service import SOME_PAGE, Answer, JsonService, fault, json_service
from tests.support.servers import Key, client

from flowglass.deliver.aws import Service, ServiceSettings
from flowglass.deliver.sinks import EventBatch, FirehoseSink, Sent
from flowglass.fields.errors import DeliveryError, DestinationRefused, DestinationThrottled, DestinationUnreachable

T = 1_529_511_600
RECORDS: Sequence[Record] = [("eni-a", T, "a"), ("eni-b", T - 9, 'é \\ "'), ("eni-a", T + 9, "c"), ("eni-a", T, "d")]
OVER, BROKEN = "ServiceUnavailableException", "InternalFailure"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonService]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ANYONE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    with json_service() as running:
        yield running


def result(*codes: str) -> Answer:
    """An answer that tells of each record: "" for one that was taken."""
    told = [{"ErrorCode": code, "ErrorMessage": "as asked"} if code else {"RecordId": "1"} for code in codes]
    return Answer({"FailedPutCount": sum(map(bool, codes)), "RequestResponses": told})


def sink_of(service: JsonService) -> FirehoseSink:
    made = client("firehose", service.url, Key("ANYONE", "anything"))  # quicker made than the service's own
    firehose = Service("firehose", ServiceSettings(endpoint=service.url), region=STREAM.region, made=made)
    return FirehoseSink(STREAM.name, firehose, event_log(STREAM))


def batch_of(sink: FirehoseSink) -> EventBatch:
    (batch,) = sink.cut([rows_with(RECORDS)])
    return batch


def asked(service: JsonService) -> list[list[bytes]]:
    """The records of each call."""
    return [[base64.b64decode(record["Data"]) for record in call["Records"]] for _, call in service.asked]


def test_a_batch_is_one_call_with_a_json_line_a_record(service: JsonService) -> None:
    service.answers = [result("", "", "", "")]
    sink = sink_of(service)
    assert sink.send(batch_of(sink)) == Sent()
    ((operation, call),) = service.asked
    assert (operation, call["DeliveryStreamName"]) == ("PutRecordBatch", "flows")
    (records,) = asked(service)
    assert records[0] == b'{"message":"a 0"}\n'
    lines = b"".join(records).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"message": message} for message in ("a 0", "é%20\\%20%22 1", "c 2", "d 3")
    ]


def test_what_failed_is_sent_again_alone(service: JsonService) -> None:
    service.answers = [result("", OVER, "", BROKEN), result(BROKEN, ""), result("")]
    sink = sink_of(service)
    batch: EventBatch | None = batch_of(sink)
    while batch:
        sent = sink.send(batch)
        assert sent.rejected == 0
        batch = sent.left
    first, second, third = asked(service)
    assert second == [first[1], first[3]]
    assert third == [first[1]]


def test_all_over_the_quota_is_being_throttled(service: JsonService) -> None:
    service.answers = [result(OVER, OVER, OVER, OVER)]
    sink = sink_of(service)
    with pytest.raises(DestinationThrottled, match=r"delivery stream flows at http.*none of 4 records"):
        sink.send(batch_of(sink))


def test_all_failed_for_other_reasons_are_left(service: JsonService) -> None:
    service.answers = [result(OVER, BROKEN, OVER, OVER)]
    sink = sink_of(service)
    batch = batch_of(sink)
    assert sink.send(batch) == Sent(left=EventBatch("", (), list(batch.messages)))


def test_a_record_that_is_too_large_is_rejected_and_the_rest_is_sent(service: JsonService) -> None:
    around = len(b'{"message":" 0"}\n')
    records: list[Record] = [("eni-a", T, "x" * size) for size in (9, 1_024_000 - around, 1_024_001 - around)]
    service.answers = lambda _, call: result(*[""] * len(call["Records"]))
    sink = sink_of(service)
    (batch,) = sink.cut([rows_with(records)])
    sent = sink.send(batch)
    assert (sent.left, sent.rejected) == (None, 1)
    assert sent.reason.endswith(": 1 records larger than 1024000 bytes")
    assert [[len(record) for record in call] for call in asked(service)] == [[9 + around, 1_024_000]]
    assert sink.send(EventBatch("", (), batch.messages[2:])).rejected == 1
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error", "retry_after_s"),
    [
        (fault("ThrottlingException"), DestinationThrottled, None),
        (fault(OVER, 503, Retry_After="7"), DestinationThrottled, 7.0),
        (fault(BROKEN, 500), DestinationUnreachable, None),
        (fault("ResourceNotFoundException"), DestinationRefused, None),
        (fault("AccessDeniedException"), DestinationRefused, None),
        (Answer(result("", "", "", "").body, cut=5), DestinationUnreachable, None),
        (result("", "", ""), DestinationUnreachable, None),
        (SOME_PAGE, DestinationUnreachable, None),
    ],
)
def test_failures_are_told_apart_and_the_batch_can_be_sent_again(
    service: JsonService, answer: Answer, error: type[DeliveryError], retry_after_s: float | None
) -> None:
    service.answers = [answer, result("", "", "", "")]
    sink = sink_of(service)
    batch = batch_of(sink)
    with pytest.raises(error, match="delivery stream flows at http") as raised:
        sink.send(batch)
    assert raised.value.retry_after_s == retry_after_s
    assert len(service.asked) == 1
    assert sink.send(batch) == Sent()
    assert asked(service)[0] == asked(service)[1]
