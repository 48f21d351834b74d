"""The agent's link to its server: what it tells of outages and refusals, and of what the server says.

Rule: the server is one of the test's own that answers as told; the calls go over a socket.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs
from tests.support.tls import certificate

from flowglass.app import log
from flowglass.app.agent.client import AgentKey, Client, ServerUnreachable
from flowglass.app.agent.feed import InventoryFeed
from flowglass.app.agent.identity import FILE, enrol
from flowglass.app.agent.link import ServerLink
from flowglass.app.config import load_config
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import OptionError

DISABLED: Final = (401, {"code": "AuthFailure", "message": "The access key FGAK is disabled."})
OVERLOADED: Final = (503, {"code": "ServiceUnavailable", "message": "Try again."})
TOKEN: Final = "FGAKAAAAAAAAAAAAAAAA.x"  # noqa: S105, nobody's


@dataclass(slots=True)
class Server:
    """Answers each call by its name with a status and a document, or all of them with `refusal`."""

    answers: dict[str, dict[str, Any]] = field(default_factory=lambda: {"flow-logs": {"revision": "1"}, "report": {}})
    refusal: tuple[int, dict[str, str]] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        return self.refusal or (200, self.answers[path.rpartition("/")[2]])


@pytest.fixture
def server() -> Iterator[Server]:
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
            """Nothing: the test looks at the agent's log."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    listening.shutdown()
    listening.server_close()


def link(data: Path, server: Server, welcomed: list[str] | None = None) -> ServerLink:
    """Of an agent that is enrolled and has no inventory."""
    identity = {"agent": "agent-1", "server": server.url, "key_id": "FGAK", "secret": "secret"}
    (data / FILE).write_text(json.dumps(identity))

    def welcome(flow_log: FlowLog) -> None:
        if welcomed is not None:
            welcomed.append(flow_log.id)

    config = load_config(data, environ={"FLOWGLASS_AGENT_SERVER": server.url})
    return ServerLink(config, data, log.logger("agent"), InventoryFeed("", pytest.fail), lambda: ([], {}), welcome)


def row(name: str) -> dict[str, Any]:
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
    }


class TestTrouble:
    def test_a_refusal_is_no_outage_and_says_what_to_do(self, server: Server, tmp_path: Path) -> None:
        server.refusal = DISABLED
        made = link(tmp_path, server)
        with capture_logs() as told:
            made.contact()
            made.contact()
        assert [event["event"] for event in told] == ["server_refuses"]
        assert told[0]["log_level"] == "error"
        assert "The access key FGAK is disabled." in told[0]["reason"]
        for word in ("agent.json", "flowglass keys token"):
            assert word in told[0]["reason"]
        assert made.away

    def test_another_refusal_has_no_remedy_for_keys(self, server: Server, tmp_path: Path) -> None:
        server.refusal = (403, {"code": "UnauthorizedOperation", "message": "Not for agents."})
        with capture_logs() as told:
            link(tmp_path, server).contact()
        assert told[0]["reason"] == "UnauthorizedOperation: Not for agents."

    def test_a_refusal_that_follows_an_outage_is_told_too(self, server: Server, tmp_path: Path) -> None:
        made = link(tmp_path, server)
        with capture_logs() as told:
            for refusal in (OVERLOADED, OVERLOADED, DISABLED, DISABLED, None, None, OVERLOADED):
                server.refusal = refusal
                made.contact()
        assert [event["event"] for event in told] == ["server_away", "server_refuses", "server_back", "server_away"]

    def test_a_refused_agent_pauses_before_it_asks_again(self, server: Server, tmp_path: Path) -> None:
        server.refusal = DISABLED
        made = link(tmp_path, server)
        with capture_logs() as told:
            made.contact()
            server.refusal = None
            made.soon()
            made.contact_if_due()
        assert [event["event"] for event in told] == ["server_refuses"]

    def test_a_certificate_that_is_not_trusted_names_the_setting(self, tmp_path: Path) -> None:
        chain, key = certificate(tmp_path, "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as listening:
            listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
            listening.handle_error = lambda *_: None  # type: ignore[method-assign] # its side of the failed handshake
            threading.Thread(target=listening.handle_request, daemon=True).start()
            client = Client(f"https://127.0.0.1:{listening.server_address[1]}", AgentKey("FGAK", "secret"))
            with pytest.raises(ServerUnreachable, match=r"\[agent\] tls_ca"):
                client.call("report")


class TestFlowLogs:
    def test_each_is_welcomed_once_also_over_restarts(self, server: Server, tmp_path: Path) -> None:
        welcomed: list[str] = []
        made = link(tmp_path, server, welcomed)
        for names in (["fl-1"], ["fl-1", "fl-2"]):
            server.answers["flow-logs"] = {"revision": "1", "flow_logs": [row(name) for name in names]}
            made.contact()
        assert welcomed == ["fl-1", "fl-2"]
        again = link(tmp_path, server, welcomed)
        again.contact()
        assert [flow_log.id for flow_log in again.flow_logs] == welcomed == ["fl-1", "fl-2"]


class TestEnrolment:
    @pytest.mark.parametrize(
        "message",
        [
            "AWS was not able to validate the provided access credentials",
            "The enrolment token FGAK was used already. Make another one: flowglass keys token.",
        ],
    )
    def test_a_token_that_is_not_taken_has_its_remedy_once(self, server: Server, tmp_path: Path, message: str) -> None:
        server.refusal = (401, {"code": "AuthFailure", "message": message})
        with pytest.raises(OptionError) as refused:
            enrol(tmp_path, server.url, TOKEN, "rack-7")
        assert message in str(refused.value)
        assert str(refused.value).count("flowglass keys token") == 1
        assert not (tmp_path / FILE).exists()
