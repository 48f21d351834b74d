r"""Texts with EC2's wildcards: `*` any number of characters, `?` none or one, a backslash takes either as it is.

Rule: matching takes time in proportion to the text's length, whatever the pattern: patterns come from callers, and a
backtracking matcher would let one of them hold up the server.
Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIECE = re.compile(r"\\[*?\\]|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A pattern as the set of its positions, one bit each; bit n is the place before the n-th piece.

    `literals`: by character, the places where it is asked for; `stars`: where `*` is; `optional`: where `*` or `?` is.
    """

    literals: dict[str, int]
    stars: int
    optional: int
    end: int

    def matches(self, text: str) -> bool:
        """Whether the whole text is of this pattern."""
        places = self._skip(1)
        for character in text:
            moved = (places & (self.literals.get(character, 0) | self.optional)) << 1
            places = self._skip(moved | (places & self.stars))
            if not places:
                return False
        return bool(places & self.end)

    def _skip(self, places: int) -> int:
        """Add the places that are reached through pieces that may be empty.

        Adding a place to the run of ones that it stands in carries through the rest of the run, to the place after it.
        """
        carried = (places & self.optional) + self.optional
        return places | (carried ^ self.optional)


def compile_wildcard(text: str) -> str | Wildcard:
    """The pattern of a text; where it has no wildcard, the text itself, with its escapes taken off."""
    literals: dict[str, int] = {}
    plain: list[str] = []
    stars = optional = 0
    place = 1
    for piece in _PIECE.findall(text):
        if piece in {"*", "?"}:
            optional |= place
            stars |= place if piece == "*" else 0
        else:
            literals[piece[-1]] = literals.get(piece[-1], 0) | place
            plain.append(piece[-1])
        place <<= 1
    return Wildcard(literals, stars, optional, place) if optional else "".join(plain)
