"""What an agent sends is checked like anybody's request: it speaks for itself, and what it says breaks no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.besieged import VPC, audit, audited, enrolled, new_key, resource, rows, started, unharmed, untold
from tests.support.raw_http import FORM, Reply, Wire, agent_call, ask, encoded, form, head, plain, signed, with_header
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_REGION, Key, Running

from flowglass.control import AGENT_PATH, AGENT_REGION, AGENT_SERVICE, Role

OTHER_ACCOUNT: Final = "210987654321"
INVALID_VALUE: Final = (400, "InvalidParameterValue")
NOT_ALLOWED: Final = (403, "UnauthorizedOperation")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("agents") / "data")
    yield running
    assert running.stop() == 0
    assert untold(running, running.admin.secret, "Signature=")
    assert running.events("request_failed") == []
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def agent(server: Running) -> Key:
    return enrolled(server, new_key(server.data, Role.ENROL))


def _inventory(*put: dict[str, Any], **other: Any) -> bytes:
    return json.dumps({"digest": "hostile", "put": list(put), **other}).encode()


def _with_document(text: str, kind: str = "vpc") -> bytes:
    """An inventory whose one document is this JSON, or what should be JSON."""
    return _inventory({**resource("vpc-0b0b0b0b", kind), "document": 0}).replace(
        b'"document": 0', b'"document": ' + text.encode()
    )


INTERFACE: Final[dict[str, Any]] = {
    "subnet": "subnet-0a0a0a0a",
    "zone": "euw1-az1",
    "type": "interface",
    "ipv4": ["10.0.0.1"],
    "ipv6": [],
    "prefixes": [],
    "groups": [],
    "requester_managed": False,
    "efa": False,
    "tags": {},
}


def _interface(**changed: Any) -> bytes:
    return _inventory(resource("eni-0a0a0a0a", "network-interface", **{**INTERFACE, **changed}))


BODIES: Final[dict[str, tuple[str, bytes]]] = {
    "no JSON": ("report", b"deliveries="),
    "half of it": ("report", b'{"deliveries": ['),
    "two of them": ("report", b"{}{}"),
    "not UTF-8": ("report", b'{"counters": {"\xff": 1}}'),
    "UTF-16": ("report", '{"deliveries": []}'.encode("utf-16")),
    "a form": ("report", form("DescribeFlowLogs")),
    "a list": ("report", b"[]"),
    "null": ("report", b"null"),
    "a number": ("report", b"1"),
    "unknown members": ("report", b'{"deliveries": [], "agent": "agent-0"}'),
    "a list where an object is due": ("report", b'{"counters": []}'),
    "text where a number is due": ("report", b'{"counters": {"a": "b"}}'),
    "a negative counter": ("report", b'{"counters": {"a": -1}}'),
    "a counter of NaN": ("report", b'{"counters": {"a": NaN}}'),
    "a counter of infinity": ("report", b'{"counters": {"a": 1e999}}'),
    "a counter of 4,000 digits": ("report", b'{"counters": {"a": ' + b"9" * 4_000 + b"}}"),
    "a counter of a million digits": ("report", b'{"counters": {"a": ' + b"9" * 1_000_000 + b"}}"),
    "10,001 counters": ("report", json.dumps({"counters": {str(number): 1 for number in range(10_001)}}).encode()),
    "lists 100,000 deep": ("report", b'{"deliveries": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a status of its own": (
        "report",
        b'{"deliveries": [{"flow_log_id": "fl-1", "status": "ACTIVE", "at_ms": 1}]}',
    ),
    "a time beyond 64 bits": (
        "report",
        b'{"deliveries": [{"flow_log_id": "fl-1", "status": "SUCCESS", "at_ms": 99999999999999999999}]}',
    ),
    "a NUL": ("inventory", _inventory(resource("vpc-\0"))),
    "half a surrogate": ("inventory", _inventory(resource("vpc-0b0b0b0b")).replace(b"vpc-0b", b"\\ud800")),
    "no id": ("inventory", _inventory(resource(""))),
    "a long id": ("inventory", _inventory(resource("vpc-" + "0" * 1_000))),
    "no account": ("inventory", _inventory(resource("vpc-0b0b0b0b", account="me"))),
    "an unknown kind": ("inventory", _inventory(resource("vpc-0b0b0b0b", "key"))),
    "a removal of one part": ("inventory", _inventory(remove=[["vpc"]])),
    "a document of text": ("inventory", _with_document('"text"')),
    "a document without its members": ("inventory", _with_document("{}")),
    "a document 1,000 deep": ("inventory", _with_document('{"a":' * 1_000 + "1" + "}" * 1_000)),
    "CIDRs that are none": ("inventory", _with_document('{"cidrs": ["10.0.0.0/33"]}')),
    "CIDRs with host bits": ("inventory", _with_document('{"cidrs": ["10.0.0.1/8"]}')),
    "CIDRs of numbers": ("inventory", _with_document('{"cidrs": [1]}')),
    "CIDRs of NaN": ("inventory", _with_document('{"cidrs": NaN}')),
    "a subnet without a zone": ("inventory", _with_document('{"cidr": "10.0.0.0/24"}', "subnet")),
    "a subnet of IPv6 as IPv4": ("inventory", _with_document('{"cidr": "2001:db8::/64", "zone": "a"}', "subnet")),
    "a subnet with a list for its table": ("inventory", _with_document('{"zone": "a", "route_table": []}', "subnet")),
    "an interface in no subnet": ("inventory", _interface(subnet=None)),
    "an interface in a list of subnets": ("inventory", _interface(subnet=["subnet-0a0a0a0a"])),
    "an interface with a name for its address": ("inventory", _interface(ipv4=["localhost"])),
    "an interface with text for a truth": ("inventory", _interface(efa="yes")),
    "an interface with numbers for tags": ("inventory", _interface(tags={"Name": 1})),
    "an interface with 300-character tags": ("inventory", _interface(tags={"Name": "a" * 300})),
    "an instance with a list of tags": ("inventory", _with_document('{"tags": ["a"]}', "instance")),
    "a route to nowhere": ("inventory", _with_document('{"routes": [{"to": "0.0.0.0/0"}]}', "route-table")),
    "a route by an unknown way": (
        "inventory",
        _with_document('{"routes": [{"to": "0.0.0.0/0", "via": "xyz-1"}]}', "route-table"),
    ),
}


def _tell(server: Running, key: Key, name: str, body: bytes) -> Reply:
    return ask(server.url, agent_call(server.url, key, name, body))


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_what_it_should_be_is_refused(server: Running, agent: Key, name: str) -> None:
    action, body = BODIES[name]
    with unharmed(server), audited(server, [INVALID_VALUE[1]]):
        reply = _tell(server, agent, action, body)
    assert reply.outcome == INVALID_VALUE
    assert reply.headers["content-type"] == "application/json"
    assert reply.message.startswith(f"The body of {action} is wrong: ")
    assert len(reply.message) < 5_000


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (lambda url, key: plain(url, b"{}", path=b"/agent/v1/report"), (403, "MissingAuthenticationToken")),
        (lambda url, key: agent_call(url, Key(key.id, "n" * 40), "report", b"{}"), (403, "SignatureDoesNotMatch")),
        (lambda url, key: agent_call(url, Key("FGAKAAAAAAAAAAAAAAAA", "n"), "report", b"{}"), (401, "AuthFailure")),
        (
            lambda url, key: with_header(agent_call(url, key, "report", b"{}"), "X-Amz-Date", None),
            (400, "IncompleteSignature"),
        ),
        (lambda url, key: agent_call(url, key, "reports", b"{}"), (400, "InvalidAction")),
        (lambda url, key: agent_call(url, key, "x" * 40_000, b"{}"), (400, "InvalidAction")),
        (lambda url, key: agent_call(url, key, "../v1/report", b"{}"), (400, "InvalidAction")),
        (lambda url, key: agent_call(url, key, "report%0d%0aX-A:%20b", b"{}"), (400, "InvalidAction")),
        (lambda url, key: agent_call(url, key, "register", b'{"name":"a","version":"1"}'), NOT_ALLOWED),
        (
            lambda url, key: signed(
                plain(url, method="GET", path=b"/agent/v1/report", headers=()),
                key,
                service=AGENT_SERVICE,
                region=AGENT_REGION,
            ),
            (400, "InvalidRequest"),
        ),
        (
            lambda url, key: signed(
                plain(url, b"{}", path=b"/agent/v1/report", headers=(("Content-Encoding", "gzip"),)),
                key,
                service=AGENT_SERVICE,
                region=AGENT_REGION,
            ),
            (400, "InvalidRequest"),
        ),
        (
            lambda url, key: signed(plain(url, b"{}", path=b"/"), key, service=AGENT_SERVICE, region=AGENT_REGION),
            (400, "InvalidRequest"),
        ),
    ],
)
def test_a_call_of_an_agent_that_is_not_right_is_refused_in_json(
    server: Running, agent: Key, make: Any, outcome: tuple[int, str]
) -> None:
    with unharmed(server), audited(server, [outcome[1]]):
        reply = ask(server.url, make(server.url, agent))
    assert reply.outcome == outcome
    assert reply.headers["content-type"] == "application/json"
    assert len(reply.message) < 1_000


def test_an_agent_s_key_is_of_no_use_for_aws_s_api(server: Running, agent: Key) -> None:
    actions = ("DescribeFlowLogs", "CreateFlowLogs", "GetCallerIdentity")
    with unharmed(server):
        for action in actions:
            service, version = ("sts", "2011-06-15") if action == "GetCallerIdentity" else ("ec2", "2016-11-15")
            reply = ask(server.url, signed(plain(server.url, form(action, version)), agent, service=service))
            assert reply.outcome == NOT_ALLOWED


def test_a_key_of_aws_s_api_is_of_no_use_for_an_agent_and_is_not_used_up(server: Running) -> None:
    bodies = {"register": b'{"name":"a","version":"1"}', "report": b"{}", "flow-logs": b"{}", "inventory": _inventory()}
    reader = new_key(server.data, Role.READ_ONLY)
    with unharmed(server):
        for key in (server.admin, reader):
            for name, body in bodies.items():
                assert _tell(server, key, name, body).outcome == NOT_ALLOWED, name
    assert ask(server.url, signed(plain(server.url, form("DescribeFlowLogs")), reader)).status == 200


def test_an_enrolment_token_enrols_once_and_does_nothing_else(server: Running) -> None:
    token = new_key(server.data, Role.ENROL)
    with unharmed(server):
        assert _tell(server, token, "report", b"{}").outcome == NOT_ALLOWED
        assert _tell(server, token, "register", b"{}").outcome == INVALID_VALUE
        reply = ask(server.url, signed(plain(server.url, form("DescribeFlowLogs")), token))
        assert reply.outcome == NOT_ALLOWED
    secret = enrolled(server, token).secret
    with unharmed(server):
        assert _tell(server, token, "register", b'{"name":"a","version":"1"}').outcome == (401, "AuthFailure")
    assert untold(server, secret, token.secret)


def test_an_agent_bound_to_an_account_speaks_for_that_account_only(server: Running) -> None:
    bound = enrolled(server, new_key(server.data, Role.ENROL, OTHER_ACCOUNT))
    own = resource("vpc-0c0c0c0c", account=OTHER_ACCOUNT)
    with unharmed(server):
        reply = _tell(server, bound, "inventory", _inventory(own, resource("vpc-0d0d0d0d")))
        assert reply.outcome == NOT_ALLOWED
        assert SAMPLE_ACCOUNT in reply.message
    assert _tell(server, bound, "inventory", _inventory(own)).status == 200
    assert json.loads(_tell(server, bound, "flow-logs", b"{}").body)["flow_logs"] == []


def test_an_agent_changes_nothing_of_another(server: Running, agent: Key) -> None:
    made = form(
        "CreateFlowLogs",
        ResourceType="VPC",
        ResourceId__1=VPC,
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination="arn:aws:s3:::logs",
    )
    reply = ask(server.url, signed(plain(server.url, made), server.admin))
    assert reply.status == 200, reply
    (stored,) = [row for row in rows(server.data)["flow_logs"] if VPC in row]
    flow_log = next(part for part in stored if str(part).startswith("fl-"))
    resources = rows(server.data)["resources"]
    told = {"deliveries": [{"flow_log_id": flow_log, "status": "FAILED", "at_ms": 1, "message": "hostile"}]}
    assert _tell(server, agent, "report", json.dumps(told).encode()).status == 200
    assert _tell(server, agent, "inventory", _inventory(digest="own")).status == 200
    gone = _inventory(base="own", remove=[["vpc", VPC]])
    assert json.loads(_tell(server, agent, "inventory", gone).body) == {"accepted": True}
    assert rows(server.data)["deliveries"] == []
    assert rows(server.data)["resources"] == resources
    assert json.loads(_tell(server, agent, "flow-logs", b"{}").body)["flow_logs"] == []


def test_members_given_twice_count_as_the_last(server: Running, agent: Key) -> None:
    assert _tell(server, agent, "inventory", b'{"digest": "one", "digest": "two"}').status == 200
    assert any("two" in row and "one" not in row for row in rows(server.data)["agents"])


def test_a_body_beyond_the_bound_is_refused_in_json(server: Running) -> None:
    request = plain(server.url, path=f"{AGENT_PATH}inventory".encode(), headers=(("Content-Type", FORM),))
    ways = (
        head(request, "Content-Length: 8388609"),
        head(request, "Transfer-Encoding: chunked") + b"100000\r\n%s\r\n" % (b"a" * (1 << 20)) * 9,
    )
    for data in ways:
        with unharmed(server), audited(server, ["RequestEntityTooLarge"]), Wire(server.url) as wire:
            reply = wire.send(data).reply()
            assert reply is not None
            assert reply.outcome == (413, "RequestEntityTooLarge")
            assert reply.headers["content-type"] == "application/json"


def test_what_the_largest_inventory_brings_is_described(server: Running, agent: Key) -> None:
    many = [resource(f"vpc-{number:08x}") for number in range(20_000)]
    body = json.dumps({"digest": "many", "put": many}, separators=(",", ":")).encode()
    assert len(body) < 8 << 20
    assert _tell(server, agent, "inventory", body).status == 200
    with Wire(server.url) as wire:
        request = signed(plain(server.url, form("DescribeVpcs", MaxResults="1000")), server.admin, region=SAMPLE_REGION)
        reply = wire.send(encoded(request)).reply()
    assert reply is not None
    assert reply.body.count(b"<vpcId>") == 1000
    assert audit(server.data)[-1]["eventName"] == "DescribeVpcs"
