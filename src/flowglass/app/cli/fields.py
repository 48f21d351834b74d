"""`flowglass fields`: the field table, for people and for programs.

Rule: what it prints is the table; nothing is typed here.
"""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any

import typer

EXAMPLES = "Examples: flowglass fields · flowglass fields traffic-path · flowglass fields --json"


def fields(
    name: Annotated[str | None, typer.Argument(help="One field, with everything about it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    transit_gateway: Annotated[
        bool, typer.Option("--transit-gateway", help="Fields of transit gateway flow logs.")
    ] = False,
) -> None:
    """Print the fields that a log format may name."""
    from flowglass.fields import EXTENSION_FIELDS, TRANSIT_GATEWAY_FIELDS, VPC_FIELDS
    from flowglass.fields.errors import LogFormatError

    table = TRANSIT_GATEWAY_FIELDS if transit_gateway else (*VPC_FIELDS, *EXTENSION_FIELDS)
    chosen = table
    if name is not None:
        bare = name.removeprefix("${").removesuffix("}").replace("_", "-")
        chosen = tuple(field for field in table if field.name == bare)
        if not chosen:
            near = difflib.get_close_matches(bare, [field.name for field in table], n=1, cutoff=0.5)
            hint = f", did you mean {near[0]}?" if near else "; `flowglass fields` lists them"
            raise LogFormatError(f"unknown field {name}{hint}")
    if as_json:
        rows = [describe(field) for field in chosen]
        typer.echo(json.dumps(rows[0] if name is not None else rows, indent=2))
    elif name is not None:
        for key, value in describe(chosen[0]).items():
            typer.echo(f"{key:12} {', '.join(value) if isinstance(value, list) else value}")
    else:
        width = max(len(field.name) for field in chosen)
        for field in chosen:
            typer.echo(f"{field.version:2}  {field.name:{width}}  {field.type.value:6}  {field.doc}")


def describe(field: Any) -> dict[str, Any]:
    """Everything about a field, as plain values; empty facts are left out."""
    facts = {
        "name": field.name,
        "version": field.version,
        "type": field.type.value,
        "column": field.column,
        "origin": field.origin.value,
        "meaning": field.doc,
        "values": list(field.values),
        "tag-of": field.tag_of,
        "absent": field.absent,
        "extension": field.extension,
    }
    return {key: value for key, value in facts.items() if value not in (None, "", [], False)}
