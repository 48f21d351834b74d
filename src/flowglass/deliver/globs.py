"""Patterns of policies and allow-lists: `*` any characters, `?` one, everything else itself.

Rule: no regular expressions, so that no pattern, however it is written, takes more than its length times the text's.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

from collections.abc import Iterable


def covers(pattern: str, text: str) -> bool:
    """Whether the pattern matches the text; where the text has `*`, whatever stands there."""
    return pattern == text or len(pattern) in _places(pattern, text)  # most patterns are what they were made of


def meets(pattern: str, prefix: str) -> bool:
    """Whether the pattern matches any text that begins so."""
    return bool(_places(pattern, prefix))


def _places(pattern: str, text: str) -> set[int]:
    """How far in the pattern one can be behind the text: numbers of its characters that are used up."""
    places = _skipped(pattern, {0})
    for character in text:
        places = _skipped(pattern, set(_stepped(pattern, places, character)))
        if not places:
            break
    return places


def _stepped(pattern: str, places: Iterable[int], character: str) -> Iterable[int]:
    for place in places:
        if place == len(pattern):
            continue
        wanted = pattern[place]
        if wanted == "*":
            yield place
        elif wanted == character or (wanted == "?" and character != "*"):
            yield place + 1


def _skipped(pattern: str, places: set[int]) -> set[int]:
    """The places, and those behind a `*` that stands for nothing."""
    found = set(places)
    for place in places:
        behind = place
        while behind < len(pattern) and pattern[behind] == "*":
            behind += 1
            found.add(behind)
    return found
