"""Whatever AWS's model can be made to say, and whatever is done to it on the way: an answer or a refusal, nothing else.

A seed gives the same requests to the same state each time.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.model import Shape
from tests.support import state
from tests.support.besieged import started, unharmed
from tests.support.destinations import destinations
from tests.support.ec2_shapes import ACTIONS, known, read_by_botocore, sent_by_botocore
from tests.support.examples import examples
from tests.support.inventoried import ACCOUNT, NOW_MS, world
from tests.support.raw_http import FORM, Wire, encoded, form, plain, signed
from tests.support.servers import Running

from flowglass.control import Arrival, HttpRequest, Service, Services, model, sign
from flowglass.control.faults import ApiFault
from flowglass.control.operations.localkeys import ID_KEY, PAGE_KEY, local_key
from flowglass.control.service import Answer
from flowglass.control.store import keys
from flowglass.control.store.keys import KeyRow
from flowglass.deliver import LocalStore

REQUESTS: Final = 500
"""Requests a seed."""
ADMIN: Final = state.key("ADMIN")
READER: Final = state.key("READER", role="read-only", account=ACCOUNT)
CODES: Final = {(fault.code, fault.status) for fault in ApiFault.__subclasses__() if fault.status < 500}
HOST: Final = "127.0.0.1:8780"

# What members are made of: values that lead far into an operation, and values that should not.
MEANT: Final[dict[str, tuple[str, ...]]] = {
    "ResourceId": ("vpc-0000000a", "vpc-0000000b", "vpc-0000000c", "subnet-0000000a", "eni-0000000b", "nat-0000000b"),
    "VpcId": ("vpc-0000000a", "vpc-0000000b"),
    "ResourceType": ("VPC", "Subnet", "NetworkInterface", "RegionalNatGateway", "TransitGateway", "vpc-flow-log"),
    "TrafficType": ("ALL", "ACCEPT", "REJECT"),
    "LogDestinationType": ("s3", "cloud-watch-logs", "kinesis-data-firehose"),
    "LogDestination": (
        "arn:aws:s3:::logs",
        "arn:aws:s3:::logs/folder/",
        "arn:aws:s3:::logs/AWSLogs/",
        "arn:aws:logs:eu-west-1:123456789012:log-group:group",
        "arn:aws:firehose:eu-west-1:123456789012:deliverystream/stream",
    ),
    "LogGroupName": ("group",),
    "DeliverLogsPermissionArn": (f"arn:aws:iam::{ACCOUNT}:role/flow-logs",),
    "LogFormat": ("${version} ${srcaddr}", "${srcaddr} ${tag-instance:Name}", "${nothing}", "", "${", "all"),
    "FileFormat": ("parquet", "plain-text"),
    "Name": ("resource-id", "tag:Name", "tag-key", "vpc-id", "state", "traffic-type", "log-destination-type"),
    "Value": ("vpc-0000000a", "*", "?" * 50, "\\", "ACTIVE", "true"),
    "Key": ("Name", "aws:name", "a" * 128, "a" * 129),
    "FlowLogId": ("fl-" + "0" * 17, "fl-1"),
    "Attribute": ("enableDnsSupport", "enableDnsHostnames"),
    "ClientToken": ("token", "other", "a" * 64, "a" * 65),
    "IntegrationResultS3DestinationArn": ("arn:aws:s3:::logs", "arn:aws:s3:::logs/templates/"),
    "PartitionLoadFrequency": ("none", "daily", "weekly", "monthly", "hourly"),
    "NextToken": ("", "eyJ9", "a" * 200),
}
HOSTILE: Final = (
    "", " ", "a" * 300, "a" * 70_000, "\0", "\x1b[2J", "<!ENTITY x>", "]]>&lt;", "'; DROP TABLE keys; --", "../../etc",
    "${jndi:ldap://a}", "%s%n", "\u202e", "\ud7ff", "\ufffe", "\U0010ffff", "-1", "99999999999999999999", "NaN", "٣",
    "arn:aws:s3:::", "arn:aws:s3:::../..", "arn::::::", "*" * 200, "ß" * 200, "\r\nX: y",
)  # fmt: skip
USUAL: Final[dict[str, dict[str, Any]]] = {
    "CreateFlowLogs": {
        "ResourceIds": ["vpc-0000000a"],
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::logs",
    }
}
"""What a tame call has beside what is drawn for it."""
FLOW_LOG_IDS: Final = ("FlowLogIds", "FlowLogId", "Resources")
NUMBERS: Final = (0, 1, 5, 60, 600, 1000, 1001, -1, 2**31 - 1, -(2**31))


class _Maker:
    """Makes parameters. A tame one keeps to the values that stand first; `made`: flow logs that were created."""

    def __init__(self, rng: random.Random, made: list[str]) -> None:
        self._rng = rng
        self._made = made[-3:]
        self._tame = rng.random() < 0.6

    def parameters(self, action: str) -> dict[str, Any]:
        """Of a call."""
        parameters: dict[str, Any] = self._value(known(action).input_shape, action)
        return (USUAL.get(action, {}) if self._tame else {}) | parameters

    def _value(self, shape: Shape, name: str) -> Any:
        """A value of a shape that botocore can send."""
        rng = self._rng
        if shape.type_name == "structure":
            required = [one for one in shape.required_members if rng.random() < 0.97]
            others = [one for one in shape.members if one not in required]
            most = min(len(others), rng.choice((0, 1, 2)) if self._tame else 5)
            chosen = required + rng.sample(others, rng.randint(min(most, not required), most))
            return {one: self._value(shape.members[one], one) for one in chosen}
        if shape.type_name == "list":
            return [self._value(shape.member, name) for _ in range(rng.choice((1, 1, 1, 2, 5)))]
        if shape.type_name == "boolean":
            return name != "DryRun" and rng.random() < 0.5
        if shape.type_name == "integer":
            return rng.choice(NUMBERS)
        if shape.type_name == "timestamp":
            return datetime.fromtimestamp(rng.choice((0, 1_780_000_000, 253_402_300_799)), UTC)
        return self._text(shape, name)

    def _text(self, shape: Shape, name: str) -> str:
        rng = self._rng
        if self._made and name in FLOW_LOG_IDS and rng.random() < 0.7:
            return rng.choice(self._made)
        values = MEANT.get(name) or MEANT.get(name.removesuffix("s")) or tuple(shape.enum)
        if values and rng.random() < 0.95:
            return values[0] if self._tame and rng.random() < 0.7 else rng.choice(values)
        return "a" if self._tame else rng.choice(HOSTILE)


Pairs = list[tuple[str, str]]


def _mangled(rng: random.Random, pairs: Pairs) -> Pairs:
    """The form with one thing changed that botocore would not do."""
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    rest = pairs[:at] + pairs[at + 1 :]
    return rng.choice(
        (
            rest,
            [*pairs, pairs[at]],
            [*rest, (name, rng.choice(HOSTILE))],
            [*rest, (name + rng.choice((".1", ".Name", ".999999", ".0", "s", " ")), value)],
            [*rest, (name.rpartition(".")[0] or "X", value)],
            [*rest, (name.swapcase(), value)],
            [*pairs, ("DryRun", rng.choice(("true", "false", "maybe")))],
            [*pairs, (rng.choice(HOSTILE)[:200] or "X", value)],
        )
    )


def _body(rng: random.Random, action: str, made: list[str]) -> bytes:
    body = sent_by_botocore(known(action), _Maker(rng, made).parameters(action))
    pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)
    while pairs and rng.random() < 0.25:
        pairs = _mangled(rng, pairs)
    body = urllib.parse.urlencode(pairs).encode()
    return _damaged(rng, body) if rng.random() < 0.07 else body


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes with a piece cut out, doubled, or overwritten."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 1, 2, 10, 100)))
    noise = rng.choice((b"", bytes([rng.randrange(256)]), b"\r\n", b"\0", b"%", b"&", b"=", rng.randbytes(20)))
    return data[:start] + rng.choice((noise, data[start:end] * 2 + noise)) + data[end:]


def _signed(request: HttpRequest, action: str, key: KeyRow, now_ms: int) -> HttpRequest:
    service = model.service_of(action) or "ec2"
    added = sign(request, key_id=key.id, secret=key.secret, region="eu-west-1", service=service, now_ms=now_ms)
    return replace(request, headers=(*request.headers, *added))


def _post(body: bytes) -> HttpRequest:
    return HttpRequest(method="POST", path=b"/", headers=(("Host", HOST), ("Content-Type", FORM)), body=body)


def _request(rng: random.Random, action: str, made: list[str], now_ms: int) -> HttpRequest:
    """A signed call, by GET or POST, sometimes changed after it was signed."""
    body = _body(rng, action, made)
    query = HttpRequest(method="GET", path=b"/", query=body, headers=(("Host", HOST),))
    key = rng.choice((ADMIN, ADMIN, ADMIN, ADMIN, READER))
    wrong = replace(key, secret="wrong")  # noqa: S106 (of these tests only)
    request = _signed(
        query if rng.random() < 0.2 else _post(body), action, key if rng.random() < 0.98 else wrong, now_ms
    )
    return _tampered(rng, request) if rng.random() < 0.1 else request


def _tampered(rng: random.Random, request: HttpRequest) -> HttpRequest:
    at = rng.randrange(len(request.headers))
    name, value = request.headers[at]
    text = _damaged(rng, value.encode("latin-1")).decode("latin-1")
    changes: tuple[Callable[[], HttpRequest], ...] = (
        lambda: replace(request, method=rng.choice(("PUT", "HEAD", "get", ""))),
        lambda: replace(request, path=_damaged(rng, b"/agent/v1/report")),
        lambda: replace(request, query=_damaged(rng, request.query or b"A=b")),
        lambda: replace(request, body=_damaged(rng, request.body)),
        lambda: replace(request, headers=(*request.headers[:at], (name, text), *request.headers[at + 1 :])),
        lambda: replace(request, headers=request.headers[:at] + request.headers[at + 1 :]),
        lambda: replace(request, headers=(*request.headers, (name, text))),
    )
    return rng.choice(changes)()


@dataclass(slots=True)
class Inside:
    """A server without its sockets. `records`: the audit log; `failures`: what went wrong inside."""

    service: Service
    database: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    store, buckets = world(tmp_path).services.store, LocalStore(tmp_path / "data")
    buckets.create_bucket("logs", NOW_MS)
    for key in (ADMIN, READER):
        state.write(store, keys.insert, key)
    for name in (ID_KEY, PAGE_KEY):
        local_key(store, name)  # made once, by whichever call needs it first
    records: list[dict[str, Any]] = []
    failures: list[BaseException] = []
    service = Service(
        Services(store, destinations(buckets)),
        home_account=lambda: ACCOUNT,
        record=records.append,
        failed=lambda _request_id, error: failures.append(error),
    )
    yield Inside(service, tmp_path / "state.db", records, failures)
    store.close()


def _check(action: str, answer: Answer, request_id: str) -> None:
    """An answer that AWS's clients can read, or a refusal with a code and status of this API."""
    if answer.content_type == "application/json":  # the path was tampered into that of agents
        told = json.loads(answer.body)
        assert (told["code"], answer.status) in CODES
        return
    unknown = answer.status != 200 and b"<RequestID>" in answer.body  # whom it was for is not known: EC2's envelope
    parsed = read_by_botocore(known("DescribeVpcs" if unknown else action), answer.body, answer.status)
    assert parsed["ResponseMetadata"]["RequestId"] == request_id
    if answer.status == 200:
        assert answer.fault is None
    else:
        assert (parsed["Error"]["Code"], answer.status) in CODES
        assert parsed["Error"]["Code"] == answer.fault
        assert 0 < len(parsed["Error"]["Message"]) < 10_000


