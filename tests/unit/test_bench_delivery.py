"""The bench's full load in small: an hour without one destination, in simulated time, and a rate to an S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench import delivery
from bench.delivery_site import REMOTE
from tests.support.services import SeaweedFS

RECORDS = 20_000
OUTAGE = 60
Result = dict[str, Any]


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Four flow logs, of which one has no destination for an hour."""
    folder = tmp_path_factory.mktemp("outage") / "work"
    return delivery.child(None, folder, "load", url="", records=RECORDS, windows=0, outage=OUTAGE)


def test_no_window_is_late_and_what_is_new_does_not_wait_for_the_backlog(outage: Result) -> None:
    assert [minute["late"] for minute in outage["minutes"]] == [0] * len(outage["minutes"])
    assert outage["old"] >= OUTAGE
    # The new window was delivered when most of the old ones still waited; in the end they were delivered, too.
    assert outage["old_left"] > OUTAGE / 2
    assert len(outage["minutes"]) == OUTAGE + outage["drained_in"]


def test_memory_does_not_grow_with_the_backlog(outage: Result) -> None:
    peaks = [minute["peak_mb"] for minute in outage["minutes"]]
    # By the twelfth, windows were merged once and everything was compiled. What waits in the end is some 250 MB.
    assert peaks[-1] < peaks[12] + 60


def test_a_rate_is_measured_and_all_figures_are_told(s3_server: SeaweedFS, tmp_path: Path, outage: Result) -> None:
    s3_server.make_bucket(REMOTE)
    once = delivery.child(
        s3_server, tmp_path / "work", "rate", url=s3_server.url, form="parquet", records=2_000, windows=2
    )
    assert once["records"] == 4_000
    figures = delivery.figures({"rates": {"Parquet to S3": [once]}, "loads": {"load": outage, "outage": outage}})
    assert figures.pop("delivery, outage: late windows") == figures.pop("delivery, load: late windows") == 0
    assert len(figures) == 6 + 2 * 4 + 1
    assert all(value > 0 for value in figures.values())
