"""Tables for people: the first records, and the account of a run.

Rule: everything counted is shown where it is not zero; sums are shown so that a reader can check them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from flowglass.app.summary import Summary
from flowglass.enrich import Excluded


def print_records(records: list[dict[str, Any]]) -> None:
    """Records as a table, as many columns as fit; columns with one value in all records are told below it."""
    if not records:
        return
    texts = [{name: _text(value) for name, value in record.items()} for record in records]
    same = [name for name in texts[0] if len(texts) > 1 and len({record[name] for record in texts}) == 1]
    different = [name for name in texts[0] if name not in same] or list(texts[0])
    console = Console(highlight=False)
    shown = different
    if console.is_terminal:
        while len(shown) > 1 and _width(_records_table(records, shown)) > console.width:
            shown = shown[:-1]
    table = _records_table(records, shown)
    Console(width=max(_width(table), console.width), highlight=False).print(table)
    for text, names in (
        ("in all of them", [f"{name} {texts[0][name]}" for name in same]),
        ("not shown here", different[len(shown) :]),
    ):
        if names:
            console.print(f"{text}: {', '.join(names)}", soft_wrap=not console.is_terminal)
    console.print()


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _records_table(records: list[dict[str, Any]], names: list[str]) -> Table:
    table = Table(title="first records", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        numbers = any(isinstance(record[name], int) for record in records)
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for record in records:
        table.add_row(*(_text(record[name]) for name in names))
    return table


def _width(table: Table) -> int:
    return Console(width=10_000).measure(table).maximum


_S3: Final = "s3://"


def print_summary(summary: Summary, out: str) -> None:
    """What became of every packet, and where the objects are."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(justify="right")
    table.add_column()
    for count, text in _lines(summary):
        table.add_row(f"{count:,}", text)
    console = Console(highlight=False)
    console.print(table)
    in_s3 = out.startswith(_S3)
    root = "/".join(out.split("/")[:3]) if in_s3 else out  # keys begin at the bucket's top
    for result in summary.objects[:5]:
        state = "" if result.created else " (already there)"
        console.print(f"  {root}/{result.key}{state}", soft_wrap=True)
    if len(summary.objects) > 5:
        console.print(f"  … and {len(summary.objects) - 5} more below {out.rstrip('/')}/AWSLogs")
    if summary.objects:
        folder = "logs" if in_s3 else out
        if in_s3:
            console.print(f"next: aws s3 cp --recursive {out} {folder}, then", soft_wrap=True)
        python = min(sys.executable, os.path.relpath(sys.executable), key=len)
        console.print(
            f"next: {python} -c \"import flowglass; print(flowglass.read('{folder}').to_arrow())\"", soft_wrap=True
        )


def _lines(summary: Summary) -> Iterator[tuple[int, str]]:
    seen = summary.observed
    points = len(summary.points)
    yield summary.frames, f"packets seen at {points} capture point{'s' if points != 1 else ''}, of which"
    yield summary.frames_in_flows + summary.open_frames, f"in {summary.flows + summary.open_flows:,} flows"
    for cause, count in summary.not_recorded.items():
        yield count, f"not recorded: {cause}"
    optional = [
        (sum(point.counts.without_time for point in summary.points), "had no time and took the one before"),
        (
            sum(point.counts.late for point in summary.points),
            "came late, into further records of their window",
        ),
        (summary.capture_dropped, "lost by the capture itself, as it says"),
        (summary.link_overflow, "without link addresses: too many different ones"),
        (seen.unowned, "flows of no interface of the inventory"),
        (seen.ambiguous, "flows of addresses that several VPCs hold"),
        *((seen.excluded[cause], f"flows never logged at AWS: {cause.text}") for cause in Excluded),
        (seen.second_look_flows, "flows seen again where their interface is not"),
        (seen.second_observations, "flows seen by a second interface"),
        (seen.merged, "observations merged: other link addresses only"),
        (summary.filtered, "observations of another traffic type"),
        (summary.open_flows, "flows cut off by the interruption"),
        (summary.dropped_records, "records taken back with objects that were not complete"),
        (summary.early_drains, "times the flow table was full and was drained early"),
    ]
    yield from ((count, text) for count, text in optional if count)
    quiet = f", {summary.nodata:,} of them NODATA" if summary.nodata else ""
    yield summary.records, f"records{quiet}, in {summary.seconds:.1f} s"
    yield len(summary.objects), "object" if len(summary.objects) == 1 else "objects"
