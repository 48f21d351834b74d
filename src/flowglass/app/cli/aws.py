"""`flowglass aws`: the AWS CLI with the server's endpoint and keys.

Rule: arguments and exit code are the AWS CLI's own; it takes this process's place.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: flowglass aws ec2 describe-flow-logs · "
    "flowglass aws ec2 describe-vpcs --query 'Vpcs[].VpcId' --output text"
)
SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Settings of the command: no option is ours, so that each reaches the AWS CLI."""


def aws(
    arguments: Annotated[list[str] | None, typer.Argument(help="A command line of the AWS CLI, without `aws`.")] = None,
) -> None:
    """Run the AWS CLI against the server, in any version of it. DATA is chosen by FLOWGLASS_DATA_DIR."""
    from flowglass.app import awscli, profile
    from flowglass.data_dir import data_dir
    from flowglass.fields.errors import OptionError

    data = data_dir()
    found = profile.needed_profile(data)
    program = awscli.find()
    if program is None:
        raise OptionError(awscli.INSTALL)
    kept = {name: value for name, value in os.environ.items() if name not in profile.UNSET}
    environment = kept | profile.variables(data, found)
    sys.stdout.flush()
    os.execve(program, awscli.command(program, arguments or [], found.url), environment)  # noqa: S606, no shell
