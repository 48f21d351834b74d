"""The API over loopback on each database: races, restarts, outages, and who may do what with which key.

Rule: servers, commands and databases are real processes; the same tests run on SQLite and on PostgreSQL.
Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.support.databases import PostgreSQL
from tests.support.raw_api import (
    BUCKET,
    ENI,
    ENI_OTHER,
    ENIS,
    OTHER_ACCOUNT,
    VPC,
    VPC_B,
    VPC_OTHER,
    Api,
    Refusal,
    Site,
    open_bare_site,
    open_site,
    tagged,
    to_group,
)
from tests.support.servers import SAMPLE_ACCOUNT, Key, wait_for

from flowglass.app.agent.client import AgentKey, Client, ServerRefused, ServerUnreachable

CALLS: Final = 20
EXISTS: Final = "FlowLogAlreadyExists"
FIRST_ACCOUNT: Final = "000000000001"
"""An account that comes before all others in every list."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on each database in turn."""
    state = ""
    if request.param == "postgresql":
        state = request.getfixturevalue("postgresql").new_database()
    opened = open_site(tmp_path_factory.mktemp("state"), state=state)
    yield opened
    opened.running.stop()


@pytest.fixture
def api(site: Site) -> Iterator[Api]:
    """The API, with no flow log in it."""
    here = site.api()
    assert here.described() == []
    yield here
    here.clear()


@pytest.fixture(scope="module")
def shared(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site, PostgreSQL]]:
    """Two servers on one PostgreSQL, each with DATA of its own."""
    folder = tmp_path_factory.mktemp("shared")
    first = open_site(folder, state=postgresql.new_database())
    second = open_bare_site(folder / "second", state=first.state)
    yield first, second, postgresql
    first.running.stop()
    second.running.stop()


@pytest.fixture
def servers(shared: tuple[Site, Site, PostgreSQL]) -> Iterator[tuple[Api, Api]]:
    """The API of both, with no flow log in it."""
    first, second = (site.api() for site in shared[:2])
    assert first.described() == second.described() == []
    yield first, second
    first.clear()


def at_once(call: Callable[[int], dict[str, Any]]) -> list[dict[str, Any] | str]:
    """The answers of calls that begin together, each of its number, or the codes of their refusals."""
    together = threading.Barrier(CALLS)

    def run(number: int) -> dict[str, Any] | str:
        together.wait()
        try:
            return call(number)
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(CALLS) as threads:
        return list(threads.map(run, range(CALLS)))


def creations(*apis: Api, **parameters: Any) -> list[dict[str, Any] | str]:
    """The answers of the same CreateFlowLogs, sent at once to several servers in turn."""
    return at_once(lambda number: apis[number % len(apis)].create(**parameters))


def outcomes(answers: list[dict[str, Any] | str]) -> Counter[str]:
    """How many calls made something, and how many were refused with which code."""
    return Counter(answer if isinstance(answer, str) else "made" for answer in answers)


# Races -------------------------------------------------------------------------------------------------------


def test_of_many_calls_with_one_token_one_makes_and_all_get_its_answer(api: Api) -> None:
    parameters = {"ResourceIds": [VPC, VPC_B], "TagSpecifications": [tagged(("a", "b"))]}
    answers = creations(api, ClientToken="at-once", **parameters)
    assert answers == [answers[0]] * CALLS
    assert isinstance(answers[0], dict)
    assert [one["FlowLogId"] for one in api.described()] == answers[0]["FlowLogIds"]


def test_of_many_equal_calls_exactly_one_makes_the_flow_log(api: Api) -> None:
    answers = creations(api)
    [made] = [answer for answer in answers if isinstance(answer, dict)]
    assert outcomes(answers) == {"made": 1, EXISTS: CALLS - 1}
    assert [one["FlowLogId"] for one in api.described()] == made["FlowLogIds"]


def test_of_many_calls_with_one_token_and_different_parameters_one_wins(api: Api) -> None:
    answers = at_once(lambda n: api.create(ENIS[n], ResourceType="NetworkInterface", ClientToken="one"))
    [made] = [answer for answer in answers if isinstance(answer, dict)]
    assert outcomes(answers) == {"made": 1, "IdempotentParameterMismatch": CALLS - 1}
    assert [one["FlowLogId"] for one in api.described()] == made["FlowLogIds"]


