"""What a file, the environment and flags set: values by path, each with its place, and every fault.

Rule: a fault never stops the reading; what was wrong is left out and told with the others.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flowglass.app.config import rules
from flowglass.app.config.lines import lines
from flowglass.app.config.model import NAMED, SECTIONS, Kind, Setting, keys
from flowglass.data_dir import VARIABLE

PREFIX: Final = "FLOWGLASS_"
OTHER_VARIABLES: Final = frozenset({VARIABLE, "FLOWGLASS_EXAMPLES"})
"""Variables of the environment that are ours and no key of the configuration."""
_MOST_BYTES: Final = 1 << 18
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NAMED_BY: Final = {str: "text", bool: "true or false", int: "a whole number", tuple: "a list of texts"}

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A value of the right type, and where it is from as `config show` tells it."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Source:
    """What one source sets, and what is wrong in it, a line a fault. `wrong`: keys whose value is."""

    values: dict[KeyPath, Given] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    wrong: set[KeyPath] = field(default_factory=set)

    def take(self, path: KeyPath, value: Any, origin: str, folder: Path) -> None:
        """Keep a value, or tell what is wrong with it. `folder`: where relative paths begin."""
        default, known = keys(path[0])[path[-1]]
        wrong = _fault(default, known, value)
        if wrong:
            shown = "" if known.kind in (Kind.SECRET, Kind.URL_WITH_PASSWORD) else f" = {_shown(value)}"
            self.faults.append(f"{origin}: {_named(path)}{shown}: {wrong}")
            self.wrong.add(path)
            return
        if isinstance(value, list):
            value = tuple(value)
        if known.kind is Kind.PATH and value:
            value = str((folder / Path(value).expanduser()).absolute())
        self.values[path] = Given(value, origin)


def _shown(value: Any) -> str:
    secret = isinstance(value, str) and ("@" in value or "?" in value)
    text = repr(rules.without_password(value) if secret else value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _fault(default: Any, known: Setting, value: Any) -> str:
    """What is wrong with the type or the content of a value, "" if nothing."""
    of_type = isinstance(value, list | tuple) if isinstance(default, tuple) else type(value) is type(default)
    texts = value if isinstance(default, tuple) and of_type else [value] if isinstance(default, str) else []
    if not of_type or not all(isinstance(text, str) for text in texts):
        return f"must be {_NAMED_BY[type(default)]}"
    return next(filter(None, map(rules.plain, texts)), "") or known.check(value)


def _named(path: KeyPath) -> str:
    """`[section] key` as a file has it."""
    return f"[{'.'.join(path[:-1])}] {path[-1]}"


def nearest(word: str, known: Collection[str]) -> str:
    """The words that say which known name was probably meant, or which there are."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


# A file ----------------------------------------------------------------------------------------------------


def from_file(file: Path, *, required: bool) -> Source:
    """What a TOML file sets. One that is not there is a fault only where it is `required`."""
    source = Source()
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES >> 10} KiB; is it the right file?")
        text = content.decode("utf-8-sig")
        table = tomllib.loads(text)
    except FileNotFoundError as error:
        if required:
            source.faults.append(f"{file}: {error.strerror}; check the path")
    except OSError as error:
        source.faults.append(f"{file}: {error.strerror}; check the path and its permissions")
    except UnicodeDecodeError:
        source.faults.append(f"{file}: not UTF-8; save the file as UTF-8")
    except RecursionError:
        source.faults.append(f"{file}: nested too deeply; is it the right file?")
    except ValueError as error:  # of TOML, too
        source.faults.append(f"{file}: {str(error)[:1].lower()}{str(error)[1:]}")
    else:
        places = {path: f"{file}:{line}" for path, line in lines(text).items()}
        for section, value in table.items():
            _section(source, section, value, places, file.absolute().parent)
    return source


def _section(source: Source, section: str, value: Any, places: Mapping[KeyPath, str], folder: Path) -> None:
    if section not in SECTIONS:
        known = nearest(section, SECTIONS)
        source.faults.append(f"{places[section,]}: [{_shown(section)[1:-1]}]: no such section, {known}")
    elif not isinstance(value, dict):
        source.faults.append(f"{places[section,]}: {section}: is a section; write [{section}] on a line of its own")
    elif section == NAMED:
        for name, inner in value.items():
            place = places[section, name]
            if wrong := rules.bucket(name):
                source.faults.append(f"{place}: [{section}.{_shown(name)[1:-1]}]: {wrong}")
            elif not isinstance(inner, dict):
                source.faults.append(f"{place}: [{section}] {name}: is a section; write [{section}.{name}]")
            else:
                _keys(source, (section, name), inner, places, folder)
    else:
        _keys(source, (section,), value, places, folder)


def _keys(source: Source, at: KeyPath, values: dict[str, Any], places: Mapping[KeyPath, str], folder: Path) -> None:
    known = keys(at[0])
    for key, value in values.items():
        path = (*at, key)
        if key in known:
            source.take(path, value, places[path], folder)
        else:
            shown = f"[{'.'.join(at)}] {_shown(key)[1:-1]}"
            source.faults.append(f"{places[path]}: {shown}: no such key, {nearest(key, known)}")


# The environment -------------------------------------------------------------------------------------------


def variables() -> dict[str, KeyPath]:
    """Every key's variable: `[a] b` is FLOWGLASS_A_B. Buckets have none: their names do not fit into one."""
    paths = ((section, key) for section in SECTIONS if section != NAMED for key in keys(section))
    return {f"{PREFIX}{'_'.join(path).upper()}": path for path in paths}


def from_environment(environ: Mapping[str, str]) -> Source:
    """What variables set. Lists have commas between their parts; booleans are true or false."""
    source = Source()
    known = variables()
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        if name in known:
            path = known[name]
            value = _from_text(keys(path[0])[path[-1]][0], environ[name])
            source.take(path, value, f"environment {name}", Path.cwd())
        elif name not in OTHER_VARIABLES:
            source.faults.extend(_unknown_variable(name, known))
    return source


def _from_text(default: Any, text: str) -> Any:
    """A text as a value of the default's type; as it is where it cannot be one."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, int):
        return int(text) if _NUMBER.fullmatch(text) else text
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _unknown_variable(name: str, known: Mapping[str, KeyPath]) -> Iterator[str]:
    """A fault, where a variable is meant for us by its first words; any other is somebody else's."""
    section = next((one for one in SECTIONS if name.startswith(f"{PREFIX}{one.upper()}_")), None)
    if section == NAMED:
        yield f"environment {name}: buckets are configured in the file: [buckets.NAME]"
    elif section is not None:
        ours = [other for other, path in known.items() if path[0] == section]
        yield f"environment {name}: no such key, {nearest(name, ours)}"
    elif near := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
        yield f"environment {name}: no such key, did you mean {near[0]}?"


# Flags -----------------------------------------------------------------------------------------------------


def from_flags(flags: Mapping[str, object]) -> Source:
    """What flags set, by `section.key`; None is a flag that was not given. Raises KeyError for an unknown key."""
    source = Source()
    for name, value in flags.items():
        if value is not None:
            section, _, key = name.partition(".")
            source.take((section, key), value, "flag", Path.cwd())
    return source
