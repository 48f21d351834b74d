"""Which state belongs to DATA: its own, or the one that its servers keep elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from flowglass.app.config import Config, load_config
from flowglass.app.setup import open_store
from flowglass.app.state import ELSEWHERE, note_place, open_state
from flowglass.fields.errors import ConfigError, DestinationUnwritable, StateError


def config(data: Path, state: str = "") -> Config:
    return load_config(data, environ={"FLOWGLASS_SERVER_STATE": state})


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[Path, Path]:
    """DATA, and the file in which a server of it opened its state."""
    data, state = tmp_path / "data", tmp_path / "other.db"
    data.mkdir(mode=0o700)
    open_store(config(data, f"sqlite:///{state}")).close()
    return data, state


def test_without_another_state_datas_own_is_used(tmp_path: Path) -> None:
    open_store(config(tmp_path)).close()
    open_state(config(tmp_path)).close()
    assert (tmp_path / "state.db").exists()
    assert not (tmp_path / ELSEWHERE).exists()


def test_a_command_without_the_servers_configuration_is_refused_and_makes_nothing(
    elsewhere: tuple[Path, Path],
) -> None:
    data, state = elsewhere
    with pytest.raises(StateError) as caught:
        open_state(config(data))
    assert str(caught.value) == (
        f"{data}: its server keeps its state at sqlite:///{state}: set FLOWGLASS_SERVER_STATE or [server] state to it, "
        f"or remove {data}/state-elsewhere to use {data}/state.db"
    )
    assert [path.name for path in data.iterdir()] == [ELSEWHERE]
    open_state(config(data, f"sqlite:///{state}")).close()


def test_a_server_without_the_configuration_is_refused_even_where_data_has_a_state(
    elsewhere: tuple[Path, Path],
) -> None:
    data, _ = elsewhere
    (data / "state.db").touch()
    with pytest.raises(StateError, match="set FLOWGLASS_SERVER_STATE"):
        open_store(config(data))


def test_a_server_that_names_datas_own_state_takes_it_back(elsewhere: tuple[Path, Path]) -> None:
    data, _ = elsewhere
    open_store(config(data, f"sqlite:///{data / 'state.db'}")).close()
    open_state(config(data)).close()
    assert not (data / ELSEWHERE).exists()


def test_a_command_of_another_state_says_nothing_of_datas_servers(tmp_path: Path) -> None:
    open_state(config(tmp_path, f"sqlite:///{tmp_path / 'other.db'}")).close()
    assert not (tmp_path / ELSEWHERE).exists()


def test_the_note_is_private_and_has_no_password(tmp_path: Path) -> None:
    note_place(config(tmp_path, "postgresql://me:hidden@db.example:5432/flowglass?sslpassword=hidden"))
    note = tmp_path / ELSEWHERE
    assert note.read_text() == "postgresql://me:***@db.example:5432/flowglass?sslpassword=***\n"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600


def test_a_note_that_cannot_be_read_or_removed_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ELSEWHERE).mkdir()
    with pytest.raises(ConfigError, match="check its permissions"):
        open_state(config(tmp_path))
    with pytest.raises(DestinationUnwritable, match="check the folder's rights"):
        note_place(config(tmp_path))
