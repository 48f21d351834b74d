"""A folder as destination: it stands for the bucket, so every reader of S3 layouts works on it.

Rule: an object appears under its name at once and whole, or not at all, and never replaces another one.
Order of a put, each step durable before the next: content (fsync), name (link, which fails if the name is
taken), folders (fsync); the temporary name goes last, so a crash leaves at most a file that `clean` removes.
"""

from __future__ import annotations

import os
from pathlib import Path

from flowglass.deliver.temp import TempFile, TempFolder, destination_error, make_folders, sync
from flowglass.fields.contracts import FinishedObject

PARTIAL = ".partial"
"""Where unfinished objects are, inside the folder, so that they can be linked to their names."""


class DirectorySink:
    """Delivers objects into the folder `root`, which is made if it is not there."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._temps = TempFolder(self.root / PARTIAL)

    def open_temp(self) -> TempFile:
        """A temporary file to build an object in. Raises DestinationUnwritable or DestinationFull."""
        return self._temps.open()

    def clean(self) -> int:
        """Remove unfinished objects of killed processes; return how many there were."""
        return self._temps.clean()

    def put(self, finished: FinishedObject) -> bool:
        """Give a finished object its name; return False if that name is there already.

        The temporary file is gone afterwards, whatever happens. Raises DestinationUnwritable or
        DestinationFull.
        """
        target = self.root / finished.key
        temp = Path(finished.path)
        try:
            try:
                sync(temp)
                make_folders(target.parent)
                created = _link(temp, target)
                if created:
                    sync(target.parent)
            finally:
                temp.unlink(missing_ok=True)
        except OSError as error:
            raise destination_error(target, error) from error
        return created


def _link(temp: Path, target: Path) -> bool:
    try:
        os.link(temp, target)
    except FileExistsError:
        return False
    return True
