"""Refusing a request: all faults of a kind as one, and the words that several actions use.

Rule: faults of one kind are found together and raised as one; the first gives the code, the message has them all.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from flowglass.control.call import Call
from flowglass.control.faults import ApiFault, DryRunOperation, InvalidFlowLogIdNotFound, InvalidParameterValue

_SHOWN: Final = 100
"""Characters of a text that a message repeats."""


def refuse(faults: Iterable[ApiFault]) -> None:
    """Raise the faults as one, if there is any: the first one's class, every text once."""
    found = list(faults)
    if not found:
        return
    texts = list(dict.fromkeys(fault.message for fault in found))
    if len(texts) > 1:
        texts = [text if text.endswith((".", "?")) else f"{text}." for text in texts]
    raise type(found[0])(" ".join(texts))


def unknown_word(parameter: str, value: str, known: type[enum.Enum]) -> InvalidParameterValue:
    """The fault of a value that is none of a closed set."""
    words = either(word.value for word in known)
    return InvalidParameterValue(f"Value ({shown(value)}) for parameter {parameter} is invalid. It must be {words}")


def either(words: Iterable[str]) -> str:
    """Words as people list them: `a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def shown(text: str) -> str:
    """A caller's text for a message: on one line, and cut where it is long."""
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:_SHOWN])
    return line if len(text) <= _SHOWN else f"{line}…"


def too_many(parameter: str, count: int, most: int) -> InvalidParameterValue:
    """The fault of a list that is too long."""
    return InvalidParameterValue(f"The request has {count} {parameter}; it may have at most {most}")


def no_flow_logs(ids: Iterable[str]) -> InvalidFlowLogIdNotFound:
    """The fault of flow logs that are not there, in AWS's words."""
    listed = [shown(one) for one in ids]
    return InvalidFlowLogIdNotFound(
        f"These flow log ids in the input list are not found: [TotalCount: {len(listed)}] {' '.join(listed)}"
    )


def end_dry_run(call: Call) -> None:
    """Raise DryRunOperation if the call is a dry run. Stands where all that can be checked was checked."""
    if call.parameters.get("DryRun"):
        raise DryRunOperation("Request would have succeeded, but DryRun flag is set.")
