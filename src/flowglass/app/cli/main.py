"""`flowglass`: the program, its commands, and how an error ends it.

Rule: an error of ours is one line on stderr and its own exit code; stdout is for data.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flowglass import __version__
from flowglass.app.cli import fields, inventory, record
from flowglass.fields.errors import INTERRUPTED, Error

app = typer.Typer(
    name="flowglass",
    help="VPC Flow Logs for networks you own: packets in, AWS flow-log objects out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("record", epilog=record.EXAMPLES)(record.record)
app.command("fields", epilog=fields.EXAMPLES)(fields.fields)
app.add_typer(inventory.app, name="inventory")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"flowglass {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """VPC Flow Logs for networks you own: packets in, AWS flow-log objects out."""


def main() -> None:
    """Run the program; never returns."""
    try:
        app()
    except Error as error:
        print(f"flowglass: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # standard output that takes no more; rooms raise errors of our own
        print(f"flowglass: output cannot be written: {error.strerror}; send it elsewhere", file=sys.stderr)
        sys.exit(Error.exit_code)
