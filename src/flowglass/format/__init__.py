"""Record batches to flow-log objects and back: text, Parquet, object keys.

Rule: nothing here knows where an object goes; writers are given an open file.
"""

from flowglass.format.file import ObjectFile, Writable
from flowglass.format.layout import PERIOD_S, KeyParts, folders, object_key, parse_key
from flowglass.format.objects import read_object
from flowglass.format.parquet import ParquetFile, read_parquet
from flowglass.format.result import ReadResult
from flowglass.format.text import TextFile, TextFormat
from flowglass.format.text_reader import read_text

__all__ = [
    "PERIOD_S",
    "KeyParts",
    "ObjectFile",
    "ParquetFile",
    "ReadResult",
    "TextFile",
    "TextFormat",
    "Writable",
    "folders",
    "object_key",
    "parse_key",
    "read_object",
    "read_parquet",
    "read_text",
]
