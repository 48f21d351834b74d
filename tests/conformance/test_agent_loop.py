"""Agents beside their server: how they enrol, what they do with inventories and captures, and how they live without it.

Rule: server and agents are processes with DATA of their own, as on machines of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from tests.support.servers import (
    SAMPLE_CAPTURE,
    SAMPLE_INVENTORY,
    SAMPLE_VPC,
    Running,
    compile_kernels,
    drop,
    free_port,
    lines,
    make_bucket,
    make_token,
    objects,
    program,
    start,
    traffic,
    wait_for,
    wait_for_captures,
)
from tests.support.tls import certificate

from flowglass.app.agent.run import TICK_S

BUCKET: Final = "flowglass-logs"
OTHER_ACCOUNT: Final = "210987654321"
OTHER: Final = """
account: "210987654321"
region: us-east-1
vpcs: [{id: vpc-0000000b, cidrs: [10.0.0.0/16]}]
subnets: [{id: subnet-0000000b, vpc: vpc-0000000b, cidr: 10.0.0.0/24, zone: use1-az1}]
interfaces:
  - {id: eni-0000000b, subnet: subnet-0000000b, ipv4: [10.0.0.1]}
"""
NAMES: Final = [
    "two\nlines.pcap",
    "-rf --help.pcap",
    "$(touch owned) `;'\".pcap",
    os.fsdecode(b"\xff\xfe not utf-8.pcap"),
    "\x1b[2J.pcap",
    "x" * 250 + ".pcap",
    "schöner Name.pcap",
]
"""Names that files may have."""
UNKNOWN_TOKEN: Final = "FGAKAAAAAAAAAAAAAAAA.x"  # noqa: S105, nobody's
NEW_INTERFACE: Final = """
  - {id: eni-0a1b2c3d4e5f60007, subnet: subnet-0c3d4e5f607182930, ipv4: [172.31.40.50]}
"""


@dataclass(slots=True)
class Site:
    """A server, and the agent of the sample network with a folder of captures of its own."""

    folder: Path
    port: int
    server: Running
    agent: Running
    flow_log: str

    @property
    def captures(self) -> Path:
        return self.folder / "captures"

    @property
    def inventory(self) -> Path:
        return self.folder / "network.yaml"

    def seen(self, action: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """What a Describe lists."""
        return list(getattr(self.server.client(), action)(**parameters)[key])

    def recorded(self, path: Path, name: str | None = None) -> list[str]:
        """The lines of the one new object that a capture gives, without the header."""
        there = set(objects(self.agent.data))
        drop(self.captures, path, name)
        wait_for_captures(self.agent, name or path.name)
        (new,) = set(objects(self.agent.data)) - there
        return lines(new)[1:]


def start_server(folder: Path, port: int, *arguments: str, **environment: str) -> Running:
    running = start(folder / "server", "server", "--listen", f"127.0.0.1:{port}", *arguments, **environment)
    running.event("server_started")
    return running


def start_agent(data: Path, server: Running, inventory: Path, captures: Path, **environment: str) -> Running:
    """An agent that enrols."""
    running = start(
        data,
        "agent",
        *("--server", server.url, "--inventory", inventory, "--watch", captures),
        FLOWGLASS_AGENT_TOKEN=make_token(server.data),
        FLOWGLASS_AGENT_POLL_S="1",
        **environment,
    )
    running.event("enrolled")
    return running


def create(client: Any, resource: str, kind: str = "VPC") -> str:
    answer = client.create_flow_logs(
        ResourceType=kind,
        ResourceIds=[resource],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{BUCKET}",
        MaxAggregationInterval=60,
    )
    assert answer["Unsuccessful"] == []
    return str(answer["FlowLogIds"][0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server, an agent with a copy of the sample inventory, and a flow log of its VPC."""
    compile_kernels()
    folder = tmp_path_factory.mktemp("agents")
    shutil.copyfile(SAMPLE_INVENTORY, folder / "network.yaml")
    port = free_port()
    server = start_server(folder, port)
    agent = start_agent(folder / "agent", server, folder / "network.yaml", folder / "captures")
    wait_for("the inventory", lambda: server.client().describe_vpcs()["Vpcs"])
    made = Site(folder, port, server, agent, create(server.client(), SAMPLE_VPC))
    agent.event("flow_log_added")
    yield made
    assert made.agent.stop() == 0
    assert made.server.stop() == 0


