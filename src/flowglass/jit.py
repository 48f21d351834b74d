"""The one place where Numba is set up: where compiled kernels are kept, and how kernels are compiled.

Rule: every kernel is declared with a decorator of this file. Kernels are compiled once a machine; the folder they are
kept in is named by the content of all kernel files, because Numba itself does not notice a change in a kernel that
another one calls.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import numba

from flowglass.data_dir import CACHE, data_dir

_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE: Final = Path(__file__).parent


def _kernels_digest() -> str:
    digest = hashlib.sha256(version("numba").encode())
    for path in (Path(__file__), _PACKAGE / "intrinsics.py", *sorted(_PACKAGE.glob("*/*kernels.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def cache_dir() -> Path:
    """The folder of compiled kernels: below NUMBA_CACHE_DIR where that is set, else below DATA."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(chosen) if chosen else data_dir() / CACHE) / f"kernels-{_kernels_digest()}"


def compiled_before(command: str) -> bool:
    """Whether an earlier run of a command compiled all the kernels that it needs, as they are now."""
    return (cache_dir() / f"{command}.compiled").exists()


def mark_compiled(command: str) -> None:
    """Note that a command ran to its end, so that its kernels are compiled; where that cannot be kept, nothing is."""
    with contextlib.suppress(OSError):
        (cache_dir() / f"{command}.compiled").touch()


def _can_keep() -> bool:
    """Whether compiled kernels can be kept: not where the folder cannot be written, as in a sealed container."""
    try:
        if not os.environ.get("NUMBA_CACHE_DIR"):
            data_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
        cache_dir().mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache_dir(), os.W_OK)


numba.config.CACHE_DIR = str(cache_dir())

_OPTIONS: Final = {"cache": _can_keep(), "nogil": True, "error_model": "numpy", "boundscheck": False, "_nrt": False}


def kernel(function: _F) -> _F:
    """Compile a kernel: no Python objects, no GIL, unsigned integers wrap as in C.

    It makes no array: without reference counts a short kernel runs up to three times as fast.
    """
    compiled: _F = numba.njit(**_OPTIONS)(function)
    return compiled


def inlined(function: _F) -> _F:
    """Compile a part of a kernel into its callers: a call would pass each array in seven registers."""
    compiled: _F = numba.njit(**_OPTIONS, forceinline=True)(function)
    return compiled
