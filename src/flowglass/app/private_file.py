"""Small files of DATA that only their owner may read.

Rule: a file is replaced whole, or not at all; it never exists with other rights, not for a moment.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from flowglass.fields.errors import DestinationUnwritable


def private_folder(path: Path) -> Path:
    """The folder, made with mode 0700 if it is not there. Raises DestinationUnwritable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationUnwritable(f"{path}: {error.strerror}; choose a folder that you may write") from None
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 in place of what is there. Raises DestinationUnwritable."""
    private_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        temp = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise DestinationUnwritable(f"{path}: {error.strerror}; check the folder's rights and space") from None


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