class TestEnrolment:
    def test_a_token_is_good_for_one_agent(self, site: Site, tmp_path: Path) -> None:
        token = program(site.server.data, "keys", "token").strip()
        first = start(tmp_path / "first", "agent", "--server", site.server.url, FLOWGLASS_AGENT_TOKEN=token)
        first.event("enrolled")
        assert first.stop() == 0
        again = start(tmp_path / "first", "agent", "--server", site.server.url)
        again.event("agent_started")
        second = start(tmp_path / "second", "agent", "--server", site.server.url, FLOWGLASS_AGENT_TOKEN=token)
        assert second.process.wait(30) == 2
        said = second.log.read_text()
        assert "AuthFailure" in said
        assert "flowglass keys token" in said
        assert "Traceback" not in said
        assert not (tmp_path / "second" / "agent.json").exists()
        assert again.stop() == 0  # it has its own key and needed no token
        for running in (first, again, second):
            assert token.partition(".")[2] not in running.log.read_text()

    @pytest.mark.parametrize(
        ("token", "said"),
        [
            ("", "FLOWGLASS_AGENT_TOKEN"),
            ("nonsense", "flowglass keys token"),
            (UNKNOWN_TOKEN, "AuthFailure"),
        ],
    )
    def test_without_a_token_of_the_server_there_is_no_agent(
        self, site: Site, tmp_path: Path, token: str, said: str
    ) -> None:
        running = start(tmp_path / "nobody", "agent", "--server", site.server.url, FLOWGLASS_AGENT_TOKEN=token)
        assert running.process.wait(30) == 2
        last = running.log.read_text().splitlines()[-1]
        assert last.startswith("flowglass: ")
        assert said in last

    def test_one_data_has_one_agent(self, site: Site) -> None:
        second = start(site.agent.data, "agent", "--server", site.server.url)
        assert second.process.wait(30) == 2
        assert "another flowglass agent runs on it" in second.log.read_text()


class TestBuckets:
    def test_the_first_is_made_by_the_server_and_by_the_agent_that_learns_of_its_flow_log(self, site: Site) -> None:
        made = site.agent.event("bucket_made")
        assert (made["bucket"], made["flow_log"]) == (BUCKET, site.flow_log)
        for data in (site.server.data, site.agent.data):
            assert BUCKET in program(data, "buckets", "list")


