"""The metrics as Prometheus reads them: what the server knows, what agents reported, on an address of their own."""

from __future__ import annotations

import ast
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families
from structlog.testing import capture_logs
from tests.support.raw_api import BUCKET, VPC, Site, open_site
from tests.support.tls import certificate

from flowglass import __version__
from flowglass.app import log, metric_table
from flowglass.app.agent.recorder import Recorded
from flowglass.app.config import load_config
from flowglass.app.metric_table import Kind
from flowglass.app.metrics import Metrics, MetricsPage, Requests
from flowglass.app.server.run import serve_metrics
from flowglass.control import Overview, StoreUnavailable

SOURCE: Final = Path(metric_table.__file__).parents[1]
ALL: Final = (*metric_table.SERVER, *metric_table.REPORTED.values())
Samples = dict[tuple[str | None, ...], float]
"""Values by a metric's name and its labels' values, in the order in which the table has the labels."""


def record(action: str, *, code: str | None = None, source: str = "ec2.amazonaws.com") -> dict[str, Any]:
    """What the audit log is given of a request."""
    return {"eventName": action, "eventSource": source} | ({} if code is None else {"errorCode": code})


def scraped(metrics: Metrics) -> Samples:
    """What a scrape of them gives."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return samples(generate_latest(registry).decode())


def samples(text: str) -> Samples:
    found = [sample for family in families(text) for sample in family.samples]
    labels = {one.name: one.labels for one in ALL}
    return {(one.name, *map(one.labels.get, labels.get(one.name, ()))): one.value for one in found}


def counted_in(tree: ast.AST) -> Iterator[str]:
    """The names in literal dicts that a module hands to functions named `count`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "count":
            for mapping in (part for part in node.args if isinstance(part, ast.Dict)):
                yield from (str(key.value) for key in mapping.keys if isinstance(key, ast.Constant))


