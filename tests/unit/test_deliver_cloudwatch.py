"""Records sent to CloudWatch Logs, answered by script: what services that run here never answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.support.events import GROUP, Record, event_log, rows_with
from tests.support.json_service import SOME_PAGE, Answer, JsonService, fault, json_service
from tests.support.servers import Key, client

from flowglass.deliver.aws import Service, ServiceSettings
from flowglass.deliver.sinks import CloudWatchSink, EventBatch, Sent
from flowglass.fields.contracts import TrafficType
from flowglass.fields.errors import (
    DeliveryError,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    LogFormatError,
    RecordsTooNew,
)

NOW_MS = 1_529_511_600_000
DAY_MS = 86_400_000
TAKEN = Answer({"nextSequenceToken": "1"})
MISSING = fault("ResourceNotFoundException")
EXISTS = fault("ResourceAlreadyExistsException")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonService]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ANYONE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    with json_service() as running:
        running.answers = [TAKEN]
        yield running


def sink_of(service: JsonService, traffic_type: TrafficType = TrafficType.ALL) -> CloudWatchSink:
    made = client("logs", service.url, Key("ANYONE", "anything"))  # quicker made than the service's own
    logs = Service("logs", ServiceSettings(endpoint=service.url), region=GROUP.region, made=made)
    return CloudWatchSink(GROUP.name, logs, event_log(GROUP, traffic_type))


def batch_of(*times_ms: int, message: bytes = b"a line") -> EventBatch:
    return EventBatch("eni-a-all", times_ms, [message] * len(times_ms))


def refusing(**info: int) -> Answer:
    """An answer that takes some events only."""
    return Answer({"nextSequenceToken": "1", "rejectedLogEventsInfo": info})


def send(service: JsonService, batch: EventBatch) -> Sent:
    return sink_of(service).send(batch)


def test_a_batch_is_one_call_with_the_lines_as_they_are(service: JsonService) -> None:
    records: list[Record] = [("eni-a", NOW_MS // 1000 - 5, 'é \\ "'), ("eni-a", NOW_MS // 1000 - 9, "b")]
    sink = sink_of(service, TrafficType.REJECT)
    (batch,) = sink.cut([rows_with(records)])
    assert sink.send(batch) == Sent()
    assert service.asked == [
        (
            "PutLogEvents",
            {
                "logGroupName": "/vpc/flow",
                "logStreamName": "eni-a-reject",
                "logEvents": [
                    {"timestamp": NOW_MS - 9000, "message": "b 1"},
                    {"timestamp": NOW_MS - 5000, "message": "é%20\\%20%22 0"},
                ],
            },
        )
    ]


def test_streams_and_groups_are_made_when_they_are_not_there(service: JsonService) -> None:
    there: set[str] = set()

    def answer(operation: str, asked: Mapping[str, Any]) -> Answer:
        group, stream = asked["logGroupName"], f"{asked['logGroupName']} {asked.get('logStreamName')}"
        match operation:
            case "CreateLogGroup":
                there.add(group)
                return Answer()
            case "CreateLogStream" if group in there:
                there.add(stream)
                return Answer()
        return TAKEN if stream in there else MISSING

    service.answers = answer
    sink = sink_of(service)
    for stream in ("eni-a-all", "eni-b-all", "eni-a-all"):
        assert sink.send(EventBatch(stream, [NOW_MS], [b"a"])) == Sent()
    made = ["CreateLogStream", "CreateLogGroup", "CreateLogStream"]
    assert [operation for operation, _ in service.asked] == [
        *("PutLogEvents", *made, "PutLogEvents"),
        *("PutLogEvents", "CreateLogStream", "PutLogEvents"),
        "PutLogEvents",
    ]
    there.clear()  # somebody removed everything
    assert sink.send(batch_of(NOW_MS)) == Sent()


@pytest.mark.parametrize("made", [[EXISTS], [MISSING, EXISTS, Answer()], [MISSING, EXISTS, EXISTS]])
def test_it_is_fine_that_another_one_makes_them_at_the_same_time(service: JsonService, made: list[Answer]) -> None:
    service.answers = [MISSING, *made, TAKEN]
    assert send(service, batch_of(NOW_MS)) == Sent()
    assert service.asked[-1][0] == "PutLogEvents"


def test_a_group_that_stays_away_is_told(service: JsonService) -> None:
    service.answers = [MISSING, Answer(), MISSING]
    with pytest.raises(DestinationRefused, match=r"log group /vpc/flow at .*ResourceNotFoundException"):
        send(service, batch_of(NOW_MS))


def test_whatever_its_age_an_event_is_sent_for_the_clock_here_may_be_wrong(service: JsonService) -> None:
    times = [NOW_MS - 400 * DAY_MS, NOW_MS, NOW_MS + 400 * DAY_MS]
    for time_ms in times:
        assert send(service, batch_of(time_ms)) == Sent()
    assert [event["timestamp"] for _, asked in service.asked for event in asked["logEvents"]] == times


def test_what_is_too_new_for_the_service_is_left_and_then_waits(service: JsonService) -> None:
    sink = sink_of(service)
    service.answers = [
        refusing(tooOldLogEventEndIndex=1, tooNewLogEventStartIndex=3),
        refusing(tooNewLogEventStartIndex=0),
    ]
    sent = sink.send(EventBatch("eni-a-all", [1, 2, 3, 4], [b"a", b"b", b"c", b"d"]))
    assert (sent.left, sent.rejected) == (EventBatch("eni-a-all", [4], [b"d"]), 1)
    assert sent.left is not None
    with pytest.raises(
        RecordsTooNew, match=r"/vpc/flow at http://.*: 1 events are more than 2 hours ahead of the serv"
    ):
        sink.send(sent.left)


def test_places_of_events_count_without_those_that_are_too_large(service: JsonService) -> None:
    service.answers = [refusing(tooNewLogEventStartIndex=1)]
    sent = send(service, EventBatch("eni-a-all", [1, 2, 3], [b"x" * 1_048_551, b"b", b"c"]))
    assert (sent.left, sent.rejected) == (EventBatch("eni-a-all", [3], [b"c"]), 1)


def test_nothing_is_asked_where_nothing_is_left(service: JsonService) -> None:
    assert send(service, batch_of(NOW_MS, message=b"x" * 1_048_551)).rejected == 1
    assert service.asked == []


def test_an_event_that_is_too_large_is_rejected_and_the_rest_is_sent(service: JsonService) -> None:
    limit = 1_048_576 - 26
    records: list[Record] = [("eni-a", NOW_MS // 1000, "x" * size) for size in (9, limit - 2, limit - 1, 9)]
    sink = sink_of(service)
    results = [sink.send(batch) for batch in sink.cut([rows_with(records)])]
    assert [result.rejected for result in results] == [0, 0, 1, 0]
    assert results[2].reason.endswith("1 events larger than 1048550 bytes")
    assert [len(event["message"]) for _, asked in service.asked for event in asked["logEvents"]] == [11, limit, 11]


@pytest.mark.parametrize(
    ("info", "rejected"),
    [
        ({"tooOldLogEventEndIndex": 2}, 2),
        ({"expiredLogEventEndIndex": 3}, 3),
        ({"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 3}, 3),
        ({"tooNewLogEventStartIndex": 10}, 0),
        ({"tooOldLogEventEndIndex": 10}, 10),
        ({"tooOldLogEventEndIndex": 99, "tooNewLogEventStartIndex": 0}, 10),
    ],
)
def test_events_that_the_service_rejects_are_counted(
    service: JsonService, info: Mapping[str, int], rejected: int
) -> None:
    service.answers = [refusing(**info)]
    sent = send(service, batch_of(*[NOW_MS] * 10))
    assert (sent.left, sent.rejected) == (None, rejected)
    assert sent.reason.endswith(f": {rejected} events older than 14 days, or than the group keeps" if rejected else "")


@pytest.mark.parametrize(
    ("answer", "error", "retry_after_s"),
    [
        (fault("ThrottlingException"), DestinationThrottled, None),
        (fault("ServiceUnavailableException", 503, Retry_After="7"), DestinationThrottled, 7.0),
        (fault("InternalFailure", 500), DestinationUnreachable, None),
        (fault("AccessDeniedException"), DestinationRefused, None),
        (fault("UnrecognizedClientException"), DestinationRefused, None),
        (Answer(TAKEN.body, cut=5), DestinationUnreachable, None),
        (SOME_PAGE, DestinationUnreachable, None),
    ],
)
def test_failures_are_told_apart_and_the_batch_can_be_sent_again(
    service: JsonService, answer: Answer, error: type[DeliveryError], retry_after_s: float | None
) -> None:
    sink = sink_of(service)
    service.answers = [answer, TAKEN]
    with pytest.raises(error, match="log group /vpc/flow at http") as raised:
        sink.send(batch_of(NOW_MS))
    assert raised.value.retry_after_s == retry_after_s
    assert len(service.asked) == 1
    assert sink.send(batch_of(NOW_MS)) == Sent()


def test_being_throttled_while_a_stream_is_made_is_that(service: JsonService) -> None:
    service.answers = [MISSING, fault("ThrottlingException")]
    with pytest.raises(DestinationThrottled):
        send(service, batch_of(NOW_MS))


def test_an_endpoint_where_nobody_listens_is_told() -> None:
    with json_service() as gone:
        url = gone.url
    logs = Service("logs", ServiceSettings(endpoint=url, region="eu-west-1"))
    sink = CloudWatchSink(GROUP.name, logs, event_log())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "ANYONE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        with pytest.raises(DestinationUnreachable, match="log group /vpc/flow"):
            sink.send(batch_of(NOW_MS))


@pytest.mark.parametrize("name", ["start", "interface-id", "resource-id", "packets"])
def test_a_column_that_is_missing_is_told(service: JsonService, name: str) -> None:
    rows = rows_with([("eni-a", NOW_MS // 1000, "a")])
    with pytest.raises(LogFormatError, match=name):
        list(sink_of(service).cut([rows._replace(batch=rows.batch.drop_columns([name]))]))
