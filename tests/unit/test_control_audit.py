"""Records of the audit log have CloudTrail's shape, tell no secret, are bounded, and reach their file whole."""

from __future__ import annotations

import json
import stat
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from flowglass.control.agent_wire import AGENT_SERVICE
from flowglass.control.audit import AuditLog, event
from flowglass.control.call import Caller, Role

REQUEST: Final = "3fdb6f6c-4f0a-4b06-8d3b-0d5f1f2c7a11"
NOW_MS: Final = 1_795_000_000_999  # 2026-11-18 11:06:40.999 UTC
ANN: Final = Caller(key_id="FGAKABCDEFGHIJKLMNOP", name="ann", role=Role.ADMIN)


def _event(
    action: str = "CreateFlowLogs",
    *,
    service: str = "ec2",
    caller: Caller | None = ANN,
    key_id: str | None = ANN.key_id,
    parameters: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    fault: str | None = None,
    message: str | None = None,
    user_agent: str = "aws-cli/2",
    now_ms: int = NOW_MS,
) -> dict[str, Any]:
    return event(
        service=service,
        action=action,
        region="eu-west-1",
        caller=caller,
        key_id=key_id,
        account="123456789012",
        parameters=parameters,
        result=result,
        fault=fault,
        message=message,
        source="192.0.2.7",
        user_agent=user_agent,
        request_id=REQUEST,
        now_ms=now_ms,
    )


def test_a_call_that_was_answered() -> None:
    parameters = {
        "ResourceIds": ["vpc-1"],
        "TagSpecifications": [{"Tags": [{"Key": "Name", "Value": "x"}]}],
        "DryRun": False,
    }
    record = _event(parameters=parameters, result={"ClientToken": "t", "FlowLogIds": ["fl-1"], "Unsuccessful": []})
    event_id = record.pop("eventID")
    assert uuid.UUID(event_id) != uuid.UUID(REQUEST)
    assert record == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "FGAKABCDEFGHIJKLMNOP",
            "arn": "arn:aws:iam::123456789012:user/ann",
            "accountId": "123456789012",
            "accessKeyId": "FGAKABCDEFGHIJKLMNOP",
            "userName": "ann",
        },
        "eventTime": "2026-11-18T11:06:40Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "CreateFlowLogs",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2",
        "requestParameters": {
            "resourceIds": ["vpc-1"],
            "tagSpecifications": [{"tags": [{"key": "Name", "value": "x"}]}],
            "dryRun": False,
        },
        "responseElements": {"clientToken": "t", "flowLogIds": ["fl-1"], "unsuccessful": []},
        "requestID": REQUEST,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
    }


def test_what_only_reads_has_no_response_elements() -> None:
    record = _event("DescribeFlowLogs", parameters={}, result={"FlowLogs": []})
    assert (record["readOnly"], record["requestParameters"], record["responseElements"]) == (True, {}, None)


@pytest.mark.parametrize(
    ("service", "fault", "code"),
    [
        ("ec2", "InvalidVpcID.NotFound", "Client.InvalidVpcID.NotFound"),
        ("ec2", "ServiceUnavailable", "Server.ServiceUnavailable"),
        ("ec2", "InternalError", "Server.InternalError"),
        ("sts", "SignatureDoesNotMatch", "SignatureDoesNotMatch"),
    ],
)
def test_a_call_that_was_refused(service: str, fault: str, code: str) -> None:
    record = _event(service=service, fault=fault, message="why", result={"FlowLogIds": ["fl-1"]})
    assert (record["errorCode"], record["errorMessage"], record["responseElements"]) == (code, "why", None)


def test_who_was_not_authenticated_is_unknown_by_the_key_it_claims() -> None:
    assert _event(caller=None)["userIdentity"] == {"type": "Unknown", "accessKeyId": ANN.key_id}
    assert _event(caller=None, key_id=None)["userIdentity"] == {"type": "Unknown"}


def test_sources_are_named_as_aws_names_them() -> None:
    assert _event(service="sts")["eventSource"] == "sts.amazonaws.com"
    assert _event(service=AGENT_SERVICE)["eventSource"] == "agent.flowglass"


def test_no_secret_is_recorded_at_any_depth() -> None:
    hidden = {"Secret": "s3cr3t", "X_": [{"Token": "s3cr3t", "secret_access_key": "s3cr3t"}], "ClientToken": "told"}
    text = json.dumps(_event(parameters=hidden, result=hidden))
    assert "s3cr3t" not in text
    assert "told" in text


def test_texts_and_elements_are_bounded_and_say_so() -> None:
    large = {"ResourceIds": ["vpc-" + "x" * 1000] * 1000}
    record = _event(parameters=large, result=large, user_agent="a" * 5000, fault=None)
    omitted = record["requestParameters"]
    assert omitted["omitted"] is True
    assert omitted["reason"] == "requestParameters too large"
    assert omitted["originalSize"] > 1_000_000
    assert record["responseElements"]["reason"] == "responseElements too large"
    assert len(record["userAgent"]) == 1024
    assert record["userAgent"].endswith("…")
    assert len(_event(fault="InvalidParameter", message="m" * 5000)["errorMessage"]) == 1024
    assert len(json.dumps(_event("x" * 5000, parameters=large))) < 10_000


def test_every_value_can_be_written() -> None:
    result = {"When": datetime(2026, 11, 18, 12, 6, 40, tzinfo=UTC), "Odd": b"\xff", "Lone": "\ud800"}
    elements = json.loads(json.dumps(_event(result=result)))["responseElements"]
    assert elements == {"when": "2026-11-18T12:06:40Z", "odd": "b'\\xff'", "lone": "\ud800"}


# The file ------------------------------------------------------------------------------------------------------


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_a_record_in_the_file_of_its_day_for_the_owner_alone(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    records = [_event(f"Line\n{number}", now_ms=NOW_MS + number * 43_200_000) for number in range(3)]
    for record in records:
        log.write(record)
    log.close()
    log.write(records[0])
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    first, second = sorted((tmp_path / "audit").iterdir())
    assert (first.name, second.name) == ("2026-11-18.jsonl", "2026-11-19.jsonl")
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert (_lines(first), _lines(second)) == ([*records[:2], records[0]], records[2:])
    log.close()


def test_threads_and_processes_write_whole_lines(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path) for _ in range(2)]  # two open files, as two processes have
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: logs[number % 2].write(_event(f"A{number}", user_agent="u" * 900)), range(400)))
    found = _lines(tmp_path / "2026-11-18.jsonl")
    assert {record["eventName"] for record in found} == {f"A{number}" for number in range(400)}
    for log in logs:
        log.close()


def test_a_line_that_a_crash_cut_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-18.jsonl"
    path.write_bytes(b'{"eventVersion":"1.1')
    log = AuditLog(tmp_path)
    log.write(_event())
    log.write(_event())
    cut, *whole = path.read_bytes().splitlines()
    assert cut == b'{"eventVersion":"1.1'
    assert [json.loads(line) for line in whole] == [_event(), _event()]
    log.close()


def test_a_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.write(_event())
    (tmp_path / "2026-11-18.jsonl").unlink()
    log.write(_event())
    assert _lines(tmp_path / "2026-11-18.jsonl") == [_event()]
    log.close()


def test_what_cannot_be_written_is_told_and_tried_again_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-18.jsonl"
    path.symlink_to("/dev/full")  # a disk without space
    log = AuditLog(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        log.write(_event())
    path.unlink()
    log.write(_event())
    assert _lines(path) == [_event()]
    log.close()
