"""Spans of time and sizes as people say them.

Rule: two significant parts at most; who needs the number takes --json.
"""

from __future__ import annotations

import itertools
from typing import Final

_SPANS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def span(seconds: float) -> str:
    """A span of time, as `2 h 5 min`; nothing below a second."""
    left = max(0, int(seconds))
    for (length, name), (next_length, next_name) in itertools.pairwise(_SPANS):
        if left >= length:
            rest = left % length // next_length
            return f"{left // length} {name}" + (f" {rest} {next_name}" if rest else "")
    return f"{left} s"


def size(size_bytes: int) -> str:
    """A size in decimal units, as disks and S3 count: `1.5 GB`."""
    for unit, name in _SIZES:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {name}"
    return f"{size_bytes} bytes"


def many(count: int, thing: str) -> str:
    """`1 record`, `1,204 records`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
