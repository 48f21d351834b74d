"""Reading one flow-log object, whatever form it has.

Rule: the first bytes decide, not the name: objects are renamed, and copied under other names.
"""

from __future__ import annotations

from pathlib import Path

from flowglass.fields import LogFormat
from flowglass.fields.errors import ObjectUnreadable
from flowglass.format.parquet import read_parquet
from flowglass.format.result import ReadResult
from flowglass.format.text_reader import read_text

_PARQUET = b"PAR1"


def read_object(path: str | Path, log_format: LogFormat | None = None) -> ReadResult:
    """Read a Parquet, gzip, zstd or plain text object; `log_format` as `read_text` takes it.

    Raises ObjectUnreadable, which names the file, the place and what was expected.
    """
    try:
        with Path(path).open("rb") as file:
            magic = file.read(len(_PARQUET))
    except OSError as error:
        raise ObjectUnreadable(f"{path}: {error.strerror}; check the path and its permissions") from error
    return read_parquet(path) if magic == _PARQUET else read_text(path, log_format)
