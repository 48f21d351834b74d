"""The doctor: each check on spools and folders that have what it looks for; the command and its exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from tests.support.records import flow_log
from tests.support.rights import as_nobody
from tests.support.spooled import PERIOD_S, Clock, record

from flowglass.app.cli.main import main
from flowglass.app.config import Config, load_config
from flowglass.app.doctor import Check, State, examine
from flowglass.app.words import many, size, span
from flowglass.deliver import Spool
from flowglass.fields.contracts import Destination, DestinationType

NOW_MS: Final = 1_800_000_000_000
LOCAL: Final = flow_log(id="fl-00000001", destination=Destination(DestinationType.S3, "logs"))
REMOTE: Final = flow_log(id="fl-00000002", destination=Destination(DestinationType.S3, "team-logs"))
DENIED: Final = "bucket team-logs: AccessDenied; grant s3:PutObject"
REAL_BUCKET: Final = '[buckets.team-logs]\nendpoint = "aws"\n'
Look = Callable[..., dict[str, Check]]


def look(data: Path, text: str = "", *, now_ms: int = NOW_MS, faults: tuple[str, ...] = ()) -> dict[str, Check]:
    """The checks by name, of DATA with this configuration."""
    return {check.name: check for check in examine(config_of(data, text), faults, now_ms)}


def config_of(data: Path, text: str) -> Config:
    (data / "config.toml").write_text(text)
    return load_config(data, environ={})


@contextmanager
def spool_of(data: Path, at_ms: int = NOW_MS) -> Iterator[Spool]:
    """The spool of DATA, at a time."""
    spool = Spool.open(data / "spool", now_ms=lambda: at_ms)
    try:
        yield spool
    finally:
        spool.close()


class Usage(NamedTuple):
    """What `shutil.disk_usage` says."""

    total: int
    used: int
    free: int


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how much of a disk of a terabyte is free."""

    def set_free(free_bytes: int) -> None:
        usage = Usage(10**12, 10**12 - free_bytes, free_bytes)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    set_free(10**11)
    return set_free


class TestNothingThere:
    def test_all_is_well_without_data(self, tmp_path: Path) -> None:
        found = examine(load_config(tmp_path / "none", environ={}), (), NOW_MS)
        assert [check.state for check in found] == [State.OK] * len(found)
        assert [check.name for check in found] == ["configuration", "disk", "clock", "agent", "spool", "local store"]
        assert not (tmp_path / "none").exists()


class TestConfiguration:
    def test_every_fault_is_a_check(self, tmp_path: Path) -> None:
        found = examine(config_of(tmp_path, ""), ("one", "two"), NOW_MS)
        assert [check.text for check in found if check.state is State.FAILED] == ["one", "two"]


class TestDisk:
    @pytest.mark.parametrize(
        ("free_bytes", "state"),
        [(511_000_000, State.FAILED), (513_000_000, State.WARNING), (1_100_000_000, State.OK)],
    )
    def test_room_is_held_against_what_stays_free(
        self, tmp_path: Path, free: Callable[[int], None], free_bytes: int, state: State
    ) -> None:
        free(free_bytes)
        assert look(tmp_path)["disk"].state is state

    def test_the_room_for_recordings_counts_where_the_store_keeps_less(
        self, tmp_path: Path, free: Callable[[int], None]
    ) -> None:
        free(255_000_000)
        check = look(tmp_path, "[local_store]\nmin_free_megabytes = 0")["disk"]
        assert (check.state, check.remedy) == (State.FAILED, "make room")

    def test_a_folder_that_may_not_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)  # root, who runs tests in many places, may write everywhere
        assert look(tmp_path)["disk"].text == f"{tmp_path}: you may not write there"


class TestClock:
    def test_a_clock_that_never_was_set(self, tmp_path: Path) -> None:
        assert look(tmp_path, now_ms=0)["clock"].state is State.FAILED

    def test_entries_from_the_future_show_that_it_was_set_back(self, tmp_path: Path) -> None:
        with spool_of(tmp_path, NOW_MS + 2 * 3_600_000) as spool:
            record(spool, LOCAL, PERIOD_S)
        check = look(tmp_path)["clock"]
        assert (check.state, check.text) == (State.WARNING, "the spool has entries of 2 h from now: it was set back")


