"""What tests of several folders are handed.

Rule: servers start when the first test asks for them and stop with the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.databases import NotInstalled, PostgreSQL

if TYPE_CHECKING:
    from flowglass.control.store import Store  # imports SQLAlchemy, which most tests have no use for


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server; skips, with the reason, where there can be none."""
    try:
        server = PostgreSQL()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


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
