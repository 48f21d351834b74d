"""A fault of an inventory file: where it is, what is wrong, what to do.

Rule: every message is one line of plain words; `nearest` proposes what was probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_MANY: Final = 300
"""With more candidates than this, looking for the nearest would take longer than it helps."""
_PROPOSALS: Final = 1000
"""Proposals kept, so that one slip that is made all over a file is looked up once."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault: `line` counts from 1."""

    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.line}: {self.message}; {self.remedy}"


def nearest(word: str, known: Collection[str], otherwise: str) -> str:
    """`did you mean …?` with the nearest of `known`, or `otherwise` where none is near."""
    if len(known) <= _MANY:
        found = _nearest(word, tuple(known))
        if found:
            return f"did you mean {found}?"
    return otherwise


@lru_cache(_PROPOSALS)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(word, known, n=1)), "")


def shown(value: str) -> str:
    """A value as a message shows it: in quotes, on one line, cut when long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…'"
