"""Clients of different origin against one server: each creates, describes, tags and deletes a flow log.

Rule: a client that this machine does not have is skipped with the reason, never replaced by another.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import boto3
import pytest
from tests.support.program import PROGRAM
from tests.support.servers import (
    SAMPLE_INVENTORY,
    SAMPLE_REGION,
    SAMPLE_VPC,
    SEED_FORMAT,
    Running,
    clean_environment,
    run,
    start,
    wait_for,
)

TAG: Final = "a+b/c & ü"
"""A value that every client has to encode."""
BUCKET: Final = "arn:aws:s3:::flowglass-logs"
SCRIPTS: Final = Path(__file__).resolve().parents[1] / "js"
EC2: Final = "{http://ec2.amazonaws.com/doc/2016-11-15/}"
REFUSED: Final = {1: 255, 2: 254}
"""Exit codes of the AWS CLI's major versions for a call that was refused."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Server and agent with the sample inventory."""
    data = tmp_path_factory.mktemp("clients") / "data"
    running = start(data, "up", "--inventory", SAMPLE_INVENTORY, "--listen", "127.0.0.1:0")
    running.event("agent_started")
    wait_for("the inventory", lambda: running.client().describe_vpcs()["Vpcs"])
    yield running
    assert running.stop() == 0


@pytest.fixture(autouse=True)
def _nothing_left(up: Running) -> Iterator[None]:
    """Every client deletes what it made."""
    yield
    assert up.client().describe_flow_logs()["FlowLogs"] == []


def keys(up: Running) -> dict[str, str]:
    admin = up.admin
    return {
        "AWS_ACCESS_KEY_ID": admin.id,
        "AWS_SECRET_ACCESS_KEY": admin.secret,
        "AWS_REGION": SAMPLE_REGION,
        "AWS_DEFAULT_REGION": SAMPLE_REGION,
    }


def command_line_clients() -> list[Any]:
    """AWS's command line interfaces of this machine: PyPI's beside us, and the distribution's."""
    return [
        pytest.param(str(Path(PROGRAM).with_name("aws")), 1, id="PyPI awscli 1"),
        pytest.param("/usr/bin/aws", 2, id="Debian awscli 2"),
    ]


@pytest.mark.parametrize(("aws", "major"), command_line_clients())
def test_the_aws_cli(up: Running, aws: str, major: int) -> None:
    said = subprocess.run([aws, "--version"], capture_output=True, text=True, check=False).stdout if usable(aws) else ""
    if not said.startswith(f"aws-cli/{major}."):
        pytest.skip(f"{aws} is {said.split(' ')[0] or 'not installed'}, not an aws-cli {major}")

    def call(*words: str, code: int = 0) -> str:
        return run([aws, "--endpoint-url", up.url, "--output", "json", "ec2", *words], keys(up), code=code)

    wanted = ["--resource-type", "VPC", "--resource-ids", SAMPLE_VPC, "--traffic-type", "ALL"]
    to = ["--log-destination-type", "s3", "--log-destination", BUCKET, "--log-format", SEED_FORMAT]
    created = json.loads(call("create-flow-logs", *wanted, *to))
    assert set(created) == {"ClientToken", "FlowLogIds", "Unsuccessful"}
    (flow_log,) = created["FlowLogIds"]
    call("create-tags", "--resources", flow_log, "--tags", f"Key=made by,Value={TAG}")
    found = json.loads(call("describe-flow-logs", "--filter", f"Name=tag:made by,Values={TAG}"))
    assert [row["FlowLogId"] for row in found["FlowLogs"]] == [flow_log]
    assert found["FlowLogs"][0]["LogFormat"] == SEED_FORMAT
    assert "FlowLogAlreadyExists" in call("create-flow-logs", *wanted, *to, code=REFUSED[major])
    assert json.loads(call("delete-flow-logs", "--flow-log-ids", flow_log)) == {"Unsuccessful": []}


def usable(program: str) -> bool:
    return shutil.which(program) is not None


def test_boto3(up: Running) -> None:
    admin = up.admin
    client = boto3.session.Session().client(
        "ec2",
        region_name=SAMPLE_REGION,
        endpoint_url=up.url,
        aws_access_key_id=admin.id,
        aws_secret_access_key=admin.secret,
    )
    ids = client.create_flow_logs(
        ResourceType="VPC",
        ResourceIds=[SAMPLE_VPC],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=BUCKET,
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "made by", "Value": TAG}]}],
    )["FlowLogIds"]
    pages = client.get_paginator("describe_flow_logs").paginate(Filters=[{"Name": "tag:made by", "Values": [TAG]}])
    assert [row["FlowLogId"] for page in pages for row in page["FlowLogs"]] == ids
    client.create_tags(Resources=ids, Tags=[{"Key": "made by", "Value": "nobody"}])
    assert client.describe_tags(Filters=[{"Name": "resource-id", "Values": ids}])["Tags"] == [
        {"Key": "made by", "Value": "nobody", "ResourceId": ids[0], "ResourceType": "vpc-flow-log"}
    ]
    client.delete_tags(Resources=ids, Tags=[{"Key": "made by"}])
    assert client.describe_flow_logs(FlowLogIds=ids)["FlowLogs"][0].get("Tags", []) == []
    assert client.delete_flow_logs(FlowLogIds=ids)["Unsuccessful"] == []


