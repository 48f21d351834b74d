"""`flowglass agent`: records captures for a server's flow logs.

Rule: it runs until SIGTERM or Ctrl-C, which end it with exit code 0, and logs to standard error. Its token comes from
a file or the environment, never from the command line, which other users can see.
"""

from __future__ import annotations

from typing import Annotated

import typer

from flowglass.app.cli.common import ConfigFile, DataDir, InventoryFile, Watch, configured

EXAMPLES = (
    "Example: FLOWGLASS_AGENT_TOKEN=FGAK… flowglass agent --server https://flowglass.example:8780 "
    "--inventory network.yaml --watch /var/captures"
)


def agent(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    server: Annotated[str | None, typer.Option(help="The server's address.")] = None,
    inventory: InventoryFile = None,
    watch: Watch = None,
) -> None:
    """Record the captures of a folder for the server's flow logs, deliver the records, and report."""
    from flowglass.app import lock, log, part
    from flowglass.app.agent.run import Agent
    from flowglass.app.stop import Stop
    from flowglass.data_dir import make_data_dir

    part.end_with_parent()
    settings = configured(
        data_dir, config, {"agent.server": server, "agent.inventory": inventory, "capture.watch": watch}
    )
    make_data_dir(settings.data_dir)
    log.configure(settings.log.level, settings.log.format)
    stop = Stop()
    with lock.only(settings.data_dir, "agent"):
        Agent(settings, log.logger("agent"), stop).run()
