"""The bench's HTTP client: what it counts, and that it takes no wrong answer for a right one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat

import pytest
from bench.load import cpu_s, drive
from bench.measure import CommandError

GOOD = b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = GOOD.replace(b"good", b"close")
WRONG = GOOD.replace(b"good", b"wrong")
BODY = b"x" * 3_000_000


class Server(ThreadingHTTPServer):
    """Answers /good and keeps the connection, /close and closes it, and refuses the rest."""

    daemon_threads = True
    connections = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(500 if self.path == "/wrong" else 200)
            self.send_header("Content-Length", str(len(BODY)))
            if self.path == "/close":
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(BODY)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Server.Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(("request_", "connections"), [(GOOD, 3), (CLOSING, 10)], ids=["kept", "closed by the server"])
def test_every_request_is_answered_once_and_whole(server: Server, request_: bytes, connections: int) -> None:
    bodies: list[bytes] = []
    done = drive(server.server_port, os.getpid(), [request_] * 10, bodies.append, connections=3, seconds=60)
    assert bodies == [BODY] * 10
    assert done.calls == 10
    assert server.connections == connections
    assert done.wall_s > 0
    assert done.cpu_s > 0


def test_no_request_is_begun_when_the_time_is_over(server: Server) -> None:
    done = drive(server.server_port, os.getpid(), repeat(GOOD), lambda _: None, connections=2, seconds=0)
    assert done.calls == 2


def test_a_refusal_and_a_wrong_body_end_the_bench(server: Server) -> None:
    with pytest.raises(CommandError, match="500"):
        drive(server.server_port, os.getpid(), [GOOD, WRONG], lambda _: None, connections=1, seconds=60)

    def check(body: bytes) -> None:
        raise CommandError(f"{len(body)} bytes")

    with pytest.raises(CommandError, match="3000000 bytes"):
        drive(server.server_port, os.getpid(), [GOOD], check, connections=1, seconds=60)


def test_cpu_time_of_a_process_is_what_it_says_of_itself() -> None:
    before = os.times()
    told = cpu_s(os.getpid())
    assert before.user + before.system == pytest.approx(told, abs=0.1)