def get(url: str, **options: Any) -> str:
    headers = options.pop("headers", {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310, our own server
    with urllib.request.urlopen(request, timeout=10, **options) as answer:  # noqa: S310, as above
        return str(answer.read().decode())


class TestTable:
    def test_names_are_unique_and_end_in_total_where_they_count(self) -> None:
        assert len({metric.name for metric in ALL}) == len(ALL)
        assert [one.name for one in ALL if one.name.endswith("_total") != (one.kind is Kind.COUNTER)] == []
        assert [one.name for one in ALL if not one.name.startswith("flowglass_")] == []

    def test_what_agents_report_is_theirs_or_about_a_destination(self) -> None:
        labels = {one.labels for one in metric_table.REPORTED.values()}
        assert labels == {("agent",), ("agent", "destination")}

    def test_every_number_that_an_agent_counts_has_a_metric(self) -> None:
        counted = set(Recorded().counters())
        for path in (*SOURCE.glob("deliver/**/*.py"), *SOURCE.glob("app/agent/*.py")):
            counted |= set(counted_in(ast.parse(path.read_text())))
        assert len(counted) > 10
        assert counted <= metric_table.REPORTED.keys()


class TestRequests:
    """What any client may write becomes no label, so nobody can make the metrics grow."""

    def test_requests_are_counted_by_action_and_outcome(self) -> None:
        requests = Requests()
        for one in [
            record("DescribeFlowLogs"),
            record("DescribeFlowLogs"),
            record("DescribeFlowLogs", code="Client.InvalidFlowLogId.NotFound"),
            record("CreateFlowLogs", code="Server.InternalError"),
            record("report", source="agent.flowglass"),
            record("GetCallerIdentity", source="sts.amazonaws.com", code="AccessDenied"),
            record("Made.Up", code="Client.InvalidAction"),
            record("Another", code="Client.AuthFailure"),
            record("", code="Client.AuthFailure"),
        ]:
            requests.count(one)
        assert dict(requests.values()) == {
            ("ec2", "DescribeFlowLogs", "ok"): 2,
            ("ec2", "DescribeFlowLogs", "InvalidFlowLogId.NotFound"): 1,
            ("ec2", "CreateFlowLogs", "InternalError"): 1,
            ("agent", "report", "ok"): 1,
            ("sts", "GetCallerIdentity", "AccessDenied"): 1,
            ("ec2", "other", "InvalidAction"): 1,
            ("ec2", "other", "AuthFailure"): 2,
        }


class TestStateAway:
    def test_a_state_that_is_away_is_a_metric(self) -> None:
        def away() -> Overview:
            raise StoreUnavailable("gone")

        requests = Requests()
        requests.count(record("DescribeFlowLogs"))
        found = scraped(Metrics(away, requests))
        assert found["flowglass_state_up",] == 0
        assert found["flowglass_api_requests_total", "ec2", "DescribeFlowLogs", "ok"] == 1
        assert not any(str(name).startswith("flowglass_agent") for name, *_ in found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with metrics, one agent, and a flow log of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.servers.STRIPPED", ("AWS_", "COLUMNS"))
        patch.setenv("FLOWGLASS_SERVER_METRICS", "127.0.0.1:0")
        opened = open_site(tmp_path_factory.mktemp("metrics"))
    yield opened
    opened.running.stop()


def page(site: Site, **options: Any) -> str:
    return get(f"http://{site.running.event('metrics_served')['address']}/metrics", **options)


class TestServer:
    def test_every_declared_metric_is_published_with_its_help(self, site: Site) -> None:
        flow_log = site.api().create(VPC, LogDestination=f"arn:aws:s3:::{BUCKET}")["FlowLogIds"][0]
        numbers = {
            name if len(one.labels) == 1 else f"{name}@s3://b": place
            for place, (name, one) in enumerate(metric_table.REPORTED.items(), 1)
        }
        site.agent().call(
            "report",
            {
                "counters": {**numbers, "of_the_future": 7, "frames@s3://b": 9},
                "deliveries": [
                    {
                        "flow_log_id": flow_log,
                        "status": "FAILED",
                        "message": "Access error",
                        "at_ms": 1_600_000_000_500,
                        "objects": 3,
                    }
                ],
            },
        )
        text = page(site)
        found = samples(text)
        agent = site.agents[0].agent
        for place, one in enumerate(metric_table.REPORTED.values(), 1):
            assert found[(one.name, agent, "s3://b")[: 1 + len(one.labels)]] == place
        assert found["flowglass_build_info", __version__] == 1
        assert found["flowglass_state_up",] == 1
        assert found["flowglass_flow_logs", "s3"] == 1
        assert found["flowglass_agent_info", agent, "rack", __version__] == 1
        assert found["flowglass_agent_seen_timestamp_seconds", agent] > 1_600_000_000
        assert found["flowglass_delivered_objects_total", agent, flow_log] == 3
        assert found["flowglass_delivery_failed", agent, flow_log] == 1
        assert found["flowglass_delivery_timestamp_seconds", agent, flow_log] == 1_600_000_000.5
        assert found["flowglass_api_requests_total", "agent", "report", "ok"] >= 1
        assert found["flowglass_api_requests_total", "ec2", "CreateFlowLogs", "ok"] == 1
        assert "process_resident_memory_bytes" in text
        helps = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
        assert {one.name for one in ALL} <= helps

    def test_clients_that_ask_for_openmetrics_get_it(self, site: Site) -> None:
        text = page(site, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        found: list[Any] = list(open_families(text))  # type: ignore[no-untyped-call]
        assert "flowglass_state_up" in [family.name for family in found]

    def test_neither_address_serves_what_the_other_does(self, site: Site) -> None:
        base = f"http://{site.running.event('metrics_served')['address']}"
        for url in (f"{base}/", f"{base}/health", f"{base}/metrics/x"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                get(url)
            assert caught.value.code == 404
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"{site.running.url}/metrics")
        assert b"flowglass_" not in caught.value.read()


class TestAddress:
    @pytest.fixture(autouse=True)
    def logged(self) -> Iterator[list[Any]]:
        """The events of the server's log, in order."""
        with capture_logs() as events:
            yield events

    @contextmanager
    def served(self, folder: Path, address: str, **more: str) -> Iterator[None]:
        config = load_config(folder, environ={"FLOWGLASS_SERVER_METRICS": address, **more})
        page = MetricsPage(Metrics(lambda: Overview((), (), {}), Requests()))
        with serve_metrics(config, page, log.logger("server")):
            yield

    def test_an_address_that_is_taken_is_told_and_nothing_else_fails(self, logged: list[Any], tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            with self.served(tmp_path, address):
                assert [event["event"] for event in logged] == ["metrics_unavailable"]
                taken_already = "Address already in use; choose another address with [server] metrics"
                assert logged[0]["reason"] == f"{address}: {taken_already}"

    def test_none_are_served_where_none_are_asked_for(self, logged: list[Any], tmp_path: Path) -> None:
        with self.served(tmp_path, ""):
            assert logged == []

    def test_they_are_gone_with_the_server(self, logged: list[Any], tmp_path: Path) -> None:
        with self.served(tmp_path, "[::1]:0"):
            url = f"http://{logged[0]['address']}/metrics"
            assert "flowglass_state_up 1.0" in get(url)
        with pytest.raises(urllib.error.URLError):
            get(url)

    def test_other_machines_read_them_with_tls(self, logged: list[Any], tmp_path: Path) -> None:
        chain, secret = certificate(tmp_path, "127.0.0.1")
        tls = {"FLOWGLASS_SERVER_TLS_CERTIFICATE": str(chain), "FLOWGLASS_SERVER_TLS_KEY": str(secret)}
        with self.served(tmp_path, "0.0.0.0:0", **tls):
            port = logged[0]["address"].rpartition(":")[2]
            trust = ssl.create_default_context(cafile=chain)
            assert "flowglass_state_up 1.0" in get(f"https://127.0.0.1:{port}/metrics", context=trust)
