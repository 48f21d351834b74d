"""Text columns made quickly.

Rule: from buffers. pa.array() would import pandas wherever that is installed, which takes longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def texts(values: Sequence[str | None]) -> pa.StringArray:
    """Texts as an Arrow array, None as null."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    valid = np.array([value is not None for value in values], np.bool_)
    bitmap = np.packbits(valid, bitorder="little")
    return pa.StringArray.from_buffers(
        len(values),
        pa.py_buffer(offsets.tobytes()),
        pa.py_buffer(b"".join(encoded)),
        pa.py_buffer(bitmap.tobytes()),
    )
