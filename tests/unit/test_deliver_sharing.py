"""What threads and flow logs share: one outlet a destination, one client an outlet, one list of files that go."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support import credentials
from tests.support.json_service import Answer, json_service
from tests.support.records import BUCKET, flow_log
from tests.support.servers import Key
from tests.support.spooled import PERIOD_S, Clock, record, unit_of

from flowglass.deliver import DestinationRules, LocalStore, Outlets, ServiceSettings, Spool, aws
from flowglass.deliver.outlet import Outlet
from flowglass.deliver.outlets import LOCAL_SINKS, Site
from flowglass.deliver.sinks import CloudWatchSink
from flowglass.fields.contracts import Destination, DestinationType

GROUP = Destination(DestinationType.CLOUD_WATCH_LOGS, "/vpc", account="123456789012", region="us-east-1")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool", now_ms=Clock().now_ms)
    yield opened
    opened.close()


def test_threads_that_ask_for_an_outlet_at_once_get_the_same_one(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, both = LOCAL_SINKS[DestinationType.S3], threading.Barrier(2)

    def slow(to: Destination, site: Site) -> Outlet:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # for the other thread, if that may come in
        return make(to, site)

    monkeypatch.setitem(cast("dict[DestinationType, Any]", LOCAL_SINKS), DestinationType.S3, slow)
    outlets = Outlets(spool, LocalStore(tmp_path), DestinationRules())
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(outlets.outlet, [flow_log(destination=BUCKET)] * 2)
    assert one is other


def test_flow_logs_of_one_log_group_share_a_client_and_nothing_of_their_own_is_kept(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.use(monkeypatch, tmp_path, Key("KEYID", "secret"))
    clients: list[Any] = []
    made: list[weakref.ref[CloudWatchSink]] = []
    make, begin = aws.client, CloudWatchSink.__init__

    def client(*arguments: Any, **named: Any) -> Any:
        clients.append(make(*arguments, **named))
        return clients[-1]

    def sink(self: CloudWatchSink, *arguments: Any) -> None:
        begin(self, *arguments)
        made.append(weakref.ref(self))

    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr(CloudWatchSink, "__init__", sink)
    with json_service() as service:
        service.answers = [Answer({"nextSequenceToken": "1"})]
        rules = DestinationRules(cloudwatch_logs=ServiceSettings(endpoint=service.url))
        outlets = Outlets(spool, LocalStore(tmp_path), rules)
        for name in "abc":
            log = flow_log(id=f"fl-0000000{name}", destination=GROUP)
            outlets.outlet(log).deliver(unit_of(spool, log=log))
    assert len(clients) == 1
    assert [status.records for status in spool.statuses()] == [10] * 3
    assert [one() for one in made] == [None] * 3


def test_units_that_finish_at_once_note_their_files_one_after_the_other(spool: Spool) -> None:
    class Watched(list[str]):
        inside = most = 0

        def __iadd__(self, names: Any) -> Watched:  # type: ignore[override, misc]
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.05)
            self.inside -= 1
            return super().__iadd__(names)

    removed = spool._removed = Watched()
    for minute in range(4):
        record(spool, flow_log(), PERIOD_S + 60 * minute)
    units = [spool.assign([share]) for share in spool.shares()]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(spool.finish, units))
    assert (removed.most, len(removed)) == (1, 4)
