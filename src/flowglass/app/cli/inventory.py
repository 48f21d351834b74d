"""`flowglass inventory`: check an inventory file, or begin one.

Rule: every fault is told at once, with its line and what to do.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Check an inventory file, or write a commented example.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("check", epilog="Example: flowglass inventory check network.yaml")
def check(
    file: Annotated[str, typer.Argument(help="The inventory file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the faults as JSON.")] = False,
) -> None:
    """Report every fault of an inventory file with its line and remedy."""
    from flowglass.fields.errors import InventoryError
    from flowglass.inventory import check as faults_of

    faults = faults_of(file)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(fault) for fault in faults], indent=2))
    else:
        for fault in faults:
            typer.echo(f"{file}:{fault.line}: {fault.message}; {fault.remedy}")
    if faults:
        raise InventoryError(f"{file}: {len(faults)} fault{'s' if len(faults) > 1 else ''}")
    if not as_json:
        typer.echo(f"{file}: no fault found")


@app.command("init", epilog="Example: flowglass inventory init network.yaml")
def init(
    file: Annotated[str | None, typer.Argument(help="File to write; standard output without it.")] = None,
) -> None:
    """Write a commented example to begin with."""
    from flowglass.fields.errors import OptionError
    from flowglass.inventory import example

    if file is None:
        typer.echo(example(), nl=False)
        return
    try:
        with Path(file).open("x", encoding="utf-8") as out:
            out.write(example())
    except FileExistsError:
        raise OptionError(f"{file}: exists already, and nothing was written; name another file") from None
    except OSError as error:
        raise OptionError(f"{file}: {error.strerror}; name a file that can be made anew") from None
    typer.echo(f"wrote {file}; next: flowglass inventory check {file}")
