"""Writes the golden records of the project's own captures; `--check` compares them instead.

Rule: the product's own answer, in all fields, with its account of every frame; `tests/golden/test_records.py` holds
it against the plain reference. Run from the root of the repository: `python -m scripts.make_golden [--check]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isal import igzip

from flowglass.app.api import Recorded, record
from flowglass.app.summary import PointSummary
from flowglass.enrich import Excluded, ObserveCounts
from flowglass.fields import VPC_FIELDS
from flowglass.fields.errors import Error

ROOT: Final = Path(__file__).parents[1]
GOLDEN: Final = ROOT / "tests" / "golden"
CAPTURES: Final = GOLDEN / "captures"
RECORDS: Final = GOLDEN / "records"
INVENTORY: Final = GOLDEN / "inventory.yaml"
SAMPLE: Final = ROOT / "src" / "flowglass" / "app" / "data"

FORMAT: Final = " ".join(f"${{{name}}}" for name in (*(field.name for field in VPC_FIELDS), "x-tcp-flags", "x-icmp"))
TAG_KEYS: Final = ("instance=Name,team", "network-interface=role,Name", "auto-scaling-group=stage,Name")
WITH_INVENTORY: Final = (
    "ip_multicast.pcap",
    "link_ethernet.pcap",
    "link_vlan.pcap",
    "pcapng_directions.pcapng",
    "pcapng_interfaces.pcapng",
    "pcapng_verdicts.pcapng",
    "time_gap.pcap",
    "time_windows.pcap",
)
"""Captures that are recorded a second time, with tests/golden/inventory.yaml."""


@dataclass(frozen=True, slots=True)
class Case:
    """One capture and the inventory that it is recorded with; `name`: of its file of records."""

    name: str
    capture: Path
    inventory: Path | None = None


def cases() -> list[Case]:
    """Every capture without an inventory, some with one, and the sample that the package carries."""
    return [
        *(Case(f"{path.name}.txt", path) for path in sorted(CAPTURES.iterdir())),
        *(Case(f"{name}.inventory.txt", CAPTURES / name, INVENTORY) for name in WITH_INVENTORY),
        Case("sample.pcapng.inventory.txt", SAMPLE / "sample.pcapng", SAMPLE / "sample-inventory.yaml"),
    ]


def records(case: Case) -> str:
    """Header and record lines of all objects in order of their keys, and what else is said, behind `#`."""
    with tempfile.TemporaryDirectory() as out:
        try:
            done = record(case.capture, out, inventory=case.inventory, format=FORMAT, tag_keys=TAG_KEYS)
        except Error as error:
            return f"# {type(error).__name__} {error.exit_code}: {_placeless(case, str(error))}\n"
        lines = [*_objects(Path(out), done), *_account(case, done)]
    return "".join(f"{line}\n" for line in lines)


def _objects(out: Path, done: Recorded) -> Iterator[str]:
    objects = sorted(done.summary.objects, key=lambda result: result.key)
    for number, result in enumerate(objects):
        header, *lines = igzip.decompress((out / result.key).read_bytes()).decode().splitlines()
        yield from lines if number else (header, *lines)
    for result in objects:
        yield f"# object {result.key}: {result.records} records"


def _account(case: Case, done: Recorded) -> Iterator[str]:
    for point in done.summary.points:
        yield from point_lines(point)
    yield f"# flows: {_counted(done.summary.observed)}; NODATA {done.summary.nodata}"
    if done.summary.capture_dropped:
        yield f"# lost while capturing: {done.summary.capture_dropped}"
    yield from (f"# warning: {warning}" for warning in done.summary.warnings)
    for damage in done.damage:
        yield f"# {type(damage).__name__} {damage.exit_code}: {_placeless(case, str(damage))}"


def point_lines(point: PointSummary) -> Iterator[str]:
    """The frames of a capture point, and why some of them are in no flow."""
    counts = point.counts
    yield (
        f"# frames of {point.name} ({point.link_type}): {counts.seen}, in flows {counts.in_flows}, "
        f"late {counts.late}, without time {counts.without_time}"
    )
    for cause in sorted(counts.not_recorded):
        yield f"# not recorded: {cause.text}: {counts.not_recorded[cause]}"


def _counted(counts: ObserveCounts) -> str:
    """The counters of observe that are not 0."""
    plain = {name.replace("_", " "): count for name, count in dataclasses.asdict(counts).items() if name != "excluded"}
    plain |= {f"excluded ({cause.text})": counts.excluded[cause] for cause in Excluded}
    return ", ".join(f"{name} {count}" for name, count in plain.items() if count) or "none"


def _placeless(case: Case, message: str) -> str:
    """A message without the folder of the capture, so that it is the same on every machine."""
    return message.replace(f"{case.capture.parent}/", "")


def faults() -> list[str]:
    """What differs on disk, one line a file."""
    made = {RECORDS / case.name: records(case) for case in cases()}
    found = []
    for path, text in made.items():
        if not path.exists():
            found.append(f"{path.relative_to(ROOT)}: missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{path.relative_to(ROOT)}: differs")
    found += [f"{path.relative_to(ROOT)}: made by nothing" for path in RECORDS.iterdir() if path not in made]
    return sorted(found)


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is on disk, write nothing")
    RECORDS.mkdir(exist_ok=True)
    if parser.parse_args().check:
        wrong = faults()
        print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
        return 1 if wrong else 0
    for case in cases():
        (RECORDS / case.name).write_text(records(case), encoding="utf-8")
    print(f"{len(cases())} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