def test_a_flow_log_never_gets_more_than_50_tags(api: Api) -> None:
    [made] = api.create(TagSpecifications=[tagged(*((f"k{n}", "") for n in range(40)))])["FlowLogIds"]
    answers = at_once(lambda n: api.ask("CreateTags", Resources=[made], Tags=[{"Key": f"more{n}", "Value": ""}]))
    assert outcomes(answers) == {"made": 10, "TagLimitExceeded": CALLS - 10}
    assert len(api.described()[0]["Tags"]) == 50


def test_the_buckets_policy_is_right_after_many_calls_at_once(api: Api) -> None:
    folders = [f"arn:aws:s3:::{BUCKET}/{number}" for number in range(CALLS)]
    answers = at_once(lambda n: api.create(LogDestination=folders[n]))
    assert all(isinstance(answer, dict) and answer["Unsuccessful"] == [] for answer in answers)
    policy = api.site.files()[f"buckets/{BUCKET}.json"].decode()
    assert [to for to in folders if f'"{to}/AWSLogs/{SAMPLE_ACCOUNT}/*"' not in policy] == []
    api.site.buckets.put_policy(BUCKET, None)


# Restarts ----------------------------------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(api: Api, tmp_path: Path) -> None:
    site = api.site
    answer = api.create(VPC, VPC_OTHER, ClientToken="restart", TagSpecifications=[tagged(("a", "b"))])
    made = answer["FlowLogIds"]
    report = {"flow_log_id": made[0], "status": "FAILED", "message": "Access error", "at_ms": 1, "objects": 0}
    site.agent().call("report", {"deliveries": [report]})
    page = api.ask("DescribeFlowLogs", MaxResults=1)["NextToken"]
    described = api.described()
    inventory = tmp_path / "first-account.yaml"
    vpc = "{id: vpc-000000ff, cidrs: [10.9.0.0/16]}"
    inventory.write_text(f'account: "{FIRST_ACCOUNT}"\nregion: {api.region}\nvpcs: [{vpc}]\n')
    site.enrol(inventory)  # callers who are in no account are in this one from now on
    site.restart()
    assert api.ask("GetCallerIdentity")["Account"] == FIRST_ACCOUNT
    assert api.described() == described
    assert described[0]["DeliverLogsErrorMessage"] == "Access error"
    rest = api.ask("DescribeFlowLogs", MaxResults=1, NextToken=page)
    assert [one["FlowLogId"] for one in rest["FlowLogs"]] == made[1:]
    again = creations(api, ResourceIds=[VPC, VPC_OTHER], ClientToken="restart", TagSpecifications=[tagged(("a", "b"))])
    assert again == [answer] * CALLS
    mismatch = api.refused(ClientToken="restart")
    assert mismatch.code == "IdempotentParameterMismatch"
    assert {one["VpcId"] for one in api.ask("DescribeVpcs")["Vpcs"]} >= {VPC, VPC_OTHER, "vpc-000000ff"}


# Keys --------------------------------------------------------------------------------------------------------


def _made(site: Site, *options: str) -> Key:
    told = site.program("keys", "create", *options)
    site.hidden.add(told["secret"])
    return Key(told["id"], told["secret"])


@pytest.fixture(scope="module")
def read_only(site: Site) -> Key:
    return _made(site, "--name", "dashboards", "--read-only")


@pytest.fixture(scope="module")
def bound(site: Site) -> Key:
    """An administrator's of the other account."""
    return _made(site, "--name", "tenant", "--account", OTHER_ACCOUNT)


