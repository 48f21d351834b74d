"""Where objects are finished before they are delivered: a sink that keeps them on this disk.

Rule: what `put` took is durable, content and name, before it is in `objects`. The folder is its owner's alone; files in
it have the rights of the local store's objects, which they become by a hard link.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flowglass.deliver.spool.model import Step, Watch
from flowglass.deliver.temp import TempFile, TempFolder, destination_error, sync
from flowglass.fields.contracts import FinishedObject


class Stage:
    """The objects of one unit, in `folder`; `objects`: those that are finished, with the files that they have here."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        self.objects: list[FinishedObject] = []
        self._folder = folder
        self._temps = TempFolder(folder)
        self._watch = watch

    def open_temp(self) -> TempFile:
        """A temporary file. Raises DestinationUnwritable or DestinationFull."""
        return self._temps.open()

    def put(self, finished: FinishedObject) -> bool:
        """Keep a finished object; always True. Raises as `open_temp`."""
        kept = self._folder / f"{secrets.token_hex(8)}.object"
        try:
            sync(Path(finished.path))
            os.link(finished.path, kept)
            sync(self._folder)
        except OSError as error:
            raise destination_error(self._folder, error) from error
        self.objects.append(replace(finished, path=str(kept)))
        self._watch(Step.OBJECT_STAGED)
        return True

    def clean(self) -> int:
        """Give up what is finished, if the unit is not; return how many objects that were."""
        objects, self.objects = self.objects, []
        for finished in objects:
            with suppress(OSError):  # the next start removes what is left
                Path(finished.path).unlink(missing_ok=True)
        return len(objects)
