"""The tools of the crash tests do what they say: the disk loses, the proxy breaks, the oracle finds."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from tests.crash.arrived import Arrived
from tests.crash.disk import PAGE, File, Folder, Tree, torn
from tests.crash.oracle import Books, Claim, Oracle
from tests.crash.proxy import Fault, Proxy
from tests.crash.traffic import FLOW_LOGS, Source, expected

_BASE_S = 1_700_000_400
_SEEDS = 60


def _disk() -> tuple[Tree, File]:
    """A disk with one synced file `/d/a` whose bytes are all `o`."""
    tree = Tree()
    tree.change(("/d", Folder()))
    file = File(bytearray(b"o" * 3 * PAGE))
    tree.change(("/d/a", file))
    file.dirty = True
    tree.sync_file(file)
    tree.sync_folder("/d")
    return tree, file


def _names(tree: Tree, path: str) -> frozenset[str]:
    folder = tree.find(path)
    assert isinstance(folder, Folder)
    return frozenset(folder.names)


def _after_cuts(change: str) -> set[frozenset[str]]:
    """Which names `/d` may have after a cut that follows a change without fsync."""
    found = set()
    for seed in range(_SEEDS):
        tree, file = _disk()
        match change:
            case "link":
                tree.change(("/d/b", file))
            case "rename":
                tree.change(("/d/a", None), ("/d/b", file))
            case "unlink":
                tree.change(("/d/a", None))
        tree.cut(random.Random(seed))  # noqa: S311 (a test's input)
        found.add(_names(tree, "/d"))
    return found


@pytest.mark.parametrize(
    ("change", "may_be"),
    [("link", [{"a"}, {"a", "b"}]), ("rename", [{"a"}, {"b"}]), ("unlink", [{"a"}, set()])],
)
def test_names_that_were_not_synced_may_be_old_or_new(change: str, may_be: list[set[str]]) -> None:
    assert _after_cuts(change) == {frozenset(names) for names in may_be}


def test_what_was_synced_survives_every_cut() -> None:
    for seed in range(_SEEDS):
        tree, file = _disk()
        tree.cut(random.Random(seed))  # noqa: S311 (a test's input)
        assert _names(tree, "/d") == {"a"}
        assert file.content == b"o" * 3 * PAGE


def test_bytes_that_were_not_synced_are_torn_at_pages() -> None:
    old, new = b"o" * 2 * PAGE, b"n" * (3 * PAGE + 7)
    results = {torn(old, new, random.Random(seed)) for seed in range(_SEEDS)}  # noqa: S311 (a test's input)
    assert {old, new} < results
    for result in results:
        pages = [result[start : start + PAGE] for start in range(0, len(result), PAGE)]
        assert all(len(set(page)) == 1 for page in pages)
        assert len(result) in (len(old), len(new))


class _Echo(BaseHTTPRequestHandler):
    """Answers with what was sent, and remembers it."""

    protocol_version = "HTTP/1.1"
    got: list[bytes]

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return
        self.got.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def echo() -> Iterator[tuple[Proxy, list[bytes]]]:
    class Handler(_Echo):
        got: list[bytes] = []  # noqa: RUF012 (one server's)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    proxy = Proxy(server.server_port, seed=1)
    yield proxy, Handler.got
    proxy.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("fault", "status", "arrives"),
    [
        (Fault.NONE, 200, True),
        (Fault.SLOW, 200, True),
        (Fault.REFUSED, None, False),
        (Fault.CUT, None, False),
        (Fault.LOST, None, True),
        (Fault.HALF, None, True),
        (Fault.ERROR, 500, False),
        (Fault.ERROR_AFTER, 500, True),
        (Fault.BUSY, 503, False),
    ],
)
def test_the_proxy_does_each_fault(
    echo: tuple[Proxy, list[bytes]], fault: Fault, status: int | None, *, arrives: bool
) -> None:
    proxy, got = echo
    proxy.faults = [fault]
    body = bytes(range(256)) * 300
    connection = HTTPConnection(str(urlsplit(proxy.url).netloc), timeout=10)
    try:
        connection.request("PUT", "/a", body)
        answer = connection.getresponse()
        content, found = answer.read(), answer.status
    except (HTTPException, OSError):
        assert status is None
    else:
        assert found == status
        assert (content == body) is (status == 200)
    assert (body in got) is arrives
    connection.close()


def _all(oracle: Oracle, count: int) -> Arrived:
    sources = [Source(number, oracle.base_s) for number in range(count)]
    for source in sources:
        oracle.told(Claim.BEGUN, source.number)
    oracle.books = Books(count, records={each.id: expected(each, sources).total() for each in FLOW_LOGS})
    return Arrived({flow_log.id: expected(flow_log, sources) for flow_log in FLOW_LOGS})


def test_the_oracle_accepts_each_record_once() -> None:
    oracle = Oracle(_BASE_S)
    judgement = oracle.judge(_all(oracle, 5))
    assert judgement.faults == []
    assert judgement.records > 500


def test_the_oracle_finds_what_is_lost_doubled_changed_and_forgotten() -> None:
    oracle = Oracle(_BASE_S)
    arrived = _all(oracle, 5)
    first, second, third, fourth, _ = (arrived.records[flow_log.id] for flow_log in FLOW_LOGS)
    del first[next(iter(first))]
    second[next(iter(second))] += 1
    record = next(iter(third))
    del third[record]
    third[record._replace(packets=0)] = 1
    fourth.update(Counter({next(iter(fourth))._replace(number=-1): 1}))
    oracle.told(Claim.REACHED, 2)
    oracle.told(Claim.BEGUN, 2)
    judgement = oracle.judge(arrived)
    assert (judgement.lost, judgement.doubled, judgement.changed) == (1, 1, 2)
    assert "source 2 was safe" in judgement.wrong[0]
    assert len(judgement.faults) > 3
