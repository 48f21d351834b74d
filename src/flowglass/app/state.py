"""Which state belongs to DATA, and opening it.

Rule: DATA/state.db is never opened by default where a server of this DATA keeps its state elsewhere; only a state that
is configured is. So a command that lacks the server's configuration cannot begin a second state that nobody serves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flowglass.app.config import Config
from flowglass.app.config.rules import without_password
from flowglass.app.private_file import write_private
from flowglass.control import Store
from flowglass.fields.errors import ConfigError, DestinationUnwritable, StateError

ELSEWHERE: Final = "state-elsewhere"
"""The file of DATA that says where its servers' state is, without the password; not there for a state in DATA."""


def open_state(config: Config) -> Store:
    """The state, its tables up to date.

    Raises StateError where it cannot be used, or where none is configured and a server of this DATA used another than
    DATA's own; ConfigError where DATA cannot be read.
    """
    note = config.data_dir / ELSEWHERE
    if not config.server.state and (place := _read(note)):
        raise StateError(
            f"{config.data_dir}: its server keeps its state at {place}: set FLOWGLASS_SERVER_STATE or [server] state "
            f"to it, or remove {note} to use {config.data_dir / 'state.db'}"
        )
    return Store.open(config.state_url)


def note_place(config: Config) -> None:
    """Write down where the state is that a server opened, for commands. Raises DestinationUnwritable."""
    note = config.data_dir / ELSEWHERE
    if config.server.state in ("", f"sqlite:///{config.data_dir / 'state.db'}"):
        try:
            note.unlink(missing_ok=True)
        except OSError as error:
            raise DestinationUnwritable(f"{note}: {error.strerror}; check the folder's rights") from None
        return
    place = without_password(config.server.state)
    if _read(note) != place:
        write_private(note, f"{place}\n".encode())


def _read(note: Path) -> str:
    """What the file says, "" where there is none."""
    try:
        return note.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{note}: {error.strerror}; check its permissions") from None
