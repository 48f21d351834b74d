"""Finished objects for sinks to put.

Rule: what is said of an object is true of its file.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Final

from flowglass.fields.contracts import FinishedObject

_NUMBERS: Final = itertools.count()


def finished(folder: Path, content: bytes, key: str) -> FinishedObject:
    """An object with this content, in a new file of the folder."""
    path = folder / f"object-{next(_NUMBERS)}"
    path.write_bytes(content)
    return FinishedObject(
        path=str(path),
        key=key,
        sha256=hashlib.sha256(content).hexdigest(),
        first_end_s=0,
        last_end_s=0,
        records=1,
        size_bytes=len(content),
    )