class TestCurl:
    """curl's own signer, which signs neither the type that it adds to a form nor a query in order."""

    def test_posts_a_form(self, up: Running) -> None:
        form = {
            "ResourceType": "VPC",
            "ResourceId.1": SAMPLE_VPC,
            "TrafficType": "ALL",
            "LogDestinationType": "s3",
            "LogDestination": BUCKET,
            "LogFormat": SEED_FORMAT,
        }
        flow_log = only(self.post(up, "CreateFlowLogs", form), "flowLogIdSet/item")
        tags = {"ResourceId.1": flow_log, "Tag.1.Key": "made by", "Tag.1.Value": TAG}
        assert only(self.post(up, "CreateTags", tags), "return") == "true"
        found = self.post(up, "DescribeFlowLogs", {"FlowLogId.1": flow_log})
        assert only(found, "flowLogSet/item/logFormat") == SEED_FORMAT
        assert only(found, "flowLogSet/item/tagSet/item/value") == TAG
        assert texts(self.post(up, "DeleteFlowLogs", {"FlowLogId.1": flow_log}), "unsuccessful/item") == []

    def test_gets_a_query_in_order(self, up: Running) -> None:
        query = "Action=DescribeVpcs&Filter.1.Name=vpc-id&Filter.1.Value.1=" + SAMPLE_VPC + "&Version=2016-11-15"
        answer = self.curl(up, f"{up.url}/?{query}")
        assert texts(answer, "vpcSet/item/vpcId") == [SAMPLE_VPC]

    @pytest.mark.parametrize("action", ["ModifyFlowLogs", "ModifyFlowLogsAttribute", "UpdateFlowLogs"])
    def test_there_is_no_action_that_changes_a_flow_log(self, up: Running, action: str) -> None:
        assert texts(self.post(up, action, {}), "Errors/Error/Code", space="") == ["InvalidAction"]

    def post(self, up: Running, action: str, form: dict[str, str]) -> ET.Element:
        body = urlencode({"Action": action, "Version": "2016-11-15", **form}, quote_via=quote)
        return self.curl(
            up, "-H", "content-type: application/x-www-form-urlencoded; charset=utf-8", "-d", body, f"{up.url}/"
        )

    def curl(self, up: Running, *words: str) -> ET.Element:
        if not usable("curl"):
            pytest.skip("there is no curl on this machine")
        admin = up.admin
        signer = ["--aws-sigv4", f"aws:amz:{SAMPLE_REGION}:ec2", "--user", f"{admin.id}:{admin.secret}"]
        return parsed(run(["curl", "-sS", "--noproxy", "*", *signer, *words], {}))


def parsed(answer: str | bytes) -> ET.Element:
    return ET.fromstring(answer)  # noqa: S314, our own server's


def texts(answer: ET.Element, path: str, *, space: str = EC2) -> list[str]:
    """The texts of the elements at a path."""
    return [element.text or "" for element in answer.findall("/".join(space + name for name in path.split("/")))]


def only(answer: ET.Element, path: str) -> str:
    (text,) = texts(answer, path)
    return text


class TestPresigned:
    """Addresses that botocore signs and anybody fetches."""

    def test_answer_a_plain_get(self, up: Running) -> None:
        client = up.client()
        ids = client.create_flow_logs(
            ResourceType="VPC",
            ResourceIds=[SAMPLE_VPC],
            TrafficType="ALL",
            LogDestinationType="s3",
            LogDestination=BUCKET,
        )["FlowLogIds"]
        address = client.generate_presigned_url("describe_flow_logs", {"FlowLogIds": ids}, 60, "GET")
        assert texts(parsed(fetch(address)[1]), "flowLogSet/item/flowLogId") == ids
        address = client.generate_presigned_url("delete_flow_logs", {"FlowLogIds": ids}, 60, "GET")
        assert fetch(address)[0] == 200

    def test_are_refused_when_changed(self, up: Running) -> None:
        address = up.client().generate_presigned_url("describe_vpcs", {}, 60, "GET")
        status, body = fetch(address.replace("DescribeVpcs", "DescribeSubnets"))
        assert (status, texts(parsed(body), "Errors/Error/Code", space="")) == (403, ["SignatureDoesNotMatch"])


def fetch(address: str) -> tuple[int, bytes]:
    """Status and body of a GET by urllib, which knows nothing of signatures."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="module")
def javascript_sdk() -> Path:
    """The folder with the script and the SDK's modules, installed once a lock file; skips where that cannot be."""
    if not (usable("node") and usable("npm")):
        pytest.skip("there is no node and npm on this machine")
    digest = hashlib.sha256((SCRIPTS / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "flowglass-tests" / digest
    cache.mkdir(parents=True, exist_ok=True)
    for file in SCRIPTS.iterdir():
        shutil.copyfile(file, cache / file.name)
    if not (cache / "node_modules" / ".package-lock.json").exists():  # npm writes it last
        install(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cache)
    return cache


def install(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the SDK within four minutes")
    if done.returncode:
        pytest.skip(f"npm could not install the SDK: {done.stderr.strip().splitlines()[-1:]}")


def test_the_javascript_sdk(up: Running, javascript_sdk: Path) -> None:
    command = ["node", "flow-logs.mjs", up.url, SAMPLE_REGION, SAMPLE_VPC, BUCKET, SEED_FORMAT]
    done = subprocess.run(
        command,
        cwd=javascript_sdk,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(**keys(up)),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert re.fullmatch(r"fl-[0-9a-f]{17}", told["ids"][0])
    assert len(told["token"]) == 44
    assert told["failed"] == told["undeleted"] == []
    (found,) = told["found"]
    assert found["FlowLogId"] == told["ids"][0]
    assert found["LogFormat"] == SEED_FORMAT
    assert found["Tags"] == [{"Key": "made by", "Value": TAG}]
    assert told["missing"] == {"name": "InvalidFlowLogId.NotFound", "status": 400}