def test_a_read_only_key_reads_and_changes_nothing(api: Api, read_only: Key) -> None:
    [made] = api.create()["FlowLogIds"]
    reader = api.site.api(read_only)
    assert reader.described() == api.described()
    assert reader.ask("DescribeVpcs") == api.ask("DescribeVpcs")
    assert reader.ask("GetCallerIdentity")["UserId"] == read_only.id
    bucket = f"arn:aws:s3:::{BUCKET}"
    template = {"FlowLogId": made, "ConfigDeliveryS3DestinationArn": bucket, "IntegrateServices": {}}
    with api.site.unchanged():
        refusals = [
            reader.refused(VPC_B),
            reader.refused(VPC_B, DryRun=True),
            reader.refusal("CreateFlowLogs"),
            reader.refusal("DeleteFlowLogs", FlowLogIds=[made]),
            reader.refusal("CreateTags", Resources=[made], Tags=[{"Key": "a"}]),
            reader.refusal("DeleteTags", Resources=[made]),
            reader.refusal("GetFlowLogsIntegrationTemplate", **template),
        ]
    assert {(refusal.code, refusal.status) for refusal in refusals} == {("UnauthorizedOperation", 403)}
    assert f"The read-only key {read_only.id} may not call CreateFlowLogs." in refusals[0].message
    assert reader.raw("MakeFlowLogs").refusal.code == "InvalidAction", "the action comes before the right to it"
    assert reader.refusal("DescribeFlowLogs", DryRun=True).code == "DryRunOperation"


def test_a_key_of_one_account_sees_and_changes_that_account_alone(api: Api, bound: Key) -> None:
    tags = {"TagSpecifications": [tagged(("a", "b"))]}
    [foreign, own] = api.create(VPC, VPC_OTHER, ClientToken="of-all", **tags)["FlowLogIds"]
    tenant = api.site.api(bound)
    assert tenant.ask("GetCallerIdentity")["Account"] == OTHER_ACCOUNT
    assert [one["VpcId"] for one in tenant.ask("DescribeVpcs")["Vpcs"]] == [VPC_OTHER]
    assert [one["NetworkInterfaceId"] for one in tenant.ask("DescribeNetworkInterfaces")["NetworkInterfaces"]] == [
        ENI_OTHER
    ]
    assert [one["FlowLogId"] for one in tenant.described()] == [own]
    assert {tag["ResourceId"] for tag in tenant.ask("DescribeTags")["Tags"]} == {own}
    with api.site.unchanged():
        refusals = {
            "create": tenant.refused(VPC),
            "both": tenant.refused(VPC_OTHER, VPC, TrafficType="REJECT"),
            "token": tenant.refused(VPC, VPC_OTHER, ClientToken="of-all", **tags),
            "describe": tenant.refusal("DescribeFlowLogs", FlowLogIds=[foreign]),
            "tag": tenant.refusal("CreateTags", Resources=[foreign], Tags=[{"Key": "a", "Value": "c"}]),
            "subnets": tenant.refusal("DescribeNetworkInterfaces", NetworkInterfaceIds=[ENI]),
        }
        [item] = tenant.ask("DeleteFlowLogs", FlowLogIds=[foreign])["Unsuccessful"]
    vpc, flow_log = "InvalidVpcID.NotFound", "InvalidFlowLogId.NotFound"
    assert {name: refusal.code for name, refusal in refusals.items()} == {
        "create": vpc,
        "both": vpc,
        "token": vpc,
        "describe": flow_log,
        "tag": flow_log,
        "subnets": "InvalidNetworkInterfaceID.NotFound",
    }
    assert (item["ResourceId"], item["Error"]["Code"]) == (foreign, flow_log)
    made = tenant.create(VPC_OTHER, TrafficType="REJECT", ClientToken="of-all")["FlowLogIds"]
    assert tenant.ask("DeleteFlowLogs", FlowLogIds=[own, *made]) == {"Unsuccessful": []}
    assert [one["FlowLogId"] for one in api.described()] == [foreign]


def test_a_rotated_key_is_replaced_and_a_disabled_one_refused_from_that_moment(site: Site, bound: Key) -> None:
    old = _made(site, "--name", "short-lived", "--read-only", "--account", OTHER_ACCOUNT)
    holder = site.api(old)
    assert [one["VpcId"] for one in holder.ask("DescribeVpcs")["Vpcs"]] == [VPC_OTHER]
    told = site.program("keys", "rotate", old.id)
    site.hidden.add(told["secret"])
    new = site.api(Key(told["id"], told["secret"]))
    assert holder.refusal("DescribeVpcs") == Refusal("AuthFailure", 401, f"The access key {old.id} is disabled.")
    assert [one["VpcId"] for one in new.ask("DescribeVpcs")["Vpcs"]] == [VPC_OTHER]
    assert new.refused(VPC_OTHER).code == "UnauthorizedOperation"
    site.program("keys", "disable", new.key.id)
    assert new.refusal("DescribeVpcs").code == "AuthFailure"
    assert site.api(bound).ask("DescribeVpcs")["Vpcs"], "other keys stay"


