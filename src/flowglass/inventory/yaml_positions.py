"""YAML text to plain values that know their lines.

Rule: scalars stay text as written (with the tag that YAML would give them), because ids, accounts and MAC addresses
are text that YAML 1.1 takes for numbers. Tags, merge keys, deep nesting and aliases that stand for very much are
refused, so that a small file stays small when read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import yaml
from yaml.resolver import Resolver

from flowglass.inventory.faults import Fault, shown

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML has it: ten times faster
_MAX_DEPTH: Final = 16
_MAX_REPEATED: Final = 100_000
"""Values that aliases may stand for in all. A few lines of nested aliases stand for billions."""
_TAG: Final = "tag:yaml.org,2002:"
_resolve: Final[Any] = Resolver().resolve


class Text(str):
    """A scalar as written. `tag`: what YAML 1.1 takes it for (`str`, `int`, `bool`, `timestamp`, …)."""

    __slots__ = ("line", "tag")
    line: int
    tag: str


class Items(list[Any]):
    """A YAML sequence. `line`: where it begins; `lines`: those of its items."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


class Keys(dict[str, Any]):
    """A YAML mapping. `line`: where it begins; `lines`: those of its keys."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


Value: TypeAlias = Text | Items | Keys | None


def line_of(value: object, *path: str | int) -> int:
    """The line of what `path` (keys and positions) leads to, as far as it goes, counted from 1."""
    line = 1
    for step in path:
        if isinstance(value, Keys) and step in value:
            line, value = value.lines[str(step)], value[str(step)]
        elif isinstance(value, Items) and isinstance(step, int) and step < len(value):
            line, value = value.lines[step], value[step]
        else:
            break
    return line


def read_yaml(text: str) -> tuple[Value, list[Fault]]:
    """The document in `text` and what is wrong with it as YAML. After a syntax error the document is None."""
    reader = _Reader()
    try:
        for event in _events(text):
            reader.take(event)
            if len(reader.faults) and reader.stopped:
                break
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        return None, [*reader.faults, Fault(line, f"not YAML: {error.problem}", _syntax_remedy(error))]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"not YAML: character {error.character!r} is not allowed"
        return None, [*reader.faults, Fault(line, what, "remove it")]
    return (None if reader.stopped else reader.root), reader.faults


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
    return events


def _syntax_remedy(error: yaml.MarkedYAMLError) -> str:
    if "tab" in (error.problem or ""):
        return "indent with blanks"
    return f"look {error.context} here and on the line before" if error.context else "correct it"


class _Reader:
    """Builds values from YAML events; open collections are on a stack, so depth costs no recursion."""

    def __init__(self) -> None:
        self.root: Value = None
        self.faults: list[Fault] = []
        self.stopped = False
        self._open: list[Items | Keys] = []
        self._keys: list[tuple[str, int] | None] = []
        self._sizes: list[int] = []
        self._names: list[str | None] = []
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._repeated = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Add what one event brings."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._start(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(line, "a second YAML document", "keep one; remove the line ---")

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        made: Items | Keys = Keys(line) if isinstance(event, yaml.MappingStartEvent) else Items(line)
        if len(self._open) == _MAX_DEPTH:
            self._stop(line, f"nested deeper than {_MAX_DEPTH} levels", "an inventory never needs that")
        if event.tag is not None:
            self._fault(line, f"tag {event.tag}", "remove it; tags are not read")
        self._add(made, line)
        self._open.append(made)
        self._keys.append(None)
        self._sizes.append(1)
        self._names.append(event.anchor)

    def _end(self) -> None:
        made, size = self._open.pop(), self._sizes.pop()
        self._keys.pop()
        self._count(size)
        name = self._names.pop()
        if name is not None:
            self._anchors[name] = made, size

    def _count(self, size: int) -> None:
        """The innermost open collection has so many values more."""
        if self._sizes:
            self._sizes[-1] += size

    def _alias(self, name: str, line: int) -> None:
        """The value of an anchor once more; it is the same object, so it costs nothing here."""
        if name not in self._anchors:
            self._fault(line, f"alias *{name} has no value yet", f"write &{name} at a value further up")
        value, size = self._anchors.get(name, (None, 1))
        self._add(value, line)
        self._count(size)
        self._repeated += size
        if self._repeated > _MAX_REPEATED:
            self._stop(line, f"aliases stand for more than {_MAX_REPEATED} values", "write the values out")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        tag = event.tag
        if tag is not None and tag != "!":
            self._fault(line, f"tag {tag}", "remove it; tags are not read")
        found = str(_resolve(yaml.ScalarNode, event.value, event.implicit)).removeprefix(_TAG)
        if self._awaits_key():
            self._key(event.value, found, line)
            return
        value: Text | None = None
        if found != "null" or not event.implicit[0]:
            value = Text(event.value)
            value.line, value.tag = line, found
        self._add(value, line)
        self._count(1)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, 1

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], Keys) and self._keys[-1] is None

    def _key(self, name: str, tag: str, line: int) -> None:
        if tag == "merge":
            self._fault(line, "merge key <<", "write the keys out; merge keys are not read")
        self._keys[-1] = (name, line)

    def _add(self, value: Value, line: int) -> None:
        """Put a finished or just begun value where it belongs."""
        if not self._open:
            self.root = value
            return
        into = self._open[-1]
        if isinstance(into, Items):
            into.append(value)
            into.lines.append(line)
            return
        key = self._keys[-1]
        if key is None:
            self._fault(line, "a key that is no plain text", "write the key as one word")
            self._keys[-1] = ("", line)
            return
        self._keys[-1] = None
        name, key_line = key
        if name in into:
            first = into.lines[name]
            self._fault(key_line, f"key {shown(name)} is there twice", f"remove one; the other is on line {first}")
        elif name != "<<":
            into[name] = value
            into.lines[name] = key_line

    def _fault(self, line: int, message: str, remedy: str) -> None:
        self.faults.append(Fault(line, message, remedy))

    def _stop(self, line: int, message: str, remedy: str) -> None:
        if not self.stopped:
            self._fault(line, message, remedy)
        self.stopped = True
