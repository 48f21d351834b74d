"""The agent's inventory as it is told to the server: none is not an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.servers import SAMPLE_INVENTORY, free_port

from flowglass.app.agent.client import AgentKey, Client, ServerUnreachable
from flowglass.app.agent.feed import InventoryFeed


@pytest.fixture
def nobody() -> Client:
    """A client of a server that is not there: whoever calls it learns so."""
    return Client(f"http://127.0.0.1:{free_port()}", AgentKey("FGAK", "secret"))


def test_without_a_file_nothing_is_read_and_nothing_is_sent(nobody: Client) -> None:
    feed = InventoryFeed("", pytest.fail)
    assert not feed.refresh()
    assert feed.snapshot is None
    feed.send(nobody)
    feed.forget()
    feed.send(nobody)


def test_an_empty_file_is_sent(nobody: Client, tmp_path: Path) -> None:
    file = tmp_path / "network.yaml"
    file.write_text(SAMPLE_INVENTORY.read_text().split("vpcs:")[0])
    feed = InventoryFeed(str(file), pytest.fail)
    feed.refresh()
    with pytest.raises(ServerUnreachable):
        feed.send(nobody)
