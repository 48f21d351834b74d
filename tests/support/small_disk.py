"""A small disk, to be full on purpose: a file system in memory at a folder.

Rule: where mounting is refused the test is skipped, with the reason.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system at a folder, which is made if it is not there; `options`: mount's, as `size=64k`."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount is refused here: {done.stderr.strip() or 'only root may'}")
    try:
        yield folder
    finally:
        # Lazily, since a test that fails may have left a file open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
