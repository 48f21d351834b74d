"""The reference pages of the command line and of Python, from their signatures and docstrings.

Rule: no option, default or help text is typed here; the commands are found from the program itself.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Final

from typer.models import ArgumentInfo, CommandInfo, OptionInfo

import flowglass
from flowglass.app.cli import main
from flowglass.app.summary import Summary
from flowglass.fields import errors as error_tree
from scripts.docs_text import code, doc, page, signature, table

_AGAIN: Final = ", may be given again"
_WORDS: Final = {str: "text", int: "number", bool: "switch"}


def _commands() -> Iterator[tuple[str, CommandInfo]]:
    yield from ((f"flowglass {info.name}", info) for info in main.app.registered_commands)
    for group in main.app.registered_groups:
        inner = group.typer_instance
        if inner is not None:
            yield from ((f"flowglass {group.name} {info.name}", info) for info in inner.registered_commands)


def commands() -> str:
    """Every command with its arguments, options, examples and exit codes."""
    found = list(_commands())
    program = main.options
    codes = [(cls.exit_code, f"`{cls.__name__}`") for cls in error_tree.all_errors()]
    return page(
        "Commands",
        f"{doc(program)} Standard output has the data, standard error progress and messages.",
        "\n".join(f"- [`{name}`](#{name.replace(' ', '-')}): {_first(info)}" for name, info in found),
        "Options of `flowglass` itself:",
        table(("option", "value", "default", "meaning"), [*_options(program), _HELP]),
        *(_command(name, info) for name, info in found),
        "## Exit codes",
        "The same for every command: 0 success, "
        + ", ".join(f"{number} {name}" for number, name in codes)
        + f", {error_tree.INTERRUPTED} after Ctrl-C. "
        "[Errors and exit codes](errors.md) says what each means and what to do.",
    )


_HELP: Final = ("`-h`, `--help`", "switch", "", "Print the help; every command has it.")


def _sentence(text: str) -> str:
    return text.split(":", maxsplit=1)[0].lower() + "."


def _first(info: CommandInfo) -> str:
    return doc(info.callback).split("\n\n")[0]


def _command(name: str, info: CommandInfo) -> str:
    function = typing.cast("Callable[..., Any]", info.callback)
    arguments, options = list(_arguments(function)), list(_options(function))
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *(row[0].strip("`") for row in arguments)])
    parts = [f"## {name}", doc(function), code(usage)]
    if arguments:
        parts.append(table(("argument", "value", "default", "meaning"), arguments))
    if options:
        parts.append(table(("option", "value", "default", "meaning"), options))
    _, _, examples = (info.epilog or "").partition(": ")
    if examples:
        parts += ["Examples:", code("\n".join(examples.split(" · ")))]
    return "\n\n".join(parts)


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    """(name, type, typer's description, default) of every parameter."""
    hints = typing.get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        kind, described = typing.get_args(hints[parameter.name])
        yield parameter.name, kind, described, parameter.default


def _arguments(function: Callable[..., Any]) -> Iterator[list[str]]:
    for name, kind, described, default in _parameters(function):
        if isinstance(described, ArgumentInfo):
            many = "..." if _value(kind).endswith(_AGAIN) else ""
            shown = (described.metavar or name.upper()) + many
            yield [
                f"`{shown}`" if default is inspect.Parameter.empty else f"`[{shown}]`",
                _value(kind),
                _default(default),
                described.help or "",
            ]


def _options(function: Callable[..., Any]) -> Iterator[list[str]]:
    for name, kind, described, default in _parameters(function):
        if isinstance(described, OptionInfo):
            first = described.default if isinstance(described.default, str) else ""
            names = [text for text in (first, *(described.param_decls or ())) if text.startswith("-")]
            shown = ", ".join(f"`{text}`" for text in names or [f"--{name.replace('_', '-')}"])
            yield [shown, _value(kind), _default(default), described.help or ""]


def _value(kind: Any) -> str:
    """The kind of value in words."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is list:
        return f"{_value(typing.get_args(kind)[0])}{_AGAIN}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    return _WORDS[kind]


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None or value is False:
        return ""
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def python() -> str:
    """`flowglass.record`, `flowglass.read` and what they return."""
    return page(
        "Python",
        code("import flowglass", "python"),
        "Both functions print nothing. Errors are the classes of `flowglass.fields.errors` "
        "([list](errors.md)); each is an `Error`.",
        _function("flowglass.record", flowglass.record),
        "The options are those of [`flowglass record`](commands.md#flowglass-record).",
        _function("flowglass.read", flowglass.read),
        _class("Recorded", flowglass.Recorded),
        _class("FlowLogs", flowglass.FlowLogs),
        _class("Summary", Summary),
        "The [accounting page](../explanation/accounting.md) explains the numbers.",
    )


def _function(name: str, function: Callable[..., Any]) -> str:
    return f"## {name}\n\n{code(signature(name, function), 'python')}\n\n{doc(function)}"


def _class(name: str, cls: type[Any]) -> str:
    """A frozen dataclass: its docstring, fields, properties and methods."""
    named = ", ".join(f"`{item.name}: {item.type}`" for item in dataclasses.fields(cls))
    rows = []
    for key, member in vars(cls).items():
        if key.startswith("_"):
            continue
        if isinstance(member, property):
            returned = inspect.signature(typing.cast("Any", member.fget)).return_annotation
            rows.append((f"`{key}: {returned}`", doc(member)))
        elif inspect.isfunction(member):
            rows.append((f"`{signature(key, member)}`", doc(member)))
    beside = f"\n\n{table(('beside them', 'meaning'), rows)}" if rows else ""
    return f"## {name}\n\n{doc(cls)}\n\nFields: {named}.{beside}"
