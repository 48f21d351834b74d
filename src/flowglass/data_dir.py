"""Where Flowglass keeps what it keeps: DATA, a folder of its user alone.

Rule: no other file decides where DATA is, or whom it is open to.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from flowglass.fields.errors import ConfigError

VARIABLE: Final = "FLOWGLASS_DATA_DIR"
CACHE: Final = "cache"
"""The folder of compiled kernels below DATA; it holds nothing that is secret."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def data_dir(chosen: str | None = None) -> Path:
    """DATA as an absolute path: `chosen`, else FLOWGLASS_DATA_DIR, else the platform's folder for a user's data.

    The last is that of the XDG base directory specification. Makes nothing.
    """
    named = chosen or os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    home = os.environ.get("XDG_DATA_HOME") or str(Path("~/.local/share").expanduser())
    # A user without a home has no such folder: nothing is kept, least of all where others could put code into it.
    return Path(home if Path(home).is_absolute() else os.devnull) / "flowglass"


def make_data_dir(folder: Path) -> None:
    """Make DATA with mode 0700, or check that it is so. Raises ConfigError where others may look into it.

    A folder that has nothing yet, or compiled kernels only, is closed to others; of any other it is left to its owner,
    since others may need what is in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid != os.geteuid():
            raise ConfigError(f"{folder}: belongs to another user; name a folder of yours with --data-dir")
        if found.st_mode & _OTHERS:
            if any(entry.name != CACHE for entry in folder.iterdir()):
                raise ConfigError(f"{folder}: others may look into it; run chmod 700 {folder}, or name another folder")
            folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; name a folder for data with --data-dir or {VARIABLE}") from None
