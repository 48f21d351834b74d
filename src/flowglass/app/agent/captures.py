"""The folder that captures are dropped into.

Rule: a file is taken when nobody writes to it any more, and moved aside when it is done; nothing in it is ever changed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from pathlib import Path
from typing import Final

from flowglass.fields.errors import DestinationUnwritable

DONE: Final = "done"
FAILED: Final = "failed"
EMPTY_S: Final = 60.0
"""A file that has had nothing in it for so long is told of."""
QUIET_S: Final = 5.0
"""How long a file must stay as it is where the system cannot tell whether somebody writes to it."""
_LONGEST_NAME: Final = 255
"""Bytes of a file's name, as Linux has it."""
_UNFINISHED: Final = (".part", ".partial", ".tmp", ".crdownload", ".filepart")


class CaptureFolder:
    """Captures in `root`, which is made if it is not there. `ignored`: name and reason of what is not taken now.

    Raises DestinationUnwritable.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ignored: dict[str, str] = {}
        self._refused: dict[Path, tuple[int, int]] = {}
        try:
            for folder in (root, root / DONE, root / FAILED):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DestinationUnwritable(f"[capture] watch {root}: {error.strerror}; name a folder to write") from None

    def complete(self) -> list[Path]:
        """Files that nobody writes to any more, the oldest first; those set aside where they are, only if changed."""
        self.ignored = {}
        found: list[tuple[int, Path]] = []
        for path in self.root.iterdir():
            if path.name.startswith(".") or path.name.endswith(_UNFINISHED):
                continue
            try:
                state = path.stat()
            except OSError:
                continue  # gone again
            self._look(path, state)
            if stat.S_ISREG(state.st_mode) and self._refused.get(path) != _mark(state) and _complete(path, state):
                found.append((state.st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    def _look(self, path: Path, state: os.stat_result) -> None:
        """Note what a person may take for a capture that is waiting."""
        if stat.S_ISDIR(state.st_mode) and path.name not in (DONE, FAILED):
            self.ignored[path.name] = "a folder: captures are taken from the watched folder itself"
        elif not state.st_size and stat.S_ISREG(state.st_mode) and time.time() - state.st_mtime >= EMPTY_S:
            self.ignored[path.name] = "an empty file: it is taken once something was written into it"

    def done(self, path: Path, digest: str) -> Path:
        """Move a recorded file aside; return where it is."""
        return self._move(path, DONE, digest)

    def failed(self, path: Path, digest: str) -> Path:
        """Move a file aside that cannot be recorded; return where it is."""
        return self._move(path, FAILED, digest)

    def _move(self, path: Path, folder: str, digest: str) -> Path:
        """By the content's digest, so that files of one name do not meet. One that cannot be moved stays, unread."""
        target = self.root / folder / os.fsdecode(os.fsencode(f"{digest[:12]}-{path.name}")[:_LONGEST_NAME])
        try:
            path.replace(target)
        except OSError:
            self._refused[path] = _mark(path.stat())
            return path
        return target


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mark(state: os.stat_result) -> tuple[int, int]:
    return state.st_mtime_ns, state.st_size


def _complete(path: Path, state: os.stat_result) -> bool:
    """A read lease is granted only while nobody has the file open for writing (fcntl(2), F_SETLEASE)."""
    if not state.st_size:
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return time.time() - state.st_mtime >= QUIET_S  # recording it will tell what is wrong
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        # Another owner's file, or a file system without leases (NFS, FUSE): then time has to tell.
        return error.errno != errno.EAGAIN and time.time() - state.st_mtime >= QUIET_S
    finally:
        os.close(handle)
    return True
