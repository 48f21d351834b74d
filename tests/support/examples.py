"""How many examples Hypothesis tries: fewer where kernels run uncompiled, and more where it is asked for.

Rule: FLOWGLASS_EXAMPLES multiplies; the long fuzzing run uses it.
"""

from __future__ import annotations

import os

import numba


def examples(usual: int) -> int:
    """The number of examples for a test that usually tries this many."""
    if numba.config.DISABLE_JIT:
        return max(usual // 5, 5)
    return int(usual * float(os.environ.get("FLOWGLASS_EXAMPLES", "1")))
