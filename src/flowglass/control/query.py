"""Requests of AWS's query protocol: an encoded form to pairs, pairs to the members of an action's input.

Rule: a value is checked for its type here and for its meaning by the operation. Whatever arrives, the only way out
beside the members is an ApiFault. Work and depth are bounded by the action's model, not by what was sent.
Protocol: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from botocore.model import OperationModel

from flowglass.control import model
from flowglass.control.faults import (
    ApiFault,
    InvalidAction,
    InvalidParameterValue,
    InvalidRequest,
    MissingAction,
    MissingParameter,
    NoSuchVersion,
    UnknownParameter,
)
from flowglass.control.inputs import ListNode, Node, Scalar, Structure, of

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Names and values as sent, decoded, in order."""

MAX_PAIRS: Final = 10_000
"""Parameters of one request: many times the largest that AWS's limits allow (1,000 resources with 50 tags)."""

MAX_NAME: Final = 256
"""Characters of a parameter's name; the model's longest, with its numbers, has under 80."""

MAX_VALUE: Final = 65_536
"""Characters of a value; the longest log format of AWS has under 2,000."""

SIGNATURE_PARAMETERS: Final = frozenset(
    f"X-Amz-{part}"
    for part in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token")
)
"""What a presigned request carries beside the action's own parameters."""

_TOLD: Final = 20  # faults that one message names; the rest is counted
_EXCERPT: Final = 100  # characters of a value that a message repeats
_ACTION: Final = re.compile(r"[A-Za-z]\w{0,127}", re.ASCII)
_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode(encoded: bytes) -> list[tuple[str, str]]:
    """The pairs of a form (application/x-www-form-urlencoded, UTF-8) or of a query string, in order.

    A part without `=` has the value ""; empty parts are left out. Raises InvalidRequest for broken percent-encoding,
    what is not UTF-8, a NUL, a part without a name, and what is over the limits above.
    """
    broken = _BROKEN_PERCENT.search(encoded)
    if broken:
        raise InvalidRequest(
            f"The percent sign at byte {broken.start()} is not followed by two hexadecimal digits. "
            "Write a percent sign as %25."
        )
    if encoded.count(b"&") >= MAX_PAIRS:
        raise InvalidRequest(f"The request has more than {MAX_PAIRS} parameters. Ask in several requests.")
    parts = (part for part in encoded.split(b"&") if part)
    return [_pair(part, position) for position, part in enumerate(parts, 1)]


def split_action(pairs: Pairs) -> tuple[str, str, list[tuple[str, str]]]:
    """The action, the version of its API, and the action's own parameters: those of the signature are left out.

    Whether the action is answered is not looked at. Raises MissingAction, InvalidAction (not even a word),
    MissingParameter (no version), NoSuchVersion (not the one of the action's service) and InvalidRequest (either is
    there twice).
    """
    heads: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in ("Action", "Version"):
            if name in heads:
                raise InvalidRequest(_twice(name))
            heads[name] = value
        elif name not in SIGNATURE_PARAMETERS:
            rest.append((name, value))
    action, version = heads.get("Action", ""), heads.get("Version", "")
    if not action:
        raise MissingAction(_missing(["Action"]))
    if not _ACTION.fullmatch(action):  # so that the name of any action fits into a line of a log
        raise InvalidAction(f"The action {_excerpt(action)} is not valid for this web service.")
    if not version:
        raise MissingParameter(_missing(["Version"]))
    service = model.service_of(action)
    if service is not None and version != model.VERSIONS[service]:
        raise NoSuchVersion(
            f"The requested version ({_excerpt(version)}) of service {service} does not exist. "
            f"Ask for version {model.VERSIONS[service]}."
        )
    return action, version, rest


def parse(operation: OperationModel, pairs: Pairs) -> dict[str, Any]:
    """The input's members as botocore names them: str, bool, int, aware UTC datetime, list and dict of these.

    `pairs` are without action, version and signature, as split_action gives them. Lists are in the order of their
    numbers; numbers may be left out. Lengths, patterns and enumerations are not looked at. Raises InvalidRequest for a
    name that is there twice, then the first of MissingParameter, UnknownParameter and InvalidParameterValue; the
    message names every fault of that kind.
    """
    root = of(operation)
    held: dict[Any, Any] = {}
    faults = _Faults()
    seen: set[str] = set()
    for name, value in pairs:
        if name in seen:
            raise InvalidRequest(_twice(name))
        seen.add(name)
        _place(root, held, name, value, faults)
    members: dict[str, Any] = _finish(root, held, "", faults)
    fault = faults.first()
    if fault is not None:
        raise fault
    return members


