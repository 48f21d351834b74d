"""The house rules that no linter has: sizes, docstrings, rooms, unfinished words, links, what an install weighs.

Rule: one line a fault, exit 1; warnings and figures go to standard output and fail nothing.
Run from the root of the repository: `python -m scripts.check_tree`.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parents[1]
CODE: Final = ("src", "tests", "bench", "scripts")
PACKAGE: Final = "flowglass"
OPEN_ROOM: Final = "fields"
"""The room whose modules everybody may import."""
WARN_LINES, MOST_LINES = 300, 600
MOST_BYTES: Final = 500 * 1000 * 1000
UNFINISHED: Final = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
_LINK: Final = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


def python_files(root: Path) -> list[Path]:
    """Every module of the folders of code that git has, or would take."""
    modules = (path for path in tracked(root) if path.suffix == ".py")
    return sorted(path for path in modules if path.relative_to(root).parts[0] in CODE)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sizes(root: Path) -> tuple[list[str], list[str]]:
    """(faults, warnings) of modules by their lines. The field table and kernels may be longer than the first bound."""
    faults, warnings = [], []
    for path in python_files(root):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        name = path.relative_to(root)
        if lines > MOST_LINES:
            faults.append(f"{name}: {lines} lines; a module has at most {MOST_LINES}, split it")
        elif lines > WARN_LINES and not name.match("fields/table.py") and not name.name.endswith("kernels.py"):
            warnings.append(f"{name}: {lines} lines, more than {WARN_LINES}")
    return faults, warnings


def docstrings(root: Path) -> Iterator[str]:
    """Modules that do not say what they are, and those of the package that state no rule."""
    for path in python_files(root):
        said = ast.get_docstring(_parsed(path))
        name = path.relative_to(root)
        if not said:
            yield f"{name}: begins with no docstring; say in one sentence what it is"
        elif name.parts[0] == "src" and not any(line.startswith("Rule:") for line in said.splitlines()):
            yield f"{name}: its docstring has no line that begins with Rule:"


def rooms(root: Path) -> dict[str, set[str]]:
    """The rooms of the package and their public names."""
    found = {}
    for path in sorted((root / "src" / PACKAGE).glob("*/__init__.py")):
        found[path.parent.name] = _public(_parsed(path)) or set()
    return found


def _public(tree: ast.Module) -> set[str] | None:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__" and isinstance(node, ast.Assign | ast.AnnAssign):
            return set(ast.literal_eval(node.value)) if node.value is not None else set()
    return None


def public_lists(root: Path) -> Iterator[str]:
    """Rooms whose `__all__` is not exactly what their `__init__` imports. One that imports nothing needs none."""
    for room, names in rooms(root).items():
        path = root / "src" / PACKAGE / room / "__init__.py"
        imports = {
            alias.asname or alias.name
            for node in _first_level(_parsed(path))
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE
            for alias in node.names
        }
        for name in sorted(imports - names):
            yield f"{path.relative_to(root)}: imports {name}, which is not in __all__"
        for name in sorted(names - imports):
            yield f"{path.relative_to(root)}: __all__ has {name}, which it does not import"


def _first_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """A module's statements, and those under `if`: names that are loaded when they are asked for stand there."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If):
            yield from node.body


def private_imports(root: Path) -> Iterator[str]:
    """Imports of another room's modules, or of names that are not public there."""
    public = rooms(root)
    for path in sorted((root / "src" / PACKAGE).rglob("*.py")):
        inside = path.relative_to(root / "src" / PACKAGE)
        if len(inside.parts) == 1:
            continue  # the package itself stands above the rooms
        for node in ast.walk(_parsed(path)):
            for room, name in _imported(node):
                if room in public and room not in (inside.parts[0], OPEN_ROOM) and name not in public[room]:
                    place = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
                    yield f"{place}: imports {name} of {room}, which is not in the room's __all__"


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(room, name) of what an import takes from a room; a module of a room is named by its file."""
    modules: list[tuple[str, str]] = []
    if isinstance(node, ast.Import):
        modules = [(alias.name, "") for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        modules = [(node.module, alias.name) for alias in node.names]
    for module, name in modules:
        parts = module.split(".")
        if parts[0] != PACKAGE or len(parts) < 2:
            continue
        yield parts[1], ".".join(parts[2:]) or name


def tracked(root: Path) -> list[Path]:
    """Files that git has, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = (root / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def unfinished(root: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Words that say that something is left to do."""
    for path in paths:
        data = path.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            for word in UNFINISHED.findall(line):
                yield f"{path.relative_to(root)}:{number}: {word}; do it, or file an issue"


def links(root: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Relative links of Markdown pages that lead nowhere, to a file or to a heading."""
    for path in paths:
        if path.suffix != ".md":
            continue
        for number, line in enumerate(_prose(path).splitlines(), 1):
            for target in _LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, heading = target.partition("#")
                file = path.parent / name if name else path
                place = f"{path.relative_to(root)}:{number}: the link {target} leads"
                if not file.exists():
                    yield f"{place} to no file"
                elif heading and file.suffix == ".md" and heading not in headings(file):
                    yield f"{place} to no heading"


def _prose(page: Path) -> str:
    """A page with its code blocks emptied, its lines kept."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", lambda block: "\n" * block.group().count("\n"), text, flags=re.DOTALL | re.MULTILINE)


def headings(page: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    titles = re.findall(r"^#+ (.*)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def base_install() -> dict[str, int]:
    """Bytes of every package that an install without extras brings, by name, this one not counted."""
    found: dict[str, int] = {}
    left = [PACKAGE]
    while left:
        name = left.pop()
        if name in found:
            continue
        package = importlib.metadata.distribution(name)
        places = [Path(str(file.locate())) for file in package.files or []]
        found[name] = sum(place.stat().st_size for place in places if place.is_file())
        needed = [Requirement(text) for text in package.requires or []]
        left += [
            re.sub(r"[-_.]+", "-", need.name).lower()
            for need in needed
            if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    del found[PACKAGE]
    return found


def main() -> int:
    """Check everything; returns the exit code."""
    paths = tracked(ROOT)
    faults, warnings = sizes(ROOT)
    faults += docstrings(ROOT)
    faults += public_lists(ROOT)
    faults += private_imports(ROOT)
    faults += unfinished(ROOT, paths)
    faults += links(ROOT, paths)
    installed = base_install()
    total = sum(installed.values())
    if total > MOST_BYTES:
        faults.append(f"the base install has {total / 1e6:.0f} MB; it may have {MOST_BYTES / 1e6:.0f}")
    for warning in warnings:
        print(f"warning: {warning}")
    print(f"base install: {total / 1e6:.0f} MB in {len(installed)} packages")
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
