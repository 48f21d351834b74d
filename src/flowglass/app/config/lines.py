"""On which line of a TOML text each key stands, which the standard library's parser does not tell.

Rule: the parser itself decides where a statement ends: lines are gathered until it takes them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]


def lines(text: str) -> dict[Path, int]:
    """The first line of every key and table of a valid text, from 1; a table that is never named has its first key's.

    Each line is parsed once, and once more for each line by which its statement goes on.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    gathered: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        gathered.append(line)
        try:
            parsed = tomllib.loads("\n".join(gathered))
        except tomllib.TOMLDecodeError:
            continue
        if gathered[0].lstrip().startswith("["):
            table = max(_paths(parsed), key=len)
            parsed_paths = [table]
        else:
            parsed_paths = [table + path for path in _paths(parsed)]
        for path in parsed_paths:
            for depth in range(1, len(path) + 1):
                found.setdefault(path[:depth], number - len(gathered) + 1)
        gathered = []
    return found


def _paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every key of a parsed statement; a list of tables counts as its last one."""
    inner = value[-1] if isinstance(value, list) and value and isinstance(value[-1], dict) else value
    if isinstance(inner, dict):
        for key, part in inner.items():
            yield (*at, key)
            yield from _paths(part, (*at, key))
