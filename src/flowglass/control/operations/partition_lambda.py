"""Keeps the partitions of a flow log's table; runs in AWS Lambda.

Rule: templates carry this file's text, so it stands alone.
"""

import json
import os
import urllib.request
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3

BATCH = 100  # partitions that Glue takes at once


def handler(event: dict[str, Any], _context: object) -> None:
    """Answer the stack, which waits for the first run, or a tick of the schedule."""
    if "RequestType" not in event:
        load(first_run=False)
        return
    status, reason = "SUCCESS", "Partitions are loaded."
    try:
        if event["RequestType"] != "Delete":
            load(first_run=True)
    except Exception as error:  # a stack without an answer hangs for an hour
        status, reason = "FAILED", str(error)
    names = ("StackId", "RequestId", "LogicalResourceId")
    answer = {name: event[name] for name in names} | {
        "PhysicalResourceId": os.environ["TABLE"],
        "Status": status,
        "Reason": reason,
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    urllib.request.urlopen(request).close()  # noqa: S310 (the stack's own URL)


def load(*, first_run: bool) -> None:
    """Add the partitions that the table lacks; those to come are added ahead."""
    pattern = os.environ["FOLDERS"]
    hours = range(24) if "%H" in pattern else range(1)
    times = [datetime(d.year, d.month, d.day, hour, tzinfo=UTC) for d in days(first_run=first_run) for hour in hours]
    folders = [time.strftime(pattern) for time in times]
    glue = boto3.client("glue")
    names = {"DatabaseName": os.environ["DATABASE"]}
    storage = glue.get_table(**names, Name=os.environ["TABLE"])["Table"]["StorageDescriptor"]
    names["TableName"] = os.environ["TABLE"]
    for start in range(0, len(folders), BATCH):
        partitions = [
            {"Values": [folder], "StorageDescriptor": {**storage, "Location": f"{storage['Location']}{folder}/"}}
            for folder in folders[start : start + BATCH]
        ]
        answer = glue.batch_create_partition(**names, PartitionInputList=partitions)
        codes = {one["ErrorDetail"]["ErrorCode"] for one in answer.get("Errors", [])} - {"AlreadyExistsException"}
        if codes:
            raise RuntimeError(f"Glue refused partitions: {', '.join(sorted(codes))}")


def days(*, first_run: bool) -> list[date]:
    """The first day asked for, or a period back, up to a period ahead; nothing beyond the days asked for."""
    today = datetime.now(UTC).date()  # noqa: TID251 (nobody passes a time in)
    period = timedelta(days=int(os.environ["DAYS"]))
    begin, end = today - period, today + period
    if os.environ["FIRST"]:
        first = date.fromisoformat(os.environ["FIRST"])
        begin = first if first_run else max(begin, first)
    if os.environ["LAST"]:
        end = min(end, date.fromisoformat(os.environ["LAST"]))
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]