def _made(answer: Answer) -> list[str]:
    """Flow logs that were created."""
    return re.findall(r"<item>(fl-[0-9a-f]{17})<", answer.body.decode())


@pytest.mark.parametrize("seed", range(examples(20)))
def test_requests_made_from_the_model_are_answered_or_refused_and_the_refused_store_nothing(
    seed: int, inside: Inside
) -> None:
    rng = random.Random(seed)  # noqa: S311 (a test's input)
    statuses: dict[int, int] = {}
    first = _post(sent_by_botocore(known("CreateFlowLogs"), USUAL["CreateFlowLogs"]))
    arrival = Arrival(source="a", now_ms=NOW_MS, request_id=str(uuid.UUID(int=seed)))
    made = _made(inside.service.answer(_signed(first, "CreateFlowLogs", ADMIN, NOW_MS), arrival))
    assert made
    with closing(sqlite3.connect(inside.database)) as watching:
        version = watching.execute("PRAGMA data_version").fetchone()
        for number in range(REQUESTS):
            action = rng.choice((*ACTIONS, "CreateFlowLogs", "CreateFlowLogs", "CreateTags", "DescribeFlowLogs"))
            now_ms = NOW_MS + number * 1000
            request_id = str(uuid.UUID(int=rng.getrandbits(128)))
            request = _request(rng, action, made, now_ms)
            answer = inside.service.answer(request, Arrival(source="a", now_ms=now_ms, request_id=request_id))
            assert inside.failures == [], (request, inside.failures)
            _check(action, answer, request_id)
            before, version = version, watching.execute("PRAGMA data_version").fetchone()
            assert answer.status == 200 or version == before, request
            made += _made(answer)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
    told = json.dumps(inside.records)
    assert len(inside.records) == 1 + REQUESTS
    assert ADMIN.secret not in told
    assert READER.secret not in told
    assert statuses[200] > REQUESTS // 10
    assert statuses[400] > REQUESTS // 10
    assert {401, 403} & statuses.keys()


# Over a socket ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("fuzz") / "data")
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize("seed", range(examples(4)))
def test_requests_damaged_on_the_wire_are_answered_or_refused_and_the_server_goes_on(
    seed: int, server: Running
) -> None:
    rng = random.Random(seed)  # noqa: S311 (a test's input)
    bodies = (form("DescribeFlowLogs"), form("DescribeVpcs"), form("DescribeTags", Filter__1__Name="key"))
    began = time.monotonic()
    statuses = set()
    with unharmed(server):
        for _ in range(100):
            data = encoded(signed(plain(server.url, rng.choice(bodies)), server.admin))
            for _ in range(rng.randint(0, 3)):
                data = _damaged(rng, data)
            with Wire(server.url) as wire:
                wire.send(data).finish()
                while (reply := wire.reply()) is not None:
                    statuses.add(reply.status)
                    assert reply.status in {100, 200} or (reply.code, reply.status) in CODES, (data, reply)
    assert {200, 400, 403} <= statuses
    assert time.monotonic() - began < 60
