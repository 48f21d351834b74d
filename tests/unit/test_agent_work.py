"""What the agent tells of its captures: those that wait, that are known, and that gave nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs
from tests.support.program import capture
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_INVENTORY, SAMPLE_REGION, SAMPLE_VPC, drop, traffic

from flowglass.app import log
from flowglass.app.agent.captures import CaptureFolder
from flowglass.app.agent.work import CaptureWork
from flowglass.app.config import Capture
from flowglass.app.stop import Stop
from flowglass.deliver import Spool
from flowglass.fields import LogFormat
from flowglass.fields.contracts import Destination, DestinationType, FlowLog, ResourceType, TrafficType
from flowglass.fields.errors import StateError
from flowglass.inventory import Snapshot, load

BUCKET: Final = "flowglass-logs"


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Stop()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return load(str(SAMPLE_INVENTORY))


class Bench:
    """The work of an agent with a folder and a spool; `record` gives what it told."""

    def __init__(self, folder: Path, snapshot: Snapshot, stop: Stop) -> None:
        self.captures = folder / "captures"
        self._snapshot = snapshot
        self.spool = Spool.open(folder / "spool", now_ms=lambda: 1_800_000_000_000)
        watched = CaptureFolder(self.captures)
        config = Capture(assume_accept=True)
        self.work = CaptureWork(config, watched, self.spool, log.logger("agent"), stop)

    def record(self, path: Path, *flow_logs: FlowLog) -> list[dict[str, Any]]:
        """Drop a capture, record it, and return the events but for the note of compiling."""
        drop(self.captures, path)
        with capture_logs() as told:
            for ready in self.work.ready():
                self.work.record(ready, flow_logs, self._snapshot)
        return [dict(event) for event in told if event["event"] != "compiling"]


@pytest.fixture
def bench(tmp_path: Path, snapshot: Snapshot, stop: Stop) -> Iterator[Bench]:
    made = Bench(tmp_path, snapshot, stop)
    yield made
    made.spool.close()


def flow_log(name: str = "fl-0a", traffic_type: TrafficType = TrafficType.ALL) -> FlowLog:
    return FlowLog(
        id=name,
        account=SAMPLE_ACCOUNT,
        region=SAMPLE_REGION,
        log_format=LogFormat.parse("${version} ${srcaddr} ${dstaddr} ${start} ${end} ${action} ${log-status}"),
        traffic_type=traffic_type,
        resource_type=ResourceType.VPC,
        resource_id=SAMPLE_VPC,
        destination=Destination(DestinationType.S3, BUCKET),
    )


def test_a_capture_that_waits_says_for_what(bench: Bench, tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.pcap", 0)
    (told,) = bench.record(path)
    assert (told["event"], told["log_level"]) == ("captures_wait", "warning")
    assert told["reason"].startswith("no flow log yet for this agent's inventory: create one")
    with capture_logs() as without:
        bench.work.record(path, [flow_log()], None)
    assert without[0]["reason"] == "no inventory: start with --inventory FILE, or set [agent] inventory"


def test_one_that_was_recorded_is_known(bench: Bench, tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.pcap", 0)
    (first,) = bench.record(path, flow_log())
    assert (first["event"], first["packets"]) == ("capture_recorded", 3)
    (again,) = bench.record(path, flow_log())
    assert (again["event"], again["log_level"], again["file"]) == ("capture_known", "info", "a.pcap")
    (for_another,) = bench.record(path, flow_log(), flow_log("fl-0b"))
    assert (for_another["event"], for_another["records"]) == ("capture_recorded", first["records"])
    shares = [(share.flow_log.id, share.records) for share in bench.spool.shares()]
    assert shares == [("fl-0a", first["records"]), ("fl-0b", first["records"])]


def test_one_of_nobodys_traffic_asks_for_the_inventory(bench: Bench, tmp_path: Path) -> None:
    warned, recorded = bench.record(traffic(tmp_path / "a.pcap", 0, src="192.0.2.1", dst="192.0.2.2"), flow_log())
    assert recorded["event"] == "capture_recorded"
    assert (warned["event"], warned["log_level"]) == ("capture_without_records", "warning")
    counts = {key: value for key, value in warned.items() if isinstance(value, int)}
    assert counts == {
        "packets": 3,
        "not_decoded": 0,
        "flows": 3,
        "unowned_flows": 3,
        "ambiguous_flows": 0,
        "left_out_flows": 0,
        "observations_without_flow_log": 0,
    }
    assert "inventory" in warned["remedy"]


def test_one_of_traffic_that_no_flow_log_wants_asks_for_a_flow_log(bench: Bench, tmp_path: Path) -> None:
    rejects = flow_log(traffic_type=TrafficType.REJECT)
    warned, _ = bench.record(traffic(tmp_path / "a.pcap", 0), rejects)
    assert warned["event"] == "capture_without_records"
    assert (warned["unowned_flows"], warned["observations_without_flow_log"]) == (0, 6)
    assert "flow log" in warned["remedy"]


def test_one_without_a_packet_is_a_warning(bench: Bench, tmp_path: Path) -> None:
    told = bench.record(capture(tmp_path / "a.pcap", []), flow_log())
    assert (told[0]["event"], told[0]["log_level"]) == ("capture_without_packets", "warning")
    assert told[0]["reason"] == "it holds no packet"


def test_what_is_ignored_is_told_once_and_anew_when_it_comes_again(bench: Bench) -> None:
    inner = bench.captures / "monday"
    told = []
    for there in (True, True, False, True):
        if there:
            inner.mkdir(exist_ok=True)
        else:
            inner.rmdir()
        with capture_logs() as events:
            bench.work.ready()
        told.append([(event["event"], event["log_level"], event["file"]) for event in events])
    warning = [("capture_ignored", "warning", "monday")]
    assert told == [warning, [], [], warning]


def test_a_journal_that_cannot_be_used_keeps_a_capture_waiting(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StateError("journal.db: another process has kept it locked")

    path = traffic(tmp_path / "a.pcap", 0)
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "recorded", refuse)
        (told,) = bench.record(path, flow_log())
    assert (told["event"], told["reason"]) == ("capture_waits", "journal.db: another process has kept it locked")
    assert (bench.captures / "a.pcap").exists()
    assert bench.work.ready() == []  # for a moment
