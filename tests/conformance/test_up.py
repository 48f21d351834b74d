"""`flowglass up` as people run it: what it prints, how its parts outlive each other, and how it ends.

Rule: a part is killed from outside; what happens then is seen in the log, by the API and in the files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.servers import (
    SAMPLE_INVENTORY,
    SAMPLE_VPC,
    Running,
    compile_kernels,
    drop,
    lines,
    objects,
    program,
    run,
    start,
    traffic,
    wait_for,
    wait_for_captures,
)
from tests.support.tls import certificate

LOCAL: Final = ("--listen", "127.0.0.1:0")
SHELLS: Final = [shell for shell in ("sh", "bash", "zsh") if shutil.which(shell)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo, once it has shown its records."""
    compile_kernels()
    running = shown(start(tmp_path_factory.mktemp("up") / "da ta", "up", "--demo", *LOCAL))
    yield running
    running.stop()  # a test killed it, if it ran


def shown(running: Running) -> Running:
    wait_for("the demo's records", lambda: f"demo: {running.data / 's3'}" in running.log.read_text())
    return running


def alive(number: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestGreeting:
    def test_it_prints_what_a_newcomer_needs(self, up: Running) -> None:
        said = up.log.read_text()
        assert f"flowglass listens on {up.url}; Ctrl-C ends it" in said
        assert str(up.data / "captures") in said
        assert str(up.data / "s3" / "flowglass-logs") in said
        assert str(SAMPLE_INVENTORY) in said

    @pytest.mark.parametrize("shell", SHELLS)
    def test_the_printed_line_makes_aws_talk_to_it(self, up: Running, shell: str) -> None:
        (line,) = [line for line in up.log.read_text().splitlines() if line.strip().startswith("eval ")]
        script = f"{line}\naws ec2 describe-vpcs --query 'Vpcs[].VpcId' --output text"
        # An exported key would win over the profile.
        assert run([shell, "-c", script], {"AWS_ACCESS_KEY_ID": "AKIAOLD", "AWS_SECRET_ACCESS_KEY": "x"}) == (
            f"{SAMPLE_VPC}\n"
        )

    def test_flowglass_aws_needs_no_environment(self, up: Running) -> None:
        (found,) = json.loads(program(up.data, "aws", "ec2", "describe-flow-logs", "--output", "json"))["FlowLogs"]
        assert found["ResourceId"] == SAMPLE_VPC
        assert found["LogDestination"] == "arn:aws:s3:::flowglass-logs"

    def test_the_demo_shows_what_it_delivered(self, up: Running) -> None:
        (path,) = objects(up.data)
        assert f"demo: {path}\n" in up.log.read_text()
        wait_for("one of its records", lambda: "203.0.113.200" in up.log.read_text())
        assert len(lines(path)) > 200


class TestParts:
    def test_a_killed_server_comes_back_and_callers_see_a_pause(self, up: Running) -> None:
        url, killed = up.url, up.parts["server"]
        before = up.client().describe_flow_logs()["FlowLogs"]
        os.kill(killed, signal.SIGKILL)
        assert up.client(read_timeout=60).describe_flow_logs()["FlowLogs"] == before  # a single attempt
        assert up.url == url
        assert up.parts["server"] != killed
        assert up.event("part_ended")["part"] == "server"
        assert up.event("part_ended")["exit_code"] == -signal.SIGKILL

    def test_a_killed_agent_comes_back_and_records_what_came_meanwhile(self, up: Running, tmp_path: Path) -> None:
        killed = up.parts["agent"]
        there = set(objects(up.data))
        os.kill(killed, signal.SIGKILL)
        drop(up.data / "captures", traffic(tmp_path / "meanwhile.pcap", 0))
        wait_for_captures(up, "meanwhile.pcap")
        (new,) = set(objects(up.data)) - there
        assert len(lines(new)) == 1 + 2 * 3
        assert up.parts["agent"] != killed
        assert up.process.poll() is None


class TestRefusals:
    def test_a_second_up_on_the_same_data_is_refused(self, up: Running) -> None:
        second = start(up.data, "up", *LOCAL)
        assert second.process.wait(30) == 2
        (line,) = second.log.read_text().splitlines()
        assert line == (
            f"flowglass: {up.data}: another flowglass up runs on it; end that one, or name another folder with "
            "--data-dir"
        )

    @pytest.mark.parametrize("command", ["up", "server"])
    def test_a_taken_port_is_one_clear_line(self, tmp_path: Path, command: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            running = start(tmp_path / "data", command, "--listen", address)
            assert running.process.wait(30) == 2
        last = running.log.read_text().splitlines()[-1]
        assert last == f"flowglass: {address}: Address already in use; choose another address with --listen"
        assert "Traceback" not in running.log.read_text()

    def test_a_faulty_inventory_ends_it_with_the_fault(self, tmp_path: Path) -> None:
        inventory = tmp_path / "network.yaml"
        inventory.write_text(SAMPLE_INVENTORY.read_text().replace("172.31.16.0/20", "172.31.16.0/33"))
        running = start(tmp_path / "data", "up", "--inventory", inventory, *LOCAL)
        assert running.process.wait(60) == 1
        said = running.log.read_text()
        assert "172.31.16.0/33" in said
        assert "network.yaml" in said
        assert said.splitlines()[-1].startswith("flowglass: the ")
        assert "Traceback" not in said

    def test_listening_on_every_address_needs_a_name(self, tmp_path: Path) -> None:
        chain, key = certificate(tmp_path, "127.0.0.1")
        running = start(
            tmp_path / "data",
            "up",
            *("--listen", "0.0.0.0:0"),
            FLOWGLASS_SERVER_TLS_CERTIFICATE=str(chain),
            FLOWGLASS_SERVER_TLS_KEY=str(key),
        )
        assert running.process.wait(30) == 2
        (line,) = running.log.read_text().splitlines()
        assert line.startswith("flowglass: [server] url: ")


class TestEnd:
    def test_its_parts_end_when_it_is_killed_and_the_next_one_goes_on_and_ends_in_order(self, up: Running) -> None:
        parts = up.parts
        there = {path: path.read_bytes() for path in objects(up.data)}
        up.kill()
        wait_for("the parts' end", lambda: not any(alive(part) for part in parts.values()))

        again = shown(start(up.data, "up", "--demo", *LOCAL))
        assert {path: path.read_bytes() for path in objects(up.data)} == there
        again.event("agent_started")
        assert not again.events("enrolled")
        check_end(again, signal.SIGINT)

    def test_a_lost_state_is_begun_anew(self, tmp_path: Path, up: Running) -> None:
        """The agent that the lost one knew is nobody's then, and enrols again."""
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        shutil.copyfile(up.data / "agent.json", data / "agent.json")
        running = start(data, "up", "--inventory", SAMPLE_INVENTORY, *LOCAL)
        running.event("enrolled")
        assert wait_for("the inventory", lambda: running.client().describe_vpcs()["Vpcs"])[0]["VpcId"] == SAMPLE_VPC
        check_end(running, signal.SIGTERM)

    def test_it_ends_at_once_when_asked_while_it_starts(self, tmp_path: Path) -> None:
        running = start(tmp_path / "data", "up", *LOCAL)
        wait_for("its server's process", lambda: running.parts)
        parts = running.parts
        assert running.stop() == 0
        assert not any(alive(part) for part in parts.values())


def check_end(running: Running, number: signal.Signals) -> None:
    """It ends its parts in order, then itself, and finds no fault in that."""
    parts = running.parts
    assert set(parts) == {"server", "agent"}
    assert running.stop(number) == 0
    assert not any(alive(part) for part in parts.values())
    events = [event["event"] for event in running.events()]
    assert events[-2:] == ["agent_stopped", "server_stopped"]
    assert "part_ended" not in events
    assert "Traceback" not in running.log.read_text()
