"""What tests of several folders are handed.

Rule: servers start when the first test asks for them and stop with the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from tests.support.databases import NotInstalled, PostgreSQL

if TYPE_CHECKING:
    from tests.support.services import MiniStack, Moto, SeaweedFS, Service  # imports botocore, as the next

    from flowglass.control.store import Store  # imports SQLAlchemy, which most tests have no use for

AnyService = TypeVar("AnyService", bound="Service")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server; skips, with the reason, where there can be none."""
    try:
        server = PostgreSQL()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[SeaweedFS]:
    """A running S3 server for all tests: each makes buckets of its own; who breaks it starts one of its own."""
    from tests.support.services import SeaweedFS

    yield from _running(SeaweedFS)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Moto]:
    """A running moto, which checks keys and what they may do; shared as the S3 server is."""
    from tests.support.services import Moto

    yield from _running(Moto)


@pytest.fixture(scope="session")
def ministack_server() -> Iterator[MiniStack]:
    """A running ministack; shared as the S3 server is."""
    from tests.support.services import MiniStack

    yield from _running(MiniStack)


def _running(kind: type[AnyService]) -> Iterator[AnyService]:
    """A service; skips, with the reason, where its program is not installed."""
    from tests.support.services import NotInstalled

    try:
        service = kind()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    yield service
    service.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new, empty state on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.new_database()
    yield url
    server.drop(url)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A new, empty state on each database in turn."""
    from flowglass.control.store import Store

    opened = Store.open(store_url)
    yield opened
    opened.close()
