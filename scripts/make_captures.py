"""Writes the project's own captures and the sample that the package carries; `--check` compares them instead.

Rule: the same bytes on every machine. Compressed files are compared unpacked: compressors differ by version.
Run from the root of the repository: `python -m scripts.make_captures [--check]`.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path
from typing import Final

import pyarrow as pa

from scripts import sample_network
from scripts.capture_cases import Case, link_cases, packet_cases, time_cases
from scripts.capture_files import container_cases

ROOT: Final = Path(__file__).parents[1]
CAPTURES: Final = ROOT / "tests" / "golden" / "captures"
PROVENANCE: Final = ROOT / "tests" / "golden" / "PROVENANCE.md"
DATA: Final = ROOT / "src" / "flowglass" / "app" / "data"
BEGIN: Final = "<!-- captures: begin (python -m scripts.make_captures) -->"
END: Final = "<!-- captures: end -->"


def cases() -> list[Case]:
    """All captures of `tests/golden/captures`, by file name."""
    found = [*link_cases(), *packet_cases(), *time_cases(), *container_cases()]
    return sorted(found, key=lambda case: case.name)


def table(made: list[Case]) -> str:
    """The generated part of PROVENANCE.md: a line a capture."""
    rows = "".join(f"| {case.name} | {case.what} |\n" for case in made)
    return (
        f"{BEGIN}\n"
        "Captures in `captures/`: frames built by the project's own scripts, nothing recorded, no clock, no "
        "random numbers. Made and checked by `python -m scripts.make_captures [--check]`.\n\n"
        f"| file | what it holds |\n| --- | --- |\n{rows}{END}\n"
    )


def provenance(old: str, made: list[Case]) -> str:
    """PROVENANCE.md with its generated part anew; what else stands there stays."""
    if BEGIN not in old:
        return f"{old or '# Where the golden files come from'}\n\n{table(made)}"
    before, rest = old.split(BEGIN, 1)
    return before + table(made) + rest.split(END + "\n", 1)[-1]


def files() -> dict[Path, bytes]:
    """Every file that is made, by path, with its bytes."""
    made = cases()
    old = PROVENANCE.read_text() if PROVENANCE.exists() else ""
    return {
        **{CAPTURES / case.name: case.data for case in made},
        PROVENANCE: provenance(old, made).encode(),
        DATA / "sample.pcapng": sample_network.capture(),
        DATA / "sample-inventory.yaml": sample_network.inventory().encode(),
    }


def unpacked(path: Path, data: bytes) -> bytes:
    """The bytes that are compared."""
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        plain: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
        return plain
    return data


def faults(expected: dict[Path, bytes]) -> list[str]:
    """What differs on disk, one line a file."""
    found = []
    for path, data in expected.items():
        if not path.exists():
            found.append(f"{path.relative_to(ROOT)}: missing")
        elif unpacked(path, path.read_bytes()) != unpacked(path, data):
            found.append(f"{path.relative_to(ROOT)}: differs")
    present = CAPTURES.iterdir() if CAPTURES.is_dir() else ()
    found += [f"{path.relative_to(ROOT)}: made by nothing" for path in present if path not in expected]
    return sorted(found)


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is on disk, write nothing")
    check: bool = parser.parse_args().check
    expected = files()
    if check:
        wrong = faults(expected)
        print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
        return 1 if wrong else 0
    for path, data in expected.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{len(expected)} files, {sum(map(len, expected.values())):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
