"""`flowglass record`: captures to flow-log objects, and a summary that accounts for every packet.

Rule: stdout has the summary (or JSON), stderr progress and messages; the exit code tells damage and Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flowglass.fields.errors import INTERRUPTED, CaptureDamaged
from flowglass.fields.vocabulary import FileFormat, TrafficType

if TYPE_CHECKING:
    from flowglass.app.summary import Summary

EXAMPLES = (
    "Examples: flowglass record eth0.pcap --out logs · "
    "flowglass record 'trace-*.pcapng.gz' --out logs --inventory network.yaml --format all · "
    "tcpdump -w - | flowglass record - --out logs"
)


def record(
    captures: Annotated[
        list[str],
        typer.Argument(metavar="CAPTURE", help="pcap or pcapng files, globs, NAME=FILE, or - for standard input."),
    ],
    out: Annotated[
        str, typer.Option("--out", help="Folder that stands for the bucket (OUT/AWSLogs/…), or s3://BUCKET/FOLDER.")
    ],
    inventory: Annotated[str | None, typer.Option(help="Inventory file: who owns which address.")] = None,
    log_format: Annotated[
        str, typer.Option("--format", help="default, all, or a format like '${version} ${srcaddr} …'.")
    ] = "default",
    interval: Annotated[int, typer.Option(help="Window in seconds: 60 or 600.")] = 60,
    file_format: Annotated[FileFormat, typer.Option(help="Form of the objects.")] = FileFormat.PLAIN_TEXT,
    parquet_codec: Annotated[str, typer.Option(help="zstd, or gzip for AWS's own form of Parquet.")] = "zstd",
    hive: Annotated[bool, typer.Option("--hive", help="Hive-compatible folders.")] = False,
    per_hour: Annotated[bool, typer.Option("--per-hour", help="A folder an hour.")] = False,
    account: Annotated[str | None, typer.Option(help="Account instead of the inventory's.")] = None,
    region: Annotated[str | None, typer.Option(help="Region instead of the inventory's.")] = None,
    traffic_type: Annotated[TrafficType, typer.Option(help="Which verdicts to record.")] = TrafficType.ALL,
    assume_accept: Annotated[
        bool, typer.Option("--assume-accept", help="Record ACCEPT where nothing judged, and say so.")
    ] = False,
    nflog_verdict: Annotated[
        list[str] | None, typer.Option(help="REJECT=PREFIX: verdict of NFLOG packets with this prefix.")
    ] = None,
    tag_keys: Annotated[
        list[str] | None,
        typer.Option(help="RESOURCE=KEY,KEY of instance, network-interface or auto-scaling-group."),
    ] = None,
    max_flows: Annotated[int, typer.Option(help="Flows held in memory at once.")] = 10_000_000,
    show: Annotated[int, typer.Option(help="Print this many of the first records.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Turn captures into flow-log objects, in AWS's formats and layout."""
    from flowglass import jit

    if not jit.compiled_before("record"):
        typer.echo("flowglass: compiling for this machine, once; about half a minute", err=True)
    from flowglass.app.options import RecordOptions
    from flowglass.app.progress import capture_progress
    from flowglass.app.record import record as run

    options = RecordOptions(
        log_format=log_format,
        interval_s=interval,
        file_format=file_format,
        parquet_codec=parquet_codec,
        hive=hive,
        per_hour=per_hour,
        account=account,
        region=region,
        traffic_type=traffic_type,
        assume_accept=assume_accept,
        nflog_verdicts=tuple(nflog_verdict or ()),
        tag_keys=tuple(tag_keys or ()),
        max_flows=max_flows,
    )
    with capture_progress() as watch:
        summary, faults = run(captures, out, options, inventory=inventory, keep=show, watch=watch)
    jit.mark_compiled("record")
    if as_json:
        typer.echo(json.dumps({**summary.as_dict(), "first": summary.first}, indent=2))
    else:
        from flowglass.app.cli.tables import print_records, print_summary

        print_records(summary.first)
        print_summary(summary, out)
    _end(summary, faults)


def _end(summary: Summary, faults: list[CaptureDamaged]) -> None:
    """Messages on stderr, and the exit code."""
    for warning in summary.warnings:
        typer.echo(f"flowglass: {warning}", err=True)
    for fault in faults:
        typer.echo(f"flowglass: {fault}", err=True)
    if summary.interrupted:
        kept = f"{len(summary.objects)} objects were complete and are there; run it again for the rest"
        whole = not (summary.open_flows or summary.dropped_records)
        typer.echo(f"flowglass: stopped; {'all that was read is recorded' if whole else kept}", err=True)
        sys.exit(INTERRUPTED)
    if faults:
        sys.exit(CaptureDamaged.exit_code)
