"""Temporary files that a killed process cannot leave behind for good.

Rule: a temporary file is locked (flock) from before it has content until it is given up; a file whose lock
is free belongs to no living process, and the next start removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import threading
from pathlib import Path
from typing import Final

from flowglass.fields.errors import DeliveryError, DestinationFull, DestinationUnwritable

TEMP_SUFFIX: Final = ".tmp"
"""Of temporary files."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_MAKING = threading.Lock()
"""Held while folders are made: a thread that finds one there must find it durable."""


def destination_error(path: str | Path, error: OSError) -> DeliveryError:
    """What a failed call on a destination means for people, with the path and the remedy."""
    if error.errno in _FULL:
        return DestinationFull(f"{path}: {error.strerror}; make room, then run the same command again")
    return DestinationUnwritable(f"{path}: {error.strerror}; choose a folder in which you may write")


def make_folders(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those above it, each durable in its parent, with `mode` less the umask. Raises OSError."""
    with _MAKING:
        missing: list[Path] = []
        while not folder.is_dir():
            if folder.exists() and not folder.is_dir():  # another process may have made it just now
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
            missing.append(folder)
            folder = folder.parent
        for made in reversed(missing):
            made.mkdir(mode, exist_ok=True)
            sync(made.parent)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class TempFile:
    """A locked temporary file, written from front to back; counts and digests what it takes.

    Raises DestinationFull and DestinationUnwritable.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._descriptor = descriptor
        self._digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """Append all of `data`."""
        view = memoryview(data).cast("B")
        size = len(view)
        self._digest.update(view)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise destination_error(self.path.parent.parent, error) from error
        self.size_bytes += size
        return size

    def sha256(self) -> str:
        """Hex digest of what was written."""
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        """Whether the file was given up."""
        return self._descriptor < 0

    def close(self) -> None:
        """Give the file up: remove it where it still has its temporary name, and free its lock."""
        if self.closed:
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1


class TempFolder:
    """The folder of temporary files; made when the first one is. `mode`: of the files, less the umask."""

    def __init__(self, path: Path, *, mode: int = 0o644) -> None:
        self.path = path
        self._mode = mode

    def open(self) -> TempFile:
        """A new, empty, locked file. Raises DestinationUnwritable or DestinationFull."""
        try:
            while True:
                make_folders(self.path)
                path = self.path / f"{secrets.token_hex(8)}{TEMP_SUFFIX}"
                try:
                    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._mode)
                except FileNotFoundError:
                    continue  # another process's clean() took the empty folder away
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Another process's clean() may have taken it for a leftover before it was locked.
                if os.fstat(descriptor).st_nlink == 1:
                    return TempFile(path, descriptor)
                os.close(descriptor)
        except OSError as error:
            raise destination_error(self.path.parent, error) from error

    def clean(self) -> int:
        """Remove what killed processes left, and the folder if it is empty; return how many files that were."""
        removed = 0
        try:
            for path in sorted(self.path.glob(f"*{TEMP_SUFFIX}")):
                removed += _remove_unlocked(path)
            with contextlib.suppress(OSError):  # not empty, or not there
                self.path.rmdir()
        except OSError as error:
            raise destination_error(self.path.parent, error) from error
        return removed


def _remove_unlocked(path: Path) -> bool:
    """Remove a file that no process has locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # given up by its owner meanwhile
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
