"""`flowglass doctor`: what is well and what is not, with what to do.

Rule: exit code 1 says that somebody has to do something; a warning alone does not.
"""

from __future__ import annotations

import dataclasses
import json

import typer

from flowglass.app.cli.common import AsJson, ConfigFile, DataDir, configuration_faults, configured, now_ms, print_table

EXAMPLES = "Examples: flowglass doctor · flowglass doctor --json · flowglass doctor --data-dir /var/lib/flowglass"


def doctor(data_dir: DataDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check configuration, disk, clock, spool, destinations and losses of DATA; exit code 1 if somebody must act."""
    from flowglass.app.doctor import State, configuration_checks, examine
    from flowglass.fields.errors import ConfigError

    faults = configuration_faults(data_dir, config)
    try:
        checks = examine(configured(data_dir, config), faults, now_ms())
    except ConfigError:
        checks = list(configuration_checks(faults))
    if as_json:
        typer.echo(json.dumps([{**dataclasses.asdict(one), "state": one.state.value} for one in checks], indent=2))
    else:
        rows = ((one.state.value, one.name, one.text, one.remedy or None) for one in checks)
        print_table(("state", "what", "finding", "what to do"), rows)
    raise typer.Exit(1 if any(one.state is State.FAILED for one in checks) else 0)
