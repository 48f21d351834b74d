"""The field table is what `fields.txt` says: a field that was added, changed or lost shows here.

That each field which can be known has one producer is tested beside the producers
(tests/unit/test_enrich_producers.py).
"""

from __future__ import annotations

from pathlib import Path

from flowglass.fields import EXTENSION_FIELDS, TRANSIT_GATEWAY_FIELDS, VPC_FIELDS, Field

GOLDEN = Path(__file__).with_name("fields.txt")


def line_of(field: Field) -> str:
    """The golden line of a field."""
    origin = field.origin.value.replace(" ", "-")
    return f"{field.version} {field.name} {field.type.value} {origin} {field.resource.value}"


def test_every_field_has_its_golden_line() -> None:
    golden = [line for line in GOLDEN.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert [line_of(field) for field in (*VPC_FIELDS, *EXTENSION_FIELDS, *TRANSIT_GATEWAY_FIELDS)] == golden