class TestCaptures:
    def test_a_capture_of_nobodys_traffic_is_a_warning_with_its_counts(self, site: Site, tmp_path: Path) -> None:
        foreign = traffic(tmp_path / "foreign.pcap", 90_000, src="192.0.2.1", dst="192.0.2.2")
        drop(site.captures, foreign)
        warned = site.agent.event("capture_without_records")
        assert warned["level"] == "warning"
        assert (warned["file"], warned["packets"], warned["flows"]) == ("foreign.pcap", 3, 3)
        assert (warned["unowned_flows"], warned["not_decoded"]) == (3, 0)

    def test_what_is_not_taken_is_told_once(self, site: Site) -> None:
        (site.captures / "a-folder").mkdir()
        empty = site.captures / "empty.pcap"
        empty.touch()
        os.utime(empty, (0, 0))
        wait_for("both", lambda: len(site.agent.events("capture_ignored")) == 2)
        time.sleep(3 * TICK_S)
        assert {event["file"] for event in site.agent.events("capture_ignored")} == {"a-folder", "empty.pcap"}
        assert len(site.agent.events("capture_ignored")) == 2
        empty.unlink()

    def test_a_file_that_is_still_written_to_waits_until_it_is_closed(self, site: Site, tmp_path: Path) -> None:
        content = traffic(tmp_path / "whole.pcap", 100).read_bytes()
        growing = site.captures / "growing.pcap"
        with growing.open("wb") as file:
            for part in (content[:70], content[70:-10], content[-10:]):
                file.write(part)
                file.flush()
                time.sleep(2.5 * TICK_S)  # it looked at least twice
                assert growing.exists()
        wait_for_captures(site.agent, growing.name)
        assert not growing.exists()
        assert (kept(site, growing.name)).read_bytes() == content

    def test_a_damaged_capture_is_recorded_up_to_the_damage(self, site: Site, tmp_path: Path) -> None:
        cut = tmp_path / "cut.pcap"
        whole = traffic(cut, 400, packets=4).read_bytes()
        cut.write_bytes(whole[:-5])
        records = site.recorded(cut)
        assert len(records) == 2 * 3  # the last of four packets is cut
        assert kept(site, "cut.pcap").read_bytes() == whole[:-5]
        assert "cut.pcap" in site.agent.event("capture_damaged")["reason"]

    @pytest.mark.parametrize("content", [b"no capture at all, but long enough", b"\xd4\xc3\xb2\xa1", b"\n"])
    def test_what_is_no_capture_goes_to_failed(self, site: Site, content: bytes) -> None:
        name = f"nonsense-{len(content)}.pcap"
        (site.captures / name).write_bytes(content)
        wait_for("the refusal", lambda: [e for e in site.agent.events("capture_refused") if e["file"] == name])
        (there,) = (site.captures / "failed").glob(f"*{name}")
        assert there.read_bytes() == content
        assert not (site.captures / name).exists()

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_is_only_a_name(self, site: Site, tmp_path: Path, name: str) -> None:
        there = set(objects(site.agent.data))
        drop(site.captures, traffic(tmp_path / "plain.pcap", 10_000 + 600 * NAMES.index(name)), name)
        wait_for("its records", lambda: set(objects(site.agent.data)) - there)
        wait_for("its leaving", lambda: not (site.captures / name).exists())
        assert len(site.agent.log.read_bytes().splitlines()) == len(site.agent.events())

    def test_what_is_no_file_stays_untouched(self, site: Site, tmp_path: Path) -> None:
        os.mkfifo(site.captures / "pipe.pcap")
        (site.captures / "folder.pcap").mkdir()
        (site.captures / ".hidden.pcap").write_bytes(SAMPLE_CAPTURE.read_bytes())
        assert len(site.recorded(traffic(tmp_path / "beside.pcap", 20_000))) == 2 * 3
        for name in ("pipe.pcap", "folder.pcap", ".hidden.pcap"):
            assert (site.captures / name).exists()


def kept(site: Site, name: str) -> Path:
    """Where a recorded capture lies."""
    (path,) = (site.captures / "done").glob(f"*-{name}")
    return path


