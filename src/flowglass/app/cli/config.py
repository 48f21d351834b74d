"""`flowglass config`: what is configured, and where each value is from.

Rule: secrets are stars, whatever the form.
"""

from __future__ import annotations

import json

import typer

from flowglass.app.cli.common import AsJson, ConfigFile, DataDir, configuration_faults, configured, print_table

app = typer.Typer(
    help="Show the configuration with its origins, or check it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("show", epilog="Examples: flowglass config show · FLOWGLASS_LOG_LEVEL=debug flowglass config show --json")
def show(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print every value and where it is from: default, file and line, variable."""
    from flowglass.app.config import shown

    rows = list(shown(configured(data_dir, config)))
    if as_json:
        names = ("section", "key", "value", "origin")
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    else:
        cells = ((f"[{at}]", key, json.dumps(value, ensure_ascii=False), origin) for at, key, value, origin in rows)
        print_table(("section", "key", "value", "origin"), cells)


@app.command("check", epilog="Example: flowglass config check --config /etc/flowglass/config.toml")
def check(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Tell every fault, files that are named and not there too."""
    from flowglass.fields.errors import ConfigError

    if faults := configuration_faults(data_dir, config):
        raise ConfigError("\n".join(faults))
    typer.echo("no fault found")
