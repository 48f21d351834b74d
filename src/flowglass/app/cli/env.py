"""`flowglass env`: lines that make AWS's programs in a shell talk to the server.

Rule: standard output is for the shell's `eval` alone, and works in bash, dash and zsh; whatever is said to people goes
to standard error.
"""

from __future__ import annotations

import json
import os
import shlex

import typer

from flowglass.app.cli.common import AsJson, DataDir

EXAMPLES = 'Examples: eval "$(flowglass env)" · flowglass env --json'


def env(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print shell lines that point AWS's programs at the server: `eval "$(flowglass env)"`."""
    from flowglass.app import awscli, profile
    from flowglass.app.path_folder import path_folder
    from flowglass.data_dir import VARIABLE
    from flowglass.data_dir import data_dir as folder

    data = folder(data_dir)
    variables = profile.variables(data, profile.needed_profile(data))
    if data_dir is not None or os.environ.get(VARIABLE):
        variables[VARIABLE] = str(data)
    path = path_folder(data)
    program = awscli.find()
    old = program is not None and awscli.is_old(awscli.version(program))
    if as_json:
        facts = {"set": variables, "unset": profile.UNSET, "path": str(path), "aws_is_flowglass_aws": old}
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"unset {' '.join(profile.UNSET)}")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo(f'export PATH={shlex.quote(str(path))}:"$PATH"')
    if old:
        typer.echo(f'aws() {{ {shlex.quote(str(awscli.FOLDER / "flowglass"))} aws "$@"; }}')
    if program is None:
        typer.echo(f"flowglass: {awscli.INSTALL}", err=True)
