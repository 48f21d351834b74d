"""Writes the pages of `docs/reference` from the code; `--check` compares them instead.

Rule: pages are made from the code only, the same on every machine.
Run from the root of the repository: `python -m scripts.make_docs [--check]`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from scripts import docs_api, docs_inventory, docs_program, docs_tables
from scripts.docs_text import same

ROOT: Final = Path(__file__).resolve().parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"

PAGES: Final[dict[str, Callable[[], str]]] = {
    "api.md": docs_api.api,
    "commands.md": docs_program.commands,
    "configuration.md": docs_tables.configuration,
    "errors.md": docs_tables.errors,
    "fields.md": docs_tables.fields,
    "inventory.md": docs_inventory.inventory,
    "link-types.md": docs_tables.link_types,
    "metrics.md": docs_tables.metrics,
    "not-recorded.md": docs_tables.not_recorded,
    "python.md": docs_program.python,
}
"""The generated pages by name. A page more is one line here."""


def faults(folder: Path) -> list[str]:
    """What differs on disk, one line a page."""
    named = {folder / name: make() for name, make in PAGES.items()}
    shown = f"{folder.relative_to(ROOT)}/" if folder.is_relative_to(ROOT) else f"{folder}/"
    found = [
        f"{shown}{path.name}: differs from the code; run `make docs`"
        for path, text in named.items()
        if not same(path, text)
    ]
    strays = [path for path in folder.glob("*") if path not in named]
    return sorted(found + [f"{shown}{path.name}: made by nothing; remove it" for path in strays])


def write(folder: Path) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is on disk, write nothing")
    check: bool = parser.parse_args().check
    if check:
        wrong = faults(REFERENCE)
        print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
        return 1 if wrong else 0
    write(REFERENCE)
    print(f"{len(PAGES)} pages in docs/reference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
