"""The agent's link to its server: what it tells of outages and refusals, and of what the server says.

Rule: the server is one of the test's own that answers as told; the calls go over a socket.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs
from tests.support.agent_server import Server, enrol_at, row, serving
from tests.support.tls import certificate

from flowglass.app import log
from flowglass.app.agent.client import AgentKey, Client, ServerUnreachable
from flowglass.app.agent.feed import InventoryFeed
from flowglass.app.agent.flow_logs import FILE as KEPT
from flowglass.app.agent.identity import FILE, enrol
from flowglass.app.agent.link import Figures, ServerLink
from flowglass.app.config import load_config
from flowglass.deliver import Status
from flowglass.fields.contracts import FlowLog
from flowglass.fields.errors import DestinationFull, DestinationUnwritable, OptionError, StateError

ONE, TWO = "fl-00000001", "fl-00000002"
DISABLED: Final = (401, {"code": "AuthFailure", "message": "The access key FGAK is disabled."})
OVERLOADED: Final = (503, {"code": "ServiceUnavailable", "message": "Try again."})
TOKEN: Final = "FGAKAAAAAAAAAAAAAAAA.x"  # noqa: S105, nobody's


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def no_figures() -> tuple[list[Status], dict[str, int]]:
    return [], {}


def link(
    data: Path, server: Server, welcome: Callable[[FlowLog], None] = lambda _: None, figures: Figures = no_figures
) -> ServerLink:
    """Of an agent that is enrolled and has no inventory."""
    enrol_at(server, data)
    config = load_config(data, environ={"FLOWGLASS_AGENT_SERVER": server.url})
    return ServerLink(config, data, log.logger("agent"), InventoryFeed("", pytest.fail), figures, welcome)


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
        made = link(tmp_path, server, lambda one: welcomed.append(one.id))
        for names in ([ONE], [ONE, TWO]):
            server.has(*map(row, names))
            made.contact()
        assert welcomed == [ONE, TWO]
        again = link(tmp_path, server, lambda one: welcomed.append(one.id))
        again.contact()
        assert [flow_log.id for flow_log in again.flow_logs] == welcomed == [ONE, TWO]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"id": "../../../../escaped"},
            {"id": "fl-1"},
            {"id": f"x/123456789012_vpcflowlogs_eu-west-1_{ONE}"},
            {"id": 7},
            {"account": "../123456789012"},
            {"account": "12345678901"},
            {"account": None},
            {"region": "eu-west-1/.."},
            {"region": ""},
        ],
    )
    def test_one_that_no_object_can_be_named_of_is_left_out_and_told(
        self, server: Server, tmp_path: Path, wrong: dict[str, Any]
    ) -> None:
        server.has({**row(ONE), **wrong}, row(TWO))
        made = link(tmp_path, server)
        with capture_logs() as told:
            made.contact()
        assert [flow_log.id for flow_log in made.flow_logs] == [TWO]
        (unreadable,) = (event for event in told if event["event"] == "flow_log_unreadable")
        assert repr(*wrong.values()) in unreadable["reason"]


class TestThisMachine:
    """What fails here and not at the server."""

    def test_a_welcome_that_fails_is_tried_again_and_holds_up_nothing(self, server: Server, tmp_path: Path) -> None:
        welcomed: list[str] = []
        full = [DestinationFull("no room")] * 2

        def welcome(flow_log: FlowLog) -> None:
            if flow_log.id == ONE and full:
                raise full.pop()
            welcomed.append(flow_log.id)

        server.has(row(ONE), row(TWO))
        made = link(tmp_path, server, welcome)
        with capture_logs() as told:
            for _ in range(3):
                made.contact()
                server.answers["flow-logs"] = {"revision": "1"}  # no news
        assert welcomed == [TWO, ONE]
        assert server.calls == ["flow-logs", "report"] * 3
        assert [event["event"] for event in told if "flow_log" not in event["event"]] == [
            "step_failed",
            "step_recovered",
        ]
        assert [flow_log.id for flow_log in link(tmp_path, server).flow_logs] == [ONE, TWO]

    def test_flow_logs_that_could_not_be_kept_are_asked_for_again(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise DestinationUnwritable("read-only")

        server.has(row(ONE))
        made = link(tmp_path, server)
        with monkeypatch.context() as patch:
            patch.setattr("flowglass.app.agent.flow_logs.write_private", refuse)
            made.contact()
        assert [flow_log.id for flow_log in made.flow_logs] == [ONE]
        assert not (tmp_path / KEPT).exists()
        made.contact()
        assert (tmp_path / KEPT).exists()

    def test_a_journal_that_cannot_be_read_is_no_reason_to_stay_away(self, server: Server, tmp_path: Path) -> None:
        broken = [StateError("damaged")]

        def figures() -> tuple[list[Status], dict[str, int]]:
            if broken:
                raise broken.pop()
            return no_figures()

        made = link(tmp_path, server, figures=figures)
        with capture_logs() as told:
            made.contact()
            made.contact()
        assert not made.away
        assert server.calls == ["flow-logs", "flow-logs", "report"]
        assert [(event["event"], event["step"]) for event in told] == [
            ("step_failed", "report"),
            ("step_recovered", "report"),
        ]


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
