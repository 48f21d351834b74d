"""`flowglass spool` as people run it, on spools with records in them, beside an agent's delivery and without one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.program import Ran
from tests.support.records import flow_log
from tests.support.services import SeaweedFS
from tests.support.spooled import PERIOD_S, Clock, Heard, Places, ScriptedOutlet, delivered_bytes, record, wait_until

from flowglass.app import verified
from flowglass.app.cli.main import main
from flowglass.app.config import load_config
from flowglass.app.deliveries import rules
from flowglass.deliver import Delivery, DestinationRules, Fault, Finding, LocalStore, Outlets, Report, Spool, SpoolView
from flowglass.deliver.spool.model import StagedObject, Unit
from flowglass.fields.contracts import Destination, DestinationType, FinishedObject, FlowLog
from flowglass.fields.errors import DestinationRefused

LOCAL: Final = flow_log(id="fl-00000001", destination=Destination(DestinationType.S3, "logs"))
REMOTE: Final = flow_log(id="fl-00000002", destination=Destination(DestinationType.S3, "team-logs"))
LATER_S: Final = PERIOD_S + 300
NEXT_DAY: Final = "2018-06-21"
DENIED: Final = DestinationRefused("bucket team-logs: AccessDenied; grant s3:PutObject")

Call = Callable[..., Ran]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """DATA in which one bucket is real and one is local."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text('[buckets.team-logs]\nendpoint = "http://127.0.0.1:9"\n')
    return folder