class TestInventory:
    def test_a_new_interface_joins_the_flow_logs_of_its_vpc(self, site: Site, tmp_path: Path) -> None:
        before = site.seen("describe_network_interfaces", "NetworkInterfaces")
        text = site.inventory.read_text()
        unknown = traffic(tmp_path / "stranger.pcap", 30_000, src="172.31.40.50", dst="198.51.100.7")
        drop(site.captures, unknown)
        assert wait_for_captures(site.agent, unknown.name)["records"] == 0

        site.inventory.write_text(text + NEW_INTERFACE)
        records = site.recorded(traffic(tmp_path / "known.pcap", 31_000, src="172.31.40.50", dst="198.51.100.7"))

        assert {line.split(" ")[2] for line in records} == {"eni-0a1b2c3d4e5f60007"}
        assert len(records) == 3
        added = [
            row
            for row in site.seen("describe_network_interfaces", "NetworkInterfaces")
            if row["NetworkInterfaceId"] not in {old["NetworkInterfaceId"] for old in before}
        ]
        assert [(row["NetworkInterfaceId"], row["PrivateIpAddress"], row["VpcId"]) for row in added] == [
            ("eni-0a1b2c3d4e5f60007", "172.31.40.50", SAMPLE_VPC)
        ]
        site.inventory.write_text(text)
        wait_for(
            "its leaving", lambda: len(site.seen("describe_network_interfaces", "NetworkInterfaces")) == len(before)
        )

    def test_a_faulty_edit_is_told_and_changes_nothing(self, site: Site, tmp_path: Path) -> None:
        before = site.seen("describe_subnets", "Subnets")
        text = site.inventory.read_text()
        site.inventory.write_text(text.replace("cidr: 172.31.16.0/20", "cidr: 172.31.16.0/33"))
        fault = site.agent.event("inventory_fault")
        assert "172.31.16.0/33" in fault["reason"]
        assert "network.yaml" in fault["reason"]
        assert len(site.recorded(traffic(tmp_path / "goes-on.pcap", 40_000))) == 2 * 3
        assert site.seen("describe_subnets", "Subnets") == before
        site.inventory.write_text(text)
        told = len(site.agent.events("inventory_fault"))
        site.agent.event("inventory_read", count=len(site.agent.events("inventory_read")) + 1)
        assert len(site.agent.events("inventory_fault")) == told

    def test_the_server_shows_the_union_of_its_agents_and_each_records_its_own(
        self, site: Site, tmp_path: Path
    ) -> None:
        inventory = tmp_path / "other.yaml"
        inventory.write_text(OTHER)
        other = start_agent(tmp_path / "other", site.server, inventory, tmp_path / "captures")
        wait_for("its VPC", lambda: site.server.client(region="us-east-1").describe_vpcs()["Vpcs"])
        assert [row["VpcId"] for row in site.seen("describe_vpcs", "Vpcs")] == [SAMPLE_VPC]
        made = create(site.server.client(region="us-east-1"), "vpc-0000000b")
        other.event("flow_log_added")

        drop(tmp_path / "captures", traffic(tmp_path / "here.pcap", 0, src="10.0.0.1", dst="203.0.113.9"))
        wait_for_captures(other, "here.pcap")
        (path,) = objects(other.data)
        assert f"AWSLogs/{OTHER_ACCOUNT}/vpcflowlogs/us-east-1/" in str(path)
        assert made in path.name
        assert [event["flow_log"] for event in other.events("flow_log_added")] == [made]
        assert made not in [event["flow_log"] for event in site.agent.events("flow_log_added")]
        assert other.stop() == 0


