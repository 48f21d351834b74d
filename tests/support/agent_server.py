"""A server for agents that answers each call as a test says.

Rule: the calls go over a socket, signed; what they hold is not looked at.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flowglass.app.agent.identity import FILE


@dataclass(slots=True)
class Server:
    """Answers each call by its name with a status and a document, or all of them with `refusal`."""

    answers: dict[str, dict[str, Any]] = field(default_factory=lambda: {"flow-logs": {"revision": "1"}, "report": {}})
    refusal: tuple[int, dict[str, str]] | None = None
    port: int = 0
    calls: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        self.calls.append(path.rpartition("/")[2])
        return self.refusal or (200, self.answers[self.calls[-1]])

    def has(self, *flow_logs: dict[str, Any]) -> None:
        """Say these flow logs from now on."""
        self.answers["flow-logs"] = {"revision": "1", "flow_logs": list(flow_logs)}


@contextmanager
def serving() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = made.answer(self.path)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the base class's name
            """Nothing: tests look at the agent's log."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    listening.shutdown()
    listening.server_close()


def enrol_at(server: Server, data: Path) -> None:
    """Make DATA that of an agent which has enrolled."""
    identity = {"agent": "agent-1", "server": server.url, "key_id": "FGAK", "secret": "secret"}
    (data / FILE).write_text(json.dumps(identity))


def row(name: str, **more: Any) -> dict[str, Any]:
    """A flow log as the server says it."""
    return {
        "id": name,
        "account": "123456789012",
        "region": "eu-west-1",
        "resource_type": "VPC",
        "resource_id": "vpc-0a0a0a0a",
        "traffic_type": "ALL",
        "log_format": "${version} ${srcaddr}",
        "max_aggregation_interval": 60,
        "file_format": "plain-text",
        "hive_compatible_partitions": False,
        "per_hour_partition": False,
        "tag_fields": [],
        "destination": {"type": "s3", "name": "logs", "folder": "", "account": "", "region": ""},
        **more,
    }