def test_who_is_unknown_forged_or_late_is_refused_before_anything_is_looked_at(api: Api) -> None:
    unknown = api.site.api(Key("FGAKAAAAAAAAAAAAAAAA", "x" * 40))
    with api.site.unchanged():
        assert (unknown.refused().code, unknown.refused().status) == ("AuthFailure", 401)
        forged = api.raw("CreateFlowLogs", secret="other")  # noqa: S106, of nobody
        late = api.raw("CreateFlowLogs", now_ms=time.time_ns() // 1_000_000 - 400_000)
    assert (forged.refusal.code, forged.status) == ("SignatureDoesNotMatch", 403)
    assert (late.refusal.code, late.status) == ("RequestExpired", 400)


def test_an_agents_key_is_no_administrators_and_an_administrators_no_agents(api: Api) -> None:
    identity = api.site.agents[0]
    agent = api.site.api(Key(identity.key_id, identity.secret))
    with api.site.unchanged():
        for refusal in (agent.refused(), agent.refusal("DescribeFlowLogs"), agent.refusal("GetCallerIdentity")):
            assert (refusal.code, refusal.status) == ("UnauthorizedOperation", 403)
    as_agent = Client(api.site.running.url, AgentKey(api.key.id, api.key.secret))
    for name in ("flow-logs", "inventory", "report"):
        with pytest.raises(ServerRefused, match="UnauthorizedOperation: Only an agent's key may call this"):
            as_agent.call(name, {"digest": "d"} if name == "inventory" else {})
    as_itself = api.site.agent()
    for caller in (as_agent, as_itself):
        with pytest.raises(ServerRefused, match="UnauthorizedOperation"):
            caller.call("register", {"name": "rack", "version": "1"})
    assert api.described() == [], "the administrator's key was not used up"
    assert as_itself.call("flow-logs")["flow_logs"] == []


def test_every_call_of_these_tests_has_its_line_in_the_audit_log(site: Site) -> None:
    site.api().ask("DescribeFlowLogs")
    site.check_audit()


# Deaths and outages ------------------------------------------------------------------------------------------


def test_what_was_answered_before_a_kill_is_there_and_nothing_is_half_there(api: Api) -> None:
    made: list[str] = []

    def create(first: int) -> None:
        for eni in ENIS[first::4]:
            try:
                answer = api.create(
                    eni, ResourceType="NetworkInterface", TagSpecifications=[tagged(("a", "b"), ("c", "d"))]
                )
            except BotoCoreError:
                return  # the server is gone
            made.extend(answer["FlowLogIds"])

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(create, first) for first in range(4)]
        wait_for("some flow logs", lambda: len(made) >= 20)
        api.site.running.kill()
        for one in running:
            one.result()
    api.site.restart(killed=True)
    described = api.described()
    assert 20 <= len(made) < 300
    assert set(made) <= {one["FlowLogId"] for one in described}
    assert {len(one["Tags"]) for one in described} == {2}


def test_two_servers_are_one(servers: tuple[Api, Api]) -> None:
    first, second = servers
    assert first.key == second.key, "one administrator"
    answer = first.create(VPC, VPC_B, ClientToken="both")
    assert second.described() == first.described()
    assert second.create(VPC, VPC_B, ClientToken="both") == answer
    page = first.ask("DescribeFlowLogs", MaxResults=1)["NextToken"]
    assert [one["ResourceId"] for one in second.ask("DescribeFlowLogs", NextToken=page)["FlowLogs"]] == [VPC_B]
    second.ask("DeleteFlowLogs", FlowLogIds=answer["FlowLogIds"])
    assert first.described() == []


def test_of_calls_with_one_token_at_two_servers_one_makes_and_all_get_its_answer(servers: tuple[Api, Api]) -> None:
    answers = creations(*servers, ClientToken="at-once")
    assert answers == [answers[0]] * CALLS
    assert isinstance(answers[0], dict)
    assert [one["FlowLogId"] for one in servers[0].described()] == answers[0]["FlowLogIds"]


