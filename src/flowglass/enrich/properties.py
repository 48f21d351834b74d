"""Properties of interfaces, made ready once a snapshot: a code for every interface, and the texts.

Rule: a property is looked up by interface row, never by record. A null property has code -1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from flowglass.enrich.columns import Array
from flowglass.fields import Field
from flowglass.fields.contracts import I32
from flowglass.inventory import Interfaces

_TEXTS: Final[dict[str, Callable[[Interfaces], Array]]] = {
    "account-id": lambda interfaces: interfaces.account,
    "interface-id": lambda interfaces: interfaces.id,
    "vpc-id": lambda interfaces: interfaces.vpc,
    "subnet-id": lambda interfaces: interfaces.subnet,
    "instance-id": lambda interfaces: interfaces.instance,
    "region": lambda interfaces: interfaces.region,
    "az-id": lambda interfaces: interfaces.az,
    "sublocation-type": lambda interfaces: interfaces.sublocation_type,
    "sublocation-id": lambda interfaces: interfaces.sublocation_id,
    "resource-id": lambda interfaces: interfaces.resource_id,
    "interface-type": lambda interfaces: interfaces.type,
}
"""Where the inventory keeps a property that is no tag and not of ECS."""


def percent_encoded(value: str) -> str | None:
    """A tag value as AWS prints it: every UTF-8 byte but ASCII letters and digits as %XX; null if empty.

    AWS-like systems encode the hyphen too, and which of `_ . ~` they spare is not published: all are
    encoded, which every reader decodes.
    """
    encoded = quote(value, safe="")
    for character in "_.-~":  # quote() spares them
        encoded = encoded.replace(character, f"%{ord(character):02X}")
    return encoded or None


class Properties:
    """Codes and texts of the properties of the interfaces of one snapshot, made when first asked for."""

    def __init__(self, interfaces: Interfaces) -> None:
        self.interfaces = interfaces
        self._made: dict[tuple[str, str | None], tuple[I32, Array]] = {}

    def of(self, name: str) -> tuple[I32, Array]:
        """A property by the name of its field: (interfaces,) int32 codes, -1 null, and the distinct texts."""
        key = (name, None)
        if key not in self._made:
            ecs = self.interfaces.ecs
            self._made[key] = _coded(ecs[name] if name in ecs else _TEXTS[name](self.interfaces))
        return self._made[key]

    def tag(self, field: Field, key: str) -> tuple[I32, Array]:
        """Percent-encoded values of a tag of the resource that the field is of; as `of`."""
        made = (field.tag_of or "", key)
        if made not in self._made:
            codes, values = _coded(self.interfaces.tag(made[0], key))
            encoded = [percent_encoded(str(value)) for value in values.to_pylist()]
            recoded, texts = _coded(pa.array(encoded, pa.string()))
            known = codes >= 0
            codes[known] = recoded[codes[known]]
            self._made[made] = codes, texts
        return self._made[made]


def _coded(texts: Array) -> tuple[I32, Array]:
    encoded: Any = texts.dictionary_encode()
    codes: I32 = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, encoded.dictionary
