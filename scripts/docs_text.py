"""Small helpers for the generated pages: tables, constants' docstrings, signatures.

Rule: what they return depends on the code only, never on the clock, the machine or the width of a terminal.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

HEAD: Final = "Made from the code by `make docs`; do not edit."


def page(title: str, *parts: str) -> str:
    """A page: the line that says where it is from, its title, its parts."""
    return "\n\n".join([HEAD, f"# {title}", *parts]) + "\n"


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(heads)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in lines)


def code(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def constant_docs(owner: ModuleType | type) -> dict[str, str]:
    """The docstrings below constants of a module or members of a class, by name."""
    tree: ast.AST = ast.parse(inspect.cleandoc(inspect.getsource(owner)))
    body: list[ast.stmt] = tree.body if isinstance(tree, ast.Module) else []
    if isinstance(owner, type):
        body = body[0].body if isinstance(body[0], ast.ClassDef) else []
    docs: dict[str, str] = {}
    for before, after in itertools.pairwise(body):
        name = _assigned(before)
        if name and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            docs[name] = inspect.cleandoc(str(after.value.value))
    return docs


def _assigned(node: ast.stmt) -> str:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def signature(name: str, function: Any) -> str:
    """A function's head as a person would write it, one parameter a line."""
    made = inspect.signature(function)
    lines: list[str] = []
    keyword_only = False
    for parameter in made.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            lines.append("*")
            keyword_only = True
        if parameter.name == "self":
            continue
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        lines.append(f"{stars}{parameter.name}: {parameter.annotation}{default}")
    inside = "".join(f"    {line},\n" for line in lines)
    return f"{name}(\n{inside}) -> {made.return_annotation}" if lines else f"{name}() -> {made.return_annotation}"


def doc(thing: object) -> str:
    """A docstring, with backquoted lines kept as paragraphs."""
    return inspect.getdoc(thing) or ""


def same(path: Path, text: str) -> bool:
    """Whether the file holds exactly this text."""
    return path.is_file() and path.read_text(encoding="utf-8") == text