class TestAgent:
    def test_whether_one_runs_and_something_waits(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            record(spool, LOCAL, PERIOD_S)
            assert look(tmp_path)["agent"].text == "one has the spool"
        check = look(tmp_path)["agent"]
        assert (check.state, check.text) == (State.FAILED, "records wait, and no agent runs")


class TestSpool:
    def test_near_its_bounds_somebody_must_act(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            record(spool, LOCAL, PERIOD_S)
        day_ms = 86_400_000
        assert look(tmp_path)["spool"].state is State.OK
        assert look(tmp_path, now_ms=NOW_MS + 5 * day_ms)["spool"].state is State.OK
        old = look(tmp_path, now_ms=NOW_MS + 6 * day_ms)["spool"]
        assert old.state is State.FAILED
        assert old.text.endswith("the oldest record for 6 d; at 7 d the oldest records are given up")
        assert look(tmp_path, "[spool]\nmax_age_hours = 0", now_ms=NOW_MS + 60 * day_ms)["spool"].state is State.OK

    def test_its_size_is_held_against_the_bound(self, tmp_path: Path) -> None:
        with spool_of(tmp_path):
            pass
        with (tmp_path / "spool" / "damaged" / "big.arrow").open("wb") as file:
            file.truncate(900_000_000)
        full = look(tmp_path, "[spool]\nmax_megabytes = 1000")["spool"]
        assert (full.state, full.text) == (State.FAILED, "900.0 MB; at 1.0 GB the oldest records are given up")
        assert look(tmp_path, "[spool]\nmax_megabytes = 2000")["spool"].state is State.OK
        assert look(tmp_path, "[spool]\nmax_megabytes = 0")["spool"].state is State.OK

    def test_a_journal_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "spool").mkdir()
        (tmp_path / "spool" / "journal.db").write_bytes(b"no database at all" * 100)
        check = look(tmp_path)["spool"]
        assert check.state is State.FAILED
        assert check.text.endswith("the journal is damaged (file is not a database)")
        assert check.remedy.startswith("move it aside together with journal.db-wal and start again")

    def test_one_that_cannot_be_opened_keeps_no_other_check(self, tmp_path: Path) -> None:
        (tmp_path / "spool").mkdir()
        (tmp_path / "spool" / "journal.db").write_bytes(b"no database at all" * 100)
        assert {name: check.state for name, check in look(tmp_path).items()} == {
            "configuration": State.OK,
            "disk": State.OK,
            "clock": State.OK,
            "spool": State.FAILED,
            "local store": State.OK,
        }

    def test_as_another_user(self, tmp_path: Path) -> None:
        with spool_of(tmp_path):
            pass
        config = config_of(tmp_path, "")
        with as_nobody(tmp_path):
            found = {check.name: check for check in examine(config, (), NOW_MS)}
        for name in ("disk", "spool"):
            assert found[name].state is State.FAILED
            assert found[name].text.endswith(": Permission denied")
            assert "the user " in found[name].remedy


class TestDestinations:
    def test_each_has_its_backlog_and_only_the_failing_one_its_error(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            record(spool, [LOCAL, REMOTE], PERIOD_S, 1200)
            record(spool, REMOTE, PERIOD_S + 60)
            spool.assign(spool.shares()[:1])
            spool.failed(REMOTE.id, "Access error", DENIED)
        found = look(tmp_path, REAL_BUCKET, now_ms=NOW_MS + 60_000)
        assert (found["local:s3/logs"].state, found["local:s3/logs"].text) == (
            State.OK,
            "1,200 records wait, the oldest for 1 min",
        )
        assert found["s3://team-logs"].state is State.FAILED
        assert found["s3://team-logs"].text == f"1,210 records wait, the oldest for 1 min: {DENIED}"
        assert "flowglass spool retry" in found["s3://team-logs"].remedy

    def test_what_waits_for_long_without_an_error_is_a_warning(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            record(spool, LOCAL, PERIOD_S)
        assert look(tmp_path, now_ms=NOW_MS + 14 * 60_000)["local:s3/logs"].state is State.OK
        assert look(tmp_path, now_ms=NOW_MS + 16 * 60_000)["local:s3/logs"].state is State.WARNING

    def test_a_flow_log_that_failed_and_has_nothing_left(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            spool.failed(REMOTE.id, "Access error", DENIED)
        check = look(tmp_path)[REMOTE.id]
        assert (check.state, check.text) == (State.WARNING, f"nothing waits; the last delivery failed: {DENIED}")


class TestLosses:
    def test_what_was_lost_doubled_and_refused_is_not_forgotten(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            for number in range(3):
                record(spool, LOCAL, PERIOD_S + 300 * number)
            unit = spool.assign(spool.shares()[:1])
            for _ in range(2):
                unit = spool.sending(unit, 0)
            spool.finish(spool.sent(unit, 1, events=10, rejected=4, reason="too old"))
            spool.drop(before_s=PERIOD_S + 600)
        found = look(tmp_path)
        assert {name: (found[name].state, found[name].text) for name in ("dropped", "doubtful", "rejected")} == {
            "dropped": (State.WARNING, "10 records since the spool was made"),
            "doubtful": (State.WARNING, "1 log batch since the spool was made"),
            "rejected": (State.WARNING, "4 log events since the spool was made"),
        }

    def test_a_damaged_segment_is_for_a_person(self, tmp_path: Path) -> None:
        with spool_of(tmp_path) as spool:
            record(spool, LOCAL, PERIOD_S)
            (segment,) = (tmp_path / "spool" / "segments").iterdir()
            segment.write_bytes(segment.read_bytes()[:-1])
            list(spool.rows(spool.shares()[0], ["bytes"]))
        check = look(tmp_path)["damaged segments"]
        assert check.state is State.FAILED
        assert check.text.startswith(f"1 file in {tmp_path}/spool/damaged")


class TestLocalStore:
    def test_its_size_and_what_bounds_it(self, tmp_path: Path) -> None:
        for number, name in enumerate(("s3/logs/a", "logs/group/b", "firehose/c")):
            path = tmp_path / name
            path.parent.mkdir(parents=True)
            path.write_bytes(b"x" * (500 + number))
        assert look(tmp_path)["local store"].text == "1.5 kB, kept for good; [local_store] bounds it"
        bounded = look(tmp_path, "[local_store]\nretention_days = 30\nmax_megabytes = 2000")["local store"]
        assert bounded.text == "1.5 kB, kept up to 2.0 GB and 30 d"


class TestCommand:
    @pytest.fixture
    def call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., tuple[int, str]]:
        monkeypatch.setenv("FLOWGLASS_DATA_DIR", str(tmp_path))

        def run(*arguments: str) -> tuple[int, str]:
            monkeypatch.setattr(sys, "argv", ["flowglass", "doctor", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            return int(ended.value.code or 0), capsys.readouterr().out

        return run

    def test_warnings_alone_are_no_failure(self, call: Any, tmp_path: Path) -> None:
        with spool_of(tmp_path, Clock().now_ms()) as spool:
            spool.failed(REMOTE.id, "Access error", DENIED)
        code, out = call()
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()] == ["state", *["ok"] * 5, "warning", "ok"]

    def test_json_and_exit_code_of_a_failure(self, call: Any, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text('[agent]\ninventory = "gone.yaml"\n')
        code, out = call("--json")
        first = json.loads(out)[0]
        assert code == 1
        assert (first["name"], first["state"], first["remedy"]) == ("configuration", "failed", "flowglass config check")
        assert "gone.yaml" in first["text"]

    def test_a_configuration_that_cannot_be_used_is_all_that_is_told(self, call: Any, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text("[sever]\n[agent]\npoll_s = 0\n")
        code, out = call("--json")
        assert code == 1
        assert [check["state"] for check in json.loads(out)] == ["failed", "failed"]


class TestWords:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (-3, "0 s"),
            (0.9, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (7260, "2 h 1 min"),
            (90_000, "1 d 1 h"),
        ],
    )
    def test_spans(self, seconds: float, text: str) -> None:
        assert span(seconds) == text

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_550_000, "1.6 MB"), (10**13, "10.0 TB")],
    )
    def test_sizes(self, count: int, text: str) -> None:
        assert size(count) == text

    def test_counts(self) -> None:
        assert (many(1, "record"), many(1204, "record")) == ("1 record", "1,204 records")
