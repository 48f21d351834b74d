"""The hint of `flowglass up` for a second terminal, which has the first one's variables only by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowglass.app.cli.up import data_dir_option


@pytest.mark.parametrize(
    ("data", "variable", "option"),
    [
        ("/share/flowglass", "", ""),
        ("/share/flowglass", "/share/flowglass", " --data-dir /share/flowglass"),
        ("/my data", "/my data", " --data-dir '/my data'"),
        ("/chosen", "", " --data-dir /chosen"),
    ],
)
def test_it_names_data_unless_every_terminal_finds_it(
    monkeypatch: pytest.MonkeyPatch, data: str, variable: str, option: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/share")
    monkeypatch.setenv("FLOWGLASS_DATA_DIR", variable)
    assert data_dir_option(Path(data)) == option