class TestOutage:
    def test_an_agent_works_on_while_its_server_is_away_and_reports_afterwards(
        self, site: Site, tmp_path: Path
    ) -> None:
        site.server.kill()
        site.agent.event("server_away")
        assert len(site.recorded(traffic(tmp_path / "alone.pcap", 50_000))) == 2 * 3
        assert site.agent.stop() == 0
        site.agent = start(
            site.agent.data,
            "agent",
            *("--server", f"http://127.0.0.1:{site.port}", "--inventory", site.inventory, "--watch", site.captures),
            FLOWGLASS_AGENT_POLL_S="1",
        )
        away = site.agent.event("server_away")
        assert away["known_flow_logs"] == 1
        assert len(site.recorded(traffic(tmp_path / "after-restart.pcap", 51_000))) == 2 * 3
        shutil.rmtree(site.agent.data / "s3" / BUCKET)
        (site.agent.data / "buckets" / f"{BUCKET}.json").unlink()
        drop(site.captures, traffic(tmp_path / "no-bucket.pcap", 52_000))
        site.agent.event("delivery_failed")

        site.server = start_server(site.folder, site.port)
        site.agent.event("server_back")

        def state() -> tuple[str, str | None]:
            (row,) = site.seen("describe_flow_logs", "FlowLogs")
            assert row["FlowLogId"] == site.flow_log
            return row["DeliverLogsStatus"], row.get("DeliverLogsErrorMessage")

        wait_for("the report", lambda: state() == ("FAILED", "Access error"))
        make_bucket(site.agent.data, BUCKET)
        wait_for_captures(site.agent, "no-bucket.pcap")
        wait_for("the next report", lambda: state() == ("SUCCESS", None))

    def test_an_agent_without_its_inventory_leaves_what_the_server_knows(self, tmp_path: Path) -> None:
        server = start_server(tmp_path, 0)
        agent = start_agent(tmp_path / "agent", server, SAMPLE_INVENTORY, tmp_path / "captures")
        wait_for("the inventory", lambda: server.client().describe_vpcs()["Vpcs"])
        flow_log = create(server.client(), SAMPLE_VPC)
        assert agent.stop() == 0
        again = start(tmp_path / "agent", "agent", "--server", server.url, "--watch", tmp_path / "captures")
        again.event("no_inventory")
        seen = server.client().describe_flow_logs
        wait_for("its contact", lambda: "report" in next((server.data / "audit").glob("*.jsonl")).read_text())
        time.sleep(3 * TICK_S)
        assert [row["FlowLogId"] for row in seen()["FlowLogs"]] == [flow_log]
        assert again.events("flow_log_removed") == []
        assert again.stop() == 0
        assert server.stop() == 0
        told_region = (server.data / "aws" / "config").read_text()
        server = start_server(tmp_path, 0)
        assert "region = eu-west-1" in told_region
        assert "region = eu-west-1" in (server.data / "aws" / "config").read_text()
        assert server.stop() == 0


class TestState:
    def test_what_it_is_told_by_its_path_and_its_loss_in_one_line_a_request(self, tmp_path: Path) -> None:
        server = start_server(tmp_path, 0)
        state = server.data / "state.db"
        assert server.event("server_started")["state"] == f"sqlite:///{state}"
        server.client().describe_flow_logs()
        for path in server.data.glob("state.db*"):
            path.write_bytes(b"no database " * 10_000)
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            server.client().describe_flow_logs()
        failed = server.event("request_failed")
        assert "exception" not in failed
        assert str(state) in failed["reason"]
        assert "Traceback" not in server.log.read_text()
        assert server.stop() == 0


class TestTls:
    def test_agents_and_the_aws_cli_check_the_servers_certificate(self, tmp_path: Path) -> None:
        chain, key = certificate(tmp_path, "127.0.0.1")
        server = start_server(
            tmp_path, 0, FLOWGLASS_SERVER_TLS_CERTIFICATE=str(chain), FLOWGLASS_SERVER_TLS_KEY=str(key)
        )
        assert server.url.startswith("https://127.0.0.1:")
        inventory = SAMPLE_INVENTORY
        agent = start_agent(
            tmp_path / "agent", server, inventory, tmp_path / "captures", FLOWGLASS_AGENT_TLS_CA=str(chain)
        )
        query = ("--query", "Vpcs[].VpcId", "--output", "text")
        wait_for(
            "the inventory by the AWS CLI",
            lambda: program(server.data, "aws", "ec2", "describe-vpcs", *query).strip() == SAMPLE_VPC,
        )
        stranger = start(tmp_path / "stranger", "agent", "--server", server.url, FLOWGLASS_AGENT_TOKEN=UNKNOWN_TOKEN)
        assert "[agent] tls_ca" in stranger.event("server_away")["reason"]
        for running in (stranger, agent, server):
            assert running.stop(signal.SIGINT) == 0

    def test_another_address_than_loopback_needs_tls(self, tmp_path: Path) -> None:
        running = start(tmp_path / "open", "server", "--listen", "0.0.0.0:0")
        assert running.process.wait(30) == 5
        assert "needs TLS" in running.log.read_text()
