"""What a client may keep waiting has an end, and what many of them send does not stop a good one."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from tests.support.besieged import (
    SOON_S,
    answers_soon,
    audit,
    audited,
    connections,
    good,
    is_held,
    memory_kb,
    started,
    unharmed,
)
from tests.support.raw_http import FORM, Reply, Wire, encoded, form, head, plain, signed
from tests.support.servers import Key, Running, wait_for
from tests.support.state import flow_log

from flowglass.control import Store
from flowglass.control.store import flow_logs

LIMIT_S: Final = 20.0
"""What headers, bodies and the taking of answers may take."""
SPARE_S: Final = 8.0
"""What a busy machine may add."""
MANY: Final = 300
MOST_CONNECTIONS: Final = 1000
FLOOD_S: Final = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("limits") / "data")
    store = Store.open(f"sqlite:///{running.data / 'state.db'}")
    rows = [flow_log(number, log_format="${version} " * 200) for number in range(3000)]
    store.write(lambda connection: flow_logs.insert(connection, rows))  # an answer larger than the kernel's buffers
    store.close()
    yield running
    assert running.stop() == 0
    assert running.events("request_failed") == []
    assert "Traceback" not in running.log.read_text()


def _slowly(wire: Wire, piece: bytes) -> tuple[float, Reply | None]:
    """Send a piece every half second until the server has had enough: after how long, and what it said last."""
    began = time.monotonic()
    while not wire.spoke(0.5) and time.monotonic() - began < LIMIT_S + SPARE_S:
        wire.send(piece)
    reply = wire.reply()
    return time.monotonic() - began, reply


def _never_taken(server: Running) -> float:
    """Ask for much, take nothing of it: after how long the server gives up."""
    with Wire(server.url, buffer_bytes=4096) as wire:
        wire.send(encoded(signed(plain(server.url, form("DescribeFlowLogs")), server.admin)))
        assert wire.spoke(LIMIT_S)
        began = time.monotonic()
        wait_for("the connection to be given up", lambda: not is_held(wire.port), seconds=LIMIT_S + SPARE_S)
        return time.monotonic() - began


def test_who_is_slow_is_not_waited_for(server: Running) -> None:
    """Every kind of slowness at once, because each takes its twenty seconds."""
    sized = head(plain(server.url), "Content-Length: 500")
    late = (408, "RequestTimeout")
    ways = {
        "headers": (b"GET / HTTP/1.1\r\n", b"A: a\r\n", late),
        "one header": (b"GET / HTTP/1.1\r\nA: ", b"a", late),
        "a request line": (b"GET /", b"a", late),
        "a body": (sized, b"a", late),
        "a body that does not come": (sized, b"", late),
        "chunks": (head(plain(server.url), "Transfer-Encoding: chunked"), b"1\r\na\r\n", late),
        "nothing": (b"", b"", None),
        "empty lines": (b"", b"\r\n", None),
    }
    codes = [outcome[1] for _, _, outcome in ways.values() if outcome]
    with unharmed(server), audited(server, [*codes, ""]), contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)).send(first) for first, _, _ in ways.values()]
        answered = stack.enter_context(Wire(server.url)).send(b"GET /health HTTP/1.1\r\n\r\n")
        assert answered.reply() is not None
        pool = stack.enter_context(ThreadPoolExecutor(len(ways) + 2))
        untaken = pool.submit(_never_taken, server)
        after = pool.submit(_slowly, answered, b"\r\n")
        found = dict(zip(ways, pool.map(_slowly, wires, [piece for _, piece, _ in ways.values()]), strict=True))
        found["empty lines after an answer"] = after.result()
        assert untaken.result() > LIMIT_S / 2
    for name, (taken, reply) in found.items():
        assert (reply and reply.outcome) == ways.get(name, (b"", b"", None))[2], name
        assert taken < LIMIT_S + SPARE_S, name


def test_many_who_say_nothing_or_little_do_not_stop_a_good_client(server: Running) -> None:
    firsts = (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\n", head(plain(server.url), "Content-Length: 9") + b"a")
    with unharmed(server), contextlib.ExitStack() as stack:
        for number in range(MANY):
            stack.enter_context(Wire(server.url)).send(firsts[number % len(firsts)])
        assert answers_soon(server)


def test_connections_beyond_the_bound_end_those_that_are_silent_for_longest(server: Running) -> None:
    needed = MOST_CONNECTIONS + MANY
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed + 100:
        if hard < needed + 100:
            pytest.skip(f"this process may open {hard} files only, which are too few for {needed} connections")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed + 100, hard))
    with unharmed(server), contextlib.ExitStack() as stack:
        first = stack.enter_context(Wire(server.url)).send(b"GET / HT")
        for _ in range(needed):
            stack.enter_context(Wire(server.url))
        assert answers_soon(server)
        assert first.closed()
        assert connections(server) < MOST_CONNECTIONS + 20
    assert "Exceeded concurrency limit" not in server.log.read_text()


def test_bodies_that_are_held_back_fill_no_memory(server: Running) -> None:
    request = head(plain(server.url), "Content-Length: 1048576") + b"a" * 1_048_000
    size = memory_kb(server)
    with unharmed(server), contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)).send(request) for _ in range(150)]
        wait_for("refusals", lambda: sum(wire.spoke() for wire in wires) >= 80)
        refused = [wire.reply() for wire in wires if wire.spoke()]
        assert memory_kb(server) - size < 150 * 1024
        assert answers_soon(server)
        assert {reply.outcome for reply in refused if reply} == {(503, "ServiceUnavailable")}
        assert len(refused) < 90


def test_a_flood_of_wrong_signatures_does_not_stop_a_good_client(server: Running) -> None:
    bad = encoded(signed(plain(server.url, form("DescribeFlowLogs")), Key(server.admin.id, "n" * 40)))
    stop = threading.Event()

    def flood() -> int:
        count = 0
        with Wire(server.url) as wire:
            while not stop.is_set():
                reply = wire.send(bad).reply()
                assert reply is not None
                assert reply.outcome == (403, "SignatureDoesNotMatch")
                count += 1
        return count

    taken = []
    with unharmed(server), ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(flood) for _ in range(4)]
        until = time.monotonic() + FLOOD_S
        while time.monotonic() < until:
            began = time.monotonic()
            assert good(server).status == 200
            taken.append(time.monotonic() - began)
        stop.set()
        counts = [one.result() for one in floods]
    taken.sort()
    print(f"{sum(counts) / FLOOD_S:.0f} refused requests/s; good: {taken[len(taken) // 2] * 1e3:.0f} ms in the median")
    assert min(counts) > 0
    assert taken[len(taken) // 2] < SOON_S
    assert len([record for record in audit(server.data) if record.get("errorCode")]) >= sum(counts)


def test_a_flood_of_garbage_does_not_fill_the_log(server: Running) -> None:
    size = server.log.stat().st_size
    with unharmed(server), audited(server, ["InvalidRequest"] * 200):
        for _ in range(200):
            with Wire(server.url) as wire:
                assert wire.send(b"\x16\x03\x01" * 100).reply() is not None
    assert server.log.stat().st_size == size


def test_a_form_of_many_parameters_takes_no_long_work(server: Running) -> None:
    names = b"&".join(b"ResourceId.%d=%s" % (number, b"a" * 80) for number in range(9_900))
    filters = b"&".join(b"Filter.1.Value.%d=%s" % (number, b"*a" * 40) for number in range(1, 9_000))
    deep = b"&".join(b"a" + b".1" * 100 + b"%d=b" % number for number in range(4_000))
    bodies = (
        form("DescribeFlowLogs") + b"&" + names,
        form("DescribeFlowLogs", Filter__1__Name="resource-id") + b"&" + filters,
        form("DescribeVpcs") + b"&" + deep,
    )
    with unharmed(server):
        for body in bodies:
            began = time.monotonic()
            request = signed(plain(server.url, body, headers=(("Content-Type", FORM),)), server.admin)
            with Wire(server.url) as wire:
                reply = wire.send(encoded(request)).reply()
            assert reply is not None
            assert reply.status == 400, reply
            assert time.monotonic() - began < SOON_S