def test_of_equal_calls_at_two_servers_exactly_one_makes_the_flow_log(servers: tuple[Api, Api]) -> None:
    for parameters in ({}, to_group()):
        answers = creations(*servers, **parameters)
        assert outcomes(answers) == {"made": 1, EXISTS: CALLS - 1}
    assert len(servers[1].described()) == 2


def test_calls_of_many_resources_that_overlap_share_them_out(servers: tuple[Api, Api]) -> None:
    """Each resource gets one flow log, by one of the calls; the others are told that it has one."""
    answers = at_once(lambda n: servers[n % 2].create(*ENIS[n : n + 30], ResourceType="NetworkInterface"))
    assert all(isinstance(answer, dict) for answer in answers), answers
    made = [one for answer in answers if isinstance(answer, dict) for one in answer["FlowLogIds"]]
    described = servers[0].described()
    assert sorted(made) == sorted(one["FlowLogId"] for one in described)
    assert Counter(one["ResourceId"] for one in described) == dict.fromkeys(ENIS[: CALLS + 29], 1)
    for answer in answers:
        assert isinstance(answer, dict)
        assert len(answer["FlowLogIds"]) + len(answer["Unsuccessful"]) == 30
        assert {item["Error"]["Code"] for item in answer["Unsuccessful"]} <= {EXISTS}


def _probe(site: Site, path: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(site.running.url).netloc, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_while_the_database_is_away_calls_are_refused_as_unavailable_and_go_on_by_themselves(
    shared: tuple[Site, Site, PostgreSQL], servers: tuple[Api, Api]
) -> None:
    site, _, database = shared
    first, second = servers
    [made] = first.create(VPC)["FlowLogIds"]
    second.described()
    database.stop()
    try:
        for api in servers:
            refusals = [api.refused(VPC_B), api.refusal("DescribeFlowLogs"), api.raw("DescribeVpcs").refusal]
            assert {(refusal.code, refusal.status) for refusal in refusals} == {("ServiceUnavailable", 503)}
        assert (_probe(site, "/ready"), _probe(site, "/health")) == (503, 200)
        with pytest.raises(ServerUnreachable, match="ServiceUnavailable"):
            site.agent().call("flow-logs")
    finally:
        database.start()
    wait_for("readiness", lambda: _probe(site, "/ready") == 200)
    for api in servers:
        assert [one["FlowLogId"] for one in api.described()] == [made], "what was refused made nothing"
    assert second.create(VPC_B)["Unsuccessful"] == []
    for one in shared[:2]:
        one.check_audit()


def test_what_was_answered_before_the_database_crashed_is_there(
    shared: tuple[Site, Site, PostgreSQL], servers: tuple[Api, Api]
) -> None:
    database = shared[2]
    made: list[str] = []
    codes: Counter[str] = Counter()

    def create(worker: int) -> None:
        for eni in ENIS[worker::4]:
            try:
                answer = servers[worker % 2].create(eni, ResourceType="NetworkInterface", ClientToken=f"crash-{eni}")
                made.extend(answer["FlowLogIds"])
            except ClientError as error:
                codes[error.response["Error"]["Code"]] += 1

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(create, worker) for worker in range(4)]
        wait_for("some flow logs", lambda: len(made) >= 20)
        database.stop()
        try:
            wait_for("a refusal", lambda: codes)
        finally:
            database.start()
        for one in running:
            one.result()
    assert set(codes) == {"ServiceUnavailable"}
    wait_for("readiness", lambda: _probe(shared[0], "/ready") == 200)
    assert set(made) <= {one["FlowLogId"] for one in servers[0].described()}
    again = {}
    for eni in ENIS:
        answer = servers[1].create(eni, ResourceType="NetworkInterface", ClientToken=f"crash-{eni}")
        [again[eni]] = answer["FlowLogIds"]
    described = servers[0].described()
    assert {one["ResourceId"]: one["FlowLogId"] for one in described} == again
    assert len(described) == len(ENIS)
    assert set(made) <= set(again.values())
