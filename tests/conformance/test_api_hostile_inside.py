"""When something inside goes wrong the caller is told, the log has it, nothing is lost, and it passes by itself."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from tests.support.besieged import VPC, answers_soon, audit, audited, good, rows, started
from tests.support.raw_http import Reply, Wire, ask, encoded, form, head, plain, signed
from tests.support.servers import Running

UNAVAILABLE: Final = (503, "ServiceUnavailable")
LONGEST_S: Final = 12.0
"""How long a write may wait for its turn and another process's lock."""
CREATE: Final = form(
    "CreateFlowLogs",
    ResourceType="VPC",
    ResourceId__1=VPC,
    TrafficType="ALL",
    LogDestinationType="s3",
    LogDestination="arn:aws:s3:::logs",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("inside") / "data")
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Running]:
    """For tests that leave nothing of it."""
    running = started(tmp_path / "data")
    yield running
    running.stop()


def _call(server: Running, body: bytes) -> Reply:
    return ask(server.url, signed(plain(server.url, body), server.admin))


def _probe(server: Running, path: bytes) -> int:
    return ask(server.url, plain(server.url, method="GET", path=path, headers=())).status


@contextlib.contextmanager
def _unavailable(server: Running) -> Iterator[list[Reply]]:
    """The replies put into the list say so, each is one event of the log, and nothing is stored."""
    before, events = rows(server.data), len(server.events("request_failed"))
    replies: list[Reply] = []
    yield replies
    assert {reply.outcome for reply in replies} == {UNAVAILABLE}
    failed = [event["request_id"] for event in server.events("request_failed")[events:]]
    assert sorted(failed) == sorted(reply.headers["x-amzn-requestid"] for reply in replies)
    assert good(server).status == 200
    assert rows(server.data) == before


def test_no_call_is_answered_while_the_audit_log_cannot_be_written(server: Running) -> None:
    folder = server.data / "audit"
    with _unavailable(server) as replies:
        shutil.rmtree(folder)
        folder.write_text("in the way")
        replies.extend(
            (_call(server, form("DescribeVpcs")), _call(server, b"Action=%"), ask(server.url, plain(server.url)))
        )
        folder.unlink()
    assert [record["eventName"] for record in audit(server.data)] == ["DescribeVpcs"]


def test_a_full_disk_under_the_audit_log_is_told_and_leaves_whole_lines(server: Running) -> None:
    (file,) = (server.data / "audit").iterdir()
    with _unavailable(server) as replies:
        file.unlink()
        file.symlink_to("/dev/full")
        replies.append(_call(server, form("DescribeVpcs")))
        file.unlink()
    assert [record["eventName"] for record in audit(server.data)] == ["DescribeVpcs"]


def test_a_state_that_another_process_locks_refuses_writes_for_a_while_and_serves_reads(server: Running) -> None:
    with (
        _unavailable(server) as replies,
        contextlib.closing(sqlite3.connect(server.data / "state.db", isolation_level=None)) as other,
        ThreadPoolExecutor(4) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        waiting = [pool.submit(_call, server, CREATE) for _ in range(4)]
        assert answers_soon(server)
        replies += [one.result() for one in waiting]
        assert time.monotonic() - began < LONGEST_S
        other.execute("ROLLBACK")


def test_a_state_that_was_removed_is_missed_and_found_again(server: Running) -> None:
    with _unavailable(server) as replies:
        files = list(server.data.glob("state.db*"))
        for file in files:
            file.rename(server.data / f"away-{file.name}")
        replies.extend((_call(server, CREATE), _call(server, form("DescribeFlowLogs"))))
        assert [_probe(server, b"/ready"), _probe(server, b"/health")] == [503, 200]
        assert not list(server.data.glob("state.db*"))  # no empty one was made in its place
        for file in files:
            (server.data / f"away-{file.name}").rename(file)
        assert _probe(server, b"/ready") == 200


def test_a_destination_that_cannot_be_looked_at_is_told_and_nothing_is_stored(server: Running) -> None:
    settings = server.data / "buckets" / "logs.json"
    kept = settings.read_text()
    settings.write_text("{")
    before = rows(server.data)["flow_logs"]
    reply = _call(server, CREATE)
    assert reply.status == 200
    assert b"<flowLogIdSet/>" in reply.body
    assert b"LogDestination logs is undeliverable" in reply.body
    assert rows(server.data)["flow_logs"] == before
    settings.write_text(kept)
    assert b"<flowLogIdSet><item>fl-" in _call(server, CREATE).body


def test_a_damaged_state_is_told(own_server: Running) -> None:
    size = (own_server.data / "state.db").stat().st_size
    for file in own_server.data.glob("state.db-*"):
        file.unlink()
    with (own_server.data / "state.db").open("r+b") as damaged:
        damaged.write(b"\xff" * size)
    reply = _call(own_server, CREATE)
    assert reply.outcome == UNAVAILABLE
    assert [event["request_id"] for event in own_server.events("request_failed")] == [reply.headers["x-amzn-requestid"]]
    assert _probe(own_server, b"/health") == 200


# The end ---------------------------------------------------------------------------------------------------------


def test_the_end_waits_for_what_was_begun_and_takes_nothing_new(own_server: Running) -> None:
    server, body = own_server, form("DescribeVpcs")
    request = encoded(signed(plain(server.url, body), server.admin))
    with Wire(server.url) as slow, Wire(server.url) as idle, Wire(server.url) as ahead:
        slow.send(request[:-5])
        ahead.send(request).reply()
        time.sleep(0.2)
        ended: list[int] = []
        stopping = threading.Thread(target=lambda: ended.append(server.stop()))
        stopping.start()
        assert idle.closed()
        assert ahead.closed()
        with pytest.raises(ConnectionRefusedError):
            Wire(server.url)
        reply = slow.send(request[-5:]).reply()
        assert reply is not None
        assert reply.status == 200
        assert slow.closed()
        stopping.join()
    assert ended == [0]
    assert server.events("server_stopped")
    assert "Traceback" not in server.log.read_text()


def test_the_end_does_not_wait_for_who_is_slow(own_server: Running) -> None:
    server = own_server
    with audited(server, ["Server.ServiceUnavailable"]), Wire(server.url) as body, Wire(server.url) as headers:
        body.send(head(plain(server.url), "Content-Length: 9") + b"a")
        headers.send(b"GET / HTTP/1.1\r\n")
        time.sleep(0.2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 9
        reply = body.reply()
        assert reply is not None
        assert reply.outcome == UNAVAILABLE
        assert headers.closed()
    assert "Traceback" not in server.log.read_text()
