"""The progress bar of long work: on a terminal only, at most five times a second.

Rule: it draws on stderr; in a pipe nothing is drawn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowglass.capture import CaptureFiles

_INTERVAL_S = 0.2


@contextmanager
def capture_progress() -> Iterator[Callable[[CaptureFiles, int], None] | None]:
    """A function to call after every block with the captures and the frames so far; None where nothing is drawn."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("recording"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]} packets/s"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    drawn = started
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=None, rate="0")

        def watch(source: CaptureFiles, frames: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn < _INTERVAL_S:
                return
            drawn = now
            progress.update(
                task,
                completed=source.read_bytes,
                total=source.total_bytes or None,
                rate=f"{frames / (now - started):,.0f}",
            )
            progress.refresh()

        yield watch