# Pairs into members ----------------------------------------------------------------------------------------


def _place(root: Structure, held: dict[Any, Any], name: str, value: str, faults: _Faults) -> None:
    """Put one value where its name says. Every step goes one level down the model, so it ends where the model ends."""
    node: Node = root
    parts = name.split(".")
    for position, part in enumerate(parts, 1):
        key, child = node.child(part)
        if child is None:
            faults.unknown.append(name)
            return
        node = child
        if position < len(parts):
            held = held.setdefault(key, {})
    if not isinstance(node, Scalar):
        held.setdefault(key, {})
        must = "be a list: number its values" if isinstance(node, ListNode) else "have parts: name them after a dot"
        faults.invalid.append((name, value, must))
        return
    held[key] = None
    try:
        held[key] = node.read(value)
    except (ValueError, OverflowError):
        faults.invalid.append((name, value, node.must))


def _finish(node: Node, held: Any, path: str, faults: _Faults) -> Any:
    """Lists out of what was held by number; notes required members that are not there under `path`."""
    if isinstance(node, ListNode):
        return [_finish(node.member, held[index], f"{path}{index}.", faults) for index in sorted(held)]
    if isinstance(node, Structure):
        faults.missing.extend(f"{path}{name}" for name in node.required if name not in held)
        present = (known for known in node.members.values() if known[0] in held)
        return {name: _finish(child, held[name], f"{path}{name}.", faults) for name, child in present}
    return held


# Faults ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Faults:
    missing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    invalid: list[tuple[str, str, str]] = field(default_factory=list)

    def first(self) -> ApiFault | None:
        """The fault that is answered; None if there is none."""
        if self.missing:
            # What is not recognised is often the missing one, misspelt: without it the message would be a riddle.
            unknown = f" {_unknown(self.unknown)}" if self.unknown else ""
            return MissingParameter(_missing(self.missing) + unknown)
        if self.unknown:
            return UnknownParameter(_unknown(self.unknown))
        if self.invalid:
            told = [_invalid(*fault) for fault in self.invalid[:_TOLD]]
            return InvalidParameterValue(" ".join([*told, *_uncounted(self.invalid)]))
        return None


def _missing(names: list[str]) -> str:
    noun = "parameter" if len(names) == 1 else "parameters"
    return f"The request must include the {_listed(names)} {noun}. Add the required {noun} and retry the request."


def _unknown(names: list[str]) -> str:
    if len(names) == 1:
        return f"The parameter {_excerpt(names[0])} is not recognized"
    return f"The parameters {_listed(names)} are not recognized"


def _invalid(name: str, value: str, must: str) -> str:
    return f"Value ({_excerpt(value)}) for parameter {name[0].lower()}{name[1:]} is invalid. It must {must}."


def _twice(name: str) -> str:
    return f"The parameter {_excerpt(name)} is in the request twice. Send it once."


def _listed(names: list[str]) -> str:
    return ", ".join([*(_excerpt(name) for name in names[:_TOLD]), *_uncounted(names)])


def _uncounted(faults: Sequence[object]) -> list[str]:
    return [f"and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []


def _excerpt(text: str) -> str:
    """The text, short and on one line."""
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:_EXCERPT]
    )
    return line if len(text) <= _EXCERPT else f"{line}…"


# Text ------------------------------------------------------------------------------------------------------


def _pair(part: bytes, position: int) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    if not name:
        raise InvalidRequest(f"Parameter {position} of the request has no name.")
    return _text(name, MAX_NAME, position), _text(value, MAX_VALUE, position)


def _text(encoded: bytes, limit: int, position: int) -> str:
    try:
        text = urllib.parse.unquote_to_bytes(encoded.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"Parameter {position} of the request is not UTF-8.") from error
    if "\0" in text:
        raise InvalidRequest(f"Parameter {position} of the request has a NUL in it.")
    if len(text) > limit:
        raise InvalidRequest(f"Parameter {position} of the request is longer than {limit} characters.")
    return text
