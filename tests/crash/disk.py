"""A disk that loses at a power cut what was not synced: its files and names, in memory.

Rule: a file's bytes are safe after an fsync of the file, its names after an fsync of the folder, and nothing else is.
At a cut each unsynced change of names happened or did not, and of each unsynced file every page of 4 KiB is the old or
the new one. What every file system with a journal gives is given: a rename is one change, and a synced folder is itself
still there.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

PAGE: Final = 4096


@dataclass(slots=True, eq=False)
class File:
    """A file: what programs see, and what a cut cannot take. `links`: how many names it has."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    dirty: bool = False
    links: int = 1


@dataclass(slots=True, eq=False)
class Folder:
    """A folder: its names as programs see them, and those that a cut cannot take."""

    names: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)


Node = File | Folder
Change = list[tuple[Folder, str, Node | None]]
"""One change of names, all of it or nothing: what a name in a folder means from then on, None for no more."""


def fault(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Tree:
    """Everything on the disk, and the name changes that no fsync has made safe yet, oldest first."""

    def __init__(self) -> None:
        self.root = Folder()
        self._pending: list[Change] = []

    def find(self, path: str) -> Node:
        """What is at a path; raises ENOENT or ENOTDIR."""
        node: Node = self.root
        for name in PurePosixPath(path).parts[1:]:
            if not isinstance(node, Folder):
                raise fault(errno.ENOTDIR)
            if name not in node.names:
                raise fault(errno.ENOENT)
            node = node.names[name]
        return node

    def file(self, path: str) -> File:
        """The file at a path; raises EISDIR."""
        node = self.find(path)
        if not isinstance(node, File):
            raise fault(errno.EISDIR)
        return node

    def place(self, path: str) -> tuple[Folder, str]:
        """The folder that a path's last name is in, and that name."""
        pure = PurePosixPath(path)
        folder = self.find(str(pure.parent))
        if not isinstance(folder, Folder):
            raise fault(errno.ENOTDIR)
        return folder, pure.name

    def change(self, *parts: tuple[str, Node | None]) -> None:
        """Change what paths mean, as one change."""
        change: Change = [(*self.place(path), node) for path, node in parts]
        for folder, name, node in change:
            _set(folder.names, name, node)
        self._pending.append(change)

    def sync_file(self, file: File) -> None:
        """fsync of a file: its bytes and its length."""
        if file.dirty:
            file.durable = bytes(file.content)
            file.dirty = False

    def sync_folder(self, path: str) -> None:
        """fsync of a folder: every change of its names so far, and that it and the folders above it were made."""
        above = [self.find(str(each)) for each in (PurePosixPath(path), *PurePosixPath(path).parents)]
        waiting: list[Change] = []
        for change in self._pending:
            if any(changed is above[0] or node in above for changed, _, node in change):
                _apply(change)
            else:
                waiting.append(change)
        self._pending = waiting

    def cut(self, chance: random.Random) -> None:
        """Take the power away: from now on there is only what survived."""
        share = chance.choice((0.0, 0.5, 1.0))  # of changes that had reached the disk without an fsync
        for change in self._pending:
            if chance.random() < share:
                _apply(change)
        self._pending = []
        _survive(self.root, chance, set())


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _apply(change: Change) -> None:
    for folder, name, node in change:
        _set(folder.durable, name, node)


def _survive(folder: Folder, chance: random.Random, done: set[int]) -> None:
    folder.names = dict(folder.durable)
    for node in folder.names.values():
        if id(node) in done:
            continue
        done.add(id(node))
        if isinstance(node, Folder):
            _survive(node, chance, done)
        elif node.dirty:
            node.content = bytearray(torn(node.durable, bytes(node.content), chance))
            node.dirty = False


def torn(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """A file whose bytes were `old` at its last fsync and `new` since, after a cut."""
    share = chance.choice((0.0, 0.5, 1.0))
    size = len(new) if chance.random() < share else len(old)
    pages = []
    for start in range(0, size, PAGE):
        page = (new if chance.random() < share else old)[start : start + PAGE]
        pages.append(page.ljust(min(PAGE, size - start), b"\0")[: size - start])
    return b"".join(pages)


def load(folder: Path) -> Tree:
    """A disk with the files below a folder, all of them safe."""

    def node_of(path: Path) -> Node:
        if path.is_dir():
            names = {child.name: node_of(child) for child in path.iterdir()}
            return Folder(names, dict(names))
        content = path.read_bytes()
        return File(bytearray(content), content)

    tree = Tree()
    found = node_of(folder)
    assert isinstance(found, Folder)
    tree.root = found
    return tree


def save(tree: Tree, folder: Path) -> None:
    """Write what programs see on a disk into a folder, in place of what was there."""
    shutil.rmtree(folder)

    def write(node: Node, path: Path) -> None:
        if isinstance(node, File):
            path.write_bytes(node.content)
            return
        path.mkdir()
        for name, child in node.names.items():
            write(child, path / name)

    write(tree.root, folder)
