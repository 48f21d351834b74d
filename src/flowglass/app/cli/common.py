"""What several commands share: options of the same meaning, tables, the configuration they stand for.

Rule: an option that two commands have is described once, here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flowglass.app.config import Config

DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="DATA, instead of FLOWGLASS_DATA_DIR or the user's own.")
]
ConfigFile = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Configuration instead of DATA/config.toml.")
]
Listen = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT", help="Address of the API, instead of 127.0.0.1:8780.")
]
InventoryFile = Annotated[
    str | None, typer.Option("--inventory", metavar="FILE", help="Inventory file: who owns which address.")
]
Watch = Annotated[
    str | None,
    typer.Option(
        "--watch",
        metavar="DIR",
        help="Folder whose captures are recorded as they arrive. Without it: none, but DATA/captures with `up`.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def configured(data_dir: str | None, config: str | None, flags: Mapping[str, object] | None = None) -> Config:
    """The configuration that a command runs with. Raises ConfigError with every fault."""
    from flowglass.app.config import load_config
    from flowglass.data_dir import data_dir as folder

    return load_config(folder(data_dir), config_file=_file(config), environ=os.environ, flags=flags)


def configuration_faults(data_dir: str | None, config: str | None) -> list[str]:
    """What is wrong with the configuration, files that are named and not there too, a line each."""
    from flowglass.app.config import all_faults
    from flowglass.data_dir import data_dir as folder

    return all_faults(folder(data_dir), config_file=_file(config), environ=os.environ)


def _file(config: str | None) -> Path | None:
    return Path(config) if config is not None else None


def now_ms() -> int:
    """The time since 1970."""
    return time.time_ns() // 1_000_000


def utc(at_ms: int) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A table for people, as wide as it is; numbers stand to the right, None is a hyphen."""
    from rich.console import Console
    from rich.table import Table

    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        numbers = any(isinstance(row[place], int) for row in cells)
        table.add_column(head, justify="right" if numbers else "left", no_wrap=True)
    for row in cells:
        table.add_row(*("-" if value is None else str(value) for value in row))
    wide = Console(width=10_000, highlight=False, markup=False)
    wide.width = max(wide.measure(table).maximum, Console().width)
    wide.print(table)
