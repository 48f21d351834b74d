"""Arrow's arrays and functions, untyped.

Rule: pyarrow-stubs cannot say of which of several types an array is, and refuse calls that are right; what
goes through here is checked by tests instead.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow.compute

Array = Any
"""An Arrow array, chunked or not."""

compute: Final[Any] = pyarrow.compute
