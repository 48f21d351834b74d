"""A folder as destination: it stands for the bucket, so every reader of S3 layouts works on it.

Rule: an object appears under its name at once and whole, or not at all, never replaces another one, and never leaves
the folder.
Order of a put, each step durable before the next: content (fsync), name (link, which fails if the name is
taken), folders (fsync). The finished file keeps the name it had, so a crash leaves at most a file of its owner's.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from flowglass.deliver.temp import TempFile, TempFolder, destination_error, make_folders, sync
from flowglass.fields.contracts import FinishedObject
from flowglass.fields.errors import DestinationFull, DestinationUnwritable

PARTIAL = ".partial"
"""Where unfinished objects are, inside the folder, so that they can be linked to their names."""

_MB: Final = 1_000_000
_PIECE_BYTES: Final = 1 << 20


class DirectorySink:
    """Delivers objects into the folder `root`, which is made if it is not there.

    `min_free_bytes`: with less space on its disk it takes nothing, so that delivery pauses before the disk is full.
    """

    def __init__(self, root: str | Path, min_free_bytes: int = 0) -> None:
        self.root = Path(root)
        self._min_free_bytes = min_free_bytes
        self._temps = TempFolder(self.root / PARTIAL)

    def open_temp(self) -> TempFile:
        """A temporary file to build an object in. Raises DestinationUnwritable or DestinationFull."""
        self._check_room()
        return self._temps.open()

    def clean(self) -> int:
        """Remove unfinished objects of killed processes; return how many there were."""
        return self._temps.clean()

    def put(self, finished: FinishedObject) -> bool:
        """Give a finished object its name, too; return False if that name is there already.

        Raises DestinationUnwritable, also for a key that leads out of the folder, or DestinationFull.
        """
        if finished.key.startswith("/") or ".." in finished.key.split("/"):
            raise DestinationUnwritable(f"{self.root}: the key {finished.key!r} leads out of it; correct the flow log")
        target = self.root / finished.key
        source = Path(finished.path)
        self._check_room()
        try:
            sync(source)
            created = self._name(source, target)
            # Also where it was there: whoever made it, or a folder above it, may have been killed before this.
            for folder in (target.parent, *target.parent.parents):
                sync(folder)
                if folder == self.root:
                    break
        except OSError as error:
            raise destination_error(target, error) from error
        return created

    def _name(self, source: Path, target: Path) -> bool:
        """Link the name to the content: the file's own, or a copy where the file is on another file system."""
        try:
            return _link(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        copy = self._temps.open()
        try:
            with source.open("rb") as content:
                while piece := content.read(_PIECE_BYTES):
                    copy.write(piece)
            sync(copy.path)
            return _link(copy.path, target)
        finally:
            copy.close()

    def _check_room(self) -> None:
        """Raises DestinationFull if the disk has less space than is to stay free."""
        if not self._min_free_bytes:
            return
        try:
            disk = os.statvfs(_existing(self.root))
        except OSError as error:
            raise destination_error(self.root, error) from error
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes < self._min_free_bytes:
            raise DestinationFull(
                f"{self.root}: only {free_bytes // _MB} MB free, [local_store] min_free_megabytes is "
                f"{self._min_free_bytes // _MB}; make room, or set a retention"
            )


def _link(source: Path, target: Path) -> bool:
    while True:
        make_folders(target.parent)
        try:
            os.link(source, target)
        except FileExistsError:
            return False
        except FileNotFoundError:
            if not source.exists():
                raise
            continue  # retention took the empty folder away
        return True


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((above for above in (folder, *folder.parents) if above.exists()), Path())