@pytest.fixture
def call(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`flowglass spool` within this process."""
    monkeypatch.setenv("FLOWGLASS_DATA_DIR", str(data))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["flowglass", "spool", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


@contextmanager
def opened(data: Path) -> Iterator[Spool]:
    """The spool of DATA, at the time of its records."""
    spool = Spool.open(data / "spool", now_ms=Clock().now_ms)
    try:
        yield spool
    finally:
        spool.close()


@contextmanager
def delivering(spool: Spool, outlet: ScriptedOutlet) -> Iterator[Heard]:
    """What an agent does: it delivers, and takes requests."""
    heard = Heard()
    delivery = Delivery(
        spool,
        Places({LOCAL.id: outlet, REMOTE.id: outlet}),
        now_ms=lambda: (PERIOD_S + 3600) * 1000,
        told=heard,
        chance=lambda: 1000.0,  # so that nothing is tried again by itself while a test waits
    )
    delivery.start()
    try:
        yield heard
    finally:
        delivery.stop(0.0)


def staged(spool: Spool, shares: Sequence[Any]) -> Unit:
    """A unit with an object that is built and not put."""
    unit = spool.assign(shares)
    stage = spool.stage()
    temp = stage.open_temp()
    temp.write(b"content")
    finished = FinishedObject(str(temp.path), "key", temp.sha256(), PERIOD_S, PERIOD_S, unit.shares[0].records, 7)
    stage.put(finished)
    temp.close()
    return spool.staged(unit, [StagedObject(number=0, finished=stage.objects[0], period_start_s=PERIOD_S)])


class TestList:
    def test_without_a_spool_nothing_waits(self, call: Call) -> None:
        assert call("list").out == "0 records wait; the spool has 0 bytes; no agent runs\n"
        assert call("list", "--json").json() == {"agent_runs": False, "size_bytes": 0, "waiting": [], "damaged": []}

    def test_every_state_is_told_with_destination_and_error(self, call: Call, data: Path) -> None:
        with opened(data) as spool:
            for first, log in enumerate((LOCAL, LOCAL, REMOTE, REMOTE)):
                record(spool, log, PERIOD_S + 300 * first, 10 + first, first=first)
            shares = spool.shares()
            staged(spool, shares[1:2])
            spool.sending(spool.assign(shares[2:3]), 0)
            spool.drop(before_s=LATER_S)
            spool.failed(REMOTE.id, "Access error", str(DENIED))
            found = call("list", "--json").json()
        assert found["agent_runs"] is True
        rows = {(one["flow_log"], one["destination"], one["period_start_s"], one["state"]) for one in found["waiting"]}
        assert rows == {
            (LOCAL.id, "local:s3/logs", PERIOD_S, "skipped"),
            (LOCAL.id, "local:s3/logs", PERIOD_S + 300, "staged"),
            (REMOTE.id, "s3://team-logs", PERIOD_S + 600, "sending"),
            (REMOTE.id, "s3://team-logs", PERIOD_S + 900, "waiting"),
        }
        assert {one["error"] for one in found["waiting"] if one["flow_log"] == REMOTE.id} == {str(DENIED)}
        by_state = {one["state"]: one for one in found["waiting"]}
        assert [by_state[name]["records"] for name in ("skipped", "staged", "sending", "waiting")] == [2, 11, 12, 13]
        assert by_state["staged"]["size_bytes"] == 7
        assert by_state["waiting"]["oldest_ms"] == PERIOD_S * 1000

    def test_people_get_a_table_and_a_sum(self, call: Call, data: Path) -> None:
        with opened(data) as spool:
            record(spool, [LOCAL, REMOTE], PERIOD_S, 1200)
        (data / "spool" / "damaged" / "0123.arrow").write_bytes(b"x" * 1500)
        shown = call("list").out
        assert shown.count("2018-06-20T16:20:00Z") == 2
        assert "s3://team-logs" in shown
        assert f"damaged: {data}/spool/damaged/0123.arrow" in shown
        assert shown.splitlines()[-1].startswith("2,400 records wait; the spool has ")


class TestRetry:
    def test_without_an_agent_its_next_start_does_it(self, call: Call, data: Path) -> None:
        assert call("retry").out == "nothing waits\n"
        with opened(data) as spool:
            record(spool, LOCAL, PERIOD_S)
        assert call("retry").out == f"no agent runs on {data}; its next start tries everything at once\n"

    def test_what_nothing_waits_for_is_refused(self, call: Call, data: Path) -> None:
        with opened(data) as spool:
            record(spool, LOCAL, PERIOD_S)
        ran = call("retry", "s3://other")
        assert ran.code == 2
        assert ran.err == "flowglass: s3://other: nothing waits for it; `flowglass spool list` prints what does\n"

    @pytest.mark.parametrize("what", [(), (REMOTE.id,), ("s3://team-logs",)])
    def test_a_running_agent_tries_at_once(self, call: Call, data: Path, what: Sequence[str]) -> None:
        broken = [True]

        def work(_: Unit) -> None:
            if broken[0]:
                raise DENIED

        with opened(data) as spool:
            record(spool, REMOTE, PERIOD_S)
            outlet = ScriptedOutlet(spool=spool, name="s3://team-logs", work=work)
            with delivering(spool, outlet) as heard:
                wait_until(lambda: "delivery_failed" in heard.names())
                broken[0] = False
                ran = call("retry", *what)
                assert (ran.code, ran.err) == (0, "")
                assert ran.out == "1 waits ended\n"
                wait_until(lambda: "delivery_recovered" in heard.names())
                assert not spool.units()


class TestDrop:
    def test_one_thing_is_named(self, call: Call) -> None:
        for arguments in ([], [LOCAL.id, "--damaged"], ["--before", NEXT_DAY, "--damaged"]):
            ran = call("drop", *arguments)
            assert (ran.code, ran.err.count("\n")) == (2, 1)
            assert "name one thing to give up" in ran.err

    def test_nothing_is_given_up_where_nothing_waits(self, call: Call, data: Path) -> None:
        with opened(data) as spool:
            record(spool, LOCAL, PERIOD_S)
        for arguments in ([REMOTE.id], ["--before", "2018-06-20T16:20:00Z"], ["--damaged"]):
            assert call("drop", *arguments).out == "there is nothing to give up\n"
        assert call("list", "--json").json()["waiting"][0]["state"] == "waiting"

    def test_nobody_is_asked_where_nobody_is(self, call: Call, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
        with opened(data) as spool:
            record(spool, LOCAL, PERIOD_S, 1500)
        ran = call("drop", LOCAL.id)
        assert ran.code == 2
        assert "give up 1,500 records; SKIPDATA records take their place? Say --yes" in ran.err
        assert call("list", "--json").json()["waiting"][0]["state"] == "waiting"

    @pytest.mark.parametrize(
        ("answer", "state"), [("y\n", "skipped"), ("n\n", "waiting"), ("\n", "waiting"), ("", "waiting")]
    )
    def test_a_person_is_asked(
        self, call: Call, data: Path, monkeypatch: pytest.MonkeyPatch, answer: str, state: str
    ) -> None:
        monkeypatch.setattr("sys.stdin", _Terminal(answer))
        with opened(data) as spool:
            record(spool, LOCAL, PERIOD_S)
        ran = call("drop", LOCAL.id)
        assert ran.err == "give up 10 records; SKIPDATA records take their place? [y/N] "
        assert call("list", "--json").json()["waiting"][0]["state"] == state

    def test_without_an_agent_the_command_does_it_and_it_is_counted(self, call: Call, data: Path) -> None:
        with opened(data) as spool:
            record(spool, [LOCAL, REMOTE], PERIOD_S, 20)
            record(spool, REMOTE, LATER_S, 7)
        assert call("drop", "--before", "2018-06-20T16:25:00Z", "--yes").out == "40 records given up\n"
        view = SpoolView.open(data / "spool")
        assert sorted((one.flow_log_id, one.dropped) for one in view.statuses) == [(LOCAL.id, 20), (REMOTE.id, 20)]
        assert call("drop", REMOTE.id, "--yes").out == "7 records and 2 SKIPDATA records given up\n"
        assert view.counters["records_dropped"] == 40
        assert SpoolView.open(data / "spool").counters["records_dropped"] == 47

    def test_given_up_again_the_skipdata_records_go_and_that_is_asked(
        self, call: Call, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with opened(data) as spool:
            record(spool, LOCAL, PERIOD_S, 20)
            spool.drop()
            record(spool, LOCAL, LATER_S, 7)
        monkeypatch.setattr("sys.stdin", _Terminal("n\n"))
        asked = call("drop", LOCAL.id).err
        assert asked.startswith("give up 7 records; SKIPDATA records take their place; and 2 SKIPDATA records; nothing")
        monkeypatch.setattr("sys.stdin", _Terminal("y\n"))
        ran = call("drop", "--before", "2018-06-20T16:25:00Z")
        assert ran.err == "give up 2 SKIPDATA records; nothing takes their place? [y/N] "
        assert ran.out == "2 SKIPDATA records given up\n"

    def test_damaged_files_are_removed(self, call: Call, data: Path) -> None:
        with opened(data):
            pass
        file = data / "spool" / "damaged" / "0123.arrow"
        file.write_bytes(b"x")
        assert call("drop", "--damaged", "--yes").out == "1 damaged files removed\n"
        assert not file.exists()

    def test_a_running_agent_does_it(self, call: Call, data: Path) -> None:
        def work(_: Unit) -> None:
            raise DENIED

        with opened(data) as spool:
            record(spool, REMOTE, PERIOD_S, 20)
            with delivering(spool, ScriptedOutlet(spool=spool, work=work)):
                assert call("drop", REMOTE.id, "--yes").out == "20 records given up\n"
            assert spool.counters()["records_dropped"] == 20

    @pytest.mark.parametrize("before", ["yesterday", "2018-13-01", "99999-01-01", ""])
    def test_a_time_that_is_none(self, call: Call, before: str) -> None:
        ran = call("drop", "--before", before)
        assert ran.code == 2
        assert ran.err == f"flowglass: --before {before}: is a day or a time, as 2026-01-31 or 2026-01-31T12:00:00Z\n"


class _Terminal:
    """Somebody who answers."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


def deliver(data: Path, log: FlowLog, rules: DestinationRules, first: int = 0) -> None:
    """Two objects of a flow log, delivered as the agent does."""
    with opened(data) as spool:
        for number in range(first, first + 2):
            record(spool, log, PERIOD_S + 300 * number, first=10 * number)
        now_ms = Clock().now_ms
        outlets = Outlets(spool, LocalStore(data), rules)
        delivery = Delivery(spool, outlets, now_ms=now_ms, told=Heard())
        delivery.start()
        delivery.stop(20.0)
        assert (spool.shares(), spool.units()) == ([], [])


@pytest.fixture
def delivered(data: Path) -> Path:
    """DATA with two objects in its local bucket."""
    LocalStore(data).create_bucket("logs", 0)
    deliver(data, LOCAL, DestinationRules())
    assert delivered_bytes(data / "s3" / "logs") == list(range(20))
    return data


def objects(data: Path) -> list[Path]:
    return sorted((data / "s3" / "logs").rglob("*.log.gz"))


class TestVerify:
    def test_all_as_delivered(self, call: Call, delivered: Path) -> None:
        ran = call("verify")
        assert (ran.code, ran.out) == (0, "2 objects of 1 manifest looked at: all as delivered\n")
        assert call("verify", LOCAL.id, "--json").json() == {"manifests": 1, "objects": 2, "findings": []}

    def test_a_flow_log_of_which_nothing_was_delivered(self, call: Call, delivered: Path) -> None:
        ran = call("verify", REMOTE.id)
        assert ran.code == 2
        assert ran.err == (
            f"flowglass: {REMOTE.id}: there is no manifest of it in {delivered}, so nothing that could be compared\n"
        )

    def test_changed_removed_and_added_objects_and_lines_are_named(self, call: Call, delivered: Path) -> None:
        first, second = objects(delivered)
        first.chmod(0o600)
        first.write_bytes(first.read_bytes() + b"\0")
        strange = second.with_name(second.name[:-15] + "00000000.log.gz")
        second.rename(strange)
        (manifest,) = (delivered / "manifests" / LOCAL.id).glob("*.jsonl")
        manifest.write_bytes(manifest.read_bytes().replace(b'"records":10', b'"records":11', 1))
        ran = call("verify", "--json")
        assert ran.code == 1
        found = {(one["fault"], one["flow_log_id"], one["where"].rpartition("/")[2]) for one in ran.json()["findings"]}
        assert found == {
            ("changed", LOCAL.id, first.name),
            ("removed", LOCAL.id, second.name),
            ("added", LOCAL.id, strange.name),
            ("chain broken", LOCAL.id, f"{manifest.name}:2"),
        }
        table = call("verify")
        assert table.code == 1
        assert table.out.endswith("2 objects of 1 manifest looked at: 4 faults\n")
        assert all(name in table.out for name in (first.name, strange.name, "it does not follow the line before it"))

    def test_a_manifest_that_vanished_with_an_object_and_a_file_of_no_name_are_found(
        self, call: Call, delivered: Path
    ) -> None:
        deliver(delivered, LOCAL, DestinationRules(), first=2)
        assert call("verify").out == "4 objects of 1 manifest looked at: all as delivered\n"
        (manifest,) = (delivered / "manifests" / LOCAL.id).glob("*.jsonl")
        gone = objects(delivered)[0]
        manifest.unlink()
        for path in objects(delivered):
            path.unlink()
        gone.with_name("evil.log.gz").write_bytes(b"added")
        ran = call("verify", "--json")
        assert ran.code == 1
        found = {(one["fault"], one["where"].rpartition("/")[2]) for one in ran.json()["findings"]}
        assert {("chain broken", manifest.name), ("added", "evil.log.gz")} < found
        assert "removed" in {fault for fault, _ in found}

    def test_objects_of_another_flow_log_are_told_and_no_fault(self, call: Call, delivered: Path) -> None:
        first = objects(delivered)[0]
        first.with_name(first.name.replace(LOCAL.id, "fl-99999999")).write_bytes(b"another's")
        ran = call("verify")
        assert ran.code == 0
        assert ran.out.endswith("2 objects of 1 manifest looked at: all as delivered\n")
        assert "of no flow log known here" in ran.out
        assert call("verify", LOCAL.id, "--json").json()["findings"][0]["flow_log_id"] == "fl-99999999"

    def test_an_object_whose_line_comes_a_moment_later_was_not_added(self, monkeypatch: pytest.MonkeyPatch) -> None:
        late, real = (Finding(Fault.ADDED, LOCAL.id, name) for name in ("late", "real"))
        new, gone = late._replace(where="new"), Finding(Fault.REMOVED, LOCAL.id, "gone")
        soon, others = (Finding(Fault.UNKNOWN, one.id, "root", "objects: 1") for one in (LOCAL, REMOTE))
        more = others._replace(what="objects: 2")
        looks = [Report(1, 9, [late, real, soon, others]), Report(1, 10, [real, new, gone, more])]
        monkeypatch.setattr(verified, "verify_objects", lambda *_: looks.pop(0))
        assert verified.verified(Path("absent"), DestinationRules(), None).findings == [real, gone, more]

    def test_objects_of_a_real_bucket(
        self, call: Call, data: Path, s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.key.secret)
        log = flow_log(destination=Destination(DestinationType.S3, "verified-logs"))
        s3_server.make_bucket("verified-logs")
        text = f'[buckets.verified-logs]\nendpoint = "{s3_server.url}"\naddressing = "path"\n'
        (data / "config.toml").write_text(text)
        deliver(data, log, rules(load_config(data, environ={})))
        ran = call("verify")
        assert (ran.code, ran.out) == (0, "2 objects of 1 manifest looked at: all as delivered\n")
        client = s3_server.client()
        first, second = (one["Key"] for one in client.list_objects_v2(Bucket="verified-logs")["Contents"])
        client.put_object(Bucket="verified-logs", Key=first, Body=b"other")
        client.copy_object(
            Bucket="verified-logs", Key=f"{second[:-15]}00000000.log.gz", CopySource=f"verified-logs/{second}"
        )
        client.delete_object(Bucket="verified-logs", Key=second)
        ran = call("verify", log.id, "--json")
        assert ran.code == 1
        assert {(one["fault"], one["where"]) for one in ran.json()["findings"]} == {
            ("changed", f"s3://verified-logs/{first}"),
            ("removed", f"s3://verified-logs/{second}"),
            ("added", f"s3://verified-logs/{second[:-15]}00000000.log.gz"),
        }

    def test_a_place_that_is_configured_no_more(self, call: Call, delivered: Path) -> None:
        (manifest,) = (delivered / "manifests" / LOCAL.id).glob("*.jsonl")
        facts = json.loads(manifest.read_bytes().splitlines()[0]) | {"place": "s3://gone"}
        manifest.write_bytes(json.dumps(facts).encode())
        ran = call("verify")
        assert (ran.code, ran.err) == (1, "")
        assert "set endpoint in [buckets.gone]" in ran.out
        assert ran.out.endswith("\n1 object of 1 manifest looked at: 1 fault; 1 could not be looked at\n")
