"""The words that every other room uses: the field table, log formats, schemas, contracts, errors.

Rule: this room imports no other.
"""

from flowglass.fields.logformat import (
    DEFAULT_FORMAT,
    TRANSIT_GATEWAY_DEFAULT,
    Column,
    LogFormat,
    all_fields,
    named_format,
)
from flowglass.fields.table import (
    EXTENSION_FIELDS,
    FIELDS,
    TRANSIT_GATEWAY_FIELDS,
    VPC_FIELDS,
    Field,
    FieldType,
    Origin,
    Resource,
)

__all__ = [
    "DEFAULT_FORMAT",
    "EXTENSION_FIELDS",
    "FIELDS",
    "TRANSIT_GATEWAY_DEFAULT",
    "TRANSIT_GATEWAY_FIELDS",
    "VPC_FIELDS",
    "Column",
    "Field",
    "FieldType",
    "LogFormat",
    "Origin",
    "Resource",
    "all_fields",
    "named_format",
]
