"""`flowglass up`: everything on this machine.

Rule: what it prints at its start is what a person needs next; the logs of its parts go to standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flowglass.app.cli.common import ConfigFile, DataDir, InventoryFile, Listen, Watch, configured

if TYPE_CHECKING:
    from pathlib import Path

    from flowglass.app.config import Config
    from flowglass.app.up import Supervisor

EXAMPLES = (
    "Examples: flowglass up --demo · flowglass up --inventory network.yaml · flowglass up --listen 127.0.0.1:9000"
)


def up(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    listen: Listen = None,
    inventory: InventoryFile = None,
    watch: Watch = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Begin with the sample network: a flow log, a capture, its records.")
    ] = False,
) -> None:
    """Run server and agent on this machine, until Ctrl-C or SIGTERM, which end it with exit code 0."""
    from flowglass.app import lock, log
    from flowglass.app.demo import INVENTORY, show
    from flowglass.app.server.run import listen as listening
    from flowglass.app.stop import Stop
    from flowglass.app.up import Supervisor, prepare
    from flowglass.data_dir import make_data_dir

    if demo and inventory is None:
        inventory = str(INVENTORY)
    flags = {"server.listen": listen, "agent.inventory": inventory, "capture.watch": watch}
    settings = configured(data_dir, config, flags)
    make_data_dir(settings.data_dir)
    log.configure(settings.log.level, settings.log.format)
    arguments = ["--data-dir", str(settings.data_dir), *(["--config", config] if config else [])]
    agent_arguments = [
        *(["--inventory", inventory] if inventory else []),
        *(["--watch", watch] if watch else []),
    ]
    with lock.only(settings.data_dir, "up", wait_s=0):
        sock = listening(settings.server.host, settings.server.port)
        token = prepare(settings)
        supervisor = Supervisor(settings, sock, arguments, agent_arguments, token, Stop())
        try:
            supervisor.start()
            _greet(settings, supervisor)
            if demo:
                show(settings, supervisor)
            supervisor.watch()
        finally:
            supervisor.end()


def _greet(settings: Config, supervisor: Supervisor) -> None:
    """Where everything is, and what to do next."""
    import sys
    from pathlib import Path

    from flowglass.app.setup import FIRST_BUCKET

    program = Path(sys.executable).with_name("flowglass")
    data = settings.data_dir
    lines = [
        f"flowglass listens on {supervisor.url}; Ctrl-C ends it",
        f"  captures  drop pcap or pcapng files into {settings.capture.watch or data / 'captures'}",
        f"  objects   {data / 's3' / FIRST_BUCKET}/AWSLogs/…",
        f"  network   {settings.agent.inventory or 'no inventory: begin one with flowglass inventory init FILE'}",
        "in a second terminal:",
        f'  eval "$({program} env{data_dir_option(data)})"',
        "  aws ec2 describe-vpcs",
        "  aws ec2 create-flow-logs --resource-type VPC --resource-ids VPC-ID --traffic-type ALL \\",
        "      --max-aggregation-interval 60 --log-destination-type s3 \\",
        f"      --log-destination arn:aws:s3:::{FIRST_BUCKET}",
    ]
    typer.echo("\n".join(lines))


def data_dir_option(data: Path) -> str:
    """The option that names DATA, where a terminal without FLOWGLASS_DATA_DIR would find another one."""
    import os
    import shlex

    from flowglass.data_dir import VARIABLE, data_dir

    return "" if not os.environ.get(VARIABLE) and data_dir() == data else f" --data-dir {shlex.quote(str(data))}"
