"""`flowglass`: the program, its commands, and how an error ends it.

Rule: an error of ours is one line on stderr, of a configuration a line a fault, and its own exit code; stdout is for
data.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from flowglass.app.cli import (
    agent,
    aws,
    buckets,
    config,
    doctor,
    env,
    fields,
    inventory,
    keys,
    record,
    server,
    spool,
    up,
)
from flowglass.fields.errors import INTERRUPTED, Error, OptionError

app = typer.Typer(
    name="flowglass",
    help="VPC Flow Logs for networks you own: packets in, AWS flow-log objects out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up", epilog=up.EXAMPLES)(up.up)
app.command("server", epilog=server.EXAMPLES)(server.server)
app.command("agent", epilog=agent.EXAMPLES)(agent.agent)
app.command("record", epilog=record.EXAMPLES)(record.record)
app.command("fields", epilog=fields.EXAMPLES)(fields.fields)
app.add_typer(inventory.app, name="inventory")
app.add_typer(buckets.app, name="buckets")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
app.add_typer(spool.app, name="spool")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("env", epilog=env.EXAMPLES)(env.env)
app.command("aws", epilog=aws.EXAMPLES, context_settings=aws.SETTINGS, add_help_option=False)(aws.aws)


def _print_version(asked: bool) -> None:
    if asked:
        from flowglass import __version__

        typer.echo(f"flowglass {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """VPC Flow Logs for networks you own: packets in, AWS flow-log objects out."""


_UsageError: Any = typer.BadParameter.__mro__[1]
"""What typer's parser raises of a wrong command line; it gives the class no name of its own."""


def main() -> None:
    """Run the program; never returns."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end the program
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except _UsageError as error:
        _end_usage(error)
    except Error as error:
        for line in str(error).split("\n"):
            print(f"flowglass: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # standard output that takes no more; rooms raise errors of our own
        print(f"flowglass: output cannot be written: {error.strerror}; send it elsewhere", file=sys.stderr)
        sys.exit(Error.exit_code)


def _end_usage(error: Any) -> None:
    """One line for a wrong command line; the help page where nothing was asked for. Never returns."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        command = error.ctx.command_path if error.ctx is not None else "flowglass"
        print(f"flowglass: {error.format_message().rstrip('.')}; see {command} --help", file=sys.stderr)
    sys.exit(OptionError.exit_code)
