"""`up --demo`: the whole story on the sample network: a flow log by the API, a capture, its records read back.

Rule: it does what a person would do, through the same doors: the signed API, the folder of captures, the objects.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import typer

from flowglass.app import profile
from flowglass.app.api import read
from flowglass.app.cli.tables import print_records
from flowglass.app.config import Config
from flowglass.app.setup import FIRST_BUCKET
from flowglass.app.up import Supervisor
from flowglass.fields.errors import ConfigError, ObjectUnreadable

_SAMPLES: Final = Path(__file__).parent / "data"
INVENTORY: Final = _SAMPLES / "sample-inventory.yaml"
_CAPTURE: Final = _SAMPLES / "sample.pcapng"
_FORMAT: Final = (
    "${version} ${vpc-id} ${subnet-id} ${instance-id} ${interface-id} ${account-id} ${type} ${srcaddr} ${dstaddr} "
    "${srcport} ${dstport} ${pkt-srcaddr} ${pkt-dstaddr} ${protocol} ${bytes} ${packets} ${start} ${end} ${action} "
    "${tcp-flags} ${log-status}"
)
"""The format of AWS's announcement of 2019."""
_SHOWN: Final = ("instance-id", "srcaddr", "srcport", "dstaddr", "dstport", "packets", "bytes", "tcp-flags")
_ROWS: Final = 8
_WAIT_S: Final = 180.0


def show(config: Config, supervisor: Supervisor) -> None:
    """Create a flow log, drop the sample capture, print the first records; gives up where the end is asked for.

    What it cannot show it says in one line: server and agent go on without it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _show(config, supervisor)
    except (BotoCoreError, ClientError, ConfigError, ObjectUnreadable, OSError) as error:
        typer.echo(f"demo: {error}")


def _show(config: Config, supervisor: Supervisor) -> None:
    client = _client(config, supervisor.url)
    if not supervisor.wait(lambda: bool(client.describe_vpcs()["Vpcs"]), seconds=_WAIT_S):
        return
    vpc = str(client.describe_vpcs()["Vpcs"][0]["VpcId"])
    made = _flow_log(client, vpc)
    typer.echo(f"demo: CreateFlowLogs for {vpc} made {made}")
    folder = Path(config.capture.watch or config.data_dir / "captures")
    _drop(folder)
    typer.echo(f"demo: the sample capture lies in {folder}; the very first run compiles for about half a minute")
    objects = config.data_dir / "s3" / FIRST_BUCKET
    if not supervisor.wait(lambda: any(objects.rglob(f"*_{made}_*.log.gz")), seconds=_WAIT_S):
        return
    found = sorted(objects.rglob(f"*_{made}_*.log.gz"))
    table = read(found[0]).to_arrow()
    rows = table.rename_columns([name.replace("_", "-") for name in table.column_names]).slice(0, _ROWS).to_pylist()
    typer.echo(f"demo: {found[0]}")
    print_records([{name: row[name] for name in _SHOWN} for row in rows])


def _client(config: Config, url: str) -> Any:
    import botocore.session

    found = profile.needed_profile(config.data_dir)
    session = botocore.session.Session(profile=profile.NAME)
    session.set_config_variable("config_file", str(profile.config_file(config.data_dir)))
    session.set_config_variable("credentials_file", str(profile.credentials_file(config.data_dir)))
    return session.create_client("ec2", region_name=found.region, endpoint_url=url, verify=found.ca_bundle or None)


def _flow_log(client: Any, vpc: str) -> str:
    """The demo's flow log: the one of an earlier start, or a new one."""
    there = client.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    for flow_log in there:
        if flow_log.get("LogDestination") == f"arn:aws:s3:::{FIRST_BUCKET}":
            return str(flow_log["FlowLogId"])
    answer = client.create_flow_logs(
        ResourceType="VPC",
        ResourceIds=[vpc],
        TrafficType="ALL",
        MaxAggregationInterval=60,
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{FIRST_BUCKET}",
        LogFormat=_FORMAT,
    )
    return str(answer["FlowLogIds"][0])


def _drop(folder: Path) -> None:
    """Put the capture into the folder under a name that is taken only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{_CAPTURE.name}.part"
    shutil.copyfile(_CAPTURE, unfinished)
    unfinished.replace(folder / _CAPTURE.name)
